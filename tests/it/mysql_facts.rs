//! What a snapshot says of its server and tables is what the server says; and the order that rows are dumped in is the one that is asked for.

use std::fs;

use serde_json::{Value, json};

use crate::support::program::{Machine, text};
use crate::support::servers::databases::Make;
use crate::support::servers::mariadb::MariaDb;

fn machine(configuration: &str) -> Machine {
    let machine = Machine::new().configured(configuration);
    machine.run(&["init"]).expect(0);
    machine
}

/// The facts of the newest snapshot, told by its local copy and, once that is gone, by the repository alone.
fn facts(machine: &Machine) -> Value {
    machine.run(&["backup", "ellis"]).expect(0);
    let shown = || machine.json(&["show", "ellis/latest"], 0)["facts"].clone();
    let local = shown();
    fs::rename(machine.path("local/ellis"), machine.path("ellis.gone")).unwrap();
    assert_eq!(shown(), local, "the manifest in the repository says the same");
    local
}

/// Rows that are counted, rows that are estimated, and a view, which is no table.
fn content() -> String {
    let rows: Vec<String> = (0..64).map(|n| format!("({n}, 'row {n}')")).collect();
    format!(
        "CREATE TABLE counted (id INT PRIMARY KEY, note VARCHAR(20)) ENGINE = MyISAM CHECKSUM = 1; INSERT INTO counted VALUES {};
         CREATE TABLE estimated (id INT PRIMARY KEY) ENGINE = InnoDB; INSERT INTO estimated SELECT 64 * a.id + b.id FROM counted AS a, counted AS b;
         ANALYZE TABLE estimated; CREATE VIEW v AS SELECT id FROM counted;",
        rows.join(", ")
    )
}

/// The facts of a database are those of its server, whose words are asked for here one by one.
fn facts_are_the_servers(server: &MariaDb) -> Value {
    let base = server.database();
    server.load(Some(&base), content().as_bytes());
    let facts = facts(&machine(&server.configuration("ellis", &[&base])));
    for (fact, variable) in [
        ("version", "version"),
        ("sql_mode", "global.sql_mode"),
        ("time_zone", "global.time_zone"),
        ("system_time_zone", "global.system_time_zone"),
        ("character_set", "global.character_set_server"),
        ("collation", "global.collation_server"),
        ("lower_case_table_names", "global.lower_case_table_names"),
    ] {
        assert_eq!(text(&facts[fact]), server.ask(None, &format!("SELECT @@{variable}")), "{fact}");
    }
    assert!(!text(&facts["system_time_zone"]).is_empty(), "{facts:#}");
    assert_eq!(facts["max_allowed_packet"].to_string(), server.ask(None, "SELECT @@global.max_allowed_packet"));
    let of_base = &facts["databases"][0];
    assert_eq!((&of_base["table_count"], of_base["tables"].as_array().unwrap().len()), (&json!(2), 2), "{of_base:#}");
    let [counted, estimated] = [&of_base["tables"][0], &of_base["tables"][1]];
    let checksum = |base: &str| server.ask(Some(base), "CHECKSUM TABLE counted QUICK").split('\t').nth(1).unwrap().to_owned();
    let expected = json!({"name": "counted", "engine": "MyISAM", "rows": 64, "checksum": checksum(&base)});
    assert_eq!(*counted, expected);
    assert!(text(&counted["checksum"]).parse::<u64>().unwrap() > 0, "{counted:#}");
    // It is of what the table holds: with other rows it is another.
    server.load(Some(&base), b"UPDATE counted SET note = 'another' WHERE id = 7");
    assert_ne!(counted["checksum"], checksum(&base));
    assert_eq!((&estimated["name"], &estimated["engine"]), (&json!("estimated"), &json!("InnoDB")));
    assert!(estimated.get("checksum").is_none(), "the server keeps none: {estimated:#}");
    let rows = estimated["rows"].as_u64().unwrap();
    assert!((2048..=8192).contains(&rows), "4,096 by a server's estimate: {estimated:#}");
    let bytes = facts["data_bytes"].as_u64().unwrap();
    assert!(bytes > 0 && of_base["data_bytes"].as_u64().unwrap() >= bytes, "indexes are counted with a database: {facts:#}");
    facts
}

/// The place in the binary log of a server to which nobody writes is where that log ends.
fn position_is_the_servers(server: &MariaDb) {
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1);");
    let facts = facts(&machine(&server.configuration("ellis", &[&base])));
    let status = server.ask(None, "SHOW MASTER STATUS");
    let [file, offset] = status.split('\t').take(2).collect::<Vec<_>>()[..] else { panic!("{status}") };
    let gtid = server.ask(None, &format!("SELECT BINLOG_GTID_POS('{file}', {offset})"));
    assert!(gtid.starts_with("0-1-"), "{status} and {gtid}");
    assert_eq!(facts["binary_log"], json!({"file": file, "offset": offset.parse::<u64>().unwrap(), "gtid": gtid}));
}

