//! A tree in the order of the file lists: each directory before what is in it, names byte by byte.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Stat, StatxAttributes, StatxFlags};

use super::Directory;
use super::links::{First, Inode, Links};
use super::metadata::{self, file_type};
use super::names::{self, Names};
use super::owners::Owners;
use super::xattrs;
use crate::format::entry::{Entry, Kind};
use crate::format::path::RelPath;
use crate::source::{Error, Problem};
use crate::sys::folder::Folder;
use crate::sys::stop::Stop;

/// Bytes of names that all open directories of a walk hold together; more are sorted on disk. 8 MiB are about 300,000 names.
const NAMES_BUDGET: usize = 8 << 20;

/// Longest path that is kept, eight times what the kernel takes in one call: with it, a full line of content and the attributes, a line
/// of the file list stays below its limit.
pub(super) const PATH_LENGTH_MAX: usize = 32 << 10;

/// What a walk meets.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "it is handed on at once, and nearly always an entry")]
pub enum Found {
    /// Something a snapshot holds.
    Entry(FoundEntry),
    /// Something it cannot hold.
    Problem(Problem),
}

/// What a walk meets, what is left out included.
#[expect(clippy::large_enum_variant, reason = "it is handed on at once")]
pub(super) enum Met {
    /// Something that is walked.
    Found(Found),
    /// Something that is left out, with all that is in it.
    Excluded(RelPath),
    /// Nothing more.
    End,
}

/// A file, directory or link as the walk saw it.
#[derive(Clone, Debug)]
pub struct FoundEntry {
    /// Everything but content. A file has its identity (never trusted: that is for whoever reads it), but no extended attributes,
    /// because they need it opened; the others have theirs. A hard link names the first path of its file.
    pub entry: Entry,
    /// Bytes that a file takes on the disk, holes not counted; 0 for all else.
    pub solid: u64,
    /// Device and inode, for files with several names.
    pub(super) shared: Option<Inode>,
}

/// A walk through a tree. Memory is bounded whatever the tree.
#[derive(Debug)]
pub struct Walk {
    directory: Directory,
    folder: Arc<Folder>,
    work: PathBuf,
    stop: Stop,
    owners: Owners,
    links: Links,
    device: u64,
    /// The directory that is being read, as bytes of a relative path.
    path: Vec<u8>,
    levels: Vec<Level>,
    held: usize,
    begun: bool,
    waiting: VecDeque<Problem>,
}

/// An open directory: what is still to come in it.
#[derive(Debug)]
struct Level {
    /// Length of its own path.
    length: usize,
    names: Names,
    held: usize,
}

impl Walk {
    /// Begins a walk; what does not fit into memory lies in the folder `work`.
    ///
    /// # Errors
    /// [`Error::NotThere`] and [`Error::WrongKind`] when the root is missing or is not a directory; [`Error::System`].
    pub fn new(directory: &Directory, work: &Path, stop: &Stop) -> Result<Self, Error> {
        let folder = Arc::new(open_root(&directory.root)?);
        let device = rustix::fs::fstat(folder.root()).map_err(Error::file("look at", &directory.root))?.st_dev;
        Ok(Self {
            directory: directory.clone(),
            folder,
            work: work.to_owned(),
            stop: stop.clone(),
            owners: Owners::default(),
            links: Links::new(work)?,
            device,
            path: Vec::new(),
            levels: Vec::new(),
            held: 0,
            begun: false,
            waiting: VecDeque::new(),
        })
    }

    /// The next thing, or `None` at the end. The first is the root, with an empty path.
    ///
    /// # Errors
    /// [`Error::Stopped`]; [`Error::System`] when the work folder fails; [`Error::File`] when the root itself cannot be read.
    #[expect(clippy::should_implement_trait, reason = "an error ends the walk, which an Iterator does not say")]
    pub fn next(&mut self) -> Result<Option<Found>, Error> {
        loop {
            match self.advance()? {
                Met::Found(found) => return Ok(Some(found)),
                Met::Excluded(_) => {}
                Met::End => return Ok(None),
            }
        }
    }

