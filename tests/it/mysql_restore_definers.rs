//! Restores where definers and rights are not those of the server that was dumped: what cannot be made is refused before anything is touched,
//! and what is missing is named.

use std::fs;

use serde_json::Value;

use crate::support::program::{Machine, text};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// One thing of each kind that has a definer, all of them in the name of `OLD`.
const OF_ANOTHER: &str = "
CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(20)); INSERT INTO t VALUES (1, 'one');
CREATE DEFINER = OLD VIEW v AS SELECT id FROM t; CREATE DEFINER = OLD PROCEDURE p() SELECT id FROM t;
CREATE DEFINER = OLD FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
CREATE DEFINER = OLD TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.note = 'fired';
CREATE DEFINER = OLD EVENT e ON SCHEDULE EVERY 1 YEAR DO SELECT 1;
";

fn machine(configuration: &str) -> Machine {
    let machine = Machine::in_memory().configured(configuration);
    machine.run(&["init"]).expect(0);
    machine
}

fn texts(list: &Value) -> String {
    list.as_array().unwrap_or_else(|| panic!("{list:#}")).iter().map(text).collect::<Vec<_>>().join("\n")
}

/// The definers of everything in a database, each once.
fn definers(server: &MariaDb, base: &str) -> String {
    let from = |table: &str, column: &str| format!("SELECT definer FROM information_schema.{table} WHERE {column} = '{base}'");
    let all = [
        from("VIEWS", "table_schema"),
        from("ROUTINES", "routine_schema"),
        from("TRIGGERS", "trigger_schema"),
        from("EVENTS", "event_schema"),
    ];
    server.ask(None, &format!("SELECT GROUP_CONCAT(DISTINCT definer) FROM ({}) AS a", all.join(" UNION ALL ")))
}

/// A definer that is no account is named in the plan and after the restore, and mapped to one that is.
fn a_missing_definer(server: &MariaDb) {
    let base = server.database();
    let gone = format!("gone_{base}@%");
    server.load(Some(&base), OF_ANOTHER.replace("OLD", &format!("'gone_{base}'@'%'")).as_bytes());
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let old = server.everything(&base);

    let plan = machine.json(&["restore", "ellis", "--dry-run"], 0);
    let named = format!("definers that are no account here: {gone};");
    assert!(texts(&plan["plan"]["warnings"]).contains(&named), "{plan:#}");
    let outcome = machine.json(&["restore", "ellis", "--yes"], 0);
    assert!(texts(&outcome["outcome"]["notes"]).contains(&named), "{outcome:#}");
    assert_eq!(server.everything(&base), old, "what is named is restored all the same");

    let mapped = ["--definer", &format!("{gone}=root@localhost")];
    let plan = machine.json(&[&["restore", "ellis", "--dry-run"], &mapped[..]].concat(), 0);
    assert!(!texts(&plan["plan"]["warnings"]).contains("no account here"), "{plan:#}");
    let outcome = machine.json(&[&["restore", "ellis", "--yes"], &mapped[..]].concat(), 0);
    assert!(!texts(&outcome["outcome"]["notes"]).contains("no account here"), "{outcome:#}");
    assert_eq!(definers(server, &base), "root@localhost");
    assert_eq!(server.ask(Some(&base), "SELECT id FROM v; CALL p(); SELECT f()"), "1\n1\n1");
    server.load(Some(&base), b"INSERT INTO t VALUES (2, '')");
    assert_eq!(server.ask(Some(&base), "SELECT note FROM t WHERE id = 2"), "fired");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), old);

    // Of an old copy nothing is known before it is read.
    let folder = machine.path("1388534400");
    let to = machine.path("fetched");
    machine.run(&["fetch", "ellis/latest", "--to", to.to_str().unwrap()]).expect(0);
    fs::create_dir(&folder).unwrap();
    fs::copy(to.join(&base).join("db_backup.sql"), folder.join("db_backup.sql")).unwrap();
    let from = ["--from", folder.to_str().unwrap()];
    let outcome = machine.json(&[&["restore", "ellis", "--yes"], &from[..]].concat(), 0);
    assert!(texts(&outcome["outcome"]["notes"]).contains(&named), "{outcome:#}");
    let outcome = machine.json(&[&["restore", "ellis", "--yes"], &from[..], &mapped[..]].concat(), 0);
    assert!(!texts(&outcome["outcome"]["notes"]).contains("no account here"), "{outcome:#}");
    assert_eq!(definers(server, &base), "root@localhost");
}

#[test]
fn a_definer_that_is_no_account_is_named_and_can_be_mapped() {
    a_missing_definer(MariaDb::running());
}

#[test]
fn a_definer_that_is_no_account_is_named_and_can_be_mapped_on_mysql_8() {
    a_missing_definer(Make::Mysql80.running());
}

/// A restore by an account with rights on the databases alone, on a server with a binary log.
struct Limited<'a> {
    server: &'a MariaDb,
    machine: Machine,
    base: String,
    account: String,
    folder: String,
}

