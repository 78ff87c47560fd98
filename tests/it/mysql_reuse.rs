//! Consecutive dumps of a database share their bytes.

use serde_json::Value;

use crate::support::program::Machine;
use crate::support::servers::mariadb::MariaDb;

/// MiB of the database.
const MIB: u64 = 200;

/// Rows that are added, and that are changed.
const FEW: u64 = 10;

/// Rows of about 200 bytes that do not compress well, in a table with gaps between its keys. An index of their texts would take as long again.
fn fill(server: &MariaDb, base: &str, rows: u64) {
    server.load(
        Some(base),
        b"CREATE TABLE a (id BIGINT PRIMARY KEY, name VARCHAR(40), secret VARBINARY(60), note VARCHAR(200), amount DECIMAL(12,2))",
    );
    server.load(
        Some(base),
        format!(
            "SET sql_log_bin = 0; INSERT INTO a SELECT seq * 10, CONCAT('user-', MD5(seq)), UNHEX(CONCAT(SHA1(seq), SHA1(seq + 1))), \
             CONCAT(MD5(seq + 2), ' ', MD5(seq + 3)), seq / 7 FROM seq_1_to_{rows}"
        )
        .as_bytes(),
    );
}

#[test]
fn a_few_rows_added_or_changed_anywhere_store_less_than_three_hundredths_anew() {
    let server = MariaDb::running();
    let base = server.database();
    let rows = MIB * (1 << 20) / 230;
    fill(server, &base, rows);
    let machine = Machine::new().configured(&server.configuration("ellis", &[&base]));
    machine.run(&["init"]).expect(0);
    let numbers = |document: &Value| {
        let row = &document["snapshots"][0];
        (row["bytes"].as_u64().unwrap(), row["stored_bytes"].as_u64().unwrap(), row["added_bytes"].as_u64().unwrap())
    };
    let (bytes, _, first) = numbers(&machine.json(&["backup", "ellis"], 0));
    assert!(bytes > (MIB << 20) / 10 * 9, "{bytes}");
    let anywhere = |n: u64| (n * 2_654_435_761) % rows * 10 + 1 + n % 9;
    for n in 0..FEW {
        server.load(Some(&base), format!("INSERT INTO a VALUES ({}, 'new', 'x', 'a row that was added', {n})", anywhere(n + 1)).as_bytes());
    }
    let (_, _, inserted) = numbers(&machine.json(&["backup", "ellis"], 0));
    let changes: Vec<String> = (0..FEW).map(|n| (anywhere(n + 100) / 10 * 10).to_string()).collect();
    server.load(Some(&base), format!("UPDATE a SET note = CONCAT(note, ' changed') WHERE id IN ({})", changes.join(", ")).as_bytes());
    let (_, _, updated) = numbers(&machine.json(&["backup", "ellis"], 0));
    println!(
        "{MIB} MiB: dump {bytes}, stored {first}; added when {FEW} rows were inserted {inserted}, when {FEW} rows were changed {updated}"
    );
    assert!(inserted * 100 < first * 3, "{inserted} of {first}");
    assert!(updated * 100 < first * 3, "{updated} of {first}");
}
