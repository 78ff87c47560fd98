//! MySQL sources on servers of other makes and versions than Debian's: what is taken comes back exactly on a server of the same make.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::program::{Machine, text, until};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// Everything that can be in a database of such a server.
const EVERYTHING: &str = include_str!("support/everything_of_makes.sql");

/// What MySQL's own dump program writes, which no package brings: written after dumps that it made, with the GTIDs that it adds unless it is told
/// not to.
const BY_MYSQLDUMP: &[u8] = include_bytes!("support/dumps/mysql-8.0.sql");

fn machine(configuration: &str) -> Machine {
    let machine = Machine::new().configured(configuration);
    machine.run(&["init"]).expect(0);
    machine
}

/// What stands in a configuration for another dump program than the one that is found.
fn with_dump(configuration: &str, dump: Option<&Path>) -> String {
    dump.map_or_else(|| configuration.to_owned(), |dump| format!("{configuration}dump = [\"{}\"]\n", dump.display()))
}

/// The facts of the newest snapshot of the source `ellis`.
fn facts(machine: &Machine) -> Value {
    let id = text(&machine.json(&["show", "ellis/latest"], 0)["id"]);
    let record = fs::read_to_string(machine.path(format!("local/ellis/{id}/snapshot.json"))).unwrap();
    serde_json::from_str::<Value>(&record).unwrap()["facts"].clone()
}

/// Loads the newest dump of a database into a new one, by this client or Debian's.
fn loaded(machine: &Machine, server: &MariaDb, client: Option<&[String]>, base: &str) -> String {
    let to = machine.path("fetched");
    machine.run(&["fetch", "ellis/latest", "--to", to.to_str().unwrap()]).expect(0);
    let of = facts(machine)["databases"][0].clone();
    let name = server.name();
    server.sql(&format!("CREATE DATABASE {name} CHARACTER SET {} COLLATE {}", text(&of["character_set"]), text(&of["collation"])));
    let dump = fs::read(to.join(base).join("db_backup.sql")).unwrap();
    match client {
        Some(words) => server.load_by(words, Some(&name), &dump),
        None => server.load(Some(&name), &dump),
    }
    name
}

/// Two databases are the same, and hold something.
fn same(server: &MariaDb, copy: &str, base: &str) {
    let (of_copy, of_base) = (server.everything(copy), server.everything(base));
    assert!(of_base.len() > 6, "the fixture holds something");
    let differ: Vec<_> = of_copy.iter().zip(&of_base).filter(|(copy, base)| copy != base).collect();
    assert!(differ.is_empty() && of_copy.len() == of_base.len(), "{} and {}: {differ:#?}", of_copy.len(), of_base.len());
}

/// A dump of everything is loaded by the plain client, and nothing differs; a second dump of the same is stored once. What another program than
/// the server's own has dumped is loaded by the server's own client, where there is one.
fn comes_back(make: Make, dump: Option<&Path>) {
    let server = make.running();
    let base = server.database();
    server.load(Some(&base), EVERYTHING.as_bytes());
    let machine = machine(&with_dump(&server.configuration("ellis", &[&base]), dump));
    machine.run(&["backup", "ellis"]).expect(0);
    let facts = facts(&machine);
    assert_eq!(facts["flavour"], make.flavour());
    assert!(text(&facts["version"]).starts_with(make.version()), "{facts:#}");
    let client = make.client().filter(|_| dump.is_none());
    let copy = loaded(&machine, server, client.as_deref(), &base);
    same(server, &copy, &base);
    let second = machine.json(&["backup", "ellis"], 0);
    let row = &second["snapshots"][0];
    assert!(row["added_bytes"].as_u64().unwrap() * 50 < row["bytes"].as_u64().unwrap(), "{second:#}");
    machine.run(&["verify", "--full"]).expect(0);
    if dump.is_none() {
        floats_are_told(&machine, server, &base);
        texts_are_told(&machine, server, &base);
    }
}

