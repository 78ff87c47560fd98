//! How a restore of databases that was broken off is settled: what somebody has written is kept, what somebody else has made is left alone, and
//! nothing stops a source for ever.

use std::fs;

use crate::support::between::Between;
use crate::support::program::{Machine, until};
use crate::support::restored::{
    Holder, beside, count, document, filled, grow_old, killed_by, killed_late, prepared, sent, snapshotted, warned,
};
use crate::support::servers::mariadb::MariaDb;

#[test]
fn what_was_written_to_an_undo_that_could_not_be_finished_is_removed_by_no_command() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let configuration = server.configuration("ellis", &[&base]);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let aside = beside(server, &base).remove(0);
    killed_by(&machine, &configuration, "client", &["restore", "ellis", "--undo", "--yes"]);
    server.sql(&format!("INSERT INTO {base}.t VALUES (99)"));
    // What is left to be done fails, and taking it back does not.
    machine.configure_again(&format!("{configuration}{}", machine.client_that_is_refused_once()));
    grow_old(&machine);
    warned(&machine.run(&["snapshot", "ellis"]), &["could not be finished", "look at it before you remove it", &aside]);
    assert_eq!((count(server, &base), count(server, &aside)), ("1".into(), "3".into()));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    machine.run(&["snapshot", "ellis"]).expect(0);
    assert_eq!(count(server, &aside), "3", "it is not too old");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(count(server, &base), "3");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);

    // Nor does the next restore remove it.
    machine.configure_again(&configuration);
    let aside = beside(server, &base).remove(0);
    killed_by(&machine, &configuration, "client", &["restore", "ellis", "--undo", "--yes"]);
    fs::remove_file(machine.path("once")).unwrap();
    machine.configure_again(&format!("{configuration}{}", machine.client_that_is_refused_once()));
    warned(&machine.run(&["snapshot", "ellis"]), &["could not be finished", &aside]);
    warned(&machine.run(&["restore", "ellis", "--yes"]), &["is not removed", &aside]);
    assert_eq!(count(server, &aside), "3");
}

#[test]
fn an_undo_of_which_nobody_has_noted_the_server_is_neither_put_back_nor_removed() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let aside = beside(server, &base).remove(0);
    let path = document(&machine, "undo.json");
    let mut undo: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    undo["placement"].as_object_mut().unwrap().remove("server").unwrap();
    fs::write(&path, undo.to_string()).unwrap();
    let refused = machine.run(&["restore", "ellis", "--undo", "--yes"]);
    assert!(refused.expect(1).stderr.contains("on which server"), "{refused:#?}");
    grow_old(&machine);
    warned(&machine.run(&["snapshot", "ellis"]), &["on which server", &aside, "leftovers.json"]);
    assert_eq!(beside(server, &base), [aside]);
}

#[test]
fn what_another_one_has_loaded_since_a_kill_is_neither_removed_nor_told_to_be_removed() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let configuration = server.configuration("ellis", &[&base]);
    killed_by(&machine, &configuration, "client", &["restore", "ellis", "--yes"]);
    let new = format!("{base}_windlass_new");
    server.sql(&format!("DROP DATABASE {new}; CREATE DATABASE {new}; CREATE TABLE {new}.mine (id INT)"));
    warned(&machine.run(&["snapshot", "ellis"]), &[&new, "somebody else"]);
    // One of the same name on another server is known to be left; this one is not.
    let left = format!(r#"{{"format":1,"databases":[{{"database":"{new}","server":"elsewhere","if_empty":false}}],"files":[]}}"#);
    fs::write(document(&machine, "leftovers.json"), left).unwrap();
    for arguments in [["restore", "ellis", "--dry-run"], ["restore", "ellis", "--yes"]] {
        let refused = machine.run(&arguments);
        assert!(refused.expect(1).stderr.contains("does not remember"), "{refused:#?}");
    }
    assert_eq!(server.ask(None, &format!("SHOW TABLES IN {new}")), "mine");
}

#[test]
fn a_live_database_that_somebody_makes_while_a_restore_loads_is_not_removed() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let configuration = server.configuration("ellis", &[&base]);
    server.sql(&format!("DROP DATABASE {base}"));
    let text =
        format!("SELECT default_character_set_name, default_collation_name FROM information_schema.SCHEMATA WHERE schema_name = '{base}'");
    let make = || server.sql(&format!("CREATE DATABASE {base}"));
    let between = Between::start(&server.socket, &machine.path("between"), &text, &make);
    machine.configure_again(&configuration.replace(server.socket.to_str().unwrap(), between.socket.to_str().unwrap()));
    let run = std::thread::scope(|scope| between.serve(scope, || machine.run(&["restore", "ellis", "--yes"])));
    assert!(run.expect(1).stderr.contains("exists"), "{run:#?}");
    assert_eq!(server.ask(None, &format!("SHOW DATABASES LIKE '{base}'")), base);
    assert_eq!(beside(server, &base), Vec::<String>::new());
}

