//! What a restore of databases says before it begins and when it cannot go on: what is asked of a person, of the account, of the server's disk.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::process::{Command, Stdio};

use crate::support::between::Between;
use crate::support::program::{Machine, finish, until};
use crate::support::restored::{Holder, beside, count, filled, prepared, snapshotted};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

#[test]
fn a_folder_without_the_dump_is_told_in_the_plan_with_what_such_a_folder_has() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let empty = machine.path("empty");
    fs::create_dir(&empty).unwrap();
    for folder in [empty, machine.path("nowhere"), machine.path("windlass.toml")] {
        for how in ["--dry-run", "--yes"] {
            let absent = machine.run(&["restore", "ellis", "--from", folder.to_str().unwrap(), how]);
            let wanted = format!("there is no dump of `{base}` in {}: such a folder has {base}/db_backup.sql", folder.display());
            assert!(absent.expect(6).stderr.contains(&wanted), "{wanted}: {absent:#?}");
        }
    }
    let to = machine.path("fetched");
    machine.run(&["fetch", "ellis/latest", "--to", to.to_str().unwrap()]).expect(0);
    machine.run(&["restore", "ellis", "--from", to.to_str().unwrap(), "--yes"]).expect(0);
    // What was fetched of another snapshot than the one that is named is no damage.
    let id = machine.listed().last().unwrap().0.clone();
    server.load(Some(&base), b"CREATE TABLE since_then (id INT PRIMARY KEY); INSERT INTO since_then VALUES (1);");
    machine.run(&["snapshot", "ellis"]).expect(0);
    for how in ["--dry-run", "--yes"] {
        let other = machine.run(&["restore", "ellis", "--from", to.to_str().unwrap(), how]);
        assert!(other.expect(6).stderr.contains("name the snapshot that it was fetched of"), "{other:#?}");
    }
    machine.run(&["restore", &format!("ellis/{id}"), "--from", to.to_str().unwrap(), "--yes"]).expect(0);
}

#[test]
fn mistakes_of_the_command_line_are_told_as_such() {
    let server = MariaDb::running();
    let (one, other) = (filled(server), filled(server));
    let machine = snapshotted(&server.configuration("ellis", &[&one, &other]));
    machine.write("file", "x");
    machine.run(&["snapshot", "tree"]).expect(0);
    let copy = machine.path("1388534400");
    fs::create_dir(&copy).unwrap();
    fs::write(copy.join("db_backup.sql"), "CREATE TABLE t (id INT);\n-- Dump completed\n").unwrap();
    for (arguments, says) in [
        (&["ellis", "--table", "t"][..], "--table DATABASE.TABLE"),
        (&["ellis", "--as", "look"], "say which with --database"),
        (&["ellis", "--as", &format!("{one}_windlass_new")], "choose another"),
        (&["ellis", "--as", "x_windlass_undo_20260101_000000000"], "choose another"),
        (&["ellis", "--database", &format!("{one}_windlass_new")], "choose another"),
        (&["ellis", "--from", copy.to_str().unwrap()], "say with --database which one"),
        (&["tree", "--database", "x"], "only of the databases of a server"),
    ] {
        for how in ["--dry-run", "--yes"] {
            let run = machine.run(&[&["restore", how], arguments].concat());
            assert!(run.expect(2).stderr.contains(says), "{arguments:?}: {run:#?}");
        }
    }
}

#[test]
fn one_database_of_several_is_planned_with_its_own_size() {
    let server = MariaDb::running();
    let (small, big) = (filled(server), server.database());
    server.load(
        Some(&big),
        b"CREATE TABLE big (id INT PRIMARY KEY, bytes BLOB); INSERT INTO big SELECT seq, RANDOM_BYTES(1024) FROM seq_1_to_8000;",
    );
    let machine = Machine::in_memory().configured(&server.configuration("ellis", &[&small, &big]));
    machine.run(&["init"]).expect(0);
    machine.run(&["backup", "ellis"]).expect(0);
    let plan = |more: &[&str]| machine.json(&[&["restore", "ellis", "--dry-run"], more].concat(), 0)["plan"].clone();
    let number = |plan: &serde_json::Value, key: &str| plan[key].as_u64().unwrap();
    for from in ["local", "repository"] {
        let (all, part) = (plan(&["--from", from]), plan(&["--from", from, "--database", &small]));
        assert!(number(&all, "bytes") > 8 << 20 && number(&part, "bytes") < 100 << 10, "{all:#} {part:#}");
        assert_eq!(part["files"], 1);
        assert!(from == "local" || number(&part, "download_bytes") < number(&all, "download_bytes") / 2, "{all:#} {part:#}");
    }
    let restored = machine.json(&["restore", "ellis", "--database", &small, "--yes"], 0);
    assert!(number(&restored["outcome"], "bytes") < 100 << 10, "{restored:#}");
}

