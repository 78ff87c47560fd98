//! How much room a filesystem has.

use std::fmt::Debug;
use std::path::Path;

use super::Error;

/// Where the room of a filesystem is told.
pub trait Space: Send + Sync + Debug {
    /// The room on the filesystem that holds `path`.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn room(&self, path: &Path) -> Result<Room, Error>;
}

/// The room on one filesystem, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What this user may still write.
    pub free: u64,
    /// The size of the whole filesystem.
    pub whole: u64,
}

/// The path itself, or the nearest folder above it that exists, to ask for the filesystem it would lie on.
pub fn nearest_folder(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

/// What the kernel says.
#[derive(Debug, Default)]
pub struct SystemSpace;

impl Space for SystemSpace {
    fn room(&self, path: &Path) -> Result<Room, Error> {
        let stat = rustix::fs::statvfs(path).map_err(|cause| Error::io("ask for the free space of", path)(cause.into()))?;
        Ok(Room { free: stat.f_bavail.saturating_mul(stat.f_frsize), whole: stat.f_blocks.saturating_mul(stat.f_frsize) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_yet_lies_where_the_folder_above_it_does() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(nearest_folder(folder.path()), folder.path());
        assert_eq!(nearest_folder(&folder.path().join("not/yet")), folder.path());
        assert_eq!(nearest_folder(Path::new("")), Path::new("/"));
    }
}
