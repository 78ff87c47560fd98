//! Extended attributes, ACLs among them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::format::entry::Xattr;

/// Most bytes of attributes that are kept of one file: with them, the longest path and a full line of content, a line of the file list
/// stays below its limit. ext4 holds 4 KiB, XFS 64 KiB for a value.
pub(super) const XATTRS_MAX: usize = 128 << 10;

/// What the system lets a list of names, or a value, take (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const SYSTEM_MAX: usize = 64 << 10;

/// The attributes of an open file or directory, by name.
///
/// # Errors
/// What the system says; `FileTooLarge` when there are more than [`XATTRS_MAX`] bytes. A file system without attributes has none.
pub(super) fn of_open(file: BorrowedFd<'_>) -> io::Result<Vec<Xattr>> {
    collect(|list| rustix::fs::flistxattr(file, list), |name, value| rustix::fs::fgetxattr(file, name, value))
}

/// The attributes of `name` in the open directory `parent`, which is not opened and, if it is a link, not followed.
///
/// # Errors
/// As [`of_open`].
pub(super) fn of_name(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<Xattr>> {
    // The system has no call that takes a directory and a name; the way through /proc stays in that directory and has no length limit.
    let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    collect(|list| rustix::fs::llistxattr(&path[..], list), |name, value| rustix::fs::lgetxattr(&path[..], name, value))
}

fn collect(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Vec<Xattr>> {
    // Most files have no attributes, or one: the first call usually answers.
    let mut small = [0; 256];
    let mut large = Vec::new();
    let names = match list(&mut small) {
        Ok(length) => &small[..length],
        Err(Errno::RANGE) => {
            large.resize(SYSTEM_MAX, 0);
            let length = list(&mut large)?;
            &large[..length]
        }
        // ENOENT: there is no /proc to go through; only links and pipes need it, and they have no attributes of users.
        Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOENT) => return Ok(Vec::new()),
        Err(cause) => return Err(cause.into()),
    };
    let mut xattrs = Vec::new();
    let mut total = 0;
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 256];
        let length = match get(name, &mut value) {
            Err(Errno::RANGE) => {
                value.resize(SYSTEM_MAX, 0);
                get(name, &mut value)
            }
            other => other,
        };
        match length {
            Ok(length) => value.truncate(length),
            // Removed since it was listed, or listed to those who may not read it.
            Err(Errno::NODATA | Errno::NOTSUP) => continue,
            Err(cause) => return Err(cause.into()),
        }
        value.shrink_to_fit();
        total += name.len() + value.len();
        if total > XATTRS_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("they take more than {XATTRS_MAX} bytes")));
        }
        xattrs.push(Xattr { name: name.to_vec(), value });
    }
    xattrs.sort();
    Ok(xattrs)
}
