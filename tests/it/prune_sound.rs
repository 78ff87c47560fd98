//! Prune gives up no snapshot for one that cannot be brought back, whoever says that it may.

use windlass::format::check::Level;
use windlass::format::key::NodeKey;
use windlass::format::removal::Removal;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::event::Event;
use windlass::ops::{self, Error, prune, verify};

use crate::prune::last;
use crate::support::node::{Node, tree};
use crate::support::tree::{flip, noise};

/// A node with three snapshots that share little, and no local copy of them; the newest one last.
fn node() -> (Node, Vec<SnapshotId>) {
    let node = Node::with_folder();
    node.init();
    let ids = (1..4)
        .map(|seed| {
            node.write("changing", noise(seed, 400_000));
            node.backup()
        })
        .collect();
    std::fs::remove_dir_all(node.path("local/tree")).unwrap();
    (node, ids)
}

fn prune(node: &Node, keep: u32) -> Result<prune::Outcome, Error> {
    let ctx = node.context();
    prune::run(&ctx, &last(keep), &prune::plan(&ctx, &last(keep))?)
}

fn heads(node: &Node) -> Vec<String> {
    node.objects("node-1/manifests/").into_iter().filter(|key| !key.contains(".body.")).collect()
}

/// Objects of a kind that only the newest snapshot needs.
fn only_of_the_newest(node: &Node, ids: &[SnapshotId], kind: &str, ending: &str) -> Vec<String> {
    let needed = |id: &SnapshotId| {
        let body = node.repository.get(&format!("node-1/manifests/tree/{id}.1.body.jsonl"), 1 << 20).unwrap();
        let lists = windlass::format::body::Body::from_text(&body).unwrap().lists;
        let packs = lists.iter().flat_map(|list| {
            let text = node.repository.get(&NodeKey::PackList(list.list).of(&"node-1".parse().unwrap()).to_string(), 1 << 20).unwrap();
            windlass::format::pack_list::read(&text).unwrap()
        });
        let names: Vec<String> = packs.map(|pack| pack.pack.to_string()).chain(lists.iter().map(|list| list.list.to_string())).collect();
        names
    };
    let others: Vec<String> = ids[..ids.len() - 1].iter().flat_map(needed).collect();
    let own: Vec<String> = needed(ids.last().unwrap()).into_iter().filter(|name| !others.contains(name)).collect();
    let keys = node.objects(&format!("node-1/{kind}/")).into_iter();
    keys.filter(|key| key.ends_with(ending) && own.iter().any(|name| key.contains(name.as_str()))).collect()
}

#[test]
fn a_snapshot_that_lacks_an_object_takes_no_sound_ones_place() {
    for (kind, ending) in [("packs", ".tar.zst"), ("files", ".jsonl.zst")] {
        for cut in [false, true] {
            let (node, ids) = node();
            let key = only_of_the_newest(&node, &ids, kind, ending).remove(0);
            let path = node.path("bucket").join(&key);
            match cut {
                true => std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap(),
                false => std::fs::remove_file(&path).unwrap(),
            }
            let outcome = prune(&node, 1).unwrap();
            let removed: Vec<SnapshotId> = outcome.removed.iter().map(|removed| removed.id).collect();
            assert_eq!(removed, ids[..1], "{key}");
            let to = node.path("fetched");
            let options = ops::fetch::Options { to, ..Default::default() };
            ops::fetch::run(&node.context(), &format!("tree/{}", ids[1]).parse().unwrap(), &options).unwrap();
        }
    }
}

#[test]
fn heads_are_read_from_the_store_before_anything_goes_whatever_the_node_remembers() {
    let (node, ids) = node();
    let key = format!("node-1/manifests/tree/{}.1.json", ids[2]);
    flip(&node.path("bucket").join(&key));
    let before = node.objects("node-1/");
    let error = prune(&node, 1).map(|outcome| panic!("{outcome:?}")).unwrap_err();
    assert!(error.is_damage() && ops::error::chain(&error).contains(&key), "{error}");
    assert_eq!(node.objects("node-1/"), before);
}

#[test]
fn where_every_snapshot_is_damaged_none_goes() {
    let (node, _) = node();
    node.objects("node-1/packs/").iter().for_each(|key| flip(&node.path("bucket").join(key)));
    let options = verify::Options { level: Level::Stored, snapshots: Vec::new(), node: None };
    assert!(!verify::run(&node.context(), &options).unwrap().damage.is_empty());
    assert!(prune(&node, 1).unwrap().removed.is_empty());
    assert_eq!(heads(&node).len(), 3);
}

