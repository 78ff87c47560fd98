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
    // What lies beside the base is others', up to the root of the machine: it is neither climbed over nor given away.
    if path == base || (!path.starts_with(base) && path.is_dir()) {
        return Ok(());
    }
    let above = path.parent().unwrap_or(base);
    make(base, above, mode)?;
    let like = fs::metadata(base).map_err(Error::file("look at", base))?;
    let is_root = rustix::process::geteuid().is_root();
    // Until it is the node's, the node has to be able to look into it: a kill may come in between. (The `umask` still counts.)
    match fs::DirBuilder::new().mode(0o755).create(path) {
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
            // A link is somebody's, and leads to what is not to be given away.
            let there = fs::symlink_metadata(path).map_err(Error::file("look at", path))?;
            if !(is_root && there.is_dir() && is_left_over(base, path, there.uid(), like.uid())) {
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

/// Whether a folder that is there is one that a kill has left before root gave it to the node.
fn is_left_over(base: &Path, path: &Path, owner: u32, node: u32) -> bool {
    path.starts_with(base) && path != base && owner == 0 && node != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beside_or_above_a_folder_of_the_node_is_never_given_to_it() {
        let base = Path::new("/var/lib/cassandra/cdc_raw");
        assert!(is_left_over(base, &base.join(".windlass-undo"), 0, 114));
        for others in ["/", "/var", "/var/lib/cassandra", "/var/lib/cassandra/commitlog/.windlass-undo", "/var/lib/cassandra/cdc_raw"] {
            assert!(!is_left_over(base, Path::new(others), 0, 114), "{others}");
        }
        assert!(!is_left_over(base, &base.join("of-another"), 1000, 114) && !is_left_over(base, &base.join("all-are-root's"), 0, 0));
    }

    #[test]
    fn a_folder_beside_the_base_is_made_and_those_above_it_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (base, beside) = (folder.path().join("cdc_raw"), folder.path().join("commitlog"));
        for path in [&base, &beside] {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o751)).unwrap();
        }
        let before = fs::metadata(folder.path()).unwrap();
        make_own_folder(&base, &beside.join(".windlass-undo/homestead/cdc_raw-1")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&base), mode(&beside), mode(folder.path())), (0o751, 0o751, before.mode() & 0o777));
        assert_eq!(mode(&beside.join(".windlass-undo")), 0o700);
    }
}
