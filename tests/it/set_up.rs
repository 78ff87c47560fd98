//! What `init` has set up at a place is what has to be there: disks that are not mounted, and endpoints that lead somewhere else.

use std::fs;

use rustix::process::Signal;

use crate::support::node::Node;
use crate::support::program::{Machine, finish, send, until};
use crate::support::recorder::Recorder;
use crate::support::tree::noise;

#[test]
fn no_copy_is_taken_where_the_disk_of_the_copies_is_not_mounted() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    fs::rename(machine.path("local"), machine.path("disk")).unwrap();
    fs::create_dir(machine.path("local")).unwrap();
    let why = "is its disk mounted? Where none were ever kept there, run `windlass init`";
    let commands: [&[&str]; 6] =
        [&["snapshot", "tree"], &["backup", "tree"], &["snapshot", "tree", "--dry-run"], &["ship", "tree"], &["heal"], &["prune", "--yes"]];
    for command in commands {
        let run = machine.run(command);
        assert!(run.expect(1).stderr.contains(why) && !run.stderr.contains("--adopt"), "{command:?}: {run:#?}");
        assert_eq!(fs::read_dir(machine.path("local")).unwrap().count(), 0, "{command:?}: nothing lies beneath the mount point");
    }
    let status = machine.run(&["status"]);
    let said = &status.expect(7).stdout;
    assert!(said.contains(why) && !said.contains("--adopt") && !said.contains("well"), "{said}");
    assert_eq!(fs::read_dir(machine.path("local")).unwrap().count(), 0, "nothing lies beneath the mount point");
    fs::remove_dir(machine.path("local")).unwrap();
    fs::rename(machine.path("disk"), machine.path("local")).unwrap();
    machine.run(&["backup", "tree"]).expect(0);
}

#[test]
fn copies_are_taken_before_the_repository_was_ever_reached() {
    let machine = Machine::new();
    machine.write("a", b"1");
    fs::rename(machine.path("bucket"), machine.path("away")).unwrap();
    machine.run(&["init"]).expect(6);
    machine.run(&["snapshot", "tree"]).expect(0);
    fs::rename(machine.path("away"), machine.path("bucket")).unwrap();
    machine.run(&["init"]).expect(0);
    machine.run(&["ship", "tree"]).expect(0);
}

#[test]
fn another_repository_at_the_same_place_is_named_and_gets_nothing_before_init_has_run_again() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    let other = Machine::initialised();
    fs::rename(machine.path("bucket"), machine.path("first")).unwrap();
    fs::rename(other.path("bucket"), machine.path("bucket")).unwrap();
    let why = "was there when this node last set it up";
    let list = machine.run(&["list"]);
    assert!(list.expect(0).stderr.contains(why), "{list:#?}");
    let status = machine.run(&["status"]);
    assert!(status.expect(7).stdout.contains(why), "{status:#?}");
    let ship = machine.run(&["ship", "tree"]);
    assert!(ship.expect(1).stderr.contains(why), "{ship:#?}");

    machine.run(&["init", "--adopt"]).expect(0);
    machine.run(&["backup", "tree"]).expect(0);
    let list = machine.run(&["list"]);
    assert_eq!(list.expect(0).stderr, "");
    machine.run(&["status"]).expect(0);
}

#[test]
fn one_document_alone_says_which_repository_lies_at_a_place() {
    let node = Node::with_folder();
    node.init();
    let folder = node.path("local/.windlass/repositories");
    let documents = || fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let [own] = &documents()[..] else { panic!("{:?}", documents()) };
    let text = fs::read_to_string(own).unwrap();
    let id = own.file_stem().unwrap().to_str().unwrap();
    let others = ["00000000-0000-4000-8000-000000000000", "ffffffff-ffff-4fff-8fff-ffffffffffff"];
    for other in others {
        fs::write(folder.join(format!("{other}.json")), text.replace(id, other)).unwrap();
    }
    // As somebody who sets a document aside leaves it.
    fs::write(folder.join("saved.json"), &text).unwrap();
    node.init();
    assert_eq!(documents(), std::slice::from_ref(own));
}

#[test]
fn a_web_page_in_place_of_the_marker_is_not_called_damage() {
    let machine = Machine::new();
    let page = Recorder::start(&[("windlass.json", "<!DOCTYPE html><html><body>Please log in</body></html>")]);
    let keys = "access_key_id = \"x\"\nsecret_access_key = \"y\"\nallow_http = true";
    machine.configure(&format!("url = \"s3://bucket/some\"\nendpoint = \"{}\"\n{keys}", page.url), "");
    for command in [&["init"][..], &["ship", "tree"]] {
        let run = machine.run(command);
        assert!(run.expect(1).stderr.contains("answers with a web page"), "{run:#?}");
    }
}

#[test]
fn status_tells_what_kept_the_last_run_from_coming_through_until_one_does() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    machine.run(&["status"]).expect(0);
    fs::rename(machine.path("tree"), machine.path("moved")).unwrap();
    machine.run(&["backup", "tree"]).expect(1);
    let status = machine.run(&["status"]);
    let said = &status.expect(7).stdout;
    assert!(said.contains("the last snapshot failed at") && said.contains("there is nothing at"), "{said}");
    fs::rename(machine.path("moved"), machine.path("tree")).unwrap();
    machine.run(&["backup", "tree"]).expect(0);
    machine.run(&["status"]).expect(0);

    fs::rename(machine.path("bucket"), machine.path("away")).unwrap();
    machine.run(&["backup", "tree"]).expect(3);
    fs::rename(machine.path("away"), machine.path("bucket")).unwrap();
    let status = machine.json(&["status"], 7);
    assert!(status["sources"][0]["wrong"].to_string().contains("the last shipment failed at"), "{status:#}");
    machine.run(&["ship", "tree"]).expect(0);
    machine.run(&["status"]).expect(0);
}

#[test]
fn a_run_that_was_stopped_is_no_failure() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    for n in 0..4 {
        machine.write(&format!("{n}"), noise(n, 20_000_000));
    }
    let child = machine.start(&["backup", "tree"]);
    until("a copy is begun", || fs::read_dir(machine.path("local/tree")).unwrap().count() > 1);
    send(child.id(), Signal::TERM);
    finish(child).expect(143);
    let status = machine.run(&["status"]);
    assert!(!status.expect(0).stdout.contains("failed"), "{status:#?}");
}

#[test]
fn status_says_that_a_configuration_which_disagrees_about_encryption_ships_nothing() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    let key = machine.path("windlass.key");
    let line = machine.run(&["-q", "key", "new", "--output", key.to_str().unwrap()]).stdout;
    machine.configure(&format!("url = \"file://{}\"\n{line}", machine.path("bucket").display()), "");
    let status = machine.run(&["status"]);
    assert!(status.expect(7).stdout.contains("encrypt_to"), "{status:#?}");
}
