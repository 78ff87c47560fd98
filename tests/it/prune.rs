//! Retention, prune and forget: what is kept stays whole, what is waste goes, and in doubt nothing does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::forget;
use windlass::ops::prune::{self, Outcome};
use windlass::ops::retention::Retention;
use windlass::ops::{self, Error};
use windlass::repository::Repository;
use windlass::sys::clock::Clock;
use windlass::sys::stop::Stop;

use crate::support::clocked::{Clocked, PAUSE};
use crate::support::listing::{Listing, assert_same};
use crate::support::node::{Node, tools, tree};
use crate::support::store::{Faulty, Op, Trouble};
use crate::support::tree::noise;

/// Keeps the newest so many.
pub fn last(count: u32) -> prune::Options {
    prune::Options { retention: Some(Retention { last: count, ..Retention::default() }), ..prune::Options::default() }
}

/// A node whose clock is the store's as well.
fn node() -> (Node, Arc<Clocked>) {
    let plain = Node::new();
    let store = Clocked::new(plain.clock.clone());
    let repository = Repository::over(store.clone(), "", "memory".into(), tools(plain.clock.clone(), plain.stop.clone()));
    let node = Node::over(repository, plain.clock.clone(), plain.stop.clone());
    node.write("kept", noise(1, 300_000));
    node.init();
    (node, store)
}

fn try_prune(node: &Node, options: &prune::Options) -> Result<Outcome, Error> {
    let ctx = node.context();
    let plan = prune::plan(&ctx, options)?;
    prune::run(&ctx, options, &plan)
}

fn prune(node: &Node, options: &prune::Options) -> Outcome {
    try_prune(node, options).unwrap()
}

fn pause(node: &Node) {
    node.clock.advance(PAUSE.unsigned_abs());
}

/// A backup of a tree that holds something new, whose packs no other snapshot needs.
fn new_backup(node: &Node, seed: u64) -> SnapshotId {
    node.write("changing", noise(seed, 400_000));
    node.backup()
}

/// From now on every snapshot of the tree has a problem.
fn has_a_problem(node: &Node) {
    crate::copies::rustix_mknod(&node.path("tree/device"));
}

fn listed(node: &Node) -> BTreeSet<SnapshotId> {
    let view = ops::snapshots::View::read(&node.context(), None, None).unwrap();
    view.rows.iter().map(Result::unwrap).filter(|row| row.stored_bytes.is_some()).map(|row| row.id).collect()
}

fn is_whole(node: &Node) {
    let options = ops::verify::Options { level: windlass::format::check::Level::Full, snapshots: Vec::new(), node: None };
    let outcome = ops::verify::run(&node.context(), &options).unwrap();
    assert!(outcome.damage.is_empty(), "{outcome:#?}");
}

#[test]
fn what_retention_does_not_keep_goes_in_two_phases_and_the_rest_stays_whole() {
    let (node, _) = node();
    let ids: Vec<SnapshotId> = (2..7).map(|seed| new_backup(&node, seed)).collect();
    let all = node.objects("node-1/packs/").len();
    let first = prune(&node, &last(2));
    assert_eq!(first.removed.iter().map(|one| one.id).collect::<BTreeSet<_>>(), ids[..3].iter().copied().collect());
    assert!(first.removed[0].why.contains("last 2"), "{first:?}");
    assert!(first.marked.objects >= 6 && first.deleted.objects == 0, "{first:?}");
    assert_eq!((listed(&node), node.objects("node-1/packs/").len()), (ids[3..].iter().copied().collect(), all));
    assert_eq!(node.objects("node-1/removed/").len(), 3);

    let early = prune(&node, &last(2));
    assert_eq!((early.deleted.objects, early.waiting), (0, first.marked), "three days have not passed");
    assert_eq!(early.next_deletion.unwrap().as_second(), (node.clock.now() + PAUSE).as_second() - 3600);
    pause(&node);
    let second = prune(&node, &last(2));
    assert_eq!((second.deleted, second.waiting.objects), (first.marked, 0));
    assert_eq!(node.objects("node-1/prune/").len(), 1, "the mark stays until a listing shows that all it names is gone");
    assert_eq!(prune(&node, &last(2)).deleted.objects, 0);
    assert_eq!(node.objects("node-1/prune/"), [] as [&str; 0]);
    is_whole(&node);
    for id in &ids[3..] {
        node.fetch(*id).unwrap();
    }
    // A removed id never comes back, though its local copy is there.
    assert!(node.copies().contains(&ids[2]));
    ops::ship::run(&node.context(), &tree(), &ops::ship::Options::default()).unwrap();
    assert!(!listed(&node).contains(&ids[2]));
}

