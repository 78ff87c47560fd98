//! What the program tells whoever runs it.

use std::fs;

use serde_json::json;

use crate::support::program::Machine;
use crate::support::tree::noise;

#[test]
fn diff_prints_nothing_before_it_knows_both_snapshots_and_then_says_which() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    machine.write("a", b"22");
    machine.run(&["backup", "tree"]).expect(0);
    for names in [["tree/latest", "tree/2001"], ["tree/2001", "tree/latest"], ["tree/2", "tree/latest"]] {
        let run = machine.run(&["--json", "diff", names[0], names[1]]);
        assert_eq!(run.expect(6).stdout, "");
    }
    let ids: Vec<String> = machine.listed().into_iter().map(|(id, _)| format!("tree/{id}")).collect();
    let document = machine.json(&["diff", &ids[0], "tree/latest"], 0);
    assert_eq!((&document["before"], &document["after"]), (&json!(ids[0]), &json!(ids[1])));
    assert_eq!(document["summary"]["changed"], json!(1));
}
#[test]
fn the_plan_of_a_restore_tells_its_time_in_seconds_alone() {
    let machine = Machine::initialised();
    machine.write("a", noise(1, 3_000_000));
    machine.run(&["backup", "tree"]).expect(0);
    machine.run(&["restore", "tree", "--yes"]).expect(0);
    let plan = &machine.json(&["restore", "tree", "--dry-run"], 0)["plan"];
    assert!(plan["estimate_seconds"].is_u64() && plan.get("estimate").is_none(), "{plan:#}");
}

#[test]
fn backup_of_nothing_says_what_could_be_backed_up() {
    let machine = Machine::new();
    for command in ["backup", "snapshot"] {
        let run = machine.run(&[command]);
        assert!(run.expect(2).stderr.contains("name sources, or say --all for all of them: tree"), "{run:#?}");
    }
}

#[test]
fn a_source_without_a_local_copy_has_nothing_to_ship() {
    let machine = Machine::initialised();
    let named = machine.run(&["ship", "tree"]);
    assert!(named.expect(6).stderr.contains("there is no local copy of `tree` to ship"), "{named:#?}");
    let all = machine.run(&["ship"]);
    assert!(all.expect(0).stderr.contains("there is no local copy of `tree` to ship"), "{all:#?}");
    machine.run(&["backup", "tree"]).expect(0);
    let again = machine.run(&["ship", "tree"]);
    assert!(again.expect(0).stderr.contains("everything is in the repository already"), "{again:#?}");
}
#[test]
fn init_makes_no_repository_for_a_machine_that_cannot_keep_its_identity() {
    let machine = Machine::new();
    // Also root cannot make a folder in a file.
    fs::write(machine.path("local"), b"in the way").unwrap();
    let run = machine.run(&["init"]);
    assert!(run.expect(1).stderr.contains(machine.path("local").to_str().unwrap()), "{run:#?}");
    assert_eq!(fs::read_dir(machine.path("bucket")).unwrap().count(), 0, "{run:#?}");
}

#[test]
fn whoever_asks_for_a_node_that_is_not_there_is_told_which_are() {
    let machine = Machine::initialised();
    machine.run(&["backup", "tree"]).expect(0);
    fs::create_dir(machine.path("bucket/lost+found")).unwrap();
    for command in [&["list"][..], &["verify"], &["show", "tree/latest"]] {
        let run = machine.run(&[command, &["--node", "node-2"]].concat());
        assert!(run.expect(6).stderr.contains("knows no node `node-2`; it knows: node-1"), "{run:#?}");
        assert!(!run.stderr.contains("lost+found"));
    }
}
#[test]
fn strangers_at_the_root_of_the_repository_are_named() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    fs::write(machine.path("bucket/foo.txt"), b"x").unwrap();
    for folder in ["Holiday Photos/2026", "node-2", "probe"] {
        fs::create_dir_all(machine.path("bucket").join(folder)).unwrap();
        fs::write(machine.path("bucket").join(folder).join("x"), b"x").unwrap();
    }
    for level in ["--quick", "--full"] {
        let document = machine.json(&["verify", level], 3);
        assert_eq!(document["unexpected"], json!(["Holiday Photos/", "foo.txt"]), "{document:#}");
    }
    // Of a snapshot alone nothing else is asked.
    machine.run(&["verify", "tree/latest"]).expect(0);
}