    /// The next thing of either sort. What is below an excluded directory is not met; the caller may take the directory away.
    pub(super) fn advance(&mut self) -> Result<Met, Error> {
        loop {
            self.stop.check()?;
            if let Some(problem) = self.waiting.pop_front() {
                return Ok(Met::Found(Found::Problem(problem)));
            }
            if !self.begun {
                self.begun = true;
                return match self.directory_entry(RelPath::root())? {
                    Found::Problem(problem) => {
                        Err(Error::file("read", &self.directory.root)(io::Error::new(io::ErrorKind::PermissionDenied, problem.detail)))
                    }
                    found => Ok(Met::Found(found)),
                };
            }
            let Some(level) = self.levels.last_mut() else { return Ok(Met::End) };
            self.path.truncate(level.length);
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            if !level.names.next_onto(&mut self.path)? {
                self.held -= level.held;
                self.levels.pop();
                continue;
            }
            if let Some(met) = self.look()? {
                return Ok(met);
            }
        }
    }

    /// What is at `self.path`; `None` for a socket.
    fn look(&mut self) -> Result<Option<Met>, Error> {
        let path = RelPath::new(self.path.clone())?;
        if self.directory.exclude.matches(&self.path, false) {
            return Ok(Some(Met::Excluded(path)));
        }
        if self.path.len() > PATH_LENGTH_MAX {
            let detail = format!("its path is longer than {PATH_LENGTH_MAX} bytes; it is left out with all that is in it");
            return Ok(Some(Met::Found(problem(Problem::UNREADABLE, path, detail))));
        }
        let stat = match self.folder.stat(&self.path) {
            Ok(stat) => stat,
            Err(cause) => return Ok(Some(Met::Found(Found::Problem(Problem::from_io(&path, "look at it", &cause))))),
        };
        let found = match file_type(&stat) {
            FileType::Directory if self.directory.exclude.matches(&self.path, true) => return Ok(Some(Met::Excluded(path))),
            FileType::Directory => self.directory_entry(path)?,
            FileType::RegularFile => self.file_entry(path, &stat)?,
            FileType::Symlink => self.link_entry(path, &stat),
            FileType::Fifo => self.small_entry(path, Kind::Fifo, &stat),
            // Nothing but the program that listens on it can make a socket, and it does so when it starts.
            FileType::Socket => return Ok(None),
            FileType::BlockDevice => problem(Problem::SPECIAL, path, "it is a block device".to_owned()),
            FileType::CharacterDevice => problem(Problem::SPECIAL, path, "it is a character device".to_owned()),
            FileType::Unknown => problem(Problem::SPECIAL, path, "it is of a type that is not known".to_owned()),
        };
        Ok(Some(Met::Found(found)))
    }

    fn file_entry(&mut self, path: RelPath, stat: &Stat) -> Result<Found, Error> {
        if stat.st_nlink < 2 {
            let entry = metadata::entry(path, Kind::File, stat, &mut self.owners);
            return Ok(Found::Entry(FoundEntry { entry, solid: metadata::solid(stat), shared: None }));
        }
        let inode = Inode { device: stat.st_dev, inode: stat.st_ino };
        let entry = match self.links.get(inode)? {
            First::Path(first) => {
                let mut entry = metadata::entry(path, Kind::HardLink, stat, &mut self.owners);
                entry.link = Some(first);
                entry
            }
            First::New | First::Lost => {
                self.links.put(inode, &path)?;
                metadata::entry(path, Kind::File, stat, &mut self.owners)
            }
        };
        Ok(Found::Entry(FoundEntry { entry, solid: metadata::solid(stat), shared: Some(inode) }))
    }

