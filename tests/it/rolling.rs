//! Rolling verification: within its time every stored byte is read again, what is wrong is found and mended, and nothing is claimed that was not
//! looked at.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use object_store::memory::InMemory;
use windlass::format::check::Level;
use windlass::ops;
use windlass::ops::event::Event;
use windlass::ops::rolling::{Outcome, Rules, read_copy, run};
use windlass::repository::Repository;
use windlass::sys::clock::Clock;

use crate::heal::{heal, verify};
use crate::support::node::{Node, tools, tree};
use crate::support::program::Machine;
use crate::support::store::{Faulty, Op, Trouble};
use crate::support::tree::{flip, noise};

const DAY: Duration = Duration::from_secs(86_400);

fn rules() -> Rules {
    Rules { every: 30 * DAY, bytes: None, time: None, local: true }
}

fn look(node: &Node) -> Outcome {
    run(&node.context(), &rules(), &mut |_| false).unwrap()
}

/// A node with so many packs, and as many file lists or more.
fn filled(node: Node, backups: u64) -> Node {
    node.init();
    for n in 0..backups {
        node.write("file", noise(n, 50_000));
        node.backup();
        node.clock.advance(Duration::from_secs(3600));
    }
    node
}

/// The same over a store that fails on order.
fn over_faulty(backups: u64) -> (Node, Arc<Faulty>) {
    let plain = Node::new();
    let store = Faulty::around(Arc::new(InMemory::new()));
    let repository = Repository::over(store.clone(), "", "memory".into(), tools(plain.clock.clone(), plain.stop.clone()));
    (filled(Node::over(repository, plain.clock.clone(), plain.stop.clone()), backups), store)
}

/// Packs and file lists.
fn data(node: &Node) -> Vec<String> {
    let lists = node.objects("node-1/files/").into_iter().filter(|key| !key.ends_with(".packs.jsonl"));
    node.objects("node-1/packs/").into_iter().chain(lists).collect()
}

fn stored(node: &Node, key: &str) -> PathBuf {
    node.path("bucket").join(key)
}

fn damaged(outcome: &Outcome) -> BTreeSet<String> {
    outcome.damage.iter().map(|damage| damage.object.clone()).collect()
}

#[test]
fn one_bit_in_any_object_is_found_within_the_time_and_no_day_reads_more_than_its_share() {
    for mut node in [Node::with_folder(), Node::encrypted()] {
        node.keep = 6;
        let node = filled(node, 6);
        let objects = data(&node);
        let harmed: BTreeSet<String> = objects.iter().step_by(3).cloned().collect();
        harmed.iter().for_each(|key| flip(&stored(&node, key)));
        let (mut found, mut read, mut parts) = (BTreeSet::new(), 0, 0);
        for day in 0..29 {
            let outcome = look(&node);
            assert!(outcome.parts <= 9 && outcome.coverage.behind == 0, "day {day}: {outcome:?}");
            (read, parts) = (read + outcome.objects, parts + outcome.parts);
            found.extend(damaged(&outcome));
            node.clock.advance(DAY);
        }
        assert_eq!(found, harmed);
        // The last day has begun anew with the parts of the first.
        assert!(parts == 261 && read >= (objects.len() - harmed.len()) as u64, "{parts}, {read}");
        let outcome = look(&node);
        assert!(outcome.damage.is_empty() && outcome.coverage.covered == 256, "{outcome:?}");
        // What it found is what every other verb knows.
        let known = verify(&node, Level::Quick);
        assert_eq!(known.damage.iter().map(|damage| damage.object.clone()).collect::<BTreeSet<_>>(), harmed);
        assert!(known.damage.iter().all(|damage| damage.snapshot.is_some()), "{known:?}");
        heal(&node);
        assert!(verify(&node, Level::Quick).damage.is_empty());
    }
}

