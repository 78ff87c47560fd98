//! Entry by entry: folders that have to stay (the root, and those above mount points) are emptied and filled.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::attributes::Attributes;
use crate::format::path::RelPath;
use crate::source::Error;
use crate::source::directory::Exclude;
use crate::source::directory::metadata::file_type;
use crate::source::directory::names;
use crate::source::directory::reader::within;
use crate::source::placement::{crash, swap::rename_new_at};
use crate::sys::folder::Folder;

/// Bytes of names held in memory for one folder.
const NAMES_BUDGET: usize = 4 << 20;

/// Which entries stay, which are moved, which are folders that stay while what is in them is moved.
pub(super) struct Merge<'a> {
    pub(super) exclude: &'a Exclude,
    pub(super) mounts: &'a [RelPath],
    pub(super) work: &'a Path,
}

enum Fate {
    Stays,
    Merges,
    Moves,
}

impl Merge<'_> {
    /// Makes a folder like `like` at `path`, where there may be one from an attempt before, with those of its folders that stay.
    pub(super) fn make_skeleton(&self, like: &Path, path: &Path) -> Result<(), Error> {
        match std::fs::create_dir(path) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(Error::file("make", path)(cause)),
            _ => crash::point(),
        }
        let (from, to) = (Folder::open(like)?, Folder::open(path)?);
        let copy = |at: &[u8]| Attributes::of(from.folder(at)?.as_fd())?.apply(to.folder(at)?.as_fd());
        copy(b"").map_err(Error::file("make", path))?;
        for folder in self.merged() {
            let made = match to.make_directory(folder, 0o700) {
                Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(cause),
                _ => copy(folder),
            };
            made.map_err(Error::file("make a folder in", path))?;
            crash::point();
        }
        Ok(())
    }

    /// Removes a skeleton that holds nothing any more: folders that stay, mount points, the root.
    pub(super) fn remove_skeleton(&self, path: &Path) -> Result<(), Error> {
        let folder = Folder::open(path)?;
        let mut folders: Vec<&[u8]> = self.merged();
        folders.extend(self.mounts.iter().map(RelPath::as_bytes));
        // Deepest first.
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.iter().filter(|byte| **byte == b'/').count()));
        for inner in folders {
            let removed = folder.parent_of(inner).and_then(|(parent, name)| Ok(rustix::fs::unlinkat(&*parent, name, AtFlags::REMOVEDIR)?));
            folder.forget();
            match removed {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(Error::file("tidy away what is left of", path)(cause)),
                _ => crash::point(),
            }
        }
        std::fs::remove_dir(path).map_err(Error::file("tidy away", path))
    }

    /// Moves everything that moves from one tree to the other. Doing it again goes on where it ended.
    ///
    /// With `attributes`, folders that stay become like those they are filled from.
    pub(super) fn pour(&self, from: &Path, to: &Path, attributes: bool) -> Result<(), Error> {
        let (source, target) = (Folder::open(from)?, Folder::open(to)?);
        self.pour_folder(&source, &target, &RelPath::root(), attributes, from)
    }

    fn pour_folder(&self, from: &Folder, to: &Folder, folder: &RelPath, attributes: bool, root: &Path) -> Result<(), Error> {
        let failed = || Error::file("move what is in", within(root, folder));
        let (source, target) = (from.folder(folder.as_bytes()).map_err(failed())?, to.folder(folder.as_bytes()).map_err(failed())?);
        let like = Attributes::of(source.as_fd()).map_err(failed())?;
        let listing = names::read(source.as_fd(), NAMES_BUDGET, self.work)?;
        if let Some(cause) = listing.cut {
            return Err(failed()(cause));
        }
        let mut names = listing.names;
        let mut name = Vec::new();
        while names.next_onto(&mut name)? {
            let path = folder.join(&name)?;
            let failed = || Error::file("move", within(root, &path));
            match self.fate(from, &path).map_err(failed())? {
                Fate::Stays => {}
                Fate::Merges => {
                    match to.make_directory(path.as_bytes(), 0o700) {
                        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(failed()(cause)),
                        _ => crash::point(),
                    }
                    self.pour_folder(from, to, &path, attributes, root)?;
                }
                Fate::Moves => {
                    rename_new_at(&source, name.as_slice(), &target, name.as_slice()).map_err(|cause: Errno| failed()(cause.into()))?;
                    crash::point();
                }
            }
            name.clear();
        }
        if attributes {
            like.apply(target.as_fd()).and_then(|()| like.apply_times(target.as_fd())).map_err(failed())?;
        }
        Ok(())
    }

    fn fate(&self, from: &Folder, path: &RelPath) -> io::Result<Fate> {
        if self.mounts.contains(path) {
            return Ok(Fate::Stays);
        }
        if self.mounts.iter().any(|mount| mount.is_within(path)) {
            return Ok(Fate::Merges);
        }
        let is_directory = file_type(&from.stat(path.as_bytes())?) == rustix::fs::FileType::Directory;
        Ok(if self.exclude.matches(path.as_bytes(), is_directory) { Fate::Stays } else { Fate::Moves })
    }

    /// The folders above mount points, each once, outermost first; the root is not among them.
    fn merged(&self) -> Vec<&[u8]> {
        let mut folders = Vec::new();
        for mount in self.mounts.iter().map(RelPath::as_bytes) {
            folders.extend(mount.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &mount[..at]));
        }
        folders.sort_unstable();
        folders.dedup();
        folders
    }
}
