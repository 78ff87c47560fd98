//! Several runs, and several machines: locks, signals, and whose name it is.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Child;

use rustix::process::Signal;

use crate::support::program::{Machine, Run, finish, send, until};
use crate::support::tree::{assert_same, noise, picture};

/// A machine whose next backup takes long enough to be met in every phase.
fn busy() -> Machine {
    let machine = Machine::initialised();
    for n in 0..200 {
        machine.write(&format!("{}/{n}", n % 7), noise(n, 100_000));
    }
    machine
}

/// Starts the program and waits until it says that this phase has begun; gives it back with what it will still say.
fn in_phase(machine: &Machine, arguments: &[&str], phase: &str) -> (Child, std::thread::JoinHandle<String>) {
    let mut child = machine.start(&[&["--json"], arguments].concat());
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let wanted = format!("\"phase\":\"{phase}\"");
    let mut said = String::new();
    while !said.lines().last().is_some_and(|line| line.contains(&wanted)) {
        assert!(lines.read_line(&mut said).unwrap() > 0, "it ended before {phase}: {said}");
    }
    let rest = std::thread::spawn(move || {
        // All of it is read, or the run would stand still once nobody listens.
        while lines.read_line(&mut said).unwrap() > 0 {}
        said
    });
    (child, rest)
}

/// The process is stopped by a signal: it holds what it holds and does nothing.
fn stands_still(child: &Child) {
    send(child.id(), Signal::STOP);
    until("standing still", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T')
    });
}

fn ended(mut child: Child, rest: std::thread::JoinHandle<String>) -> (std::process::ExitStatus, String) {
    let status = child.wait().unwrap();
    (status, rest.join().unwrap())
}

#[test]
fn a_second_run_says_who_holds_the_lock_and_exits_5_or_waits() {
    let machine = busy();
    let (first, rest) = in_phase(&machine, &["backup", "tree"], "copying");
    stands_still(&first);
    for command in [&["backup", "tree"][..], &["snapshot", "tree"], &["backup", "tree", "--wait=1s"]] {
        let run = machine.run(command);
        run.expect(5);
        assert!(run.stderr.contains(&format!("process {}", first.id())), "{run:#?}");
    }
    // What only reads needs no lock.
    machine.run(&["list"]).expect(0);
    let waiting = machine.start(&["backup", "tree", "--wait"]);
    std::thread::sleep(std::time::Duration::from_millis(100));
    send(first.id(), Signal::CONT);
    let (status, said) = ended(first, rest);
    assert!(status.success(), "{said}");
    finish(waiting).expect(0);
    assert_eq!(machine.listed().len(), 2);
}

#[test]
fn a_holder_that_was_killed_blocks_nobody() {
    for phase in ["copying", "packing", "committing"] {
        let machine = busy();
        let (first, rest) = in_phase(&machine, &["backup", "tree"], phase);
        stands_still(&first);
        machine.run(&["ship", "tree"]).code.unwrap();
        send(first.id(), Signal::KILL);
        ended(first, rest);
        machine.run(&["backup", "tree"]).expect(0);
        machine.run(&["verify", "--full"]).expect(0);
    }
}

#[test]
fn a_signal_stops_cleanly_and_the_next_run_goes_on() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for phase in ["copying", "packing"] {
            let machine = busy();
            let (child, rest) = in_phase(&machine, &["backup", "tree"], phase);
            send(child.id(), signal);
            let (status, said) = ended(child, rest);
            assert_eq!(status.code(), Some(code), "{said}");
            assert!(said.contains(&format!("\"exit_code\":{code}")), "{said}");
            let copies = fs::read_dir(machine.path("local/tree")).unwrap().map(|entry| entry.unwrap().file_name());
            assert!(copies.into_iter().all(|name| !name.to_string_lossy().ends_with(".partial")), "nothing half done is left");
            let listed = machine.listed();
            assert!(listed.iter().all(|(_, place)| place == "local") && listed.len() == usize::from(phase == "packing"), "{listed:?}");
            machine.run(&["backup", "tree"]).expect(0);
            machine.run(&["verify", "--full"]).expect(0);
        }
    }
}

