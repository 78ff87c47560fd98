//! Prune beside everything else, without a lock: two ships, two prunes and a fetch in any order, killed and stopped at any request, with
//! pauses longer than marks last. What the store lists is whole after every single request, and waste is gone in the end.

use std::sync::atomic::Ordering;

use windlass::ops::{self, Error, ship};
use windlass::sys::random::{Random, SeededRandom};

use crate::support::kill::Chance;
use crate::support::node::tree;
use crate::support::store::Op;
use crate::support::world::{Process, World, other};

/// What a run that nobody killed may say in such a world: all but damage.
fn is_fine(what: &str, outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        assert!(!error.is_damage(), "{what}: {}", ops::error::chain(&error));
    }
}

struct Dice(SeededRandom);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % most
    }
}

fn play(seed: u64, overwrites: bool) {
    let mut world = World::new();
    world.store.overwrites.store(overwrites, Ordering::Relaxed);
    let mut dice = Dice(SeededRandom::new(seed));
    let mut running: Vec<Option<Process>> = (0..5).map(|_| None).collect();
    let sources = [tree(), other()];
    for source in &sources {
        world.backup(source);
    }
    for step in 0..400 {
        let which = dice.below(running.len());
        let Some(process) = &running[which] else {
            running[which] = Some(match which {
                0 | 1 => {
                    let source = &sources[which];
                    // Now and then the same again, so that everything is to be taken from what is there.
                    if dice.below(3) > 0 {
                        world.change(source);
                    }
                    world.snapshot(source);
                    world.ship(source)
                }
                2 | 3 => world.prune(u32::try_from(dice.below(3) + 1).unwrap()),
                _ => world.fetch(&sources[dice.below(2)], step),
            });
            continue;
        };
        match dice.below(60) {
            0 => running[which].take().unwrap().kill(false),
            1 => running[which].take().unwrap().kill(true),
            2 => world.pause(),
            3 => {
                // The node goes on from what it shipped last, also when that was removed: so shipments are led into temptation.
                if let Some((source, id)) = world.check("before it is forgotten").pop() {
                    world.forget(&source, id);
                }
            }
            _ => {
                // Several in a row, so that runs also get somewhere.
                for _ in 0..=dice.below(8) {
                    let Some((op, key)) = process.gate.step() else {
                        let process = running[which].take().unwrap();
                        is_fine(process.what, process.thread.join().unwrap());
                        break;
                    };
                    if matches!(op, Op::Put | Op::Delete) {
                        world.check(&format!("{} {op:?} {key}", process.what));
                    }
                }
            }
        }
    }
    for process in running.into_iter().flatten() {
        if dice.below(2) == 0 {
            process.kill(dice.below(2) == 0);
        } else {
            is_fine(process.what, process.end());
        }
        world.check("the last ones");
    }
    world.ends_clean();
}

#[test]
fn whatever_runs_beside_prune_no_listed_snapshot_ever_lacks_an_object_and_waste_goes() {
    let seed = Chance::new().seed;
    for round in 0..8 {
        println!("round {round}");
        play(seed.wrapping_add(round), false);
    }
}

#[test]
fn the_same_holds_on_a_store_that_lets_objects_be_written_over() {
    let seed = Chance::new().seed;
    for round in 0..4 {
        println!("round {round}");
        play(seed.wrapping_add(round), true);
    }
}

#[test]
fn a_snapshot_that_comes_and_goes_while_prune_looks_is_no_loss() {
    // Whichever of its listings of the manifests was the last one that does not have it.
    for listings in 1..=3 {
        for stop_at in 0.. {
            let mut world = World::new();
            for source in [tree(), other(), tree()] {
                world.backup(&source);
            }
            let prune = world.prune(2);
            for _ in 0..listings {
                while prune.gate.step().unwrap() != (Op::List, "node-1/manifests".to_owned()) {}
            }
            let id = world.backup(&tree());
            ops::snapshots::View::read(&world.node.context(), None, None).unwrap();
            let is_over = (0..stop_at).any(|_| prune.gate.step().is_none());
            world.forget(&tree(), id);
            is_fine("prune", prune.end());
            world.check("prune");
            if is_over {
                break;
            }
        }
    }
}

/// A world in which the next shipment would like to use packs and lists that nothing needs any more.
fn tempting() -> World {
    let mut world = World::new();
    for source in [tree(), other()] {
        world.backup(&source);
    }
    let id = world.backup(&tree());
    world.backup(&other());
    let first = world.taken.lock().unwrap().keys().find(|(source, _)| *source == tree()).unwrap().1;
    for id in [id, first] {
        world.forget(&tree(), id);
    }
    world.snapshot(&tree());
    world
}

