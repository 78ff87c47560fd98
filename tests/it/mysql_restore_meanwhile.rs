//! What somebody makes, changes or gives while databases change places: no restore drops it, because no undo would have it.

use crate::support::between::Between;
use crate::support::program::{Machine, Run, until};
use crate::support::restored::{CONTENT, Holder, beside, prepared, snapshotted};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// A restore that waits for whoever uses the function `f`, while somebody does this.
fn restored_while(server: &MariaDb, base: &str, machine: &Machine, meanwhile: &str) -> Run {
    let holder = Holder::by(server, base, &format!("SELECT {base}.f()"));
    std::thread::scope(|scope| {
        let restore = scope.spawn(|| machine.run(&["restore", "ellis", "--yes"]));
        let waits = format!("SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE 'DROP FUNCTION IF EXISTS `{base}`.`f`%'");
        until("it waits for whoever uses the function", || !server.ask(None, &waits).is_empty());
        server.load(Some(base), meanwhile.as_bytes());
        holder.lets_go();
        restore.join().unwrap()
    })
}

const F: &str = "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;";

/// It is refused with this name, and all is as it was but for what somebody did.
fn nothing_is_lost(server: &MariaDb) {
    let base = server.database();
    let account = server.name();
    let content = format!("{CONTENT}{F} CREATE PROCEDURE p() SELECT 1; CREATE FUNCTION g() RETURNS INT DETERMINISTIC RETURN 2;");
    server.load(Some(&base), format!("{content} CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t;").as_bytes());
    server.sql(&format!("CREATE USER {account}@localhost IDENTIFIED BY 'x'"));
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    for (meanwhile, named) in [
        ("CREATE VIEW late AS SELECT id FROM t;", "view `BASE`.`late`"),
        (
            "CREATE PROCEDURE late() SELECT 1; CREATE EVENT late ON SCHEDULE EVERY 1 DAY DO DELETE FROM t WHERE id = 7;",
            "procedure `BASE`.`late`",
        ),
        ("CREATE TRIGGER late BEFORE INSERT ON t FOR EACH ROW SET NEW.id = 8;", "trigger `BASE`.`late`"),
        ("CREATE OR REPLACE VIEW v AS SELECT id + 1 AS next FROM t;", "view `BASE`.`v`"),
        ("DROP FUNCTION g; CREATE FUNCTION g() RETURNS INT DETERMINISTIC RETURN 3;", "function `BASE`.`g`"),
        ("GRANT EXECUTE ON FUNCTION g TO ACCOUNT@localhost;", "right on"),
        ("CREATE TABLE made_late (id INT);", "table `BASE`.`made_late`"),
    ] {
        let before = server.everything(&base);
        let meanwhile = meanwhile.replace("ACCOUNT", &account);
        let run = restored_while(server, &base, &machine, &meanwhile);
        assert!(
            run.expect(1).stderr.contains(&named.replace("BASE", &base)) && run.stderr.contains("run it again"),
            "{meanwhile}: {run:#?}"
        );
        let after = server.everything(&base);
        let gone: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
        let is_changed = meanwhile.contains("REPLACE") || meanwhile.starts_with("DROP");
        assert_eq!(gone.len(), usize::from(is_changed), "{meanwhile}: {gone:#?}");
        let kept = after.iter().filter(|line| !before.contains(line)).count();
        assert!(kept > 0 || meanwhile.starts_with("GRANT"), "{meanwhile}: {after:#?}");
        assert_eq!(beside(server, &base), Vec::<String>::new());
    }
    let rights = format!("SHOW GRANTS FOR {account}@localhost");
    assert!(server.ask(None, &rights).contains("FUNCTION"), "{}", server.ask(None, &rights));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT g()"), "2");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT g()"), "3");
    assert!(server.ask(None, &rights).contains("FUNCTION"), "{}", server.ask(None, &rights));
}

