//! `windlass fetch`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::args::{DryRun, InnerPath, Node};
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use crate::format::path::RelPath;
use crate::ops::fetch::{self, Options, Outcome};
use crate::ops::name::SnapshotName;

/// Put the files of a snapshot into an empty folder, verified.
#[derive(Args, Debug)]
pub(super) struct Fetch {
    /// The snapshot: SOURCE/ID, SOURCE/latest, or the beginning of an id.
    #[arg(value_name = "SNAPSHOT")]
    snapshot: SnapshotName,
    /// Only these paths and what is below them, as `show --files` prints them.
    #[arg(value_name = "PATH", value_parser = InnerPath)]
    paths: Vec<RelPath>,
    /// The folder; it must be empty or not there yet.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    dry_run: DryRun,
}

#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    node: &'a crate::format::names::NodeName,
    to: &'a std::path::Path,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

impl Fetch {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let reading = program.reading(self.node.node.as_ref())?;
        let dry_run = self.dry_run.dry_run;
        let options = Options { to: self.to.clone(), paths: self.paths.clone(), from: Vec::new(), node: reading.node.clone(), dry_run };
        let progress = program.progress();
        let outcome = fetch::run(&reading.ctx, &self.snapshot, &options);
        drop(progress);
        let outcome = outcome?;
        if program.output.json {
            let node = reading.node.as_ref().unwrap_or(&reading.ctx.node);
            program.output.document("fetch", &Document { dry_run, node, to: &self.to, outcome: &outcome });
            return Ok(exit(&outcome));
        }
        let (files, bytes) = (human::count(outcome.files, "file"), human::bytes(outcome.bytes));
        let (name, downloaded) = (format!("{}/{}", outcome.source, outcome.id), human::bytes(outcome.downloaded_bytes));
        let did = if dry_run { "would be fetched" } else { "fetched and verified" };
        let line = format!("{name}  {did} into {}: {files}, {bytes}, {downloaded} downloaded", self.to.display());
        if dry_run {
            program.output.plan(line)
        } else {
            program.output.done(line)
        }
        outcome.notes.iter().for_each(|note| program.output.warning(note));
        let more = outcome.noted.saturating_sub(outcome.notes.len() as u64);
        if more > 0 {
            program.output.warning(format!("and {} like these", human::number(more)));
        }
        for damage in &outcome.damage {
            program.output.warning(format!("{}: {}; its bytes came from elsewhere", damage.object, damage.problem));
        }
        Ok(exit(&outcome))
    }
}

/// What was fetched is sound in any case; that something else was found damaged must not go unseen.
fn exit(outcome: &Outcome) -> Exit {
    if outcome.damage.is_empty() { Exit::Done } else { Exit::Damage }
}