/// How far a shipment has come when prune begins.
#[derive(Clone, Copy, Debug)]
enum When {
    /// It begins while prune stands still. What it would like to use was marked long ago.
    MarkedBefore,
    /// The same, and nothing was marked.
    NothingMarked,
    /// It has looked at marks and listing, and is about to write the body. Then what it uses was marked, long ago for the store.
    MarkedMeanwhile,
}

#[test]
fn a_prune_that_stands_still_at_any_request_while_a_shipment_comes_takes_nothing_that_it_needs() {
    for when in [When::MarkedBefore, When::NothingMarked, When::MarkedMeanwhile] {
        for stop_at in 0.. {
            let mut world = tempting();
            let is_body = |(op, key): (Op, String)| op == Op::Put && key.ends_with(".body.jsonl");
            let ship = world.ship(&tree());
            while matches!(when, When::MarkedMeanwhile) && !is_body(ship.gate.next().expect("it has a body")) {
                ship.gate.step();
            }
            if !matches!(when, When::NothingMarked) {
                world.prune(9).end().unwrap();
                assert!(!world.node.objects("node-1/prune/").is_empty(), "{when:?}");
                world.pause();
            }
            let prune = world.prune(9);
            let _ = (0..stop_at).take_while(|_| prune.gate.step().is_some()).count();
            let ended = prune.gate.next().is_none();
            ship.end().unwrap();
            world.check("the shipment is done");
            prune.end().unwrap();
            world.check("the prune has ended");
            // What was marked by that prune comes up now.
            prune_twice(&world);
            if stop_at % 8 == 0 || ended {
                world.ends_clean();
            }
            if ended {
                assert!(stop_at > 15, "every request was met, {stop_at}");
                break;
            }
        }
    }
}

fn prune_twice(world: &World) {
    for _ in 0..2 {
        world.prune(9).end().unwrap();
        world.check("a prune beside a ship that stands still");
        world.pause();
    }
    world.prune(9).end().unwrap();
}

#[test]
fn a_shipment_that_stands_still_at_any_request_for_longer_than_marks_last_never_commits_what_lacks_an_object() {
    for after in [None, Some(false), Some(true)] {
        for stop_at in 0.. {
            let mut world = tempting();
            let ship = world.ship(&tree());
            let _ = (0..stop_at).take_while(|_| ship.gate.step().is_some()).count();
            let ended = ship.gate.next().is_none();
            prune_twice(&world);
            match after {
                Some(after) => ship.kill(after),
                None => ship.end().unwrap(),
            }
            assert!(world.check("it went on").len() >= 2);
            if stop_at % 4 == 0 || ended {
                world.ends_clean();
            }
            if ended {
                assert!(stop_at > 10, "every request was met, {stop_at}");
                break;
            }
        }
    }
}

#[test]
fn two_prunes_at_once_that_are_killed_at_any_request_take_nothing_that_is_needed() {
    for kill_at in (0..).step_by(2) {
        let mut world = World::new();
        for _ in 0..3 {
            for source in [tree(), other()] {
                world.backup(&source);
            }
        }
        // So that there is something to mark and something to delete.
        world.prune(2).end().unwrap();
        world.pause();
        for source in [tree(), other()] {
            world.backup(&source);
        }
        let [one, two] = [world.prune(2), world.prune(1)];
        let mut ended = false;
        for step in 0..=kill_at {
            let process = if step % 2 == 0 { &one } else { &two };
            ended = process.gate.step().is_none();
            // What was met on the way to an earlier kill was looked at then.
            if step + 2 > kill_at {
                world.check("two prunes");
            }
        }
        one.kill(kill_at % 3 == 0);
        is_fine("the other", two.end());
        world.check("one was killed");
        if kill_at % 8 == 0 || ended {
            world.ends_clean();
        }
        if ended {
            assert!(kill_at > 20, "every request was met, {kill_at}");
            return;
        }
    }
}

