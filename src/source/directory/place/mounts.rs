//! What is mounted where, as the kernel tells this process.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use crate::format::path::RelPath;
use crate::source::Error;
use crate::source::directory::reader::within;

/// Where the kernel tells it.
const TABLE: &str = "/proc/self/mountinfo";

/// The mount points at or below a path.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    /// The path itself is one.
    pub(super) is_root: bool,
    /// Those below it, relative to it.
    pub(super) inside: Vec<RelPath>,
}

impl Mounts {
    /// Mount points at and below `target`, an absolute path without symbolic links.
    pub(super) fn at(target: &Path) -> Result<Self, Error> {
        let table = std::fs::read(TABLE).map_err(Error::file("read", TABLE))?;
        let mut mounts = Self::default();
        for line in table.split(|byte| *byte == b'\n') {
            // The fifth field; see proc_pid_mountinfo(5).
            let Some(point) = line.split(|byte| *byte == b' ').nth(4) else { continue };
            let point = PathBuf::from(OsString::from_vec(unescape(point)));
            match point.strip_prefix(target) {
                Err(_) => {}
                Ok(inside) if inside.as_os_str().is_empty() => mounts.is_root = true,
                Ok(inside) => mounts.inside.push(RelPath::new(inside.as_os_str().as_bytes())?),
            }
        }
        mounts.inside.retain(|inside| is_seen(&within(target, inside)));
        mounts.inside.sort();
        mounts.inside.dedup();
        Ok(mounts)
    }
}

/// False for a mount point that another mount has covered, which is still in the kernel's table.
fn is_seen(point: &Path) -> bool {
    match rustix::fs::statx(CWD, point, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::TYPE) {
        Ok(found) if found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) => {
            found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
        }
        Err(Errno::NOENT | Errno::NOTDIR) => false,
        // A kernel that does not say, or a file system that does not answer: then it is safer to take it for one.
        _ => true,
    }
}

/// The kernel writes space, tab, newline and backslash as a backslash and three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = |digits: &[u8; 3]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok();
        match tail.first_chunk::<3>().and_then(octal) {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_the_kernel_are_read() {
        assert_eq!(unescape(br"/a\040b\134c\x"), br"/a b\c\x");
    }

    #[test]
    fn mount_points_of_this_machine_are_found() {
        let mounts = Mounts::at(Path::new("/")).unwrap();
        assert!(mounts.is_root && mounts.inside.iter().any(|path| path.as_bytes() == b"proc"));
        let mounts = Mounts::at(Path::new("/proc")).unwrap();
        assert!(mounts.is_root && mounts.inside.iter().all(|path| path.as_bytes() != b"proc"));
    }
}
