//! What a server's limits mean for a restore: the length of a statement, of a name, and how names are compared.

use windlass::source::mysql::{Address, Settings, look, point_back};
use windlass::sys::stop::Stop;

use crate::support::program::{Machine, text};
use crate::support::servers::mariadb::MariaDb;

fn machine(configuration: &str) -> Machine {
    let machine = Machine::in_memory().configured(configuration);
    machine.run(&["init"]).expect(0);
    machine.run(&["snapshot", "ellis"]).expect(0);
    machine
}

fn root(server: &MariaDb) -> Settings {
    Settings { address: Some(Address::Socket(server.socket.clone())), user: Some("root".into()), ..Settings::new(Vec::new()) }
}

#[test]
fn tables_whose_exchange_is_no_packet_are_refused_before_anything_is_loaded() {
    let server = MariaDb::start(&[]);
    let base = server.database();
    let tables: Vec<String> = (0..60).map(|n| format!("CREATE TABLE {}_{n} (id INT PRIMARY KEY);", "t".repeat(50))).collect();
    server.load(Some(&base), tables.concat().as_bytes());
    let machine = machine(&server.configuration("ellis", &[&base]));
    let old = server.everything(&base);
    let folder = machine.path("1388534400");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("db_backup.sql"), format!("{}\n-- Dump completed\n", tables.join("\n"))).unwrap();
    server.sql("SET GLOBAL max_allowed_packet = 8192");
    for from in ["local", folder.to_str().unwrap()] {
        for how in ["--dry-run", "--yes"] {
            let refused = machine.run(&["restore", "ellis", "--from", from, how]);
            let said = &refused.expect(1).stderr;
            assert!(said.contains("8192") && said.contains("SET GLOBAL max_allowed_packet = 1048576"), "{refused:#?}");
        }
    }
    // Too many of them come, and too few are there now for that to be known before they are.
    server.sql("SET GLOBAL max_allowed_packet = 16777216");
    server.sql(&format!("DROP DATABASE {base}; CREATE DATABASE {base}; SET GLOBAL max_allowed_packet = 8192"));
    let refused = machine.run(&["restore", "ellis", "--from", folder.to_str().unwrap(), "--yes"]);
    assert!(refused.expect(1).stderr.contains("SET GLOBAL max_allowed_packet"), "{refused:#?}");
    assert_eq!(server.ask(None, &format!("SHOW DATABASES LIKE '{base}%'")), base);
    server.sql("SET GLOBAL max_allowed_packet = 16777216");
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), old);
}

#[test]
fn statements_of_a_dump_fit_into_the_packet_of_their_server_on_the_way_back_and_are_loaded_without_checks() {
    let server = MariaDb::start(&["--max-allowed-packet=1M"]);
    let base = server.database();
    server.load(
        Some(&base),
        b"CREATE TABLE big (id INT PRIMARY KEY, name VARCHAR(40) UNIQUE, pad TEXT); \
          INSERT INTO big SELECT seq, MD5(seq), REPEAT(MD5(seq), 8) FROM seq_1_to_20000;",
    );
    let machine = machine(&server.configuration("ellis", &[&base]));
    let longest = machine.json(&["show", "ellis/latest"], 0)["facts"]["longest_statement"].as_u64().unwrap();
    assert!(longest > 256 << 10 && longest < 1 << 20, "{longest}");
    let old = server.everything(&base);
    server.sql(&format!("DELETE FROM {base}.big WHERE id > 10"));
    let given = machine.path("given.sql");
    let client = machine.client(&format!("tee -a {} | mariadb \"$@\"", given.display()));
    machine.configure_again(&format!("{}{client}", server.configuration("ellis", &[&base])));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.everything(&base), old);
    let given = String::from_utf8(std::fs::read(given).unwrap()).unwrap();
    assert!(given.contains("\nSET autocommit=0, completion_type=0, unique_checks=0, foreign_key_checks=0,"), "{}", &given[..200]);
    assert!(given.matches("INSERT INTO `big`").count() > 5);
}

