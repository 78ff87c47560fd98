//! A Cassandra node whose machine has lost its local copies: what it still has as it was is taken from there, and what it has given up travels.

use std::fs;

use serde_json::Value;
use windlass::format::digest::Digest;

use crate::cassandra_restore_running::Case;
use crate::support::servers::cassandra::spec::Version;

/// Rows of one MiB each: more than two frames, which are what is asked for of a repository.
const ROWS: u32 = 10;

/// Bytes of a row.
const ROW: usize = 1 << 20;

/// Bytes that nothing makes smaller, as CQL writes them.
fn noise(seed: u32) -> String {
    let digests = (0_u32..).map(|at| Digest::of(&[seed.to_be_bytes(), at.to_be_bytes()].concat()).to_string());
    let mut text: String = digests.take(ROW / 32).collect();
    text.insert_str(0, "0x");
    text
}

/// What a restore says that it has downloaded.
fn downloaded(case: &Case, arguments: &[&str]) -> u64 {
    let run = case.machine.run(&[&["--json", "restore", &case.source, "--yes"], arguments].concat());
    run.expect(0);
    let document: Value = run.document();
    document["outcome"]["downloaded_bytes"].as_u64().unwrap_or_else(|| panic!("{document:#}"))
}

#[test]
fn only_what_a_node_that_runs_has_given_up_travels_when_the_local_copies_are_gone() {
    let case = Case::small(Version::V41, 1);
    case.run(&["CREATE TABLE KEYSPACE.large (id int PRIMARY KEY, v blob)"]);
    (0..ROWS).for_each(|id| case.run(&[&format!("INSERT INTO KEYSPACE.large (id, v) VALUES ({id}, {})", noise(id))]));
    case.backup();
    let then = case.dump(0);
    fs::remove_dir_all(case.machine.path("local").join(&case.source)).unwrap();

    // One table, of which the node has all.
    case.run(&["INSERT INTO KEYSPACE.t (id, v) VALUES (3, 'since')", "DELETE FROM KEYSPACE.t WHERE id = 2"]);
    let table = case.table("t");
    let plan = case.plan(&["--table", &table]);
    assert!(plan["node"]["linked_bytes"].as_u64().unwrap() > 0, "{plan:#}");
    assert_eq!((&plan["download_bytes"], downloaded(&case, &["--table", &table])), (&Value::from(0), 0));
    assert_eq!(case.dump(0), then);

    // All tables, of which one is gone from the node, and another has more than it had.
    case.run(&["TRUNCATE KEYSPACE.u", "DELETE FROM KEYSPACE.large WHERE id = 2"]);
    assert_ne!(case.dump(0), then);
    let (plan, large) = (case.plan(&["--running"]), u64::from(ROWS) * ROW as u64);
    let number = |key: &Value| key.as_u64().unwrap_or_else(|| panic!("{plan:#}"));
    assert!(number(&plan["bytes"]) > large && number(&plan["node"]["linked_bytes"]) > large, "{plan:#}");
    let planned = number(&plan["download_bytes"]);
    let downloaded = downloaded(&case, &["--running"]);
    assert!(0 < downloaded && downloaded < large / 2, "{downloaded} of {plan:#}");
    assert_eq!(planned, downloaded, "{plan:#}");
    assert_eq!(case.dump(0), then);
}
