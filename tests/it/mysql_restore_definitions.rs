//! Views, triggers, events and routines of a live database: whatever a restore meets, each one is there afterwards, in an undo or in a file.

use std::fs;

use crate::support::between::Between;
use crate::support::program::{Machine, Run, until};
use crate::support::restored::{Holder, count, document, filled, prepared, snapshotted, warned};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// The files of saved definitions that a machine has of live databases of `ellis`.
fn saved(machine: &Machine) -> Vec<std::path::PathBuf> {
    let folders = fs::read_dir(document(machine, "")).unwrap().map(|entry| entry.unwrap().path());
    let undos = folders.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("undo_"));
    undos.flat_map(|path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path())).collect()
}

#[test]
fn a_definition_that_is_not_there_once_the_old_state_is_back_is_told_and_its_file_stays() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let configuration = server.configuration("ellis", &[&base]);
    // From the moment that tables have moved it fails once, and then says that all went well and makes nothing.
    let text = "echo >>COUNT; n=$(wc -l <COUNT); [ $n = 2 ] && exit 9; [ $n -gt 2 ] && { cat >/dev/null; exit 0; }; exec mariadb \"$@\"";
    let lies = machine.client(&text.replace("COUNT", &machine.path("count").display().to_string()));
    machine.configure_again(&format!("{configuration}{lies}"));
    let failed = machine.run(&["restore", "ellis", "--yes"]);
    let file = saved(&machine).remove(0);
    assert!(failed.expect(1).stderr.contains(&format!("view `{base}`.`v`")), "{failed:#?}");
    assert!(failed.stderr.contains(&file.display().to_string()), "{failed:#?}");
    assert!(fs::read_to_string(&file).unwrap().contains("VIEW `v`"));
    machine.configure_again(&configuration);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    machine.run(&["snapshot", "ellis"]).expect(0);
    assert!(file.exists(), "only a person removes it");
}

/// Events of a database, each with its status.
fn events(server: &MariaDb, base: &str) -> String {
    let sql = format!("SELECT CONCAT(event_name, ' ', status) FROM information_schema.EVENTS WHERE event_schema = '{base}' ORDER BY 1");
    server.ask(None, &sql).replace('\n', ", ")
}

/// Restores a database and undoes that, when the time of all of its events has passed.
fn come_due(server: &MariaDb, statements: &str, there: &str, names: &[&str]) {
    let base = filled(server);
    server.load(Some(&base), statements.as_bytes());
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    let pending = format!(
        "SELECT COUNT(*) FROM information_schema.EVENTS WHERE event_schema = '{base}' AND COALESCE(execute_at, ends) >= NOW() - INTERVAL 1 SECOND"
    );
    until("all of them are due", || server.ask(None, &pending) == "0");
    for arguments in [&["restore", "ellis", "--yes"][..], &["restore", "ellis", "--undo", "--yes"]] {
        warned(&machine.run(arguments), names);
        assert_eq!(events(server, &base), there, "{arguments:?}");
        server.sql(&format!("DELETE FROM {base}.t WHERE id > 1"));
    }
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!((events(server, &base).as_str(), count(server, &base).as_str()), (there, "1"));
}

#[test]
fn an_event_whose_time_has_passed_is_there_after_a_restore_and_after_its_undo() {
    // Where no scheduler runs, none of them goes by itself.
    let soon = "CURRENT_TIMESTAMP + INTERVAL 2 SECOND";
    let statements = format!(
        "CREATE EVENT once ON SCHEDULE AT {soon} DO INSERT INTO t VALUES (77);
         CREATE EVENT `on completion` ON SCHEDULE AT {soon} ON COMPLETION PRESERVE COMMENT 'ENABLE it''s' DO INSERT INTO t VALUES (78);
         CREATE EVENT ends ON SCHEDULE EVERY 1 HOUR ENDS {soon} DO INSERT INTO t VALUES (79);
         CREATE EVENT waits ON SCHEDULE AT {soon} DISABLE DO INSERT INTO t VALUES (80);"
    );
    let server = MariaDb::running();
    come_due(server, &statements, "ends DISABLED, on completion DISABLED, once DISABLED, waits DISABLED", &[]);
}

#[test]
fn an_event_whose_time_has_passed_is_there_after_a_restore_on_mysql_8() {
    // Its scheduler runs from the start, and lets alone what is switched off.
    let statements = "CREATE EVENT waits ON SCHEDULE AT CURRENT_TIMESTAMP + INTERVAL 2 SECOND DISABLE DO INSERT INTO t VALUES (80);
        CREATE EVENT ends ON SCHEDULE EVERY 1 HOUR ENDS CURRENT_TIMESTAMP + INTERVAL 2 SECOND DISABLE DO INSERT INTO t VALUES (79);";
    come_due(Make::Mysql80.running(), statements, "ends DISABLED, waits DISABLED", &[]);
}

