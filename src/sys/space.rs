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

/// What the kernel says.
#[derive(Debug, Default)]
pub struct SystemSpace;

impl Space for SystemSpace {
    fn room(&self, path: &Path) -> Result<Room, Error> {
        let stat = rustix::fs::statvfs(path).map_err(|cause| Error::io("ask for the free space of", path)(cause.into()))?;
        Ok(Room { free: stat.f_bavail.saturating_mul(stat.f_frsize), whole: stat.f_blocks.saturating_mul(stat.f_frsize) })
    }
}
