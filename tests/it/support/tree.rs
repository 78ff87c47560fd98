//! A tree that holds one of everything a directory can hold, and the complete comparison of two trees.
//!
//! Everything works from open folders, name by name, so that paths longer than the kernel takes in one call are no trouble.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;
use windlass::format::digest::{Digest, Hasher};
use windlass::format::escape::escape;
use windlass::sys::random::{Random, SeededRandom};

/// Turns one bit in the middle of a file around.
pub fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Bytes that look random, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes
}

/// Whether the tests run as root: then owners, and files that their owner may not read, are part of the tree.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Fills an empty folder with one of everything: links of both kinds, holes, pipes, nothing at all, odd and long names, paths deeper than
/// the kernel takes, modes, owners, times to the nanosecond also before 1970, attributes and ACLs.
pub fn fill(root: &Path) {
    names(root);
    contents(root);
    links(root);
    deep(root);
    attributes(root);
    modes(root);
    times(root);
}

fn put(root: &Path, name: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn bytes_as_path(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

fn names(root: &Path) {
    let odd: [&[u8]; 14] = [
        b"a",
        b"a-b",
        b"a.b",
        b" leading and trailing ",
        b"-rf",
        b"new\nline",
        b"tab\tquote\"'`$(x)",
        b"per%41cent",
        b"back\\slash",
        b"\xff\xfe not UTF-8 \x80",
        b"\x01\x7f control",
        "gr\u{fc}\u{df}e \u{1f9f5}".as_bytes(),
        b"...",
        b"*?[a]",
    ];
    for name in odd {
        put(&root.join("names"), bytes_as_path(name), name);
        // The same as folders: their order among files is where sorting goes wrong.
        put(&root.join("names of folders").join(bytes_as_path(name)), "inside", name);
    }
    put(&root.join("names"), "x".repeat(255), b"the longest name");
    put(&root.join("names").join("y".repeat(255)), "z".repeat(255), b"the longest name in the longest name");
    for n in 0..300 {
        put(&root.join("many"), format!("file-{n}"), format!("small file number {n}\n").as_bytes());
    }
}

fn contents(root: &Path) {
    let content = root.join("content");
    put(&content, "empty", b"");
    put(&content, "one byte", b"1");
    put(&content, "zeros that are stored", &[0; 100_000]);
    for (n, length) in [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20].into_iter().enumerate() {
        put(&content, format!("noise of {length}"), &noise(n as u64, length));
    }
    let line = b"INSERT INTO subscriber VALUES ('sip:1234@example.com', 'a line that compresses');\n";
    put(&content, "text", &line.repeat(40_000));
    fs::create_dir_all(root.join("empty folder/and another")).unwrap();
    type Holes = (&'static str, u64, &'static [(u64, usize)]);
    let holes: [Holes; 6] = [
        ("all hole", 3 << 20, &[]),
        ("hole at the beginning", 2 << 20, &[(1 << 20, 1 << 20)]),
        ("hole at the end", 9 << 20, &[(0, 10_000)]),
        ("hole in the middle", (3 << 20) + 77, &[(0, 1 << 20), (2 << 20, (1 << 20) + 77)]),
        ("many holes", 4 << 20, &[(65_536, 4096), (196_608, 8192), (1 << 20, 4096), ((4 << 20) - 4096, 4096)]),
        ("larger than most disks", 1 << 40, &[(1 << 39, 4096)]),
    ];
    for (name, size, runs) in holes {
        let file = File::create(content.join(name)).unwrap();
        file.set_len(size).unwrap();
        for (at, length) in runs {
            file.write_all_at(&noise(*at, *length), *at).unwrap();
        }
        file.sync_all().unwrap();
    }
}

fn links(root: &Path) {
    let links = root.join("links");
    let first = put(&links, "b/first", b"three names");
    fs::create_dir_all(links.join("a")).unwrap();
    fs::hard_link(&first, links.join("a/earlier in order")).unwrap();
    fs::hard_link(&first, links.join("b/beside it")).unwrap();
    let empty = put(&links, "empty", b"");
    fs::hard_link(empty, links.join("a/empty too")).unwrap();
    let long = "../".repeat(600) + "nowhere";
    for (n, target) in ["b/first", "/etc/passwd", "..", "nothing/there", ".", &long].into_iter().enumerate() {
        std::os::unix::fs::symlink(target, links.join(format!("symbolic {n}"))).unwrap();
    }
    std::os::unix::fs::symlink(bytes_as_path(b"\xff\n%41"), links.join("symbolic to bytes")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, links.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o620), 0).unwrap();
}

/// Folders in folders until the path from the root is a fifth longer than the kernel takes in one call.
fn deep(root: &Path) {
    let mut folder = open_root(root);
    for level in 0..20 {
        let name = format!("{level:03}").repeat(82);
        rustix::fs::mkdirat(&folder, &name, Mode::RWXU).unwrap();
        folder = open_folder(folder.as_fd(), name.as_bytes()).unwrap();
    }
    let flags = OFlags::CREATE | OFlags::WRONLY;
    let file = File::from(rustix::fs::openat(&folder, "at the bottom", flags, Mode::RUSR | Mode::WUSR).unwrap());
    file.write_all_at(&noise(77, 2 << 20), 0).unwrap();
    rustix::fs::linkat(&folder, "at the bottom", &folder, "a second name", AtFlags::empty()).unwrap();
    rustix::fs::symlinkat("at the bottom", &folder, "link").unwrap();
}

fn attributes(root: &Path) {
    let place = root.join("attributes");
    let file = put(&place, "file", b"with attributes");
    let folder = place.join("folder");
    put(&folder, "inherits its ACL", b"x");
    for path in [&file, &folder] {
        set(path, b"user.comment", b"binary \0 \xff value");
        set(path, b"user.empty", b"");
        set(path, b"user.long", &noise(5, 2000));
    }
    let read_only = put(&place, "read-only", b"x");
    set(&read_only, b"user.comment", b"on a file that nobody may write");
    acl(&["-m", "u:4711:rw,g:4712:r", file.to_str().unwrap()]);
    acl(&["-m", "u:4711:rwx", "-d", "-m", "u:4711:r,g:4713:rw", folder.to_str().unwrap()]);
    put(&folder, "made under a default ACL", b"x");
    if is_root() {
        let link = place.join("symbolic");
        std::os::unix::fs::symlink("file", &link).unwrap();
        // What only root may set; a container may forbid it even to root, and then there is nothing to bring back.
        let _ = rustix::fs::lsetxattr(&link, "trusted.windlass", b"on a link", XattrFlags::empty());
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let _ = rustix::fs::lsetxattr(&file, "security.capability", &capability, XattrFlags::empty());
    }
}

fn set(path: &Path, name: &[u8], value: &[u8]) {
    let outcome = rustix::fs::lsetxattr(path, name, value, XattrFlags::empty());
    outcome.unwrap_or_else(|error| panic!("the filesystem of {} takes no attributes, which the tests need: {error}", path.display()));
}

fn acl(arguments: &[&str]) {
    let outcome = Command::new("setfacl").args(arguments).output().expect("the tests need the program setfacl");
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "the tests need a filesystem that takes ACLs: {said}");
}

