//! What goes wrong while a Cassandra node takes a snapshot in: a node that says it has done what it has not, and a program that is killed at any
//! step. The tables hold what they held, or the snapshot, and the next command says so and settles it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cassandra::configuration;
use crate::cassandra_restore_running::Case;
use crate::support::kill::{Killed, kill};
use crate::support::servers::cassandra::spec::Version;

/// Longest that `nodetool` takes to start and do what it was told, with others at work.
const NODETOOL: Duration = Duration::from_secs(15);

/// What a test changes after the snapshot.
const SINCE: [&str; 3] = [
    "DELETE FROM KEYSPACE.t WHERE id = 2",
    "INSERT INTO KEYSPACE.t (id, v) VALUES (3, 'since')",
    "INSERT INTO KEYSPACE.u (id, v) VALUES (3, 'since')",
];

impl Case {
    /// Has the program use a `nodetool` that does nothing, and says that all went well, when its words match.
    fn lie(&self, pattern: &str) {
        let real = self.server.command("nodetool");
        let text = format!("#!/bin/bash\ncase \" $* \" in\n{pattern}) exit 0 ;;\nesac\nexec {} \"$@\"\n", real[0]);
        let script = self.machine.script("nodetool", &text);
        let names: Vec<&str> = self.keyspaces.iter().map(String::as_str).collect();
        let honest = configuration(self.server, &self.source, &names);
        let words = |word: &str| serde_json::to_string(&[word]).unwrap();
        self.machine.configure_again(&honest.replace(&words(&real[0]), &words(script.to_str().unwrap())));
    }

    fn be_honest(&self) {
        let names: Vec<&str> = self.keyspaces.iter().map(String::as_str).collect();
        self.machine.configure_again(&configuration(self.server, &self.source, &names));
    }

    /// The compaction of all tables is on.
    fn compacts(&self) {
        let said = self.server.nodetool(&["statusautocompaction", &self.keyspaces[0]]);
        assert_eq!(said.trim(), "running");
    }

    fn id(&self) -> String {
        let listed = self.machine.listed();
        format!("{}/{}", self.source, listed.last().unwrap().0)
    }
}

#[test]
fn an_import_that_is_none_is_noticed_and_the_old_state_is_put_back() {
    let case = Case::small(Version::V41, 1);
    case.run(&SINCE);
    let now = case.dump(0);
    // Of what is put together, nothing is taken in; what was set aside is.
    case.lie("*' import '*'/staged/'*");
    let run = case.restore(&["--running"]);
    run.expect(1);
    for word in ["nodetool says that all went well", "only 0 of 1 SSTables", "what was there before was put back"] {
        assert!(run.said().contains(word), "{word}: {}", run.said());
    }
    assert_eq!(case.dump(0), now);
    assert_eq!(case.ours(), Vec::<String>::new());
    case.compacts();
    case.undo().expect(6);

    let beside = case.restore(&["--table", "t", "--as", "beside"]);
    beside.expect(1);
    assert!(beside.said().contains("the new table was dropped"), "{}", beside.said());
    assert_eq!(case.server.cql().tables(&case.keyspaces[0]), ["t", "u"]);
    case.be_honest();
    case.restore(&["--running"]).expect(0);
    assert_ne!(case.dump(0), now);
}

#[test]
fn an_undo_that_does_not_come_through_leaves_the_restored_state_and_can_be_repeated() {
    let case = Case::small(Version::V50, 1);
    let then = case.dump(0);
    case.run(&SINCE);
    let now = case.dump(0);
    case.restore(&["--running"]).expect(0);
    let aside = case.ours();
    // The first import of the undo is none; what the undo has set aside comes in.
    case.lie(&format!("*' import '*/{}/*", aside[0]));
    let run = case.undo();
    run.expect(1);
    assert!(run.said().contains("what was there before was put back"), "{}", run.said());
    assert_eq!(case.dump(0), then);
    assert_eq!(case.ours(), aside);
    case.be_honest();
    case.undo().expect(0);
    assert_eq!(case.dump(0), now);
    case.compacts();
}