#[test]
fn without_rules_no_snapshot_goes() {
    let (node, _) = node();
    let ids: BTreeSet<SnapshotId> = (2..5).map(|seed| new_backup(&node, seed)).collect();
    let outcome = prune(&node, &prune::Options::default());
    assert!(outcome.removed.is_empty() && outcome.marked.objects == 0, "{outcome:?}");
    assert_eq!(listed(&node), ids);
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let (node, _) = node();
    for seed in 2..6 {
        new_backup(&node, seed);
    }
    let before = node.objects("");
    let dry = prune(&node, &prune::Options { dry_run: true, ..last(1) });
    assert_eq!(node.objects(""), before);
    let done = prune(&node, &last(1));
    assert_eq!((dry.removed, dry.marked, dry.live), (done.removed, done.marked, done.live));
}

#[test]
fn what_is_pinned_is_kept_by_retention_and_refused_by_forget_until_it_is_unpinned() {
    let (node, _) = node();
    let ids: Vec<SnapshotId> = (2..5).map(|seed| new_backup(&node, seed)).collect();
    let name = format!("tree/{}", ids[0]).parse().unwrap();
    let pin = |pinned, why| ops::pins::set(&node.context(), None, &name, pinned, why, false).unwrap();
    assert!(ops::pins::set(&node.context(), None, &name, true, "", true).unwrap().changed);
    assert!(node.objects("node-1/pins/").is_empty(), "a dry run pins nothing");
    assert!(pin(true, "before the upgrade").changed && !pin(true, "before the upgrade").changed);
    assert_eq!(prune(&node, &last(1)).removed.len(), 1);
    let options = forget::Options::default();
    let refused = forget::plan(&node.context(), &name, &options).unwrap_err();
    assert!(refused.to_string().contains("before the upgrade"), "{refused}");
    // The local copy alone is not what was pinned.
    forget::plan(&node.context(), &name, &forget::Options { shipped: false, ..options.clone() }).unwrap();
    assert!(pin(false, "").changed && !pin(false, "").changed);
    assert_eq!(node.objects("node-1/pins/").len(), 2);
    forget::plan(&node.context(), &name, &options).unwrap();
    assert_eq!(prune(&node, &last(1)).removed.len(), 1);
    // All three copies are still here, and nobody waits for those two that were removed.
    let status = ops::status::run(&node.context()).unwrap();
    assert_eq!((status.sources[0].copies, status.sources[0].unshipped), (3, Some(0)));
}

#[test]
fn show_says_whether_and_why_a_snapshot_is_pinned() {
    let machine = crate::support::program::Machine::initialised();
    machine.run(&["backup", "tree"]).expect(0);
    let show = || {
        let shown = machine.json(&["show", "tree/latest"], 0);
        (shown["pinned"].clone(), shown["pinned_why"].clone())
    };
    assert_eq!(show(), (false.into(), serde_json::Value::Null));
    machine.run(&["pin", "tree/latest", "--why", "before the upgrade"]).expect(0);
    assert_eq!(show(), (true.into(), "before the upgrade".into()));
    assert!(machine.run(&["show", "tree/latest"]).stdout.contains("before the upgrade"));
    machine.run(&["unpin", "tree/latest"]).expect(0);
    assert_eq!(show(), (false.into(), serde_json::Value::Null));
}

#[test]
fn a_damaged_pin_counts_as_one() {
    let (node, _) = node();
    let ids: Vec<SnapshotId> = (2..4).map(|seed| new_backup(&node, seed)).collect();
    node.repository.create(&format!("node-1/pins/tree/{}.1.json", ids[0]), "{\"format\":1}".into()).unwrap();
    assert!(prune(&node, &last(1)).removed.is_empty());
    node.repository.create(&format!("node-1/pins/tree/{}.2.json", ids[0]), "{\"format\":2}".into()).unwrap();
    assert!(try_prune(&node, &last(1)).unwrap_err().to_string().contains("pins/tree"));
}

