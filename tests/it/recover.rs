//! The configuration of a machine whose disk is gone comes back from the repository: sources as their snapshots remember them, and no secret.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::program::{Machine, Run};

fn bare(arguments: &[&str]) -> Run {
    Run::of(Command::new(env!("CARGO_BIN_EXE_windlass")).args(arguments).output().unwrap())
}

#[test]
fn a_machine_without_a_configuration_gets_it_from_the_repository_and_restores_with_it() {
    let old = Machine::new().encrypted("exclude = [\"*.tmp\"]\nkeep = 2\nobjective = \"3d\"\n");
    old.write("a", b"the bytes");
    old.write("b.tmp", b"not these");
    old.run(&["init"]).expect(0);
    old.run(&["backup", "tree"]).expect(0);
    let url = format!("file://{}", old.path("bucket").display());
    let key = old.path("windlass.key");
    let recover = ["--repository", &url, "config", "recover", "--node", "node-1"];

    // Facts are sealed like everything else.
    let sealed = bare(&recover);
    sealed.expect(0);
    assert!(sealed.stdout.contains("# [directory.tree] is to be written by hand"), "{sealed:#?}");
    assert!(sealed.stderr.contains("give --identity-file"), "{sealed:#?}");

    let recovered = bare(&[&["--identity-file", key.to_str().unwrap()], &recover[..]].concat());
    recovered.expect(0);
    assert_eq!(recovered.stderr, "");
    for line in
        ["name = \"node-1\"", &format!("url = \"{url}\""), "encrypt_to = [\"age1", "[directory.tree]", "keep = 2", "objective = \"3d\""]
    {
        assert!(recovered.stdout.contains(line), "{line}: {recovered:#?}");
    }
    let new = Machine::new();
    let text = format!("{}\n[local]\ndir = \"{}\"\n", recovered.stdout, new.path("local").display());
    fs::write(new.path("windlass.toml"), text).unwrap();
    new.run(&["config", "check"]).expect(0);
    new.run(&["init", "--adopt"]).expect(0);
    fs::remove_dir_all(old.path("tree")).unwrap();
    new.run(&["--identity-file", key.to_str().unwrap(), "restore", "tree", "--yes"]).expect(0);
    assert_eq!(fs::read(old.path("tree/a")).unwrap(), b"the bytes");
    // And it is what it was: the next snapshot leaves out what the old one did.
    fs::write(old.path("tree/c.tmp"), b"not these either").unwrap();
    new.run(&["backup", "tree"]).expect(0);
    let files = new.run(&["show", "tree/latest", "--files", "--identity-file", key.to_str().unwrap()]);
    assert!(files.stdout.contains(" a\n") && !files.stdout.contains("c.tmp"), "{files:#?}");
}

#[test]
fn a_configuration_that_lacks_a_source_gets_what_its_local_copies_remember() {
    let machine = Machine::new().configured("");
    let database = machine.path("billing.db");
    let made = Command::new("sqlite3").arg(&database).arg("CREATE TABLE t (a); INSERT INTO t VALUES (1)").status().unwrap();
    assert!(made.success());
    let section = format!("[sqlite.billing]\npath = \"{}\"\n", database.display());
    machine.configure(&format!("url = \"file://{}\"", machine.path("bucket").display()), &section);
    machine.run(&["init"]).expect(0);
    machine.run(&["snapshot", "billing"]).expect(0);
    machine.configure(&format!("url = \"file://{}\"", machine.path("bucket").display()), "");
    let refused = machine.run(&["restore", "billing", "--yes"]);
    refused.expect(6);
    assert!(
        refused.stderr.contains("there is no source `billing`") && refused.stderr.contains("`windlass config recover`"),
        "{refused:#?}"
    );
    let recovered = machine.run(&["config", "recover"]);
    recovered.expect(0);
    assert!(recovered.stdout.ends_with(&section) && !recovered.stdout.contains("[repository]"), "{recovered:#?}");
    let document = machine.json(&["config", "recover"], 0);
    assert_eq!(document["sources"][0]["section"]["path"], database.to_str().unwrap());
    assert_eq!(document["toml"], recovered.stdout.as_str());
    // It is appended as it stands.
    let file = machine.path("windlass.toml");
    fs::write(&file, fs::read_to_string(&file).unwrap() + &recovered.stdout).unwrap();
    machine.run(&["restore", "billing", "--yes"]).expect(0);
    let nothing = machine.run(&["config", "recover"]);
    nothing.expect(0);
    assert_eq!(nothing.stdout, "");
}

#[test]
fn a_node_of_which_there_is_no_snapshot_gets_a_file_to_begin_with() {
    let machine = Machine::new().configured("");
    machine.run(&["init"]).expect(0);
    let url = format!("file://{}", machine.path("bucket").display());
    let run = bare(&["--repository", &url, "config", "recover", "--node", "node-1"]);
    run.expect(0);
    assert!(run.stdout.contains("[repository]") && !run.stderr.contains("has every source"), "{run:#?}");
}

#[test]
fn of_a_snapshot_that_remembers_no_configuration_it_is_said_so() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/everything/repository");
    let url = format!("file://{}", golden.display());
    let run = bare(&["--repository", &url, "config", "recover", "--node", "node-1"]);
    run.expect(0);
    assert!(run.stdout.contains("is to be written by hand: of ") && run.stdout.contains("which did not record that"), "{run:#?}");
    assert!(run.stderr.contains("remembers of its configuration cannot be told"), "{run:#?}");
}
