//! Restoring databases of a real MariaDB server: what was there comes back exactly, what is replaced can be put back, a failure changes
//! nothing.

use std::fs;

use serde_json::json;

use crate::support::program::{Machine, text};
use crate::support::servers::mariadb::{MariaDb, PASSWORD};

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
    let named = server
        .ask(None, &format!("SELECT schema_name FROM information_schema.SCHEMATA WHERE schema_name LIKE '{}%'", base.replace('\'', "''")));
    // What lies aside is called by the time.
    let aside = |name: &str| match name.split_once("_undo_") {
        Some((begin, time)) if time.len() == 18 => format!("{begin}_undo_TIME"),
        _ => name.to_owned(),
    };
    let mut named: Vec<String> = named.lines().map(aside).collect();
    named.sort();
    named
}

fn character_set(server: &MariaDb, base: &str) -> String {
    server.ask(
        None,
        &format!("SELECT default_collation_name FROM information_schema.SCHEMATA WHERE schema_name = '{}'", base.replace('\'', "''")),
    )
}

/// A full dump by the vendor's program, without what changes from one minute to the next.
fn dump(server: &MariaDb, base: &str) -> String {
    let mut command = std::process::Command::new("mariadb-dump");
    command.args(["--no-defaults", "-uroot", "--routines", "--events", "--triggers", "--hex-blob", "--skip-dump-date", "--dump-history"]);
    let output = command.args(["--single-transaction", "--max-allowed-packet=1G", "-S"]).arg(&server.socket).arg(base).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn everything_in_a_database_comes_back_and_what_it_replaced_can_be_put_back_and_back_again() {
    let server = MariaDb::running();
    let base = format!("{} b.c of `d`", server.name());
    server.sql(&format!("CREATE DATABASE `{}` CHARACTER SET utf8mb4", base.replace('`', "``")));
    server.load(Some(&base), EVERYTHING.as_bytes());
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let (old, old_set, old_dump) = (server.everything(&base), character_set(server, &base), dump(server, &base));
    server.load(Some(&base), CHANGES.as_bytes());
    let (new, new_set) = (server.everything(&base), character_set(server, &base));
    assert_ne!((&old, &old_set), (&new, &new_set));

    let plan = machine.json(&["restore", "ellis", "--dry-run"], 0);
    assert_eq!(plan["plan"]["server"]["databases"][0]["exists"], json!(true), "{plan:#}");
    assert_eq!(server.everything(&base), new, "a dry run changes nothing");
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!((server.everything(&base), character_set(server, &base)), (old.clone(), old_set.clone()));
    assert!(dump(server, &base) == old_dump, "a full dump is the same, the history of rows in it");
    assert_eq!(databases(server, &base), [base.clone(), format!("{base}_windlass_undo_TIME")]);
    let listed = machine.json(&["list"], 0);
    assert!(text(&listed["undo"][0]["aside"]).contains(&format!("{base}_windlass_undo_")), "{listed:#}");

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
    assert_eq!(databases(server, &base), [format!("{base}_windlass_undo_TIME")]);
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), old);
    assert_eq!(databases(server, &base), [base.as_str()]);
}

