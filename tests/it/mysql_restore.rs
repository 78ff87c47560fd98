//! Restoring databases of a real MariaDB server: what was there comes back exactly, what is replaced can be put back, a failure changes
//! nothing.

use std::fs;

use serde_json::json;

use crate::support::program::{Machine, text};
use crate::support::servers::mariadb::MariaDb;

/// Everything that can be in a database, and every text that could be taken for a part of a dump.
const EVERYTHING: &str = include_str!("support/everything.sql");

/// What makes a database another one in every way.
const CHANGES: &str = "
CREATE TABLE stranger (id INT PRIMARY KEY, note VARCHAR(20)); INSERT INTO stranger VALUES (1, 'not in the snapshot');
CREATE TRIGGER stranger_trigger BEFORE INSERT ON stranger FOR EACH ROW SET NEW.note = 'x';
CREATE VIEW stranger_view AS SELECT * FROM stranger;
CREATE PROCEDURE stranger_procedure() SELECT 1;
CREATE EVENT stranger_event ON SCHEDULE EVERY 1 YEAR DO SELECT 1;
ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_swedish_ci;
";

fn machine(configuration: &str) -> Machine {
    let machine = Machine::new().configured(configuration);
    machine.run(&["init"]).expect(0);
    machine
}

/// The databases of the server that begin like this.
fn databases(server: &MariaDb, base: &str) -> Vec<String> {
    let named = server.ask(None, &format!("SELECT schema_name FROM information_schema.SCHEMATA WHERE schema_name LIKE '{base}%'"));
    let mut named: Vec<String> = named.lines().map(str::to_owned).collect();
    named.sort();
    named
}

fn character_set(server: &MariaDb, base: &str) -> String {
    server.ask(None, &format!("SELECT default_collation_name FROM information_schema.SCHEMATA WHERE schema_name = '{base}'"))
}

#[test]
fn everything_in_a_database_comes_back_and_what_it_replaced_can_be_put_back_and_back_again() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), EVERYTHING.as_bytes());
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let (old, old_set) = (server.everything(&base), character_set(server, &base));
    server.load(Some(&base), CHANGES.as_bytes());
    let (new, new_set) = (server.everything(&base), character_set(server, &base));
    assert_ne!((&old, &old_set), (&new, &new_set));

    let plan = machine.json(&["restore", "ellis", "--dry-run"], 0);
    assert_eq!(plan["plan"]["server"]["databases"][0]["exists"], json!(true), "{plan:#}");
    assert_eq!(server.everything(&base), new, "a dry run changes nothing");
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!((server.everything(&base), character_set(server, &base)), (old.clone(), old_set.clone()));
    assert_eq!(databases(server, &base), [base.clone(), format!("{base}_windlass_undo1")]);
    let listed = machine.json(&["list"], 0);
    assert!(text(&listed["undo"][0]["aside"]).contains(&format!("{base}_windlass_undo1")), "{listed:#}");

    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!((server.everything(&base), character_set(server, &base)), (new, new_set));
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!((server.everything(&base), character_set(server, &base)), (old, old_set));
    assert_eq!(databases(server, &base).len(), 2, "one undo is kept, and nothing else is left");
}

#[test]
fn a_server_without_the_database_gets_it_and_an_undo_takes_it_away_again() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), EVERYTHING.as_bytes());
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["backup", "ellis"]).expect(0);
    let old = server.everything(&base);
    server.sql(&format!("SET foreign_key_checks = 0; DROP DATABASE {base}"));
    let restored = machine.run(&["restore", "ellis", "--yes", "--from", "repository"]);
    restored.expect(0);
    assert_eq!(server.everything(&base), old);
    assert_eq!(databases(server, &base), [base.as_str()]);
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(databases(server, &base), [format!("{base}_windlass_undo2")]);
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), old);
    assert_eq!(databases(server, &base), [base.as_str()]);
}

#[test]
fn a_look_under_another_name_touches_nothing_that_is_live() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), EVERYTHING.as_bytes());
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let old = server.everything(&base);
    server.load(Some(&base), CHANGES.as_bytes());
    let new = server.everything(&base);
    let look = server.name();
    machine.run(&["restore", "ellis", "--as", &look, "--yes"]).expect(0);
    // A default that takes from a sequence names its database.
    let renamed: Vec<String> = server.everything(&look).iter().map(|line| line.replace(&look, &base)).collect();
    assert_eq!(renamed, old);
    assert_eq!(server.everything(&base), new);
    assert_eq!(databases(server, &base), [base.as_str()]);
    let refused = machine.run(&["restore", "ellis", "--as", &look, "--yes"]);
    assert!(refused.expect(1).stderr.contains("choose another name"), "{refused:#?}");
    let nothing = machine.run(&["restore", "ellis", "--undo", "--yes"]);
    nothing.expect(6);
}

/// Parents and children, one of them in another database; triggers on both.
fn family(server: &MariaDb) -> (String, String) {
    let (base, other) = (server.database(), server.database());
    server.load(
        Some(&base),
        format!(
            "CREATE TABLE parent (id INT PRIMARY KEY, note VARCHAR(20)); CREATE TABLE log (n INT);
             CREATE TABLE child (id INT PRIMARY KEY, parent INT, CONSTRAINT `has.a parent` FOREIGN KEY (parent) REFERENCES parent (id));
             CREATE TRIGGER counted AFTER INSERT ON parent FOR EACH ROW INSERT INTO log VALUES (NEW.id);
             INSERT INTO parent VALUES (1, 'old'), (2, 'old'); INSERT INTO child VALUES (1, 1), (2, 2);
             CREATE TABLE {other}.cousin (id INT PRIMARY KEY, parent INT, CONSTRAINT far FOREIGN KEY (parent) REFERENCES {base}.parent (id));
             INSERT INTO {other}.cousin VALUES (1, 1);"
        )
        .as_bytes(),
    );
    (base, other)
}

