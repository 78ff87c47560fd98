//! A small tree of everything that a directory can hold.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

/// Text that shrinks well and repeats nowhere, so that a blob at a wrong place shows.
pub fn text(length: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(length + 32);
    for row in 0u64.. {
        if text.len() >= length {
            break;
        }
        text.extend_from_slice(format!("({row}, {}, 'row');\n", row.wrapping_mul(2_654_435_761) % 1_000_003).as_bytes());
    }
    text.truncate(length);
    text
}

/// Fills an empty folder.
pub fn fill(root: &Path) {
    let at = |name: &[u8]| root.join(OsStr::from_bytes(name));
    fs::write(at(b"empty"), b"").unwrap();
    fs::create_dir(at(b"empty folder")).unwrap();
    fs::create_dir_all(at(b"deep/er/and\ndeeper")).unwrap();
    fs::write(at(b"deep/er/and\ndeeper/line\nfeed\n"), b"in a folder with a newline").unwrap();
    fs::write(at(b"\xff\xfe not utf-8 \xc3"), b"bytes").unwrap();
    fs::write(at(b"back\\slash %41 %"), b"no escape").unwrap();
    fs::write(at(b"-n \t 'quoted\" $(x) `y` *"), b"shell").unwrap();
    fs::write(at(&[b'x'; 255]), b"a long name").unwrap();
    fs::write(at("größe".as_bytes()), "utf-8").unwrap();

    // Several blobs, the first of which another file has as well.
    fs::write(at(b"large"), text(3 << 20)).unwrap();
    fs::write(at(b"large.copy"), text(3 << 20)).unwrap();
    let holes = File::create_new(at(b"holes")).unwrap();
    holes.write_all_at(b"begin", 1 << 20).unwrap();
    holes.write_all_at(&text(100_000), 5 << 20).unwrap();
    holes.set_len(9 << 20).unwrap();
    File::create_new(at(b"one hole")).unwrap().set_len(1 << 20).unwrap();

    fs::create_dir(at(b"links")).unwrap();
    symlink("../large", at(b"links/relative")).unwrap();
    symlink("/no/such/\n", at(b"links/dangling")).unwrap();
    symlink(OsStr::from_bytes(b"\xff"), at(b"links/bytes")).unwrap();
    symlink(".", at(b"links/self")).unwrap();
    fs::hard_link(at(b"large"), at(b"links/hard")).unwrap();
    fs::hard_link(at(b"empty"), at(b"links/hard empty")).unwrap();
    rustix::fs::mknodat(CWD, at(b"pipe"), FileType::Fifo, Mode::from_raw_mode(0o620), 0).unwrap();
    attributes(root);
}

fn attributes(root: &Path) {
    let at = |name: &[u8]| root.join(OsStr::from_bytes(name));
    for (name, mode) in [
        (&b"large"[..], 0o4751),
        (b"large.copy", 0o2640),
        (b"empty", 0o400),
        (b"holes", 0o444),
        (b"deep", 0o3775),
        (b"deep/er", 0o555),
        (b"empty folder", 0o700),
        (b"pipe", 0o620),
        (b"links", 0o1777),
    ] {
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    rustix::fs::setxattr(at(b"large"), "user.comment", b"\0value\xff", XattrFlags::empty()).unwrap();
    rustix::fs::setxattr(at(b"links"), "user.empty", b"", XattrFlags::empty()).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(at(b"large"), Some(1234), Some(65_000)).unwrap();
        std::os::unix::fs::lchown(at(b"links/dangling"), Some(1), Some(2)).unwrap();
        std::os::unix::fs::lchown(at(b"empty folder"), Some(4_000_000), Some(0)).unwrap();
        // A change of owner takes set-id bits away.
        fs::set_permissions(at(b"large"), fs::Permissions::from_mode(0o4751)).unwrap();
    }
    for (name, seconds, nanoseconds) in [
        (&b"empty"[..], -1, 500_000_000),
        (b"holes", -2_000_000_000, 1),
        (b"large", 0, 999_999_999),
        (b"large.copy", -3, 0),
        (b"links/dangling", 4_000_000_000, 5),
        (b"pipe", -1, 1),
        (b"deep/er", -7, 7),
        (b"deep", 1_000_000_000, 123_456_789),
        (b"links", 0, 0),
        (b"", 1, 2),
    ] {
        touch(&at(name), seconds, nanoseconds);
    }
}

/// Sets when a file, folder or link was last modified.
pub fn touch(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