#[test]
fn a_look_under_another_name_touches_nothing_that_is_live_and_has_no_events() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), EVERYTHING.as_bytes());
    server.load(
        Some(&base),
        format!(
            "CREATE TABLE told (n INT); CREATE TRIGGER tells AFTER INSERT ON told FOR EACH ROW UPDATE {base}.no_key SET a = a;
             CREATE PROCEDURE asks() SELECT * FROM `{base}` . told; CREATE PROCEDURE asks_nobody() SELECT * FROM told;"
        )
        .as_bytes(),
    );
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let old = server.everything(&base);
    server.load(Some(&base), CHANGES.as_bytes());
    let new = server.everything(&base);
    let look = server.name();
    let restored = machine.json(&["restore", "ellis", "--as", &look, "--yes"], 0);
    // A default that takes from a sequence names its database.
    let renamed: Vec<String> = server.everything(&look).iter().map(|line| line.replace(&look, &base)).collect();
    let (events, others): (Vec<String>, Vec<String>) = old.into_iter().partition(|line| line.starts_with("EVENT "));
    assert_eq!(renamed, others, "a copy's events would go on writing into what is live");
    let notes = restored["outcome"]["notes"].to_string();
    assert!(events.len() > 1 && notes.contains(&format!("{} events were left out of `{look}`", events.len())), "{notes}");
    for told in ["trigger `tells`", "procedure `asks`"] {
        assert!(notes.contains(&format!("the {told} names the database `{base}` and goes on using that one")), "{notes}");
    }
    assert!(!notes.contains("`asks_nobody`"), "{notes}");
    assert_eq!(server.everything(&base), new);
    assert_eq!(databases(server, &base), [base.as_str()]);
    let refused = machine.run(&["restore", "ellis", "--as", &look, "--yes"]);
    assert!(refused.expect(1).stderr.contains("choose another name"), "{refused:#?}");
    let nothing = machine.run(&["restore", "ellis", "--undo", "--yes"]);
    nothing.expect(6);
}

#[test]
fn one_table_is_looked_at_alone_under_another_name() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), EVERYTHING.as_bytes());
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let old = server.everything(&base);
    server.load(Some(&base), CHANGES.as_bytes());
    server.sql(&format!("DELETE FROM {base}.no_key; DROP TRIGGER {base}.first_one"));
    let (new, look) = (server.everything(&base), server.name());
    let restored = machine.run(&["restore", "ellis", "--table", "no_key", "--as", &look, "--yes"]);
    assert!(restored.expect(0).said().contains("nothing that is live was touched"), "{restored:#?}");
    let of_table = ["TABLE no_key", "rows of no_key", "TRIGGER first_one", "TRIGGER sec`ond"];
    let wanted: Vec<String> = old.into_iter().filter(|line| of_table.iter().any(|kind| line.starts_with(kind))).collect();
    assert_eq!((server.everything(&look), wanted.len()), (wanted, 4));
    assert_eq!(server.everything(&base), new);
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(6);
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
    // What of it is made under another default comes with statements that change it, of the table's own trigger and of others.
    server.sql(&format!(
        "ALTER DATABASE {base} CHARACTER SET latin1; CREATE PROCEDURE {base}.early() SELECT 1; CREATE TRIGGER {base}.early BEFORE INSERT ON \
         {base}.parent FOR EACH ROW SET @early = 1; CREATE TRIGGER {base}.early_child BEFORE INSERT ON {base}.child FOR EACH ROW SET @early = 1; \
         ALTER DATABASE {base} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    ));
    let defaults = || {
        let of_triggers =
            format!("SELECT database_collation FROM information_schema.TRIGGERS WHERE trigger_schema = '{base}' ORDER BY trigger_name");
        (character_set(server, &base), server.ask(None, &of_triggers).replace('\n', " "))
    };
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let (_, made_under) = defaults();
    server.sql(&format!("ALTER DATABASE {base} CHARACTER SET latin2"));
    server.sql(&format!(
        "UPDATE {base}.parent SET note = 'new'; INSERT INTO {base}.child VALUES (3, 1); DROP TRIGGER {base}.counted; TRUNCATE {base}.log"
    ));
    machine.run(&["restore", "ellis", "--table", "parent", "--yes"]).expect(0);
    assert_eq!(
        defaults(),
        ("latin2_general_ci".into(), made_under),
        "the database of one table keeps its default, and triggers have theirs"
    );
    server.sql(&format!("ALTER DATABASE {base} CHARACTER SET latin5"));
    assert_eq!(server.ask(Some(&base), "SELECT DISTINCT note FROM parent"), "old");
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM child"), "3");
    keys_hold(server, &base, &other);
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM log"), "1", "the trigger is back");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(defaults(), ("latin5_turkish_ci".into(), "latin1_swedish_ci latin1_swedish_ci".into()));
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
    server.sql(&format!("DROP TABLE {base}.log; CREATE VIEW {base}.log AS SELECT 4711 AS n"));
    let refused = machine.run(&["restore", "ellis", "--table", "log", "--yes"]);
    assert!(refused.expect(1).stderr.contains("is a view now"), "{refused:#?}");
    assert_eq!(server.ask(Some(&base), "SELECT n FROM log"), "4711");
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
        let beside = format!("schema_name LIKE '{base}\\_w%' OR schema_name LIKE '{other}\\_w%'");
        for name in server.ask(None, &format!("SELECT schema_name FROM information_schema.SCHEMATA WHERE {beside}")).lines() {
            server.sql(&format!("SET foreign_key_checks = 0; DROP DATABASE {name}"));
        }
    }
}

