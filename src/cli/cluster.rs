//! `windlass status --cluster`.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use super::rolling;
use super::table::{Align, Table};
use crate::format::check::Level;
use crate::ops::cluster::{self, Except, NodeStatus, Outcome, SourceStatus, Verified};

pub(super) fn run(program: &Program, except: &[Except]) -> Result<Exit, Failure> {
    let ctx = program.reading_whole()?;
    let outcome = cluster::run(&ctx, except)?;
    if program.output.json {
        program.output.document("status-cluster", &outcome);
    } else {
        lines(&outcome, &ctx.clock.zone()).iter().for_each(|line| program.output.line(line));
    }
    Ok(if outcome.healthy { Exit::Done } else { Exit::Unhealthy })
}

const COLUMNS: [(&str, Align); 11] = [
    ("NODE", Align::Left),
    ("SOURCE", Align::Left),
    ("KIND", Align::Left),
    ("SNAPSHOT", Align::Left),
    ("AGE", Align::Right),
    ("OBJECTIVE", Align::Right),
    ("SIZE", Align::Right),
    ("STORED", Align::Right),
    ("VERIFIED", Align::Left),
    ("LAST SEEN", Align::Right),
    ("STATE", Align::Left),
];

fn lines(outcome: &Outcome, zone: &TimeZone) -> Vec<String> {
    let nodes = human::count(outcome.nodes.len() as u64, "node");
    let mut lines = vec![format!("repository {} at {}: {nodes}", outcome.repository, human::time(outcome.time, zone))];
    if !outcome.nodes.is_empty() {
        let mut table = Table::new(COLUMNS);
        for node in &outcome.nodes {
            node.sources.iter().for_each(|source| table.row(row(node, Some(source), outcome.time)));
            if node.sources.is_empty() {
                table.row(row(node, None, outcome.time));
            }
        }
        lines.extend(table.lines());
    }
    for node in &outcome.nodes {
        lines.extend(silence(node, zone));
        for source in &node.sources {
            lines.extend(source.wrong.iter().map(|wrong| format!("{}/{}: {wrong}", source.node, source.source)));
        }
        lines.extend(coverage(node));
        lines.extend(node.wrong.iter().map(|wrong| format!("{}: {wrong}", node.node)));
    }
    lines.extend(outcome.wrong.iter().cloned());
    if outcome.healthy {
        lines.push("all is well".into());
    }
    lines
}

/// Since when a node is silent, in words.
fn silence(node: &NodeStatus, zone: &TimeZone) -> Option<String> {
    let (last, objective) = node.last_seen.zip(node.objective_seconds).filter(|_| node.silent)?;
    let (at, objective) = (human::time(last, zone), human::duration(Duration::from_secs(objective)));
    Some(format!(
        "{}: silent: it last stored something at {at} by the store's clock, longer ago than its smallest objective of {objective}; does its \
         agent, or the machine, still run?",
        node.node
    ))
}

/// How much of what a node stored was read again in time, in words.
fn coverage(node: &NodeStatus) -> Option<String> {
    let covered = node.coverage.as_ref()?;
    let covered = Some(covered).filter(|covered| covered.every_seconds > 0)?;
    let every = rolling::days(covered);
    Some(format!("{}: {} of {} parts of what it stored were read again within {every}", node.node, covered.covered, covered.parts))
}

fn row(node: &NodeStatus, source: Option<&SourceStatus>, now: Timestamp) -> [String; 11] {
    let dash = || "-".to_owned();
    let age = |seconds: Option<i64>| seconds.map_or_else(dash, |seconds| human::age(SignedDuration::from_secs(seconds)));
    let of = |tell: &dyn Fn(&SourceStatus) -> Option<String>| source.and_then(tell).unwrap_or_else(dash);
    [
        node.node.to_string(),
        of(&|source| Some(source.source.to_string())),
        of(&|source| source.kind.clone()),
        of(&|source| source.snapshot.map(|id| id.to_string())),
        age(source.and_then(|source| source.age_seconds)),
        of(&|source| source.objective_seconds.map(|seconds| human::duration(Duration::from_secs(seconds)))),
        human::bytes_or_dash(source.and_then(|source| source.bytes)),
        human::bytes_or_dash(source.and_then(|source| source.stored_bytes)),
        of(&|source| source.snapshot.map(|_| verified(source.verified, now))),
        age(node.last_seen_seconds),
        state(node, source),
    ]
}

