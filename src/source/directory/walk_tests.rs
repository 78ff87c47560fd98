use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use rustix::fs::{CWD, Mode, Timespec, Timestamps, XattrFlags};

use super::*;
use crate::format::entry::{Time, Xattr};

fn walk(root: &Path, exclude: &[&str], cross_filesystems: bool) -> (BTreeMap<String, Entry>, Vec<Problem>) {
    let work = tempfile::tempdir().unwrap();
    let exclude = super::super::Exclude::new(&exclude.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap();
    let directory = Directory { root: root.to_owned(), exclude, cross_filesystems };
    let mut walk = Walk::new(&directory, work.path(), &Stop::new()).unwrap();
    let (mut entries, mut problems, mut last) = (BTreeMap::new(), Vec::new(), None);
    while let Some(found) = walk.next().unwrap() {
        match found {
            Found::Problem(problem) => problems.push(problem),
            Found::Entry(FoundEntry { entry, .. }) => {
                assert!(last.as_ref() < Some(&entry.path), "{} after {last:?}", entry.path);
                last = Some(entry.path.clone());
                entries.insert(entry.path.to_escaped(), entry);
            }
        }
    }
    (entries, problems)
}

fn tree() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    fs::create_dir(&root).unwrap();
    (place, root)
}

#[test]
fn everything_is_met_once_in_the_order_of_the_file_lists() {
    let (_place, root) = tree();
    let long = "n".repeat(255);
    for folder in ["a", "a/b", "a.b", "a-b", "empty"] {
        fs::create_dir(root.join(folder)).unwrap();
    }
    for file in ["a/b/c", "a/z", "a.b/c", "a0", &long] {
        fs::write(root.join(file), file).unwrap();
    }
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"\xff\n%")), b"odd").unwrap();
    symlink("/nowhere/\u{e9}", root.join("a/link")).unwrap();
    rustix::fs::mkfifoat(CWD, root.join("pipe"), Mode::RWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let (entries, problems) = walk(&root, &[], false);
    let names: Vec<&str> = entries.keys().map(String::as_str).collect();
    assert_eq!(names, ["", "%FF%0A%25", "a", "a-b", "a.b", "a.b/c", "a/b", "a/b/c", "a/link", "a/z", "a0", "empty", &long, "pipe"]);
    assert_eq!(problems, []);
    assert_eq!(entries["a/link"].target.as_deref(), Some("/nowhere/\u{e9}".as_bytes()));
    assert_eq!((entries["pipe"].kind, entries["a0"].kind, entries["empty"].kind), (Kind::Fifo, Kind::File, Kind::Directory));
}

#[test]
fn metadata_is_kept_to_the_last_bit() {
    let (_place, root) = tree();
    let path = root.join("f");
    fs::write(&path, b"12345").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o6751)).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o1777)).unwrap();
    rustix::fs::setxattr(&root, "user.note", b"\x00\xff", XattrFlags::empty()).unwrap();
    let time = Timespec { tv_sec: -2, tv_nsec: 999_999_999 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, &path, &times, rustix::fs::AtFlags::empty()).unwrap();
    let (entries, _) = walk(&root, &[], false);
    let (entry, found) = (&entries["f"], fs::metadata(&path).unwrap());
    assert_eq!((entry.mode, entry.size, entry.uid, entry.gid), (0o6751, 5, found.uid(), found.gid()));
    assert_eq!(entry.mtime, Time { seconds: -2, nanoseconds: 999_999_999 });
    let identity = entry.identity.unwrap();
    assert_eq!((identity.device, identity.inode, identity.trusted), (found.dev(), found.ino(), false));
    if found.uid() == 0 {
        assert_eq!((entry.user.as_deref(), entry.group.as_deref()), (Some("root"), Some("root")));
    }
    assert_eq!(entries[""].mode, 0o1777);
    assert_eq!(entries[""].xattrs, [Xattr { name: b"user.note".to_vec(), value: b"\x00\xff".to_vec() }]);
}

