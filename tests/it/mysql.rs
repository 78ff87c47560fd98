//! MySQL sources on a real MariaDB server: what is taken comes back exactly when the plain client loads it.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::program::{Machine, Run, text, until};
use crate::support::servers::mariadb::{MariaDb, PASSWORD};

/// Everything that can be in a database, and every text that could be taken for a part of a dump.
const EVERYTHING: &str = include_str!("support/everything.sql");

/// The rights that docs/OPERATIONS.md gives the account, as it gives them.
const LEAST: &str = "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON BASE.* TO ACCOUNT; GRANT SELECT ON mysql.proc TO ACCOUNT;";

/// Says that others are to end, also when the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn machine(configuration: &str) -> Machine {
    let machine = Machine::new().configured(configuration);
    machine.run(&["init"]).expect(0);
    machine
}

fn fetch(machine: &Machine, source: &str) -> PathBuf {
    let to = machine.path(format!("fetched-{source}"));
    machine.run(&["fetch", &format!("{source}/latest"), "--to", to.to_str().unwrap()]).expect(0);
    to
}

/// The facts of the newest snapshot of a source, as its copy on the disk has them.
fn facts(machine: &Machine, source: &str) -> Value {
    let id = text(&machine.json(&["show", &format!("{source}/latest")], 0)["id"]);
    let record = fs::read_to_string(machine.path(format!("local/{source}/{id}/snapshot.json"))).unwrap();
    serde_json::from_str::<Value>(&record).unwrap()["facts"].clone()
}

/// Loads a dump into a new database beside the one that it was taken of.
fn loaded(server: &MariaDb, dump: &[u8], of: &Value) -> String {
    let name = server.name();
    server.sql(&format!("CREATE DATABASE {name} CHARACTER SET {} COLLATE {}", text(&of["character_set"]), text(&of["collation"])));
    server.load(Some(&name), dump);
    name
}

#[test]
fn everything_in_a_database_is_the_same_after_the_plain_client_has_loaded_it_elsewhere() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), EVERYTHING.as_bytes());
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["backup", "ellis"]).expect(0);
    // What it was taken of is only looked at afterwards, so that nothing is taken from there.
    let fetched = fetch(&machine, "ellis");
    let dump = fs::read(fetched.join(&base).join("db_backup.sql")).unwrap();
    let facts = facts(&machine, "ellis");
    let copy = loaded(server, &dump, &facts["databases"][0]);
    assert_eq!(server.everything(&copy), server.everything(&base));
    assert!(server.everything(&base).len() > 40, "the fixture holds something");
    let by_hand = server.database();
    let manual = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md")).unwrap();
    assert!(manual.contains("$ mariadb --comments --binary-mode --default-character-set=utf8mb4 look < "));
    let dump = fs::File::open(fetched.join(&base).join("db_backup.sql")).unwrap();
    let loads = server.client().args(["--binary-mode", &by_hand]).stdin(dump).output().unwrap();
    assert!(loads.status.success(), "{loads:?}");
    assert_eq!(server.everything(&by_hand), server.everything(&base));
    machine.run(&["verify", "--full"]).expect(0);
    assert_eq!(facts["flavour"], "mariadb");
    assert_eq!(facts["databases"][0]["character_set"], "utf8mb4");
    assert!(facts["binary_log"]["offset"].as_u64().unwrap() > 0 && facts["binary_log"]["gtid"].is_string(), "{facts:#}");
}