#[test]
fn an_event_that_the_server_drops_whatever_is_done_is_told_with_its_definition() {
    let server = MariaDb::start(&["--secure-timestamp=YES"]);
    let base = filled(&server);
    server.load(Some(&base), b"CREATE EVENT once ON SCHEDULE AT CURRENT_TIMESTAMP + INTERVAL 2 SECOND DO INSERT INTO t VALUES (77);");
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    std::thread::sleep(std::time::Duration::from_millis(2500));
    warned(&machine.run(&["restore", "ellis", "--yes"]), &["the event `once`", "INSERT INTO t VALUES (77)"]);
    assert_eq!(events(&server, &base), "");
}

#[test]
fn a_database_is_told_from_one_whose_name_differs_in_its_case_alone() {
    let server = MariaDb::running();
    let base = filled(server);
    let twin = base.to_uppercase();
    let make =
        "CREATE TRIGGER noted BEFORE INSERT ON t FOR EACH ROW SET @noted = 1; CREATE EVENT later ON SCHEDULE AT '2035-01-01' DO DO 0;";
    server.load(Some(&base), make.as_bytes());
    server.sql(&format!("CREATE DATABASE {twin}; CREATE TABLE {twin}.t (id INT)"));
    let more =
        "CREATE TRIGGER other AFTER INSERT ON t FOR EACH ROW SET @noted = 1; CREATE EVENT never ON SCHEDULE AT '2035-01-01' DO DO 0;";
    server.load(Some(&twin), format!("{make}{more}").as_bytes());
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let configuration = server.configuration("ellis", &[&base]);
    machine.configure_again(&format!("{configuration}{}", machine.client_that_fails_late()));
    machine.run(&["restore", "ellis", "--yes"]).expect(1);
    let shown = |what: &str, of: &str| server.ask(Some(of), &format!("SHOW {what}")).lines().count();
    assert_eq!(["TRIGGERS", "EVENTS"].map(|what| (shown(what, &base), shown(what, &twin))), [(1, 2), (1, 2)]);
    server.sql(&format!("DROP DATABASE {twin}"));
}

#[test]
fn a_definition_that_is_made_after_the_others_were_saved_is_not_dropped() {
    let server = MariaDb::running();
    let (base, machine) = prepared(server);
    let configuration = server.configuration("ellis", &[&base]);
    let make = || server.sql(&format!("CREATE PROCEDURE {base}.late() DO 0"));
    let between = Between::start(&server.socket, &machine.path("between"), &format!("CREATE DATABASE `{base}_windlass_undo_"), &make);
    machine.configure_again(&configuration.replace(server.socket.to_str().unwrap(), between.socket.to_str().unwrap()));
    let run = std::thread::scope(|scope| between.serve(scope, || machine.run(&["restore", "ellis", "--yes"])));
    assert!(run.expect(1).stderr.contains(&format!("procedure `{base}`.`late`")), "{run:#?}");
    assert!(run.stderr.contains("nothing was changed"), "{run:#?}");
    machine.configure_again(&configuration);
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    server.sql(&format!("CALL {base}.late()"));
}

/// Restores while somebody has used something in a transaction that is open, until it waits for that in vain; the long wait is cut short.
fn restored_in_vain(server: &MariaDb, machine: &Machine, long: Option<&str>, holder: Holder<'_>) -> Run {
    let run = std::thread::scope(|scope| {
        let restored = scope.spawn(|| machine.run(&["restore", "ellis", "--yes"]));
        if let Some(waiting) = long {
            let waits = format!("SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE '{waiting}' AND state LIKE 'Waiting%'");
            until("it waits for whoever is in the way", || !server.ask(None, &waits).is_empty());
            server.sql(&format!("KILL QUERY {}", server.ask(None, &waits)));
        }
        restored.join().unwrap()
    });
    let after = machine.run(&["snapshot", "ellis"]);
    holder.lets_go();
    assert!(!after.expect(0).stderr.contains("broken off"), "{after:#?} after {run:#?}");
    run
}

