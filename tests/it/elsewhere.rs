//! Bytes that are unreadable where they should lie are taken from wherever else they lie sound; the rest is handed out all the same.

use std::fs;
use std::path::{Path, PathBuf};

use windlass::format::check::Level;
use windlass::format::path::RelPath;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::origin::Origin;
use windlass::ops::spec::SourceKind;
use windlass::ops::{self, Error};

use crate::support::listing::{Listing, assert_same};
use crate::support::node::{Node, spec};
use crate::support::tree::noise;

/// A node with a few files, small ones and one of several blobs, and an empty repository.
fn node() -> Node {
    let node = Node::with_folder();
    node.write("a/small", b"alpha");
    node.write("a/other", b"beta");
    node.write("large", noise(1, 5 << 20));
    node.init();
    node
}

fn packs(node: &Node) -> Vec<PathBuf> {
    node.objects("node-1/packs/").iter().map(|key| node.path("bucket").join(key)).collect()
}

/// Puts other bytes in the middle of every frame, however small.
fn spoil(path: &Path) {
    let bytes: Vec<u8> = fs::read(path).unwrap().iter().map(|byte| byte ^ 0x5A).collect();
    fs::write(path, bytes).unwrap();
}

fn lose_copy(node: &Node, source: &str, id: SnapshotId) {
    fs::remove_dir_all(node.path(format!("local/{source}/{id}"))).unwrap();
}

fn fetch(node: &Node, id: SnapshotId, from: &[Origin]) -> Result<(PathBuf, ops::fetch::Outcome), Error> {
    let to = node.path("to");
    windlass::sys::tree::remove_tree(&to).unwrap();
    let options = ops::fetch::Options { to: to.clone(), from: from.to_vec(), ..Default::default() };
    let outcome = ops::fetch::run(&node.context(), &format!("tree/{id}").parse().unwrap(), &options)?;
    Ok((to, outcome))
}

fn verify(node: &Node) {
    ops::verify::run(&node.context(), &ops::verify::Options { level: Level::Full, snapshots: Vec::new(), node: None }).unwrap();
}

/// Restores without asking.
fn restore(node: &Node, id: SnapshotId) -> Result<ops::restore::Outcome, Error> {
    let ctx = node.context();
    let plan = ops::restore::plan(&ctx, &format!("tree/{id}").parse().unwrap(), &ops::restore::Options::default())?;
    ops::restore::run(&ctx, &plan, None)
}

fn cat(node: &Node, id: SnapshotId, path: &str) -> (Vec<u8>, Result<(), Error>) {
    let mut out = Vec::new();
    let path = RelPath::from_escaped(path).unwrap();
    let outcome = ops::cat::run(&node.context(), &format!("tree/{id}").parse().unwrap(), None, &path, &mut out).map(drop);
    (out, outcome)
}

#[test]
fn bytes_of_a_bad_pack_come_from_a_local_copy_of_another_snapshot() {
    let node = node();
    let first = node.backup();
    let tree = Listing::of(&node.path("tree"));
    node.write("later", b"later");
    // Under another name, so that only its digest leads there.
    fs::rename(node.path("tree/large"), node.path("tree/moved")).unwrap();
    let second = node.backup();
    lose_copy(&node, "tree", first);
    packs(&node).iter().for_each(|pack| spoil(pack));
    let (to, outcome) = fetch(&node, first, &[]).unwrap();
    assert_same(&tree, &Listing::of(&to));
    assert!(outcome.damage.iter().any(|damage| damage.object.contains("/packs/")), "{:?}", outcome.damage);
    assert!((outcome.lost.len(), outcome.lost_files) == (0, 0) && outcome.elsewhere.len() == 1, "{outcome:?}");
    assert!(outcome.elsewhere[0].place.ends_with(&second.to_string()) && outcome.elsewhere[0].blobs > 2, "{outcome:?}");
    assert!(cat(&node, first, "large").0 == noise(1, 5 << 20));
    let restored = restore(&node, first).unwrap();
    assert!(restored.damage.iter().any(|damage| damage.object.contains("/packs/")), "{:?}", restored.damage);
    assert_same(&tree, &Listing::of(&node.path("tree")));
}

#[test]
fn bytes_of_a_bad_pack_come_from_another_source_s_pack() {
    let mut node = node();
    fs::hard_link(node.path("tree/large"), node.path("tree/z-link")).unwrap();
    let kind = SourceKind::Directory { path: node.path("tree"), exclude: Vec::new(), cross_filesystems: false };
    node.sources.push(spec("twin", kind));
    let first = node.backup();
    let own = packs(&node);
    ops::backup::run(&node.context(), &"twin".parse().unwrap(), &ops::backup::Options::default()).unwrap();
    fs::remove_dir_all(node.path("local")).unwrap();
    fs::remove_file(&own[0]).unwrap();
    own[1..].iter().for_each(|pack| spoil(pack));
    let (to, outcome) = fetch(&node, first, &[Origin::Repository]).unwrap();
    assert_same(&Listing::of(&node.path("tree")), &Listing::of(&to));
    assert!(outcome.elsewhere.iter().all(|place| place.place.starts_with("node-1/packs/")), "{outcome:?}");
    for name in ["large", "z-link"] {
        let (out, ended) = cat(&node, first, name);
        ended.unwrap();
        assert!(out == noise(1, 5 << 20), "{name}");
    }
    assert_eq!(fs::read_dir(node.path("local/.windlass/work")).unwrap().count(), 0, "temporary files are gone");
}

