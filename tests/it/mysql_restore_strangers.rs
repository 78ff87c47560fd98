//! What others have put where a restore of databases has its own things: it stays, and is told. And what of these things is left is known, until it
//! is gone.

use std::fs;

use crate::support::program::{Machine, text};
use crate::support::restored::{
    CONTENT, Holder, beside, count, document, filled, grow_old, keep_long, killed_late, killed_moved, prepared, snapshotted, warned,
};
use crate::support::servers::mariadb::MariaDb;

const RESTORE: [&str; 3] = ["restore", "ellis", "--yes"];
const UNDO: [&str; 4] = ["restore", "ellis", "--undo", "--yes"];

#[test]
fn what_others_have_put_into_an_undo_stays_and_is_told_when_the_rest_of_it_goes() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    machine.run(&RESTORE).expect(0);
    let mut aside = beside(server, &base).remove(0);
    // By the next restore, and because it is too old.
    for is_old in [false, true] {
        server.sql(&format!(
            "CREATE TABLE {aside}.mine (id INT); INSERT INTO {aside}.mine VALUES (4711); CREATE VIEW {aside}.look AS SELECT 1"
        ));
        let told = [&format!("`{aside}` is needed no more, and holds what no restore has put there"), "table `mine`", "view `look`"];
        let run = if is_old {
            grow_old(&machine);
            machine.run(&["snapshot", "ellis"])
        } else {
            machine.run(&RESTORE)
        };
        warned(&run, &told);
        assert_eq!(server.ask(None, &format!("SHOW TABLES IN {aside}")), "look\nmine", "{run:#?}");
        assert!(machine.run(&["status"]).expect(7).said().contains(&aside));
        warned(&machine.run(&["snapshot", "ellis"]), &told);
        // What he makes there since is his, whatever its name.
        server.sql(&format!("CREATE TABLE {aside}.t (id INT)"));
        machine.run(&["snapshot", "ellis"]).expect(0);
        assert_eq!(server.ask(None, &format!("SHOW TABLES IN {aside}")), "look\nmine\nt");
        server.sql(&format!("DROP TABLE {aside}.t; DROP VIEW {aside}.look; RENAME TABLE {aside}.mine TO {base}.mine_{}", u8::from(is_old)));
        let last = machine.run(&["snapshot", "ellis"]);
        assert!(!last.expect(0).stderr.contains("needed no more"), "{last:#?}");
        let left = beside(server, &base);
        assert!(!left.contains(&aside), "{left:?}");
        aside = left.into_iter().next().unwrap_or_default();
    }
    assert_eq!(server.ask(Some(&base), "SELECT id FROM mine_1"), "4711");
}

/// What `list` offers to be undone.
fn offered(machine: &Machine) -> usize {
    machine.json(&["list"], 0)["undo"].as_array().unwrap().len()
}

#[test]
fn an_undo_whose_removal_has_begun_is_offered_no_more_and_goes_with_the_next_command() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    server.sql(&format!("CREATE TABLE {base}.u (id INT PRIMARY KEY)"));
    machine.run(&RESTORE).expect(0);
    let aside = beside(server, &base).remove(0);
    assert_eq!(offered(&machine), 1);
    // It is too old, and one of its tables is held: the other one goes.
    let holder = Holder::of(server, &aside);
    grow_old(&machine);
    warned(&machine.run(&["snapshot", "ellis"]), &[&aside, "is tried again"]);
    assert_eq!(server.ask(None, &format!("SHOW TABLES IN {aside}")), "t");
    for how in ["--dry-run", "--yes"] {
        let refused = machine.run(&["restore", "ellis", "--undo", how]);
        assert!(refused.expect(6).stderr.contains("what is left of it cannot be put back"), "{how}: {refused:#?}");
    }
    assert_eq!(offered(&machine), 0);
    assert!(machine.run(&["status"]).expect(7).said().contains(&aside));
    holder.lets_go();
    machine.run(&["snapshot", "ellis"]).expect(0);
    assert_eq!(beside(server, &base), Vec::<String>::new());

    // As a kill leaves it that comes once the removal is written down, and before the undo is forgotten.
    keep_long(&machine);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    machine.run(&RESTORE).expect(0);
    let aside = beside(server, &base).remove(0);
    let undo: serde_json::Value = serde_json::from_slice(&fs::read(document(&machine, "undo.json")).unwrap()).unwrap();
    let server_of = text(&undo["placement"]["server"]);
    let left = serde_json::json!({
        "format": 1,
        "databases": [{"database": aside, "server": server_of, "if_empty": false, "tables": ["t"]}],
        "files": [],
    });
    fs::write(document(&machine, "leftovers.json"), left.to_string()).unwrap();
    assert_eq!(offered(&machine), 0);
    let holder = Holder::of(server, &aside);
    let refused = machine.run(&["restore", "ellis", "--undo", "--dry-run"]);
    assert!(refused.expect(1).stderr.contains("is being removed"), "{refused:#?}");
    let refused = machine.run(&UNDO);
    assert!(refused.expect(6).stderr.contains("can be put back no more"), "{refused:#?}");
    assert!(refused.stderr.contains("what is left of it cannot be put back"), "{refused:#?}");
    holder.lets_go();
    machine.run(&["snapshot", "ellis"]).expect(0);
    assert_eq!((beside(server, &base), count(server, &base)), (Vec::new(), "1".into()));
}