#[test]
fn forget_removes_a_snapshot_from_both_tiers_or_from_one() {
    let (node, _) = node();
    let ids: Vec<SnapshotId> = (2..6).map(|seed| new_backup(&node, seed)).collect();
    let forget = |id: SnapshotId, local, shipped| {
        let options = forget::Options { local, shipped, ..forget::Options::default() };
        let plan = forget::plan(&node.context(), &format!("tree/{id}").parse().unwrap(), &options).unwrap();
        forget::run(&node.context(), &plan, None).unwrap();
    };
    forget(ids[0], true, true);
    forget(ids[1], true, false);
    forget(ids[2], false, true);
    assert_eq!(node.copies(), [ids[2], ids[3]]);
    assert_eq!(listed(&node), [ids[1], ids[3]].into());
    ops::ship::run(&node.context(), &tree(), &ops::ship::Options::default()).unwrap();
    assert_eq!(listed(&node), [ids[1], ids[3]].into(), "what was forgotten is not shipped again");
    is_whole(&node);
}

#[test]
fn the_last_sound_snapshot_is_kept_by_every_rule_and_by_forget() {
    let (node, _) = node();
    let sound = new_backup(&node, 2);
    has_a_problem(&node);
    let unsound: Vec<SnapshotId> = (0..3).map(|_| node.backup()).collect();
    let outcome = prune(&node, &last(1));
    assert_eq!(outcome.removed.iter().map(|one| one.id).collect::<Vec<_>>(), unsound[..2]);
    assert_eq!(listed(&node), [sound, unsound[2]].into());
    // Nor does it count as the last one when the other has rotted.
    let name = format!("tree/{sound}").parse().unwrap();
    assert!(matches!(forget::plan(&node.context(), &name, &forget::Options::default()), Err(Error::Refused(_))));
    let options = forget::Options { even_the_last: true, ..forget::Options::default() };
    assert!(forget::plan(&node.context(), &name, &options).unwrap().last_sound);
}

#[test]
fn what_is_known_to_be_damaged_is_not_the_sound_snapshot_that_stays() {
    let mut node = Node::with_folder();
    node.keep = 1;
    node.init();
    let ids: Vec<SnapshotId> = (2..5).map(|seed| new_backup(&node, seed)).collect();
    let needed = |id: SnapshotId| packs_of(&node, id);
    let only = needed(ids[2]).difference(&needed(ids[1])).next().cloned().unwrap();
    std::fs::write(node.path("bucket").join(only), b"rot").unwrap();
    let options = ops::verify::Options { level: windlass::format::check::Level::Stored, snapshots: Vec::new(), node: None };
    assert!(!ops::verify::run(&node.context(), &options).unwrap().damage.is_empty());
    let removed = prune(&node, &last(1)).removed;
    assert_eq!(removed.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[0]]);
    assert_eq!(listed(&node), [ids[1], ids[2]].into());
}

#[test]
fn forget_keeps_the_last_snapshot_that_is_not_known_to_be_damaged() {
    let node = Node::with_folder();
    node.init();
    let [sound, rotten] = [2, 3].map(|seed| new_backup(&node, seed));
    let only = packs_of(&node, rotten).difference(&packs_of(&node, sound)).next().cloned().unwrap();
    std::fs::write(node.path("bucket").join(only), b"rot").unwrap();
    let forget = |local| {
        let options = forget::Options { local, ..forget::Options::default() };
        forget::plan(&node.context(), &format!("tree/{sound}").parse().unwrap(), &options)
    };
    let options = ops::verify::Options { level: windlass::format::check::Level::Stored, snapshots: Vec::new(), node: None };
    assert!(!ops::verify::run(&node.context(), &options).unwrap().damage.is_empty());
    assert!(forget(true).is_ok(), "the local copy of the other is sound");
    std::fs::remove_dir_all(node.path("local/tree")).unwrap();
    assert!(matches!(forget(false), Err(Error::Refused(_))));
}

/// The packs that a snapshot needs, from its body and pack lists.
fn packs_of(node: &Node, id: SnapshotId) -> BTreeSet<String> {
    let body = node.repository.get(&format!("node-1/manifests/tree/{id}.1.body.jsonl"), 1 << 20).unwrap();
    let body = windlass::format::body::Body::from_text(&body).unwrap();
    let lists = body.lists.iter().map(|list| format!("node-1/files/{}/{}.packs.jsonl", list.list.shard(), list.list));
    let packs = lists.flat_map(|key| windlass::format::pack_list::read(&node.repository.get(&key, 1 << 20).unwrap()).unwrap());
    packs.map(|pack| format!("node-1/packs/{}/{}.tar.zst", pack.pack.shard(), pack.pack)).collect()
}

