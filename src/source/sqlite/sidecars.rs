//! The files that SQLite keeps beside a database.

use std::path::{Path, PathBuf};

use crate::source::Error;
use crate::source::placement::swap::inode;

/// Write-ahead log, its index, rollback journal.
const ENDINGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The file with this ending beside a database.
pub(super) fn path(database: &Path, ending: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// The endings of those that are there.
pub(super) fn beside(database: &Path) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for ending in ENDINGS {
        if inode(&path(database, ending))?.is_some() {
            found.push(ending.to_owned());
        }
    }
    Ok(found)
}
