//! `windlass fetch`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::args::{DryRun, InnerPath, Node};
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use super::output::Output;
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
        let lost = match outcome.lost_files {
            0 => String::new(),
            lost => format!("; {} NOT GIVEN", human::count(lost, "file")),
        };
        let line = format!("{name}  {did} into {}: {files}, {bytes}, {downloaded} downloaded{lost}", self.to.display());
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
        tell_of_damage(&program.output, &outcome, &self.to);
        Ok(exit(&outcome))
    }
}

/// What was damaged, where its bytes came from, and what could not be given.
fn tell_of_damage(output: &Output, outcome: &Outcome, to: &std::path::Path) {
    // With files lost, it is not known of one object whether all its bytes were found.
    let came = if outcome.lost_files == 0 { "; its bytes came from elsewhere" } else { "" };
    for damage in &outcome.damage {
        output.warning(format!("{}: {}{came}", damage.object, damage.problem));
    }
    for place in &outcome.elsewhere {
        let (pieces, bytes) = (human::count(place.blobs, "piece"), human::bytes(place.bytes));
        output.warning(format!("{} had {pieces} ({bytes}) of what was damaged", place.place));
    }
    if outcome.lost_files == 0 {
        return;
    }
    let files = human::count(outcome.lost_files, "file");
    // What could not be asked has been told already.
    let places = if outcome.unasked.is_empty() { "nowhere" } else { "in none of the places that could be asked" };
    output.warning(format!("{files} could not be given, because some of their bytes lie sound {places}; {} holds the rest:", to.display()));
    for lost in &outcome.lost {
        output.warning(format!("not given: `{}`: {}: {}", lost.path, lost.object, lost.problem));
    }
    let more = outcome.lost_files - outcome.lost.len() as u64;
    if more > 0 {
        output.warning(format!("not given: {} more", human::number(more)));
    }
}

/// What was fetched is sound in any case; that something was found damaged must not go unseen.
fn exit(outcome: &Outcome) -> Exit {
    if outcome.damage.is_empty() && outcome.lost_files == 0 { Exit::Done } else { Exit::Damage }
}