#[test]
fn bytes_of_a_bad_pack_come_from_where_a_later_backup_has_stored_them_anew() {
    let node = node();
    let first = node.backup();
    packs(&node).iter().for_each(|pack| spoil(pack));
    verify(&node);
    let second = node.backup();
    fs::remove_dir_all(node.path("local")).unwrap();
    let (to, _) = fetch(&node, first, &[]).unwrap();
    assert_same(&Listing::of(&node.path("tree")), &Listing::of(&to));
    let (_, sound) = fetch(&node, second, &[]).unwrap();
    assert_eq!(sound.damage, []);
}

#[test]
fn a_rotten_copy_that_was_never_shipped_is_completed_from_older_packs() {
    let node = node();
    let first = node.backup();
    node.write("later", b"later");
    let second = node.snapshot();
    lose_copy(&node, "tree", first);
    spoil(&node.path(format!("local/tree/{second}/data/large")));
    let (to, _) = fetch(&node, second, &[]).unwrap();
    assert_same(&Listing::of(&node.path("tree")), &Listing::of(&to));
    assert!(cat(&node, second, "large").0 == noise(1, 5 << 20));
}

#[test]
fn what_lies_nowhere_is_named_and_the_rest_is_handed_out() {
    let node = node();
    fs::hard_link(node.path("tree/large"), node.path("tree/z-link")).unwrap();
    let first = node.backup();
    let of_first = packs(&node);
    node.write("later", b"later");
    let second = node.backup();
    let tree = Listing::of(&node.path("tree"));
    fs::remove_dir_all(node.path("local")).unwrap();
    of_first.iter().for_each(|pack| spoil(pack));
    let (to, outcome) = fetch(&node, second, &[]).unwrap();
    assert_eq!(fs::read(to.join("later")).unwrap(), b"later");
    let named: Vec<&str> = outcome.lost.iter().map(|lost| lost.path.as_str()).collect();
    assert_eq!((named, outcome.lost_files), (vec!["a/other", "a/small", "large", "z-link"], 4));
    assert!(outcome.lost.iter().all(|lost| lost.object.contains("/packs/") && !lost.problem.is_empty()), "{:?}", outcome.lost);
    assert_eq!((outcome.files, outcome.bytes), (1, 5));
    for name in ["large", "z-link", "a/small", "a/other"] {
        assert!(fs::symlink_metadata(to.join(name)).is_err(), "{name}");
    }
    // The live files are sound, and would do; so one of them has to go first.
    fs::remove_file(node.path("tree/a/small")).unwrap();
    let tree = tree.without_paths(&["a/small".into()]).without(&["mtime"]);
    let error = restore(&node, second).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("/packs/"), "{error}");
    let beside: Vec<_> = fs::read_dir(node.temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!beside.iter().any(|name| name.to_string_lossy().contains("windlass-")), "{beside:?}");
    assert_same(&tree, &Listing::of(&node.path("tree")).without(&["mtime"]));
    // Where nothing at all can be given, it is a failure, and nothing is left.
    let error = fetch(&node, first, &[]).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("/packs/"), "{error}");
    assert!(!node.path("to").exists());
    let (out, ended) = cat(&node, second, "large");
    assert!(ended.unwrap_err().is_damage() && out.is_empty());
}

#[test]
fn cat_gives_what_comes_before_the_first_byte_that_it_cannot_give() {
    let node = node();
    let id = node.backup();
    fs::remove_dir_all(node.path("local")).unwrap();
    for pack in packs(&node) {
        let mut bytes = fs::read(&pack).unwrap();
        // The frame that the file begins in stays as it is.
        let sound = bytes.len().min(9 << 19);
        bytes[sound..].iter_mut().for_each(|byte| *byte ^= 0x5A);
        fs::write(&pack, bytes).unwrap();
    }
    let (out, ended) = cat(&node, id, "large");
    assert!(ended.unwrap_err().is_damage());
    assert!(out.len() >= 1 << 20 && out.len() < 5 << 20 && noise(1, 5 << 20).starts_with(&out), "{}", out.len());
}

#[test]
fn a_missing_file_list_is_refused_unless_the_local_copy_tells_the_same() {
    let node = node();
    let first = node.backup();
    spoil(&node.path(format!("local/tree/{first}/data/large")));
    for list in node.objects("node-1/files/").iter().filter(|key| key.ends_with(".jsonl.zst")) {
        fs::remove_file(node.path("bucket").join(list)).unwrap();
    }
    // The lists that say where the bytes lie are gone too, so one file is lost and the rest is given.
    let (_, outcome) = fetch(&node, first, &[]).unwrap();
    assert_eq!(outcome.lost.iter().map(|lost| lost.path.as_str()).collect::<Vec<_>>(), ["large"]);
    assert!(outcome.damage.iter().any(|damage| damage.object.contains("/files/")), "{:?}", outcome.damage);
    fs::remove_dir_all(node.path("local")).unwrap();
    let error = fetch(&node, first, &[]).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("/files/"), "{error}");
    assert!(!node.path("to").exists());
}

#[test]
fn many_lost_files_are_counted_and_the_first_are_named() {
    let node = Node::with_folder();
    (0..60).for_each(|n| node.write(&format!("lost/{n:02}"), noise(n, 3000)));
    node.init();
    let first = node.backup();
    let lost = packs(&node);
    node.write("kept", b"kept");
    let second = node.backup();
    fs::remove_dir_all(node.path("local")).unwrap();
    lost.iter().for_each(|pack| spoil(pack));
    let (to, outcome) = fetch(&node, second, &[]).unwrap();
    assert_eq!((outcome.files, outcome.lost_files, outcome.lost.len()), (1, 60, 20));
    assert_eq!((outcome.lost[0].path.as_str(), outcome.lost[19].path.as_str()), ("lost/00", "lost/19"));
    assert_eq!(fs::read_dir(to.join("lost")).unwrap().count(), 0);
    assert!(first < second);
}