#[test]
fn facts_are_those_of_a_mariadb_with_settings_of_its_own() {
    let server =
        MariaDb::start(&["--sql-mode=ANSI_QUOTES,STRICT_ALL_TABLES", "--default-time-zone=+03:30", "--collation-server=latin1_bin"]);
    position_is_the_servers(&server);
    let facts = facts_are_the_servers(&server);
    assert_eq!(facts["sql_mode"], "ANSI_QUOTES,STRICT_ALL_TABLES");
    assert_eq!(
        (&facts["time_zone"], &facts["character_set"], &facts["collation"]),
        (&json!("+03:30"), &json!("latin1"), &json!("latin1_bin"))
    );
}

#[test]
fn a_server_that_would_keep_rows_from_a_dump_without_a_word_is_refused_with_the_setting() {
    let server = MariaDb::start(&["--max-join-size=100"]);
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE t (id INT PRIMARY KEY) WITH SYSTEM VERSIONING; INSERT INTO t SELECT seq FROM seq_1_to_50;");
    let machine = machine(&server.configuration("ellis", &[&base]));
    machine.run(&["backup", "ellis"]).expect(0);
    for (name, value) in [("sql_select_limit", "3"), ("system_versioning_asof", "'2020-02-02 02:02:02'")] {
        server.ask(None, &format!("SET GLOBAL {name} = {value}"));
        for command in [&["backup", "ellis"][..], &["restore", "ellis", "--yes"]] {
            let run = machine.run(command);
            run.expect(1);
            assert!(run.stderr.contains(&format!("SET GLOBAL {name} = DEFAULT")), "{run:#?}");
        }
        server.ask(None, &format!("SET GLOBAL {name} = DEFAULT"));
    }
    assert_eq!(machine.json(&["list"], 0)["snapshots"].as_array().unwrap().len(), 1);
    server.ask(Some(&base), "DELETE FROM t WHERE id > 7");
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT COUNT(*) FROM t").trim(), "50");
}

#[test]
fn facts_are_those_of_mysql_8() {
    let facts = facts_are_the_servers(Make::Mysql80.running());
    assert!(text(&facts["sql_mode"]).contains("NO_ZERO_DATE"), "{facts:#}");
    assert_eq!(facts["time_zone"], "SYSTEM");
}

/// An account whose rights come by a role of a role is among the facts, and so are both.
fn accounts_with_roles_are_told(server: &MariaDb) {
    let base = server.database();
    let (role, outer) = (format!("{base}_role"), format!("{base}_outer"));
    let grants = format!(
        "CREATE ROLE {role}; CREATE ROLE {outer}; GRANT SELECT ON {base}.* TO {role}; GRANT {role} TO {outer}; GRANT {outer} TO ACCOUNT"
    );
    let account = server.account("BY SECRET", &grants);
    let accounts = facts(&machine(&server.configuration("ellis", &[&base])))["accounts"].clone();
    let of = |name: &str| {
        let found = accounts.as_array().unwrap().iter().find(|found| text(&found["name"]).starts_with(&format!("'{name}'")));
        found.unwrap_or_else(|| panic!("{name} is missing: {accounts:#}"))["grants"].to_string()
    };
    assert!(of(&role).contains("GRANT SELECT ON") && of(&outer).contains(&role) && of(&account).contains(&outer), "{accounts:#}");
}

#[test]
fn accounts_with_rights_by_roles_are_told_of_mariadb() {
    accounts_with_roles_are_told(MariaDb::running());
    accounts_with_roles_are_told(Make::Mariadb102.running());
}

#[test]
fn accounts_with_rights_by_roles_are_told_of_mysql_8() {
    accounts_with_roles_are_told(Make::Mysql80.running());
}

#[test]
fn a_history_by_transactions_is_told_and_ends_no_snapshot() {
    let server = MariaDb::running();
    let base = server.database();
    let table = |name: &str, kind: &str| {
        format!(
            "CREATE TABLE {name} (id INT PRIMARY KEY, s {kind} GENERATED ALWAYS AS ROW START, e {kind} GENERATED ALWAYS AS ROW END, PERIOD FOR \
             SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING; INSERT INTO {name} (id) VALUES (1), (2); DELETE FROM {name} WHERE id = 2;"
        )
    };
    server.load(Some(&base), (table("by_transaction", "BIGINT UNSIGNED") + &table("by_time", "TIMESTAMP(6)")).as_bytes());
    let machine = machine(&server.configuration("ellis", &[&base]));
    let run = machine.run(&["snapshot", "ellis"]);
    assert!(run.expect(3).stderr.contains(&format!("{base}/by_transaction external")), "{run:#?}");
    assert_eq!(machine.json(&["show", "ellis/latest"], 0)["problems"], json!([{"kind": "external", "count": 1}]));
    server.sql(&format!("DELETE FROM {base}.by_transaction; DELETE FROM {base}.by_time"));
    machine.run(&["restore", "ellis", "--yes"]).expect(0);
    assert_eq!(server.ask(Some(&base), "SELECT id FROM by_transaction UNION ALL SELECT id FROM by_time"), "1\n1");
}

