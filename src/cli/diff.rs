//! `windlass diff`.

use std::io::Write;

use clap::Args;

use super::args::Node;
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use super::output::{Output, schema};
use crate::ops::diff::{Change, Kind, Pair};
use crate::ops::name::SnapshotName;
use crate::ops::{Context, Error};

/// Show what changed between two snapshots, from their file lists alone.
#[derive(Args, Debug)]
pub(super) struct Diff {
    /// The snapshot before.
    #[arg(value_name = "BEFORE")]
    before: SnapshotName,
    /// The snapshot after.
    #[arg(value_name = "AFTER")]
    after: SnapshotName,
    #[command(flatten)]
    node: Node,
}

impl Diff {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let reading = program.reading(self.node.node.as_ref())?;
        let output = &program.output;
        // A document that has been begun cannot be taken back, so both must be known before.
        let pair = Pair::open(&reading.ctx, reading.node.as_ref(), &self.before, &self.after)?;
        output.streamed(if output.json { stream_json(&reading.ctx, pair, output) } else { print(&reading.ctx, pair, output) })
    }
}

fn print(ctx: &Context, pair: Pair, output: &Output) -> Result<(), Error> {
    let summary = pair.compare(ctx, &mut |change| {
        output.line(line(&change));
        output.check()
    })?;
    let counts = [(summary.added, "added"), (summary.removed, "removed"), (summary.changed, "changed")];
    let mut parts: Vec<String> = counts.iter().map(|(count, what)| format!("{} {what}", human::number(*count))).collect();
    parts.push(format!("{} with other metadata alone", human::number(summary.metadata)));
    output.note(parts.join(", "));
    Ok(())
}

/// One document that is written while the lists are read, because the changes may be many.
fn stream_json(ctx: &Context, pair: Pair, output: &Output) -> Result<(), Error> {
    let failed = |cause: std::io::Error| Error::file("write to", "standard output")(cause);
    let mut out = output.stream();
    let (before, after) = (&pair.before, &pair.after);
    write!(out, "{{\"schema\":\"{}\",\"before\":\"{before}\",\"after\":\"{after}\",\"changes\":[", schema("diff")).map_err(failed)?;
    let mut first = true;
    let summary = pair.compare(ctx, &mut |change| {
        let text = serde_json::to_string(&change).expect("a change is plain JSON");
        let comma = if std::mem::take(&mut first) { "" } else { "," };
        write!(out, "{comma}\n{text}").map_err(failed)
    })?;
    let summary = serde_json::to_string(&summary).expect("counts are plain JSON");
    writeln!(out, "],\"summary\":{summary}}}").map_err(failed)
}

/// One change: a sign, the path, and how its size went.
pub(super) fn line(change: &Change) -> String {
    let sign = match change.change {
        Kind::Added => "added   ",
        Kind::Removed => "removed ",
        Kind::Changed => "changed ",
        Kind::Metadata => "metadata",
    };
    let sizes = match (change.size_before, change.size_after) {
        (Some(before), Some(after)) if before != after => format!("  ({} -> {})", human::bytes(before), human::bytes(after)),
        _ => String::new(),
    };
    format!("{sign}  {}{sizes}", change.path)
}
