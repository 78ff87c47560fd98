//! An open folder that is worked in without ever following a symbolic link out of it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags, Stat};

use super::Error;

/// How a folder is opened on the way to a file: never through a symbolic link.
const STEP: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder, held open.
///
/// Paths are bytes relative to it, with `/` between parts, and are walked part by part, so no symbolic link is followed
/// and no limit on the length of a whole path applies. The folder used last is remembered: calls in path order cost one `openat` each.
#[derive(Debug)]
pub struct Folder {
    root: Arc<OwnedFd>,
    last: Mutex<Option<(Vec<u8>, Arc<OwnedFd>)>>,
}

impl Folder {
    /// Opens a folder by its path on this machine; the path itself may lead through symbolic links.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(|cause| Error::io("open the folder", path)(cause.into()))?;
        Ok(Self { root: Arc::new(root), last: Mutex::new(None) })
    }

    /// The folder itself.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// A folder below this one; the empty path is the folder itself.
    ///
    /// # Errors
    /// What opening gives; `ELOOP` or `ENOTDIR` for a symbolic link on the way.
    pub fn folder(&self, path: &[u8]) -> io::Result<Arc<OwnedFd>> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut fd, rest) = match &*last {
            Some((known, fd)) if known == path => return Ok(fd.clone()),
            Some((known, fd)) => match path.strip_prefix(known.as_slice()) {
                Some(rest) if rest[0] == b'/' => (fd.clone(), &rest[1..]),
                _ => (self.root.clone(), path),
            },
            None => (self.root.clone(), path),
        };
        for part in rest.split(|byte| *byte == b'/') {
            check_part(part)?;
            fd = Arc::new(rustix::fs::openat(&*fd, part, STEP, Mode::empty())?);
        }
        *last = Some((path.to_vec(), fd.clone()));
        Ok(fd)
    }

    /// The folder that holds `path`, and the last part of it.
    ///
    /// # Errors
    /// As [`Folder::folder`]; the empty path has no parent.
    pub fn parent_of<'a>(&self, path: &'a [u8]) -> io::Result<(Arc<OwnedFd>, &'a [u8])> {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&path[..0], path),
        };
        check_part(name)?;
        Ok((self.folder(parent)?, name))
    }

    /// Opens a file for reading; never through a symbolic link, and without waiting where it is a FIFO.
    ///
    /// # Errors
    /// What opening gives.
    pub fn open_file(&self, path: &[u8]) -> io::Result<File> {
        let (parent, name) = self.parent_of(path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&*parent, name, flags, Mode::empty())?.into())
    }

    /// Opens a file that is there for writing; never through a symbolic link.
    ///
    /// # Errors
    /// What opening gives.
    pub fn open_file_for_writing(&self, path: &[u8]) -> io::Result<File> {
        let (parent, name) = self.parent_of(path)?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&*parent, name, flags, Mode::empty())?.into())
    }

    /// Creates a file; a name that is taken is an error.
    ///
    /// # Errors
    /// What creating gives.
    pub fn create_file(&self, path: &[u8], mode: u32) -> io::Result<File> {
        let (parent, name) = self.parent_of(path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&*parent, name, flags, Mode::from_raw_mode(mode))?.into())
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// What making it gives.
    pub fn make_directory(&self, path: &[u8], mode: u32) -> io::Result<()> {
        let (parent, name) = self.parent_of(path)?;
        Ok(rustix::fs::mkdirat(&*parent, name, Mode::from_raw_mode(mode))?)
    }

    /// What is at a path, without following a symbolic link; the empty path is the folder itself.
    ///
    /// # Errors
    /// What `fstatat` gives.
    pub fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        if path.is_empty() {
            return Ok(rustix::fs::fstat(&*self.root)?);
        }
        let (parent, name) = self.parent_of(path)?;
        Ok(rustix::fs::statat(&*parent, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Forgets the folder used last, so that it is found anew by its name.
    pub fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Paths come checked from `format`; this is the second check, at the very call.
fn check_part(part: &[u8]) -> io::Result<()> {
    match part {
        b"" | b"." | b".." => Err(io::Error::new(io::ErrorKind::InvalidInput, "a part of the path is empty, `.` or `..`")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symlink_on_the_way_is_never_followed() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("in/a")).unwrap();
        std::fs::write(place.path().join("secret"), b"x").unwrap();
        std::os::unix::fs::symlink("..", place.path().join("in/up")).unwrap();
        std::os::unix::fs::symlink("../secret", place.path().join("in/file")).unwrap();
        let folder = Folder::open(&place.path().join("in")).unwrap();
        assert!(folder.open_file(b"up/secret").is_err());
        assert!(folder.open_file(b"file").is_err());
        assert!(folder.open_file(b"../secret").is_err());
        assert!(folder.open_file(b"a/../../secret").is_err());
        assert!(folder.create_file(b"up/new", 0o600).is_err());
        folder.create_file(b"a/new", 0o600).unwrap();
        assert!(folder.create_file(b"a/new", 0o600).is_err());
    }

    #[test]
    fn paths_longer_than_the_kernel_takes_are_reached() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let mut path = Vec::new();
        for _ in 0..40 {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&[b'd'; 200]);
            folder.make_directory(&path, 0o700).unwrap();
        }
        path.extend_from_slice(b"/f");
        drop(folder.create_file(&path, 0o600).unwrap());
        folder.forget();
        folder.open_file(&path).unwrap();
        crate::sys::tree::remove_tree(&place.path().join("d".repeat(200))).unwrap();
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
