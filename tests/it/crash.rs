//! A store that dies at request k, for every k: nothing half done is ever seen, nothing older is harmed, and the next run goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass::format::snapshot_id::SnapshotId;
use windlass::ops;
use windlass::ops::origin::Origin;
use windlass::ops::restore;
use windlass::ops::snapshots::{Place, View};
use windlass::sys::random::{Random, SeededRandom};

use crate::support::dying::{Death, Dying};
use crate::support::listing::{Listing, assert_same};
use crate::support::node::{Node, identity, tree};
use crate::support::odd::text;

/// A run is over long before so many requests.
const REQUESTS_MAX: usize = 200;

/// A node and the store that its repository lies in.
fn node() -> (Node, Arc<Dying>) {
    let (node, store) = Dying::node();
    node.write("kept", text(70_000));
    node.write("folder/b", b"b");
    (node, store)
}

fn objects(node: &Node) -> BTreeMap<String, bytes::Bytes> {
    node.objects("").into_iter().map(|key| (key.clone(), node.repository.get(&key, 1 << 30).unwrap())).collect()
}

fn shipped(node: &Node) -> Vec<SnapshotId> {
    let view = View::read(&node.context(), None, None).unwrap();
    assert!(view.unreachable.is_none() && view.findings.is_empty(), "{:?} {:?}", view.unreachable, view.findings);
    view.rows.iter().map(Result::unwrap).filter(|row| row.place != Place::Local).map(|row| row.id).collect()
}

fn comes_back(node: &Node, id: SnapshotId, expected: &Listing) {
    let fetched = node.fetch(id).unwrap();
    assert_same(expected, &Listing::of(&fetched));
    windlass::sys::tree::remove_tree(&fetched).unwrap();
}

/// Ships so many new snapshots at once against a store that dies at ever later requests, until it lives long enough.
fn ship_until_it_lives((node, store): (Node, Arc<Dying>), death: Death, snapshots: usize) -> usize {
    node.init();
    let mut taken = vec![(node.backup(), Listing::of(&node.path("tree")))];
    for k in 0..REQUESTS_MAX {
        for n in 0..snapshots {
            node.write(&format!("new/{n}"), text(2000 + 2 * k + n));
            taken.push((node.snapshot(), Listing::of(&node.path("tree"))));
        }
        let before = objects(&node);
        let known = shipped(&node);
        store.die_after(k, death);
        let outcome = ops::ship::run(&node.context(), &tree(), &ops::ship::Options::default()).and_then(ops::ship::Outcome::complete);
        let died = store.revive();
        assert!(outcome.is_err() || !died, "{death:?} {k}: a run that met a dead store says that it succeeded");
        assert!(outcome.is_ok() || died, "{death:?} {k}: {outcome:?}");

        let after = objects(&node);
        assert!(before.iter().all(|(key, bytes)| after.get(key) == Some(bytes)), "{death:?} {k}: an object was changed");
        let now = shipped(&node);
        assert!(now.starts_with(&known), "{death:?} {k}: an older snapshot has gone");
        for id in &now[known.len()..] {
            let (_, listing) = taken.iter().find(|(taken, _)| taken == id).expect("only what was taken is listed");
            comes_back(&node, *id, listing);
        }
        ops::ship::run(&node.context(), &tree(), &ops::ship::Options::default()).unwrap();
        assert_eq!(shipped(&node), taken.iter().map(|(id, _)| *id).collect::<Vec<_>>(), "{death:?} {k}");
        taken.last().iter().for_each(|(id, listing)| comes_back(&node, *id, listing));
        if !died {
            taken.iter().rev().take(5).for_each(|(id, listing)| comes_back(&node, *id, listing));
            return k;
        }
    }
    panic!("a shipment takes more than {REQUESTS_MAX} requests");
}

#[test]
fn a_shipment_that_dies_at_any_request_leaves_whole_snapshots_or_none() {
    let requests = ship_until_it_lives(node(), Death::AtRequest, 1);
    assert!(requests > 15, "every request of a shipment was met, {requests}");
}

#[test]
fn a_shipment_whose_create_is_done_but_never_answered_leaves_whole_snapshots_or_none() {
    let creates = ship_until_it_lives(node(), Death::AfterCreate, 2);
    assert!(creates >= 10, "a pack, a list with its pack list and a manifest of each snapshot, {creates}");
}

