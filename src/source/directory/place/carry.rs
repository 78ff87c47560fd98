//! What is excluded stays with the live tree, whichever that is.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::attributes::{Attributes, Times};
use super::{Placed, tree};
use crate::format::path::RelPath;
use crate::source::directory::Exclude;
use crate::source::directory::reader::within;
use crate::source::directory::walk::{Found, Met, Walk};
use crate::source::placement::{crash, swap::rename_new_at};
use crate::source::{Error, Problem};
use crate::sys::folder::Folder;
use crate::sys::stop::Stop;
use crate::sys::tree::remove_tree;

/// Most paths that are named as left behind.
const LEFT_MAX: usize = 100;

/// Looks whether all that is excluded in the live tree can be found: a folder that cannot be read may hide some.
pub(super) fn check(live: &Path, exclude: &Exclude, work: &Path, stop: &Stop) -> Result<(), Error> {
    let mut walk = Walk::new(&tree(live, exclude), work, stop)?;
    loop {
        match walk.advance()? {
            Met::End => return Ok(()),
            Met::Found(Found::Problem(problem)) if problem.kind == Problem::UNREADABLE => {
                return Err(Error::Refused {
                    why: format!("{} cannot be read: {}", within(live, &problem.path).display(), problem.detail),
                });
            }
            Met::Found(_) | Met::Excluded(_) => {}
        }
    }
}

/// Removes what is excluded from a tree that is not live.
pub(super) fn remove_excluded(staged: &Path, exclude: &Exclude, work: &Path, stop: &Stop) -> Result<(), Error> {
    let folder = Folder::open(staged)?;
    let mut walk = Walk::new(&tree(staged, exclude), work, stop)?;
    loop {
        match walk.advance()? {
            Met::End => return Ok(()),
            Met::Found(_) => {}
            Met::Excluded(path) => {
                let failed = || Error::file("remove", within(staged, &path));
                let (parent, _) = folder.parent_of(path.as_bytes()).map_err(failed())?;
                let times = Times::of(&parent).map_err(failed())?;
                remove_tree(&within(staged, &path))?;
                times.apply(&parent).map_err(failed())?;
            }
        }
    }
}

/// Carries what is excluded from the tree that was live to the one that is.
pub(super) struct Carry<'a> {
    exclude: &'a Exclude,
    work: &'a Path,
    placed: Placed,
}

impl<'a> Carry<'a> {
    pub(super) fn new(exclude: &'a Exclude, work: &'a Path) -> Self {
        Self { exclude, work, placed: Placed::default() }
    }

    /// Carries from `old` to `live`. Doing it again goes on where it ended.
    pub(super) fn run(mut self, old: &Path, live: &Path) -> Result<Placed, Error> {
        let (from, to) = (Folder::open(old)?, Folder::open(live)?);
        let mut walk = Walk::new(&tree(old, self.exclude), self.work, &Stop::new())?;
        loop {
            match walk.advance()? {
                Met::End => return Ok(self.placed),
                Met::Found(_) => {}
                Met::Excluded(path) => self.carry(&from, &to, &path, old)?,
            }
        }
    }

    fn carry(&mut self, from: &Folder, to: &Folder, path: &RelPath, old: &Path) -> Result<(), Error> {
        let failed = || Error::file("carry over", within(old, path));
        let (source, name) = from.parent_of(path.as_bytes()).map_err(failed())?;
        let target = match parent_in(from, to, path) {
            Ok(target) => target,
            // Where its folder was is a file or a link now.
            Err(cause) if is_not_a_folder(&cause) => return self.leave(path),
            Err(cause) => return Err(failed()(cause)),
        };
        let times = (Times::of(&source).map_err(failed())?, Times::of(&target).map_err(failed())?);
        match rename_new_at(&source, name, &target, name) {
            Ok(()) => self.placed.carried += 1,
            // The live tree has come to hold one since, or it is a mount point, or lies on another file system.
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::BUSY | Errno::XDEV) => return self.leave(path),
            Err(cause) => return Err(failed()(cause.into())),
        }
        crash::point();
        times.0.apply(&source).and_then(|()| times.1.apply(&target)).map_err(failed())
    }

    fn leave(&mut self, path: &RelPath) -> Result<(), Error> {
        if self.placed.left.len() < LEFT_MAX {
            self.placed.left.push(path.to_string());
        }
        Ok(())
    }
}

/// The folder in `to` where `path` belongs; made like the one in `from` where it is missing.
fn parent_in(from: &Folder, to: &Folder, path: &RelPath) -> io::Result<Arc<OwnedFd>> {
    let Some(parent) = path.parent() else { return to.folder(b"") };
    match to.folder(parent.as_bytes()) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let above = parent_in(from, to, &parent)?;
    let times = Times::of(&above)?;
    to.make_directory(parent.as_bytes(), 0o700)?;
    let (like, made) = (from.folder(parent.as_bytes())?, to.folder(parent.as_bytes())?);
    let attributes = Attributes::of(like.as_fd())?;
    attributes.apply(made.as_fd())?;
    attributes.apply_times(made.as_fd())?;
    times.apply(&above)?;
    Ok(made)
}

fn is_not_a_folder(cause: &io::Error) -> bool {
    [Errno::NOTDIR, Errno::LOOP].iter().any(|errno| cause.raw_os_error() == Some(errno.raw_os_error()))
}
