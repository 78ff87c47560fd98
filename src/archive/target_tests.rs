use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;
use crate::format::entry::{Time, Xattr};

/// A folder with `in/` as the target and things beside it that must never be touched.
struct Place {
    folder: tempfile::TempDir,
    target: Target,
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn path(text: &str) -> RelPath {
    RelPath::from_escaped(text).unwrap()
}

fn entry(at: &str, kind: Kind, mode: u32) -> Entry {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Entry { mode, uid, gid, mtime: Time { seconds: 1_000_000_000, nanoseconds: 5 }, ..Entry::new(path(at), kind) }
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::create_dir(folder.path().join("out")).unwrap();
        std::fs::write(folder.path().join("out/file"), b"untouched").unwrap();
        let target = Target::new(&folder.path().join("in"), is_root()).unwrap();
        Self { folder, target }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("in").join(path)
    }

    fn file(&self, entry: &Entry, bytes: &[u8]) {
        self.target.begin(entry).unwrap();
        self.target.write(&entry.path, 0, bytes).unwrap();
        self.target.finish(entry).unwrap();
    }

    fn meta(&self, path: &str) -> std::fs::Metadata {
        std::fs::symlink_metadata(self.at(path)).unwrap()
    }
}

#[test]
fn a_tree_comes_back_with_its_metadata() {
    let place = Place::new();
    let target = &place.target;
    let mut root = entry("", Kind::Directory, 0o755);
    root.mtime = Time { seconds: 86_400, nanoseconds: 1 };
    let mut folder = entry("folder", Kind::Directory, 0o1555);
    folder.mtime = Time { seconds: -1, nanoseconds: 999_999_999 };
    let mut file = entry("folder/file", Kind::File, 0o640);
    file.size = 5;
    file.mtime = Time { seconds: -86_401, nanoseconds: 123_456_789 };
    file.xattrs = vec![Xattr { name: b"user.comment".to_vec(), value: b"\0\xff".to_vec() }];
    let mut link = entry("folder/link", Kind::Symlink, 0o777);
    link.target = Some(b"/nowhere/\xff".to_vec());
    link.mtime = Time { seconds: 7, nanoseconds: 8 };
    let mut hard = entry("folder/name", Kind::HardLink, 0o640);
    hard.link = Some(path("folder/file"));
    let fifo = entry("folder/pipe", Kind::Fifo, 0o604);
    let all = [&root, &folder, &file, &link, &hard, &fifo];
    all.iter().for_each(|entry| target.begin(entry).unwrap());
    target.write(&file.path, 0, b"hello").unwrap();
    all.iter().for_each(|entry| target.link(entry).unwrap());
    all.iter().for_each(|entry| target.finish(entry).unwrap());
    all.iter().rev().for_each(|entry| target.finish_directory(entry).unwrap());
    target.sync().unwrap();

    assert_eq!(std::fs::read(place.at("folder/name")).unwrap(), b"hello");
    assert_eq!(std::fs::read_link(place.at("folder/link")).unwrap().as_os_str().as_encoded_bytes(), b"/nowhere/\xff");
    assert_eq!(place.meta("folder/file").ino(), place.meta("folder/name").ino());
    assert!(place.meta("folder/pipe").file_type().is_fifo());
    for (at, entry) in [("", &root), ("folder", &folder), ("folder/file", &file), ("folder/link", &link), ("folder/pipe", &fifo)] {
        let meta = place.meta(at);
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (entry.mtime.seconds, i64::from(entry.mtime.nanoseconds)), "{at}");
        if entry.kind != Kind::Symlink {
            assert_eq!(meta.permissions().mode() & 0o7777, entry.mode, "{at}");
        }
    }
    let mut value = [0; 10];
    let length = rustix::fs::lgetxattr(place.at("folder/file"), "user.comment", &mut value).unwrap();
    assert_eq!(&value[..length], b"\0\xff");
    assert_eq!((target.notes(), target.note_count()), (Vec::new(), 0));
}

