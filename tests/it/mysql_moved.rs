//! A table that takes the name of another while a dump is made, or is emptied, is noticed, though its definition is the same: the dump program sees
//! it as it was before it was filled, or without a row. The dump is made once more, and holds what is live.

use std::fs;

use serde_json::json;

use crate::support::program::{Machine, Run, until};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

/// `BASE` is the source, `OTHER` a database beside it. The first table of the source is so large that the program is held up in it.
const TABLES: &str = "USE BASE; CREATE TABLE a_big (id INT PRIMARY KEY AUTO_INCREMENT, pad TEXT); INSERT INTO a_big (pad) VALUES (REPEAT('x', 2000)); \
    CREATE TABLE z (id INT PRIMARY KEY, note VARCHAR(20)); INSERT INTO z VALUES (1, 'still here'); CREATE TABLE z_next LIKE z; \
    CREATE TABLE OTHER.z LIKE z; \
    CREATE TABLE parts (id INT PRIMARY KEY, note VARCHAR(20)) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), \
    PARTITION p1 VALUES LESS THAN (20)); INSERT INTO parts VALUES (1, 'in its part'), (11, 'in the other part'); \
    CREATE TABLE OTHER.one (id INT PRIMARY KEY, note VARCHAR(20)); CREATE TABLE kept (id INT PRIMARY KEY, note VARCHAR(20));";

/// Ways in which another table takes a name.
const BY_ANOTHER_DATABASE: &str = "INSERT INTO OTHER.z SELECT * FROM BASE.z; RENAME TABLE BASE.z TO OTHER.old, OTHER.z TO BASE.z";
const IN_A_CIRCLE: &str = "INSERT INTO BASE.z_next SELECT * FROM BASE.z; RENAME TABLE BASE.z TO BASE.between, BASE.z_next TO BASE.z, \
    BASE.between TO BASE.z_next";
const A_PARTITION: &str = "INSERT INTO OTHER.one SELECT * FROM BASE.parts WHERE id < 10; ALTER TABLE BASE.parts EXCHANGE PARTITION p0 WITH TABLE \
    OTHER.one";
/// Ways in which rows go to a table that is dumped already, or as it was before they came.
const EMPTIED: &str = "INSERT INTO BASE.z_next SELECT * FROM BASE.z; TRUNCATE BASE.z";
const AN_EMPTIED_PARTITION: &str =
    "INSERT INTO BASE.kept SELECT * FROM BASE.parts WHERE id < 10; ALTER TABLE BASE.parts TRUNCATE PARTITION p0";
/// `OTHER.late` is made when the snapshot has begun, and before its dump has.
const BY_A_LATE_ONE: &str = "INSERT INTO OTHER.late SELECT * FROM BASE.z; RENAME TABLE BASE.z TO OTHER.old, OTHER.late TO BASE.z";
/// Definitions that change, one after the other; `kept` takes the rows of the table that is emptied.
const DEFINITIONS: [(&str, &str); 4] = [
    ("ALTER TABLE BASE.z ADD COLUMN extra INT", "table `BASE`.`z` was made, changed or removed"),
    ("CREATE TABLE BASE.came (id INT PRIMARY KEY)", "table `BASE`.`came` was made, changed or removed"),
    ("DROP TABLE BASE.z_next", "table `BASE`.`z_next` was made, changed or removed"),
    // The server itself refuses what is younger than the transaction.
    ("INSERT INTO BASE.kept SELECT id, note FROM BASE.z; TRUNCATE BASE.z", "a table was altered ("),
];
/// At the end the same table has the name.
const THERE_AND_BACK: &str = "RENAME TABLE BASE.z TO OTHER.old, OTHER.z TO BASE.z; RENAME TABLE BASE.z TO OTHER.z, OTHER.old TO BASE.z";

/// A snapshot in the middle of whose first dump the statements are run.
struct Case<'a> {
    server: &'a MariaDb,
    base: String,
    other: String,
    machine: Machine,
}

impl<'a> Case<'a> {
    fn new(server: &'a MariaDb) -> Self {
        let (base, other) = (server.database(), server.database());
        let case = Self { server, machine: Machine::new().configured(&server.configuration("ellis", &[&base])), base, other };
        server.sql(&case.of(TABLES));
        server.load(Some(&case.base), "INSERT INTO a_big (pad) SELECT pad FROM a_big;".repeat(11).as_bytes());
        case
    }

    fn of(&self, statements: &str) -> String {
        statements.replace("BASE", &self.base).replace("OTHER", &self.other)
    }

    /// As an account with no more rights than a snapshot needs.
    fn with_least_rights(self, routines: &str) -> Self {
        let rights = format!("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON {}.* TO ACCOUNT; {routines} TO ACCOUNT", self.base);
        let account = self.server.account("BY SECRET", &rights);
        let configuration = self.server.over_tcp("ellis", &[&self.base], &account, self.machine.temp.path());
        let configuration = format!("{configuration}ca_file = \"{}\"\n", self.server.ca_file.display());
        Self { machine: self.machine.configured(&configuration), ..self }
    }

    /// Waits until whatever happens next is in another second than what has made the tables: servers tell such times in whole ones.
    fn in_another_second(self) -> Self {
        let made = format!("FROM information_schema.TABLES WHERE table_schema IN ('{}', '{}')", self.base, self.other);
        until("the next second", || self.server.ask(None, &format!("SELECT MAX(create_time) < NOW() {made}")) == "1");
        self
    }

