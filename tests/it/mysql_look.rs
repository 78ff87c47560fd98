//! What is seen of a real server before something is put back there, and foreign keys after tables have changed places.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use windlass::source::mysql::{Address, Present, Settings, hold_aside, look, missing_definers, point_back};
use windlass::sys::secret::Secret;
use windlass::sys::stop::Stop;

use crate::support::program::Machine;
use crate::support::servers::mariadb::{MariaDb, PASSWORD};

/// How long a connection of a test may take to do what it was told.
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(server: &MariaDb) -> Settings {
    Settings { address: Some(Address::Socket(server.socket.clone())), user: Some("root".into()), ..Settings::new(Vec::new()) }
}

/// As an account whose password is that of the tests.
fn as_account(server: &MariaDb, account: &str) -> Settings {
    let address = Address::Tcp { host: "127.0.0.1".into(), port: server.port };
    let password = Some(Secret::new(PASSWORD.to_owned()));
    Settings { address: Some(address), user: Some(account.into()), password, ..Settings::new(Vec::new()) }
}

fn seen(settings: &Settings, databases: &[&str]) -> Present {
    let databases: Vec<String> = databases.iter().map(|name| (*name).to_owned()).collect();
    look(settings, &databases, &Stop::new()).unwrap()
}

fn judged(present: &Present) -> Result<Vec<String>, String> {
    present.judge(None, &BTreeMap::new()).map_err(|error| error.to_string())
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A connection that runs statements, and then waits until it is dropped.
struct Busy(Child);

impl Drop for Busy {
    fn drop(&mut self) {
        // Already ended, or ended now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn busy(server: &MariaDb, database: &str, statements: &str) -> Busy {
    let mut command = server.client();
    command.args([database, "-e", &format!("{statements}; SELECT SLEEP(600)")]).stdin(Stdio::null()).stdout(Stdio::null());
    Busy(command.stderr(Stdio::null()).spawn().unwrap())
}

#[test]
fn databases_their_size_and_whoever_is_connected_or_refers_to_them_are_seen() {
    let server = MariaDb::running();
    let (base, other) = (server.database(), server.database());
    server.load(
        Some(&base),
        b"CREATE TABLE p (id INT PRIMARY KEY); CREATE SEQUENCE s; CREATE VIEW v AS SELECT 1; INSERT INTO p VALUES (1);
        CREATE TRIGGER t BEFORE INSERT ON p FOR EACH ROW SET @a = 1; CREATE TABLE own (id INT, FOREIGN KEY (id) REFERENCES p (id));",
    );
    server.sql(&format!(
        "CREATE TABLE {other}.`a.b``c` (id INT, FOREIGN KEY (id) REFERENCES {base}.p (id)); CREATE DATABASE {base}_windlass_old; \
         CREATE TABLE {base}_windlass_old.own (id INT, FOREIGN KEY (id) REFERENCES {base}.p (id))"
    ));
    let running = busy(server, &base, "START TRANSACTION; UPDATE p SET id = 1");
    let _elsewhere = busy(server, &other, "DO 0");
    let root = settings(server);
    let begun = Instant::now();
    let present = loop {
        let present = seen(&root, &[&base, "not_there"]);
        if present.sessions.iter().any(|session| session.longest >= Duration::from_secs(1)) {
            break present;
        }
        assert!(begun.elapsed() < PATIENCE, "{present:#?}");
        std::thread::sleep(Duration::from_millis(200));
    };
    let (there, not) = (&present.databases[0], &present.databases[1]);
    assert!(there.exists && there.bytes > 0 && !not.exists && not.tables == 0, "{present:#?}");
    assert_eq!((there.tables, there.triggers), (3, 1));
    assert_eq!(there.referring, [format!("`{other}`.`a.b``c`")]);
    let [session] = &present.sessions[..] else { panic!("{present:#?}") };
    assert_eq!((session.user.as_str(), session.host.as_str(), session.count), ("root", "localhost", 1));
    assert_eq!((&session.database, present.more_sessions, present.sees_sessions), (&base, 0, true));
    assert!(present.is_mariadb && present.packet_limit == 16 << 20 && present.lower_case_table_names == "0" && !present.is_read_only);
    let free = present.free_bytes.expect("the server is on this machine");
    assert!(free > 0);
    assert_eq!(judged(&present).unwrap().len(), 3, "one of sessions, of foreign keys, of triggers");
    let over_tcp = as_account(server, &server.account("BY SECRET", &format!("GRANT SELECT ON {base}.* TO ACCOUNT")));
    assert!(seen(&over_tcp, &[&base]).free_bytes.is_some());
    // The server drops no table whose parent is in somebody's transaction.
    drop(running);
    server.sql(&format!("DROP DATABASE {base}_windlass_old"));
}

#[test]
fn the_rights_that_an_account_lacks_are_told_as_statements_that_are_enough() {
    let server = MariaDb::running();
    let (base, other) = (server.database(), server.database());
    server.load(Some(&base), b"CREATE TABLE p (id INT PRIMARY KEY);");
    server.sql(&format!("CREATE TABLE {other}.c (id INT, FOREIGN KEY (id) REFERENCES {base}.p (id))"));
    let account =
        server.account("BY SECRET", &format!("GRANT SELECT, INSERT ON {base}.* TO ACCOUNT; GRANT SELECT ON {other}.* TO ACCOUNT"));
    let settings = as_account(server, &account);
    let first = seen(&settings, &[&base]);
    assert!(!first.sees_sessions);
    let why = judged(&first).unwrap_err();
    let statements: Vec<String> =
        why.split("a restore needs: ").nth(1).unwrap().split("; ").filter(|part| part.starts_with("GRANT ")).map(str::to_owned).collect();
    assert_eq!(statements.len(), 4, "{why}");
    assert!(why.contains(&format!("windlass\\_%`.* TO '{account}'@'%'")), "{why}");
    for (at, statement) in statements.iter().enumerate() {
        server.sql(statement);
        assert_eq!(judged(&seen(&settings, &[&base])).is_ok(), at + 1 == statements.len(), "{statement}");
    }
    // What the statements allow is what a restore does.
    let mut client = std::process::Command::new("mariadb");
    client.args(["--no-defaults", "-h127.0.0.1", "-P", &server.port.to_string(), "-u", &account, "--skip-ssl", "-e"]);
    let beside = format!("{base}_windlass_1");
    client.arg(format!(
        "CREATE DATABASE {beside}; SET foreign_key_checks = 0; CREATE TABLE {beside}.n (id INT PRIMARY KEY); \
         RENAME TABLE {base}.p TO {beside}.p, {beside}.n TO {base}.p; \
         CREATE VIEW {base}.v AS SELECT 1; CREATE EVENT {base}.e ON SCHEDULE EVERY 1 DAY DISABLE DO SET @a = 1; \
         CREATE PROCEDURE {base}.q() SET @a = 1; DROP PROCEDURE {base}.q"
    ));
    let output = client.env("MYSQL_PWD", PASSWORD).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(point_back(&settings, &[(beside.clone(), base.clone())], &Stop::new()).unwrap(), 1);
    let told = judged(&seen(&settings, &[&base])).unwrap().join("\n");
    assert!(told.contains("log_bin_trust_function_creators = 1") && told.contains("does not see all databases"), "{told}");
    server.sql(&format!(
        "DROP DATABASE {beside}; CREATE ROLE {account}_r; GRANT {account}_r TO {account}@'%'; REVOKE DROP ON {base}.* FROM {account}@'%'"
    ));
    let told = judged(&seen(&settings, &[&base])).unwrap().join("\n");
    assert!(told.contains("rights by roles") && told.contains("GRANT DROP ON"), "{told}");
}

#[test]
fn definers_are_facts_of_a_snapshot_and_those_that_are_no_account_are_found() {
    let server = MariaDb::running();
    let base = server.database();
    let (role, gone) = (format!("{base}_role"), format!("{base}@x@%.example"));
    server.load(
        Some(&base),
        format!(
            "CREATE ROLE {role}; CREATE TABLE t (id INT); CREATE VIEW a AS SELECT 1; CREATE DEFINER={role} VIEW b AS SELECT 1; \
             CREATE DEFINER=`{base}@x`@`%.example` EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SET @a = 1; \
             CREATE DEFINER={role} FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1; \
             CREATE DEFINER=trigger_{base}@localhost TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a = 1"
        )
        .as_bytes(),
    );
    let machine = Machine::new().configured(&server.configuration("ellis", &[&base]));
    machine.run(&["init"]).expect(0);
    machine.run(&["snapshot", "ellis"]).expect(0);
    let shown = machine.json(&["show", "ellis/latest"], 0);
    let trigger = format!("trigger_{base}@localhost");
    let mut expected = vec![role.clone(), gone.clone(), "root@localhost".into(), trigger.clone()];
    expected.sort();
    let id = shown["id"].as_str().unwrap();
    let record = std::fs::read_to_string(machine.path(format!("local/ellis/{id}/snapshot.json"))).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["facts"]["definers"], serde_json::json!(expected));
    let missing = |settings: &Settings| missing_definers(settings, &expected, &Stop::new()).unwrap();
    let mut wanted = vec![gone, trigger];
    wanted.sort();
    assert_eq!(missing(&settings(server)), Some(wanted));
    let account = server.account("BY SECRET", "SET @a = 1");
    assert_eq!(missing(&as_account(server, &account)), None);
    server.sql(&format!("DROP ROLE {role}"));
}

/// Children of every sort of one parent; `C` is the database of the parent, `H` another.
const CHILDREN: &str = "CREATE TABLE C.`p``.` (a INT, `b ``.` INT, u INT UNIQUE, PRIMARY KEY (a, `b ``.`), note TEXT);
    INSERT INTO C.`p``.` VALUES (1, 2, 3, 'old');
    CREATE TABLE C.`c 1.x` (`x``y` INT, `z .` INT, n INT, KEY mine (n),
      CONSTRAINT `f ``.1` FOREIGN KEY (`x``y`, `z .`) REFERENCES `p``.` (a, `b ``.`) ON DELETE CASCADE ON UPDATE SET NULL);
    CREATE TABLE H.c (x INT, y INT, u INT, KEY both_of (x, y), CONSTRAINT LONG1 FOREIGN KEY (x, y) REFERENCES C.`p``.` (a, `b ``.`) ON UPDATE CASCADE,
      FOREIGN KEY (u) REFERENCES C.`p``.` (u) ON DELETE NO ACTION);
    CREATE TABLE H.C (x INT, y INT, CONSTRAINT upper FOREIGN KEY (y, x) REFERENCES C.`p``.` (a, `b ``.`));
    INSERT INTO C.`c 1.x` VALUES (1, 2, 0); INSERT INTO H.c VALUES (1, 2, 3); INSERT INTO H.C VALUES (NULL, NULL);";

#[test]
fn foreign_keys_point_to_the_table_of_their_name_again_after_it_was_exchanged() {
    let server = MariaDb::running();
    let (live, other) = (server.database(), server.database());
    let (aside, incoming) = (server.database(), server.database());
    let long = "l".repeat(64);
    // Its own name for the database of the parent, so that a table can be called C.
    server.sql(&CHILDREN.replace("C.`", &format!("{live}.`")).replace("H.", &format!("{other}.")).replace("LONG1", &long));
    // Into the other database with a table of its own, and one that points elsewhere.
    server.sql(&format!(
        "CREATE TABLE {other}.q (id INT PRIMARY KEY); CREATE TABLE {other}.r (id INT, CONSTRAINT mine FOREIGN KEY (id) REFERENCES q (id)); \
         CREATE TABLE {incoming}.`p``.` LIKE {live}.`p``.`; INSERT INTO {incoming}.`p``.` VALUES (1, 2, 3, 'new'), (7, 8, 9, 'new')"
    ));
    let tables = [format!("{live}.`c 1.x`"), format!("{other}.c"), format!("{other}.C"), format!("{other}.r")];
    // A generated index may come in another place among the indexes; what it is and how it is called stays.
    let shown = || -> Vec<String> {
        let created = |table: &String| {
            let text = server.ask(None, &format!("SHOW CREATE TABLE {table}"));
            let mut lines: Vec<String> = text.lines().map(|line| line.trim_end_matches(',').to_owned()).collect();
            lines.sort();
            lines.join("\n")
        };
        tables.iter().map(created).collect()
    };
    let before = shown();
    server.sql(&format!("SET foreign_key_checks = 0; RENAME TABLE {live}.`p``.` TO {aside}.`p``.`, {incoming}.`p``.` TO {live}.`p``.`"));
    assert_ne!(shown(), before, "a renamed table takes along who points to it");
    let pairs = [(aside.clone(), live.clone()), (incoming.clone(), live.clone())];
    let root = settings(server);
    assert_eq!(point_back(&root, &pairs, &Stop::new()).unwrap(), 4);
    assert_eq!(shown(), before);
    assert_eq!(point_back(&root, &pairs, &Stop::new()).unwrap(), 0);
    // They hold again, and against what is there now.
    server.sql(&format!("INSERT INTO {other}.c VALUES (7, 8, 9); INSERT INTO {live}.`c 1.x` VALUES (7, 8, 0)"));
    let refused = |sql: &str| {
        let output = server.client().args(["-e", sql]).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains("foreign key constraint fails"), "{sql}: {output:?}");
    };
    refused(&format!("INSERT INTO {other}.c VALUES (5, 5, NULL)"));
    refused(&format!("INSERT INTO {live}.`c 1.x` VALUES (5, 5, 0)"));
    refused(&format!("DELETE FROM {live}.`p``.` WHERE a = 7"));
    server.sql(&format!("DELETE FROM {other}.c; DELETE FROM {live}.`p``.` WHERE a = 7; DROP DATABASE {aside}; DROP DATABASE {incoming}"));
    assert_eq!(server.ask(None, &format!("SELECT COUNT(*) FROM {live}.`c 1.x`")), "1", "what was deleted took its child along");
}

