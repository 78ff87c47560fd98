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
/// and no limit on the length of a whole path applies. The folder used last is remembered with those that lead to it, for each thread that
/// works here at the same time: calls in path order open each folder once.
#[derive(Debug)]
pub struct Folder {
    root: Arc<OwnedFd>,
    /// Ways that no thread is on at the moment.
    ways: Mutex<Vec<Way>>,
}

/// Folders that are kept open on the way to the last one. Every thread holds up to three such ways,
/// and a process may have 1,024 files open by default: that is enough for 40 threads.
const LEVELS: usize = 8;

/// The way to a folder: its path, and the folders on it that are open.
#[derive(Debug, Default)]
struct Way {
    path: Vec<u8>,
    /// Where each folder's own path ends in `path`, and the folder; ascending.
    levels: Vec<(usize, Arc<OwnedFd>)>,
}

impl Way {
    /// How much of the way to `path` this is.
    fn common(&self, path: &[u8]) -> usize {
        self.path.iter().zip(path).take_while(|(a, b)| a == b).count()
    }

    /// Opens a folder, from the nearest one that is open.
    fn go(&mut self, root: &Arc<OwnedFd>, path: &[u8]) -> io::Result<Arc<OwnedFd>> {
        self.retreat_to(path);
        let mut folder = self.levels.last().map_or_else(|| root.clone(), |(_, folder)| folder.clone());
        if self.path.len() == path.len() {
            return Ok(folder);
        }
        let rest = if self.path.is_empty() { path } else { &path[self.path.len() + 1..] };
        for part in rest.split(|byte| *byte == b'/') {
            check_part(part)?;
            folder = Arc::new(rustix::fs::openat(&*folder, part, STEP, Mode::empty())?);
            self.advance(part, folder.clone());
        }
        Ok(folder)
    }

    /// Gives up what does not lead to `path`.
    fn retreat_to(&mut self, path: &[u8]) {
        let common = self.common(path);
        let leads_there = |end: usize| end <= common && path.get(end).is_none_or(|byte| *byte == b'/');
        while self.levels.last().is_some_and(|(end, _)| !leads_there(*end)) {
            self.levels.pop();
        }
        self.path.truncate(self.levels.last().map_or(0, |(end, _)| *end));
    }

    /// Goes on to a folder below.
    fn advance(&mut self, part: &[u8], folder: Arc<OwnedFd>) {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(part);
        if self.levels.len() == LEVELS {
            // In a deeper tree only the last folder is remembered beside the first ones.
            self.levels.pop();
        }
        self.levels.push((self.path.len(), folder));
    }
}

impl Folder {
    /// Opens a folder by its path on this machine; the path itself may lead through symbolic links.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(|cause| Error::io("open the folder", path)(cause.into()))?;
        Ok(Self { root: Arc::new(root), ways: Mutex::default() })
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
        let mut way = {
            let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
            let nearest = (0..ways.len()).max_by_key(|at| ways[*at].common(path));
            nearest.map(|at| ways.swap_remove(at)).unwrap_or_default()
        };
        let folder = way.go(&self.root, path);
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).push(way);
        folder
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

    /// Removes a file, or another name that is no folder; a symbolic link itself and never what it points to.
    ///
    /// # Errors
    /// What removing gives.
    pub fn remove_file(&self, path: &[u8]) -> io::Result<()> {
        let (parent, name) = self.parent_of(path)?;
        Ok(rustix::fs::unlinkat(&*parent, name, AtFlags::empty())?)
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

    /// Forgets the folders used last, so that they are found anew by their names.
    pub fn forget(&self) {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
    fn remembered_folders_are_those_of_the_path_and_no_others() {
        let place = tempfile::tempdir().unwrap();
        let deep = "d/".repeat(2 * LEVELS);
        std::fs::create_dir_all(place.path().join(&deep).join("e")).unwrap();
        for path in ["a/b/c", "a/bc", "ab/c", "a/b/d"] {
            std::fs::create_dir_all(place.path().join(path)).unwrap();
        }
        let folder = Folder::open(place.path()).unwrap();
        let deep = deep.trim_end_matches('/');
        let (deepest, below) = (format!("{deep}/e"), &deep[..LEVELS * 2 + 1]);
        for path in ["a/b/c", "a/bc", "a/b", "a", "ab/c", "a/b/d", "a/b/c", &deepest, deep, below, "d", &deepest, "a"] {
            folder.make_directory(format!("{path}/new").as_bytes(), 0o700).unwrap();
            let made = place.path().join(path).join("new");
            assert!(made.is_dir(), "{path}");
            std::fs::remove_dir(made).unwrap();
        }
        assert!(folder.folder(b"a/missing").is_err() && folder.folder(b"a/b/").is_err() && folder.folder(b"/a").is_err());
        let ways = folder.ways.lock().unwrap();
        assert!(ways.len() == 1 && ways[0].levels.len() <= LEVELS);
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