#[test]
fn what_was_written_to_tables_that_were_taken_back_is_told_until_somebody_removes_it() {
    let server = MariaDb::running();
    // Two databases with keys into each other: neither can be dropped before the other one.
    let [one, two] = [filled(server), filled(server)];
    server.sql(&format!(
        "CREATE TABLE {one}.c (id INT PRIMARY KEY, CONSTRAINT c1 FOREIGN KEY (id) REFERENCES {two}.t (id)); INSERT INTO {one}.c VALUES (1); \
         CREATE TABLE {two}.c (id INT PRIMARY KEY, CONSTRAINT c2 FOREIGN KEY (id) REFERENCES {one}.t (id)); INSERT INTO {two}.c VALUES (1)"
    ));
    let configuration = server.configuration("ellis", &[&one, &two]);
    let machine = snapshotted(&configuration);
    let count_of_clients = machine.path("count");
    let _ = fs::remove_file(&count_of_clients);
    // Killed once the tables have moved: the third client is the first that makes definitions.
    let text = "echo >>COUNT; [ \"$(wc -l <COUNT)\" = 3 ] && kill -KILL $PPID && exit 9; exec mariadb \"$@\"";
    machine.configure_again(&format!("{configuration}{}", machine.client(&text.replace("COUNT", &count_of_clients.display().to_string()))));
    assert_eq!(machine.run(&RESTORE).code, None);
    server.sql(&format!("INSERT INTO {one}.t VALUES (99); CREATE VIEW {one}.mine AS SELECT 7 AS seven; CREATE FUNCTION {one}.mine_too() RETURNS INT DETERMINISTIC RETURN 7"));
    server.load(Some(&one), b"CREATE TRIGGER noted BEFORE INSERT ON t FOR EACH ROW SET @noted = 4711;");
    // What is left to be done fails, and taking it back does not.
    machine.configure_again(&format!("{configuration}{}", machine.client_that_is_refused_once()));
    let new = format!("{one}_windlass_new");
    let taken_back = machine.run(&["snapshot", "ellis"]);
    warned(&taken_back, &["could not be finished", &new]);
    // What others have made meanwhile is there, and what kept a table from moving is told.
    assert_eq!(server.ask(Some(&one), "SELECT seven + mine_too() FROM mine"), "14", "{taken_back:#?}");
    assert!(taken_back.stderr.contains("trigger `noted`") && taken_back.stderr.contains("@noted = 4711"), "{taken_back:#?}");
    assert_eq!((count(server, &one), count(server, &new)), ("1".into(), "2".into()));
    machine.configure_again(&configuration);
    let removes = |database: &str| format!("SET SESSION foreign_key_checks = 0; DROP DATABASE `{database}_windlass_new`");
    for _ in 0..2 {
        let status = machine.run(&["status"]);
        assert!([&one, &two].iter().all(|base| status.expect(7).said().contains(&removes(base))), "{status:#?}");
        warned(&machine.run(&["snapshot", "ellis"]), &[&removes(&one), &removes(&two)]);
    }
    for how in ["--dry-run", "--yes"] {
        let refused = machine.run(&["restore", "ellis", how]);
        assert!(refused.expect(1).stderr.contains(&removes(&one)), "{how}: {refused:#?}");
    }
    assert_eq!(count(server, &new), "2");
    server.sql(&removes(&one));
    server.sql(&removes(&two));
    machine.run(&RESTORE).expect(0);
    assert!(!machine.run(&["status"]).said().contains("_windlass_new"));
    // The undo of both goes, whatever refers to what in it.
    machine.run(&RESTORE).expect(0);
    assert_eq!((beside(server, &one).len(), beside(server, &two).len()), (1, 1));
}