/// Owners first: a change of owner takes set-id bits away.
fn modes(root: &Path) {
    let place = root.join("modes");
    let modes = [0o400, 0o444, 0o640, 0o755, 0o777, 0o4755, 0o2755, 0o6711, 0o1644, 0o4600];
    for mode in modes {
        let file = put(&place, format!("{mode:o}"), format!("{mode:o}").as_bytes());
        own(&file, 0);
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    if is_root() {
        let secret = put(&place, "nobody", b"not even its owner may read it");
        own(&secret, 1000);
        fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
        own(&root.join("links/symbolic 1"), 1);
        own(&root.join("links/pipe"), 2);
    }
    for mode in [0o700, 0o755, 0o1777, 0o2775, 0o500, 0o555] {
        let folder = place.join(format!("folder {mode:o}"));
        put(&folder, "inside", b"x");
        own(&folder, 7);
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    fs::set_permissions(root.join("attributes/read-only"), std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
}

fn own(path: &Path, more: u32) {
    if is_root() {
        let (uid, gid) = (Uid::from_raw(12_345 + more), Gid::from_raw(54_321 + more));
        rustix::fs::chownat(rustix::fs::CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

/// Every name gets a time of its own, folders after what is in them.
fn times(root: &Path) {
    let mut next = 0;
    each(&open_root(root), &mut Vec::new(), &mut |at| {
        next += 1;
        let (seconds, nanoseconds) = match next % 4 {
            0 => (-1, 999_999_999),
            1 => (-1_000_000_000 + next, next * 1_000_003 % 1_000_000_000),
            2 => (next, 1),
            _ => (1_790_000_000 + next, 999_999_000 + next % 1000),
        };
        set_time(at.parent, at.name, seconds, nanoseconds);
    });
    let above = open_root(root.parent().unwrap());
    set_time(above.as_fd(), root.file_name().unwrap().as_bytes(), -86_400 * 365, 123_456_789);
}

/// Sets the time of one name, which is not followed.
pub fn set_time(parent: BorrowedFd<'_>, name: &[u8], seconds: i64, nanoseconds: i64) {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds },
    };
    rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// One name in a folder.
struct At<'a> {
    parent: BorrowedFd<'a>,
    name: &'a [u8],
    path: &'a [u8],
    stat: Stat,
}

fn open_root(path: &Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

fn open_folder(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Calls `visit` with every name below a folder, in the order of names, folders after what is in them.
fn each(folder: &OwnedFd, path: &mut Vec<u8>, visit: &mut dyn FnMut(At<'_>)) {
    let names = Dir::read_from(folder).unwrap().map(|entry| entry.unwrap().file_name().to_owned());
    let mut names: Vec<CString> = names.filter(|name| !matches!(name.to_bytes(), b"." | b"..")).collect();
    names.sort();
    for name in names {
        let length = path.len();
        path.extend_from_slice(if length == 0 { b"" } else { b"/" });
        path.extend_from_slice(name.to_bytes());
        let stat = rustix::fs::statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            each(&open_folder(folder.as_fd(), name.to_bytes()).unwrap(), path, visit);
        }
        visit(At { parent: folder.as_fd(), name: name.to_bytes(), path, stat });
        path.truncate(length);
    }
}

/// Everything that can be seen of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub kind: FileType,
    pub mode: String,
    pub owner: (u32, u32),
    pub mtime: (i64, i64),
    pub size: u64,
    /// Where its data lies, as offset and length.
    pub data: Vec<(u64, u64)>,
    /// Digest of the data.
    pub digest: Option<Digest>,
    pub target: Option<String>,
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Of a file with several names, the first of them.
    pub same_as: Option<String>,
}

/// A whole tree as it is seen: escaped paths with what is there; the root is `.`.
pub type Picture = BTreeMap<String, Seen>;

/// Looks at a whole tree.
pub fn picture(root: &Path) -> Picture {
    let mut picture = Picture::new();
    let mut first = BTreeMap::new();
    each(&open_root(root), &mut Vec::new(), &mut |at| {
        let mut seen = see(at.parent, at.name, &at.stat);
        let path = escape(at.path);
        if at.stat.st_nlink > 1 && seen.kind != FileType::Directory {
            // By the order of the tests, not that of the format: both trees are looked at in the same order.
            seen.same_as = Some(first.entry((at.stat.st_dev, at.stat.st_ino)).or_insert_with(|| path.clone()).clone());
        }
        picture.insert(path, seen);
    });
    let above = open_root(root.parent().unwrap());
    let name = root.file_name().unwrap().as_bytes();
    let stat = rustix::fs::statat(&above, name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    picture.insert(".".into(), see(above.as_fd(), name, &stat));
    picture
}

fn see(parent: BorrowedFd<'_>, name: &[u8], stat: &Stat) -> Seen {
    let kind = FileType::from_raw_mode(stat.st_mode);
    let (mut data, mut digest) = (Vec::new(), None);
    if kind == FileType::RegularFile {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(parent, name, flags, Mode::empty()).unwrap());
        let size = u64::try_from(stat.st_size).unwrap();
        data = extents(&file, size);
        digest = Some(digest_of(&file, &data).unwrap());
    }
    let is_link = kind == FileType::Symlink;
    Seen {
        kind,
        mode: format!("{:o}", stat.st_mode & 0o7777),
        owner: (stat.st_uid, stat.st_gid),
        mtime: (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap()),
        size: if kind == FileType::Directory { 0 } else { u64::try_from(stat.st_size).unwrap() },
        data,
        digest,
        target: is_link.then(|| escape(rustix::fs::readlinkat(parent, name, Vec::new()).unwrap().as_bytes())),
        xattrs: xattrs(parent, name),
        same_as: None,
    }
}

fn extents(file: &File, size: u64) -> Vec<(u64, u64)> {
    let (mut extents, mut offset) = (Vec::new(), 0);
    while offset < size {
        let data = match rustix::fs::seek(file, SeekFrom::Data(offset)) {
            Err(Errno::NXIO) => break,
            found => found.unwrap(),
        };
        offset = rustix::fs::seek(file, SeekFrom::Hole(data)).unwrap();
        extents.push((data, offset - data));
    }
    extents
}

fn digest_of(file: &File, extents: &[(u64, u64)]) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    for &(mut at, length) in extents {
        let end = at + length;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap().min(buffer.len());
            file.read_exact_at(&mut buffer[..wanted], at)?;
            hasher.update(&buffer[..wanted]);
            at += wanted as u64;
        }
    }
    Ok(hasher.finish())
}

fn xattrs(parent: BorrowedFd<'_>, name: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd())).join(bytes_as_path(name));
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(&path, &mut names[..]).unwrap();
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let length = rustix::fs::lgetxattr(&path, name, &mut value[..]).unwrap();
            value.truncate(length);
            (escape(name), value)
        })
        .collect()
}

/// How two trees differ, a line for each name that does; empty when they are the same in everything.
pub fn differences(wanted: &Picture, found: &Picture) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, wanted) in wanted {
        match found.get(path) {
            None => lines.push(format!("{path} is missing")),
            Some(found) if found != wanted => lines.push(format!("{path} was {wanted:?} and is {found:?}")),
            Some(_) => {}
        }
    }
    lines.extend(found.keys().filter(|path| !wanted.contains_key(*path)).map(|path| format!("{path} is there and should not be")));
    lines
}

