//! Views that stand on what is not there: snapshots are taken all the same and name them, and what is missing can be restored.

use serde_json::{Value, json};

use crate::support::between::Between;
use crate::support::program::{Machine, text};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// Views on a table, on a view and on a function, and one that stands on something that stays.
const WHOLE: &str = "
CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE k (id INT PRIMARY KEY); INSERT INTO k VALUES (7);
CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
CREATE VIEW v AS SELECT id FROM t; CREATE VIEW a_view_on_it AS SELECT id FROM v; CREATE VIEW one AS SELECT f() AS one;
CREATE VIEW sound AS SELECT id FROM k;
";

/// What somebody has dropped by mistake.
const MISTAKE: &str = "DROP TABLE t; DROP FUNCTION f;";

/// A machine with a snapshot of the whole database, from which things were dropped since.
fn mistaken(server: &MariaDb, more: &str) -> (Machine, String, Vec<String>) {
    let base = server.database();
    server.load(Some(&base), WHOLE.as_bytes());
    let machine = Machine::new().configured(&format!("{}{more}", server.configuration("ellis", &[&base])));
    machine.run(&["init"]).expect(0);
    machine.run(&["snapshot", "ellis"]).expect(0);
    let old = server.everything(&base);
    server.load(Some(&base), MISTAKE.as_bytes());
    (machine, base, old)
}

fn views(server: &MariaDb, base: &str) -> String {
    let sql = format!("SELECT table_name FROM information_schema.TABLES WHERE table_schema = '{base}' AND table_type = 'VIEW' ORDER BY 1");
    server.ask(None, &sql).replace('\n', " ")
}

/// A dropped table comes back, and the views with it; snapshots go on meanwhile.
fn what_was_dropped_comes_back(server: &MariaDb) {
    let (machine, base, old) = mistaken(server, "");
    let whole = format!("ellis/{}", text(&machine.json(&["show", "ellis/latest"], 0)["id"]));
    let run = machine.run(&["--json", "snapshot", "ellis"]);
    run.expect(3);
    assert_eq!(run.document()["snapshots"][0]["problems"], json!([{"kind": "invalid_view", "count": 3}]), "{run:#?}");
    let told: Vec<Value> = run.events().into_iter().filter(|event| event["event"] == "problem").collect();
    assert_eq!(
        told.iter().map(|event| text(&event["path"])).collect::<Vec<_>>(),
        ["a_view_on_it", "one", "v"].map(|view| format!("{base}/{view}"))
    );
    assert!(told.iter().all(|event| text(&event["detail"]).contains("VIEW `")), "{told:#?}");
    let look = server.name();
    machine.run(&["restore", "ellis", "--as", &look, "--yes"]).expect(0);
    assert_eq!(views(server, &look), "sound", "what can be made is in the snapshot");

    let restored = machine.run(&["restore", &whole, "--yes"]);
    restored.expect(0);
    for view in ["v", "a_view_on_it", "one"] {
        assert!(restored.stderr.contains(&format!("the view `{base}`.`{view}`")), "{restored:#?}");
    }
    assert!(restored.stderr.contains("DEFINER VIEW"), "its definition is told: {restored:#?}");
    assert_eq!(server.everything(&base), old);
    assert_eq!(server.ask(Some(&base), "SELECT id FROM v UNION ALL SELECT id FROM a_view_on_it UNION ALL SELECT one FROM one"), "1\n1\n1");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(views(server, &base), "sound", "the undo has what can be made");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), old);
}

#[test]
fn a_dropped_table_with_views_on_it_comes_back_on_mariadb() {
    what_was_dropped_comes_back(MariaDb::running());
}

#[test]
fn a_dropped_table_with_views_on_it_comes_back_on_mysql_8() {
    what_was_dropped_comes_back(Make::Mysql80.running());
}

#[test]
fn one_dropped_table_comes_back_and_the_views_on_it_are_as_they_were() {
    let server = MariaDb::running();
    let (machine, base, _) = mistaken(server, "");
    let restored = machine.run(&["restore", "ellis", "--table", "t", "--yes"]);
    assert!(!restored.expect(0).stderr.contains("the view"), "no view was touched: {restored:#?}");
    assert_eq!(server.ask(Some(&base), "SELECT id FROM a_view_on_it"), "1");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(views(server, &base), "a_view_on_it one sound v");
}

#[test]
fn an_exchange_that_fails_before_the_tables_move_leaves_invalid_views_there() {
    let server = MariaDb::service(&[]);
    let (machine, base, _) = mistaken(&server, "");
    let real = server.configuration("ellis", &[&base]);
    let before = server.everything(&base);
    let die = || server.kill();
    let between = Between::start(&server.socket, &machine.path("between"), "LOCK TABLES `", &die);
    machine.configure_again(&real.replace(server.socket.to_str().unwrap(), between.socket.to_str().unwrap()));
    std::thread::scope(|scope| between.serve(scope, || machine.run(&["restore", "ellis", "--yes"]))).expect(1);
    server.wait();
    machine.configure_again(&real);
    // Nothing had been changed, so there is nothing to undo.
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(6);
    assert_eq!(server.everything(&base), before);
}

#[test]
fn an_invalid_view_that_a_failed_exchange_cannot_put_back_is_told_with_its_definition() {
    let server = MariaDb::running();
    let (machine, base, _) = mistaken(server, "");
    machine.configure_again(&(server.configuration("ellis", &[&base]) + &machine.client_that_fails_late()));
    let failed = machine.run(&["restore", "ellis", "--yes"]);
    assert!(failed.expect(1).stderr.contains("exit code 9"), "{failed:#?}");
    assert!(failed.stderr.contains(&format!("the view `{base}`.`v`")) && failed.stderr.contains("DEFINER VIEW"), "{failed:#?}");
    assert_eq!(views(server, &base), "sound");
}