#[test]
fn every_command_that_reads_a_snapshot_reads_one_of_a_database() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1);");
    let machine = machine(&server.configuration("ellis", &[&base]));
    let dry = machine.json(&["snapshot", "ellis", "--dry-run"], 0);
    assert!(machine.json(&["list"], 0)["snapshots"].as_array().unwrap().is_empty(), "{dry}");
    machine.run(&["backup", "ellis"]).expect(0);
    server.load(Some(&base), b"INSERT INTO t VALUES (2);");
    machine.run(&["snapshot", "ellis"]).expect(0);
    machine.run(&["ship", "ellis"]).expect(0);
    let listed = machine.json(&["list"], 0);
    assert_eq!((&listed["snapshots"][0]["kind"], &listed["snapshots"][0]["files"]), (&json!("mysql"), &json!(1)));
    let cat = machine.run(&["cat", "ellis/latest", &format!("{base}/db_backup.sql")]);
    assert!(cat.expect(0).stdout.contains("(2)"), "{cat:#?}");
    let ids: Vec<String> = listed["snapshots"].as_array().unwrap().iter().map(|row| format!("ellis/{}", text(&row["id"]))).collect();
    let diff = machine.run(&["diff", &ids[0], &ids[1]]);
    assert!(diff.said().contains("db_backup.sql"), "{diff:#?}");
    let status = machine.run(&["status"]);
    assert!(status.stdout.lines().any(|line| line.starts_with("ellis") && line.ends_with("well")), "{status:#?}");
    let shown = machine.run(&["config", "show"]);
    assert!(shown.expect(0).stdout.contains("order_by_primary = true"), "{shown:#?}");
}

#[test]
fn several_databases_are_of_one_instant_while_amounts_move_between_them() {
    let server = MariaDb::running();
    let bases = [server.database(), server.database()];
    for base in &bases {
        server.load(
            Some(base),
            b"CREATE TABLE a (id INT PRIMARY KEY, amount BIGINT, pad TEXT); \
            INSERT INTO a SELECT seq, 1000, REPEAT(MD5(seq), 30) FROM seq_1_to_2000;",
        );
    }
    let names: Vec<&str> = bases.iter().map(String::as_str).collect();
    let machine = machine(&server.configuration("both", &names));
    let done = AtomicBool::new(false);
    let transfers = |n: u64| {
        let (from, to, at) = (&bases[n as usize % 2], &bases[(n as usize + 1) % 2], n * 7 % 2000 + 1);
        format!(
            "START TRANSACTION; UPDATE {from}.a SET amount = amount - {n} WHERE id = {at}; UPDATE {to}.a SET amount = amount + {n} WHERE id = 2001 - {at}; COMMIT;"
        )
    };
    let moved = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut rounds = 0u64;
            while !done.load(Ordering::Relaxed) {
                server.sql(&(0..50).map(|n| transfers(rounds * 50 + n + 1)).collect::<String>());
                rounds += 1;
            }
            rounds
        });
        let ends = Ends(&done);
        for _ in 0..3 {
            let before = server.ask(None, "SHOW GLOBAL STATUS LIKE 'Com_update'");
            machine.run(&["snapshot", "both"]).expect(0);
            assert_ne!(server.ask(None, "SHOW GLOBAL STATUS LIKE 'Com_update'"), before, "nobody wrote, which proves nothing");
        }
        drop(ends);
        writer.join().unwrap()
    });
    assert!(moved > 0);
    for (number, row) in machine.json(&["list"], 0)["snapshots"].as_array().unwrap().iter().enumerate() {
        let to = machine.path(format!("to-{number}"));
        machine.run(&["fetch", &format!("both/{}", text(&row["id"])), "--to", to.to_str().unwrap()]).expect(0);
        let mut sum = 0i64;
        for base in &bases {
            let copy = server.database();
            server.load(Some(&copy), &fs::read(to.join(base).join("db_backup.sql")).unwrap());
            sum += server.ask(Some(&copy), "SELECT SUM(amount) FROM a").parse::<i64>().unwrap();
        }
        assert_eq!(sum, 2 * 2000 * 1000);
    }
}

#[test]
fn names_of_databases_that_would_lead_astray_are_files_of_their_own() {
    let server = MariaDb::running();
    let odd = format!("{}/../x`y\n-- Current Database: `z`", server.name());
    let (quoted, plain) = (format!("`{}`", odd.replace('`', "``")), server.database());
    server.sql(&format!(
        "CREATE DATABASE {quoted} CHARACTER SET latin1; CREATE TABLE {quoted}.t (id INT); INSERT INTO {quoted}.t VALUES (7)"
    ));
    let machine = machine(&server.configuration("odd", &[&odd, &plain]));
    let run = machine.run(&["backup", "odd"]);
    run.expect(0);
    let facts = facts(&machine, "odd");
    let dump = fs::read(fetch(&machine, "odd").join(text(&facts["databases"][0]["file"]))).unwrap();
    let copy = loaded(server, &dump, &facts["databases"][0]);
    assert_eq!(server.ask(Some(&copy), "SELECT id FROM t"), "7");
    assert_eq!(facts["databases"][1]["file"], format!("{plain}/db_backup.sql"));
    server.sql(&format!("DROP DATABASE {quoted}"));
}

