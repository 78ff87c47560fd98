//! What a dry run leaves alone, and that it looks at what it speaks of.

use std::fs;

use serde_json::json;

use crate::support::program::Machine;
use crate::support::tree::{assert_same, noise, picture};

#[test]
fn a_dry_run_looks_at_the_source_and_leaves_no_trace() {
    let machine = Machine::new().configured("");
    machine.write("a", noise(1, 5_000));
    let empty = picture(machine.temp.path());
    for command in [&["snapshot", "tree"][..], &["ship", "tree"], &["backup", "tree"], &["init"]] {
        machine.run(&[command, &["--dry-run"]].concat());
        assert_same(&empty, &picture(machine.temp.path()));
    }
    machine.run(&["init"]).expect(0);
    let planned = machine.json(&["snapshot", "tree", "--dry-run"], 0);
    assert_eq!((&planned["planned"][0]["files"], &planned["planned"][0]["bytes"]), (&json!(1), &json!(5_000)));
    machine.run(&["backup", "tree"]).expect(0);
    machine.write("b", noise(2, 7_000));
    let before = picture(machine.temp.path());
    let planned = machine.json(&["backup", "tree", "--dry-run"], 0);
    let snapshot = &planned["planned"][0]["snapshot"];
    assert_eq!((&snapshot["files"], &snapshot["bytes"]), (&json!(2), &json!(12_000)));
    assert_same(&before, &picture(machine.temp.path()));
    // Whether `a` is read again depends on how old it was when it was copied; the dry run knows.
    let taken = machine.json(&["snapshot", "tree"], 0);
    assert_eq!(snapshot["read_bytes"], taken["snapshots"][0]["read_bytes"], "{taken}");

    fs::rename(machine.path("tree"), machine.path("elsewhere")).unwrap();
    let gone = machine.run(&["snapshot", "tree", "--dry-run"]);
    assert!(gone.expect(1).stderr.contains("there is nothing at"), "{gone:#?}");
}

#[test]
fn a_dry_run_on_another_machine_of_the_name_is_refused_and_makes_it_no_identity() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    fs::rename(machine.path("local"), machine.path("lost")).unwrap();
    let run = machine.run(&["ship", "tree", "--dry-run"]);
    assert!(run.expect(1).stderr.contains("has not been set up for this node"), "{run:#?}");
    assert!(!machine.path("local").exists());
}

#[test]
fn a_dry_run_tells_the_size_of_a_database_and_refuses_what_is_none() {
    let machine = Machine::new();
    let database = machine.path("x.db");
    let section = format!("[sqlite.x]\npath = \"{}\"\n", database.display());
    let machine = machine.configured(&section);
    machine.run(&["init"]).expect(0);
    fs::write(&database, b"this is no database, only a file").unwrap();
    let run = machine.run(&["snapshot", "x", "--dry-run"]);
    assert!(run.expect(1).stderr.contains("is not an SQLite database"), "{run:#?}");
    fs::write(&database, [b"SQLite format 3\0".as_slice(), &[0; 4080]].concat()).unwrap();
    let planned = machine.json(&["snapshot", "x", "--dry-run"], 0);
    assert_eq!((&planned["planned"][0]["files"], &planned["planned"][0]["bytes"]), (&json!(1), &json!(4096)));
}