/// Whether both foreign keys hold: a row that would lack its parent is refused, and one that has it is taken.
fn keys_hold(server: &MariaDb, base: &str, other: &str) {
    for (table, id) in [(format!("{base}.child"), 90), (format!("{other}.cousin"), 91)] {
        let refused = server.client().args(["-e", &format!("INSERT INTO {table} VALUES ({id}, 4711)")]).output().unwrap();
        assert!(!refused.status.success(), "{table} takes a row without its parent");
        server.sql(&format!("INSERT INTO {table} VALUES ({id}, 1); DELETE FROM {table} WHERE id = {id}"));
    }
    server.sql(&format!("INSERT INTO {base}.parent VALUES (80, ''); DELETE FROM {base}.parent WHERE id = 80"));
}

#[test]
fn one_table_comes_back_with_its_triggers_and_all_others_stay_and_still_refer_to_it() {
    let server = MariaDb::running();
    let (base, other) = family(server);
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    server.sql(&format!(
        "UPDATE {base}.parent SET note = 'new'; INSERT INTO {base}.child VALUES (3, 1); DROP TRIGGER {base}.counted; TRUNCATE {base}.log"
    ));
    machine.run(&["restore", "ellis", "--table", "parent", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT DISTINCT note FROM parent"), "old");
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM child"), "3");
    keys_hold(server, &base, &other);
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM log"), "1", "the trigger is back");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT DISTINCT note FROM parent"), "new");
    keys_hold(server, &base, &other);
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM log"), "1", "and gone again");
    // A child that lies aside alone keeps no parent from going.
    machine.run(&["restore", "ellis", "--table", "child", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM child"), "2");
    keys_hold(server, &base, &other);
    server.sql(&format!("DELETE FROM {base}.child WHERE id = 2; DELETE FROM {base}.parent WHERE id = 2"));
    let absent = machine.run(&["restore", "ellis", "--table", "nobody", "--yes"]);
    assert!(absent.expect(6).stderr.contains("no table `nobody`"), "{absent:#?}");
    assert_eq!(databases(server, &base).len(), 2);
}

#[test]
fn foreign_keys_of_other_databases_and_between_those_of_a_source_hold_after_a_restore_and_its_undo() {
    let server = MariaDb::running();
    let (base, other) = family(server);
    for names in [vec![base.as_str()], vec![base.as_str(), other.as_str()]] {
        let machine = machine(&server.configuration("ellis", &names));
        machine.run(&["snapshot", "ellis"]).expect(0);
        let before: Vec<_> = [&base, &other].map(|name| server.everything(name)).into();
        machine.run(&["restore", "ellis", "--yes"]).expect(0);
        assert_eq!(before, [&base, &other].map(|name| server.everything(name)));
        keys_hold(server, &base, &other);
        machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
        assert_eq!(before, [&base, &other].map(|name| server.everything(name)));
        keys_hold(server, &base, &other);
        for name in databases(server, "base_")
            .iter()
            .filter(|name| name.contains("_windlass_") && (name.starts_with(&format!("{base}_")) || name.starts_with(&format!("{other}_"))))
        {
            server.sql(&format!("SET foreign_key_checks = 0; DROP DATABASE {name}"));
        }
    }
}

#[test]
fn a_database_beside_that_nobody_remembers_is_not_touched() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE t (id INT PRIMARY KEY)");
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    server.sql(&format!("CREATE DATABASE {base}_windlass_new; CREATE TABLE {base}_windlass_new.mine (id INT)"));
    let refused = machine.run(&["restore", "ellis", "--yes"]);
    assert!(refused.expect(1).stderr.contains("does not remember"), "{refused:#?}");
    assert_eq!(server.ask(None, &format!("SHOW TABLES IN {base}_windlass_new")), "mine");
}

#[test]
fn a_copy_of_clearwaters_old_script_is_restored() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(20)); INSERT INTO users VALUES (1, 'a'), (2, 'b');");
    let machine = machine(&server.configuration("ellis", &[&base]));
    let folder = machine.path("backups/1388534400");
    fs::create_dir_all(&folder).unwrap();
    // The old script's very words, but for who connects where.
    let dump = std::process::Command::new("mysqldump")
        .args(["--no-defaults", "-u", "root", "-S"])
        .arg(&server.socket)
        .arg(&base)
        .output()
        .unwrap();
    assert!(dump.status.success());
    fs::write(folder.join("db_backup.sql"), &dump.stdout).unwrap();
    let old = server.everything(&base);
    server.load(Some(&base), CHANGES.as_bytes());
    server.sql(&format!("ALTER DATABASE {base} CHARACTER SET utf8mb4"));
    let restored = machine.run(&["restore", "ellis/1388534400", "--from", machine.path("backups").to_str().unwrap(), "--yes"]);
    restored.expect(0);
    assert_eq!(server.everything(&base), old);
    fs::write(folder.join("db_backup.sql"), &dump.stdout[..dump.stdout.len() / 2]).unwrap();
    let refused = machine.run(&["restore", "ellis", "--from", folder.to_str().unwrap(), "--yes"]);
    assert!(refused.expect(1).stderr.contains("no whole dump"), "{refused:#?}");
    assert_eq!(server.everything(&base), old);
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM stranger"), "1");
}
