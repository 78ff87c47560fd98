//! Restoring databases of servers of other makes and versions than Debian's, and of one make on another: everything comes back, or what cannot
//! is refused with words and the old state is there, or a note says what is not kept.

use std::fs;

use serde_json::Value;

use crate::support::program::{Machine, text};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// Everything that can be in a database of Debian's MariaDB.
const OF_MARIADB: &str = include_str!("support/everything.sql");

/// Everything that can be in a database of any make.
const OF_MAKES: &str = include_str!("support/everything_of_makes.sql");

/// What makes a database another one in every way, on any make.
const CHANGES: &str = "
CREATE TABLE stranger (id INT PRIMARY KEY, note VARCHAR(20)); INSERT INTO stranger VALUES (1, 'not in the snapshot');
CREATE TRIGGER stranger_trigger BEFORE INSERT ON stranger FOR EACH ROW SET NEW.note = 'x';
CREATE VIEW stranger_view AS SELECT * FROM stranger; CREATE PROCEDURE stranger_procedure() SELECT 1;
CREATE EVENT stranger_event ON SCHEDULE EVERY 1 YEAR DO SELECT 1; UPDATE two_keys SET a = 100; DROP FUNCTION later;
";

/// The same for its default.
const CHANGED_SET: &str = "ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_swedish_ci;";

/// A family over two databases: `OTHER` is that of a child of `BASE`.
const FAMILY: &str = "
CREATE TABLE OTHER.cousin (id INT PRIMARY KEY, parent INT, CONSTRAINT far FOREIGN KEY (parent) REFERENCES BASE.z_parent (id));
INSERT INTO OTHER.cousin VALUES (1, 1);
";

fn machine(configuration: &str) -> Machine {
    let machine = Machine::in_memory().configured(configuration);
    machine.run(&["init"]).expect(0);
    machine
}

/// What a restore said besides that it went well.
fn notes(outcome: &Value) -> String {
    let notes = outcome["outcome"]["notes"].as_array().unwrap_or_else(|| panic!("{outcome:#}"));
    notes.iter().map(text).collect::<Vec<_>>().join("\n")
}

/// The databases beside one, which are there when something was set aside.
fn beside(server: &MariaDb, base: &str) -> Vec<String> {
    let sql = format!("SELECT schema_name FROM information_schema.SCHEMATA WHERE schema_name LIKE '{base}\\_windlass\\_%'");
    server.ask(None, &sql).lines().map(str::to_owned).collect()
}

/// Whether a foreign key of another database holds: a row without its parent is refused, and one that has it is taken.
fn key_holds(server: &MariaDb, other: &str) {
    let refused = server.client().args(["-e", &format!("INSERT INTO {other}.cousin VALUES (9, 4711)")]).output().unwrap();
    assert!(!refused.status.success(), "a row without its parent is taken");
    server.sql(&format!("INSERT INTO {other}.cousin VALUES (9, 1); DELETE FROM {other}.cousin WHERE id = 9"));
}

fn same(found: &[String], wanted: &[String]) {
    let differ: Vec<_> = found.iter().zip(wanted).filter(|(found, wanted)| found != wanted).collect();
    assert!(differ.is_empty() && found.len() == wanted.len(), "{} and {}: {differ:#?}", found.len(), wanted.len());
}