#[test]
fn nothing_is_made_or_written_through_a_symbolic_link() {
    let place = Place::new();
    symlink("../out", place.at("up")).unwrap();
    symlink("../out/file", place.at("leaf")).unwrap();
    let mut hard = entry("hard", Kind::HardLink, 0o600);
    hard.link = Some(path("up/file"));
    for kind in [Kind::File, Kind::Directory, Kind::Fifo] {
        assert!(place.target.begin(&entry("up/new", kind, 0o600)).is_err());
        assert!(place.target.begin(&entry("leaf", kind, 0o600)).is_err());
    }
    assert!(place.target.write(&path("up/file"), 0, b"x").is_err());
    assert!(place.target.write(&path("leaf"), 0, b"x").is_err());
    assert!(place.target.link(&hard).is_err());
    assert!(place.target.finish(&entry("leaf", Kind::File, 0o777)).is_err());
    assert!(place.target.finish(&entry("up/file", Kind::File, 0o777)).is_err());
    assert!(place.target.finish_directory(&entry("up", Kind::Directory, 0o777)).is_err());
    let out = place.folder.path().join("out");
    assert_eq!(std::fs::read(out.join("file")).unwrap(), b"untouched");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
    assert_ne!(std::fs::metadata(out.join("file")).unwrap().permissions().mode() & 0o777, 0o777);
}

#[test]
fn a_symbolic_link_of_the_snapshot_itself_leads_nowhere() {
    let place = Place::new();
    let mut link = entry("a", Kind::Symlink, 0o777);
    link.target = Some(b"../out".to_vec());
    place.target.begin(&link).unwrap();
    place.target.finish(&link).unwrap();
    assert!(place.target.begin(&entry("a/evil", Kind::File, 0o600)).is_err());
    let mut hard = entry("b", Kind::HardLink, 0o777);
    hard.link = Some(path("a"));
    place.target.link(&hard).unwrap();
    assert!(place.meta("b").is_symlink(), "the link itself is linked, not what it points to");
}

#[test]
fn names_that_are_taken_are_refused_and_left_alone() {
    let place = Place::new();
    std::fs::write(place.at("file"), b"mine").unwrap();
    std::fs::create_dir(place.at("folder")).unwrap();
    for at in ["file", "folder"] {
        for kind in [Kind::File, Kind::Directory, Kind::Symlink, Kind::Fifo] {
            let entry = Entry { size: 3, target: Some(b"x".to_vec()), ..entry(at, kind, 0o600) };
            assert!(place.target.begin(&entry).is_err(), "{at} {kind:?}");
        }
        let hard = Entry { link: Some(path("file")), ..entry(at, Kind::HardLink, 0o600) };
        assert!(place.target.link(&hard).is_err());
    }
    assert_eq!(std::fs::read(place.at("file")).unwrap(), b"mine");
}

#[test]
fn a_file_that_has_another_name_or_is_no_file_is_not_written_to() {
    let place = Place::new();
    std::fs::hard_link(place.folder.path().join("out/file"), place.at("file")).unwrap();
    assert!(place.target.write(&path("file"), 0, b"x").is_err());
    place.target.begin(&entry("pipe", Kind::Fifo, 0o600)).unwrap();
    assert!(place.target.write(&path("pipe"), 0, b"x").is_err());
    assert_eq!(std::fs::read(place.at("file")).unwrap(), b"untouched");
}

#[test]
fn holes_stay_holes() {
    let place = Place::new();
    let mut file = entry("sparse", Kind::File, 0o600);
    file.size = 1 << 30;
    place.target.begin(&file).unwrap();
    place.target.write(&file.path, 512 << 20, b"in the middle").unwrap();
    place.target.finish(&file).unwrap();
    let meta = place.meta("sparse");
    assert_eq!(meta.len(), 1 << 30);
    assert!(meta.blocks() < 100, "{} blocks", meta.blocks());
}

#[test]
fn more_files_than_are_kept_open_can_be_written_in_turns() {
    let place = Place::new();
    let files: Vec<Entry> = (0..100).map(|number| Entry { size: 2, ..entry(&format!("f{number}"), Kind::File, 0o400) }).collect();
    files.iter().for_each(|file| place.target.begin(file).unwrap());
    for (offset, byte) in [(1, b"b"), (0, b"a")] {
        files.iter().for_each(|file| place.target.write(&file.path, offset, byte).unwrap());
    }
    files.iter().for_each(|file| place.target.finish(file).unwrap());
    for number in 0..100 {
        assert_eq!(std::fs::read(place.at(&format!("f{number}"))).unwrap(), b"ab");
    }
}

