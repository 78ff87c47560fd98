//! What goes wrong while a Cassandra node takes a snapshot in: a node that says it has done what it has not, and a program that is killed at any
//! step. The tables hold what they held, or the snapshot, and the next command says so and settles it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::cassandra::configuration;
use crate::cassandra_restore_running::Case;
use crate::support::kill::kill;
use crate::support::program::{text, until};
use crate::support::servers::cassandra::spec::Version;

/// What a test changes after the snapshot.
pub const SINCE: [&str; 3] = [
    "DELETE FROM KEYSPACE.t WHERE id = 2",
    "INSERT INTO KEYSPACE.t (id, v) VALUES (3, 'since')",
    "INSERT INTO KEYSPACE.u (id, v) VALUES (3, 'since')",
];

impl Case {
    /// Has the program use a `nodetool` that does nothing, and says that all went well, when its words match.
    fn lie(&self, pattern: &str) {
        self.act(pattern, "exit 0");
    }

    /// Has the program use a `nodetool` that does something else when its words match.
    pub fn act(&self, pattern: &str, act: &str) {
        let real = self.server.command("nodetool");
        let text = format!("#!/bin/bash\ncase \" $* \" in\n{pattern}) {act} ;;\nesac\nexec {} \"$@\"\n", real[0]);
        let script = self.machine.script("nodetool", &text);
        let names: Vec<&str> = self.keyspaces.iter().map(String::as_str).collect();
        let honest = configuration(self.server, &self.source, &names);
        let words = |word: &str| serde_json::to_string(&[word]).unwrap();
        self.machine.configure_again(&honest.replace(&words(&real[0]), &words(script.to_str().unwrap())));
    }

    /// Has the `nodetool` that the program calls as the so manieth one kill it, and then do what it was told.
    fn dies_at(&self, call: usize) {
        let calls = self.machine.path("calls");
        fs::write(&calls, "").unwrap();
        self.act("*", &format!("echo >>{0}; [ $(wc -l <{0}) = {call} ] && kill -KILL $PPID", calls.display()));
    }

    pub fn be_honest(&self) {
        let names: Vec<&str> = self.keyspaces.iter().map(String::as_str).collect();
        self.machine.configure_again(&configuration(self.server, &self.source, &names));
    }

    /// The compaction of all tables is on.
    pub fn compacts(&self) {
        let said = self.server.nodetool(&["statusautocompaction", &self.keyspaces[0]]);
        assert_eq!(said.trim(), "running");
    }

    /// Where is remembered what is under way.
    fn document(&self) -> PathBuf {
        self.machine.path("local/.windlass/restore").join(&self.source).join("import.json")
    }

    /// Where we keep what is ours.
    fn own(&self) -> PathBuf {
        self.server.spec.directories(&self.server.home)[0].join(".windlass/backups").join(&self.source)
    }

    fn remove_own(&self, places: &[String]) {
        places.iter().for_each(|place| fs::remove_dir_all(self.own().join(place)).unwrap());
    }

