//! Dead bytes: what `stats --waste` counts is what no snapshot refers to, no matter where in a pack it lies.

use std::fs;

use windlass::ops::prune;
use windlass::ops::retention::Retention;
use windlass::ops::stats::{self, Outcome};

use crate::support::node::Node;
use crate::support::program::Machine;
use crate::support::tree::noise;

/// What a blob's header and what fills its frame up cost at most, and the head of a frame.
const FRAMING: u64 = 2048;

fn dead(node: &Node) -> Outcome {
    stats::run(&node.context(), &stats::Options { dead: true, ..stats::Options::default() }).unwrap()
}

/// Removes all snapshots but the newest.
fn keep_the_newest(node: &Node) {
    let retention = Some(Retention { last: 1, ..Retention::default() });
    let (ctx, options) = (node.context(), prune::Options { retention, ..prune::Options::default() });
    prune::run(&ctx, &options, &prune::plan(&ctx, &options).unwrap()).unwrap();
}

fn is_about(bytes: u64, expected: u64) {
    assert!(bytes.abs_diff(expected) <= FRAMING, "{bytes} bytes, {expected} were expected");
}

#[test]
fn what_changed_is_dead_in_the_pack_that_the_rest_still_needs() {
    // Before, between and behind what stays: behind the last blob in use only the frame itself tells how long it is.
    for changing in [&["a"][..], &["b"], &["c"], &["b", "c"]] {
        let node = Node::new();
        for (seed, name) in ["a", "b", "c", "d-is-small"].iter().enumerate() {
            node.write(name, noise(seed as u64, if seed == 3 { 100 } else { 300_000 }));
        }
        node.init();
        fs::remove_file(node.path("tree/d-is-small")).unwrap();
        node.backup();
        for name in changing {
            node.write(name, noise(9, 300_000 + name.len()));
        }
        node.backup();
        assert_eq!(dead(&node).dead.unwrap().bytes, 0, "the first snapshot refers to it");
        keep_the_newest(&node);
        let outcome = dead(&node);
        let found = outcome.dead.unwrap();
        is_about(found.bytes, 300_000 * changing.len() as u64);
        assert_eq!((outcome.sources[0].dead, found.shared, found.at_least), (Some(found.bytes), 0, false), "{changing:?}");
        assert_eq!(stats::run(&node.context(), &stats::Options::default()).unwrap().dead, None, "only where it is asked for");
    }
}

#[test]
fn frames_that_nothing_refers_to_are_dead_whole() {
    let node = Node::new();
    for seed in 0..9 {
        node.write(&format!("{seed}"), noise(seed, 1 << 20));
    }
    node.init();
    node.backup();
    for seed in 3..7 {
        node.write(&format!("{seed}"), noise(seed + 50, 1 << 20));
    }
    node.backup();
    keep_the_newest(&node);
    is_about(dead(&node).dead.unwrap().bytes, 4 << 20);
}

#[test]
fn a_list_that_cannot_be_read_leaves_it_unknown_rather_than_wrong() {
    let node = Node::with_folder();
    node.write("a", noise(1, 200_000));
    node.init();
    node.backup();
    let list = node.objects("node-1/files/").into_iter().find(|key| key.ends_with(".jsonl.zst")).unwrap();
    fs::write(node.path("bucket").join(&list), "other bytes").unwrap();
    let outcome = dead(&node);
    assert!(outcome.dead.is_none() && outcome.dead_unknown.unwrap().contains(&list));
    assert!(outcome.live.bytes > 200_000, "what is live is known all the same");
}

#[test]
fn in_an_encrypted_repository_it_is_known_to_who_holds_the_identity() {
    let mut node = Node::encrypted();
    node.write("a", noise(1, 300_000));
    node.write("b", noise(2, 300_000));
    node.init();
    node.backup();
    assert_eq!(dead(&node).dead.unwrap().bytes, 0);
    // The frame that is in use in part ends with what is in use.
    node.write("a", noise(3, 300_000));
    node.backup();
    keep_the_newest(&node);
    let found = dead(&node).dead.unwrap();
    is_about(found.bytes, 300_000);
    assert!(found.at_least);
    node.identity = None;
    let outcome = dead(&node);
    assert!(outcome.dead.is_none() && outcome.dead_unknown.unwrap().contains("no identity at hand"));
}

#[test]
fn the_program_says_it_in_words_for_each_source() {
    let machine = Machine::new();
    let zoo = machine.path("zoo");
    fs::create_dir(&zoo).unwrap();
    fs::write(zoo.join("quiet"), noise(20, 1000)).unwrap();
    let machine = machine.configured(&format!("[directory.zoo]\npath = \"{}\"\n[retention]\nlast = 1\n", zoo.display()));
    machine.run(&["init"]).expect(0);
    for seed in [1, 2] {
        machine.write("kept", noise(9, 500_000));
        machine.write("changing", noise(seed, 500_000));
        machine.run(&["backup", "--all"]).expect(0);
    }
    machine.run(&["prune", "--yes"]).expect(0);
    let run = machine.run(&["stats", "--waste"]);
    assert!(run.expect(0).stdout.contains("dead      489.0 KiB within what is live (tree 489.0 KiB)\n"), "{run:#?}");
    assert!(!machine.run(&["stats"]).stdout.contains("dead"));
    let document = machine.json(&["stats", "--waste"], 0);
    let of_sources: Vec<u64> = document["sources"].as_array().unwrap().iter().map(|source| source["dead"].as_u64().unwrap()).collect();
    assert_eq!(of_sources, [document["dead"]["bytes"].as_u64().unwrap(), 0]);
}
