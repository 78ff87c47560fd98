//! `windlass snapshot`.

use clap::Args;
use serde::Serialize;

use super::args::{DryRun, Sources, Wait};
use super::context::Program;
use super::each::{Failed, Made, each, exit_of};
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use crate::ops::snapshot::{self, Options, Outcome};
use crate::ops::snapshots::{Place, Row};
use crate::ops::{Context, Error};

/// Take a local copy of sources; the oldest of five goes once the new one is complete.
#[derive(Args, Debug)]
pub(super) struct Snapshot {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    dry_run: DryRun,
}

#[derive(Serialize)]
struct Document {
    dry_run: bool,
    snapshots: Vec<Taken>,
    planned: Vec<Outcome>,
    failed: Vec<Failed>,
}

/// A snapshot that was taken.
#[derive(Debug, Serialize)]
pub(super) struct Taken {
    #[serde(flatten)]
    pub(super) row: Row,
    read_bytes: u64,
    removed: Vec<crate::format::snapshot_id::SnapshotId>,
}

impl Taken {
    /// The new snapshot; `None` after a dry run.
    pub(super) fn of(ctx: &Context, outcome: &Outcome) -> Result<Option<Self>, Error> {
        let Some(id) = outcome.id else { return Ok(None) };
        let made = Made {
            source: &outcome.source,
            id,
            place: Place::Local,
            files: outcome.files,
            bytes: outcome.bytes,
            stored: None,
            problems: &outcome.problems,
        };
        Ok(Some(Self { row: made.row(ctx)?, read_bytes: outcome.read_bytes, removed: outcome.removed.clone() }))
    }
}

impl Snapshot {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let ctx = program.context()?;
        let sources = self.sources.choose(&ctx)?;
        let options = Options { wait: self.wait.wait, dry_run: self.dry_run.dry_run };
        let progress = program.progress();
        let work = each(program, &sources, |source| {
            let outcome = snapshot::run(&ctx, source, &options)?;
            tell(program, &outcome);
            let exit = exit_of(&outcome.problems);
            Ok((outcome, exit))
        });
        drop(progress);
        if program.output.json {
            let mut document = Document { dry_run: options.dry_run, snapshots: Vec::new(), planned: Vec::new(), failed: work.failed };
            for outcome in work.done {
                match Taken::of(&ctx, &outcome)? {
                    Some(taken) => document.snapshots.push(taken),
                    None => document.planned.push(outcome),
                }
            }
            program.output.document("snapshot", &document);
        }
        Ok(work.exit)
    }
}

/// Tells what was done, or in a dry run would be.
pub(super) fn tell(program: &Program, outcome: &Outcome) {
    let line = sentence(outcome);
    if outcome.id.is_some() { program.output.done(line) } else { program.output.plan(line) }
}

/// What was done, or would be.
fn sentence(outcome: &Outcome) -> String {
    let (files, bytes) = (human::count(outcome.files, "file"), human::bytes(outcome.bytes));
    let mut text = match outcome.id {
        Some(id) => format!("{}/{id}  taken: {files}, {bytes}, {} read", outcome.source, human::bytes(outcome.read_bytes)),
        None => format!("{}: would take {files}, {bytes}, {} read", outcome.source, human::bytes(outcome.read_bytes)),
    };
    if !outcome.problems.is_empty() {
        text.push_str(&format!("; problems: {}", human::problems(&outcome.problems)));
    }
    if !outcome.removed.is_empty() {
        let ids: Vec<String> = outcome.removed.iter().map(ToString::to_string).collect();
        text.push_str(&format!("; {} {}", if outcome.id.is_some() { "removed" } else { "would remove" }, ids.join(", ")));
    }
    text
}