#[test]
fn the_first_name_in_path_order_is_the_file_and_the_others_are_links_to_it() {
    let (_place, root) = tree();
    fs::create_dir(root.join("d")).unwrap();
    fs::write(root.join("z"), b"x").unwrap();
    for name in ["d/a", "b"] {
        fs::hard_link(root.join("z"), root.join(name)).unwrap();
    }
    let (entries, _) = walk(&root, &[], false);
    assert_eq!((entries["b"].kind, &entries["b"].link), (Kind::File, &None));
    for name in ["d/a", "z"] {
        assert_eq!((entries[name].kind, entries[name].link.as_ref().unwrap().as_bytes()), (Kind::HardLink, &b"b"[..]));
    }
    // The first name is one that is in the snapshot.
    let (entries, _) = walk(&root, &["/b"], false);
    assert_eq!((entries["d/a"].kind, entries["z"].kind), (Kind::File, Kind::HardLink));
}

#[test]
fn a_tree_deeper_than_a_path_may_be_long_is_walked() {
    let (_place, root) = tree();
    let folder = Folder::open(&root).unwrap();
    let mut path = Vec::new();
    for depth in 0..60 {
        if depth > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(&[b'd'; 120]);
        folder.make_directory(&path, 0o700).unwrap();
    }
    path.extend_from_slice(b"/leaf");
    folder.create_file(&path, 0o600).unwrap();
    let (entries, problems) = walk(&root, &[], false);
    assert_eq!((entries.len(), problems.len()), (62, 0));
    assert_eq!(entries[std::str::from_utf8(&path).unwrap()].kind, Kind::File);
}

#[test]
fn what_is_excluded_is_not_entered_and_the_restores_own_names_never() {
    let (_place, root) = tree();
    for folder in ["cache", "x", "x/cache", ".windlass-undo", "x/.windlass-undo"] {
        fs::create_dir(root.join(folder)).unwrap();
        fs::write(root.join(folder).join("f"), b"").unwrap();
    }
    fs::write(root.join("x/a.tmp"), b"").unwrap();
    let (entries, _) = walk(&root, &["cache/", "*.tmp"], false);
    let names: Vec<&str> = entries.keys().map(String::as_str).collect();
    assert_eq!(names, ["", "x", "x/.windlass-undo", "x/.windlass-undo/f", "x/f"]);
}

#[test]
fn a_root_that_is_missing_or_not_a_directory_is_an_error_and_never_an_empty_snapshot() {
    let (place, root) = tree();
    fs::write(root.join("f"), b"").unwrap();
    let start = |root: PathBuf| {
        Walk::new(&Directory { root, exclude: Default::default(), cross_filesystems: false }, place.path(), &Stop::new()).map(|_| ())
    };
    assert!(matches!(start(root.join("gone")), Err(Error::NotThere { .. })));
    assert!(matches!(start(root.join("f/x")), Err(Error::NotThere { .. })));
    assert!(matches!(start(root.join("f")), Err(Error::WrongKind { .. })));
    symlink(&root, place.path().join("link")).unwrap();
    start(place.path().join("link")).unwrap();
}

#[test]
fn devices_are_reported_and_what_is_mounted_inside_is_an_empty_directory() {
    let shm = Path::new("/dev/shm");
    if !fs::metadata(shm).is_ok_and(|shm| shm.dev() != fs::metadata("/dev").unwrap().dev()) {
        return;
    }
    let inside = tempfile::Builder::new().prefix("windlass-test").tempdir_in(shm).unwrap();
    let name = format!("shm/{}", inside.path().file_name().unwrap().to_str().unwrap());
    let (entries, problems) = walk(Path::new("/dev"), &[], false);
    assert!(problems.iter().any(|problem| problem.kind == Problem::SPECIAL && problem.path.as_bytes() == b"null"));
    assert_eq!(entries["shm"].kind, Kind::Directory);
    assert!(!entries.contains_key(&name));
    assert!(walk(Path::new("/dev"), &["pts", "mqueue", "hugepages"], true).0.contains_key(&name));
}

#[test]
fn a_walk_stops_when_asked() {
    let (place, root) = tree();
    let stop = Stop::new();
    let directory = Directory { root, exclude: Default::default(), cross_filesystems: false };
    let mut walk = Walk::new(&directory, place.path(), &stop).unwrap();
    walk.next().unwrap();
    stop.request(15);
    assert!(matches!(walk.next(), Err(Error::Stopped(_))));
}