/// Floats of which six digits are enough, of which they are not, and such that are written with all of theirs or not at all.
const FLOATS: &[u8] = b"CREATE TABLE digits (id INT PRIMARY KEY, x FLOAT, enough FLOAT, fixed FLOAT(12,2), large DOUBLE, \
    made FLOAT GENERATED ALWAYS AS (x) STORED); CREATE TABLE keyed (x FLOAT PRIMARY KEY, v INT); \
    INSERT INTO digits (id, x, enough, fixed, large) VALUES (1, 16777217, 0.1, 12345.67, 2.123456789), (2, 1234567.875, 145161000, 0.25, 1e100), \
    (3, -2.1234567, 1e-40, -1234567.89, 16777217), (4, 3.25, 0, 0, 0), (5, NULL, NULL, NULL, NULL), (6, 8388608.5, -71694700, 1, 3e38); \
    INSERT INTO keyed VALUES (1234567, 1), (1234568, 2)";

/// Columns whose values a dump changes are told, those and so many as it does, until they are DOUBLE.
fn floats_are_told(machine: &Machine, server: &MariaDb, base: &str) {
    server.load(Some(base), FLOATS);
    let run = machine.run(&["--json", "snapshot", "ellis"]);
    run.expect(3);
    let told: Vec<Value> = run.events().into_iter().filter(|event| event["event"] == "problem").collect();
    let [digits, keyed] = &told[..] else { panic!("{told:#?}") };
    for (event, table, values) in [(digits, "digits", 4), (keyed, "keyed", 2)] {
        assert_eq!((text(&event["kind"]), text(&event["path"])), ("inexact_float".into(), format!("{base}/{table}.x")));
        let detail = text(&event["detail"]);
        let named = format!("`{base}`.`{table}`.`x` is FLOAT");
        assert!(detail.contains(&named) && detail.contains(&format!("{values} of its values")) && detail.contains("DOUBLE"), "{detail}");
        assert_eq!(detail.contains("unique key"), table == "keyed", "{detail}");
    }
    // What the dump holds, as the server reads it.
    let dump = machine.run(&["cat", "ellis/latest", &format!("{base}/db_backup.sql")]).expect(0).stdout.clone();
    assert!(dump.contains("(1,16777200,0.1,12345.67,2.123456789,"), "{dump}");
    server.load(Some(base), b"ALTER TABLE digits MODIFY x DOUBLE; ALTER TABLE keyed MODIFY x DOUBLE NOT NULL");
    machine.run(&["snapshot", "ellis"]).expect(0);
}

/// Bytes that stand for no character of Unicode, beside such that do, and every byte of latin1 that others leave out.
const TEXTS: &[u8] =
    "CREATE TABLE letters (id INT PRIMARY KEY, note VARCHAR(20) CHARACTER SET cp1251, kind ENUM('а', 'б') CHARACTER SET cp1251, \
    hanzi TEXT CHARACTER SET gbk, kana TEXT CHARACTER SET sjis, plain VARCHAR(20) CHARACTER SET latin1); \
    CREATE TABLE named (name VARCHAR(20) CHARACTER SET cp1251 PRIMARY KEY); \
    INSERT INTO letters VALUES (1, 'привет ', 'а', '你好', 'テスト', X'818D8F909DFF'), (2, X'98', 'б', X'AAA1', '', ''), \
    (3, X'E098', NULL, NULL, NULL, NULL); INSERT INTO named VALUES (X'98'), ('?')"
        .as_bytes();

/// Columns whose characters do not all come through a dump are told, those and for so many values as it is.
fn texts_are_told(machine: &Machine, server: &MariaDb, base: &str) {
    server.load(Some(base), TEXTS);
    let run = machine.run(&["--json", "snapshot", "ellis"]);
    run.expect(3);
    let told: Vec<Value> = run.events().into_iter().filter(|event| event["event"] == "problem").collect();
    let wanted =
        [("letters.note", "cp1251", 2, "VARBINARY"), ("letters.hanzi", "gbk", 1, "BLOB"), ("named.name", "cp1251", 1, "unique key")];
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
    for (event, (column, set, values, says)) in told.iter().zip(wanted) {
        assert_eq!((text(&event["kind"]), text(&event["path"])), ("lossy_text".into(), format!("{base}/{column}")));
        let (named, count) = (format!("is of the character set {set}"), format!("{values} of its values"));
        let detail = text(&event["detail"]);
        assert!([&named, &count, says].iter().all(|said| detail.contains(*said)), "{detail}");
    }
    let dump = machine.run(&["cat", "ellis/latest", &format!("{base}/db_backup.sql")]).expect(0).stdout.clone();
    assert!(dump.contains("(2,'?','б','?'"), "{dump}");
    let exact = "ALTER TABLE letters MODIFY note VARBINARY(20), MODIFY hanzi BLOB; ALTER TABLE named MODIFY name VARBINARY(20) NOT NULL";
    server.load(Some(base), exact.as_bytes());
    machine.run(&["snapshot", "ellis"]).expect(0);
    let dump = machine.run(&["cat", "ellis/latest", &format!("{base}/db_backup.sql")]).expect(0).stdout.clone();
    assert!(dump.contains("(2,0x98,'б',0xAAA1"), "{dump}");
}

