//! Shipping: what travels, what does not, and what a broken run leaves.

use std::time::Duration;

use windlass::ops;

use crate::support::node::{Node, tree};
use crate::support::tree::noise;

fn ship(node: &Node) -> Vec<ops::ship::Shipment> {
    ops::ship::run(&node.context(), &tree(), &ops::ship::Options::default()).unwrap().complete().unwrap()
}

#[test]
fn an_unchanged_source_ships_again_without_storing_anything() {
    let node = Node::new();
    node.write("a", noise(1, 3 << 20));
    node.write("b/c", b"small");
    node.init();
    node.backup();
    let before = keys(&node);
    node.clock.advance(Duration::from_secs(3600));
    node.snapshot();
    let shipped = ship(&node);
    assert_eq!((shipped.len(), shipped[0].added_bytes), (1, 0));
    let new: Vec<String> = keys(&node).into_iter().filter(|key| !before.contains(key)).collect();
    assert_eq!(new.len(), 2, "a body and a head only: {new:?}");
}

#[test]
fn a_large_file_with_a_changed_spot_ships_only_what_is_around_it() {
    let node = Node::new();
    let mut bytes = noise(2, 24 << 20);
    node.write("database", &bytes);
    node.init();
    node.backup();
    bytes[11 << 20] ^= 1;
    bytes.splice((5 << 20)..(5 << 20), *b"an inserted row");
    node.write("database", &bytes);
    node.clock.advance(Duration::from_secs(60));
    node.snapshot();
    let shipped = ship(&node);
    assert!(shipped[0].added_bytes < 3 << 20, "{}", shipped[0].added_bytes);
    assert!(shipped[0].stored_bytes > 24 << 20);
}

#[test]
fn a_renamed_file_and_a_second_copy_of_it_are_not_stored_again() {
    let node = Node::new();
    node.write("a", noise(3, 4 << 20));
    node.init();
    node.backup();
    std::fs::rename(node.path("tree/a"), node.path("tree/b")).unwrap();
    node.write("c", noise(3, 4 << 20));
    node.snapshot();
    assert!(ship(&node)[0].added_bytes < 100_000);
}

#[test]
fn all_copies_that_were_not_shipped_are_shipped_oldest_first() {
    let node = Node::new();
    node.write("a", b"1");
    node.init();
    let ids = [node.snapshot(), node.snapshot(), node.snapshot()];
    let shipped: Vec<_> = ship(&node).iter().map(|shipment| shipment.id).collect();
    assert_eq!(shipped, ids);
    assert!(ship(&node).is_empty());
}

#[test]
fn losing_the_cache_costs_a_full_ship_and_nothing_else() {
    let node = Node::new();
    node.write("a", noise(4, 2 << 20));
    node.init();
    node.backup();
    std::fs::remove_dir_all(node.path("local/.windlass/cache")).unwrap();
    node.snapshot();
    assert!(ship(&node)[0].added_bytes > 2 << 20);
}

#[test]
fn a_damaged_cache_is_not_believed() {
    let node = Node::new();
    node.write("a", noise(5, 2 << 20));
    node.init();
    let first = node.backup();
    let folder = std::fs::read_dir(node.path("local/.windlass/cache")).unwrap().next().unwrap().unwrap().path().join("tree");
    let lines = folder.join(format!("{first}.files"));
    let mut bytes = std::fs::read(&lines).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&lines, bytes).unwrap();
    node.snapshot();
    assert!(ship(&node)[0].added_bytes > 2 << 20);
}

fn keys(node: &Node) -> Vec<String> {
    let mut keys = Vec::new();
    node.repository
        .list("", &mut |object| {
            keys.push(object.key);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    keys
}

#[test]
fn a_copy_that_goes_while_another_is_shipped_does_not_keep_back_newer_ones() {
    let node = Node::new();
    node.init().write("a", b"1");
    let ids: Vec<_> = (0..3).map(|_| node.snapshot()).collect();
    let going = node.path("local/tree").join(ids[1].to_string());
    let ctx = node.context_that_tells(move |event| {
        if matches!(event, ops::event::Event::Shipped { .. }) {
            // As the retention of another run does it.
            let _ = std::fs::remove_dir_all(&going);
        }
    });
    let shipped = ops::ship::run(&ctx, &tree(), &ops::ship::Options::default()).unwrap().complete().unwrap();
    assert_eq!(shipped.iter().map(|shipment| shipment.id).collect::<Vec<_>>(), [ids[0], ids[2]]);
}
