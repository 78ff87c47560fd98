//! The only thing that writes a snapshot's entries into a folder.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode};

use crate::format::entry::{Entry, Kind};
use crate::format::path::RelPath;
use crate::sys;
use crate::sys::folder::Folder;

use super::Error;
use super::target_attributes::Attributes;
use super::target_files::OpenFiles;

/// Mode of a file until it is finished: nobody else looks at half a file.
const NEW_FILE: u32 = 0o600;
/// Mode of a directory until it is finished.
const NEW_DIRECTORY: u32 = 0o700;

/// A folder that entries are written into.
///
/// Whatever the entries say, nothing outside the folder is touched: paths are walked part by part from an open folder and never through
/// a symbolic link. Nothing that is there is replaced: a name that is taken is an error.
/// All methods may be called from several threads; those of one entry in the order
/// [`begin`](Self::begin), [`write`](Self::write), [`link`](Self::link), [`finish`](Self::finish),
/// and [`finish_directory`](Self::finish_directory) when everything below is finished.
#[derive(Debug)]
pub struct Target {
    path: std::path::PathBuf,
    folder: Folder,
    files: OpenFiles,
    attributes: Attributes,
}

impl Target {
    /// A target in a folder that is there. `owners`: whether files get the owners they had, which only root can give.
    ///
    /// # Errors
    /// [`Error::System`] when the folder cannot be opened.
    pub fn new(folder: &Path, owners: bool) -> Result<Self, Error> {
        let path = folder.to_path_buf();
        let folder = Folder::open(folder)?;
        let attributes = Attributes::new(folder.root(), owners);
        Ok(Self { path, folder, files: OpenFiles::default(), attributes })
    }

    /// Makes the entry: a directory with mode 0700, a file of its full size that is one hole with mode 0600, a symbolic link, a FIFO.
    /// The root is there already; a hard link is made by [`link`](Self::link), when its file is there.
    ///
    /// # Errors
    /// [`Error::Target`]: the name is taken, the parent is not a directory, the disk is full.
    pub fn begin(&self, entry: &Entry) -> Result<(), Error> {
        let path = entry.path.as_bytes();
        let made = match entry.kind {
            Kind::HardLink => Ok(()),
            Kind::Directory if entry.path.is_root() => Ok(()),
            Kind::Directory => self.folder.make_directory(path, NEW_DIRECTORY),
            Kind::File => self.make_file(entry).map(|file| drop(self.files.keep(&entry.path, file))),
            Kind::Symlink => self.make_symlink(entry),
            Kind::Fifo => self.make_fifo(path),
        };
        made.map_err(failed("make", &entry.path))
    }

    /// Writes bytes of a file that was begun. What is never written stays a hole.
    ///
    /// # Errors
    /// [`Error::Target`].
    pub fn write(&self, path: &RelPath, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let file = self.files.get(path, &self.folder).map_err(failed("open", path))?;
        file.write_all_at(bytes, offset).map_err(failed("write", path))
    }

    /// Makes a file that holds just these bytes, in place of [`begin`](Self::begin) and [`write`](Self::write): it is opened once.
    ///
    /// # Errors
    /// [`Error::Target`].
    pub fn write_new(&self, path: &RelPath, bytes: &[u8]) -> Result<(), Error> {
        let file = self.folder.create_file(path.as_bytes(), NEW_FILE).map_err(failed("make", path))?;
        file.write_all_at(bytes, 0).map_err(failed("write", path))
    }

    /// Removes a file that was begun and cannot be completed; one that was not begun is not there.
    ///
    /// # Errors
    /// [`Error::Target`].
    pub fn remove(&self, path: &RelPath) -> Result<(), Error> {
        drop(self.files.take(path));
        match self.folder.remove_file(path.as_bytes()) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(cause)),
            _ => Ok(()),
        }
    }

    /// Makes a hard link to an entry that is there; does nothing for other kinds.
    ///
    /// # Errors
    /// [`Error::Target`].
    pub fn link(&self, entry: &Entry) -> Result<(), Error> {
        let Some(first) = entry.link.as_ref().filter(|_| entry.kind == Kind::HardLink) else { return Ok(()) };
        let linked = || {
            let (from, name) = self.folder.parent_of(first.as_bytes())?;
            let (to, new) = self.folder.parent_of(entry.path.as_bytes())?;
            // Without a flag, `linkat` links a symbolic link itself and never what it points to.
            Ok(rustix::fs::linkat(&*from, name, &*to, new, AtFlags::empty())?)
        };
        linked().map_err(failed("link", &entry.path))
    }

    /// Gives the entry its owner, attributes, mode and time, in that order.
    /// Nothing is left to do for a hard link, which shares those of its file, and for a directory, which comes later.
    ///
    /// # Errors
    /// [`Error::Target`] for what neither a lack of rights nor a file system's limits explain; those are kept as [`notes`](Self::notes).
    pub fn finish(&self, entry: &Entry) -> Result<(), Error> {
        let path = &entry.path;
        match entry.kind {
            Kind::HardLink | Kind::Directory => Ok(()),
            Kind::Symlink => {
                let (parent, name) = self.folder.parent_of(path.as_bytes()).map_err(failed("open the folder of", path))?;
                self.attributes.apply_to_link(parent.as_fd(), name, entry)
            }
            Kind::File | Kind::Fifo => match self.files.take(path) {
                Some(file) => self.attributes.apply(file.as_fd(), entry),
                None => {
                    let file = self.folder.open_file(path.as_bytes()).map_err(failed("open", path))?;
                    self.attributes.apply(file.as_fd(), entry)
                }
            },
        }
    }

    /// Gives a directory its owner, attributes, mode and time. To be called last path first, so that nothing below changes after it.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_directory(&self, entry: &Entry) -> Result<(), Error> {
        if entry.kind != Kind::Directory {
            return Ok(());
        }
        let directory = self.folder.folder(entry.path.as_bytes()).map_err(failed("open", &entry.path))?;
        self.attributes.apply(directory.as_fd(), entry)
    }

    /// Waits until everything that was written is on the disk.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn sync(&self) -> Result<(), Error> {
        let synced = rustix::fs::syncfs(self.folder.root()).map_err(io::Error::from);
        Ok(synced.map_err(sys::Error::io("sync the file system of", &self.path))?)
    }

    /// What the file system or a lack of rights kept out, at most the first 100; [`note_count`](Self::note_count) counts them all.
    pub fn notes(&self) -> Vec<String> {
        self.attributes.notes().kept()
    }

    /// How many attributes could not be set.
    pub fn note_count(&self) -> u64 {
        self.attributes.notes().count()
    }

    fn make_file(&self, entry: &Entry) -> io::Result<File> {
        let file = self.folder.create_file(entry.path.as_bytes(), NEW_FILE)?;
        if entry.size > 0 {
            file.set_len(entry.size)?;
        }
        Ok(file)
    }

    fn make_symlink(&self, entry: &Entry) -> io::Result<()> {
        let target =
            entry.target.as_deref().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a symbolic link without a target"))?;
        let (parent, name) = self.folder.parent_of(entry.path.as_bytes())?;
        Ok(rustix::fs::symlinkat(target, &*parent, name)?)
    }

    fn make_fifo(&self, path: &[u8]) -> io::Result<()> {
        let (parent, name) = self.folder.parent_of(path)?;
        Ok(rustix::fs::mknodat(&*parent, name, FileType::Fifo, Mode::from_raw_mode(NEW_FILE), 0)?)
    }
}

fn failed(what: &'static str, path: &RelPath) -> impl FnOnce(io::Error) -> Error {
    move |cause| Error::Target { what, path: path.clone(), cause }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
