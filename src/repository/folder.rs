//! A repository in a folder: tells "the object is not there" from "the folder is not there".

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use object_store::local::LocalFileSystem;

use super::Error;

/// The folder as it was opened.
///
/// A disk that is unmounted leaves an empty mount point behind. Without this check every object would count as absent there, and new ones
/// would be written to the wrong disk.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Folder {
    /// Opens a folder: its objects are created whole, on disk before they count, and never over another.
    ///
    /// # Errors
    /// [`Error::FolderMissing`], [`Error::Settings`].
    pub(super) fn open(path: &Path) -> Result<(Self, LocalFileSystem), Error> {
        let missing = |problem| Error::FolderMissing { path: path.to_owned(), problem };
        let metadata = fs::metadata(path).map_err(|cause| missing(problem_of(&cause)))?;
        if !metadata.is_dir() {
            return Err(missing("is not a folder"));
        }
        let store = LocalFileSystem::new_with_prefix(path)
            .map_err(|cause| Error::Settings(format!("repository folder {} cannot be opened: {cause}", path.display())))?
            .with_fsync(true);
        Ok((Self { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() }, store))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to the folder that was opened.
    ///
    /// # Errors
    /// [`Error::FolderMissing`].
    pub(super) fn check(&self) -> Result<(), Error> {
        let missing = |problem| Err(Error::FolderMissing { path: self.path.clone(), problem });
        match fs::metadata(&self.path) {
            Ok(metadata) if (metadata.dev(), metadata.ino()) == (self.device, self.inode) => Ok(()),
            Ok(_) => missing("is another one than when it was opened"),
            Err(cause) => missing(problem_of(&cause)),
        }
    }
}

fn problem_of(cause: &std::io::Error) -> &'static str {
    match cause.kind() {
        std::io::ErrorKind::NotFound => "is not there",
        std::io::ErrorKind::PermissionDenied => "may not be entered by this user",
        std::io::ErrorKind::NotADirectory => "is not a folder",
        _ => "cannot be read",
    }
}