#[test]
fn ids_ahead_of_the_clock_neither_count_nor_go() {
    let (node, _) = node();
    let ids: Vec<SnapshotId> = (2..4).map(|seed| new_backup(&node, seed)).collect();
    node.set_clock("2036-01-01T00:00:00Z");
    let future = new_backup(&node, 5);
    node.set_clock("2026-11-23T05:00:00Z");
    assert_eq!(prune(&node, &last(1)).removed.iter().map(|one| one.id).collect::<Vec<_>>(), ids[..1]);
    assert!(listed(&node).contains(&future));
    let plan = forget::plan(&node.context(), &format!("tree/{future}").parse().unwrap(), &forget::Options::default()).unwrap();
    forget::run(&node.context(), &plan, None).unwrap();
    assert_eq!(listed(&node), [ids[1]].into());
}

#[test]
fn whatever_cannot_be_understood_stops_all_deleting() {
    type Spoil = (&'static str, fn(&Node, &[SnapshotId]), &'static str);
    fn overwrite(node: &Node, key: String, bytes: &[u8]) {
        std::fs::write(node.path("bucket").join(key), bytes).unwrap();
    }
    let spoils: [Spoil; 10] = [
        ("an unknown key", |node, _| node.put_text("node-1/packs/note.txt", "x"), "note.txt"),
        ("an unknown key among manifests", |node, _| node.put_text("node-1/manifests/tree/x", "x"), "manifests/tree/x"),
        ("a damaged head", |node, ids| overwrite(node, format!("node-1/manifests/tree/{}.1.json", ids[3]), b"{}"), "1.json"),
        ("a later head", |node, ids| overwrite(node, format!("node-1/manifests/tree/{}.1.json", ids[3]), b"{\"format\":2}\n"), "1.json"),
        ("a damaged body", |node, ids| flip(node, format!("node-1/manifests/tree/{}.1.body.jsonl", ids[3])), "body.jsonl"),
        (
            "a body that is lost",
            |node, ids| std::fs::remove_file(node.path(format!("bucket/node-1/manifests/tree/{}.1.body.jsonl", ids[3]))).unwrap(),
            "body.jsonl",
        ),
        (
            "a head that is lost",
            |node, ids| {
                // Only the next head knows of it.
                std::fs::remove_dir_all(node.path("local/.windlass/heads")).unwrap();
                std::fs::remove_file(node.path(format!("bucket/node-1/manifests/tree/{}.1.json", ids[2]))).unwrap();
            },
            "1.json",
        ),
        ("a damaged pack list", |node, ids| flip(node, list_of(node, ids[3])), "packs.jsonl"),
        ("a later node file", |node, _| node.put_text("node-1/node.2.json", "{\"format\":2}\n"), "node.2.json"),
        ("a mark of what is never deleted", |node, _| mark_a_manifest(node), "prune/"),
    ];
    for (what, spoil, named) in spoils {
        let node = Node::with_folder();
        node.init();
        let ids: Vec<SnapshotId> = (2..6).map(|seed| new_backup(&node, seed)).collect();
        spoil(&node, &ids);
        let before = node.objects("node-1/");
        for keep in [9, 1] {
            let error = try_prune(&node, &last(keep)).map(|outcome| panic!("{what}: {outcome:?}")).unwrap_err();
            assert!(ops::error::chain(&error).contains(named), "{what}: {error}");
            assert_eq!(node.objects("node-1/"), before, "{what}, last {keep}");
        }
    }
}

fn flip(node: &Node, key: String) {
    crate::support::tree::flip(&node.path("bucket").join(key));
}

fn list_of(node: &Node, id: SnapshotId) -> String {
    let body = node.repository.get(&format!("node-1/manifests/tree/{id}.1.body.jsonl"), 1 << 20).unwrap();
    let list = windlass::format::body::Body::from_text(&body).unwrap().lists[0].list;
    format!("node-1/files/{}/{list}.packs.jsonl", list.shard())
}

fn mark_a_manifest(node: &Node) {
    let head = node.objects("node-1/manifests/").pop().unwrap();
    node.put_text("node-1/prune/20260101T000000000Z-0123456789abcdef.jsonl", &format!("{{\"object\":\"{head}\",\"stored\":\"1\"}}\n"));
}

