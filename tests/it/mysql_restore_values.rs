//! Values and tables that a server would not take today, or would change: they come back as they were, or nothing is touched.

use std::fs;

use crate::support::program::Machine;
use crate::support::restored::snapshotted;
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

const MAKES: [Make; 4] = [Make::Mysql80, Make::Mysql57, Make::Mariadb114, Make::Mariadb102];

/// All servers that the tests share.
fn servers() -> impl Iterator<Item = &'static MariaDb> {
    std::iter::once(MariaDb::running()).chain(MAKES.map(Make::running))
}

/// Days that their months do not have, and what is nothing of a list.
const ODD: &str = "SET sql_mode = 'ALLOW_INVALID_DATES';
    CREATE TABLE t (id INT PRIMARY KEY, day DATE, moment DATETIME, word ENUM('a', 'b'), words SET('a', 'b'));
    INSERT INTO t VALUES (1, '2023-02-31', '2021-04-31 10:00:00', 'c', 'a,c'), (2, '0000-00-00', '2020-00-00 00:00:00', 'b', '');";

#[test]
fn days_that_no_month_has_and_what_is_nothing_of_a_list_come_back_as_they_were() {
    for server in servers() {
        let base = server.database();
        server.load(Some(&base), ODD.as_bytes());
        let machine = snapshotted(&server.configuration("ellis", &[&base]));
        let then = server.everything(&base);
        let values = server.ask(Some(&base), "SELECT day, moment, word + 0, words FROM t WHERE id = 1");
        assert_eq!(values, "2023-02-31\t2021-04-31 10:00:00\t0\ta");
        server.sql(&format!("DELETE FROM {base}.t"));
        machine.run(&["restore", "ellis", "--yes"]).expect(0);
        assert_eq!(server.everything(&base), then);
        assert_eq!(server.ask(Some(&base), "SELECT day, moment, word + 0, words FROM t WHERE id = 1"), values);
    }
}

/// What makes a server warn when it is stored, and is stored all the same; and days of which something is computed.
const WARNED_OF: &str = "SET sql_mode = '';
    CREATE TABLE made (id INT PRIMARY KEY, doc TEXT, age INT AS (JSON_UNQUOTE(JSON_EXTRACT(doc, '$.age'))) VIRTUAL);
    INSERT INTO made (id, doc) VALUES (1, '{\"age\": null}'), (2, '{\"age\": \"n/a\"}'), (3, '{\"age\": 7}');
    CREATE TABLE kept (id INT PRIMARY KEY, s VARCHAR(20), n INT AS (CAST(s AS SIGNED)) VIRTUAL, d DATE AS (CAST(s AS DATE)) STORED,
      short VARCHAR(3) AS (s) VIRTUAL, KEY (n), KEY (short));
    INSERT INTO kept (id, s) VALUES (1, 'hello'), (2, '12'), (3, '2020-02-02');
    CREATE TABLE days (id INT PRIMARY KEY, s VARCHAR(40), dt DATE AS (CAST(s AS DATE)) STORED, dn DATE AS (STR_TO_DATE(s, '%Y-%m-%d')) VIRTUAL,
      iso INT AS (dt IS NULL) STORED, KEY (dn));
    INSERT INTO days (id, s) VALUES (1, '2020-02-31'), (2, '2020-02-03');
    CREATE TABLE rounded (id INT PRIMARY KEY, x FLOAT(10, 2)); INSERT INTO rounded VALUES (1, 99999999.99), (2, 1.5), (3, 1e20);
    CREATE TABLE checked (id INT PRIMARY KEY, a VARCHAR(20), CHECK (a <> 5)); INSERT INTO checked VALUES (1, 'abc');";

/// The values that are computed.
const COMPUTED: &str =
    "SELECT GROUP_CONCAT(COALESCE(age, '-') ORDER BY id) FROM made; SELECT GROUP_CONCAT(CONCAT_WS(' ', n, d, short) ORDER BY id) FROM kept;
    SELECT GROUP_CONCAT(CONCAT_WS(' ', COALESCE(dt, '-'), COALESCE(dn, '-'), iso) ORDER BY id) FROM days";