    fn link_entry(&mut self, path: RelPath, stat: &Stat) -> Found {
        let target =
            self.folder.parent_of(path.as_bytes()).and_then(|(parent, name)| Ok(rustix::fs::readlinkat(&*parent, name, Vec::new())?));
        match target {
            Err(cause) => Found::Problem(Problem::from_io(&path, "read the link", &cause)),
            Ok(target) => {
                let mut found = self.small_entry(path, Kind::Symlink, stat);
                if let Found::Entry(found) = &mut found {
                    found.entry.target = Some(target.into_bytes());
                }
                found
            }
        }
    }

    /// A link or a FIFO: neither is opened.
    fn small_entry(&mut self, path: RelPath, kind: Kind, stat: &Stat) -> Found {
        let xattrs = self.folder.parent_of(path.as_bytes()).and_then(|(parent, name)| xattrs::of_name(parent.as_fd(), name));
        let mut entry = metadata::entry(path, kind, stat, &mut self.owners);
        entry.xattrs = self.xattrs_or_problem(&entry.path, xattrs);
        Found::Entry(FoundEntry { entry, solid: 0, shared: None })
    }

    /// A directory, whose names are read at once; a [`Found::Problem`] when it cannot be opened.
    fn directory_entry(&mut self, path: RelPath) -> Result<Found, Error> {
        let opened = self.folder.folder(path.as_bytes()).and_then(|fd| Ok((rustix::fs::fstat(&*fd)?, fd)));
        let (stat, fd) = match opened {
            Ok(opened) => opened,
            Err(cause) => return Ok(Found::Problem(Problem::from_io(&path, "open the directory", &cause))),
        };
        let mut entry = metadata::entry(path, Kind::Directory, &stat, &mut self.owners);
        entry.xattrs = self.xattrs_or_problem(&entry.path, xattrs::of_open(fd.as_fd()));
        if entry.path.is_root() || self.directory.cross_filesystems || !self.is_mount_point(&stat, fd.as_fd()) {
            let listing = names::read(fd.as_fd(), NAMES_BUDGET.saturating_sub(self.held), &self.work)?;
            if let Some(cause) = listing.cut {
                self.waiting.push_back(Problem::from_io(&entry.path, "list the directory, whose further names are left out", &cause));
            }
            self.held += listing.held;
            self.levels.push(Level { length: entry.path.as_bytes().len(), names: listing.names, held: listing.held });
        }
        Ok(Found::Entry(FoundEntry { entry, solid: 0, shared: None }))
    }

    /// Another file system, or another part of the same one that is mounted here.
    fn is_mount_point(&self, stat: &Stat, fd: BorrowedFd<'_>) -> bool {
        stat.st_dev != self.device
            || rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::TYPE).is_ok_and(|looked| {
                looked.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
                    && looked.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
            })
    }

    /// Attributes that cannot be read are a problem of their own; the entry stays.
    fn xattrs_or_problem(
        &mut self,
        path: &RelPath,
        xattrs: io::Result<Vec<crate::format::entry::Xattr>>,
    ) -> Vec<crate::format::entry::Xattr> {
        xattrs.unwrap_or_else(|cause| {
            self.waiting.push_back(Problem::from_io(path, "read the extended attributes, which are left out", &cause));
            Vec::new()
        })
    }
}

/// Opens the root of a source.
///
/// # Errors
/// [`Error::NotThere`], [`Error::WrongKind`], [`Error::System`].
pub(super) fn open_root(root: &Path) -> Result<Folder, Error> {
    match std::fs::metadata(root) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Err(Error::NotThere { path: root.to_owned() }),
        Err(cause) if cause.kind() == io::ErrorKind::NotADirectory => Err(Error::NotThere { path: root.to_owned() }),
        Err(cause) => Err(Error::file("look at", root)(cause)),
        Ok(found) if !found.is_dir() => Err(Error::WrongKind { path: root.to_owned(), wanted: "a directory" }),
        Ok(_) => Ok(Folder::open(root)?),
    }
}

fn problem(kind: &'static str, path: RelPath, detail: String) -> Found {
    Found::Problem(Problem { kind, path, detail })
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
