//! Folders that are made in a node's own: with an owner and rights that the node can work with.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use crate::source::Error;
use crate::source::placement::crash;
use crate::sys::file::sync_folder;

/// Makes a folder of ours and those above it, below a folder of the node: for that folder's owner alone, whose programs must be able to read
/// what lies in it (at its start Cassandra looks at every file below its data directories).
///
/// # Errors
/// [`Error::File`]; [`Error::System`].
pub fn make_own_folder(base: &Path, path: &Path) -> Result<(), Error> {
    make(base, path, Some(0o700))
}

/// Makes the folder of a table and that of its keyspace, with owner and rights of the data directory.
pub(super) fn make_like(base: &Path, path: &Path) -> Result<(), Error> {
    make(base, path, None)
}

fn make(base: &Path, path: &Path, mode: Option<u32>) -> Result<(), Error> {
    if path == base {
        return Ok(());
    }
    let above = path.parent().unwrap_or(base);
    make(base, above, mode)?;
    let like = fs::metadata(base).map_err(Error::file("look at", base))?;
    let is_root = rustix::process::geteuid().is_root();
    // Until it is the node's, the node has to be able to look into it: a kill may come in between. (The `umask` still counts.)
    match fs::DirBuilder::new().mode(0o755).create(path) {
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
            let there = fs::metadata(path).map_err(Error::file("look at", path))?;
            // One that a kill has left before it was given away has still to be.
            if !(is_root && there.uid() == 0 && like.uid() != 0) {
                return Ok(());
            }
        }
        made => made.map_err(Error::file("create the folder", path))?,
    }
    crash::point();
    if is_root {
        std::os::unix::fs::chown(path, Some(like.uid()), Some(like.gid())).map_err(Error::file("set the owner of", path))?;
    }
    let mode = mode.unwrap_or(like.mode() & 0o777);
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::file("set the mode of", path))?;
    Ok(sync_folder(above)?)
}