#[test]
fn a_source_whose_database_is_gone_in_the_middle_of_an_exchange_is_not_blocked() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let configuration = server.configuration("ellis", &[&base]);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    killed_late(&machine, &configuration);
    server.sql(&format!("DROP DATABASE {base}"));
    warned(&machine.run(&["snapshot", "ellis"]), &["was taken back"]);
    assert_eq!((count(server, &base).as_str(), server.ask(Some(&base), "SELECT COUNT(*) FROM v").as_str()), ("2", "2"));

    // As on a server that was made anew.
    killed_late(&machine, &configuration);
    for name in beside(server, &base).iter().chain([&base]) {
        server.sql(&format!("DROP DATABASE {name}"));
    }
    let restored = machine.run(&["restore", "ellis", "--yes"]);
    assert!(restored.expect(0).stderr.contains("is gone"), "{restored:#?}");
    assert_eq!(count(server, &base), "2", "the last snapshot");
}

#[test]
fn a_server_that_is_gone_for_good_blocks_no_source_where_nothing_has_to_be_asked_of_it() {
    let (server, other) = (MariaDb::running(), MariaDb::start(&[]));
    let (base, machine) = prepared(server);
    other.sql(&format!("CREATE DATABASE {base}; CREATE TABLE {base}.t (id INT PRIMARY KEY)"));
    let configuration = server.configuration("ellis", &[&base]);
    killed_by(&machine, &configuration, "client", &["restore", "ellis", "--yes"]);
    machine.configure_again(&other.configuration("ellis", &[&base]));
    warned(&machine.run(&["snapshot", "ellis"]), &["had changed nothing", "_windlass_new", "on the server"]);

    machine.configure_again(&configuration);
    killed_late(&machine, &configuration);
    machine.configure_again(&other.configuration("ellis", &[&base]));
    let refused = machine.run(&["snapshot", "ellis"]);
    assert!(refused.expect(1).stderr.contains("a restore was begun on the server"), "{refused:#?}");
    assert!(refused.stderr.contains("exchange.json"), "the way out is told: {refused:#?}");
    let path = document(&machine, "exchange.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"exchanging\"", "\"exchanged\"")).unwrap();
    warned(&machine.run(&["snapshot", "ellis"]), &["was finished"]);
}

#[test]
fn leftovers_that_cannot_be_read_are_told_and_stop_nothing() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let path = document(&machine, "leftovers.json");
    fs::write(&path, r#"{"format":1,"databases":7}"#).unwrap();
    machine.run(&["restore", "ellis", "--dry-run"]).expect(0);
    warned(&machine.run(&["snapshot", "ellis"]), &["leftovers", "cannot be read", "7"]);
    assert_eq!(beside(server, &base).len(), 1);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
}

#[test]
fn a_restore_that_meets_one_that_had_come_through_finishes_it_and_keeps_what_it_set_aside() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let configuration = server.configuration("ellis", &[&base]);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    killed_late(&machine, &configuration);
    let shown = machine.run(&["restore", "ellis", "--undo", "--dry-run"]);
    assert!(shown.said().contains("broken off"), "{shown:#?}");
    let document = machine.json(&["restore", "ellis", "--yes"], 0);
    assert_eq!((document["settled"]["work"].as_str(), document["settled"]["outcome"].as_str()), (Some("restore"), Some("finished")));
    assert_eq!((count(server, &base).as_str(), count(server, &beside(server, &base)[0]).as_str()), ("1", "2"));

    // Asked for something else, it says that nothing of it was done.
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    killed_late(&machine, &configuration);
    let settled = machine.run(&["restore", "ellis", "--table", "t", "--yes"]);
    assert!(settled.expect(3).said().contains("run it again"), "{settled:#?}");
    assert_eq!(beside(server, &base).len(), 1);
}