/// Everything comes back on a server of this make, can be put back and back again, under another name, and table by table; by the server's own
/// client, where there is one.
fn comes_back(make: Make) {
    let server = make.running();
    let (base, other) = (server.database(), server.database());
    server.load(Some(&base), OF_MAKES.as_bytes());
    server.load(Some(&base), FAMILY.replace("OTHER", &other).replace("BASE", &base).as_bytes());
    let client = make.client().map(|words| format!("client = {words:?}\n")).unwrap_or_default();
    let machine = machine(&format!("{}{client}", server.configuration("ellis", &[&base])));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let set = || server.ask(None, &format!("SELECT default_collation_name FROM information_schema.SCHEMATA WHERE schema_name = '{base}'"));
    let (old, old_set) = (server.everything(&base), set());
    server.load(Some(&base), CHANGES.as_bytes());
    // MariaDB's dump program dumps no trigger that was made under a default which it does not know, once the default is another one.
    if make != Make::Mysql80 {
        server.load(Some(&base), CHANGED_SET.as_bytes());
    }
    let (new, new_set) = (server.everything(&base), set());
    assert!(old.len() > 20 && old != new && (old_set != new_set || make == Make::Mysql80));

    let look = server.name();
    machine.run(&["restore", "ellis", "--as", &look, "--yes"]).expect(0);
    let renamed: Vec<String> =
        server.everything(&look).iter().map(|line| line.replace(&format!("`{look}`"), &format!("`{base}`"))).collect();
    let others: Vec<String> = old.iter().filter(|line| !line.starts_with("EVENT ")).cloned().collect();
    assert!(others.len() < old.len(), "a copy has no events");
    same(&renamed, &others);
    same(&server.everything(&base), &new);

    let outcome = machine.json(&["restore", "ellis", "--yes"], 0);
    assert!(notes(&outcome).contains("gone@nowhere"), "{outcome:#}");
    same(&server.everything(&base), &old);
    assert_eq!(set(), old_set);
    key_holds(server, &other);
    // It uses a function that is not there, so no server makes it.
    assert!(notes(&outcome).contains(&format!("the view `{base}`.`by_function` that was there")), "{outcome:#}");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    let without: Vec<String> = new.into_iter().filter(|line| !line.starts_with("VIEW by_function\t")).collect();
    same(&server.everything(&base), &without);
    assert_eq!(set(), new_set);
    key_holds(server, &other);
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    same(&server.everything(&base), &old);
    key_holds(server, &other);
    assert_eq!(beside(server, &base).len(), 1);

    server.sql(&format!("USE {base}; DELETE FROM no_key; DROP TRIGGER first_one; DELETE FROM words"));
    machine.run(&["restore", "ellis", "--table", "no_key", "--yes"]).expect(0);
    let of_table = |all: &[String]| -> Vec<String> {
        let kinds = ["TABLE no_key", "rows of no_key", "TRIGGER first_one", "TRIGGER sec"];
        all.iter().filter(|line| kinds.iter().any(|kind| line.starts_with(kind))).cloned().collect()
    };
    assert_eq!(of_table(&old).len(), 4);
    same(&of_table(&server.everything(&base)), &of_table(&old));
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM words"), "0", "other tables stay");
}

#[test]
fn everything_is_restored_on_mysql_8() {
    comes_back(Make::Mysql80);
}

#[test]
fn everything_is_restored_on_mysql_5_7() {
    comes_back(Make::Mysql57);
}

#[test]
fn everything_is_restored_on_a_newer_mariadb() {
    comes_back(Make::Mariadb114);
}

#[test]
fn everything_is_restored_on_an_old_mariadb() {
    comes_back(Make::Mariadb102);
}

/// A source whose server was another one when its snapshot was taken.
struct Moved<'a> {
    to: &'a MariaDb,
    machine: Machine,
    base: String,
    /// What was in the database on the server that it was taken on.
    there: Vec<String>,
    /// What is in the one that is to be replaced.
    old: Vec<String>,
}

impl<'a> Moved<'a> {
    /// A snapshot of this content on one server, and something else under the same name on another one, which the configuration names now.
    fn new(from: &MariaDb, to: &'a MariaDb, content: &str) -> Self {
        let base = from.database();
        from.load(Some(&base), content.as_bytes());
        let machine = machine(&from.configuration("ellis", &[&base]));
        machine.run(&["snapshot", "ellis"]).expect(0);
        to.sql(&format!(
            "CREATE DATABASE {base} CHARACTER SET latin1; USE {base}; CREATE TABLE was_here (id INT PRIMARY KEY); \
             INSERT INTO was_here VALUES (1); CREATE VIEW of_it AS SELECT * FROM was_here; \
             CREATE TRIGGER on_it BEFORE INSERT ON was_here FOR EACH ROW SET NEW.id = NEW.id + 1"
        ));
        machine.configure_again(&to.configuration("ellis", &[&base]));
        let (there, old) = (from.everything(&base), to.everything(&base));
        Self { to, machine, base, there, old }
    }

    /// It comes; gives what was said of it. What it replaced can be put back.
    fn comes(&self) -> String {
        let outcome = self.machine.json(&["restore", "ellis", "--yes"], 0);
        let came = self.now();
        self.machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
        same(&self.now(), &self.old);
        self.machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
        same(&self.now(), &came);
        notes(&outcome)
    }

    /// It is refused with this text, and nothing has changed.
    fn is_refused(&self, because: &[&str]) {
        let run = self.machine.run(&["restore", "ellis", "--yes"]);
        run.expect(1);
        for text in because {
            assert!(run.stderr.contains(text), "{text}: {run:#?}");
        }
        same(&self.now(), &self.old);
        assert_eq!(beside(self.to, &self.base), Vec::<String>::new());
    }

