//! Fetching: the tree that went in comes out, from whichever place is intact, and half of it is never taken for whole.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use windlass::format::path::RelPath;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::fetch::{Options, Outcome};
use windlass::ops::origin::Origin;
use windlass::ops::{self, Error};

use crate::support::node::Node;
use crate::support::tree::noise;

/// A tree with one of everything, and with files in which small blobs, large ones and holes meet.
fn furnished() -> Node {
    let node = Node::with_folder();
    node.write("empty", b"");
    node.write("docs/a", b"alpha");
    node.write("docs/b", b"beta");
    node.write("docs/deep/er/c", noise(1, 70_000));
    node.write("large", noise(2, 3 << 20));
    node.write("again/large", noise(2, 3 << 20));
    node.write("zz/first", b"linked");
    let tree = node.path("tree");
    fs::create_dir(tree.join("hollow")).unwrap();
    fs::hard_link(tree.join("docs/a"), tree.join("zz/a-link")).unwrap();
    fs::hard_link(tree.join("docs/a"), tree.join("zz/b-link")).unwrap();
    symlink("../docs/a", tree.join("zz/soft")).unwrap();
    symlink("/etc/passwd", tree.join("zz/outside")).unwrap();
    let sparse = fs::File::create(tree.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 8 << 20).unwrap();
    fs::set_permissions(tree.join("docs/b"), fs::Permissions::from_mode(0o440)).unwrap();
    fs::set_permissions(tree.join("docs/deep"), fs::Permissions::from_mode(0o550)).unwrap();
    let old = std::time::UNIX_EPOCH - std::time::Duration::from_nanos(1_500_000_001);
    fs::File::open(tree.join("docs")).unwrap().set_modified(old).unwrap();
    node.init();
    node
}

fn fetch(node: &Node, id: SnapshotId, options: Options) -> Result<Outcome, Error> {
    ops::fetch::run(&node.context(), &format!("tree/{id}").parse().unwrap(), &options)
}

fn from(origins: &[Origin], to: PathBuf) -> Options {
    Options { to, from: origins.to_vec(), ..Default::default() }
}

/// Every path with what can be told of it; names of one file share a letter.
fn listing(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    let mut inodes = Vec::new();
    while let Some(path) = waiting.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_dir() {
            let mut names: Vec<PathBuf> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
            names.sort();
            waiting.extend(names.into_iter().rev());
            "dir".to_owned()
        } else if meta.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else {
            let place = inodes.iter().position(|inode| *inode == meta.ino()).unwrap_or(inodes.len());
            inodes.push(meta.ino());
            format!("{} #{place}", windlass::format::digest::Digest::of(&fs::read(&path).unwrap()))
        };
        let name = path.strip_prefix(root).unwrap().display().to_string();
        found.push(format!("{name} {:o} {}:{} {}.{} {content}", meta.mode(), meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec()));
    }
    found
}

#[test]
fn the_tree_comes_back_from_either_tier() {
    let node = furnished();
    let id = node.backup();
    for origins in [&[Origin::Local][..], &[Origin::Repository], &[]] {
        let to = node.path(format!("to-{}", origins.len()));
        windlass::sys::tree::remove_tree(&to).unwrap();
        let outcome = fetch(&node, id, from(origins, to.clone())).unwrap();
        assert_eq!(listing(&to), listing(&node.path("tree")), "{origins:?}");
        assert_eq!((outcome.files, outcome.bytes), (10, (6 << 20) + (8 << 20) + 3 + 70_000 + 5 + 4 + 6));
        assert_eq!(outcome.downloaded_bytes > 0, origins == [Origin::Repository]);
        assert_eq!(outcome.damage, []);
        assert!(fs::metadata(to.join("sparse")).unwrap().blocks() * 512 < 1 << 20, "the hole stays a hole");
    }
}

#[test]
fn a_folder_that_is_there_is_filled_in_place_and_gets_the_root_s_metadata() {
    let node = furnished();
    let id = node.backup();
    let to = node.path("here");
    fs::create_dir(&to).unwrap();
    let inode = fs::metadata(&to).unwrap().ino();
    fetch(&node, id, from(&[], to.clone())).unwrap();
    assert_eq!(fs::metadata(&to).unwrap().ino(), inode);
    assert_eq!(listing(&to), listing(&node.path("tree")));
    let refused = fetch(&node, id, from(&[], to.clone())).unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
    assert_eq!(listing(&to), listing(&node.path("tree")), "a refused fetch changes nothing");
}