#[test]
fn what_was_read_is_known_to_the_machine_that_takes_the_place_of_the_node() {
    let node = filled(Node::with_folder(), 2);
    assert_eq!(look(&node).parts, 9);
    let again = Node::over(node.repository.clone(), node.clock.clone(), node.stop.clone());
    let other = run(&again.context(), &rules(), &mut |_| false).unwrap_err();
    assert!(other.to_string().contains("belongs to another machine"), "{other}");
    ops::init::run(&again.context(), &ops::init::Options { adopt: true, dry_run: false }).unwrap();
    assert_eq!(look(&again).parts, 0);
    node.clock.advance(DAY);
    assert_eq!((look(&again).parts, look(&again).parts), (9, 0));
}

#[test]
fn a_ledger_that_is_damaged_is_told_and_the_one_before_it_counts() {
    let node = filled(Node::with_folder(), 2);
    look(&node);
    node.clock.advance(DAY);
    look(&node);
    let ledgers = node.objects("node-1/coverage/");
    // One before anything is read, which shows that it may be written, and one after.
    assert_eq!(ledgers.len(), 4);
    flip(&stored(&node, &ledgers[3]));
    let outcome = look(&node);
    assert_eq!((outcome.parts, outcome.coverage.covered), (9, 18), "{outcome:?}");
    let told =
        node.events.lock().unwrap().iter().any(|event| matches!(event, Event::Warning { message, .. } if message.contains(&ledgers[3])));
    assert!(told);
    assert_eq!(verify(&node, Level::Full).damage[0].object, ledgers[3]);
}

#[test]
fn what_a_clock_that_was_ahead_has_noted_keeps_nothing_from_being_read() {
    let node = filled(Node::with_folder(), 1);
    look(&node);
    let now = node.clock.now();
    node.clock.set(now + SignedDuration::from_hours(24 * 400));
    assert!(look(&node).parts >= 256, "all of it is late by that clock");
    node.clock.set(now + SignedDuration::from_hours(25));
    let outcome = look(&node);
    assert_eq!((outcome.parts, outcome.coverage.covered), (9, 9), "{outcome:?}");
}

#[test]
fn damage_that_cannot_be_recorded_is_not_covered_either() {
    let (node, store) = over_faulty(4);
    let all = Rules { every: 2 * DAY, ..rules() };
    store.always(Op::Put, Trouble::Answer(403, "AccessDenied"));
    // Nothing is wrong, but that it was looked at cannot be kept.
    run(&node.context(), &all, &mut |_| false).unwrap_err();
    assert_eq!(node.objects("node-1/coverage/"), [""; 0]);
    // A read that is cut short is damage as far as anybody can see.
    store.always(Op::Get, Trouble::Cut(100));
    assert!(run(&node.context(), &all, &mut |_| false).is_err());
    store.always(Op::Get, Trouble::Nothing);
    store.always(Op::Put, Trouble::Nothing);
    assert_eq!(run(&node.context(), &all, &mut |_| false).unwrap().parts, 256);
}

#[test]
fn an_object_that_cannot_be_read_leaves_its_part_uncovered_and_the_others_are_read() {
    let (node, store) = over_faulty(1);
    let all = Rules { every: 2 * DAY, ..rules() };
    // The marker and the node's file come first, and that there is no higher one; then what is read is a pack or a list.
    store.next(Op::Get, [Trouble::Nothing, Trouble::Nothing, Trouble::Nothing, Trouble::Answer(400, "InvalidObjectState")]);
    let outcome = run(&node.context(), &all, &mut |_| false).unwrap();
    assert_eq!((outcome.parts, outcome.coverage.covered, outcome.damage.len()), (255, 255, 0), "{outcome:?}");
    assert_eq!(run(&node.context(), &all, &mut |_| false).unwrap().parts, 1);
}

#[test]
fn whoever_has_something_better_to_do_leaves_a_part_and_keeps_what_was_read_before() {
    let node = filled(Node::with_folder(), 3);
    let all = Rules { every: 2 * DAY, ..rules() };
    let mut asked = 0;
    let outcome = run(&node.context(), &all, &mut |_| {
        asked += 1;
        asked > 100
    });
    let outcome = outcome.unwrap();
    assert!(outcome.gave_way && outcome.parts > 20 && outcome.parts < 256, "{outcome:?}");
    let rest = run(&node.context(), &all, &mut |_| false).unwrap();
    assert_eq!((outcome.parts + rest.parts, rest.gave_way), (256, false));
    assert_eq!(outcome.objects + rest.objects, data(&node).len() as u64);
}