#[test]
fn a_damaged_snapshot_can_be_forgotten_so_that_the_rest_can_be_pruned() {
    let node = Node::with_folder();
    node.init();
    let ids: Vec<SnapshotId> = (2..6).map(|seed| new_backup(&node, seed)).collect();
    std::fs::write(node.path(format!("bucket/node-1/manifests/tree/{}.1.json", ids[1])), b"{}").unwrap();
    std::fs::remove_dir_all(node.path("local/tree")).unwrap();
    std::fs::remove_dir_all(node.path("local/.windlass/heads")).unwrap();
    try_prune(&node, &last(2)).unwrap_err();
    let plan = forget::plan(&node.context(), &format!("tree/{}", ids[1]).parse().unwrap(), &forget::Options::default()).unwrap();
    forget::run(&node.context(), &plan, None).unwrap();
    assert_eq!(prune(&node, &last(2)).removed.iter().map(|one| one.id).collect::<Vec<_>>(), ids[..1]);
}

#[test]
fn what_a_shipment_that_was_broken_off_has_left_goes_once_a_later_one_is_done() {
    let (node, _) = node();
    new_backup(&node, 2);
    let id = new_backup(&node, 3);
    // As if the head had never been written.
    node.repository.delete(&format!("node-1/manifests/tree/{id}.1.json")).unwrap();
    std::fs::remove_dir_all(node.path("local/.windlass")).unwrap();
    ops::node::own_uuid(&node.context()).unwrap();
    std::fs::remove_dir_all(node.path("local/tree")).unwrap();
    let outcome = prune(&node, &prune::Options::default());
    assert_eq!((outcome.bodies, outcome.marked.objects), (0, 0), "its writer may still be at work: {outcome:?}");
    ops::init::run(&node.context(), &ops::init::Options { adopt: true, dry_run: false }).unwrap();
    new_backup(&node, 4);
    let outcome = prune(&node, &prune::Options::default());
    assert!(outcome.bodies == 1 && outcome.marked.objects > 0, "{outcome:?}");
    pause(&node);
    prune(&node, &prune::Options::default());
    is_whole(&node);
}

#[test]
fn a_credential_that_may_not_delete_backs_up_and_is_told_so_by_prune() {
    let plain = Node::new();
    let store = Faulty::around(Clocked::new(plain.clock.clone()));
    store.always(Op::Delete, Trouble::Answer(403, "AccessDenied"));
    let repository = Repository::over(store.clone(), "", "memory".into(), tools(plain.clock.clone(), Stop::new()));
    let node = Node::over(repository, plain.clock.clone(), plain.stop.clone());
    node.init();
    let ids: BTreeSet<SnapshotId> = (2..6).map(|seed| new_backup(&node, seed)).collect();
    for _ in 0..3 {
        let outcome = prune(&node, &last(1));
        assert!(outcome.denied.is_some() && outcome.removed.is_empty() && outcome.deleted.objects == 0, "{outcome:?}");
        assert_eq!(listed(&node), ids);
        assert_eq!(node.objects("node-1/removed/").len(), 1, "no more is begun than what was denied");
        pause(&node);
    }
    is_whole(&node);
    store.always(Op::Delete, Trouble::Nothing);
    assert_eq!(prune(&node, &last(1)).removed.len(), 3);
}

#[test]
fn what_is_locked_is_left_to_a_later_prune_and_the_rest_is_done() {
    let plain = Node::new();
    let store = Faulty::around(Clocked::new(plain.clock.clone()));
    let repository = Repository::over(store.clone(), "", "memory".into(), tools(plain.clock.clone(), Stop::new()));
    let node = Node::over(repository, plain.clock.clone(), plain.stop.clone());
    node.init();
    let ids: Vec<SnapshotId> = (2..6).map(|seed| new_backup(&node, seed)).collect();
    // The first delete of a run is that of its look at the clock; as MinIO says that an object is locked.
    let locked = || [Trouble::Nothing, Trouble::Answer(400, "InvalidRequest")];
    store.next(Op::Delete, locked());
    let outcome = prune(&node, &last(1));
    assert_eq!(outcome.removed.iter().map(|one| one.id).collect::<Vec<_>>(), ids[1..3], "{outcome:?}");
    assert_eq!((outcome.locked.objects, &outcome.denied), (1, &None));
    assert_eq!(listed(&node), [ids[0], ids[3]].into(), "its body was not taken before its head");
    assert!(outcome.marked.objects > 0, "{outcome:?}");
    pause(&node);
    store.next(Op::Delete, [Trouble::Nothing, Trouble::Nothing].into_iter().chain(locked()));
    let second = prune(&node, &last(1));
    assert_eq!((second.removed.len(), second.locked.objects, second.deleted.objects), (1, 1, outcome.marked.objects - 1), "{second:?}");
    assert!(second.locked.bytes > 0 && second.locked.bytes + second.deleted.bytes == outcome.marked.bytes, "{second:?}");
    let third = prune(&node, &last(1));
    assert_eq!((third.deleted, third.locked.objects), (second.locked, 0));
    is_whole(&node);
}