#[test]
fn who_uses_a_view_or_a_function_of_other_tables_for_long_keeps_nothing_from_being_as_it_was() {
    let server = MariaDb::running();
    let (base, other) = (filled(server), filled(server));
    let configuration = server.configuration("ellis", &[&base]);
    let more = "CREATE TRIGGER noted BEFORE INSERT ON t FOR EACH ROW SET @noted = 1; CREATE VIEW w AS SELECT id FROM OTHER.t;
        CREATE FUNCTION f() RETURNS INT READS SQL DATA RETURN (SELECT MAX(id) FROM OTHER.t); CREATE PROCEDURE p() DO 0;";
    server.load(Some(&base), more.replace("OTHER", &other).as_bytes());
    let machine = snapshotted(&configuration);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    let whole = || {
        let shown = |what: &str| server.ask(None, &format!("SELECT COUNT(*) FROM information_schema.{what} = '{base}'"));
        assert_eq!(
            ["TRIGGERS WHERE trigger_schema", "VIEWS WHERE table_schema", "ROUTINES WHERE routine_schema"].map(shown),
            ["1", "2", "2"]
        );
        assert_eq!(count(server, &base), "2");
    };
    let holder = Holder::by(server, &base, &format!("SELECT * FROM {base}.w"));
    let run = restored_in_vain(server, &machine, Some(&format!("%`{base}`.`w`%")), holder);
    assert!(run.expect(1).stderr.contains("nothing that is live was changed"), "{run:#?}");
    whole();
    let holder = Holder::by(server, &base, &format!("SELECT {base}.f()"));
    let run = restored_in_vain(server, &machine, None, holder);
    assert!(run.expect(1).stderr.contains(&format!("the function `{base}`.`f` in a transaction that is open")), "{run:#?}");
    whole();
}

#[test]
fn a_kill_while_definitions_are_made_leaves_none_that_is_cut_short() {
    let server = MariaDb::running();
    let base = filled(server);
    // Wherever between the two values it is cut, it is a trigger too.
    let text = format!("CREATE TRIGGER adds BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id + 100{} + 1000;", " ".repeat(3 << 19));
    server.load(Some(&base), text.as_bytes());
    let configuration = server.configuration("ellis", &[&base]);
    let machine = snapshotted(&configuration);
    // The third time is when the old state is put back; it waits then until the program has nothing to do but wait.
    let text = "echo >>COUNT; n=$(wc -l <COUNT); [ $n = 2 ] && exit 9
        [ $n = 3 ] && { idle=0; while [ $idle -lt 5 ]; do
            read -r _ _ state _ </proc/$PPID/stat; [ $state = S ] && idle=$((idle + 1)) || idle=0; sleep 0.1
        done; kill -KILL $PPID; }
        exec mariadb \"$@\"";
    let kills = machine.client(&text.replace("COUNT", &machine.path("count").display().to_string()));
    machine.configure_again(&format!("{configuration}{kills}"));
    assert_eq!(machine.run(&["restore", "ellis", "--yes"]).code, None);
    machine.configure_again(&configuration);
    warned(&machine.run(&["snapshot", "ellis"]), &["was taken back"]);
    server.sql(&format!("INSERT INTO {base}.t VALUES (7)"));
    assert_eq!(server.ask(Some(&base), "SELECT MAX(id) FROM t"), "1107");
}

/// The triggers of a table in the order in which they act.
fn order(server: &MariaDb, base: &str) -> String {
    let sql = "SELECT GROUP_CONCAT(trigger_name ORDER BY action_order) FROM information_schema.TRIGGERS WHERE trigger_schema = DATABASE()";
    server.ask(Some(base), sql)
}

#[test]
fn triggers_of_one_kind_act_in_their_order_after_a_restore_and_after_its_undo() {
    for server in [MariaDb::running(), Make::Mysql80.running(), Make::Mysql57.running(), Make::Mariadb102.running()] {
        let base = server.database();
        let trigger = |name: &str, place: &str| {
            format!("CREATE TRIGGER {name} BEFORE INSERT ON t FOR EACH ROW {place} SET NEW.said = CONCAT(NEW.said, '{name}');")
        };
        let triggers = [("b", ""), ("c", "FOLLOWS b"), ("a", "PRECEDES b"), ("z", "PRECEDES c")].map(|(name, place)| trigger(name, place));
        server.load(Some(&base), format!("CREATE TABLE t (said VARCHAR(20)); {}", triggers.concat()).as_bytes());
        let machine = snapshotted(&server.configuration("ellis", &[&base]));
        assert_eq!(order(server, &base), "a,b,z,c");
        let since = [("d", "PRECEDES a"), ("b", "")].map(|(name, place)| trigger(name, place)).concat();
        server.load(Some(&base), format!("DROP TRIGGER b; {since}").as_bytes());
        assert_eq!(order(server, &base), "d,a,z,c,b");
        machine.run(&["restore", "ellis", "--yes"]).expect(0);
        assert_eq!(order(server, &base), "a,b,z,c");
        assert_eq!(server.ask(Some(&base), "INSERT INTO t VALUES (''); SELECT said FROM t"), "abzc");
        machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
        assert_eq!(order(server, &base), "d,a,z,c,b");
    }
}
