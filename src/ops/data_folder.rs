//! A folder on this machine whose files hold bytes that are known by their digests: a local copy's data, or live files.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Stat};

use super::Error;
use crate::format::digest::Digest;
use crate::format::escape::escape;
use crate::format::path::RelPath;
use crate::sys::folder::Folder;

/// A folder with files that are worth a look. Nothing is taken from them whose digest does not match.
#[derive(Debug)]
pub(crate) struct DataFolder {
    folder: Folder,
    path: PathBuf,
    copy: bool,
}

impl DataFolder {
    /// The data of a local copy: bytes that do not match there are damage.
    ///
    /// # Errors
    /// [`Error::System`] when it cannot be opened.
    pub(crate) fn of_copy(data: &Path) -> Result<Self, Error> {
        Ok(Self { folder: Folder::open(data)?, path: data.to_owned(), copy: true })
    }

    /// Files that may have changed or vanished without anything being wrong.
    ///
    /// # Errors
    /// [`Error::System`] when it cannot be opened.
    pub(crate) fn of_live_files(folder: &Path) -> Result<Self, Error> {
        Ok(Self { folder: Folder::open(folder)?, path: folder.to_owned(), copy: false })
    }

    /// The size of a regular file.
    ///
    /// # Errors
    /// What looking at it gives; something else than a regular file is `InvalidData`.
    pub(crate) fn size_of(&self, path: &RelPath) -> io::Result<u64> {
        let stat = self.stat(path)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(u64::try_from(stat.st_size).unwrap_or_default()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it is no longer a file")),
        }
    }

    /// What is at a path, without following a symbolic link.
    ///
    /// # Errors
    /// What looking at it gives.
    pub(crate) fn stat(&self, path: &RelPath) -> io::Result<Stat> {
        self.folder.stat(path.as_bytes())
    }

    /// Gives a file another name, in an open folder of the same filesystem; a name that is taken is an error.
    ///
    /// # Errors
    /// What linking gives.
    pub(crate) fn link(&self, path: &RelPath, parent: impl AsFd, name: &[u8]) -> io::Result<()> {
        let (from, known) = self.folder.parent_of(path.as_bytes())?;
        // Without a flag, `linkat` links a symbolic link itself and never what it points to.
        Ok(rustix::fs::linkat(&*from, known, parent, name, AtFlags::empty())?)
    }

    /// Whether it is the data of a local copy, so that bytes which do not match there are damage.
    pub(crate) fn is_copy(&self) -> bool {
        self.copy
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file's path on this machine, for messages.
    pub(crate) fn name_of(&self, path: &RelPath) -> String {
        format!("{}/{}", self.path.display(), escape(path.as_bytes()))
    }
}

/// Reads from one folder; the file read last stays open.
pub(crate) struct Reader<'a> {
    place: &'a DataFolder,
    open: Option<(RelPath, File)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(place: &'a DataFolder) -> Self {
        Self { place, open: None }
    }

    /// The folder.
    pub(crate) fn place(&self) -> &'a DataFolder {
        self.place
    }

    /// Fills `buffer` from this place of a file and says whether its bytes have this digest.
    ///
    /// # Errors
    /// What opening and reading give; a file that ends too early is `UnexpectedEof`.
    pub(crate) fn read(&mut self, path: &RelPath, offset: u64, buffer: &mut [u8], digest: &Digest) -> io::Result<bool> {
        let file = match &mut self.open {
            Some((known, file)) if known == path => file,
            open => {
                *open = None;
                &mut open.insert((path.clone(), self.place.folder.open_file(path.as_bytes())?)).1
            }
        };
        file.read_exact_at(buffer, offset)?;
        Ok(Digest::of(buffer) == *digest)
    }
}

/// What is wrong with a file of a local copy whose bytes could not be taken.
pub(crate) fn problem_of(outcome: io::Result<bool>) -> String {
    match outcome {
        Ok(_) => "its bytes are not those that were copied (a SHA-256 differs)".to_owned(),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => "it is missing".to_owned(),
        Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => "it is shorter than it was".to_owned(),
        Err(cause) => format!("it cannot be read: {cause}"),
    }
}
