//! `latest` is the newest snapshot that can be used; where a newer one is damaged or gone, whoever asks is told by words and exit code.

use std::fs;
use std::path::PathBuf;

use crate::support::program::Machine;

/// A machine with two shipped snapshots and no local copy; gives the head of the newer one.
fn two_snapshots() -> (Machine, PathBuf) {
    let machine = Machine::initialised();
    for text in ["first", "second"] {
        machine.write("a", text);
        machine.run(&["backup", "tree"]).expect(0);
    }
    fs::remove_dir_all(machine.path("local/tree")).unwrap();
    let newest = machine.listed().iter().map(|(id, ..)| id.clone()).max().unwrap();
    let head = machine.path(format!("bucket/node-1/manifests/tree/{newest}.1.json"));
    assert!(head.exists());
    (machine, head)
}

/// Every command that takes the latest one says so, and none of them is content.
fn each_says_so(machine: &Machine) {
    let to = machine.path("to");
    for command in [
        &["fetch", "tree/latest", "--to", to.to_str().unwrap()][..],
        &["cat", "tree/latest", "a"],
        &["show", "tree/latest"],
        &["restore", "tree", "--dry-run"],
        &["restore", "tree", "--yes"],
    ] {
        let run = machine.run(command);
        assert!(run.expect(4).stderr.contains("cannot be used"), "{command:?}: {run:#?}");
    }
    assert_eq!(fs::read_to_string(to.join("a")).unwrap(), "first");
}

#[test]
fn latest_before_a_damaged_head_is_given_with_exit_4() {
    let (machine, head) = two_snapshots();
    fs::remove_dir_all(machine.path("local/.windlass/heads")).unwrap();
    let mut text = fs::read(&head).unwrap();
    text[40] ^= 1;
    fs::write(&head, text).unwrap();
    each_says_so(&machine);
}

#[test]
fn latest_before_a_head_that_is_gone_is_given_with_exit_4() {
    let (machine, head) = two_snapshots();
    fs::remove_file(&head).unwrap();
    each_says_so(&machine);
}