#[test]
fn a_foreign_key_that_was_left_between_two_names_is_finished() {
    let server = MariaDb::running();
    let (live, aside) = (server.database(), server.database());
    server.sql(&format!(
        "CREATE TABLE {live}.p (id INT PRIMARY KEY); CREATE TABLE {live}.c (id INT, CONSTRAINT `windlass~fk 1` FOREIGN KEY (id) REFERENCES p (id) ON DELETE CASCADE)"
    ));
    assert_eq!(point_back(&settings(server), &[(aside, live.clone())], &Stop::new()).unwrap(), 1);
    let created = server.ask(None, &format!("SHOW CREATE TABLE {live}.c"));
    assert!(created.contains("CONSTRAINT `fk 1` FOREIGN KEY (`id`) REFERENCES `p` (`id`) ON DELETE CASCADE"), "{created}");
    assert!(!created.contains("windlass~"), "{created}");
}

#[test]
fn a_foreign_key_that_the_new_table_cannot_bear_is_named_and_kept_as_it_was() {
    let server = MariaDb::running();
    let (live, aside) = (server.database(), server.database());
    server.sql(&format!(
        "CREATE TABLE {aside}.p (id INT PRIMARY KEY); CREATE TABLE {live}.p (other INT); \
         CREATE TABLE {live}.c (id INT, CONSTRAINT fk FOREIGN KEY (id) REFERENCES {aside}.p (id))"
    ));
    let error = point_back(&settings(server), &[(aside.clone(), live.clone())], &Stop::new()).unwrap_err();
    assert!(error.to_string().contains(&format!("`fk` of `{live}`.`c`, which is to point into {}", quoted(&live))), "{error}");
    let created = server.ask(None, &format!("SHOW CREATE TABLE {live}.c"));
    assert!(created.contains(&format!("CONSTRAINT `fk` FOREIGN KEY (`id`) REFERENCES `{aside}`.`p` (`id`)")), "{created}");
}