#[test]
fn stats_tell_what_is_live_what_is_waste_and_what_each_snapshot_would_set_free() {
    let (node, _) = node();
    // What all of them hold lies in a pack of its own.
    node.backup();
    let ids: Vec<SnapshotId> = (2..5).map(|seed| new_backup(&node, seed)).collect();
    let stats = || ops::stats::run(&node.context(), &ops::stats::Options::default()).unwrap();
    let before = stats();
    let snapshots = &before.sources[0].snapshots[1..];
    assert_eq!(snapshots.iter().map(|one| one.id).collect::<Vec<_>>(), ids);
    assert_eq!((before.live, before.waste.objects, before.marked.objects), (before.sources[0].live, 0, 0));
    assert!(snapshots.iter().all(|one| one.unique.bytes > 400_000 && one.unique.bytes < one.stored_bytes), "{before:#?}");
    let marked = prune(&node, &last(2)).marked;
    let after = stats();
    let base = before.sources[0].snapshots[0].unique;
    let expected = (base.objects + snapshots[0].unique.objects, base.bytes + snapshots[0].unique.bytes);
    assert_eq!((marked.objects, marked.bytes), expected, "what only the first two needed is now marked");
    assert_eq!((after.marked, after.live.bytes), (marked, before.live.bytes - marked.bytes));
}

#[test]
fn a_node_without_the_identity_prunes_an_encrypted_repository() {
    let mut node = Node::encrypted();
    node.write("kept", noise(1, 300_000));
    node.init();
    let ids: Vec<SnapshotId> = (2..6).map(|seed| new_backup(&node, seed)).collect();
    let identity = std::mem::take(&mut node.identity);
    let marked = prune(&node, &last(1)).marked;
    assert!(marked.objects > 0);
    for mark in node.objects("node-1/prune/") {
        // The folder's times are what its marks age by.
        let file = std::fs::File::options().write(true).open(node.path("bucket").join(mark)).unwrap();
        file.set_modified(std::time::SystemTime::now() - PAUSE.unsigned_abs()).unwrap();
    }
    let before = ops::stats::run(&node.context(), &ops::stats::Options::default()).unwrap();
    assert_eq!((prune(&node, &last(1)).deleted, before.marked), (marked, marked));
    node.identity = identity;
    is_whole(&node);
    assert_same(&Listing::of(&node.path("tree")), &Listing::of(&node.fetch(ids[3]).unwrap()));
}

#[test]
fn a_first_shipment_that_takes_longer_than_marks_last_loses_nothing() {
    let (node, store) = node();
    node.write("large", noise(9, 24 << 20));
    node.snapshot();
    let ctx = node.context_that_tells({
        let clock = store.clock.clone();
        move |_| clock.advance(PAUSE.unsigned_abs())
    });
    let pruner = node.context();
    std::thread::scope(|scope| {
        let ship = scope.spawn(|| ops::ship::run(&ctx, &tree(), &ops::ship::Options::default()));
        while !ship.is_finished() {
            let options = prune::Options::default();
            // Before the first object of the node is there, there is nothing to be pruned.
            let plan = prune::plan(&pruner, &options).unwrap();
            let outcome = prune::run(&pruner, &options, &plan).unwrap();
            assert_eq!((outcome.marked.objects, outcome.deleted.objects), (0, 0), "{outcome:?}");
            node.clock.advance(Duration::from_secs(3600 * 100));
        }
        ship.join().unwrap().unwrap();
    });
    is_whole(&node);
    assert_same(&Listing::of(&node.path("tree")), &Listing::of(&node.fetch(*listed(&node).last().unwrap()).unwrap()));
}

/// Problems are what a head says of the source, not of the store.
#[test]
fn a_source_without_any_sound_snapshot_keeps_its_newest() {
    let (node, _) = node();
    has_a_problem(&node);
    let ids: Vec<SnapshotId> = (0..3).map(|_| node.backup()).collect();
    let view = ops::snapshots::View::read(&node.context(), None, None).unwrap();
    assert!(view.rows.iter().map(Result::unwrap).all(|row| !row.problems.is_empty()));
    prune(&node, &last(1));
    assert_eq!(listed(&node), [ids[2]].into());
}