/// Two databases whose views select from each other's views, tables and functions, also through views that check what is written; and a
/// third one that is no part of the source, with a table that one of the views reads.
fn entangled(server: &MariaDb) -> [String; 3] {
    let [one, other, far] = [server.database(), server.database(), server.database()];
    server.sql(&format!(
        "CREATE TABLE {one}.t (id INT PRIMARY KEY, note VARCHAR(20)); CREATE TABLE {other}.t (id INT PRIMARY KEY, note VARCHAR(20));
         INSERT INTO {one}.t VALUES (1, 'one'); INSERT INTO {other}.t VALUES (1, 'other'); CREATE TABLE {far}.t (id INT PRIMARY KEY);
         CREATE FUNCTION {other}.twice(n INT) RETURNS INT DETERMINISTIC RETURN 2 * n;
         CREATE VIEW {other}.v AS SELECT id, note FROM {other}.t;
         CREATE VIEW {one}.a_view AS SELECT id, note FROM {other}.v;
         CREATE VIEW {one}.checked AS SELECT id, note FROM {one}.a_view WHERE id > 0 WITH CASCADED CHECK OPTION;
         CREATE VIEW {other}.a_back AS SELECT id, note FROM {one}.checked WHERE id < 100 WITH LOCAL CHECK OPTION;
         CREATE VIEW {one}.of_table AS SELECT o.id, {other}.twice(o.id) AS twice FROM {other}.t AS o JOIN {one}.t USING (id);
         CREATE VIEW {one}.of_far AS SELECT id FROM {far}.t;
         CREATE PROCEDURE {one}.asks() SELECT * FROM {other}.a_back;"
    ));
    [one, other, far]
}