#[test]
fn of_four_copies_one_is_read_a_day_and_a_flipped_bit_is_found_and_mended() {
    let node = filled(Node::with_folder(), 4);
    let copies = node.copies();
    flip(&node.path(format!("local/tree/{}/data/file", copies[2])));
    node.clock.advance(DAY);
    let (mut read, mut found) = (Vec::new(), None);
    for _ in 0..4 {
        while let Some(copy) = read_copy(&node.context(), &rules(), &tree()).unwrap() {
            found = found.or((!copy.damage.is_empty()).then_some((copy.id, read.len())));
            read.push(copy.id);
        }
        node.clock.advance(DAY);
    }
    assert_eq!(found, Some((copies[2], 2)));
    assert_eq!(read[..3], copies[..3]);
    let outcome = heal(&node);
    assert_eq!((outcome.copies.len(), outcome.copies[0].id), (1, copies[2]), "{outcome:?}");
    let never = Rules { local: false, ..rules() };
    node.clock.advance(40 * DAY);
    assert!(read_copy(&node.context(), &never, &tree()).unwrap().is_none());
}

#[test]
fn pruning_leaves_the_last_eight_ledgers() {
    let node = filled(Node::with_folder(), 1);
    for _ in 0..12 {
        look(&node);
        node.clock.advance(DAY);
    }
    let before = node.objects("node-1/coverage/");
    assert_eq!(before.len(), 24);
    let (ctx, options) = (node.context(), ops::prune::Options::default());
    ops::prune::plan(&ctx, &options).and_then(|plan| ops::prune::run(&ctx, &options, &plan)).unwrap();
    assert_eq!(node.objects("node-1/coverage/"), before[16..]);
    assert_eq!(look(&node).coverage.covered, 117);
}

#[test]
fn the_command_reads_a_days_share_and_damage_is_found_once_it_is_its_turn() {
    let machine = Machine::initialised();
    machine.configure_again("[verify]\nevery = \"2d\"\n");
    machine.write("a", noise(1, 100_000));
    machine.run(&["backup", "--all"]).expect(0);
    let document = machine.json(&["verify", "--rolling"], 0);
    assert_eq!(
        (&document["schema"], &document["parts"], &document["coverage"]["covered"]),
        (&"windlass.verify-rolling/1".into(), &256.into(), &256.into())
    );
    let cluster = machine.json(&["status", "--cluster"], 0);
    assert_eq!(cluster["nodes"][0]["coverage"]["covered"], 256, "{cluster:#}");
    let run = machine.run(&["verify", "--rolling"]);
    assert!(run.expect(0).stdout.contains("nothing is due today; 256 of 256 parts were read within 2 days"), "{run:#?}");
    machine.run(&["verify", "--rolling", "--full"]).expect(2);
    machine.configure_again("[verify]\nevery = \"never\"\n");
    assert!(machine.run(&["verify", "--rolling"]).expect(2).stderr.contains("every = \"never\""));
    machine.configure_again("[verify]\nevery = \"1d\"\nbytes = \"0MiB\"\n");
    let told = machine.run(&["config", "check"]);
    assert!(told.expect(2).stdout.contains("give from 2d to 366d") && told.stdout.contains("nothing would ever be read"), "{told:#?}");
}

#[test]
fn a_node_that_does_not_come_round_is_unhealthy_for_whoever_looks_at_the_repository() {
    let node = filled(Node::with_folder(), 1);
    node.clock.set(jiff::Timestamp::now() - SignedDuration::from_hours(24 * 31));
    run(&node.context(), &Rules { bytes: Some(1), every: 2 * DAY, ..rules() }, &mut |_| false).unwrap();
    node.clock.set(jiff::Timestamp::now());
    node.backup();
    let outcome = ops::cluster::run(&node.context(), &[]).unwrap();
    let covered = outcome.nodes[0].coverage.as_ref().unwrap();
    assert!(covered.behind > 0 && !outcome.healthy, "{outcome:?}");
    assert!(outcome.nodes[0].wrong[0].contains("were not read again within 2 days"), "{outcome:?}");
}
