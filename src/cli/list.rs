//! `windlass list`.

use std::cell::RefCell;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{Error as _, SerializeSeq, Serializer};

use super::args::Node;
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use super::table::{Align, Columns};
use crate::format::names::{NodeName, SourceName};
use crate::ops::catalogue::Finding;
use crate::ops::error::chain;
use crate::ops::snapshots::{DAMAGED_MANIFEST, Place, Row, Rows, View};
use crate::ops::undo::Undo;
use crate::ops::{Context, Error};

/// List the snapshots of both tiers.
#[derive(Args, Debug)]
pub(super) struct List {
    /// Only this source.
    #[arg(value_name = "SOURCE")]
    source: Option<SourceName>,
    #[command(flatten)]
    node: Node,
}

#[derive(Serialize)]
struct Document<'a> {
    node: &'a NodeName,
    time: Timestamp,
    snapshots: Streamed<'a>,
    undo: &'a [Undo],
    /// What is not as it should be in the repository.
    findings: Vec<ShownFinding<'a>>,
    /// What lies in the local folder and was not recognised.
    strange: Vec<&'a String>,
    /// Why the repository was not read, when it was not.
    unreachable: Option<String>,
}

/// Snapshots that are read while the document is printed.
struct Streamed<'a> {
    rows: &'a Rows,
    /// Why they could not be read to the end.
    failure: RefCell<Option<Error>>,
}

impl Serialize for Streamed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.rows.len()))?;
        for row in self.rows {
            match row {
                Ok(row) => list.serialize_element(&row)?,
                Err(error) => {
                    let text = chain(&error);
                    *self.failure.borrow_mut() = Some(error);
                    return Err(S::Error::custom(text));
                }
            }
        }
        list.end()
    }
}

#[derive(Serialize)]
struct ShownFinding<'a> {
    object: &'a str,
    snapshot: Option<&'a str>,
    problem: &'a str,
    unknown: bool,
}

impl List {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let reading = program.reading(self.node.node.as_ref())?;
        let ctx = &reading.ctx;
        let mut view = View::read(ctx, reading.node.as_ref(), self.source.as_ref())?;
        let node = reading.node.as_ref().unwrap_or(&ctx.node);
        let marked = view.mark_known_damage(node);
        if let Err(error) = &marked {
            program.output.warning(format!("what is known to be damaged could not be read: {}", chain(error)));
        }
        if let Some(source) = &self.source
            && view.rows.is_empty()
            && view.unreachable.is_none()
            && ctx.source(source).is_err()
        {
            return Err(Error::Absent(format!("neither the configuration nor a snapshot of {node} knows a source `{source}`")).into());
        }
        if program.output.json {
            let document = document(node, ctx.clock.now(), &view);
            // What else could fail is plain JSON.
            let _ = program.output.long_document("list", &document);
            document.snapshots.failure.into_inner().map_or(Ok(()), Err)?;
        } else {
            print(program, ctx, node, &view)?;
        }
        let exit = exit(&view)?;
        Ok(if exit == Exit::Done && marked.is_err() { Exit::Partly } else { exit })
    }
}

/// Damage goes before a repository that could not be read.
fn exit(view: &View) -> Result<Exit, Error> {
    let mut is_damaged = view.unreachable.as_ref().is_some_and(Error::is_damage) || view.findings.iter().any(|finding| !finding.unknown);
    for row in &view.rows {
        is_damaged |= row?.problems.iter().any(|problem| problem.kind == DAMAGED_MANIFEST);
    }
    Ok(match &view.unreachable {
        _ if is_damaged => Exit::Damage,
        Some(_) => Exit::Partly,
        None => Exit::Done,
    })
}

/// What is not as it should be on this node.
fn strange(view: &View) -> impl Iterator<Item = &String> {
    view.strange.iter().chain(view.remains.values().flat_map(|remains| &remains.left))
}

