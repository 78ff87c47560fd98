//! Where a person lets bytes come from.

use std::path::PathBuf;

/// A tier that bytes may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The local copy.
    Local,
    /// The repository.
    Repository,
    /// A folder that a fetch has filled before (restore only).
    Folder(PathBuf),
}