#[test]
fn why_a_restore_can_neither_be_finished_nor_taken_back_is_told() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let configuration = server.configuration("ellis", &[&base]);
    killed_late(&machine, &configuration);
    let text = "[ -e ONCE ] && exit 8; touch ONCE; echo 'ERROR 1064 (42000) at line 1: no' >&2; exit 1";
    let fails = machine.client(&text.replace("ONCE", machine.path("once").to_str().unwrap()));
    machine.configure_again(&format!("{configuration}{fails}"));
    let failed = machine.run(&["snapshot", "ellis"]);
    assert!(failed.expect(1).stderr.contains("ERROR 1064") && failed.stderr.contains("exit code 8"), "{failed:#?}");
    assert!(failed.stderr.contains("exchange.json"), "the way out is told: {failed:#?}");
    machine.configure_again(&configuration);
    machine.run(&["snapshot", "ellis"]).expect(0);
}

#[test]
fn an_old_undo_of_databases_stops_no_snapshot_of_a_source_that_is_another_kind_now() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    machine.write("file", "x");
    machine.configure_again(&format!("[directory.ellis]\npath = \"{}\"\n", machine.path("tree").display()));
    grow_old(&machine);
    warned(&machine.run(&["snapshot", "ellis"]), &["undo.json", "look at it"]);
    assert_eq!(beside(server, &base).len(), 1);
}

#[test]
fn what_was_loaded_and_cannot_be_removed_is_told_to_be_in_the_way() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let configuration = server.configuration("ellis", &[&base]);
    killed_by(&machine, &configuration, "client", &["restore", "ellis", "--yes"]);
    let new = format!("{base}_windlass_new");
    server.sql(&format!("CREATE TABLE {new}.t (id INT)"));
    let holder = Holder::of(server, &new);
    let refused = machine.run(&["restore", "ellis", "--yes"]);
    assert!(refused.expect(1).stderr.contains("is left of an earlier restore"), "{refused:#?}");
    assert!(refused.stderr.contains("is tried again"), "{refused:#?}");
    holder.lets_go();
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
}

/// A table with a trigger, whose restore was killed once it had moved, and somebody has written to what came: its database, the configuration and
/// the machine.
fn killed_and_written_to(server: &MariaDb) -> (String, String, Machine) {
    let base = filled(server);
    server.load(Some(&base), b"CREATE TRIGGER noted BEFORE INSERT ON t FOR EACH ROW SET @noted = 1;");
    let configuration = server.configuration("ellis", &[&base]);
    let machine = snapshotted(&configuration);
    killed_late(&machine, &configuration);
    server.sql(&format!("INSERT INTO {base}.t VALUES (99)"));
    (base, configuration, machine)
}

#[test]
fn a_table_that_is_held_when_what_was_broken_off_is_settled_takes_nothing_back() {
    let server = MariaDb::running();
    let (base, _, machine) = killed_and_written_to(server);
    let holder = Holder::of(server, &base);
    let run = std::thread::scope(|scope| {
        let next = scope.spawn(|| machine.run(&["snapshot", "ellis"]));
        let waits =
            format!("SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE 'LOCK TABLES%{base}%' AND state LIKE 'Waiting%'");
        until("it waits for whoever holds the table", || !server.ask(None, &waits).is_empty());
        // As its patience ends, only sooner.
        server.sql(&format!("KILL QUERY {}", server.ask(None, &waits)));
        holder.lets_go();
        next.join().unwrap()
    });
    assert!(run.expect(1).stderr.contains("is not settled"), "{run:#?}");
    assert_eq!(count(server, &base), "2", "{run:#?}");
    warned(&machine.run(&["snapshot", "ellis"]), &["was finished"]);
    assert_eq!(count(server, &base), "2");
}

#[test]
fn a_client_that_is_missing_or_is_killed_when_what_was_broken_off_is_settled_takes_nothing_back() {
    let server = MariaDb::running();
    let (base, configuration, machine) = killed_and_written_to(server);
    let killed = machine.client("kill -KILL $$");
    for (client, told) in [("client = [\"no-such-client\"]\n", "no-such-client"), (killed.as_str(), "the client has ended here")] {
        machine.configure_again(&format!("{configuration}{client}"));
        let run = machine.run(&["snapshot", "ellis"]);
        assert!(run.expect(1).stderr.contains("is not settled") && run.stderr.contains(told), "{run:#?}");
        assert_eq!(count(server, &base), "2", "{run:#?}");
    }
    machine.configure_again(&configuration);
    warned(&machine.run(&["snapshot", "ellis"]), &["was finished"]);
    assert_eq!(count(server, &base), "2");
}