/// The body of a shipment that was broken off is waste; the one that takes its place is not, though its snapshot is the same.
#[test]
fn a_prune_that_stands_still_before_it_deletes_a_body_does_not_meet_a_newer_one_under_its_key() {
    let mut world = World::new();
    for source in [tree(), other()] {
        world.backup(&source);
    }
    world.change(&tree());
    let id = world.snapshot(&tree());
    let ship = world.ship(&tree());
    let body = |key: &str| key.contains(&format!("{id}.")) && key.ends_with("body.jsonl");
    while !ship.gate.step().is_some_and(|(op, key)| op == Op::Put && body(&key)) {}
    ship.kill(false);
    world.backup(&other());
    let slow = world.prune(9);
    while !slow.gate.next().is_some_and(|(op, key)| op == Op::Delete && body(&key)) {
        slow.gate.step().expect("the body is waste");
    }
    world.prune(9).end().unwrap();
    ship::run(&world.node.context(), &tree(), &ship::Options::default()).unwrap();
    slow.end().unwrap();
    assert!(world.check("the slow prune has ended").contains(&(tree(), id)));
}

#[test]
fn a_list_that_only_a_manifest_without_a_head_lacks_is_no_damage() {
    let mut world = World::new();
    for source in [tree(), other(), tree()] {
        world.backup(&source);
    }
    let before = world.node.objects("node-1/files/");
    world.change(&tree());
    world.snapshot(&tree());
    let ship = world.ship(&tree());
    ship.until(Op::Put, ".body.jsonl");
    ship.kill(true);
    let lists = world.node.objects("node-1/files/").into_iter().filter(|key| !before.contains(key) && key.ends_with(".packs.jsonl"));
    let lists: Vec<String> = lists.collect();
    assert_eq!(lists.len(), 1, "{lists:?}");
    world.raw.delete(&lists[0]).unwrap();
    // One that removes a snapshot, and one that has none to remove.
    world.prune(1).end().unwrap();
    world.prune(9).end().unwrap();
    world.check("the prunes");
    world.ends_clean();
}

#[test]
fn a_snapshot_that_is_removed_while_it_is_read_is_gone_and_not_damaged() {
    let mut requests = 0;
    for stop_at in 0.. {
        let mut world = World::new();
        world.backup(&tree());
        let id = world.backup(&tree());
        let fetch = world.fetch(&tree(), 0);
        let steps = (0..stop_at).take_while(|_| fetch.gate.step().is_some()).count();
        let ended = fetch.gate.next().is_none();
        // Removed, and its packs as well.
        world.forget(&tree(), id);
        world.backup(&other());
        prune_twice(&world);
        let outcome = fetch.end();
        match &outcome {
            Ok(()) => {}
            Err(Error::Absent(_)) => {}
            Err(error) => panic!("{steps}: {}", ops::error::chain(error)),
        }
        requests += 1;
        if ended {
            break;
        }
    }
    assert!(requests > 6, "every request was met, {requests}");
}

#[test]
fn a_snapshot_that_is_removed_after_it_was_listed_is_no_finding() {
    for stop_at in 0.. {
        let mut world = World::new();
        let first = world.backup(&tree());
        let second = world.backup(&tree());
        std::fs::remove_dir_all(world.node.path("local/.windlass/heads")).unwrap();
        let list = world.start("list", move |ctx, _| {
            let view = ops::snapshots::View::read(ctx, None, None)?;
            assert!(view.findings.is_empty(), "{:#?}", view.findings);
            assert!(view.rows.iter().map(Result::unwrap).any(|row| row.id == second && row.stored_bytes.is_some()), "{view:#?}");
            Ok(())
        });
        let _ = (0..stop_at).take_while(|_| list.gate.step().is_some()).count();
        let ended = list.gate.next().is_none();
        world.forget(&tree(), first);
        list.end().unwrap();
        if ended {
            assert!(stop_at > 2, "every request was met, {stop_at}");
            return;
        }
    }
}

#[test]
fn a_listing_during_which_a_snapshot_is_written_or_removed_finds_no_damage() {
    for stop_at in 0.. {
        let mut world = World::new();
        world.node.write("only-in-this-one", b"x");
        let first = world.backup(&tree());
        world.backup(&tree());
        std::fs::remove_dir_all(world.node.path("local/.windlass/heads")).unwrap();
        let verify = world.start("verify", |ctx, _| {
            let options = ops::verify::Options { level: windlass::format::check::Level::Full, snapshots: Vec::new(), node: None };
            let outcome = ops::verify::run(ctx, &options)?;
            assert!(outcome.damage.is_empty() && outcome.unexpected.is_empty(), "{outcome:#?}");
            Ok(())
        });
        let _ = (0..stop_at).take_while(|_| verify.gate.step().is_some()).count();
        let ended = verify.gate.next().is_none();
        world.forget(&tree(), first);
        world.backup(&other());
        prune_twice(&world);
        verify.end().unwrap();
        if ended {
            assert!(stop_at > 10, "every request was met, {stop_at}");
            return;
        }
    }
}