    fn now(&self) -> Vec<String> {
        self.to.everything(&self.base)
    }

    fn ask(&self, question: &str) -> String {
        self.to.ask(Some(&self.base), question)
    }

    /// The rows of all tables are those that were taken.
    fn has_all_rows(&self) {
        let rows = |all: &[String]| all.iter().filter(|line| line.starts_with("rows of ")).cloned().collect::<Vec<_>>();
        // Servers list tables in different orders.
        let sorted = |mut rows: Vec<String>| {
            rows.sort();
            rows
        };
        assert!(rows(&self.there).len() > 3);
        same(&sorted(rows(&self.now())), &sorted(rows(&self.there)));
    }
}

#[test]
fn a_mariadb_database_goes_to_a_newer_server_and_back_unchanged() {
    let (here, newer) = (MariaDb::running(), Make::Mariadb114.running());
    let moved = Moved::new(here, newer, OF_MARIADB);
    moved.comes();
    moved.has_all_rows();
    moved.machine.run(&["snapshot", "ellis"]).expect(0);
    here.load(Some(&moved.base), CHANGES.as_bytes());
    moved.machine.configure_again(&here.configuration("ellis", &[&moved.base]));
    moved.machine.run(&["restore", "ellis", "--yes"]).expect(0);
    same(&here.everything(&moved.base), &moved.there);
}

#[test]
fn what_a_newer_mariadb_has_alone_is_turned_for_the_older_one() {
    let content = "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(60) COLLATE utf8mb4_uca1400_nopad_as_cs) COLLATE utf8mb4_uca1400_ai_ci; \
                   INSERT INTO t VALUES (1, 'ü'); CREATE TABLE a (i INT); CREATE TABLE b (i INT); CREATE TABLE c (i INT);";
    let moved = Moved::new(Make::Mariadb114.running(), MariaDb::running(), content);
    moved.comes();
    moved.has_all_rows();
    let moved = Moved::new(Make::Mariadb114.running(), Make::Mariadb102.running(), content);
    let told = moved.comes();
    assert!(told.contains("utf8mb4_uca1400_ai_ci") && told.contains("utf8mb4_unicode_520_ci"), "{told}");
    moved.has_all_rows();
}

/// What old servers have too, and what they take without keeping it.
const PLAIN: &str = "
CREATE TABLE t (id INT PRIMARY KEY, n INT, name VARCHAR(60), at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  document JSON, latin VARCHAR(10) CHARACTER SET latin1, old VARCHAR(10) CHARACTER SET utf8, KEY falling (n DESC), CONSTRAINT small CHECK (n < 100));
INSERT INTO t VALUES (1, 2, '日本 🦀', '2026-11-23 02:00:00', '{\"a\": [1, \"it''s\"]}', 'é', 'ü'), (2, NULL, NULL, '2026-11-23 02:00:00', NULL, NULL, NULL);
CREATE TABLE child (id INT PRIMARY KEY, parent INT, CONSTRAINT of_t FOREIGN KEY (parent) REFERENCES t (id) ON DELETE CASCADE);
INSERT INTO child VALUES (1, 1);
CREATE TABLE parts (id INT, day DATE, PRIMARY KEY (id, day)) PARTITION BY RANGE (YEAR(day)) (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN MAXVALUE);
INSERT INTO parts VALUES (1, '2019-01-01'), (2, '2026-01-01');
CREATE VIEW v AS SELECT t.id, CONCAT(name, '!') AS loud FROM t JOIN child ON child.parent = t.id;
CREATE FUNCTION later(x INT) RETURNS INT DETERMINISTIC RETURN x + 1; CREATE PROCEDURE p() SELECT later(id) FROM t ORDER BY id;
CREATE TRIGGER tr BEFORE INSERT ON child FOR EACH ROW SET NEW.parent = IFNULL(NEW.parent, 1);
CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DO DELETE FROM child WHERE id < 0;
";

/// Columns whose values a server makes: MariaDB's dump program writes them too, and MySQL does not take them.
const GENERATED: &str = "CREATE TABLE made (a INT, b INT GENERATED ALWAYS AS (a * 2) STORED, c INT GENERATED ALWAYS AS (a + 1) VIRTUAL);
INSERT INTO made (a) VALUES (1);";

