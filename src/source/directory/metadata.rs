//! From what the system says of a file to an entry.

use rustix::fs::{FileType, Stat};

use super::owners::Owners;
use crate::format::entry::{Entry, Identity, Kind, Time};
use crate::format::path::RelPath;

/// Times younger than this when a file is read are not trusted next time: a later write may leave them the same, because file systems
/// keep times in steps of up to two seconds.
pub(super) const TRUST_AFTER_SECONDS: i64 = 2;

/// The type of a file.
pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Length in bytes.
pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Bytes that are stored of a file, its holes left out.
pub(super) fn solid(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512).min(size(stat))
}

/// Last modification.
pub(super) fn mtime(stat: &Stat) -> Time {
    time(stat.st_mtime, stat.st_mtime_nsec)
}

/// Last change of the inode.
pub(super) fn ctime(stat: &Stat) -> Time {
    time(stat.st_ctime, stat.st_ctime_nsec)
}

fn time(seconds: i64, nanoseconds: impl TryInto<u32>) -> Time {
    Time { seconds, nanoseconds: nanoseconds.try_into().unwrap_or(0) }
}

/// Whether nothing that a write moves has moved between two looks; links that come and go are no write.
pub(super) fn is_same_content(a: &Stat, b: &Stat) -> bool {
    let key = |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_size, mtime(stat));
    key(a) == key(b)
}

/// Whether nothing that a write or a change of attributes moves has moved between two looks.
pub(super) fn is_same(a: &Stat, b: &Stat) -> bool {
    let key = |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_size, mtime(stat), ctime(stat));
    key(a) == key(b)
}

/// An entry of `kind` with everything that `stat` holds.
pub(super) fn entry(path: RelPath, kind: Kind, stat: &Stat, owners: &mut Owners) -> Entry {
    let mut entry = Entry::new(path, kind);
    entry.mode = stat.st_mode & 0o7777;
    entry.uid = stat.st_uid;
    entry.gid = stat.st_gid;
    entry.user = owners.user(stat.st_uid);
    entry.group = owners.group(stat.st_gid);
    entry.mtime = mtime(stat);
    if kind == Kind::File {
        entry.size = size(stat);
        entry.identity = Some(Identity { device: stat.st_dev, inode: stat.st_ino, ctime: ctime(stat), trusted: false });
    }
    entry
}

/// Whether a file with these times, looked at when the clock said `now`, can be told from one that is written later.
pub(super) fn is_settled(stat: &Stat, now: jiff::Timestamp) -> bool {
    let latest = Time { seconds: now.as_second() - TRUST_AFTER_SECONDS, nanoseconds: u32::try_from(now.subsec_nanosecond()).unwrap_or(0) };
    mtime(stat) <= latest && ctime(stat) <= latest
}

/// Whether the file is still the one that `previous` was made from.
pub fn is_unchanged(previous: &Entry, found: &Entry) -> bool {
    let (Some(then), Some(now)) = (previous.identity, found.identity) else { return false };
    previous.kind == Kind::File
        && then.trusted
        && (then.device, then.inode, then.ctime) == (now.device, now.inode, now.ctime)
        && (previous.size, previous.mtime) == (found.size, found.mtime)
}

/// Whether a hard link leads to the file that `previous` was a link to. Links that come and go move the `ctime`, so it says nothing here;
/// that inode numbers are given anew neither matters, as long as the previous link is still there and leads to the same file.
pub(super) fn is_same_link(previous: &Entry, found: &Entry) -> bool {
    let (Some(then), Some(now)) = (previous.identity, found.identity) else { return false };
    previous.kind == Kind::File
        && then.trusted
        && (then.device, then.inode) == (now.device, now.inode)
        && (previous.size, previous.mtime) == (found.size, found.mtime)
}