#[test]
fn definitions_that_are_made_while_a_function_is_waited_for_are_not_dropped() {
    nothing_is_lost(MariaDb::running());
}

#[test]
fn definitions_that_are_made_while_a_function_is_waited_for_are_not_dropped_by_mysql_8() {
    nothing_is_lost(Make::Mysql80.running());
}

#[test]
fn a_package_that_somebody_uses_is_waited_for_and_nothing_is_taken_for_changed_meanwhile() {
    let server = MariaDb::running();
    let base = server.database();
    let package = "SET sql_mode = 'ORACLE';\nDELIMITER ;;\nCREATE PACKAGE used AS FUNCTION f RETURN INT; END;;\n\
                   CREATE PACKAGE BODY used AS FUNCTION f RETURN INT AS BEGIN RETURN 1; END; END;;\n";
    server.load(Some(&base), format!("{CONTENT}{F} CREATE VIEW z AS SELECT id AS `the id` FROM t;{package}").as_bytes());
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    let before = server.everything(&base);
    let holder = Holder::by(server, &base, &format!("SELECT {base}.used.f()"));
    let run = std::thread::scope(|scope| {
        let restore = scope.spawn(|| machine.run(&["restore", "ellis", "--yes"]));
        let drops = format!("info LIKE 'DROP PACKAGE IF EXISTS `{base}`.`used`%'");
        let waits = || server.ask(None, &format!("SELECT query_id FROM information_schema.PROCESSLIST WHERE {drops}"));
        until("it waits for whoever uses the package", || !waits().is_empty());
        let first = waits();
        until("it has tried it once more", || !waits().is_empty() && waits() != first);
        holder.lets_go();
        restore.join().unwrap()
    });
    run.expect(0);
    assert_eq!(server.everything(&base), before);
}

#[test]
fn of_a_source_without_tables_a_definition_under_a_name_that_comes_stays_when_it_is_refused() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), format!("{F} CREATE PROCEDURE p() SELECT 'of the snapshot'; CREATE VIEW v AS SELECT 1 AS id;").as_bytes());
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    server.load(Some(&base), b"DROP PROCEDURE p;");
    let run =
        restored_while(server, &base, &machine, "CREATE PROCEDURE p() SELECT 'of somebody'; CREATE OR REPLACE VIEW v AS SELECT 2 AS id;");
    assert!(run.expect(1).stderr.contains(&format!("view `{base}`.`v`")), "{run:#?}");
    assert_eq!(server.ask(Some(&base), "CALL p(); SELECT id, f() FROM v"), "of somebody\n2\t1");
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "CALL p(); SELECT id, f() FROM v"), "of the snapshot\n1\t1");
}

#[test]
fn a_table_that_is_made_once_definitions_are_saved_is_told_before_anything_moves() {
    for server in [MariaDb::running(), Make::Mysql80.running(), Make::Mysql57.running()] {
        let (base, machine) = prepared(server);
        let configuration = server.configuration("ellis", &[&base]);
        let make = || server.sql(&format!("CREATE TABLE {base}.late (id INT)"));
        let text = format!("CREATE DATABASE `{base}_windlass_undo_");
        let between = Between::start(&server.socket, &machine.path("between"), &text, &make);
        machine.configure_again(&configuration.replace(server.socket.to_str().unwrap(), between.socket.to_str().unwrap()));
        let before = server.everything(&base);
        let run = std::thread::scope(|scope| between.serve(scope, || machine.run(&["restore", "ellis", "--yes"])));
        let said = &run.expect(1).stderr;
        assert!(said.contains(&format!("table `{base}`.`late` was made")) && said.contains("nothing was changed"), "{run:#?}");
        let after = server.everything(&base);
        assert!(before.iter().all(|line| after.contains(line)), "{after:#?}");
        machine.configure_again(&configuration);
        machine.run(&["restore", "ellis", "--yes"]).expect(0);
        assert_eq!(server.everything(&base), before);
        machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
        assert_eq!(server.everything(&base), after);
    }
}