/// Kills a command in a phase after each of these delays, and looks what the next one makes of it. Gives the phases that were hit.
fn killed(case: &Case, arguments: &[&str], phase: &str, delays: &[u64], states: &[Vec<String>]) -> BTreeSet<String> {
    let mut hit = BTreeSet::new();
    for delay in delays {
        let arguments = [arguments, &["--yes"]].concat();
        let killed = kill(&case.machine, &arguments, phase, Duration::from_millis(*delay), &mut || true);
        let next = case.machine.run(&["snapshot", &case.source]);
        next.expect(0);
        if let Killed::In(met) = &killed {
            assert!(next.said().contains("that was broken off"), "{met} {delay}: {}", next.said());
            hit.insert(met.clone());
        }
        let state = case.dump(0);
        assert!(states.contains(&state), "{phase} {delay}: {state:?}");
        case.compacts();
        let ours = case.ours();
        assert!(
            ours.len() <= 1 && ours.iter().all(|name| name.starts_with("aside-") && !name.ends_with(".late")),
            "{phase} {delay}: {ours:?}"
        );
        // Whatever came of it, the state of before is there for the next round.
        if state != states[0] {
            let undone = case.undo();
            undone.expect(0);
            assert_eq!(case.dump(0), states[0], "{killed:?} after {delay}: {} and {}", next.said(), undone.said());
        }
    }
    // A `nodetool` that a killed run had started may have taken the snapshot of what was to be set aside after the next command looked for it.
    std::thread::sleep(NODETOOL);
    case.machine.run(&["snapshot", &case.source]).expect(0);
    case.keeps_nothing();
    hit
}

#[test]
fn a_restore_that_is_killed_at_any_step_is_settled_by_the_next_command() {
    let case = Case::small(Version::V41, 1);
    let (id, then) = (case.id(), case.dump(0));
    case.run(&SINCE);
    let states = [case.dump(0), then];
    let mut hit = BTreeSet::new();
    for (phase, delays) in
        [("fetching", &[0, 5, 10][..]), ("setting aside", &[0, 900, 1800]), ("importing", &[0, 500, 1500, 2500, 3500, 4500, 5500])]
    {
        hit.extend(killed(&case, &["restore", &id, "--running"], phase, delays, &states));
    }
    for phase in ["setting aside", "importing"] {
        assert!(hit.contains(phase), "no kill hit {phase}: {hit:?}");
    }
}

#[test]
fn an_undo_and_a_table_beside_that_are_killed_are_settled_by_the_next_command() {
    let case = Case::small(Version::V50, 1);
    let (id, then) = (case.id(), case.dump(0));
    case.run(&SINCE);
    let now = case.dump(0);
    let beside = ["restore", &id, "--table", "t", "--as", "beside"];
    let hit = killed(&case, &beside, "importing", &[0, 800, 1600], std::slice::from_ref(&now));
    assert!(hit.contains("importing"), "{hit:?}");
    // The newest snapshot is one that was taken meanwhile.
    case.machine.run(&["restore", &id, "--running", "--yes"]).expect(0);
    let hit = killed(&case, &["restore", &case.source, "--undo"], "importing", &[0, 1500, 3000, 4500], &[then, now]);
    assert!(hit.contains("importing"), "{hit:?}");
}

#[test]
fn a_restore_that_is_killed_while_it_makes_the_schema_goes_on_with_the_rest() {
    let case = Case::filled(Version::V41);
    let (id, then) = (case.id(), (case.dump(0), case.server.cql().described(&case.keyspaces[0])));
    case.run(&["DROP KEYSPACE KEYSPACE"]);
    let mut hits = 0;
    for delay in [20, 400, 900, 1600] {
        let killed =
            kill(&case.machine, &["restore", &id, "--running", "--yes"], "making the schema", Duration::from_millis(delay), &mut || true);
        hits += usize::from(matches!(killed, Killed::In(met) if met == "making the schema"));
    }
    assert!(hits > 0, "no kill hit it");
    let run = case.machine.run(&["restore", &id, "--running", "--yes"]);
    run.expect(0);
    assert!(run.said().contains("that was broken off was taken back"), "{}", run.said());
    assert_eq!((case.dump(0), case.server.cql().described(&case.keyspaces[0])), then);
}