#[test]
fn views_of_one_database_that_select_from_those_of_another_come_back_and_are_put_back() {
    let server = MariaDb::running();
    let [one, other, far] = entangled(server);
    let machine = machine(&server.configuration("ellis", &[&one, &other]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let both = || [&one, &other].map(|name| server.everything(name));
    // Through each view, down to the table.
    let writes = |views: &[String]| {
        views.iter().for_each(|view| server.sql(&format!("INSERT INTO {view} VALUES (50, 'x'); DELETE FROM {other}.t WHERE id = 50")));
    };
    let views = [format!("{other}.v"), format!("{one}.a_view"), format!("{one}.checked"), format!("{other}.a_back")];
    writes(&views);
    let old = both();
    server.sql(&format!("DELETE FROM {other}.t; DROP VIEW {one}.of_table; CREATE VIEW {other}.z AS SELECT * FROM {one}.a_view"));
    let new = both();
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(both(), old);
    writes(&views);
    assert_eq!(server.ask(Some(&one), "CALL asks(); SELECT twice FROM of_table"), "1\tother\n2");
    let refused = server.client().args([&one, "-e", "INSERT INTO checked VALUES (-1, 'x')"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("CHECK OPTION failed"), "{refused:?}");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(both(), new);

    // A view that cannot be made any more: the old state is put back at once, and nothing is stuck.
    server.sql(&format!("DROP VIEW {one}.of_far; DROP TABLE {far}.t"));
    let new = both();
    let failed = machine.run(&["restore", "ellis", "--yes"]);
    assert!(
        failed.expect(1).stderr.contains(&format!("'{far}.t' doesn't exist")) && !failed.stderr.contains("the next command has to"),
        "{failed:#?}"
    );
    assert_eq!(both(), new);
    writes(&views);
    server.sql(&format!("CREATE TABLE {far}.t (id INT PRIMARY KEY)"));
    machine.run(&["restore", "ellis", "--database", &one, "--yes"]).expect(0);
    assert_eq!(both()[0], old[0]);
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

#[test]
fn an_empty_database_comes_back_empty_and_a_row_of_64_mib_takes_no_memory() {
    let server = MariaDb::start(&["--max-allowed-packet=1G", "--innodb-log-file-size=512M"]);
    let (empty, base) = (server.database(), server.database());
    server.load(Some(&base), b"CREATE TABLE huge (id INT PRIMARY KEY, bytes LONGBLOB); INSERT INTO huge VALUES (1, 'x'), (2, REPEAT(RANDOM_BYTES(1024), 65536));");
    let machine = machine(&server.configuration("ellis", &[&base, &empty]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let (old, dumps) = (server.everything(&base), [&base, &empty].map(|base| dump(&server, base)));
    assert!(dumps[0].len() > 128 << 20, "twice as many digits as bytes");
    server.sql(&format!("CREATE TABLE {empty}.stranger (id INT); DELETE FROM {base}.huge"));
    let peak = crate::memory::peak_of(machine.start(&["restore", "ellis", "--yes"]));
    assert!(peak < 128 << 20, "{} MiB", peak >> 20);
    assert_eq!(server.everything(&base), old);
    assert_eq!(server.everything(&empty), Vec::<String>::new());
    assert!([&base, &empty].map(|base| dump(&server, base)) == dumps, "full dumps are the same");
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&empty), "SHOW TABLES"), "stranger");
    // What one packet must take is known before anything is done.
    server.sql("SET GLOBAL max_allowed_packet = 16777216");
    let refused = machine.run(&["restore", "ellis", "--yes"]);
    assert!(refused.expect(1).stderr.contains("max_allowed_packet"), "{refused:#?}");
    assert_eq!(server.ask(Some(&empty), "SHOW TABLES"), "stranger");
}

/// The rights that docs/OPERATIONS.md gives the account for a restore, as it gives them.
const RIGHTS: &str =
    "GRANT ALL ON BASE.* TO ACCOUNT; GRANT ALL ON `BASE\\_windlass\\_%`.* TO ACCOUNT; GRANT SELECT ON mysql.proc TO ACCOUNT;";

#[test]
fn the_rights_of_the_manual_are_enough_for_a_restore_over_tls_and_a_wrong_password_is_told() {
    let server = MariaDb::running();
    let base = server.name();
    server.sql(&format!("CREATE DATABASE {base}; CREATE TABLE {base}.t (id INT PRIMARY KEY); INSERT INTO {base}.t VALUES (1)"));
    let account = server.account("BY SECRET REQUIRE SSL", &RIGHTS.replace("BASE", &base));
    server.sql(&format!("CREATE DEFINER = {account}@'%' SQL SECURITY INVOKER VIEW {base}.v AS SELECT id FROM {base}.t"));
    let machine = Machine::new();
    let plain = server.over_tcp("ellis", &[&base], &account, &machine.path(""));
    let ca_file = server.ca_file.display();
    let machine = machine.configured(&format!("{plain}ca_file = \"{ca_file}\"\n"));
    machine.run(&["init"]).expect(0);
    machine.run(&["snapshot", "ellis"]).expect(0);
    let old = server.everything(&base);
    server.sql(&format!("DELETE FROM {base}.t; DROP VIEW {base}.v"));
    let new = server.everything(&base);
    machine.configure_again(&plain);
    machine.run(&["restore", "ellis", "--yes"]).expect(1);
    machine.configure_again(&format!("{plain}ca_file = \"{ca_file}\"\n"));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), old);
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), new);
    // All of it by an option file.
    let (file, port) = (machine.path("my.cnf"), server.port);
    let password = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
    let login = format!("[client]\nuser={account}\npassword=\"{password}\"\nhost=127.0.0.1\nport={port}\nssl-ca={ca_file}\n");
    fs::write(&file, login).unwrap();
    machine.configure_again(&format!("[mysql.ellis]\ndatabases = [\"{base}\"]\ndefaults_file = \"{}\"\n", file.display()));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), old);
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), new);
    machine.configure_again(&format!("{plain}ca_file = \"{ca_file}\"\n"));
    fs::write(machine.path("password"), "wrong").unwrap();
    let refused = machine.run(&["restore", "ellis", "--yes"]);
    assert!(refused.expect(1).stderr.contains("the password is wrong"), "{refused:#?}");
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM t"), "0");
}