/// An account that may not refer to tables of another database is told so by the plan, though no live table does.
fn keys_of_what_comes_are_asked_for_in_the_plan(server: &MariaDb, speaks_tls: bool, routines: &str) {
    let (base, other) = (server.database(), server.database());
    server.sql(&format!(
        "CREATE TABLE {other}.p (id INT PRIMARY KEY); INSERT INTO {other}.p VALUES (1);
         CREATE TABLE {base}.c (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES {other}.p (id)); INSERT INTO {base}.c VALUES (1);
         CREATE TABLE {base}.t (id INT PRIMARY KEY);"
    ));
    let rights = format!("GRANT ALL ON {base}.* TO ACCOUNT; GRANT ALL ON `{base}\\_windlass\\_%`.* TO ACCOUNT; {routines} TO ACCOUNT");
    let account = server.account("BY SECRET", &rights);
    let folder = tempfile::tempdir().unwrap();
    let mut configuration = server.over_tcp("ellis", &[&base], &account, folder.path());
    if speaks_tls {
        configuration += &format!("ca_file = \"{}\"\n", server.ca_file.display());
    }
    let machine = snapshotted(&configuration);
    for live in [format!("DROP TABLE {base}.c"), format!("DROP DATABASE {base}")] {
        server.sql(&live);
        for how in ["--dry-run", "--yes"] {
            let refused = machine.run(&["restore", "ellis", how]);
            let said = &refused.expect(1).stderr;
            assert!(
                said.contains("what comes has foreign keys") && said.contains(&format!("GRANT REFERENCES ON `{other}`.`p`")),
                "{refused:#?}"
            );
        }
    }
    let sound = machine.run(&["restore", "ellis", "--table", "t", "--dry-run"]);
    sound.expect(0);
    server.sql(&format!("GRANT REFERENCES ON {other}.p TO {account}"));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM c"), "1");
}

#[test]
fn keys_of_what_comes_are_asked_for_in_the_plan_on_mariadb() {
    keys_of_what_comes_are_asked_for_in_the_plan(MariaDb::running(), true, "GRANT SELECT ON mysql.proc");
}

#[test]
fn keys_of_what_comes_are_asked_for_in_the_plan_on_mysql_8() {
    let make = Make::Mysql80;
    keys_of_what_comes_are_asked_for_in_the_plan(make.running(), true, make.right_to_see_routines());
}

#[test]
fn keys_of_what_comes_are_asked_for_in_the_plan_on_mysql_5_7() {
    let make = Make::Mysql57;
    keys_of_what_comes_are_asked_for_in_the_plan(make.running(), false, make.right_to_see_routines());
}

#[test]
fn a_dump_that_is_larger_than_the_room_of_the_server_is_told_by_the_plan() {
    let server = MariaDb::running();
    let (_, machine) = prepared(server);
    let copy = machine.path("1388534400");
    fs::create_dir(&copy).unwrap();
    let mut file = fs::File::create(copy.join("db_backup.sql")).unwrap();
    file.seek(SeekFrom::Start(4 << 40)).unwrap();
    file.write_all(b"\n-- Dump completed\n").unwrap();
    let plan = machine.run(&["restore", "ellis", "--from", copy.to_str().unwrap(), "--dry-run"]);
    assert!(plan.expect(0).stdout.contains("what comes takes about 4194305 MiB there beside what is there now"), "{plan:#?}");
}

#[test]
fn a_disk_of_the_server_that_is_full_is_said_in_words_and_changes_nothing() {
    let server = MariaDb::on_a_disk_of("160m", &["--innodb-log-file-size=8M", "--skip-log-bin"]);
    let base = server.database();
    server.load(
        Some(&base),
        b"CREATE TABLE big (id INT PRIMARY KEY, bytes LONGBLOB); INSERT INTO big SELECT seq, RANDOM_BYTES(1024) FROM seq_1_to_64000;",
    );
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    let full = machine.run(&["restore", "ellis", "--yes"]);
    let said = &full.expect(1).stderr;
    assert!(
        ["a disk of the server's machine is full", "a disk of its machine is full"].iter().any(|words| said.contains(words)),
        "{full:#?}"
    );
    assert!(said.contains("nothing that is live was changed"), "{full:#?}");
    assert_eq!(beside(&server, &base), Vec::<String>::new());
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM big"), "64000");
}

