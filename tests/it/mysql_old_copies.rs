//! Folders with several copies of Clearwater's old script, whose names are seconds or, of later scripts, milliseconds since 1970.

use std::fs;

use crate::support::program::Machine;
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