#[test]
fn each_database_that_was_made_for_what_does_not_come_is_removed_though_another_one_cannot() {
    let server = MariaDb::running();
    let bases = [filled(server), filled(server), filled(server)];
    let [one, two, three] = &bases;
    let configuration = server.configuration("ellis", &[one, two, three]);
    let machine = snapshotted(&configuration);
    bases.iter().for_each(|base| server.sql(&format!("DROP DATABASE {base}")));
    // When two of them are made, somebody makes the third one, and leaves a file in the folder of the first, which the server does not remove.
    let stray = std::path::PathBuf::from(server.ask(None, "SELECT @@datadir")).join(one).join("stray");
    let disturb = || {
        server.sql(&format!("CREATE DATABASE {three}"));
        fs::write(&stray, "").unwrap();
    };
    let between = Between::start(&server.socket, &machine.path("between"), &format!("CREATE DATABASE `{two}`"), &disturb);
    machine.configure_again(&configuration.replace(server.socket.to_str().unwrap(), between.socket.to_str().unwrap()));
    let failed = std::thread::scope(|scope| between.serve(scope, || machine.run(&["restore", "ellis", "--yes"])));
    assert!(failed.expect(1).stderr.contains(&format!("`{one}` was made for what did not come")), "{failed:#?}");
    let there = bases.each_ref().map(|base| !server.ask(None, &format!("SHOW DATABASES LIKE '{base}'")).is_empty());
    assert_eq!(there, [true, false, true], "{failed:#?}");
    fs::remove_file(stray).unwrap();
    server.sql(&format!("DROP DATABASE {one}"));
}

#[test]
fn a_live_database_that_a_killed_restore_had_made_is_removed_by_the_next_command() {
    let server = MariaDb::running();
    let gone = || {
        let (base, machine) = prepared(server);
        server.sql(&format!("DROP DATABASE {base}"));
        (base, machine)
    };
    let (_, machine) = gone();
    // What comes is made before it.
    let (at, _) = sent(&machine, &["restore", "ellis", "--yes"]).into_iter().rfind(|(_, line)| line.contains("CREATE DATABASE")).unwrap();
    let (base, machine) = gone();
    let kill = format!("inject=sendto:signal=KILL:when={}", at + 1);
    let killed = machine.alone_under_strace(&["-e", "trace=sendto", "-e", &kill], &["restore", "ellis", "--yes"]);
    let is_there = || server.ask(None, &format!("SHOW DATABASES LIKE '{base}'")) == base;
    assert!(killed.code != Some(0) && is_there(), "{killed:#?}");
    let next = machine.run(&["snapshot", "ellis"]);
    assert!(next.expect(1).stderr.contains("had changed nothing, and what it had loaded was removed"), "{next:#?}");
    assert!(next.stderr.contains("has no database") && !is_there(), "{next:#?}");

    // Whoever makes an empty one in its place has a copy of nothing, and is told so.
    server.sql(&format!("CREATE DATABASE {base}"));
    let empty = machine.run(&["snapshot", "ellis"]);
    assert!(empty.expect(3).stderr.contains("it holds no table, and the copy before has 1"), "{empty:#?}");
}

/// A client that somebody is quicker than at its so-many-th use: he writes to the table, and then it fails.
fn fails_after_a_row(server: &MariaDb, machine: &crate::support::program::Machine, base: &str, at: u32, row: u32) -> String {
    let count = machine.path("uses");
    let _ = fs::remove_file(&count);
    let insert = format!("mariadb --no-defaults -uroot -S {} -e 'INSERT INTO {base}.t VALUES ({row})'", server.socket.display());
    let script = format!("echo >>COUNT; [ \"$(wc -l <COUNT)\" = {at} ] && {insert} && exit 9; exec mariadb \"$@\"");
    format!("{}{}", server.configuration("ellis", &[base]), machine.client(&script.replace("COUNT", &count.display().to_string())))
}