impl<'a> Limited<'a> {
    /// With a snapshot of this, which is gone then, and the same as an old copy.
    fn new(server: &'a MariaDb, content: &str, more: &str) -> Self {
        let base = server.database();
        let rights = format!(
            "GRANT ALL ON {base}.* TO ACCOUNT; GRANT ALL ON `{base}\\_windlass\\_%`.* TO ACCOUNT; GRANT PROCESS, RELOAD ON *.* TO ACCOUNT; {more}"
        );
        let account = server.account("BY SECRET", &rights);
        server.load(Some(&base), content.replace("OWN", &format!("{account}@'%'")).as_bytes());
        let machine = machine(&server.configuration("ellis", &[&base]));
        machine.run(&["snapshot", "ellis"]).expect(0);
        let to = machine.path("1388534400");
        machine.run(&["fetch", "ellis/latest", "--to", to.to_str().unwrap()]).expect(0);
        let folder = to.join(&base).display().to_string();
        server.sql(&format!("DROP DATABASE {base}; CREATE DATABASE {base}; CREATE TABLE {base}.was_here (id INT PRIMARY KEY); CREATE VIEW {base}.of_it AS SELECT 1"));
        let mut configuration = server.over_tcp("ellis", &[&base], &account, machine.temp.path());
        configuration += &format!("ca_file = \"{}\"\n", server.ca_file.display());
        Self { server, machine: machine.configured(&configuration), base, account, folder }
    }

    /// It is refused with these words and nothing was touched: planned, carried out, and from an old copy.
    fn is_refused(&self, words: &[&str]) {
        let before = self.server.everything(&self.base);
        let from = ["restore", "ellis", "--yes", "--from", &self.folder];
        for arguments in [&["restore", "ellis", "--dry-run"][..], &["restore", "ellis", "--yes"], &from] {
            let run = self.machine.run(arguments);
            run.expect(1);
            for word in words {
                assert!(run.stderr.contains(word), "{word}: {run:#?}");
            }
            assert!(!run.stderr.contains("1419") && !run.stderr.contains("1227"), "the server was not asked for it: {run:#?}");
        }
        assert_eq!(self.server.everything(&self.base), before);
        let beside = format!("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE schema_name LIKE '{}\\_windlass%'", self.base);
        assert_eq!(self.server.ask(None, &beside), "0");
    }
}

/// A database whose things are all the account's own; the view of the live database is not.
const OWN: &str = "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); CREATE DEFINER = OWN VIEW v AS SELECT id FROM t;";
const OWN_TRIGGER: &str = "CREATE DEFINER = OWN TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id + 1;";

#[test]
fn what_the_account_may_not_make_is_refused_before_anything_is_touched() {
    let server = MariaDb::running();
    // What is live cannot be put back by it: a view of root's.
    let limited = Limited::new(server, OWN, "");
    limited.is_refused(&["may not make things in the name of root@localhost", "may have to be put back", "GRANT SET USER"]);
    server.sql(&format!("DROP VIEW {}.of_it", limited.base));
    limited.machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&limited.base), "SELECT id FROM v"), "1");
    assert_eq!(definers(server, &limited.base), format!("{}@%", limited.account));
    limited.machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.ask(None, &format!("SHOW TABLES IN {}", limited.base)), "was_here");

    // What comes cannot be made by it: triggers, or things of root's.
    for (content, words) in [
        (format!("{OWN}{OWN_TRIGGER}"), "log_bin_trust_function_creators = 1"),
        (format!("{OWN} CREATE VIEW w AS SELECT 1;"), "in the name of root@localhost"),
    ] {
        let limited = Limited::new(server, &content, "");
        server.sql(&format!("DROP VIEW {}.of_it", limited.base));
        limited.is_refused(&[words]);
        // A part that needs nothing of this comes.
        limited.machine.run(&["restore", "ellis", "--table", "t", "--yes"]).expect(i32::from(content.contains("TRIGGER")));
    }
}

#[test]
fn what_only_mysql_8_refuses_is_put_back() {
    let server = Make::Mysql80.running();
    // Nobody may make things in the name of one with SYSTEM_USER who has not got that right too.
    let limited =
        Limited::new(server, &format!("{OWN} CREATE VIEW w AS SELECT 1;"), "GRANT SET_USER_ID, SHOW_ROUTINE, SUPER ON *.* TO ACCOUNT;");
    server.sql(&format!("DROP VIEW {0}.of_it; CREATE DEFINER = {1}@'%' VIEW {0}.of_it AS SELECT 1", limited.base, limited.account));
    let before = server.everything(&limited.base);
    let run = limited.machine.run(&["restore", "ellis", "--yes"]);
    assert!(run.expect(1).stderr.contains("SYSTEM_USER"), "{run:#?}");
    assert_eq!(server.everything(&limited.base), before);
    let mapped = format!("root@localhost={}@%", limited.account);
    limited.machine.run(&["restore", "ellis", "--yes", "--definer", &mapped]).expect(0);
    assert_eq!(server.ask(Some(&limited.base), "SELECT COUNT(*) FROM v"), "1");
}

#[test]
fn functions_that_a_server_with_a_binary_log_makes_for_nobody_are_refused_before_anything_is_touched() {
    let server = Make::Mysql80.running();
    let base = server.database();
    server.sql("SET GLOBAL log_bin_trust_function_creators = 1");
    server.load(Some(&base), b"CREATE TABLE t (id INT PRIMARY KEY); CREATE FUNCTION f() RETURNS INT RETURN 1");
    server.sql("SET GLOBAL log_bin_trust_function_creators = 0");
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let before = server.everything(&base);
    let run = machine.run(&["restore", "ellis", "--yes"]);
    assert!(run.expect(1).stderr.contains("do not say how they use data"), "{run:#?}");
    assert_eq!(server.everything(&base), before);
}
