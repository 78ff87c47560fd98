//! Making one folder look like another: owner, mode, attributes, times.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::source::directory::xattrs;

/// What a folder or file looks like, but for its times.
#[derive(Debug)]
pub(in crate::source) struct Attributes {
    stat: Stat,
    xattrs: Vec<crate::format::entry::Xattr>,
}

impl Attributes {
    /// Those of an open folder or file.
    pub(in crate::source) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self { stat: rustix::fs::fstat(fd)?, xattrs: xattrs::of_open(fd)? })
    }

    /// Gives them to another one.
    pub(in crate::source) fn apply(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let found = rustix::fs::fstat(fd)?;
        if (found.st_uid, found.st_gid) != (self.stat.st_uid, self.stat.st_gid) {
            rustix::fs::fchown(fd, Some(Uid::from_raw(self.stat.st_uid)), Some(Gid::from_raw(self.stat.st_gid)))?;
        }
        for old in xattrs::of_open(fd)?.iter().filter(|old| self.xattrs.iter().all(|new| new.name != old.name)) {
            tolerated(rustix::fs::fremovexattr(fd, &old.name[..]))?;
        }
        for new in &self.xattrs {
            tolerated(rustix::fs::fsetxattr(fd, &new.name[..], &new.value, XattrFlags::empty()))?;
        }
        // Last, because a change of owner clears the set-id bits, and an ACL moves the bits of the group.
        Ok(rustix::fs::fchmod(fd, Mode::from_raw_mode(self.stat.st_mode & 0o7777))?)
    }

    /// Gives its times to another one.
    pub(in crate::source) fn apply_times(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Times(self.stat).apply(fd)
    }
}

/// Labels that only the system may set stay as the system set them.
fn tolerated(outcome: rustix::io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(Errno::PERM | Errno::ACCESS | Errno::NOTSUP | Errno::NODATA) => Ok(()),
        other => Ok(other?),
    }
}

/// The times of a folder, to be given back after things were moved into or out of it.
pub(super) struct Times(Stat);

impl Times {
    pub(super) fn of(fd: &impl AsFd) -> io::Result<Self> {
        Ok(Self(rustix::fs::fstat(fd)?))
    }

    pub(super) fn apply(&self, fd: impl AsFd) -> io::Result<()> {
        let time = |seconds, nanoseconds: u32| Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
        let times = Timestamps {
            last_access: time(self.0.st_atime, u32::try_from(self.0.st_atime_nsec).unwrap_or(0)),
            last_modification: time(self.0.st_mtime, u32::try_from(self.0.st_mtime_nsec).unwrap_or(0)),
        };
        Ok(rustix::fs::futimens(fd, &times)?)
    }
}