#[test]
fn what_a_server_warns_of_and_stores_as_it_is_comes_back() {
    for server in servers() {
        let base = server.database();
        server.load(Some(&base), WARNED_OF.as_bytes());
        let machine = snapshotted(&server.configuration("ellis", &[&base]));
        let (then, computed) = (server.everything(&base), server.ask(Some(&base), COMPUTED));
        server.sql(&format!("DELETE FROM {base}.made"));
        machine.run(&["restore", "ellis", "--yes"]).expect(0);
        assert_eq!((server.everything(&base), server.ask(Some(&base), COMPUTED)), (then, computed));
    }
}

#[test]
fn routines_keep_the_collations_of_what_they_take_and_return() {
    for make in [Make::Mysql80, Make::Mysql57] {
        let server = make.running();
        let base = server.database();
        server.load(
            Some(&base),
            b"CREATE FUNCTION f(a VARCHAR(10), b TEXT CHARSET utf8mb4) RETURNS VARCHAR(20) DETERMINISTIC RETURN TRIM(a); CREATE TABLE t (id INT)",
        );
        let machine = snapshotted(&server.configuration("ellis", &[&base]));
        let collations = || {
            let sql = "SELECT GROUP_CONCAT(collation_name ORDER BY ordinal_position) FROM information_schema.PARAMETERS WHERE specific_schema = DATABASE()";
            server.ask(Some(&base), sql)
        };
        let then = collations();
        machine.run(&["restore", "ellis", "--yes"]).expect(0);
        assert_eq!(collations(), then);
        machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
        assert_eq!(collations(), then);
    }
}

#[test]
fn more_warnings_than_a_server_keeps_are_told() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(
        Some(&base),
        b"SET sql_mode = ''; CREATE TABLE t (id INT PRIMARY KEY, word ENUM('a')); INSERT INTO t SELECT seq, 'b' FROM seq_1_to_70000",
    );
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    let then = server.everything(&base);
    let run = machine.run(&["restore", "ellis", "--yes"]);
    assert!(run.expect(0).stderr.contains("more to say of rows than it keeps"), "{run:#?}");
    assert_eq!(server.everything(&base), then);
}

#[test]
fn warnings_are_understood_in_other_languages() {
    let server = MariaDb::start(&["--lc-messages=de_DE"]);
    let base = server.database();
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    let folder = machine.path("1388534400");
    fs::create_dir(&folder).unwrap();
    let dump = "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;\n\
                CREATE TABLE `users` (id INT PRIMARY KEY, word ENUM('a'));\nINSERT INTO `users` VALUES (1,'');\n-- Dump completed\n";
    fs::write(folder.join("db_backup.sql"), dump).unwrap();
    machine.run(&["restore", "ellis", "--from", folder.to_str().unwrap(), "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM users WHERE word = ''"), "1");
}

/// A restore from a copy with these statements fails and says this; nothing is touched.
fn refused(server: &MariaDb, statements: &str, words: &[&str]) {
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE live (id INT PRIMARY KEY); INSERT INTO live VALUES (1);");
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    let now = server.everything(&base);
    let folder = machine.path("1388534400");
    fs::create_dir(&folder).unwrap();
    let dump = format!("/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;\n{statements}\n-- Dump completed\n");
    fs::write(folder.join("db_backup.sql"), dump).unwrap();
    let run = machine.run(&["restore", "ellis", "--from", folder.to_str().unwrap(), "--yes"]);
    assert!(words.iter().all(|word| run.expect(1).stderr.contains(word)), "{words:?}: {run:#?}");
    assert_eq!(server.everything(&base), now);
    assert_eq!(server.ask(None, &format!("SHOW DATABASES LIKE '{base}%'")), base);
}

