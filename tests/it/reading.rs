//! `cat`, `diff` and `show`: what a snapshot holds, without putting it anywhere.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};

use windlass::format::path::RelPath;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::diff::{Change, Kind};
use windlass::ops::{self, Error};

use crate::support::node::Node;
use crate::support::tree::noise;

fn cat(node: &Node, id: SnapshotId, path: &str) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let path = RelPath::from_escaped(path).unwrap();
    let written = ops::cat::run(&node.context(), &format!("tree/{id}").parse().unwrap(), None, &path, &mut out)?.bytes;
    assert_eq!(written, out.len() as u64);
    Ok(out)
}

/// A node with a snapshot in both tiers: a file of many pieces with a hole, a small one, a hard link, a symlink.
fn node() -> (Node, SnapshotId, Vec<u8>) {
    let node = Node::with_folder();
    let mut bytes = noise(1, 6 << 20);
    bytes.extend_from_slice(&vec![0; 2 << 20]);
    bytes.extend_from_slice(&noise(2, 1 << 20));
    node.write("d/small", b"small");
    let large = fs::File::create(node.path("tree/large")).unwrap();
    large.write_all_at(&bytes[..6 << 20], 0).unwrap();
    large.write_all_at(&bytes[8 << 20..], 8 << 20).unwrap();
    fs::hard_link(node.path("tree/large"), node.path("tree/link")).unwrap();
    symlink("d/small", node.path("tree/soft")).unwrap();
    node.init();
    let id = node.backup();
    (node, id, bytes)
}

fn lose_local(node: &Node) {
    fs::remove_dir_all(node.path("local/tree")).unwrap();
}

#[test]
fn a_file_comes_out_of_either_tier_and_through_a_hard_link() {
    let (node, id, bytes) = node();
    for _ in 0..2 {
        assert!(cat(&node, id, "large").unwrap() == bytes);
        assert!(cat(&node, id, "link").unwrap() == bytes);
        assert_eq!(cat(&node, id, "d/small").unwrap(), b"small");
        lose_local(&node);
        fs::create_dir_all(node.path("local/tree")).unwrap();
    }
}

#[test]
fn what_is_no_file_says_what_it_is() {
    let (node, id, _) = node();
    for (path, what) in [("soft", "a symbolic link to `d/small`"), ("d", "a directory"), ("", "a directory")] {
        let error = cat(&node, id, path).unwrap_err();
        assert!(matches!(&error, Error::Refused(text) if text.contains(what)), "{path}: {error}");
    }
    assert!(matches!(cat(&node, id, "d/none"), Err(Error::Absent(_))));
}

#[test]
fn where_the_local_copy_is_damaged_the_repository_goes_on_and_the_other_way_round() {
    let (node, id, bytes) = node();
    let data = node.path(format!("local/tree/{id}/data/large"));
    let file = fs::File::options().write(true).open(&data).unwrap();
    file.write_all_at(b"rotten", 3 << 20).unwrap();
    assert!(cat(&node, id, "large").unwrap() == bytes);
    for shard in fs::read_dir(node.path("bucket/node-1/packs")).unwrap() {
        for pack in fs::read_dir(shard.unwrap().path()).unwrap() {
            let pack = pack.unwrap().path();
            let mut stored = fs::read(&pack).unwrap();
            let last = stored.len() - 100_000;
            if stored.len() > 1 << 20 {
                stored[last] ^= 1;
                fs::write(&pack, stored).unwrap();
            }
        }
    }
    assert!(cat(&node, id, "large").unwrap() == bytes, "the frame that is damaged in the repository is intact in the local copy");
    lose_local(&node);
    let mut out = Vec::new();
    let name = format!("tree/{id}").parse().unwrap();
    let error = ops::cat::run(&node.context(), &name, None, &RelPath::from_escaped("large").unwrap(), &mut out).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("/packs/"), "{error}");
    assert!(bytes.starts_with(&out), "what was written before is right");
}

#[test]
fn differences_are_told_from_the_lists_of_either_tier() {
    let (node, before, _) = node();
    node.write("added", b"new");
    node.write("d/small", b"SMALL");
    let large = fs::File::options().write(true).open(node.path("tree/large")).unwrap();
    large.write_all_at(b"x", 4 << 20).unwrap();
    fs::remove_file(node.path("tree/soft")).unwrap();
    symlink("elsewhere", node.path("tree/soft")).unwrap();
    node.write("e", b"");
    let middle = node.backup();
    fs::set_permissions(node.path("tree/added"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(node.path("tree/e")).unwrap();
    let after = node.backup();
    let diff = |a: SnapshotId, b: SnapshotId| {
        let mut changes = Vec::new();
        let names = [a, b].map(|id| format!("tree/{id}").parse().unwrap());
        let summary = ops::diff::run(&node.context(), None, &names[0], &names[1], &mut |change: Change| {
            if !change.path.is_root() {
                changes.push((change.change, change.path.to_escaped(), change.size_before, change.size_after));
            }
            Ok(())
        });
        summary.unwrap();
        changes
    };
    let change = |change, path: &str, before, after| (change, path.to_owned(), before, after);
    let nine = Some(9 << 20);
    let first = [
        change(Kind::Added, "added", None, Some(3)),
        change(Kind::Changed, "d/small", Some(5), Some(5)),
        change(Kind::Added, "e", None, Some(0)),
        change(Kind::Changed, "large", nine, nine),
        change(Kind::Changed, "soft", None, None),
    ];
    let second = [change(Kind::Metadata, "added", Some(3), Some(3)), change(Kind::Removed, "e", Some(0), None)];
    for _ in 0..2 {
        assert_eq!(diff(before, middle), first);
        assert_eq!(diff(middle, after), second);
        assert_eq!(diff(after, after), []);
        // Locations in the repository must not count, so one side comes from there.
        let _ = fs::remove_dir_all(node.path(format!("local/tree/{middle}")));
    }
}

#[test]
fn show_tells_the_same_facts_of_a_local_and_a_shipped_snapshot() {
    let (node, id, _) = node();
    let show = || ops::show::run(&node.context(), &format!("tree/{id}").parse().unwrap(), None).unwrap();
    let both = show();
    assert_eq!((both.manifest, both.previous, both.row.files), (Some(1), None, 3));
    assert!(both.folder.is_some() && both.lists.is_some_and(|lists| lists >= 2) && both.packs.is_some());
    let lines = || {
        let mut paths = Vec::new();
        let name = format!("tree/{id}").parse().unwrap();
        ops::show::files(&node.context(), &name, None, &mut |line| {
            paths.push(line.path().to_escaped());
            Ok(())
        })
        .unwrap();
        paths
    };
    let of_copy = lines();
    assert_eq!(of_copy, ["", "d", "d/small", "large", "link", "soft"]);
    lose_local(&node);
    let shipped = show();
    assert!(shipped.folder.is_none());
    assert_eq!(shipped.facts, both.facts);
    assert_eq!((shipped.entries, shipped.agent, shipped.local_date), (both.entries, both.agent, both.local_date));
    assert_eq!(lines(), of_copy);
}
