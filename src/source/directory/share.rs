//! Files that did not change are shared between copies and take no space again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::copy::Bringing;
use super::metadata::{self, file_type};
use super::reader::within;
use crate::format::path::RelPath;
use crate::source::Error;
use crate::sys::folder::Folder;

/// The data folder of the previous copy, and what has been learnt of its file system.
///
/// A reflink is tried first: its two files share blocks until one is written. Else a hard link between the copies. Never a link with the
/// source, whose later writes would reach into the copy.
pub(super) struct Sharing {
    path: PathBuf,
    bringing: Bringing,
    /// Reflinks were refused for a reason that holds for the whole file system.
    no_reflink: AtomicBool,
}

impl Sharing {
    /// Shares with the data folder `previous`.
    pub(super) fn new(previous: &Path, bringing: Bringing) -> Self {
        Self { path: previous.to_owned(), bringing, no_reflink: AtomicBool::new(false) }
    }

    /// Opens the previous copy, for one thread.
    pub(super) fn open(&self) -> Result<Folder, Error> {
        Ok(Folder::open(&self.path)?)
    }

    /// Makes `path` in `data` the same file as in `previous`, which must have `size` bytes. False when it has to be copied instead.
    pub(super) fn share(&self, previous: &Folder, data: &Folder, path: &RelPath, size: u64) -> Result<bool, Error> {
        let bytes = path.as_bytes();
        // A previous copy that is damaged is not carried on.
        match previous.stat(bytes) {
            Ok(stat) if file_type(&stat) == FileType::RegularFile && metadata::size(&stat) == size => {}
            _ => return Ok(false),
        }
        if self.bringing == Bringing::Links {
            return Ok(is_same_file(previous, data, bytes));
        }
        if !self.no_reflink.load(Ordering::Relaxed) && self.reflink(previous, data, path)? {
            return Ok(true);
        }
        let failed = || Error::file("link", within(&self.path, path));
        let (Ok((from, name)), (to, _)) = (previous.parent_of(bytes), data.parent_of(bytes).map_err(failed())?) else { return Ok(false) };
        match rustix::fs::linkat(&*from, name, &*to, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            // Too many links already, another file system, or one without links.
            Err(Errno::MLINK | Errno::XDEV | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOENT) => Ok(false),
            Err(cause) => Err(failed()(cause.into())),
        }
    }

    fn reflink(&self, previous: &Folder, data: &Folder, path: &RelPath) -> Result<bool, Error> {
        let bytes = path.as_bytes();
        let failed = || Error::file("create", within(&self.path, path));
        let Ok(from) = previous.open_file(bytes) else { return Ok(false) };
        let to = data.create_file(bytes, 0o600).map_err(failed())?;
        let Err(cause) = rustix::fs::ioctl_ficlone(&to, &from) else { return Ok(true) };
        if matches!(cause, Errno::OPNOTSUPP | Errno::NOTTY | Errno::XDEV | Errno::INVAL | Errno::NOSYS) {
            self.no_reflink.store(true, Ordering::Relaxed);
        }
        let (parent, name) = data.parent_of(bytes).map_err(failed())?;
        rustix::fs::unlinkat(&*parent, name, AtFlags::empty()).map_err(|cause| failed()(cause.into()))?;
        Ok(false)
    }
}

/// Whether both folders have one file under this name. Both names exist at once, so no inode number can have been given to another file.
fn is_same_file(previous: &Folder, data: &Folder, path: &[u8]) -> bool {
    let file = |folder: &Folder| folder.stat(path).ok().map(|stat| (stat.st_dev, stat.st_ino));
    file(previous).is_some_and(|then| file(data) == Some(then))
}