#[test]
fn the_rights_that_are_asked_for_are_enough_for_names_of_every_length() {
    let server = MariaDb::running();
    // The second is cut where it is set aside alone, the others everywhere or nowhere; and the last one's pattern is too long as such.
    for base in [server.name(), format!("{}_{}", server.name(), "x".repeat(35)), format!("{}_{}", server.name(), "a_%".repeat(17))] {
        server.sql(&format!(
            "CREATE DATABASE `{base}`; CREATE TABLE `{base}`.t (id INT PRIMARY KEY); CREATE VIEW `{base}`.v AS SELECT 1 AS n"
        ));
        server.sql(&format!("CREATE OR REPLACE DEFINER = CURRENT_USER SQL SECURITY INVOKER VIEW `{base}`.v AS SELECT id FROM `{base}`.t"));
        let account = server.account("BY SECRET", "GRANT SUPER ON *.* TO ACCOUNT; GRANT SELECT ON mysql.proc TO ACCOUNT");
        server.sql(&format!("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON `{base}`.* TO {account}"));
        let folder = tempfile::tempdir().unwrap();
        let machine = machine(&server.over_tcp("ellis", &[&base], &account, folder.path()));
        let refused = machine.run(&["restore", "ellis", "--yes"]);
        let said = &refused.expect(1).stderr;
        let statements = said.split("needs: ").nth(1).unwrap_or_else(|| panic!("{said}")).lines().next().unwrap();
        for statement in statements.split("; ").filter(|part| part.starts_with("GRANT")) {
            server.sql(statement);
        }
        let restored = machine.run(&["restore", "ellis", "--yes"]);
        restored.expect(0);
        machine.run(&["restore", "ellis", "--undo", "--yes"]).expect(0);
        // What lies beside a database is none that refers to it.
        server.sql(&format!("CREATE TABLE `{base}`.c (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES t (id))"));
        machine.run(&["restore", "ellis", "--yes"]).expect(0);
        let listed = machine.json(&["list"], 0);
        let aside = text(&listed["undo"][0]["aside"]).split('`').nth(1).unwrap().to_owned();
        server.sql(&format!("CREATE TABLE `{aside}`.d (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES `{base}`.t (id))"));
        let present = look(&root(server), std::slice::from_ref(&base), &Stop::new()).unwrap();
        assert!(!present.databases[0].referring.iter().any(|table| table.contains(&aside)), "{present:#?}");
    }
}

#[test]
fn a_server_that_makes_names_small_is_asked_as_it_compares_them() {
    let server = MariaDb::start(&["--lower-case-table-names=1"]);
    let (live, aside, other) = ("Ellis", "Ellis_windlass_x", "Other");
    for name in [live, aside, other] {
        server.sql(&format!("CREATE DATABASE {name}"));
    }
    server.sql(&format!(
        "CREATE TABLE {live}.P (id INT PRIMARY KEY); CREATE TABLE {other}.C (id INT, CONSTRAINT fk FOREIGN KEY (id) REFERENCES {live}.P (id));
         SET foreign_key_checks = 0; RENAME TABLE {live}.P TO {aside}.P; CREATE TABLE {live}.P (id INT PRIMARY KEY)"
    ));
    assert_eq!(point_back(&root(&server), &[(aside.to_owned(), live.to_owned())], &Stop::new()).unwrap(), 1);
    let created = server.ask(None, &format!("SHOW CREATE TABLE {other}.C"));
    assert!(created.contains("REFERENCES `ellis`.`p`"), "{created}");
    let present = look(&root(&server), &[live.to_owned()], &Stop::new()).unwrap();
    assert_eq!(present.databases[0].referring, ["`other`.`c`"]);

    // And by the program itself, under a name that is written otherwise than the server keeps it.
    let (base, copy) = (server.database(), format!("Look_{}", server.name()));
    server.load(
        Some(&base),
        b"CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES p (id)); INSERT INTO p VALUES (1);
          CREATE SEQUENCE s; CREATE TABLE n (id BIGINT DEFAULT NEXTVAL(s)); CREATE VIEW v AS SELECT id FROM p;
          CREATE TRIGGER tr BEFORE INSERT ON p FOR EACH ROW SET NEW.id = NEW.id + 1; CREATE PROCEDURE r() SELECT 1;",
    );
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["restore", "ellis", "--as", &copy, "--yes"]).expect(0);
    let renamed: Vec<String> = server.everything(&copy).iter().map(|line| line.replace(&copy.to_lowercase(), &base)).collect();
    assert_eq!(renamed, server.everything(&base));
    assert_eq!(server.ask(None, &format!("SHOW DATABASES LIKE '{copy}%'")), copy.to_lowercase());
}
