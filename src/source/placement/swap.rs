//! Two things change places: in one step where the file system can, else in three that can be told apart afterwards.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::crash;
use crate::source::Error;
use crate::sys::file::sync_folder;

/// The names that take part; all in one folder.
#[derive(Clone, Copy, Debug)]
pub(in crate::source) struct Names<'a> {
    /// Where the live thing is.
    pub(in crate::source) target: &'a Path,
    /// Where the other one is.
    pub(in crate::source) aside: &'a Path,
    /// A name that is free for a moment.
    pub(in crate::source) spare: &'a Path,
}

/// How far an exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source) enum State {
    /// What was live is live.
    Before,
    /// Nothing is live: what was lies under the spare name.
    Between,
    /// What was aside is live.
    After,
    /// Neither: somebody else has been at it.
    Unclear,
}

impl Names<'_> {
    /// Exchanges `old`, which is live, and `new`, which lies aside; one of them may be nothing.
    pub(in crate::source) fn exchange(&self, old: Option<u64>, new: Option<u64>) -> Result<(), Error> {
        match (old, new) {
            (Some(_), Some(_)) => match rustix::fs::renameat_with(CWD, self.target, CWD, self.aside, RenameFlags::EXCHANGE) {
                Ok(()) => {}
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    rename_new(self.target, self.spare)?;
                    crash::point();
                    rename_new(self.aside, self.target)?;
                    crash::point();
                    rename_new(self.spare, self.aside)?;
                }
                Err(cause) => return Err(Error::file("exchange", self.target)(cause)),
            },
            (None, Some(_)) => rename_new(self.aside, self.target)?,
            (Some(_), None) => rename_new(self.target, self.aside)?,
            (None, None) => {}
        }
        crash::point();
        self.sync()
    }

    /// How far the exchange of `old` and `new` has come.
    pub(in crate::source) fn state(&self, old: Option<u64>, new: Option<u64>) -> Result<State, Error> {
        let (target, aside, spare) = (inode(self.target)?, inode(self.aside)?, inode(self.spare)?);
        // A copy that is being placed lies under the spare name until it is moved aside.
        let has = |wanted: Option<u64>| wanted.is_none() || aside == wanted || spare == wanted;
        Ok(if target == old && has(new) {
            State::Before
        } else if target == new && has(old) {
            State::After
        } else if target.is_none() && spare == old && aside == new {
            State::Between
        } else {
            State::Unclear
        })
    }

    /// Makes the names survive a power cut.
    pub(in crate::source) fn sync(&self) -> Result<(), Error> {
        Ok(sync_folder(self.target.parent().unwrap_or(Path::new("/")))?)
    }
}

/// The inode at a path, links not followed. Only inodes are compared, because a device may have another number after a reboot.
pub(in crate::source) fn inode(path: &Path) -> Result<Option<u64>, Error> {
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found.ino())),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::file("look at", path)(cause)),
    }
}

/// Renames to a name that must be free.
pub(in crate::source) fn rename_new(from: &Path, to: &Path) -> Result<(), Error> {
    rename_new_at(CWD, from, CWD, to).map_err(Error::file("move", from))
}

/// As [`rename_new`], in open folders.
pub(in crate::source) fn rename_new_at<P: rustix::path::Arg + Copy, Q: rustix::path::Arg + Copy>(
    from_folder: impl AsFd,
    from: P,
    to_folder: impl AsFd,
    to: Q,
) -> Result<(), Errno> {
    match rustix::fs::renameat_with(&from_folder, from, &to_folder, to, RenameFlags::NOREPLACE) {
        // A file system without this flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            match rustix::fs::statat(&to_folder, to, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => rustix::fs::renameat(from_folder, from, to_folder, to),
                Ok(_) => Err(Errno::EXIST),
                Err(cause) => Err(cause),
            }
        }
        other => other,
    }
}