    /// The statements are run in the middle of the first dump, or of each.
    fn snapshot(&self, statements: &str, each: bool) -> Run {
        fs::write(self.machine.path("middle.sql"), self.of(statements)).unwrap();
        let script = format!(
            "[[ $1 = --version{} ]] && exec mariadb-dump \"$@\"\nset -e -o pipefail\ntouch $0.once\n\
             client=(mariadb --no-defaults --skip-ssl -uroot -S {})\n${{client[@]}} -e 'CREATE TABLE IF NOT EXISTS {}.late LIKE {}.z' >&2\n\
             mariadb-dump \"$@\" | {{ head -c 2000000; ${{client[@]}} <{} >&2; cat; }}",
            if each { "" } else { " || -e $0.once" },
            self.server.socket.display(),
            self.other,
            self.base,
            self.machine.path("middle.sql").display()
        );
        let program = self.machine.script("dump.sh", &script);
        let configuration = fs::read_to_string(self.machine.path("windlass.toml")).unwrap();
        if !configuration.contains("\ndump = ") {
            fs::write(self.machine.path("windlass.toml"), format!("{configuration}\ndump = [\"{}\"]\n", program.display())).unwrap();
            self.machine.run(&["init"]).expect(0);
        }
        let run = self.machine.run(&["snapshot", "ellis"]);
        assert!(self.machine.path("dump.sh.once").exists(), "the dump was not held up: {run:#?}");
        run
    }

    /// The first dump is not believed, and the second one has all rows.
    fn is_noticed(&self, statements: &str, table: &str) {
        let told = self.is_made_once_more(statements);
        let named = format!("table `{}`.`{table}`", self.base);
        assert!(told.contains(&named) && told.contains("exchanged for another table"), "{statements}: {told}");
    }

    /// Gives what is told of the first dump.
    fn is_made_once_more(&self, statements: &str) -> String {
        let run = self.snapshot(statements, false);
        run.expect(0);
        let dump = self.machine.run(&["cat", "ellis/latest", &format!("{}/db_backup.sql", self.base)]).expect(0).stdout.clone();
        assert!(
            ["still here", "in its part", "in the other part"].iter().all(|row| dump.contains(row)),
            "{statements}: rows are missing: {run:#?}"
        );
        run.stderr.lines().find(|line| line.contains("it is made once more")).unwrap_or_default().to_owned()
    }

    /// Each of the definitions that change is noticed.
    fn notices_definitions(&self) {
        for (statements, says) in DEFINITIONS {
            let told = self.is_made_once_more(statements);
            assert!(told.contains(&self.of(says)), "{statements}: {told}");
            fs::remove_file(self.machine.path("dump.sh.once")).unwrap();
        }
    }
}

#[test]
fn tables_that_are_made_altered_emptied_and_removed_in_the_middle_of_a_dump_are_noticed() {
    Case::new(MariaDb::running()).notices_definitions();
}

#[test]
fn tables_that_are_made_altered_emptied_and_removed_in_the_middle_of_a_dump_are_noticed_on_mysql_8() {
    Case::new(Make::Mysql80.running()).notices_definitions();
}

#[test]
fn a_table_that_takes_the_name_of_another_in_the_middle_of_a_dump_is_noticed() {
    let server = MariaDb::running();
    for (statements, table) in [(BY_ANOTHER_DATABASE, "z"), (IN_A_CIRCLE, "z"), (A_PARTITION, "parts"), (BY_A_LATE_ONE, "z")] {
        Case::new(server).is_noticed(statements, table);
    }
}

#[test]
fn a_table_that_takes_the_name_of_another_in_the_middle_of_a_dump_is_noticed_on_mysql_8() {
    let server = Make::Mysql80.running();
    for (statements, table) in [(BY_ANOTHER_DATABASE, "z"), (IN_A_CIRCLE, "z"), (A_PARTITION, "parts")] {
        Case::new(server).is_noticed(statements, table);
    }
}

#[test]
fn a_table_that_takes_the_name_of_another_or_is_emptied_in_the_middle_of_a_dump_is_noticed_on_mysql_5_7() {
    for statements in [BY_ANOTHER_DATABASE, EMPTIED] {
        Case::new(Make::Mysql57.running()).is_noticed(statements, "z");
    }
}

#[test]
fn a_table_or_partition_that_is_emptied_in_the_middle_of_a_dump_is_noticed_on_mariadb_10_2() {
    for (statements, table) in [(EMPTIED, "z"), (AN_EMPTIED_PARTITION, "parts")] {
        Case::new(Make::Mariadb102.running()).is_noticed(statements, table);
    }
}

#[test]
fn a_table_that_is_emptied_in_the_middle_of_each_dump_is_a_problem_of_the_snapshot() {
    let case = Case::new(Make::Mariadb102.running());
    let run = case.snapshot("INSERT INTO BASE.kept SELECT * FROM BASE.z; TRUNCATE BASE.z", true);
    run.expect(3);
    let told = format!("{}/z exchanged", case.base);
    assert!(run.stderr.contains(&told) && run.stderr.contains("TRUNCATE"), "{run:#?}");
    let shown = case.machine.json(&["show", "ellis/latest"], 0);
    assert_eq!(shown["problems"], json!([{"kind": "exchanged", "count": 1}]), "{shown:#}");
}

#[test]
fn an_account_that_may_not_see_the_numbers_of_tables_notices_by_the_times_at_which_they_were_made() {
    let case = Case::new(MariaDb::running()).with_least_rights("GRANT SELECT ON mysql.proc").in_another_second();
    case.is_noticed(BY_ANOTHER_DATABASE, "z");
}

#[test]
fn a_table_that_was_away_in_the_middle_of_a_dump_and_is_back_is_noticed_where_the_server_keeps_the_time_of_that() {
    Case::new(MariaDb::running()).in_another_second().is_noticed(THERE_AND_BACK, "z");
}
