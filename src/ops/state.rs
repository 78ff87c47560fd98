//! The state folder: locks, journals, caches and work in progress of one node.

use std::fs;
use std::path::{Path, PathBuf};

use super::Error;
use super::scratch::clear_left_overs;
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;

/// The name of the state folder below the folder of local copies; no source can be called that.
pub const STATE_FOLDER: &str = ".windlass";

/// Where the state of a node lies: `<local.dir>/.windlass/`.
#[derive(Clone, Debug)]
pub struct State {
    root: PathBuf,
}

impl State {
    /// The state below this folder of local copies.
    pub fn new(local: &Path) -> Self {
        Self { root: local.join(STATE_FOLDER) }
    }

    /// A folder below the state folder, made (mode 0700) if it is not there.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn folder(&self, parts: &[&str]) -> Result<PathBuf, Error> {
        use std::os::unix::fs::DirBuilderExt;
        let path = parts.iter().fold(self.root.clone(), |path, part| path.join(part));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(Error::file("create the folder", &path))?;
        Ok(path)
    }

    /// The path of something below the state folder, which need not be there.
    pub fn path(&self, parts: &[&str]) -> PathBuf {
        parts.iter().fold(self.root.clone(), |path, part| path.join(part))
    }

    /// A folder for temporary files: sorted runs, scans. What killed runs have left there goes.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn work(&self) -> Result<PathBuf, Error> {
        let work = self.folder(&["work"])?;
        clear_left_overs(&work);
        Ok(work)
    }

    /// The file that readers of a copy lock shared, and its remover exclusively.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn copy_lock(&self, source: &SourceName, id: SnapshotId) -> Result<PathBuf, Error> {
        Ok(self.folder(&["locks"])?.join(format!("{source}@{id}.lock")))
    }
}