#[test]
fn a_dump_loaded_beside_its_database_changes_nothing_in_it() {
    let server = MariaDb::running();
    let base = server.database();
    // Its routines were made under another collation than it has now: dump programs change the database's for a while, by name.
    server.load(Some(&base), b"CREATE TABLE t (id INT); CREATE FUNCTION f() RETURNS TEXT DETERMINISTIC RETURN 'x';");
    server.sql(&format!("ALTER DATABASE {base} CHARACTER SET latin1; CREATE TABLE {base}.later (id INT)"));
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let dump = fs::read(fetch(&machine, "ellis").join(&base).join("db_backup.sql")).unwrap();
    let before = server.everything(&base);
    server.sql(&format!("INSERT INTO {base}.t VALUES (1); RENAME TABLE {base}.later TO {base}.renamed"));
    let changed = server.everything(&base);
    let copy = loaded(server, &dump, &facts(&machine, "ellis")["databases"][0]);
    assert_eq!(server.everything(&base), changed);
    assert_eq!(server.everything(&copy), before);
    let text = String::from_utf8(dump).unwrap();
    let statements: Vec<&str> = text.lines().filter(|line| line.contains(&base) && !line.starts_with("--")).collect();
    assert!(statements.is_empty(), "statements that name the database: {statements:?}");
}

#[test]
fn the_least_rights_of_the_manual_are_enough_over_tcp_with_tls_and_any_one_less_is_named() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), EVERYTHING.as_bytes());
    let rights = LEAST.replace("BASE", &base);
    let manual = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md")).unwrap();
    for grant in LEAST.split_terminator("; ").map(|grant| grant.trim_end_matches(';')) {
        let printed = grant.replace("BASE", "ellis").replace("ACCOUNT", "'windlass'@'localhost'");
        assert!(manual.contains(&printed), "the manual says `{printed}`");
    }
    // For the tables that take part in no transaction, and for the view that calls a function.
    let more = ["GRANT RELOAD ON *.* TO ACCOUNT;", "GRANT EXECUTE ON BASE.* TO ACCOUNT;"];
    for grant in more {
        let printed = grant.replace("BASE", "ellis").replace("ACCOUNT", "'windlass'@'localhost'");
        assert!(manual.contains(&printed), "the manual says `{printed}`");
    }
    let rights = format!("{rights} {}", more.concat().replace("BASE", &base));
    let account = server.account("BY SECRET REQUIRE SSL", &rights);
    let machine = machine("");
    let plain = server.over_tcp("ellis", &[&base], &account, machine.temp.path());
    let machine = machine.configured(&format!("{plain}ca_file = \"{}\"\n", server.ca_file.display()));
    machine.run(&["backup", "ellis"]).expect(0);
    let dump = fs::read(fetch(&machine, "ellis").join(&base).join("db_backup.sql")).unwrap();
    let facts = facts(&machine, "ellis");
    assert!(facts["accounts"].is_null() && facts["definers"].is_array(), "it may not read who has which rights: {facts:#}");
    let copy = loaded(server, &dump, &facts["databases"][0]);
    assert_eq!(server.everything(&copy), server.everything(&base));
    for (revoke, named) in [
        (format!("SELECT ON {base}.*"), format!("GRANT SELECT ON `{base}`.*")),
        (format!("TRIGGER ON {base}.*"), format!("GRANT TRIGGER ON `{base}`.*")),
        (format!("EVENT ON {base}.*"), format!("GRANT EVENT ON `{base}`.*")),
        (format!("SHOW VIEW ON {base}.*"), format!("GRANT SHOW VIEW ON `{base}`.*")),
        ("SELECT ON mysql.proc".to_owned(), "GRANT SELECT ON mysql.proc".to_owned()),
    ] {
        server.sql(&format!("REVOKE {revoke} FROM {account}@'%'"));
        let run = machine.run(&["snapshot", "ellis"]);
        assert!(run.expect(1).stderr.contains(&named), "{run:#?}");
        server.sql(&format!("GRANT {revoke} TO {account}@'%'"));
    }
    server.sql(&format!("REVOKE RELOAD ON *.* FROM {account}@'%'"));
    let run = machine.run(&["snapshot", "ellis"]);
    assert!(run.expect(3).stderr.contains("GRANT RELOAD ON *.*"), "{run:#?}");
    let machine = machine.configured(&plain);
    machine.run(&["snapshot", "ellis"]).expect(1);
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let server = MariaDb::running();
    let base = server.database();
    let account = server.account("BY SECRET", &LEAST.replace("BASE", &base));
    let machine = machine("");
    crate::support::authority::issue(machine.temp.path());
    let plain = server.over_tcp("ellis", &[&base], &account, machine.temp.path());
    let other = machine.path("ca.pem").display().to_string();
    let machine = machine.configured(&format!("{plain}ca_file = \"{other}\"\n"));
    let run = machine.run(&["snapshot", "ellis"]);
    assert!(run.expect(1).stderr.contains("its certificate does not come from `ca_file`"), "{run:#?}");
}