/// Puts a record there that says a snapshot was removed, as anybody who may write could.
fn say_removed(node: &Node, id: SnapshotId, text: &[u8]) {
    let key = NodeKey::Removed(tree(), id).of(&"node-1".parse().unwrap()).to_string();
    node.repository.create(&key, text.to_vec().into()).unwrap();
}

fn record(id: SnapshotId) -> Vec<u8> {
    let time = "2026-11-23T02:00:00Z".parse().unwrap();
    Removal { format: 1, id, time, why: "somebody says so".into(), by: "node-2".into() }.to_text()
}

#[test]
fn records_of_removals_give_up_neither_the_last_sound_snapshot_nor_a_pinned_one() {
    let (node, ids) = node();
    ids.iter().for_each(|id| say_removed(&node, *id, &record(*id)));
    let ctx = node.context();
    let plan = prune::plan(&ctx, &last(9)).unwrap();
    assert_eq!((plan.begun.len(), plan.contested.len()), (0, 3), "{plan:?}");
    assert!(plan.contested.iter().all(|why| why.contains("no other sound snapshot")), "{plan:?}");
    assert!(prune::run(&ctx, &last(9), &plan).unwrap().removed.is_empty());
    assert_eq!(heads(&node).len(), 3);

    let (node, ids) = self::node();
    ops::pins::set(&node.context(), None, &format!("tree/{}", ids[0]).parse().unwrap(), true, "for the lawyers", false).unwrap();
    say_removed(&node, ids[0], &record(ids[0]));
    say_removed(&node, ids[1], &record(ids[1]));
    let outcome = prune(&node, 9).unwrap();
    assert_eq!(outcome.removed.iter().map(|removed| removed.id).collect::<Vec<_>>(), [ids[1]]);
    assert_eq!(heads(&node).len(), 2);
}

#[test]
fn a_recorded_removal_is_not_ended_where_all_that_would_stay_lacks_something_and_that_is_told() {
    let (node, ids) = node();
    say_removed(&node, ids[0], &record(ids[0]));
    for newest in [2, 1] {
        let key = only_of_the_newest(&node, &ids[..=newest], "files", ".jsonl.zst").remove(0);
        std::fs::remove_file(node.path("bucket").join(key)).unwrap();
    }
    let ctx = node.context();
    let plan = prune::plan(&ctx, &last(9)).unwrap();
    assert!(plan.contested.len() == 1 && plan.contested[0].contains("no other sound snapshot"), "{plan:?}");
    let told = |event: &Event| matches!(event, Event::Warning { message, .. } if *message == plan.contested[0]);
    assert_eq!(node.events.lock().unwrap().iter().filter(|event| told(event)).count(), 1);
    assert!(prune::run(&ctx, &last(9), &plan).unwrap().removed.is_empty());
    assert_eq!(heads(&node).len(), 3);
}

#[test]
fn a_damaged_record_of_a_removal_ends_none() {
    for text in [b"".to_vec(), b"{}".to_vec(), record("20260101T000000000Z".parse().unwrap())] {
        let (node, ids) = node();
        say_removed(&node, ids[0], &text);
        let ctx = node.context();
        let plan = prune::plan(&ctx, &last(9)).unwrap();
        assert!(plan.contested.len() == 1 && plan.contested[0].contains("is damaged"), "{plan:?}");
        assert!(prune::run(&ctx, &last(9), &plan).unwrap().removed.is_empty());
        assert_eq!(heads(&node).len(), 3);
    }
}

#[test]
fn forget_takes_no_copy_that_may_be_the_last_to_hold_all_bytes() {
    let node = Node::with_folder();
    node.init();
    node.write("a", noise(1, 400_000));
    node.backup();
    let id = node.backup();
    node.objects("node-1/packs/").iter().for_each(|key| flip(&node.path("bucket").join(key)));
    let options = verify::Options { level: Level::Stored, snapshots: Vec::new(), node: None };
    assert!(!verify::run(&node.context(), &options).unwrap().damage.is_empty());
    let forget = |even_the_last| {
        let options = ops::forget::Options { shipped: false, even_the_last, ..ops::forget::Options::default() };
        ops::forget::plan(&node.context(), &format!("tree/{id}").parse().unwrap(), &options)
    };
    let error = forget(false).map(|plan| panic!("{plan:?}")).unwrap_err();
    assert!(error.to_string().contains("may be the last that holds all bytes"), "{error}");
    forget(true).unwrap();
}