/// When, and how deep, a snapshot was last recorded as sound.
fn verified(verified: Option<Verified>, now: Timestamp) -> String {
    let Some(Verified { level, time }) = verified else { return "not known".to_owned() };
    let level = match level {
        Level::Quick => "quick",
        Level::Stored => "stored",
        Level::Full => "full",
    };
    format!("{level}, {}", human::age(now.duration_since(time)))
}

/// `well`, or what is not.
fn state(node: &NodeStatus, source: Option<&SourceStatus>) -> String {
    let is_late = source.is_some_and(|source| source.late);
    let is_damaged = source.is_some_and(|source| !source.damaged.is_empty());
    let words = [(node.silent, "silent"), (is_late, "late"), (is_damaged, "damaged")];
    let words: Vec<&str> = words.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word).collect();
    let is_wrong = source.map_or(!node.wrong.is_empty(), |source| !source.wrong.is_empty());
    match words.as_slice() {
        [] if is_wrong => "wrong".to_owned(),
        [] => "well".to_owned(),
        words => words.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> SourceStatus {
        SourceStatus {
            node: "ellis-1".parse().unwrap(),
            source: "billing".parse().unwrap(),
            kind: Some("sqlite".into()),
            snapshot: Some("20261123T000000000Z".parse().unwrap()),
            age_seconds: Some(3 * 3600),
            objective_seconds: Some(26 * 3600),
            bytes: Some(2048),
            stored_bytes: Some(1024),
            problems: Vec::new(),
            verified: None,
            damaged: Vec::new(),
            late: false,
            wrong: Vec::new(),
        }
    }

    fn node(sources: Vec<SourceStatus>) -> NodeStatus {
        NodeStatus {
            node: "ellis-1".parse().unwrap(),
            last_seen: Some("2026-11-23T00:00:00Z".parse().unwrap()),
            last_seen_seconds: Some(3 * 3600),
            objective_seconds: Some(26 * 3600),
            silent: false,
            sources,
            coverage: None,
            wrong: Vec::new(),
        }
    }

    fn told(nodes: Vec<NodeStatus>) -> Vec<String> {
        let healthy = nodes.iter().all(NodeStatus::is_healthy);
        let time = "2026-11-23T03:00:00Z".parse().unwrap();
        lines(&Outcome { time, repository: "file:///r".into(), healthy, nodes, wrong: Vec::new() }, &TimeZone::UTC)
    }

    #[test]
    fn a_sound_node_is_told_on_a_line() {
        let lines = told(vec![node(vec![source()])]);
        assert_eq!(lines[0], "repository file:///r at 2026-11-23 03:00:00: 1 node");
        let cells: Vec<&str> = lines[2].split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect();
        let expected =
            ["ellis-1", "billing", "sqlite", "20261123T000000000Z", "3 h", "26 h", "2.0 KiB", "1.0 KiB", "not known", "3 h", "well"];
        assert_eq!(cells, expected);
        assert_eq!(lines[3..], ["all is well"]);
    }

    #[test]
    fn what_is_not_well_stands_in_the_state_and_below_the_table() {
        let late = SourceStatus { late: true, damaged: vec!["20261124T000000000Z".parse().unwrap()], ..source() };
        let time = "2026-11-22T03:00:00Z".parse().unwrap();
        let odd = SourceStatus { wrong: vec!["x is damaged".into()], verified: Some(Verified { level: Level::Full, time }), ..source() };
        let silent = NodeStatus { silent: true, ..node(vec![late]) };
        let empty = NodeStatus { wrong: vec!["there is no snapshot of it".into()], ..node(Vec::new()) };
        let lines = told(vec![silent, node(vec![odd]), empty]);
        let ends = |line: usize, end: &str| assert!(lines[line].ends_with(end), "{line}: {lines:#?}");
        ends(2, "  silent, late, damaged");
        ends(3, "  wrong");
        assert!(lines[3].contains("  full, 24 h  "), "{lines:#?}");
        ends(4, "  wrong");
        assert!(
            lines[5].starts_with("ellis-1: silent: it last stored something at 2026-11-23 00:00:00 by the store's clock"),
            "{lines:#?}"
        );
        assert_eq!(lines[6..], ["ellis-1/billing: x is damaged", "ellis-1: there is no snapshot of it"]);
    }
}