#[test]
fn an_undo_is_given_as_long_as_it_is_there_and_whole() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE u (id INT PRIMARY KEY);");
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    server.sql(&format!("INSERT INTO {base}.t VALUES (1)"));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    let aside = server.ask(None, &format!("SELECT schema_name FROM information_schema.SCHEMATA WHERE schema_name LIKE '{base}\\_w%'"));
    // Somebody has looked in and left something.
    server.sql(&format!("CREATE TABLE {aside}.mine (id INT)"));
    let refused = machine.run(&["restore", "ellis", "--undo", "--yes"]);
    assert!(refused.expect(1).stderr.contains("was not set aside"), "{refused:#?}");
    server.sql(&format!("DROP TABLE {aside}.mine; RENAME TABLE {aside}.u TO {aside}.v"));
    let refused = machine.run(&["restore", "ellis", "--undo", "--yes"]);
    assert!(refused.expect(1).stderr.contains("not there any more"), "{refused:#?}");
    server.sql(&format!("RENAME TABLE {aside}.v TO {aside}.u"));
    // Its time is over, and nothing has come by to remove it.
    let configuration = fs::read_to_string(machine.path("windlass.toml")).unwrap();
    fs::write(machine.path("windlass.toml"), configuration.replace("[local]", "[local]\nundo_for = \"1s\"")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM t"), "1");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    machine.run(&["snapshot", "ellis"]).expect(0);
    assert_eq!(databases(server, &base), [base.as_str()], "what is too old goes with the next snapshot");
}

#[test]
fn the_plan_tells_what_would_be_in_the_way_and_what_a_plain_dump_lacks() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE t (id INT PRIMARY KEY); CREATE PROCEDURE p() SELECT 1;");
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let absent = machine.run(&["restore", "ellis", "--table", "nobody", "--dry-run"]);
    assert!(absent.expect(6).stderr.contains("no table `nobody`"), "{absent:#?}");
    let typed = machine.run(&["restore", "ellis", "--definer", "rooot@localhost=root@localhost", "--dry-run"]);
    assert!(typed.expect(0).stdout.contains("nothing in the snapshot is of that account"), "{typed:#?}");
    let folder = machine.path("1388534400");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("db_backup.sql"), "CREATE TABLE t (id INT);\n-- Dump completed\n").unwrap();
    let plain = machine.run(&["restore", "ellis", "--from", folder.to_str().unwrap(), "--dry-run"]);
    assert!(plain.expect(0).stdout.contains("1 routines and 0 events"), "{plain:#?}");
    server.sql(&format!("CREATE DATABASE {base}_windlass_new"));
    let taken = machine.run(&["restore", "ellis", "--dry-run"]);
    assert!(taken.expect(1).stderr.contains("does not remember"), "{taken:#?}");
}