#[test]
fn what_the_file_system_cannot_take_is_noted() {
    let place = Place::new();
    let mut file = entry("file", Kind::File, 0o600);
    file.xattrs = vec![Xattr { name: b"nosuchspace.x".to_vec(), value: b"1".to_vec() }];
    file.mtime = Time { seconds: 1 << 60, nanoseconds: 0 };
    place.file(&file, b"");
    assert_eq!(place.target.note_count(), 2, "{:?}", place.target.notes());
    assert!(place.target.notes()[0].contains("nosuchspace.x"));
}

#[test]
fn set_id_bits_are_withheld_where_the_owner_is_another() {
    let place = Place::new();
    let target = Target::new(&place.at(""), false).unwrap();
    let mut file = entry("program", Kind::File, 0o6755);
    file.uid += 1;
    target.begin(&file).unwrap();
    target.finish(&file).unwrap();
    assert_eq!(place.meta("program").permissions().mode() & 0o7777, 0o755);
    assert_eq!(target.note_count(), 2);
}

#[test]
fn owners_come_before_set_id_bits() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let file = Entry { uid: 1234, gid: 5678, ..entry("program", Kind::File, 0o6751) };
    let link = Entry { uid: 1234, gid: 5678, target: Some(b"../out/file".to_vec()), ..entry("link", Kind::Symlink, 0o777) };
    let nobody = Entry { uid: u32::MAX, ..entry("nobody", Kind::File, 0o4700) };
    place.file(&file, b"");
    place.file(&nobody, b"");
    place.target.begin(&link).unwrap();
    place.target.finish(&link).unwrap();
    let meta = place.meta("program");
    assert_eq!((meta.uid(), meta.gid(), meta.permissions().mode() & 0o7777), (1234, 5678, 0o6751));
    assert_eq!((place.meta("link").uid(), place.meta("link").gid()), (1234, 5678));
    assert_eq!(std::fs::metadata(place.folder.path().join("out/file")).unwrap().uid(), 0);
    assert_eq!(place.meta("nobody").permissions().mode() & 0o7777, 0o700);
}

/// An ACL as Linux stores it: owner rw, user 1234 r, group r, mask r, others nothing.
fn acl() -> Vec<u8> {
    let mut value = 2u32.to_le_bytes().to_vec();
    for (tag, rights, id) in [(0x01u16, 6u16, u32::MAX), (0x02, 4, 1234), (0x04, 4, u32::MAX), (0x10, 4, u32::MAX), (0x20, 0, u32::MAX)] {
        value.extend_from_slice(&tag.to_le_bytes());
        value.extend_from_slice(&rights.to_le_bytes());
        value.extend_from_slice(&id.to_le_bytes());
    }
    value
}

#[test]
fn acls_come_back_and_those_of_the_target_are_not_inherited() {
    let place = Place::new();
    let folder = rustix::fs::open(place.at(""), rustix::fs::OFlags::RDONLY, Mode::empty()).unwrap();
    if rustix::fs::fsetxattr(&folder, "system.posix_acl_default", &acl(), rustix::fs::XattrFlags::empty()).is_err() {
        return;
    }
    let target = Target::new(&place.at(""), false).unwrap();
    let with =
        Entry { xattrs: vec![Xattr { name: b"system.posix_acl_access".to_vec(), value: acl() }], ..entry("with", Kind::File, 0o640) };
    let without = entry("without", Kind::File, 0o666);
    for file in [&with, &without] {
        target.begin(file).unwrap();
        target.finish(file).unwrap();
    }
    let read = |path: &str| {
        let mut value = [0; 100];
        rustix::fs::lgetxattr(place.at(path), "system.posix_acl_access", &mut value).map(|length| value[..length].to_vec())
    };
    assert_eq!(read("with").unwrap(), acl());
    assert!(read("without").is_err());
    assert_eq!(place.meta("without").permissions().mode() & 0o777, 0o666);
    assert_eq!((target.notes(), target.note_count()), (Vec::new(), 0));
}

#[test]
fn a_target_that_is_not_there_is_an_error() {
    assert!(Target::new(Path::new("/nonexistent/folder"), false).is_err());
}