#[test]
fn an_option_file_and_a_variable_give_the_login_too() {
    let server = MariaDb::running();
    let base = server.database();
    let account = server.account("BY SECRET", &LEAST.replace("BASE", &base));
    let machine = machine("");
    let file = machine.path("my.cnf");
    let password = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
    fs::write(&file, format!("[client]\nuser={account}\nhost=127.0.0.1\nport={}\npassword=\"{password}\"\n", server.port)).unwrap();
    let machine = machine.configured(&format!("[mysql.ellis]\ndatabases = [\"{base}\"]\ndefaults_file = \"{}\"\n", file.display()));
    machine.run(&["snapshot", "ellis"]).expect(0);
    let by_variable = format!(
        "[mysql.ellis]\ndatabases = [\"{base}\"]\nsocket = \"{}\"\nuser = \"{account}\"\npassword_env = \"ELLIS_PASSWORD\"\n",
        server.socket.display()
    );
    let machine = machine.configured(&by_variable);
    let run = Run::of(machine.command(&["snapshot", "ellis"]).env("ELLIS_PASSWORD", PASSWORD).output().unwrap());
    run.expect(0);
}

#[test]
fn programs_are_found_by_their_old_names_where_there_are_no_others() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT id FROM t;");
    let machine = machine(&server.configuration("ellis", &[&base]));
    let folder = machine.path("programs");
    fs::create_dir(&folder).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for (old, new) in [("mysqldump", "mariadb-dump"), ("mysql", "mariadb")] {
        let program = std::env::split_paths(&path).map(|folder| folder.join(new)).find(|program| program.exists()).unwrap();
        std::os::unix::fs::symlink(program, folder.join(old)).unwrap();
    }
    let run = |arguments: &[&str]| Run::of(machine.command(arguments).env("PATH", &folder).output().unwrap());
    run(&["snapshot", "ellis"]).expect(0);
    let old = server.everything(&base);
    server.load(Some(&base), b"DELETE FROM t; DROP VIEW v;");
    run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), old);
}

