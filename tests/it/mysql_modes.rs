//! Dumps that are the same whenever they are made, and what means another thing under another `sql_mode`.

use std::fs;

use crate::support::program::Machine;
use crate::support::servers::mariadb::MariaDb;

/// Everything that can be in a database, and every text that could be taken for a part of a dump.
const EVERYTHING: &str = include_str!("support/everything.sql");

/// What means another thing under another `sql_mode`, each made under one of them.
const MODES: &str = r#"
SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT';
CREATE TABLE "odd "" ` table" (id INT PRIMARY KEY, "the \ text" VARCHAR(40) DEFAULT 'a\' COMMENT 'it''s "so" \',
  both_of VARCHAR(90) AS ("the \ text" || '\n' || "the \ text") STORED, CHECK ("the \ text" <> 'x\'));
INSERT INTO "odd "" ` table" (id, "the \ text") VALUES (1, 'back\slash'), (2, 'quote''"`'), (3, '\'), (4, 'new
line');
CREATE VIEW "odd view" AS SELECT "id" || '\' || "the \ text" AS "both", 'a\' || "id" AS "b" FROM "odd "" ` table";
CREATE TABLE noted (what VARCHAR(200));
DELIMITER //
CREATE TRIGGER "odd trigger" AFTER INSERT ON "odd "" ` table" FOR EACH ROW INSERT INTO noted VALUES (NEW."the \ text" || '\' || "both_of"(1))//
CREATE FUNCTION "both_of"(a INT) RETURNS VARCHAR(40) DETERMINISTIC RETURN a || '\' || "a"//
CREATE PROCEDURE "odd procedure"() SELECT 'a\' || 'b' AS "c"//
CREATE EVENT "odd event" ON SCHEDULE EVERY 1 YEAR DO INSERT INTO noted VALUES ('e\' || "both_of"(2))//
DELIMITER ;
SET sql_mode = '';
CREATE FUNCTION plain(a INT) RETURNS INT DETERMINISTIC RETURN a || "0";
CREATE VIEW plain_view AS SELECT "a\\b" AS x, 1 || 0 AS y;
SET sql_mode = 'ORACLE,NO_BACKSLASH_ESCAPES';
DELIMITER //
CREATE PROCEDURE of_oracle(a IN VARCHAR2(10)) AS b VARCHAR2(20) := a || '\'; BEGIN SELECT b; END//
DELIMITER ;
"#;

#[test]
fn what_was_made_under_an_odd_sql_mode_comes_back_as_it_was_whatever_the_servers_own_is_and_has_become() {
    let modes = ["", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT"];
    for (mode, other) in [(modes[0], modes[1]), (modes[1], modes[0])] {
        let server = MariaDb::start(&[&format!("--sql-mode={mode}")]);
        let base = server.database();
        server.load(Some(&base), MODES.as_bytes());
        let machine = Machine::in_memory().configured(&server.configuration("ellis", &[&base]));
        machine.run(&["init"]).expect(0);
        let old = server.everything(&base);
        let works = || {
            [
                "SELECT GROUP_CONCAT(`both`, b) FROM `odd view`",
                "SELECT both_of(7), plain(1)",
                "SELECT x, y FROM plain_view",
                "CALL `odd procedure`()",
                "CALL of_oracle('z')",
            ]
            .map(|question| server.ask(Some(&base), question))
        };
        let answers = works();
        // While the server's own mode is another one than when the snapshot was taken.
        let elsewhere = |arguments: &[&str]| {
            server.sql(&format!("SET GLOBAL sql_mode = '{other}'"));
            machine.run(arguments).expect(0);
            server.sql(&format!("SET GLOBAL sql_mode = '{mode}'"));
        };
        machine.run(&["backup", "ellis"]).expect(0);
        server.load(
            Some(&base),
            b"DROP TABLE `odd \" `` table`; DROP VIEW `odd view`; DROP FUNCTION both_of; DROP PROCEDURE `odd procedure`;",
        );
        let new = server.everything(&base);
        machine.run(&["restore", "ellis", "--from", "repository", "--yes"]).expect(0);
        assert_eq!(server.everything(&base), old, "{mode}");
        assert_eq!(works(), answers, "{mode}");
        elsewhere(&["restore", "ellis", "--undo", "--yes"]);
        assert_eq!(server.everything(&base), new, "{mode}");
        elsewhere(&["restore", "ellis", "--undo", "--yes"]);
        assert_eq!(server.everything(&base), old, "{mode}");
        assert_eq!(works(), answers, "{mode}");
        server.sql(&format!("DELETE FROM {base}.`odd \" `` table`"));
        elsewhere(&["restore", "ellis", "--yes"]);
        assert_eq!(server.everything(&base), old, "{mode}");
        assert_eq!(works(), answers, "{mode}");
    }
}

#[test]
fn two_dumps_of_an_unchanged_database_are_equal_byte_by_byte() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), EVERYTHING.as_bytes());
    let machine = Machine::new().configured(&server.configuration("ellis", &[&base]));
    machine.run(&["init"]).expect(0);
    let dump = || {
        machine.run(&["snapshot", "ellis"]).expect(0);
        let newest =
            fs::read_dir(machine.path("local/ellis")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).max();
        let files = find(&newest.unwrap(), "db_backup.sql");
        fs::read(&files[0]).unwrap()
    };
    let first = dump();
    // A dump names the second that it was made in unless it is told not to.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let second = dump();
    assert!(first.len() > 10_000 && first == second, "{} and {} bytes", first.len(), second.len());
}

fn find(folder: &std::path::Path, name: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(find(&path, name));
        } else if path.file_name().is_some_and(|own| own == name) {
            found.push(path);
        }
    }
    found
}