#[test]
fn everything_comes_back_on_mysql_8() {
    comes_back(Make::Mysql80, None);
}

#[test]
fn everything_comes_back_on_mysql_5_7() {
    comes_back(Make::Mysql57, None);
}

#[test]
fn everything_comes_back_on_a_newer_mariadb() {
    comes_back(Make::Mariadb114, None);
}

#[test]
fn everything_comes_back_on_a_newer_mariadb_by_its_own_dump_program() {
    comes_back(Make::Mariadb114, Make::Mariadb114.dump().as_deref());
}

#[test]
fn everything_comes_back_on_an_old_mariadb() {
    comes_back(Make::Mariadb102, None);
}

#[test]
fn everything_comes_back_on_an_old_mariadb_by_its_own_dump_program() {
    comes_back(Make::Mariadb102, Make::Mariadb102.dump().as_deref());
}

/// A database with something of every kind that needs a right of its own.
const OF_EACH_RIGHT: &[u8] = b"CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE m (id INT) ENGINE = MyISAM; \
    CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1; CREATE VIEW v AS SELECT f() AS one FROM t; \
    CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id; CREATE EVENT e ON SCHEDULE AT '2035-01-01 00:00:00' DO SELECT 1;";

/// What the manual says an account of this make needs is enough over TCP, encrypted where the server can; and without the right to see routines
/// it is refused with that right's name, because the server would leave them out without a word.
fn least_rights(make: Make, routines: &str) {
    let server = make.running();
    let base = server.database();
    server.load(Some(&base), OF_EACH_RIGHT);
    let routines = routines.replace("BASE", &base);
    let rights = format!(
        "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES, EXECUTE ON {base}.* TO ACCOUNT; GRANT RELOAD ON *.* TO ACCOUNT; \
         GRANT {routines} TO ACCOUNT;"
    );
    let account = server.account(if make.speaks_tls() { "BY SECRET REQUIRE SSL" } else { "BY SECRET" }, &rights);
    let machine = machine("");
    let mut configuration = server.over_tcp("ellis", &[&base], &account, machine.temp.path());
    if make.speaks_tls() {
        configuration += &format!("ca_file = \"{}\"\n", server.ca_file.display());
    }
    let machine = machine.configured(&configuration);
    machine.run(&["backup", "ellis"]).expect(0);
    let copy = loaded(&machine, server, None, &base);
    same(server, &copy, &base);
    server.sql(&format!("REVOKE {routines} FROM {account}@'%'"));
    let run = machine.run(&["snapshot", "ellis"]);
    assert!(run.expect(1).stderr.contains(make.right_to_see_routines()), "{run:#?}");
    assert_eq!(machine.json(&["list"], 0)["snapshots"].as_array().unwrap().len(), 1);
}

#[test]
fn the_least_rights_are_enough_on_mysql_8() {
    least_rights(Make::Mysql80, "SHOW_ROUTINE ON *.*");
}

#[test]
fn the_least_rights_are_enough_on_mysql_5_7() {
    least_rights(Make::Mysql57, "SELECT ON mysql.proc");
}

#[test]
fn the_least_rights_are_enough_on_a_newer_mariadb() {
    least_rights(Make::Mariadb114, "SHOW CREATE ROUTINE ON BASE.*");
}

#[test]
fn the_least_rights_are_enough_on_an_old_mariadb() {
    least_rights(Make::Mariadb102, "SELECT ON mysql.proc");
}