    pub fn id(&self) -> String {
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

/// Kills a command at every so many calls of `nodetool`, of which each step makes some, until it comes through; and looks what the next one makes
/// of it. Gives the stages that were remembered when a kill came.
fn killed(case: &Case, arguments: &[&str], every: usize, states: &[Vec<String>]) -> BTreeSet<String> {
    let mut met = BTreeSet::new();
    for call in (1..).step_by(every) {
        case.dies_at(call);
        let run = case.machine.run(&[arguments, &["--yes"]].concat());
        case.be_honest();
        if run.code == Some(0) {
            break;
        }
        assert_eq!(run.code, None, "{run:#?}");
        met.extend(is_settled(case, &format!("killed at call {call}"), states));
    }
    met
}

/// Has the next command settle what a kill has left, and looks at it. Gives the stage that it was in, if it had begun.
pub fn is_settled(case: &Case, what: &str, states: &[Vec<String>]) -> Option<String> {
    let begun = fs::read_to_string(case.document()).ok();
    let next = case.machine.run(&["snapshot", &case.source]);
    next.expect(0);
    assert_eq!(next.said().contains("that was broken off"), begun.is_some(), "{what}: {}", next.said());
    if case.server.cql().tables(&case.keyspaces[0]).iter().any(|table| table == "beside") {
        assert!(next.said().contains("was finished"), "{what}: {}", next.said());
        case.run(&["DROP TABLE KEYSPACE.beside"]);
    }
    let state = case.dump(0);
    assert!(states.contains(&state), "{what}: {state:?}");
    case.compacts();
    // What the tables held when they were emptied for that is kept, for a person to look at.
    let (written, ours): (Vec<String>, Vec<String>) = case.ours().into_iter().partition(|name| name.ends_with(".written"));
    assert!(written.iter().all(|place| next.said().contains(place)), "{what}: {written:?} {}", next.said());
    case.remove_own(&written);
    assert!(ours.len() <= 1 && ours.iter().all(|name| name.starts_with("aside-") && !name.ends_with(".apart")), "{what}: {ours:?}");
    // Whatever came of it, the state of before is there for the next round.
    if state != states[0] {
        let undone = case.undo();
        undone.expect(0);
        assert_eq!(case.dump(0), states[0], "{what}: {} and {}", next.said(), undone.said());
    }
    let document: serde_json::Value = serde_json::from_str(&begun?).unwrap();
    Some(text(&document["stage"]))
}

/// A `nodetool` that a killed run had started may take the snapshot of what was to be set aside after the next command has looked for it: the
/// one after that clears it.
pub fn nothing_is_kept(case: &Case) {
    until("the node keeps nothing of ours", || {
        case.machine.run(&["snapshot", &case.source]).expect(0);
        case.keeps().is_empty()
    });
}

#[test]
fn a_restore_that_is_killed_at_any_step_is_settled_by_the_next_command() {
    let case = Case::small(Version::V41, 1);
    case.run(&[
        "CREATE MATERIALIZED VIEW KEYSPACE.w AS SELECT * FROM KEYSPACE.t WHERE v IS NOT NULL AND id IS NOT NULL PRIMARY KEY (v, id)",
    ]);
    case.backup();
    let (id, then) = (case.id(), case.dump(0));
    case.run(&SINCE);
    let states = [case.dump(0), then];
    let restore = ["restore", &id, "--running"];
    let in_time = kill(&case.machine, &[&restore[..], &["--yes"]].concat(), "fetching", Duration::ZERO, &mut || true);
    is_settled(&case, &format!("{in_time:?}"), &states);
    let met = killed(&case, &restore, 1, &states);
    for stage in ["preparing", "filling", "filled"] {
        assert!(met.contains(stage), "no kill hit {stage}: {met:?}");
    }
    nothing_is_kept(&case);
}

#[test]
fn an_undo_and_a_table_beside_that_are_killed_are_settled_by_the_next_command() {
    let case = Case::small(Version::V50, 1);
    let (id, then) = (case.id(), case.dump(0));
    case.run(&SINCE);
    let now = case.dump(0);
    let met = killed(&case, &["restore", &id, "--table", "t", "--as", "beside"], 2, std::slice::from_ref(&now));
    assert!(met.contains("filling"), "{met:?}");
    case.run(&["DROP TABLE KEYSPACE.beside"]);
    // The newest snapshot is one that was taken meanwhile.
    case.machine.run(&["restore", &id, "--running", "--yes"]).expect(0);
    let met = killed(&case, &["restore", &case.source, "--undo"], 2, &[then, now]);
    assert!(met.contains("filling"), "{met:?}");
    nothing_is_kept(&case);
}

#[test]
fn a_restore_that_is_killed_while_it_makes_the_schema_goes_on_with_the_rest() {
    let case = Case::filled(Version::V41);
    let (id, then) = (case.id(), (case.dump(0), case.server.cql().described(&case.keyspaces[0])));
    case.run(&["DROP KEYSPACE KEYSPACE"]);
    // The last one comes at once, so that it comes in time however fast the machine is.
    let was_hit = [1600, 900, 400, 20].into_iter().any(|delay| {
        let delay = Duration::from_millis(delay);
        let killed = kill(&case.machine, &["restore", &id, "--running", "--yes"], "making the schema", delay, &mut || true);
        let was_hit = killed.was_in("making the schema");
        if !was_hit {
            // It is ended, so that there is a schema to make again.
            case.machine.run(&["restore", &id, "--running", "--yes"]).expect(0);
            case.run(&["DROP KEYSPACE KEYSPACE"]);
        }
        was_hit
    });
    assert!(was_hit, "the last kill has not hit it");
    let run = case.machine.run(&["restore", &id, "--running", "--yes"]);
    run.expect(0);
    assert!(run.said().contains("that was broken off was taken back"), "{}", run.said());
    assert_eq!((case.dump(0), case.server.cql().described(&case.keyspaces[0])), then);
}

#[test]
fn what_fails_before_the_first_row_is_touched_leaves_nothing_behind() {
    let case = Case::small(Version::V41, 1);
    case.run(&SINCE);
    let now = case.dump(0);
    // The disk is full when some of what comes is there.
    let full = ["-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC:when=3+"];
    let run = case.machine.under_strace(&full, &["restore", &case.source, "--running", "--yes"]);
    run.expect(1);
    assert!(run.said().contains("No space left on device"), "{}", run.said());
    assert_eq!((case.ours(), case.document().exists(), case.dump(0)), (Vec::new(), false, now.clone()));
    case.act("*' statusautocompaction '*", "echo 'error: no answer' >&2; exit 2");
    case.restore(&["--table", "t", "--as", "beside"]).expect(1);
    assert_eq!(case.server.cql().tables(&case.keyspaces[0]), ["t", "u"]);
    case.restore(&["--running"]).expect(1);
    assert_eq!((case.ours(), case.document().exists()), (Vec::new(), false));
    // JMX leads to another node than CQL.
    case.act("*' info '*", "echo 'ID : 00000000-0000-4000-8000-000000000000'; exit 0");
    let run = case.restore(&["--running"]);
    run.expect(1);
    assert!(run.said().contains("(`jmx`) to 00000000-0000-4000") && run.said().contains("no row was touched"), "{}", run.said());
    assert_eq!((case.ours(), case.dump(0)), (Vec::new(), now));
    case.be_honest();
    case.undo().expect(6);
}

/// Removes one SSTable of the table `t` from what was set aside.
fn lose_an_sstable(case: &Case, aside: &str) {
    let aside = case.own().join(aside).join(&case.keyspaces[0]);
    let of_t = fs::read_dir(&aside).unwrap().map(|entry| entry.unwrap().path());
    let of_t = of_t.into_iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("t-")).unwrap();
    let names = || fs::read_dir(&of_t).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let first = names().filter_map(|name| Some(name.strip_suffix("-Data.db")?.to_owned())).min().unwrap();
    for name in names().filter(|name| name.starts_with(&format!("{first}-"))) {
        fs::remove_file(of_t.join(name)).unwrap();
    }
}

#[test]
fn a_restore_that_cannot_be_taken_back_sets_tables_apart_no_more_with_each_command() {
    let case = Case::small(Version::V41, 1);
    case.run(&SINCE);
    case.act("*' import '*", "kill -KILL $PPID; exit 1");
    assert_eq!(case.machine.run(&["restore", &case.source, "--running", "--yes"]).code, None);
    case.be_honest();
    lose_an_sstable(&case, &case.ours()[0]);
    for _ in 0..2 {
        let run = case.machine.run(&["snapshot", &case.source]);
        assert!(run.expect(1).said().contains("lie ready"), "{}", run.said());
        assert!(!case.ours().iter().any(|name| name.contains(".written")), "{:?}", case.ours());
    }
}

#[test]
fn what_lies_aside_and_lacks_a_file_is_not_put_back() {
    let case = Case::small(Version::V41, 1);
    case.server.nodetool(&["flush", &case.keyspaces[0]]);
    case.run(&SINCE);
    case.restore(&["--running"]).expect(0);
    let then = case.dump(0);
    lose_an_sstable(&case, &case.ours()[0]);
    let run = case.undo();
    run.expect(1);
    assert!(run.said().contains("of 2 SSTables of") && run.said().contains("1 lie ready"), "{}", run.said());
    assert_eq!(case.dump(0), then);
}

#[test]
fn what_lies_aside_and_may_have_been_written_to_is_removed_by_no_restore() {
    let case = Case::small(Version::V41, 1);
    case.run(&SINCE);
    case.restore(&["--running"]).expect(0);
    let kept = case.ours();
    // As an undo leaves it that had put it back and could not be finished.
    let undo = case.machine.path(format!("local/.windlass/restore/{}/undo.json", case.source));
    let text = fs::read_to_string(&undo).unwrap();
    let written = text.replace("\"is_written\": false", "\"is_written\": true");
    assert_ne!(written, text);
    fs::write(&undo, written).unwrap();
    let run = case.restore(&["--running"]);
    run.expect(0);
    assert!(run.said().contains("what lay aside before stays"), "{}", run.said());
    let ours = case.ours();
    assert!(kept.iter().all(|place| ours.contains(place)) && ours.len() == kept.len() + 1, "{kept:?} {ours:?}");
}

#[test]
fn a_table_that_was_dropped_since_does_not_keep_a_restore_from_being_settled() {
    let case = Case::small(Version::V41, 1);
    let id = case.id();
    case.run(&SINCE);
    // Killed when all has come in, and before that is proven.
    let (mark, real) = (case.machine.path("imported"), case.server.command("nodetool").remove(0));
    case.act("*' import '*", &format!("{real} \"$@\"; [ -e {0} ] && kill -KILL $PPID; touch {0}; exit 0", mark.display()));
    assert_eq!(case.machine.run(&["restore", &id, "--running", "--yes"]).code, None);
    case.be_honest();
    let text = fs::read_to_string(case.document()).unwrap();
    assert!(text.contains("\"filling\""), "{text}");
    fs::write(case.document(), text.replace("\"filling\"", "\"filled\"")).unwrap();
    case.run(&["DROP TABLE KEYSPACE.u"]);
    let next = case.machine.run(&["snapshot", &case.source]);
    next.expect(0);
    assert!(next.said().contains("was finished") && next.said().contains(".u was dropped meanwhile"), "{}", next.said());
    case.compacts();
}

#[test]
fn what_is_written_and_what_is_dropped_between_a_kill_and_the_next_command_is_kept() {
    let case = Case::small(Version::V41, 1);
    case.run(&SINCE);
    let since = case.dump(0);
    case.act("*' import '*", "kill -KILL $PPID; exit 1");
    assert_eq!(case.machine.run(&["restore", &case.source, "--running", "--yes"]).code, None);
    case.be_honest();
    // A view that somebody makes meanwhile would not have what comes back into its table.
    case.run(&[
        "CREATE MATERIALIZED VIEW KEYSPACE.w AS SELECT * FROM KEYSPACE.t WHERE v IS NOT NULL AND id IS NOT NULL PRIMARY KEY (v, id)",
    ]);
    let (now, ours) = (case.dump(0), case.ours());
    let next = case.machine.run(&["snapshot", &case.source]);
    next.expect(1);
    assert!(next.said().contains(&format!("view {}", case.table("w"))) && next.said().contains("drop it"), "{}", next.said());
    assert_eq!((case.dump(0), case.ours()), (now, ours));
    case.run(&["DROP MATERIALIZED VIEW KEYSPACE.w"]);
    case.run(&["INSERT INTO KEYSPACE.t (id, v) VALUES (77, 'after the kill')", "DROP TABLE KEYSPACE.u"]);
    let next = case.machine.run(&["snapshot", &case.source]);
    next.expect(0);
    for word in ["all that they held now", ".u was dropped meanwhile", "what was set aside stays"] {
        assert!(next.said().contains(word), "{word}: {}", next.said());
    }
    let of_t = |lines: &[String]| lines.iter().take_while(|line| *line != "table u").cloned().collect::<Vec<_>>();
    assert_eq!(of_t(&case.dump(0)), of_t(&since));
    let holds = |place: &str, table: &str, text: &str| {
        let folders = fs::read_dir(case.own().join(place).join(&case.keyspaces[0])).unwrap().map(|entry| entry.unwrap().path());
        let of_table = folders.into_iter().filter(|folder| folder.file_name().unwrap().to_str().unwrap().starts_with(table));
        let files = of_table.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
        let data = files.filter(|file| file.to_str().unwrap().ends_with("-Data.db")).map(|file| fs::read(file).unwrap());
        data.into_iter().any(|bytes| bytes.windows(text.len()).any(|found| found == text.as_bytes()))
    };
    let ours = case.ours();
    assert_eq!(ours.len(), 2, "{ours:?}");
    assert!(holds(&ours[1], "t-", "after the kill") && holds(&ours[0], "u-", "since"), "{ours:?}");
}

#[test]
fn what_is_half_done_for_one_source_stops_the_others_of_the_machine() {
    let case = Case::small(Version::V41, 1);
    let names: Vec<&str> = case.keyspaces.iter().map(String::as_str).collect();
    let other = format!("{}-too", case.source);
    let both = [configuration(case.server, &case.source, &names), configuration(case.server, &other, &names)].concat();
    case.machine.configure_again(&both);
    case.restore(&["--running"]).expect(0);
    let breaks_off = || {
        let text = configuration(case.server, &other, &names);
        case.act("*' import '*", "kill -KILL $PPID");
        let with_import = fs::read_to_string(case.machine.path("windlass.toml")).unwrap();
        fs::write(case.machine.path("windlass.toml"), with_import + &text).unwrap();
        assert_eq!(case.machine.run(&["restore", &case.source, "--running", "--yes"]).code, None);
        case.machine.configure_again(&both);
    };
    breaks_off();
    // The other source, and what each of its commands says.
    let why = format!("run `windlass snapshot {}`", case.source);
    let run = case.machine.run(&["snapshot", &other]);
    run.expect(1);
    assert!(run.said().contains(&why), "{}", run.said());
    case.machine.run(&["snapshot", &case.source]).expect(0);
    case.machine.run(&["backup", &other]).expect(0);
    // Now with a restore of the other one, too.
    breaks_off();
    let run = case.machine.run(&["restore", &other, "--running", "--yes"]);
    run.expect(1);
    assert!(run.said().contains(&why), "{}", run.said());
    case.machine.run(&["snapshot", &case.source]).expect(0);
    case.machine.run(&["restore", &other, "--running", "--yes"]).expect(0);
}