#[test]
fn a_restore_that_is_stopped_while_it_fetches_has_touched_nothing() {
    let machine = busy();
    machine.run(&["backup", "tree"]).expect(0);
    machine.write("new", b"since then");
    let before = picture(&machine.path("tree"));
    let (child, rest) = in_phase(&machine, &["restore", "tree", "--yes", "--from", "repository"], "fetching");
    send(child.id(), Signal::TERM);
    let (status, said) = ended(child, rest);
    assert_eq!(status.code(), Some(143), "{said}");
    assert_same(&before, &picture(&machine.path("tree")));
    let beside: Vec<_> = fs::read_dir(machine.temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(beside.iter().all(|name| !name.to_string_lossy().contains("windlass-staging")), "{beside:?}");
    machine.run(&["restore", "tree", "--yes"]).expect(0);
    assert!(!machine.path("tree/new").exists());
}

#[test]
fn another_machine_under_the_same_name_is_refused_until_it_adopts_the_name() {
    let first = Machine::initialised();
    first.write("a", b"first");
    first.run(&["backup", "tree"]).expect(0);
    // The same name and the same repository, with its own disk.
    let second = Machine::new();
    second.write("a", b"second");
    let url = format!("url = \"file://{}\"", first.path("bucket").display());
    second.configure(&url, "");
    let refused = |run: Run, code: i32| {
        run.expect(code);
        assert!(run.stderr.contains("node-1") && run.stderr.contains("--adopt"), "{run:#?}");
    };
    refused(second.run(&["init"]), 1);
    refused(second.run(&["backup", "tree"]), 3);
    refused(second.run(&["ship", "tree"]), 1);
    second.run(&["init", "--adopt"]).expect(0);
    second.run(&["backup", "tree"]).expect(0);
    // Now the first one is the stranger, and what it had shipped is still there.
    refused(first.run(&["backup", "tree"]), 3);
    assert!(first.json(&["status"], 7)["wrong"][0].as_str().unwrap().contains("--adopt"));
    let shipped = second.json(&["list"], 0);
    assert_eq!(shipped["snapshots"].as_array().unwrap().len(), 3, "{shipped:#}");
    second.run(&["verify", "--full"]).expect(0);
}

#[test]
fn a_node_that_nobody_knows_is_not_there_and_looking_for_it_leaves_nothing() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    for command in [&["list", "--node", "node-9"][..], &["verify", "--node", "node-9"], &["show", "tree/latest", "--node", "node-9"]] {
        let run = machine.run(command);
        run.expect(6);
        assert!(run.stderr.contains("knows no node `node-9`"), "{run:#?}");
    }
    assert!(!machine.path("bucket/node-9").exists());
}

#[test]
fn nodes_share_a_repository_and_read_each_other() {
    let first = Machine::initialised();
    first.write("a", b"first");
    first.run(&["backup", "tree"]).expect(0);
    let second = Machine::new();
    let bucket = format!("url = \"file://{}\"", first.path("bucket").display());
    second.configure(&bucket, "");
    let config = fs::read_to_string(second.path("windlass.toml")).unwrap().replace("node-1", "node-2");
    fs::write(second.path("windlass.toml"), config).unwrap();
    second.run(&["init"]).expect(0);
    second.run(&["backup", "tree"]).expect(0);
    assert_eq!(second.listed().len(), 1);
    let to = second.path("to");
    second.run(&["fetch", "tree/latest", "--node", "node-1", "--to", to.to_str().unwrap()]).expect(0);
    assert_eq!(fs::read(to.join("a")).unwrap(), b"first");
    second.run(&["restore", "tree", "--node", "node-1", "--yes"]).expect(0);
    assert_eq!(fs::read(second.path("tree/a")).unwrap(), b"first");
}
