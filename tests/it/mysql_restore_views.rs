//! Views in a restore of databases: one that is refused while something stands in for what it selects from is made later, nothing stands in for
//! one that is refused for good, and what somebody holds keeps no other definition from being put back.

use crate::support::program::{text, until};
use crate::support::restored::{beside, snapshotted, warned};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// Views on views, in the order in which no dump could make them at once: full text is searched through them, and what stands in for one has none.
const SEARCHED: &str = "
CREATE TABLE t (id INT PRIMARY KEY, c TEXT, FULLTEXT KEY words (c)); INSERT INTO t VALUES (1, 'a needle in hay'), (2, 'hay alone');
CREATE VIEW z AS SELECT id, c FROM t; CREATE VIEW y AS SELECT id, c FROM z; CREATE VIEW b AS SELECT id, c FROM y WHERE MATCH(c) AGAINST('needle');
CREATE VIEW a AS SELECT id, c FROM b WHERE MATCH(c) AGAINST('hay') WITH CHECK OPTION; CREATE FUNCTION two() RETURNS INT DETERMINISTIC RETURN 2;
";

#[test]
fn views_that_search_full_text_through_views_are_made_as_soon_as_the_server_takes_them() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), SEARCHED.as_bytes());
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    let old = server.everything(&base);
    server.sql(&format!("INSERT INTO {base}.t VALUES (3, 'needle')"));
    let new = server.everything(&base);
    machine.configure_again(&format!("{}{}", server.configuration("ellis", &[&base]), machine.client_that_fails_late()));
    let failed = machine.run(&["restore", "ellis", "--yes"]);
    assert!(failed.expect(1).stderr.contains("exit code 9"), "{failed:#?}");
    assert_eq!((server.everything(&base), beside(server, &base)), (new.clone(), Vec::new()), "{failed:#?}");
    machine.configure_again(&server.configuration("ellis", &[&base]));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), old);
    assert_eq!(server.ask(Some(&base), "SELECT id FROM a"), "1");
    server.sql(&format!("UPDATE {base}.y SET c = 'hay' WHERE id = 2"));
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), new);
}

#[test]
fn nothing_stands_in_for_views_that_are_refused_whatever_a_database_is_called_and_the_client_tells_on_mysql_8() {
    let (server, other) = (Make::Mysql80.running(), Make::Mysql80.running().database());
    let base = format!("{} it's \"b.c\" of `d`", server.name());
    server.sql(&format!(
        "CREATE DATABASE `{}` CHARACTER SET utf8mb4; CREATE TABLE {other}.regions (id INT PRIMARY KEY)",
        base.replace('`', "``")
    ));
    let content = "CREATE TABLE t (id INT PRIMARY KEY); CREATE VIEW a AS SELECT id FROM OTHER.regions; CREATE VIEW b AS SELECT id + 1 AS id FROM \
                   OTHER.regions; CREATE VIEW v AS SELECT id FROM t; CREATE FUNCTION two() RETURNS INT DETERMINISTIC RETURN 2;";
    server.load(Some(&base), content.replace("OTHER", &other).as_bytes());
    let configuration = server.configuration("ellis", &[&base]);
    let machine = snapshotted(&configuration);
    let (old, first) = (server.everything(&base), format!("ellis/{}", text(&machine.json(&["show", "ellis/latest"], 0)["id"])));
    server.load(Some(&base), b"INSERT INTO t VALUES (1)");
    let new = server.everything(&base);
    let places = [("COUNT", machine.path("lines")), ("SOCKET", server.socket.clone()), ("SAID", machine.path("said"))];
    let script = "echo >>COUNT; [ $(wc -l <COUNT) = 2 ] && mariadb --no-defaults -uroot -S SOCKET -e 'DROP TABLE OTHER.regions' </dev/null; mariadb \
                  \"$@\" 2>SAID; code=$?; head -n 1 SAID >&2; exit $code";
    let script = places.iter().fold(script.to_owned(), |script, (word, path)| script.replace(word, path.to_str().unwrap()));
    machine.configure_again(&format!("{configuration}{}", machine.client(&script.replace("OTHER", &other))));
    let failed = machine.run(&["restore", "ellis", "--yes"]);
    assert!(
        failed.expect(1).stderr.contains("settle what is half done")
            && failed.stderr.contains("nor could be made: view `")
            && failed.stderr.contains("`.`b`"),
        "{failed:#?}"
    );
    let without: Vec<String> = new.iter().filter(|line| !line.starts_with("VIEW a\t") && !line.starts_with("VIEW b\t")).cloned().collect();
    assert_eq!((server.everything(&base), without.len() + 2), (without, new.len()), "{failed:#?}");
    server.sql(&format!("CREATE TABLE {other}.regions (id INT PRIMARY KEY)"));
    machine.configure_again(&configuration);
    let settled = machine.run(&["snapshot", "ellis"]);
    assert_eq!(server.everything(&base), new);
    // It was live until this run, so it is not known that nobody has written to it.
    assert!(settled.expect(0).stderr.contains("look at it before you remove it"), "{settled:#?}");
    server.sql(&format!("DROP DATABASE `{}_windlass_new`", base.replace('`', "``")));
    for (what, wanted) in [(first.as_str(), &old), ("--undo", &new)] {
        let arguments: &[&str] = if what == "--undo" { &["restore", "ellis", what, "--yes"] } else { &["restore", what, "--yes"] };
        machine.run(arguments).expect(0);
        assert_eq!(server.everything(&base), *wanted);
    }
}

