//! Where temporary files of a run lie.

use std::path::PathBuf;

use super::scratch::clear_left_overs;
use super::{Context, Error};
use crate::sys::environment::temporary_folder;
use crate::sys::table::unlinked;

/// A folder for nameless temporary files: in the state folder, or the system's on a machine that has none.
///
/// # Errors
/// [`Error::File`] when it cannot be made.
pub(crate) fn work_folder(ctx: &Context) -> Result<PathBuf, Error> {
    match &ctx.local {
        Some(_) => ctx.state()?.work(),
        None => {
            let work = temporary_folder();
            clear_left_overs(&work);
            Ok(work)
        }
    }
}

/// A folder for the nameless temporary files of who only looks. Nothing is made for them: where the state folder has no room for such files
/// yet, or takes none from this user or on a disk that is read-only, they lie in the system's.
pub(super) fn folder_to_look(ctx: &Context) -> PathBuf {
    let own = ctx.state().ok().map(|state| state.path(&["work"]));
    own.filter(|folder| unlinked(folder).is_ok()).unwrap_or_else(temporary_folder)
}
