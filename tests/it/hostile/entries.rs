//! Entries that would leave the target, or make no sense.

use std::fs;

use serde_json::{Value, json};
use windlass::format::digest::Digest;

use super::{fetch, lines_are_refused, node, refused};
use crate::support::forge::{Forge, file, folder, hardlink, hollow, symlink, with};
use crate::support::listing::Listing;

#[test]
fn paths_that_leave_the_target_are_refused() {
    for path in ["../outside/x", "a/../../outside/x", "/etc/x", "%2e%2e/outside/x", "..", ".", "a//b", "a/", "a%00b", "%2Fetc%2Fx", "a%"] {
        lines_are_refused(path, &[folder(""), hollow(path, 1)], "not the expected JSON");
        lines_are_refused(path, &[folder(""), hollow("a", 1), hardlink("b", path)], "not the expected JSON");
    }
    let long = "x".repeat(256);
    lines_are_refused("a part of 256 bytes", &[folder(""), hollow(&long, 1)], "255 bytes");
}

#[test]
fn nothing_is_written_through_a_link() {
    let node = node();
    let outside = node.path("place/outside");
    for target in ["../outside", outside.to_str().unwrap(), "."] {
        for line in [hollow("out/x", 1), folder("out/x"), symlink("out/x", "y"), hardlink("out/x", "a")] {
            let lines = [folder(""), hollow("a", 1), symlink("out", target), line];
            lines_are_refused("below a link", &lines, "lies in no directory");
        }
        lines_are_refused("a link, then a folder", &[folder(""), symlink("out", target), folder("out")], "must ascend");
        lines_are_refused("a link, then a file", &[folder(""), symlink("out", target), hollow("out", 1)], "must ascend");
    }
    lines_are_refused("below a file", &[folder(""), hollow("a", 1), hollow("a/x", 1)], "lies in no directory");
    lines_are_refused(
        "below a hard link",
        &[folder(""), folder("a"), hollow("b", 1), hardlink("c", "b"), hollow("c/x", 1)],
        "no directory",
    );
}

/// A hard link to a symbolic link is another symbolic link; nothing is written to either.
#[test]
fn a_hard_link_to_a_link_never_reaches_what_it_points_to() {
    let node = node();
    let mut forge = Forge::new(&node);
    let lines = [folder(""), symlink("a", "../outside/secret"), hardlink("b", "a")];
    forge.lines(&lines);
    forge.commit();
    let before = Listing::of(&node.path("place/outside"));
    fetch(&node, "new").unwrap();
    assert_eq!(Listing::of(&node.path("place/outside")), before);
    assert!(fs::symlink_metadata(node.path("place/new/b")).unwrap().is_symlink());
}

#[test]
fn links_to_what_is_not_there_or_no_file_are_refused() {
    for lines in [
        [folder(""), folder("a"), hardlink("b", "a")],
        [folder(""), hollow("b", 1), hardlink("c", "a")],
        [folder(""), hardlink("b", "a"), hardlink("c", "b")],
    ] {
        let node = node();
        let mut forge = Forge::new(&node);
        forge.lines(&lines);
        forge.commit();
        refused(&node, &format!("{lines:?}"), &[]);
    }
    lines_are_refused("a link to what comes later", &[folder(""), hardlink("a", "b"), hollow("b", 1)], "does not come before it");
}

#[test]
fn entries_out_of_order_are_refused() {
    lines_are_refused("no root", &[hollow("a", 1)], "the first entry is not the root");
    lines_are_refused("twice the root", &[folder(""), folder("")], "must ascend");
    lines_are_refused("descending", &[folder(""), hollow("b", 1), hollow("a", 1)], "must ascend");
    lines_are_refused("the root is a file", &[hollow("", 1)], "not a directory");
    lines_are_refused("no such kind", &[with(folder(""), "kind", json!("socket"))], "not the expected JSON");
    lines_are_refused("a target on a folder", &[folder(""), with(folder("a"), "target", json!("x"))], "none belongs");
    lines_are_refused("a link without a target", &[folder(""), symlink("a", "")], "without a target");
    let blob = json!([{"blob": Digest::of(b"x"), "length": "1"}]);
    lines_are_refused("content of a folder", &[folder(""), with(folder("a"), "content", blob)], "content where none belongs");
    let more = json!({"path": "a", "kind": "more", "piece": "2", "content": [{"hole": "1"}]});
    lines_are_refused(
        "more that leaves pieces out",
        &[folder(""), with(hollow("a", 1), "size", json!("2")), more.clone()],
        "continues nothing",
    );
    lines_are_refused("more of nothing", &[folder(""), more], "continues nothing");
}

#[test]
fn values_that_no_file_can_have_are_refused() {
    let values = [("mode", json!("77777")), ("mode", json!("0999")), ("mtime", json!(["0", 1_000_000_000])), ("size", json!("-1"))];
    for (field, value) in values {
        lines_are_refused(field, &[folder(""), with(hollow("a", 1), field, value)], "");
    }
    lines_are_refused("an attribute", &[folder(""), with(hollow("a", 1), "xattrs", json!([["user.x", "?"]]))], "attribute");
    lines_are_refused("more content than size", &[folder(""), with(hollow("a", 2), "size", json!("1"))], "more content than its 1 bytes");
    lines_are_refused("less content than size", &[folder(""), with(hollow("a", 2), "size", json!("3"))], "has 2 bytes of content");
    let holes: Vec<Value> = (0..2).map(|_| json!({"hole": u64::MAX.to_string()})).collect();
    lines_are_refused("a sum that overflows", &[folder(""), with(file("a", 0, &holes), "size", json!("18446744073709551614"))], "content");
    let holes: Vec<Value> = (0..2049).map(|_| json!({"hole": "1"})).collect();
    lines_are_refused("2,049 pieces", &[folder(""), file("a", 2049, &holes)], "2048 are allowed");
    let node = node();
    let mut forge = Forge::new(&node);
    forge.lines(&[folder(""), hollow("a", u64::MAX)]);
    forge.commit();
    refused(&node, "a file of 16 EiB", &["`a`"]);
}