#[test]
fn a_database_that_somebody_makes_between_the_note_and_the_making_is_left_alone() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let configuration = server.configuration("ellis", &[&base]);
    let new = format!("{base}_windlass_new");
    // What is asked just before it is made, and after it was looked for.
    let make = || server.sql(&format!("CREATE DATABASE {new}; CREATE TABLE {new}.t (id INT)"));
    let between = Between::start(&server.socket, &machine.path("between"), "full_collation_name", &make);
    machine.configure_again(&configuration.replace(server.socket.to_str().unwrap(), between.socket.to_str().unwrap()));
    let run = std::thread::scope(|scope| between.serve(scope, || machine.run(&["restore", "ellis", "--yes"])));
    assert!(run.expect(1).stderr.contains("make a database on") && run.stderr.contains("nothing that is live was changed"), "{run:#?}");
    assert_eq!((beside(server, &base), count(server, &new)), (vec![new.clone()], "0".into()));
    // It is neither ours nor in nobody's way.
    machine.configure_again(&configuration);
    let refused = machine.run(&["restore", "ellis", "--yes"]);
    assert!(refused.expect(1).stderr.contains("does not remember"), "{refused:#?}");
    server.sql(&format!("DROP DATABASE {new}"));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
}

#[test]
fn a_table_that_could_not_be_locked_is_told_with_the_word_that_nothing_live_was_changed() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let holder = Holder::of(server, &base);
    let run = std::thread::scope(|scope| {
        let restore = scope.spawn(|| machine.run(&["restore", "ellis", "--yes"]));
        let waits = format!("SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE 'LOCK TABLES `{base}`%'");
        until("it waits for whoever holds the table", || !server.ask(None, &waits).is_empty());
        // As its patience ends, only sooner.
        server.sql(&format!("KILL QUERY {}", server.ask(None, &waits)));
        restore.join().unwrap()
    });
    let said = &run.expect(1).stderr;
    assert!(said.contains("somebody may hold one in a long transaction") && said.contains("nothing that is live was changed"), "{run:#?}");
    assert_eq!(beside(server, &base), Vec::<String>::new());
    holder.lets_go();
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
}

#[test]
fn a_dump_of_the_old_script_goes_into_a_database_of_the_source_alone() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let stranger = filled(server);
    let copy = machine.path("1388534400");
    fs::create_dir(&copy).unwrap();
    fs::write(copy.join("db_backup.sql"), "CREATE TABLE other (id INT);\n-- Dump completed\n").unwrap();
    for how in ["--dry-run", "--yes"] {
        let refused = machine.run(&["restore", "ellis", "--from", copy.to_str().unwrap(), "--database", &stranger, how]);
        assert!(refused.expect(6).stderr.contains(&format!("has no database `{stranger}`: it has {base}")), "{refused:#?}");
    }
    assert_eq!(count(server, &stranger), "1");
}

#[test]
fn a_person_at_a_terminal_is_asked_before_databases_are_restored_or_put_back() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    let asked = |answer: &str, more: &str| {
        // The program `script` gives what it starts a terminal of its own.
        let line =
            format!("'{}' --config '{}' restore ellis {more}", env!("CARGO_BIN_EXE_windlass"), machine.path("windlass.toml").display());
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-c", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the tests need the program script");
        child.stdin.as_ref().unwrap().write_all(answer.as_bytes()).unwrap();
        // It stays open until the end: without it the terminal is hung up.
        let stdin = child.stdin.take();
        let run = finish(child);
        drop(stdin);
        run
    };
    for answer in ["n\n", "\n", "yep\n"] {
        let run = asked(answer, "");
        assert!(run.expect(1).stdout.contains(&format!("Make `{base}` at ")) && run.stdout.contains("[y/N]"), "{run:#?}");
        assert_eq!((count(server, &base), beside(server, &base)), ("2".into(), Vec::new()), "{answer:?}");
    }
    asked("y\n", "").expect(0);
    assert_eq!(count(server, &base), "1");
    let run = asked("n\n", "--undo");
    assert!(run.expect(1).stdout.contains("Put back what was there before"), "{run:#?}");
    assert_eq!(count(server, &base), "1");
    asked("y\n", "--undo").expect(0);
    assert_eq!(count(server, &base), "2");
}