fn document<'a>(node: &'a NodeName, time: Timestamp, view: &'a View) -> Document<'a> {
    let finding = |finding: &'a Finding| ShownFinding {
        object: &finding.object,
        snapshot: finding.snapshot.as_deref(),
        problem: &finding.problem,
        unknown: finding.unknown,
    };
    Document {
        node,
        time,
        snapshots: Streamed { rows: &view.rows, failure: RefCell::default() },
        undo: &view.undo,
        findings: view.findings.iter().map(finding).collect(),
        strange: strange(view).collect(),
        unreachable: view.unreachable.as_ref().map(|error| chain(error)),
    }
}

/// The columns of the table of snapshots.
const COLUMNS: [(&str, Align); 8] = [
    ("SNAPSHOT", Align::Left),
    ("TIME", Align::Left),
    ("AGE", Align::Right),
    ("WHERE", Align::Left),
    ("FILES", Align::Right),
    ("SIZE", Align::Right),
    ("STORED", Align::Right),
    ("PROBLEMS", Align::Left),
];

pub(super) fn print(program: &Program, ctx: &Context, node: &NodeName, view: &View) -> Result<(), Error> {
    let (output, now, zone) = (&program.output, ctx.clock.now(), ctx.clock.zone());
    if view.rows.is_empty() {
        output.note(format!("there is no snapshot of {node} yet; `windlass backup SOURCE` takes and ships one"));
    } else {
        let mut columns = Columns::new(COLUMNS);
        for row in &view.rows {
            columns.measure(&cells(&row?, now, &zone));
        }
        output.line(columns.titles());
        for row in &view.rows {
            output.line(columns.line(&cells(&row?, now, &zone)));
        }
    }
    view.undo.iter().for_each(|undo| output.line(undo_line(undo, &zone)));
    for finding in &view.findings {
        let snapshot = finding.snapshot.as_ref().map(|snapshot| format!(" ({snapshot})")).unwrap_or_default();
        output.warning(format!("{}{snapshot}: {}", finding.object, finding.problem));
    }
    strange(view).for_each(|strange| output.warning(strange));
    for (source, remains) in &view.remains {
        remains.under_way.iter().for_each(|run| output.note(format!("{source}: under way is {run}")));
    }
    if let Some(error) = &view.unreachable {
        output.warning(format!("only what is local is shown: {}", chain(error)));
    }
    Ok(())
}

fn cells(row: &Row, now: Timestamp, zone: &jiff::tz::TimeZone) -> [String; 8] {
    [
        format!("{}/{}", row.source, row.id),
        human::time(row.time, zone),
        human::age(now.duration_since(row.time)),
        place(row.place).into(),
        human::number(row.files),
        human::bytes(row.bytes),
        human::bytes_or_dash(row.stored_bytes),
        wrong(row),
    ]
}

/// What can be undone, or done again.
fn undo_line(undo: &Undo, zone: &jiff::tz::TimeZone) -> String {
    let (source, when) = (&undo.source, human::time(undo.time, zone));
    let what = undo.snapshot.map_or_else(|| "a snapshot".into(), |id| id.to_string());
    match undo.redo {
        _ if undo.gone => format!("{source}: what the restore of {what} at {when} had set aside is gone from {}", undo.aside),
        false => format!("{source}: at {when} {what} was restored; `windlass restore {source} --undo` puts back what was there before"),
        true => format!("{source}: the restore of {what} at {when} was undone; `windlass restore {source} --undo` brings it back"),
    }
}

/// What is wrong with a snapshot.
pub(super) fn wrong(row: &Row) -> String {
    let problems = human::problems(&row.problems);
    match (row.future, problems.is_empty()) {
        (false, _) => problems,
        (true, true) => "its time is ahead of the clock".into(),
        (true, false) => format!("its time is ahead of the clock; {problems}"),
    }
}

/// Where a snapshot is, in one word.
pub(super) fn place(place: Place) -> &'static str {
    match place {
        Place::Local => "local",
        Place::Shipped => "shipped",
        Place::Both => "both",
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