/// What was made of [`PLAIN`] works.
fn plain_works(moved: &Moved<'_>) {
    assert_eq!(moved.ask("SELECT loud FROM v"), "日本 🦀!");
    assert_eq!(moved.ask("SELECT HEX(latin), HEX(old), at, n FROM t WHERE id = 1"), "E9\tC3BC\t2026-11-23 02:00:00\t2");
    assert_eq!(moved.ask("SELECT JSON_EXTRACT(document, '$.a[1]') FROM t WHERE id = 1"), "\"it's\"");
    assert_eq!(moved.ask("CALL p()"), "2\n3");
    assert_eq!(moved.ask("SELECT COUNT(*) FROM parts"), "2");
    assert_eq!(moved.ask("INSERT INTO child (id) VALUES (2); SELECT parent FROM child WHERE id = 2"), "1");
    let events = format!("SELECT COUNT(*) FROM information_schema.EVENTS WHERE event_schema = '{}'", moved.base);
    assert_eq!(moved.ask(&events), "1");
    moved.to.sql(&format!("DELETE FROM {}.t WHERE id = 1", moved.base));
    assert_eq!(moved.ask("SELECT COUNT(*) FROM child"), "0", "the foreign key holds");
}

#[test]
fn a_mariadb_database_goes_to_an_older_server_as_far_as_that_knows_what_is_in_it() {
    let old = Make::Mariadb102.running();
    let moved = Moved::new(MariaDb::running(), old, PLAIN);
    let told = moved.comes();
    assert!(told.contains("descending"), "{told}");
    plain_works(&moved);
    for (own, word) in [
        ("CREATE SEQUENCE s", "SEQUENCE"),
        ("CREATE TABLE u (id UUID)", "uuid"),
        ("CREATE TABLE h (id INT, hidden INT INVISIBLE)", "INVISIBLE"),
    ] {
        Moved::new(MariaDb::running(), old, own).is_refused(&["at line", word]);
    }
    Moved::new(MariaDb::running(), old, OF_MARIADB).is_refused(&["at line"]);
}

#[test]
fn a_mariadb_database_goes_to_mysql_as_far_as_that_knows_what_is_in_it() {
    let mysql = Make::Mysql80.running();
    let moved = Moved::new(MariaDb::running(), mysql, PLAIN);
    moved.comes();
    plain_works(&moved);
    Moved::new(MariaDb::running(), mysql, "CREATE SEQUENCE s").is_refused(&["at line", "SEQUENCE", "the server is MySQL"]);
    Moved::new(MariaDb::running(), mysql, OF_MARIADB).is_refused(&["at line"]);
    Moved::new(MariaDb::running(), mysql, GENERATED).is_refused(&["at line", "generated column 'b'"]);
    // In a comment that is MariaDB's alone, so that MySQL would pass over it.
    let squeezed = "CREATE TABLE s (id INT PRIMARY KEY, t TEXT COMPRESSED); INSERT INTO s VALUES (1, 'x');";
    let moved = Moved::new(MariaDb::running(), mysql, squeezed);
    let told = moved.comes();
    assert!(told.contains("COMPRESSED") && told.contains("`s`"), "{told}");
    assert_eq!(moved.ask("SELECT t FROM s"), "x");
    let moved = Moved::new(MariaDb::running(), Make::Mysql57.running(), PLAIN);
    let told = moved.comes();
    assert!(told.contains("CHECK") && told.contains("descending") && told.contains("`t`"), "{told}");
    plain_works(&moved);
}

#[test]
fn a_database_of_mysql_5_7_goes_to_8_0_and_what_goes_back_is_told() {
    let moved = Moved::new(Make::Mysql57.running(), Make::Mysql80.running(), OF_MAKES);
    moved.comes();
    moved.has_all_rows();
    let moved = Moved::new(Make::Mysql57.running(), Make::Mysql80.running(), PLAIN);
    moved.comes();
    plain_works(&moved);
    let moved = Moved::new(Make::Mysql80.running(), Make::Mysql57.running(), &format!("{PLAIN}{HIDDEN}"));
    let told = moved.comes();
    for wanted in ["utf8mb4_0900_ai_ci", "CHECK", "descending", "INVISIBLE", "NOT ENFORCED"] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    plain_works(&moved);
}

/// What MySQL 8 writes in comments that are for it alone.
const HIDDEN: &str = "
CREATE TABLE hidden (id INT PRIMARY KEY, secret INT INVISIBLE DEFAULT 7, name VARCHAR(60) COLLATE utf8mb4_0900_as_cs, KEY unseen (name) INVISIBLE,
  CHECK (id > 100) NOT ENFORCED, UNIQUE KEY named (name));