#[test]
fn a_damaged_file_of_the_local_copy_comes_from_the_repository_and_is_named() {
    let node = furnished();
    let id = node.backup();
    let data = node.path(format!("local/tree/{id}/data"));
    let mut bytes = fs::read(data.join("large")).unwrap();
    bytes[2_000_000] ^= 1;
    fs::write(data.join("large"), bytes).unwrap();
    fs::remove_file(data.join("docs/b")).unwrap();
    fs::write(data.join("docs/a"), b"alph").unwrap();
    let to = node.path("to");
    let outcome = fetch(&node, id, from(&[], to.clone())).unwrap();
    assert_eq!(listing(&to), listing(&node.path("tree")));
    let named: Vec<&str> = outcome.damage.iter().map(|damage| damage.object.rsplit_once("/data/").unwrap().1).collect();
    assert_eq!(named, ["docs/a", "docs/b", "large"], "{:?}", outcome.damage);
    // In the local copy alone, the bytes of `large` lie in `again/large` too, and the others nowhere.
    let outcome = fetch(&node, id, from(&[Origin::Local], node.path("other"))).unwrap();
    let lost: Vec<&str> = outcome.lost.iter().map(|lost| lost.path.as_str()).collect();
    assert_eq!((lost, outcome.lost_files), (vec!["docs/a", "docs/b", "zz/a-link", "zz/b-link"], 4));
    assert_eq!(outcome.files, 6);
    let gone = ["docs/a ", "docs/b ", "zz/a-link ", "zz/b-link "];
    let rest = |root: &Path| -> Vec<String> {
        let lines = listing(root).into_iter().filter(|line| !gone.iter().any(|path| line.starts_with(path)));
        lines.map(|line| line.split('#').next().unwrap().to_owned()).collect()
    };
    assert_eq!(rest(&node.path("other")), rest(&node.path("tree")));
    let only = Options { paths: vec![RelPath::from_escaped("docs/a").unwrap()], ..from(&[Origin::Local], node.path("one")) };
    let error = fetch(&node, id, only).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("docs/a"), "{error}");
    assert!(!node.path("one").exists(), "nothing is left of a fetch that had nothing to give");
    assert!(!fs::read_dir(node.temp.path()).unwrap().any(|e| e.unwrap().file_name().to_string_lossy().contains("partial")));
}

#[test]
fn a_damaged_pack_is_named_and_another_place_stands_in_for_it() {
    let node = furnished();
    let id = node.backup();
    for pack in packs(&node) {
        let mut bytes = fs::read(&pack).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&pack, bytes).unwrap();
    }
    let empty = node.path("empty");
    fs::create_dir(&empty).unwrap();
    let outcome = fetch(&node, id, from(&[Origin::Repository], empty.clone())).unwrap();
    let lost: Vec<&str> = outcome.lost.iter().map(|lost| lost.path.as_str()).collect();
    assert_eq!(lost, ["again/large", "large"]);
    assert!(outcome.lost[0].object.contains("/packs/"), "{:?}", outcome.lost);
    assert!(!empty.join("large").exists() && fs::read(empty.join("zz/b-link")).unwrap() == b"alpha");
    let to = node.path("to");
    let outcome = fetch(&node, id, from(&[Origin::Repository, Origin::Local], to.clone())).unwrap();
    assert_eq!(listing(&to), listing(&node.path("tree")));
    assert!(outcome.damage.iter().any(|damage| damage.object.contains("/packs/")), "{:?}", outcome.damage);
}