/// Fails when two trees differ in anything.
pub fn assert_same(wanted: &Picture, found: &Picture) {
    let differences = differences(wanted, found);
    let shown: Vec<&String> = differences.iter().take(10).collect();
    assert!(differences.is_empty(), "{} differences: {shown:#?}", differences.len());
}

#[test]
fn a_comparison_sees_every_kind_of_difference() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("tree");
    fs::create_dir(&root).unwrap();
    fill(&root);
    let before = picture(&root);
    let longest = before.keys().map(String::len).max().unwrap();
    assert!(before.len() > 350 && longest > 4096 && differences(&before, &picture(&root)).is_empty());
    let wants = |path: &str, change: &dyn Fn(&Path)| {
        change(&root.join(path));
        assert!(differences(&before, &picture(&root)).iter().any(|line| line.starts_with(path)), "{path}");
    };
    wants("names/a", &|path| fs::write(path, b"b").unwrap());
    wants("many/file-1", &|path| fs::remove_file(path).unwrap());
    wants("many/file-2", &|path| fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap());
    wants("links/symbolic 2", &|path| set_time(rustix::fs::CWD, path.as_os_str().as_bytes(), 0, 1));
    wants("attributes/file", &|path| rustix::fs::lremovexattr(path, "user.empty").unwrap());
    wants("attributes/folder", &|path| acl(&["-k", path.to_str().unwrap()]));
    wants("content/all hole", &|path| File::options().write(true).open(path).unwrap().write_all_at(&[0; 4096], 8192).unwrap());
    wants("links/b/beside it", &|path| {
        fs::remove_file(path).unwrap();
        fs::write(path, b"three names").unwrap();
    });
}