#[test]
fn an_encrypted_shipment_that_dies_anywhere_leaves_whole_snapshots_or_none() {
    for (death, snapshots) in [(Death::AtRequest, 1), (Death::AfterCreate, 2)] {
        let (mut node, store) = node();
        let (identity, recipient) = identity();
        (node.identity, node.encrypt_to) = (Some(identity), vec![recipient]);
        assert!(ship_until_it_lives((node, store), death, snapshots) >= 10);
    }
}

/// What has been accepted is not sent again.
#[test]
fn a_broken_shipment_of_several_packs_goes_on_where_it_stopped() {
    let (node, store) = node();
    let mut noise = vec![0; 24 << 20];
    SeededRandom::new(1).fill(&mut noise);
    node.write("large", &noise);
    node.init();
    node.snapshot();
    store.die_after(1, Death::AfterCreate);
    ops::ship::run(&node.context(), &tree(), &ops::ship::Options::default()).unwrap_err();
    assert!(store.revive());
    let packs = node.objects("node-1/packs/");
    assert_eq!(packs.len(), 2, "the answer for the second is lost");
    ops::ship::run(&node.context(), &tree(), &ops::ship::Options::default()).unwrap();
    let now = node.objects("node-1/packs/");
    // The node knows of one; the other lies there unknown, and its content is stored anew.
    assert!(packs.iter().all(|pack| now.contains(pack)));
    assert_eq!(now.len(), 3);
    comes_back(&node, shipped(&node)[0], &Listing::of(&node.path("tree")));
}

#[test]
fn an_init_that_dies_at_any_request_can_be_made_again() {
    for death in [Death::AtRequest, Death::AfterCreate] {
        for k in 0.. {
            let (node, store) = node();
            store.die_after(k, death);
            let outcome = ops::init::run(&node.context(), &ops::init::Options::default());
            let died = store.revive();
            // The probe only looks at what the store can do, and may go on without an answer.
            assert!(outcome.is_err() || node.objects("node-1/").len() == 1, "{death:?} {k}");
            node.init();
            assert_eq!(node.objects("node-1/"), ["node-1/node.1.json"]);
            if !died {
                comes_back(&node, node.backup(), &Listing::of(&node.path("tree")));
                break;
            }
        }
    }
}

#[test]
fn a_fetch_that_dies_at_any_request_leaves_nothing() {
    let (node, store) = node();
    node.init();
    let id = node.backup();
    let listing = Listing::of(&node.path("tree"));
    for k in 0..REQUESTS_MAX {
        let place = node.path("place");
        std::fs::create_dir(&place).unwrap();
        let options = ops::fetch::Options { to: place.join("to"), from: vec![Origin::Repository], ..Default::default() };
        store.die_after(k, Death::AtRequest);
        let outcome = ops::fetch::run(&node.context(), &format!("tree/{id}").parse().unwrap(), &options);
        let died = store.revive();
        assert_eq!(outcome.is_err(), died, "{k}: {outcome:?}");
        if !died {
            return assert_same(&listing, &Listing::of(&place.join("to")));
        }
        std::fs::remove_dir(&place).expect("nothing is left beside the folder that was asked for");
    }
    panic!("a fetch takes more than {REQUESTS_MAX} requests");
}

#[test]
fn a_restore_that_dies_at_any_request_leaves_the_source_as_it_was() {
    let (node, store) = node();
    node.init();
    let id = node.backup();
    let snapshot = Listing::of(&node.path("tree"));
    node.write("kept", b"changed since");
    node.write("stranger", b"written since");
    let live = Listing::of(&node.path("tree"));
    let options = restore::Options { from: vec![Origin::Repository], ..Default::default() };
    let try_it = || {
        let plan = restore::plan(&node.context(), &format!("tree/{id}").parse().unwrap(), &options)?;
        restore::run(&node.context(), &plan, None)
    };
    let beside = || std::fs::read_dir(node.temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let names = beside();
    for k in 0..REQUESTS_MAX {
        store.die_after(k, Death::AtRequest);
        let outcome = try_it();
        let died = store.revive();
        assert_eq!(outcome.is_err(), died, "{k}: {outcome:?}");
        if !died {
            assert_same(&snapshot, &Listing::of(&node.path("tree")));
            let undo = restore::plan_undo(&node.context(), &tree()).unwrap();
            restore::undo(&node.context(), &undo, None).unwrap();
            return assert_same(&live, &Listing::of(&node.path("tree")));
        }
        assert_same(&live, &Listing::of(&node.path("tree")));
        assert_eq!(beside(), names, "{k}: nothing is left beside the source");
    }
    panic!("a restore takes more than {REQUESTS_MAX} requests");
}