#[test]
fn missing_and_short_packs_and_lists_are_damage_and_leave_nothing_wrong_behind() {
    let node = furnished();
    let id = node.backup();
    for object in packs(&node).into_iter().chain(objects(&node, "files")) {
        if object.to_string_lossy().ends_with(".packs.jsonl") {
            continue;
        }
        let whole = fs::read(&object).unwrap();
        for short in [None, Some(0), Some(whole.len() / 3)] {
            match short {
                None => fs::remove_file(&object).unwrap(),
                Some(length) => fs::write(&object, &whole[..length]).unwrap(),
            }
            match fetch(&node, id, from(&[Origin::Repository], node.path("to"))) {
                Err(error) => {
                    assert!(error.is_damage(), "{}: {error}", object.display());
                    assert!(!node.path("to").exists());
                }
                // What only the facts need is not missed.
                Ok(outcome) => {
                    assert!(outcome.lost_files == 0 || object.starts_with(node.path("bucket/node-1/packs")), "{}", object.display());
                    assert!(outcome.lost.iter().all(|lost| !node.path("to").join(&lost.path).exists()), "{:?}", outcome.lost);
                    windlass::sys::tree::remove_tree(&node.path("to")).unwrap();
                }
            }
            fs::write(&object, &whole).unwrap();
        }
    }
}

fn packs(node: &Node) -> Vec<PathBuf> {
    objects(node, "packs")
}

fn objects(node: &Node, folder: &str) -> Vec<PathBuf> {
    let shards = fs::read_dir(node.path("bucket/node-1").join(folder)).unwrap();
    shards.flat_map(|shard| fs::read_dir(shard.unwrap().path()).unwrap()).map(|object| object.unwrap().path()).collect()
}

#[test]
fn selected_paths_come_with_their_parents_and_links_that_lead_out_become_files() {
    let node = furnished();
    let id = node.backup();
    let path = |text: &str| RelPath::from_escaped(text).unwrap();
    for origin in [Origin::Local, Origin::Repository] {
        let to = node.path("to");
        let options = Options { paths: vec![path("zz"), path("docs/deep/er/c")], ..from(&[origin], to.clone()) };
        let outcome = fetch(&node, id, options).unwrap();
        let names: Vec<String> = listing(&to).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        let expected = [
            "",
            "docs",
            "docs/deep",
            "docs/deep/er",
            "docs/deep/er/c",
            "zz",
            "zz/a-link",
            "zz/b-link",
            "zz/first",
            "zz/outside",
            "zz/soft",
        ];
        assert_eq!(names, expected);
        assert_eq!(fs::read(to.join("zz/a-link")).unwrap(), b"alpha");
        assert_eq!(fs::metadata(to.join("zz/a-link")).unwrap().ino(), fs::metadata(to.join("zz/b-link")).unwrap().ino());
        assert_eq!(fs::read(to.join("docs/deep/er/c")).unwrap(), noise(1, 70_000));
        assert_eq!(outcome.files, 4);
        fs::set_permissions(to.join("docs/deep"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::remove_dir_all(&to).unwrap();
    }
    let options = Options { paths: vec![path("zz/nothing")], ..from(&[], node.path("to")) };
    let error = fetch(&node, id, options).unwrap_err();
    assert!(matches!(&error, Error::Absent(what) if what.contains("zz/nothing")), "{error}");
}

#[test]
fn a_dry_run_counts_and_makes_nothing() {
    let node = furnished();
    let id = node.backup();
    let options = Options { dry_run: true, ..from(&[Origin::Repository], node.path("to")) };
    let dry = fetch(&node, id, options).unwrap();
    assert!(!node.path("to").exists());
    let real = fetch(&node, id, from(&[Origin::Repository], node.path("to"))).unwrap();
    assert_eq!((dry.files, dry.bytes), (real.files, real.bytes));
    assert!(dry.downloaded_bytes.abs_diff(real.downloaded_bytes) < 4096, "{} {}", dry.downloaded_bytes, real.downloaded_bytes);
}

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_is_made() {
    let mut node = furnished();
    let id = node.backup();
    node.space = std::sync::Arc::new(crate::support::node::Disk { folder: node.path("nothing"), whole: 1 << 20 });
    let error = fetch(&node, id, from(&[], node.path("to"))).unwrap_err();
    assert!(matches!(&error, Error::Refused(what) if what.contains("1.0 MiB free")), "{error}");
    assert!(!node.path("to").exists());
}

#[test]
fn a_stopped_fetch_leaves_nothing() {
    let node = furnished();
    let id = node.backup();
    node.stop.request(2);
    let error = fetch(&node, id, from(&[Origin::Local], node.path("to"))).unwrap_err();
    assert!(error.is_stopped(), "{error}");
    assert!(!node.path("to").exists());
}