#[test]
fn what_was_written_to_tables_that_had_come_before_an_exchange_fails_is_kept_and_told() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let (configuration, new) = (server.configuration("ellis", &[&base]), format!("{base}_windlass_new"));
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    machine.configure_again(&fails_after_a_row(server, &machine, &base, 2, 98));
    let failed = machine.run(&["restore", "ellis", "--yes"]);
    machine.configure_again(&configuration);
    let told = format!("the restored tables, and what was written to it since, is in `{new}`");
    assert!(failed.expect(1).stderr.contains("exit code 9") && failed.stderr.contains(&told), "{failed:#?}");
    assert_eq!((count(server, &base), server.ask(Some(&new), "SELECT MAX(id) FROM t")), ("2".into(), "98".into()));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let refused = machine.run(&["restore", "ellis", "--yes"]);
    assert!(refused.expect(1).stderr.contains(&new), "{refused:#?}");
    assert_eq!(count(server, &new), "2", "no command removes it");
    server.sql(&format!("DROP DATABASE {new}"));

    // The same of an undo: what it had put back lies aside again, and does not grow old.
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let aside = beside(server, &base).remove(0);
    machine.configure_again(&fails_after_a_row(server, &machine, &base, 1, 99));
    let failed = machine.run(&["restore", "ellis", "--undo", "--yes"]);
    machine.configure_again(&configuration);
    let told = format!("what it had put back, and what was written to it since, is in `{aside}`");
    assert!(failed.expect(1).stderr.contains(&told), "{failed:#?}");
    grow_old(&machine);
    machine.run(&["snapshot", "ellis"]).expect(0);
    assert_eq!((count(server, &base), server.ask(Some(&aside), "SELECT MAX(id) FROM t")), ("2".into(), "99".into()));
}

/// A database without any table, and a view that selects from another one.
const NO_TABLES: &str = "
CREATE PROCEDURE one() SELECT 1; CREATE FUNCTION two() RETURNS INT DETERMINISTIC RETURN 2; CREATE VIEW v AS SELECT two() AS n;
CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR DO SELECT 1; CREATE VIEW far AS SELECT id FROM OTHER.t; CREATE PROCEDURE zero() SELECT 0;
";

#[test]
fn of_a_source_without_tables_what_is_as_it_was_is_not_made_anew_and_what_somebody_made_meanwhile_stays() {
    let server = MariaDb::running();
    let (base, other) = (server.database(), filled(server));
    server.load(Some(&base), NO_TABLES.replace("OTHER", &other).as_bytes());
    let configuration = server.configuration("ellis", &[&base]);
    let machine = snapshotted(&configuration);
    server.load(Some(&base), b"DROP PROCEDURE one; CREATE PROCEDURE one() SELECT 11; CREATE PROCEDURE three() SELECT 3");
    let new = server.everything(&base);
    let made = || {
        server.ask(
            None,
            &format!(
                "SELECT routine_name, created FROM information_schema.ROUTINES WHERE routine_schema = '{base}' UNION ALL \
                 SELECT event_name, created FROM information_schema.EVENTS WHERE event_schema = '{base}' ORDER BY 1"
            ),
        )
    };
    let second = || std::thread::sleep(std::time::Duration::from_millis(1100));

    // A kill after the first definition was dropped: the others are as they were.
    let first = made();
    let dropped = crate::support::restored::sent(&machine, &["restore", "ellis", "--yes"]);
    let (at, _) = dropped.iter().rfind(|(_, line)| line.contains("DROP EVENT")).unwrap().clone();
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), new);
    let before = made();
    assert_ne!(before, first, "a second has passed, so that one can tell");
    second();
    let kill = format!("inject=sendto:signal=KILL:when={}", at + 1);
    let killed = machine.alone_under_strace(&["-e", "trace=sendto", "-e", &kill], &["restore", "ellis", "--yes"]);
    assert_ne!(killed.code, Some(0));
    warned(&machine.run(&["snapshot", "ellis"]), &["was taken back"]);
    assert_eq!(server.everything(&base), new);
    let lines = |text: &str, but: &str| text.lines().filter(|line| !line.starts_with(but)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&made(), "yearly"), lines(&before, "yearly"), "only the event was missing");

    // All of them were dropped, and one view cannot be made: the next command makes it alone, and drops nothing.
    killed_late(&machine, &configuration);
    server.sql(&format!("DROP TABLE {other}.t"));
    machine.run(&["snapshot", "ellis"]).expect(1);
    let before = made();
    second();
    server.sql(&format!("CREATE PROCEDURE {base}.mine() SELECT 4; CREATE TABLE {other}.t (id INT PRIMARY KEY)"));
    warned(&machine.run(&["snapshot", "ellis"]), &["was taken back"]);
    assert_eq!(lines(&made(), "mine"), lines(&before, "mine"));
    assert_eq!(server.ask(Some(&base), "CALL mine()"), "4");
    server.sql(&format!("DROP PROCEDURE {base}.mine"));
    assert_eq!(server.everything(&base), new);
    assert_eq!(
        document(&machine, "").read_dir().unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count(),
        1,
        "that of the undo"
    );
}