#[test]
fn accounts_beyond_those_that_the_facts_name_are_counted_and_told() {
    let server = MariaDb::running();
    let base = server.database();
    let names: Vec<String> = (0..205).map(|n| format!("'{base}_{n}'@'%'")).collect();
    server.sql(&format!("CREATE USER {names}; GRANT SELECT ON {base}.* TO {names}", names = names.join(", ")));
    let machine = machine(&server.configuration("ellis", &[&base]));
    let run = machine.run(&["snapshot", "ellis"]);
    assert!(run.expect(0).stderr.contains("5 more accounts have rights on these databases"), "{run:#?}");
    let facts = || machine.json(&["show", "ellis/latest"], 0)["facts"].clone();
    let told = facts();
    assert_eq!((told["accounts"].as_array().unwrap().len(), &told["more_accounts"]), (200, &json!(5)));
    server.sql(&format!("DROP USER {}", names[..5].join(", ")));
    let run = machine.run(&["snapshot", "ellis"]);
    assert!(!run.expect(0).stderr.contains("more accounts"), "{run:#?}");
    assert!(facts().get("more_accounts").is_none());
}

#[test]
fn rows_are_dumped_in_the_order_of_their_key_or_as_they_lie_when_that_is_asked_for() {
    let server = MariaDb::running();
    let base = server.database();
    // Such tables keep the order in which rows came.
    server.load(
        Some(&base),
        b"CREATE TABLE keyed (id INT PRIMARY KEY, note VARCHAR(20)) ENGINE = MyISAM; CREATE TABLE plain (id INT) ENGINE = MyISAM; \
          INSERT INTO keyed VALUES (30, 'first'), (10, 'second'), (20, 'third'); INSERT INTO plain VALUES (3), (1), (2); \
          CREATE TABLE inno (id INT PRIMARY KEY); INSERT INTO inno VALUES (3), (1), (2);",
    );
    let old = server.everything(&base);
    let configuration = server.configuration("ellis", &[&base]);
    let machine = machine(&configuration);
    let ids = |table: &str| server.ask(Some(&base), &format!("SELECT id FROM {table}")).replace('\n', " ");
    // Else the index alone would be read.
    let keyed = "keyed IGNORE INDEX (PRIMARY)";
    assert_eq!(ids(keyed), "30 10 20", "the server keeps it otherwise, so this proves nothing");
    for (line, order) in [("", "10 20 30"), ("order_by_primary = true\n", "10 20 30"), ("order_by_primary = false\n", "30 10 20")] {
        machine.configure_again(&format!("{configuration}{line}"));
        machine.run(&["snapshot", "ellis"]).expect(0);
        let dump = machine.run(&["cat", "ellis/latest", &format!("{base}/db_backup.sql")]).expect(0).stdout.clone();
        let at = |id: &str| dump.find(&format!("({id},'")).unwrap();
        let mut found = ["10", "20", "30"];
        found.sort_by_key(|id| at(id));
        assert_eq!(found.join(" "), order, "{line}: {dump}");
        server.sql(&format!("DROP TABLE {base}.keyed; DELETE FROM {base}.plain; DELETE FROM {base}.inno"));
        machine.run(&["restore", "ellis", "--yes"]).expect(0);
        assert_eq!(server.everything(&base), old, "{line}");
        assert_eq!((ids(keyed).as_str(), ids("plain").as_str()), (order, "3 1 2"), "{line}");
        // As it was, for the next one.
        server.load(Some(&base), b"TRUNCATE keyed; INSERT INTO keyed VALUES (30, 'first'), (10, 'second'), (20, 'third')");
    }
}

#[test]
fn decimal_numbers_in_json_that_a_dump_makes_others_of_are_told_until_they_are_double() {
    for make in [Make::Mysql80, Make::Mysql57] {
        let server = make.running();
        let base = server.database();
        server.load(
            Some(&base),
            b"CREATE TABLE t (id INT PRIMARY KEY, plain JSON, exact JSON); INSERT INTO t VALUES
              (1, '{\"a\": [1.50, 2, \"1.10\", null, true, 1e30]}', JSON_OBJECT('n', CAST(1.10 AS DECIMAL(10, 2)))), (2, NULL, JSON_ARRAY(7)),
              (3, JSON_OBJECT('d', DATE '2020-02-02'), JSON_ARRAY(CAST(12345678901234567.89 AS DECIMAL(30, 2))));",
        );
        let machine = machine(&server.configuration("ellis", &[&base]));
        machine.run(&["snapshot", "ellis"]).expect(3);
        let problems = machine.json(&["list"], 0)["snapshots"][0]["problems"].clone();
        assert_eq!(problems, json!([{"kind": "inexact_json", "count": 1}]));
        let run = machine.run(&["snapshot", "ellis"]);
        let said = &run.expect(3).stderr;
        assert!(said.contains(&format!("`{base}`.`t`.`exact` is JSON")) && said.contains("2 of its values"), "{said}");
        let remedy = said.split("others. ").nth(1).unwrap().split(" (with").next().unwrap();
        server.sql(remedy);
        machine.run(&["snapshot", "ellis"]).expect(0);
    }
}
