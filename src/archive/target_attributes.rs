//! Gives what was written its owner, attributes, mode and times.
//!
//! The order matters: a change of owner takes set-id bits and capabilities away, an ACL changes the mode's group bits,
//! and a mode without the owner's write bit keeps attributes out.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use crate::format::entry::{Entry, Kind, Xattr};
use crate::format::escape::escape;

use super::Error;
use super::target_notes::Notes;

/// ACLs that a new file takes over from the folder it is made in.
const INHERITED: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// Set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;

/// How attributes are applied in one target.
#[derive(Debug)]
pub(super) struct Attributes {
    owners: bool,
    /// Whether new files begin with an ACL that their entries know nothing of.
    inherits: bool,
    notes: Notes,
}

/// An entry to be finished: an open file, or a name that must not be followed.
#[derive(Clone, Copy)]
enum At<'a> {
    File(BorrowedFd<'a>),
    Name(BorrowedFd<'a>, &'a [u8]),
}

impl At<'_> {
    fn stat(self, entry: &Entry) -> Result<Stat, Error> {
        let stat = match self {
            At::File(file) => rustix::fs::fstat(file),
            At::Name(parent, name) => rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW),
        };
        stat.map_err(|cause| Error::Target { what: "look at", path: entry.path.clone(), cause: cause.into() })
    }
}

impl Attributes {
    /// For a target whose root is this folder. `owners`: whether owners are set.
    pub(super) fn new(root: BorrowedFd<'_>, owners: bool) -> Self {
        let inherits = rustix::fs::fgetxattr_query(root, INHERITED[1]).is_ok();
        Self { owners, inherits, notes: Notes::default() }
    }

    /// What could not be set, so far.
    pub(super) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// For everything but symbolic links.
    pub(super) fn apply(&self, file: BorrowedFd<'_>, entry: &Entry) -> Result<(), Error> {
        let at = At::File(file);
        let now = at.stat(entry)?;
        let owned = self.owner(at, &now, entry)?;
        self.xattrs(at, entry)?;
        let withheld = if owned || entry.kind == Kind::Directory { 0 } else { entry.mode & SET_ID };
        if withheld != 0 {
            // With another owner than it had, the bit would lend the rights of a user who never gave them.
            self.note(entry, "set-id bits", &"the owner could not be set");
        }
        let mode = Mode::from_raw_mode(entry.mode & !withheld);
        self.tolerate(entry, "set the mode of", "mode", rustix::fs::fchmod(file, mode))?;
        self.times(at, entry)
    }

    /// For a symbolic link: `name` in the folder `parent`. Links have no mode.
    pub(super) fn apply_to_link(&self, parent: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<(), Error> {
        let at = At::Name(parent, name);
        let now = at.stat(entry)?;
        self.owner(at, &now, entry)?;
        self.xattrs(at, entry)?;
        self.times(at, entry)
    }

    /// Whether the owner is the entry's when this is done; a new file mostly has it already.
    fn owner(&self, at: At<'_>, now: &Stat, entry: &Entry) -> Result<bool, Error> {
        if (now.st_uid, now.st_gid) == (entry.uid, entry.gid) {
            return Ok(true);
        }
        if !self.owners {
            self.note(entry, "owner", &format!("{}:{} was not asked for or needs root", entry.uid, entry.gid));
            return Ok(false);
        }
        // The kernel takes this number for "leave it as it is".
        if entry.uid == u32::MAX || entry.gid == u32::MAX {
            self.note(entry, "owner", &"4294967295 is no user or group");
            return Ok(false);
        }
        let (uid, gid) = (Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)));
        let outcome = match at {
            At::File(file) => rustix::fs::fchown(file, uid, gid),
            At::Name(parent, name) => rustix::fs::chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW),
        };
        self.tolerate(entry, "set the owner of", "owner", outcome)
    }

    fn xattrs(&self, at: At<'_>, entry: &Entry) -> Result<(), Error> {
        if let (true, At::File(file)) = (self.inherits, at) {
            for name in INHERITED {
                if entry.xattrs.iter().all(|xattr| xattr.name != name) {
                    match rustix::fs::fremovexattr(file, name) {
                        Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
                        outcome => drop(self.tolerate(entry, "take an inherited ACL from", "absence of an ACL", outcome)?),
                    }
                }
            }
        }
        for Xattr { name, value } in &entry.xattrs {
            let outcome = match at {
                At::File(file) => rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty()),
                At::Name(parent, link) => rustix::fs::lsetxattr(through(parent, link), name.as_slice(), value, XattrFlags::empty()),
            };
            self.tolerate(entry, "set an attribute of", &escape(name), outcome)?;
        }
        Ok(())
    }

    fn times(&self, at: At<'_>, entry: &Entry) -> Result<(), Error> {
        let mtime = Timespec { tv_sec: entry.mtime.seconds, tv_nsec: entry.mtime.nanoseconds.into() };
        let times = Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: mtime };
        let outcome = match at {
            At::File(file) => rustix::fs::futimens(file, &times),
            At::Name(parent, name) => rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW),
        };
        if !self.tolerate(entry, "set the time of", "time", outcome)? || (0..=i64::from(i32::MAX)).contains(&mtime.tv_sec) {
            return Ok(());
        }
        // File systems put the nearest time they can hold, without a word, where a time is before 1970 or after 2038.
        let stat = at.stat(entry)?;
        if stat.st_mtime != mtime.tv_sec {
            self.note(entry, "time", &format!("{} became {}", mtime.tv_sec, stat.st_mtime));
        }
        Ok(())
    }

    /// Whether it worked. What a file system or a lack of rights keeps out is noted; anything else ends the run.
    fn tolerate(&self, entry: &Entry, what: &'static str, thing: &str, outcome: rustix::io::Result<()>) -> Result<bool, Error> {
        match outcome {
            Ok(()) => Ok(true),
            Err(
                cause @ (Errno::PERM
                | Errno::ACCESS
                | Errno::OPNOTSUPP
                | Errno::INVAL
                | Errno::RANGE
                | Errno::TOOBIG
                | Errno::NOSPC
                | Errno::OVERFLOW
                | Errno::NODATA),
            ) => {
                self.note(entry, thing, &cause);
                Ok(false)
            }
            Err(cause) => Err(Error::Target { what, path: entry.path.clone(), cause: cause.into() }),
        }
    }

    fn note(&self, entry: &Entry, thing: &str, why: &dyn std::fmt::Display) {
        self.notes.add(|| format!("`{}`: {thing} not restored: {why}", entry.path));
    }
}

/// A path for the one call that knows no folder: the last part is not followed, and the open folder is what it is.
fn through(parent: impl AsFd, name: &[u8]) -> PathBuf {
    let folder = format!("/proc/self/fd/{}", parent.as_fd().as_raw_fd());
    Path::new(&folder).join(std::ffi::OsStr::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name)))
}
