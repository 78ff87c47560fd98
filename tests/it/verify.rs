//! Verification: what is damaged is found and named, what is not is not, and what was found is remembered.

use std::fs;
use std::path::PathBuf;

use windlass::format::check::{Level, Verdict};
use windlass::ops::verify::{Options, Outcome, known};
use windlass::ops::{self, Error, node::Remote};

use crate::support::node::Node;
use crate::support::tree::noise;

/// A node with three shipped snapshots that share most of what they need.
fn node() -> Node {
    let node = Node::with_folder();
    node.write("a/one", b"one");
    node.write("a/two", noise(1, 200_000));
    node.write("large", noise(2, 3 << 20));
    std::fs::hard_link(node.path("tree/large"), node.path("tree/linked")).unwrap();
    node.init();
    for n in 0..3u8 {
        node.write("changing", [n; 40]);
        node.backup();
    }
    node
}

fn verify(node: &Node, level: Level) -> Outcome {
    let options = Options { level, snapshots: Vec::new(), node: None };
    ops::verify::run(&node.context(), &options).unwrap()
}

fn named(outcome: &Outcome) -> Vec<&str> {
    outcome.damage.iter().map(|damage| damage.object.as_str()).collect()
}

/// All objects of the repository but records of earlier verifications.
fn objects(node: &Node) -> Vec<PathBuf> {
    let (mut found, mut waiting) = (Vec::new(), vec![node.path("bucket")]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("checks") && !path.ends_with("probe") {
                waiting.push(path);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn key(node: &Node, object: &std::path::Path) -> String {
    object.strip_prefix(node.path("bucket")).unwrap().display().to_string()
}

fn forget_verdicts(node: &Node) {
    let _ = fs::remove_dir_all(node.path("bucket/node-1/checks"));
}

#[test]
fn a_sound_repository_is_sound_at_every_level_and_nothing_is_recorded() {
    let node = node();
    for level in [Level::Quick, Level::Stored, Level::Full] {
        let outcome = verify(&node, level);
        assert_eq!((outcome.damage.as_slice(), outcome.unexpected.as_slice(), outcome.unreferenced), (&[][..], &[][..], 0), "{level:?}");
        assert_eq!((outcome.snapshots, outcome.local_copies, outcome.checked.level), (3, 3, level));
        assert!(outcome.checked.bytes > 3 << 20, "{:?}", outcome.checked);
    }
    assert!(!node.path("bucket/node-1/checks").exists());
}

#[test]
fn whatever_is_done_to_an_object_is_found_and_the_object_is_named() {
    let node = node();
    verify(&node, Level::Full);
    for object in objects(&node) {
        let (whole, key) = (fs::read(&object).unwrap(), key(&node, &object));
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 4;
        let harms: [(&str, Option<Vec<u8>>); 5] = [
            ("deleted", None),
            ("truncated", Some(whole[..whole.len() - 1].to_vec())),
            ("emptied", Some(Vec::new())),
            ("appended", Some([&whole[..], b"x"].concat())),
            ("flipped", Some(flipped)),
        ];
        for (harm, bytes) in harms {
            match bytes {
                Some(bytes) => fs::write(&object, bytes).unwrap(),
                None => fs::remove_file(&object).unwrap(),
            }
            for level in [Level::Quick, Level::Full] {
                let outcome = verify(&node, level);
                let seen_from_outside = harm != "flipped" || !(key.contains("/packs/") || key.ends_with(".jsonl.zst"));
                if level == Level::Full || seen_from_outside {
                    assert_eq!(named(&outcome), [&key], "{harm}, {level:?}: {:?}", outcome.damage);
                } else {
                    assert_eq!(named(&outcome), [] as [&str; 0], "{harm}");
                }
                forget_verdicts(&node);
            }
            fs::write(&object, &whole).unwrap();
        }
    }
    assert_eq!(named(&verify(&node, Level::Full)), [] as [&str; 0]);
}

#[test]
fn two_objects_of_a_kind_that_change_places_are_both_named() {
    let node = node();
    let all = objects(&node);
    for kind in ["/packs/", ".jsonl.zst", ".packs.jsonl", ".body.jsonl", "Z.1.json"] {
        let of_kind: Vec<&PathBuf> = all.iter().filter(|path| path.to_string_lossy().contains(kind)).collect();
        let [first, second] = [of_kind[0], of_kind[1]];
        let [a, b] = [fs::read(first).unwrap(), fs::read(second).unwrap()];
        if a == b {
            continue;
        }
        fs::write(first, &b).unwrap();
        fs::write(second, &a).unwrap();
        let outcome = verify(&node, Level::Full);
        let mut expected = [key(&node, first), key(&node, second)];
        expected.sort();
        assert_eq!(named(&outcome), expected, "{:?}", outcome.damage);
        fs::write(first, a).unwrap();
        fs::write(second, b).unwrap();
        forget_verdicts(&node);
    }
}

#[test]
fn damage_is_recorded_once_and_taken_back_by_a_look_that_is_deep_enough() {
    let node = node();
    let pack = objects(&node).into_iter().find(|path| path.to_string_lossy().contains("/packs/")).unwrap();
    let (whole, key) = (fs::read(&pack).unwrap(), key(&node, &pack));
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    fs::write(&pack, &flipped).unwrap();
    assert_eq!(named(&verify(&node, Level::Full)), [&key]);
    let recorded = || {
        let context = node.context();
        let remote = Remote::open(&context).unwrap();
        let known = known(&context, &remote, &context.node).unwrap();
        known.iter().map(|check| (check.object.clone(), check.verdict, check.level)).collect::<Vec<_>>()
    };
    assert_eq!(recorded(), [(key.clone(), Verdict::Damaged, Level::Full)]);
    verify(&node, Level::Full);
    assert_eq!(fs::read_dir(node.path("bucket/node-1/checks")).unwrap().count(), 1, "the same verdict is not written twice");

    fs::write(&pack, &whole).unwrap();
    let quick = verify(&node, Level::Quick);
    assert_eq!(named(&quick), [&key], "a quick look cannot take it back");
    assert!(quick.damage[0].problem.starts_with("known since"), "{:?}", quick.damage);
    assert_eq!(recorded().len(), 1);
    node.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(named(&verify(&node, Level::Full)), [] as [&str; 0]);
    assert_eq!(recorded(), []);
}

#[test]
fn the_next_backup_stores_known_damage_anew_and_the_new_snapshot_is_sound() {
    let node = node();
    for object in objects(&node).iter().filter(|path| path.to_string_lossy().contains("/packs/")) {
        fs::write(object, b"").unwrap();
    }
    let outcome = verify(&node, Level::Quick);
    assert!(!outcome.damage.is_empty() && outcome.damage.iter().all(|damage| damage.snapshot.is_some()));
    node.write("changing", b"changed");
    let id = node.backup();
    let options = Options { level: Level::Full, snapshots: vec![format!("tree/{id}").parse().unwrap()], node: None };
    let outcome = ops::verify::run(&node.context(), &options).unwrap();
    assert_eq!(outcome.damage, []);
    assert_eq!((outcome.snapshots, outcome.local_copies), (1, 1));
    let fetched = node.fetch(id).unwrap();
    assert_eq!(fs::read(fetched.join("large")).unwrap(), noise(2, 3 << 20));
}

#[test]
fn a_damaged_local_copy_is_named_file_by_file() {
    let node = node();
    let copy = node.path("local/tree").join(node.copies()[1].to_string());
    fs::write(copy.join("data/a/one"), b"One").unwrap();
    fs::remove_file(copy.join("data/changing")).unwrap();
    let named_files = |level| {
        let outcome = verify(&node, level);
        named(&outcome).iter().map(|object| object.rsplit_once('/').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(named_files(Level::Quick), ["changing"]);
    assert_eq!(named_files(Level::Stored), ["one", "changing"]);
    let mut lines = fs::read(copy.join("files.jsonl.zst")).unwrap();
    lines[20] ^= 1;
    fs::write(copy.join("files.jsonl.zst"), lines).unwrap();
    assert_eq!(named_files(Level::Quick), ["files.jsonl.zst"]);
    fs::write(copy.join("snapshot.json"), b"{").unwrap();
    assert_eq!(named_files(Level::Quick), [copy.file_name().unwrap().to_str().unwrap()]);
    assert!(!node.path("bucket/node-1/checks").exists(), "verdicts are about objects of the repository");
}

#[test]
fn strangers_and_what_a_broken_run_left_are_told_apart_from_damage() {
    let node = node();
    fs::write(node.path("bucket/node-1/notes.txt"), b"x").unwrap();
    let name = windlass::format::digest::Digest::of(b"left over");
    fs::create_dir_all(node.path(format!("bucket/node-1/packs/{}", name.shard()))).unwrap();
    fs::write(node.path(format!("bucket/node-1/packs/{}/{name}.tar.zst", name.shard())), b"left over").unwrap();
    let outcome = verify(&node, Level::Full);
    assert_eq!((outcome.damage.as_slice(), outcome.unreferenced), (&[][..], 1));
    assert_eq!(outcome.unexpected, ["node-1/notes.txt"]);
}

#[test]
fn another_version_is_said_plainly_and_is_no_damage() {
    let node = node();
    let head = objects(&node).into_iter().find(|path| path.to_string_lossy().ends_with("Z.1.json")).unwrap();
    let text = fs::read_to_string(&head).unwrap();
    fs::write(&head, text.replace("\"format\":1", "\"format\":7")).unwrap();
    fs::remove_dir_all(node.path("local/.windlass/heads")).unwrap();
    let outcome = verify(&node, Level::Full);
    assert_eq!(outcome.damage, []);
    assert!(outcome.unexpected.iter().any(|what| what.contains("format version 7")), "{:?}", outcome.unexpected);
    fs::write(&head, &text).unwrap();

    let marker = node.path("bucket/windlass.json");
    let text = fs::read_to_string(&marker).unwrap();
    fs::write(&marker, text.replace("\"format\":1", "\"format\":7")).unwrap();
    let options = Options { level: Level::Full, snapshots: Vec::new(), node: None };
    let error = ops::verify::run(&node.context(), &options).unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }) && !error.is_damage(), "{error}");
}

#[test]
fn local_copies_are_verified_when_the_repository_cannot_be_reached() {
    let node = node();
    fs::remove_dir_all(node.path("bucket")).unwrap();
    let outcome = verify(&node, Level::Full);
    assert_eq!((outcome.local_copies, outcome.damage.as_slice()), (3, &[][..]));
    assert!(outcome.unreachable.is_some_and(|why| why.contains("bucket")));
    let elsewhere = Options { level: Level::Quick, snapshots: Vec::new(), node: Some("node-2".parse().unwrap()) };
    assert!(ops::verify::run(&node.context(), &elsewhere).unwrap_err().is_unreachable());
}
