//! Folders with several copies of Clearwater's old script, whose names are seconds or, of later scripts, milliseconds since 1970; and copies that
//! lack the functions which their views call.

use std::fs;

use crate::support::program::Machine;
use crate::support::restored::beside;
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// Copies by their names, oldest first; and which number the only row of each holds.
const COPIES: [(&str, u32); 4] = [("1372294741", 1), ("1388534400", 2), ("1388534400123", 3), ("1388534500", 4)];

#[test]
fn a_copy_is_chosen_by_its_name_of_seconds_or_milliseconds_and_never_guessed() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE users (id INT PRIMARY KEY);");
    let machine = Machine::new().configured(&server.configuration("ellis", &[&base]));
    machine.run(&["init"]).expect(0);
    let backups = machine.path("backups");
    for (name, id) in COPIES {
        server.sql(&format!("TRUNCATE {base}.users; INSERT INTO {base}.users VALUES ({id})"));
        let mut dump = std::process::Command::new("mysqldump");
        let dump = dump.args(["--no-defaults", "-u", "root", "-S"]).arg(&server.socket).arg(&base).output().unwrap();
        assert!(dump.status.success());
        fs::create_dir_all(backups.join(name)).unwrap();
        fs::write(backups.join(name).join("db_backup.sql"), dump.stdout).unwrap();
    }
    // What else lies in such folders is no copy: a dump that never began, a folder of somebody's, a name of no instant.
    fs::create_dir(backups.join("1388534600")).unwrap();
    for name in ["by hand", "13885344001"] {
        fs::create_dir(backups.join(name)).unwrap();
        fs::write(backups.join(name).join("db_backup.sql"), "DROP TABLE users;\n-- Dump completed\n").unwrap();
    }
    server.sql(&format!("TRUNCATE {base}.users; INSERT INTO {base}.users VALUES (99)"));
    let from = |folder: &std::path::Path, what: &str, how: &str| machine.run(&["restore", what, "--from", folder.to_str().unwrap(), how]);
    let ids = || server.ask(Some(&base), "SELECT id FROM users");

    for what in ["ellis", "ellis/latest"] {
        for how in ["--dry-run", "--yes"] {
            let run = from(&backups, what, how);
            let said = &run.expect(2).stderr;
            assert!(said.contains("holds several copies: name one, such as SOURCE/1388534500"), "{run:#?}");
            assert!(said.contains("1388534500, 1388534400123, 1388534400, 1372294741)"), "{run:#?}");
        }
    }
    let absent = from(&backups, "ellis/1388534600", "--yes");
    assert!(absent.expect(6).stderr.contains("there is no "), "{absent:#?}");
    assert_eq!(ids(), "99");

    for (name, id) in COPIES {
        let run = from(&backups, &format!("ellis/{name}"), "--yes");
        run.expect(0);
        assert_eq!(ids(), id.to_string(), "{name}");
        machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
        assert_eq!(ids(), "99");
        // The same by the folder of this copy alone.
        let run = from(&backups.join(name), "ellis", "--dry-run");
        let instant = match name {
            "1372294741" => "20130627T005901000Z",
            "1388534400" => "20140101T000000000Z",
            "1388534400123" => "20140101T000000123Z",
            _ => "20140101T000140000Z",
        };
        assert!(run.expect(0).stdout.contains(&format!("ellis/{instant}")), "{name}: {run:#?}");
    }
    // Also the last one that is left is only taken when it is named.
    for (name, _) in COPIES.iter().filter(|(name, _)| name.len() == 10) {
        fs::remove_dir_all(backups.join(name)).unwrap();
    }
    let run = from(&backups, "ellis", "--yes");
    assert!(run.expect(2).stderr.contains("holds one copy") && run.stderr.contains("SOURCE/1388534400123"), "{run:#?}");
    assert_eq!(ids(), "99");
    from(&backups, "ellis/1388534400123", "--yes").expect(0);
    assert_eq!(ids(), "3");
}

/// A view on a view, each of which calls a function; and one that calls a function of another database.
const CALLING: &str = "
CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1);
CREATE FUNCTION `odd f`() RETURNS INT DETERMINISTIC RETURN 1; CREATE FUNCTION Next_One(x INT) RETURNS INT DETERMINISTIC RETURN x + 1;
CREATE FUNCTION OTHER.far() RETURNS INT DETERMINISTIC RETURN 3;
CREATE VIEW a AS SELECT CONCAT(id, `odd f`()) AS n, id FROM t; CREATE VIEW b AS SELECT n, `odd f`() + next_one(id) AS m FROM a;
CREATE VIEW c AS SELECT OTHER.far() AS f, MAX(id) AS m FROM t; CREATE VIEW d AS SELECT id FROM t;
";

/// What the old script dumps has no functions, and is refused with the names of those that are missing before anything that is live is touched.
fn a_copy_without_functions_is_refused(server: &MariaDb) {
    let (base, other) = (server.database(), server.database());
    server.load(Some(&base), CALLING.replace("OTHER", &other).as_bytes());
    let machine = Machine::in_memory().configured(&server.configuration("ellis", &[&base]));
    machine.run(&["init"]).expect(0);
    let folder = machine.path("1388534400");
    fs::create_dir(&folder).unwrap();
    let dump = |words: &[&str]| {
        let mut dump = std::process::Command::new("mysqldump");
        let dump = dump.args(["--no-defaults", "-u", "root", "-S"]).arg(&server.socket).args(words).arg(&base).output().unwrap();
        assert!(dump.status.success(), "{dump:?}");
        fs::write(folder.join("db_backup.sql"), dump.stdout).unwrap();
    };
    let restore = || machine.run(&["restore", "ellis", "--from", folder.to_str().unwrap(), "--yes"]);
    dump(&[]);
    let old = server.everything(&base);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    let new = server.everything(&base);
    let names = |view: &str, of: &str, function: &str| format!("the view `{view}` of `{base}` calls the function `{of}`.`{function}`");
    let refused = restore();
    let said = &refused.expect(1).stderr;
    assert!(said.contains(&names("a", &base, "odd f")) && said.to_lowercase().contains(&names("b", &base, "next_one")), "{refused:#?}");
    assert!(said.contains("nothing was changed") && !said.contains("far"), "{refused:#?}");
    assert_eq!((server.everything(&base), beside(server, &base)), (new.clone(), Vec::new()), "{refused:#?}");
    // A table of it comes all the same.
    machine.run(&["restore", "ellis", "--from", folder.to_str().unwrap(), "--table", "t", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM t"), "1");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);

    // With its functions all of it comes, unless one of another database is gone.
    dump(&["--routines"]);
    server.sql(&format!("DROP FUNCTION {other}.far"));
    let refused = restore();
    assert!(refused.expect(1).stderr.contains(&names("c", &other, "far")) && !refused.stderr.contains("odd f"), "{refused:#?}");
    server.sql(&format!("CREATE FUNCTION {other}.far() RETURNS INT DETERMINISTIC RETURN 3; DELETE FROM {base}.t WHERE id = 2"));
    dump(&["--routines"]);
    server.sql(&format!("INSERT INTO {base}.t VALUES (2)"));
    restore().expect(0);
    assert_eq!(server.everything(&base), old);
}

#[test]
fn a_copy_whose_views_call_functions_that_it_lacks_is_refused_before_anything_is_touched() {
    a_copy_without_functions_is_refused(MariaDb::running());
}

#[test]
fn a_copy_whose_views_call_functions_that_it_lacks_is_refused_before_anything_is_touched_on_mysql_8() {
    a_copy_without_functions_is_refused(Make::Mysql80.running());
}