#[test]
fn a_password_of_mysql_8_goes_over_no_plain_connection_and_the_error_says_what_to_do() {
    let server = Make::Mysql80.running();
    let base = server.database();
    let account = server.account("BY SECRET", &format!("GRANT ALL ON {base}.* TO ACCOUNT;"));
    let machine = machine("");
    let plain = server.over_tcp("ellis", &[&base], &account, machine.temp.path());
    let machine = machine.configured(&plain);
    let run = machine.run(&["snapshot", "ellis"]);
    assert!(run.expect(1).stderr.contains("give `ca_file` or `socket`"), "{run:#?}");
}

/// The facts name the accounts with rights on the database; how they prove themselves is there only when it is asked for.
fn accounts(make: Make, spellings: &[&str]) {
    let server = make.running();
    let base = server.database();
    let account = server.account("BY SECRET", &format!("GRANT SELECT ON {base}.* TO ACCOUNT;"));
    let spelt = |spelling: &&str| server.ask(None, &format!("SELECT {spelling} FROM mysql.user WHERE user = '{account}'"));
    let hashes: Vec<String> = spellings.iter().map(spelt).collect();
    assert!(hashes.iter().all(|hash| hash.len() > 20), "{hashes:?}");
    let has_hash = |told: &str| hashes.iter().any(|hash| told.contains(hash));
    let told = |more: &str| {
        let machine = machine(&format!("{}{more}", server.configuration("ellis", &[&base])));
        machine.run(&["snapshot", "ellis"]).expect(0);
        let accounts = facts(&machine)["accounts"].clone();
        let own = accounts.as_array().unwrap().iter().find(|found| text(&found["name"]).contains(&account)).unwrap();
        own["grants"].to_string()
    };
    let (without, with) = (told(""), told("accounts = true\n"));
    let grant = format!("GRANT SELECT ON `{base}`.*");
    assert!(without.contains(&grant) && !has_hash(&without), "{without}");
    assert!(with.contains(&grant) && has_hash(&with), "{with} has none of {hashes:?}");
}

#[test]
fn accounts_of_mysql_8_are_told_with_their_hashes_only_when_asked_for() {
    // In hexadecimal digits only where the salt, which is random, is not text by chance. What follows it always is.
    accounts(Make::Mysql80, &["HEX(RIGHT(authentication_string, 43))", "RIGHT(authentication_string, 43)"]);
}

#[test]
fn accounts_of_mysql_5_7_are_told_with_their_hashes_only_when_asked_for() {
    accounts(Make::Mysql57, &["authentication_string"]);
}

#[test]
fn accounts_of_other_mariadbs_are_told_with_their_hashes_only_when_asked_for() {
    accounts(Make::Mariadb114, &["authentication_string"]);
    accounts(Make::Mariadb102, &["password"]);
}

#[test]
fn the_size_that_mysql_8_has_kept_since_yesterday_is_not_taken_for_todays() {
    let server = Make::Mysql80.running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, pad TEXT); INSERT INTO t (pad) VALUES ('x');");
    let machine = machine(&server.configuration("ellis", &[&base]));
    // The server keeps what it answers for a day.
    let size = format!("SELECT data_length FROM information_schema.TABLES WHERE table_schema = '{base}'");
    server.ask(None, &size);
    server.load(Some(&base), "INSERT INTO t (pad) SELECT REPEAT('x', 2000) FROM t;".repeat(12).as_bytes());
    until("the server knows its new size", || {
        let now = server.ask(None, &format!("SET information_schema_stats_expiry = 0; {size}"));
        now.parse::<u64>().unwrap() > 4 << 20
    });
    assert!(server.ask(None, &size).parse::<u64>().unwrap() < 1 << 20, "it keeps no old size, so this proves nothing");
    machine.run(&["snapshot", "ellis"]).expect(0);
    assert!(facts(&machine)["data_bytes"].as_u64().unwrap() > 4 << 20, "{:#}", facts(&machine));
}