/// What the client does from the third time on that it is used: the first definitions of what comes are there then. The first time of these
/// somebody holds the table that has come and the restore fails, the second time somebody holds the one that is back; so long is not waited in a test.
const HELD: &str = "
echo >>COUNT; n=$(wc -l <COUNT)
hold() {
  mariadb --no-defaults -uroot -S SOCKET -e \"START TRANSACTION; SELECT * FROM BASE.t; SELECT SLEEP($1) AS held_BASE\" >/dev/null 2>&1 </dev/null &
  while ! mariadb --no-defaults -uroot -S SOCKET -N -e \"SELECT info FROM information_schema.PROCESSLIST WHERE info LIKE 'SELECT SLEEP($1)%'\" \
    </dev/null | grep -q held_BASE; do sleep 0.02; done
}
[ $n -lt 3 ] && exec mariadb \"$@\"
[ $n = 3 ] && { hold 3; exit 9; }
[ $n = 4 ] && hold 100
sed 's/lock_wait_timeout = 60/lock_wait_timeout = 1/' | mariadb \"$@\"
";

#[test]
fn a_table_that_somebody_holds_is_waited_for_before_definitions_are_dropped_and_keeps_back_its_own_triggers_alone() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), SEARCHED.as_bytes());
    server.load(Some(&base), b"CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.c = 'x'; CREATE VIEW v AS SELECT id FROM t");
    let configuration = server.configuration("ellis", &[&base]);
    let machine = snapshotted(&configuration);
    server.sql(&format!("INSERT INTO {base}.t VALUES (3, 'needle')"));
    let new = server.everything(&base);
    let script = HELD.replace("COUNT", &machine.path("lines").display().to_string()).replace("BASE", &base);
    let client = machine.client(&script.replace("SOCKET", server.socket.to_str().unwrap()));
    machine.configure_again(&format!("{configuration}{client}"));
    let held = |seconds: u32| {
        let sql = format!("SELECT id FROM information_schema.PROCESSLIST WHERE info = 'SELECT SLEEP({seconds}) AS held_{base}'");
        server.ask(None, &sql)
    };
    let failed = std::thread::scope(|scope| {
        let restore = scope.spawn(|| machine.run(&["restore", "ellis", "--yes"]));
        until("somebody holds the table that has come", || !held(3).is_empty());
        let sql = format!("SELECT COUNT(*) FROM information_schema.ROUTINES WHERE routine_schema = '{base}'");
        // The exchange back is waiting by then.
        until("it is waited for", || {
            let waits = format!(
                "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE state LIKE 'Waiting for table metadata%' AND info LIKE '%{base}%'"
            );
            server.ask(None, &waits) != "0" || held(3).is_empty()
        });
        let routines = server.ask(None, &sql);
        assert!(!held(3).is_empty());
        assert_eq!(routines, "1", "what is live is whole meanwhile");
        restore.join().unwrap()
    });
    assert!(failed.expect(1).stderr.contains("settle what is half done"), "{failed:#?}");
    assert!(failed.stderr.contains("Lock wait timeout") && !held(100).is_empty(), "{failed:#?}");
    // Everything but the trigger is there, and nothing stands in for anything.
    let now = server.everything(&base);
    let without: Vec<String> = new.iter().filter(|line| !line.starts_with("TRIGGER ")).cloned().collect();
    assert_eq!(now, without, "{failed:#?}");
    server.sql(&format!("KILL {}", held(100)));
    machine.configure_again(&configuration);
    warned(&machine.run(&["snapshot", "ellis"]), &["was taken back"]);
    assert_eq!(server.everything(&base), new);
}