#[test]
fn a_table_set_aside_alone_lets_go_of_its_parents_and_takes_hold_of_them_when_it_comes_back() {
    let server = MariaDb::running();
    let (live, aside) = (server.database(), server.database());
    server.sql(&format!(
        "CREATE TABLE {live}.p (id INT PRIMARY KEY); INSERT INTO {live}.p VALUES (1); \
         CREATE TABLE {live}.c (id INT, CONSTRAINT fk FOREIGN KEY (id) REFERENCES p (id)); INSERT INTO {live}.c VALUES (1); \
         RENAME TABLE {live}.c TO {aside}.c"
    ));
    let (root, pairs) = (settings(server), [(aside.clone(), live.clone())]);
    let delete = format!("DELETE FROM {live}.p");
    assert!(!server.client().args(["-e", &delete]).output().unwrap().status.success(), "what is aside holds its parents");
    assert_eq!(hold_aside(&root, &pairs, &Stop::new()).unwrap(), 1);
    assert_eq!(point_back(&root, &pairs, &Stop::new()).unwrap(), 0);
    server.sql(&format!("{delete}; INSERT INTO {live}.p VALUES (1); RENAME TABLE {aside}.c TO {live}.c"));
    assert_eq!(point_back(&root, &pairs, &Stop::new()).unwrap(), 1);
    let created = server.ask(None, &format!("SHOW CREATE TABLE {live}.c"));
    assert!(created.contains("CONSTRAINT `fk` FOREIGN KEY (`id`) REFERENCES `p` (`id`)"), "{created}");
    assert!(!server.client().args(["-e", &delete]).output().unwrap().status.success());
}