/// What everybody finds in the database besides tables.
fn definitions(server: &MariaDb, base: &str) -> String {
    let sql = format!(
        "SELECT CONCAT('view ', table_name) AS one FROM information_schema.VIEWS WHERE table_schema = '{base}' UNION SELECT CONCAT(LOWER(routine_type), ' ', \
         routine_name, ' ', routine_definition) FROM information_schema.ROUTINES WHERE routine_schema = '{base}' UNION SELECT CONCAT('event ', \
         event_name) FROM information_schema.EVENTS WHERE event_schema = '{base}' UNION SELECT CONCAT('trigger ', trigger_name) FROM \
         information_schema.TRIGGERS WHERE trigger_schema = '{base}' ORDER BY one"
    );
    server.ask(None, &sql)
}

#[test]
fn what_others_have_made_since_a_kill_stays_when_the_restore_is_finished() {
    let server = MariaDb::running();
    let begun = || {
        let base = server.database();
        let more = "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1; CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 1;";
        server.load(Some(&base), format!("{CONTENT} {more}").as_bytes());
        let configuration = server.configuration("ellis", &[&base]);
        let machine = snapshotted(&configuration);
        server.sql(&format!(
            "CREATE VIEW {base}.old AS SELECT 1; CREATE FUNCTION {base}.old() RETURNS INT DETERMINISTIC RETURN 1; CREATE OR REPLACE FUNCTION {base}.f() RETURNS INT DETERMINISTIC \
             RETURN 0"
        ));
        (base, configuration, machine)
    };
    // Killed as soon as tables have moved, and when what comes is made.
    for is_early in [true, false] {
        let (base, configuration, machine) = begun();
        if is_early {
            killed_moved(server, &machine, &configuration);
            assert_eq!(definitions(server, &base), "");
        } else {
            killed_late(&machine, &configuration);
        }
        server.sql(&format!(
            "CREATE VIEW {base}.mine AS SELECT 7 AS seven; CREATE FUNCTION {base}.mine() RETURNS INT DETERMINISTIC RETURN 7; CREATE EVENT {base}.mine ON SCHEDULE \
             EVERY 1 YEAR DO SET @a = 7; CREATE TRIGGER {base}.mine BEFORE DELETE ON {base}.t FOR EACH ROW SET @a = 7"
        ));
        if !is_early {
            // One of a name that comes: it was missing.
            server.sql(&format!("CREATE FUNCTION {base}.f() RETURNS INT DETERMINISTIC RETURN 2"));
        }
        let finished = machine.run(&["snapshot", "ellis"]);
        let told = ["view", "event", "trigger", "function"].map(|kind| format!("{kind} `{base}`.`mine`"));
        warned(&finished, &["was finished", "has made since", &told[0], &told[1], &told[2], &told[3]]);
        let wanted = format!(
            "event mine\nfunction f RETURN {}\nfunction mine RETURN 7\ntrigger mine\ntrigger tr\nview mine\nview v",
            if is_early { 1 } else { 2 }
        );
        assert_eq!(definitions(server, &base), wanted, "{is_early}: {finished:#?}");
        assert_eq!(server.ask(Some(&base), "SELECT seven FROM mine"), "7");
        server.sql(&format!("INSERT INTO {base}.v VALUES (5)"));
        machine.run(&UNDO).expect(0);
        assert_eq!(definitions(server, &base), "function f RETURN 0\nfunction old RETURN 1\ntrigger tr\nview old\nview v");
    }
}