INSERT INTO hidden (id, secret, name) VALUES (101, 8, 'ü'), (102, 9, 'Ü'), (103, 9, 'u');
ANALYZE TABLE hidden UPDATE HISTOGRAM ON secret WITH 10 BUCKETS;
";

#[test]
fn a_database_of_mysql_goes_to_mariadb_and_what_that_does_not_keep_is_told() {
    for to in [MariaDb::running(), Make::Mariadb114.running()] {
        let moved = Moved::new(Make::Mysql80.running(), to, &format!("{PLAIN}{HIDDEN}{GENERATED}"));
        let told = moved.comes();
        assert_eq!(moved.ask("SELECT b, c FROM made"), "2\t2");
        // MariaDB 11.4 knows MySQL's collations by their names.
        assert_eq!(told.contains("utf8mb4_0900_ai_ci: utf8mb4_uca1400"), to.port == MariaDb::running().port, "{told}");
        for wanted in ["/*!80023 INVISIBLE */", "/*!80000 INVISIBLE */", "NOT ENFORCED", "JSON", "`hidden`"] {
            assert!(told.contains(wanted), "{wanted}: {told}");
        }
        plain_works(&moved);
        assert_eq!(moved.ask("SELECT id, secret, HEX(name) FROM hidden ORDER BY id"), "101\t8\tC3BC\n102\t9\tC39C\n103\t9\t75");
        let from = Make::Mysql80.running();
        Moved::new(from, to, "CREATE TABLE f (id INT, KEY of_function ((id + 1)))").is_refused(&["at line", "of_function"]);
        // Which nobody enforced there, MariaDB does from now on.
        let loose = "CREATE TABLE loose (id INT PRIMARY KEY, CONSTRAINT never CHECK (id > 5) NOT ENFORCED); INSERT INTO loose VALUES (1);";
        let moved = Moved::new(from, to, loose);
        let told = moved.comes();
        assert!(told.contains("NOT ENFORCED") && told.contains("`loose`"), "{told}");
        assert_eq!(moved.ask("SELECT id FROM loose"), "1");
    }
}

#[test]
fn dumps_of_other_makes_are_restored_or_refused_with_words() {
    const SANDBOX: &str = "/*M!999999\\- enable the sandbox mode */ \n";
    let servers =
        [MariaDb::running(), Make::Mariadb114.running(), Make::Mariadb102.running(), Make::Mysql80.running(), Make::Mysql57.running()];
    for (dump, is_mysql_8) in [
        (&include_bytes!("support/dumps/mysql-5.5.sql")[..], false),
        (include_bytes!("support/dumps/mysql-5.7.sql"), false),
        (include_bytes!("support/dumps/mysql-8.0.sql"), true),
    ] {
        for (at, server) in servers.iter().enumerate() {
            let base = server.database();
            server.load(Some(&base), b"CREATE TABLE was_here (id INT PRIMARY KEY)");
            let before = server.everything(&base);
            // That of MySQL 8 makes its database itself, so it comes under another name.
            let machine = machine(&server.configuration("ellis", &[if is_mysql_8 { "ellis" } else { &base }]));
            let folder = machine.path("1388534400");
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("db_backup.sql"), [SANDBOX.as_bytes(), dump].concat()).unwrap();
            let (look, from) = (server.name(), folder.to_str().unwrap());
            let renamed = ["restore", "ellis", "--database", "ellis", "--as", &look, "--from", from, "--yes"];
            let replaced = ["restore", "ellis", "--from", from, "--yes"];
            let (arguments, came): (&[&str], _) = if is_mysql_8 { (&renamed, &look) } else { (&replaced, &base) };
            if is_mysql_8 && at != 3 {
                let run = machine.run(arguments);
                assert!(run.expect(1).stderr.contains("at line 43, CREATE TABLE `customers`"), "{run:#?}");
                assert_eq!(server.ask(None, &format!("SHOW DATABASES LIKE '{look}'")), "");
                same(&server.everything(&base), &before);
                continue;
            }
            let outcome = machine.json(arguments, 0);
            let told = notes(&outcome);
            assert!(told.contains("app@%"), "its definer is no account here: {told}");
            assert_eq!(server.ask(Some(came), "SELECT HEX(picture) FROM customers WHERE id = 1"), "00FF27");
            assert_eq!(server.ask(Some(came), "SELECT COUNT(*) FROM orders"), "2");
            if !is_mysql_8 {
                machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
                same(&server.everything(&base), &before);
            }
        }
    }
}
