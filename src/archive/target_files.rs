//! The files of a target folder that are being written, kept open.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::format::path::RelPath;
use crate::sys::folder::Folder;

/// Files kept open: enough for what one frame and its neighbours touch, few enough to search in a row and for any limit on open files.
const OPEN: usize = 32;

/// The files that were written last, so that a small file costs one opening rather than three.
#[derive(Debug, Default)]
pub(super) struct OpenFiles(Mutex<VecDeque<(RelPath, Arc<File>)>>);

impl OpenFiles {
    /// Keeps a file that was just made.
    pub(super) fn keep(&self, path: &RelPath, file: File) -> Arc<File> {
        let file = Arc::new(file);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if open.len() == OPEN { open.pop_front() } else { None };
        open.push_back((path.clone(), file.clone()));
        drop(open);
        // Closed outside the lock: closing may wait for the disk.
        drop(oldest);
        file
    }

    /// A file to write to: one that is kept, or opened anew.
    pub(super) fn get(&self, path: &RelPath, folder: &Folder) -> io::Result<Arc<File>> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, file)) = open.iter().rev().find(|(known, _)| known == path) {
            return Ok(file.clone());
        }
        drop(open);
        let file = folder.open_file_for_writing(path.as_bytes())?;
        let stat = rustix::fs::fstat(&file)?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile || stat.st_nlink != 1 {
            let why = "it is not a file that was made here: it is of another kind or has another name";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(self.keep(path, file))
    }

    /// Gives up a file that is complete.
    pub(super) fn take(&self, path: &RelPath) -> Option<Arc<File>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().rposition(|(known, _)| known == path)?;
        open.remove(at).map(|(_, file)| file)
    }
}
