//! Where temporary files of a run lie.

use std::path::PathBuf;

use super::scratch::clear_left_overs;
use super::{Context, Error};
use crate::sys::environment::temporary_folder;

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
