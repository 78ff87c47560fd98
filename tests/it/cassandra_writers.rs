//! Snapshots of a Cassandra node that is written to all the while: each is a state that there was.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use scylla::value::CqlValue;

use crate::cassandra_restore_running::Case;
use crate::support::program::{text, until};
use crate::support::servers::cassandra::cql::quoted;
use crate::support::servers::cassandra::spec::Version;

/// Partitions that are written to in turn.
const PARTITIONS: u64 = 16;

/// Rows of each, all of which a write changes at once, and one of which a deletion takes and the next write brings back.
const ROWS: u64 = 3;

/// Writes between two snapshots, so that each has some of its own.
const BETWEEN: u64 = 300;

/// One write after another, each to all rows of a partition, which Cassandra does at once or not at all; every fifth takes a row away.
fn write(case: &Case, over: &AtomicBool, done: &AtomicU64) {
    let (cql, table) = (case.server.cql(), format!("{}.w", quoted(&case.keyspaces[0])));
    while !over.load(Ordering::SeqCst) {
        let n = done.load(Ordering::SeqCst) + 1;
        let p = n % PARTITIONS;
        let change = |row: u64| match n.is_multiple_of(5) && row == 0 {
            true => format!("DELETE FROM {table} WHERE p = {p} AND c = {row};"),
            false => format!("INSERT INTO {table} (p, c, v) VALUES ({p}, {row}, {n});"),
        };
        cql.run(&format!("BEGIN BATCH {} APPLY BATCH", (0..ROWS).map(change).collect::<String>()));
        done.store(n, Ordering::SeqCst);
        if n.is_multiple_of(BETWEEN / 2) {
            // Several SSTables, some of which are being compacted when a snapshot comes.
            case.server.nodetool(&["flush", &case.keyspaces[0], "w"]);
        }
    }
}

/// What the table holds after so many writes.
fn after(writes: u64) -> Vec<[u64; 3]> {
    let last = |p: u64| (writes.saturating_sub(PARTITIONS - 1)..=writes).rev().find(|n| *n > 0 && n % PARTITIONS == p);
    let rows = |p: u64| last(p).into_iter().flat_map(move |n| (u64::from(n.is_multiple_of(5))..ROWS).map(move |row| [p, row, n]));
    (0..PARTITIONS).flat_map(rows).collect()
}

fn rows_of(case: &Case, table: &str) -> Vec<[u64; 3]> {
    let rows = case.server.cql().rows(&format!("SELECT p, c, v FROM {}.{}", quoted(&case.keyspaces[0]), quoted(table)));
    let number = |value: &Option<CqlValue>| match value {
        Some(CqlValue::BigInt(n)) => u64::try_from(*n).unwrap(),
        other => panic!("{other:?}"),
    };
    let mut rows: Vec<[u64; 3]> = rows.iter().map(|row| [number(&row[0]), number(&row[1]), number(&row[2])]).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn every_snapshot_of_a_node_of_4_1_that_is_written_to_is_a_state_that_there_was() {
    every_snapshot_is_a_state_that_there_was(Version::V41);
}

#[test]
fn every_snapshot_of_a_node_of_5_0_that_is_written_to_is_a_state_that_there_was() {
    every_snapshot_is_a_state_that_there_was(Version::V50);
}

fn every_snapshot_is_a_state_that_there_was(version: Version) {
    let case = Case::small(version, 1);
    case.run(&["CREATE TABLE KEYSPACE.w (p bigint, c bigint, v bigint, PRIMARY KEY (p, c))"]);
    let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut taken = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| write(&case, &over, &done));
        for _ in 0..3 {
            let before = done.load(Ordering::SeqCst);
            until("rows are written", || done.load(Ordering::SeqCst) > before + BETWEEN);
            let least = done.load(Ordering::SeqCst);
            let document = case.machine.json(&["snapshot", &case.source], 0);
            taken.push((text(&document["snapshots"][0]["id"]), least, done.load(Ordering::SeqCst) + 1));
        }
        over.store(true, Ordering::SeqCst);
    });
    let last = done.load(Ordering::SeqCst);
    assert_eq!(rows_of(&case, "w"), after(last), "the test knows what there is");

    // Beside the live table, and last in its place.
    for (at, (id, least, most)) in taken.iter().enumerate() {
        let (name, of) = (format!("then_{at}"), case.table("w"));
        let snapshot = format!("{}/{id}", case.source);
        let run = case.machine.run(&["restore", &snapshot, "--table", &of, "--as", &name, "--yes"]);
        run.expect(0);
        let rows = rows_of(&case, &name);
        let writes = rows.iter().map(|row| row[2]).max().unwrap();
        assert!(
            (*least..=*most).contains(&writes),
            "{id}: {writes} of {least} to {most}; whole: {}; {:#?}",
            rows == after(writes),
            case.machine.json(&["show", &snapshot], 0)
        );
        assert_eq!(rows, after(writes), "{id} is what there was after {writes} writes");
    }
    let (id, ..) = &taken[1];
    let live = case.machine.run(&["restore", &format!("{}/{id}", case.source), "--table", &case.table("w"), "--yes"]);
    live.expect(0);
    assert_eq!(rows_of(&case, "w"), rows_of(&case, "then_1"));
    case.undo().expect(0);
    assert_eq!(rows_of(&case, "w"), after(last));
}