#[test]
fn tables_that_take_part_in_no_transaction_are_locked_or_reported() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE m (id INT) ENGINE=MyISAM; CREATE TABLE h (id INT) ENGINE=MEMORY; \
        CREATE TABLE a (id INT) ENGINE=Aria; CREATE TABLE i (id INT PRIMARY KEY, pad TEXT) ENGINE=InnoDB; \
        INSERT INTO i SELECT seq, REPEAT(MD5(seq), 30) FROM seq_1_to_20000; INSERT INTO m VALUES (0); INSERT INTO h VALUES (0); INSERT INTO a VALUES (0);");
    let machine = machine(&server.configuration("ellis", &[&base]));
    // The three are counted up together, one after the other: an instant shows them alike, or each one ahead of the one after it.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                server.load(
                    Some(&base),
                    "UPDATE m SET id = id + 1; UPDATE h SET id = id + 1; UPDATE a SET id = id + 1;".repeat(50).as_bytes(),
                );
            }
        });
        let _ends = Ends(&done);
        let counted = || server.ask(Some(&base), "SELECT id FROM m");
        until("somebody writes", || counted() != "0");
        let before = counted();
        machine.run(&["snapshot", "ellis"]).expect(0);
        assert_ne!(counted(), before, "nobody wrote, which proves nothing");
    });
    let dump = fs::read(fetch(&machine, "ellis").join(&base).join("db_backup.sql")).unwrap();
    let copy = server.database();
    server.load(Some(&copy), &dump);
    let counts: Vec<u64> = server
        .ask(Some(&copy), "SELECT id FROM m UNION ALL SELECT id FROM h UNION ALL SELECT id FROM a")
        .lines()
        .map(|n| n.parse().unwrap())
        .collect();
    assert!(counts[0] - counts[2] <= 1 && counts[0] >= counts[1] && counts[1] >= counts[2], "{counts:?}");

    let machine = machine.configured(&format!("{}lock_tables = false\n", server.configuration("ellis", &[&base])));
    let run = machine.run(&["--json", "snapshot", "ellis"]);
    run.expect(3);
    assert_eq!(run.document()["snapshots"][0]["problems"], json!([{"kind": "not_transactional", "count": 3}]), "{run:#?}");
    let told: Vec<Value> = run.events().into_iter().filter(|event| event["event"] == "problem").collect();
    assert!(told.len() == 3 && told[0]["path"] == format!("{base}/a"), "{told:#?}");
}

#[test]
fn hashes_of_passwords_are_in_the_facts_only_where_they_are_asked_for() {
    let server = MariaDb::running();
    let base = server.database();
    let account = server.account("BY SECRET", &format!("GRANT SELECT ON {base}.* TO ACCOUNT; GRANT USAGE ON *.* TO ACCOUNT;"));
    let hash = server.ask(None, &format!("SELECT authentication_string FROM mysql.user WHERE user = '{account}'"));
    assert!(hash.starts_with('*'), "{hash}");
    for asked in [false, true] {
        let machine = machine(&format!("{}accounts = {asked}\n", server.configuration("ellis", &[&base])));
        machine.run(&["snapshot", "ellis"]).expect(0);
        let facts = facts(&machine, "ellis").to_string();
        assert!(facts.contains(&format!("'{account}'@'%'")), "{facts}");
        assert_eq!(facts.contains(&hash), asked, "{facts}");
    }
}

#[test]
fn an_empty_database_is_a_snapshot_too() {
    let server = MariaDb::running();
    let base = server.database();
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["backup", "ellis"]).expect(0);
    let dump = fs::read(fetch(&machine, "ellis").join(&base).join("db_backup.sql")).unwrap();
    let copy = server.database();
    server.load(Some(&copy), &dump);
    assert!(server.everything(&copy).is_empty());
}

#[test]
fn a_row_of_64_mib_comes_back_and_takes_no_memory() {
    let server = MariaDb::start(&["--max-allowed-packet=1G", "--innodb-log-file-size=512M"]);
    let base = server.database();
    server.load(
        Some(&base),
        b"CREATE TABLE huge (id INT PRIMARY KEY, bytes LONGBLOB, text_ LONGTEXT); INSERT INTO huge VALUES (1, 'x', 'y'), \
        (2, REPEAT(RANDOM_BYTES(1024), 65536), REPEAT('it''s; -- \\n', 3000000)), (3, '', '');",
    );
    let machine = machine(&server.configuration("ellis", &[&base]));
    let peak = crate::memory::peak_of(machine.start(&["backup", "ellis"]));
    assert!(peak < 128 << 20, "{} MiB", peak >> 20);
    let facts = facts(&machine, "ellis");
    assert!(facts["longest_statement"].as_u64().unwrap() > 128 << 20, "{facts:#}");
    let dump = fs::read(fetch(&machine, "ellis").join(&base).join("db_backup.sql")).unwrap();
    let copy = loaded(&server, &dump, &facts["databases"][0]);
    assert_eq!(server.everything(&copy), server.everything(&base));
}