#[test]
fn what_mysqls_own_dump_program_writes_is_understood() {
    let server = Make::Mysql80.running();
    let at = |text: &[u8]| BY_MYSQLDUMP.windows(text.len()).position(|window| window == text).unwrap();
    let dump = [&BY_MYSQLDUMP[..at(b"SET @MYSQLDUMP_TEMP")], &BY_MYSQLDUMP[at(b"--\n-- Current Database")..]].concat();
    let dump = String::from_utf8_lossy(&dump).replace("SET @@SESSION.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;\n", "");
    // It is told to write such values in hexadecimal.
    let dump = dump.replace("_binary '\\0\u{fffd}\\''", "0x00FF27");
    assert!(dump.contains("0x00FF27") && !dump.contains("LOG_BIN"), "{dump}");
    // It makes its database itself.
    server.load(None, dump.as_bytes());
    let machine = machine("");
    let answer = machine.path("answer.sql");
    fs::write(&answer, dump).unwrap();
    let script = format!(
        "set -e\ncase \"$*\" in\n--version) echo 'mysqldump  Ver 8.0.31 for Linux on x86_64 (MySQL Community Server - GPL)' ;;\n\
         *--set-gtid-purged=OFF*--loose-column-statistics=0*) cat {} ;;\n*) exit 7 ;;\nesac",
        answer.display()
    );
    let program = machine.script("mysqldump", &script);
    let machine = machine.configured(&with_dump(&server.configuration("ellis", &["ellis"]), Some(&program)));
    machine.run(&["backup", "ellis"]).expect(0);
    let copy = loaded(&machine, server, None, "ellis");
    same(server, &copy, "ellis");
    assert!(text(&facts(&machine)["dump"]).starts_with("mysqldump  Ver 8.0.31"));
    // Were its routine left out, the snapshot would be refused: it is told from what the server lists.
    server.load(Some("ellis"), b"CREATE PROCEDURE not_in_the_dump() SELECT 1");
    let run = machine.run(&["snapshot", "ellis"]);
    assert!(run.expect(1).stderr.contains("procedure `ellis`.`not_in_the_dump`"), "{run:#?}");
}

#[test]
fn an_option_of_mysqls_newer_dump_programs_is_not_given_to_older_ones() {
    let server = Make::Mysql57.running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (7)");
    let machine = machine("");
    // It takes and leaves the options that MySQL's program of 5.7 does. The dump itself is another one's, which knows another word for no TLS.
    let script = "case \"$*\" in\n--version) echo 'mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)' ;;\n\
        *column-statistics*) echo \"mysqldump: [ERROR] unknown variable 'column-statistics=0'\" >&2; exit 7 ;;\n\
        *--set-gtid-purged=OFF*) sed -i /^ssl-mode=/d \"${1#--defaults-file=}\"\n\
        exec mariadb-dump \"${@/--set-gtid-purged=OFF/--comments}\" ;;\n*) exit 8 ;;\nesac";
    let program = machine.script("mysqldump", script);
    let machine = machine.configured(&with_dump(&server.configuration("ellis", &[&base]), Some(&program)));
    let run = machine.run(&["snapshot", "ellis"]);
    assert!(!run.expect(0).stderr.contains("went well and said"), "{run:#?}");
    let dump = machine.run(&["cat", "ellis/latest", &format!("{base}/db_backup.sql")]).expect(0).stdout.clone();
    assert!(dump.contains("(7)"), "{dump}");
}

#[test]
fn dumps_of_older_programs_load_by_the_plain_client_where_they_are_from() {
    let server = Make::Mysql57.running();
    for (dump, things) in [(&include_bytes!("support/dumps/mysql-5.5.sql")[..], 3), (include_bytes!("support/dumps/mysql-5.7.sql"), 6)] {
        let base = server.name();
        server.sql(&format!("CREATE DATABASE {base} CHARACTER SET utf8"));
        // A server that keeps no GTIDs refuses those of another.
        let text: Vec<u8> = dump.to_vec();
        let gtid = text.windows(19).position(|window| window == b"SET @@GLOBAL.GTID_P");
        let end = gtid.map_or(0, |at| at + text[at..].iter().position(|byte| *byte == b';').unwrap() + 1);
        server.load(Some(&base), &[&text[..gtid.unwrap_or(0)], &text[end..]].concat());
        assert_eq!(server.ask(Some(&base), "SELECT HEX(picture) FROM customers WHERE id = 1"), "00FF27");
        let found = server.everything(&base).iter().filter(|one| !one.starts_with("rows of ")).count();
        assert_eq!(found, things + 1, "two tables, a view, a trigger; of the newer one an event and two routines");
    }
}