#[test]
fn a_value_that_the_server_would_change_is_told_with_its_table_and_nothing_is_touched() {
    for server in servers() {
        refused(
            server,
            "CREATE TABLE `a``b` (id INT PRIMARY KEY, word VARCHAR(3));\nINSERT INTO `a``b` VALUES (1,'abc');\n\
             CREATE TABLE t (id INT PRIMARY KEY, small TINYINT, word ENUM('a'));\n\
             INSERT INTO t VALUES (1,1,'a'),(2,1,''),\n(3,300,'a');\nINSERT INTO `a``b` VALUES (2,'abcd');",
            &["line 5", "rows of `t`", "2 values of 2 tables", "small"],
        );
    }
    let server = MariaDb::running();
    let moments = "CREATE TABLE t (id INT PRIMARY KEY, moment TIMESTAMP NULL);\nINSERT INTO t VALUES (1,'2050-01-01 00:00:00');";
    refused(server, moments, &["rows of `t`", "moment"]);
    // Behind more warnings than a server keeps when it is not asked to.
    let rows: Vec<String> = (1..200).map(|id| format!("({id},'',1)")).collect();
    let many = format!(
        "CREATE TABLE t (id INT PRIMARY KEY, word ENUM('a'), small TINYINT);\nINSERT INTO t VALUES {},(500,'a',300);",
        rows.join(",")
    );
    refused(server, &many, &["rows of `t`", "1 value of 1 table", "small"]);
}

#[test]
fn rows_from_before_a_check_and_a_table_from_before_strictness_come_back() {
    let server = MariaDb::running();
    let base = server.database();
    let columns: Vec<String> = (0..100).map(|n| format!("c{n} CHAR(100)")).collect();
    server.load(
        Some(&base),
        format!(
            "SET SESSION check_constraint_checks = 0, SESSION innodb_strict_mode = 0;
             CREATE TABLE t (id INT PRIMARY KEY, small INT CHECK (small < 10)); INSERT INTO t VALUES (1, 50);
             CREATE TABLE wide (id INT PRIMARY KEY, {}) ROW_FORMAT = COMPACT CHARACTER SET latin1;",
            columns.join(", ")
        )
        .as_bytes(),
    );
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    let then = server.everything(&base);
    server.sql(&format!("DROP TABLE {base}.t"));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), then);
}

/// Where the definition of a table says that its files lie.
fn place(server: &MariaDb, base: &str) -> Option<String> {
    let created = server.ask(Some(base), "SHOW CREATE TABLE t");
    created.split("DATA DIRECTORY='").nth(1).map(|rest| rest.split('\'').next().unwrap().to_owned())
}

#[test]
fn a_table_whose_files_lie_elsewhere_is_moved_by_no_server_that_would_lose_them() {
    for (server, moves) in servers().zip([false, true, false, false, false]) {
        let base = server.database();
        let machine = Machine::in_memory();
        let elsewhere = machine.path("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let own = if moves { "" } else { &format!(" DATA DIRECTORY = '{}'", elsewhere.display()) };
        server.sql(&format!("CREATE TABLE {base}.t (id INT PRIMARY KEY) ENGINE = InnoDB{own}; INSERT INTO {base}.t VALUES (1)"));
        assert_eq!(place(server, &base).is_some(), !moves);
        let machine = machine.configured(&server.configuration("ellis", &[&base]));
        machine.run(&["init"]).expect(0);
        machine.run(&["snapshot", "ellis"]).expect(0);
        server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
        if !moves {
            let plan = machine.run(&["restore", "ellis", "--dry-run"]);
            let said = &plan.expect(1).stderr;
            let way = said.split(['(', ')']).find(|part| part.starts_with("SET SESSION sql_mode")).unwrap_or_else(|| panic!("{said}"));
            server.sql(way);
            assert_eq!(place(server, &base), None);
        }
        let run = machine.run(&["restore", "ellis", "--yes"]);
        assert_eq!(run.expect(0).stderr.contains("DATA DIRECTORY"), !moves, "{run:#?}");
        assert_eq!((server.ask(Some(&base), "SELECT COUNT(*) FROM t"), place(server, &base)), ("1".into(), None));
        machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
        assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM t"), "2");
        server.sql(&format!("DROP DATABASE {base}"));
    }
}
