//! `windlass prune`.

use clap::Args;
use serde::Serialize;

use super::args::{DryRun, Node};
use super::confirm::confirm;
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use crate::format::names::SourceName;
use crate::ops::prune::{self, MARK_AGE, Options, Outcome, Plan, Tally};
use crate::repository::BucketLock;

/// Remove from the repository what [retention] no longer keeps, and delete what no snapshot needs.
#[derive(Args, Debug)]
pub(super) struct Prune {
    /// Apply retention to these sources only [default: all that the repository holds of the node].
    #[arg(value_name = "SOURCE")]
    sources: Vec<SourceName>,
    /// Every source; the same as naming none.
    #[arg(long, conflicts_with = "sources")]
    all: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    dry_run: DryRun,
}

#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    plan: &'a Plan,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

impl Prune {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let output = &program.output;
        let (ctx, retention) = program.context_and_retention()?;
        let dry_run = self.dry_run.dry_run;
        let options = Options { sources: self.sources.clone(), node: self.node.node.clone(), retention, dry_run };
        let plan = prune::plan(&ctx, &options)?;
        if dry_run && !output.json {
            lines(&plan).iter().for_each(|line| output.line(line));
        }
        if !dry_run {
            lines(&plan).iter().for_each(|line| output.note(line));
            confirm(output, &program.stop, &question(&plan), self.yes)?;
        }
        let progress = program.progress();
        let outcome = prune::run(&ctx, &options, &plan);
        drop(progress);
        let outcome = outcome?;
        if output.json {
            output.document("prune", &Document { dry_run, plan: &plan, outcome: &outcome });
        } else {
            let tell = |line: &String| if dry_run { output.line(line) } else { output.done(line) };
            report(&outcome, dry_run).iter().for_each(tell);
        }
        if outcome.keeps_versions {
            output.warning(
                "the bucket keeps old versions of what is deleted, and they cost as much: a lifecycle rule for noncurrent versions ends them",
            );
        }
        outcome.untold.iter().for_each(|why| output.note(format!("note: {why}")));
        if let Some(denied) = &outcome.denied {
            output.warning(format!("nothing more was deleted: {denied}"));
            return Ok(Exit::Partly);
        }
        Ok(Exit::Done)
    }
}

fn question(plan: &Plan) -> String {
    match plan.removals().count() {
        0 => format!("Mark what no snapshot of {} needs, and delete what was marked {} ago?", plan.node, age()),
        some => format!("Remove {} of {} for good?", human::count(some as u64, "snapshot"), plan.node),
    }
}

fn age() -> String {
    human::age(MARK_AGE)
}

/// Each snapshot with what becomes of it, and why.
fn lines(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> = plan.begun.iter().map(|one| format!("remove  {}/{}  {}", one.source, one.id, one.why)).collect();
    for source in &plan.sources {
        for decision in &source.snapshots {
            let what = if decision.keep { "keep  " } else { "remove" };
            lines.push(format!("{what}  {}/{}  {}", source.source, decision.id, decision.why.join("; ")));
        }
    }
    lines
}

/// The object lock of a bucket.
fn locked(lock: &BucketLock) -> String {
    let time = match (lock.days, lock.years) {
        (Some(days), _) => human::count(days, "day"),
        (None, Some(years)) => human::count(years, "year"),
        (None, None) => return "the bucket can lock objects, and has no rule that locks new ones".into(),
    };
    let mode = lock.mode.as_deref().unwrap_or_default();
    format!("the bucket locks what is stored for {time} ({mode}): so long an old version stays at least")
}

/// What was done, or would be.
fn report(outcome: &Outcome, dry_run: bool) -> Vec<String> {
    let tally = |tally: Tally| format!("{}, {}", human::count(tally.objects, "object"), human::bytes(tally.bytes));
    let bodies = format!("{} {}", human::number(outcome.bodies), if outcome.bodies == 1 { "body" } else { "bodies" });
    let due = match &outcome.next_deletion {
        Some(at) if outcome.waiting.objects > 0 => format!(", the first from {} on", at.strftime("%Y-%m-%dT%H:%M:%SZ")),
        _ => String::new(),
    };
    let mut lines = Vec::new();
    if dry_run {
        lines.push("this is what would be done; nothing was changed".into());
    }
    lines
        .push(format!("removed    {}, {bodies} of shipments that were broken off", human::count(outcome.removed.len() as u64, "snapshot")));
    lines.push(format!("deleted    {}", tally(outcome.deleted)));
    lines.push(format!("marked     {}, to be deleted by a prune at least {} later", tally(outcome.marked), age()));
    lines.push(format!("waiting    {}{due}", tally(outcome.waiting)));
    lines.push(format!("live       {}", tally(outcome.live)));
    if outcome.locked.objects > 0 {
        let until = outcome.locked_until.map_or_else(String::new, |until| format!(", until {}", until.strftime("%Y-%m-%dT%H:%M:%SZ")));
        lines.push(format!("locked     {}{until}, left to a later prune", tally(outcome.locked)));
    }
    if let Some(old) = outcome.noncurrent {
        let (versions, markers) = (human::count(old.versions, "version"), human::count(old.markers, "delete marker"));
        lines.push(format!("noncurrent {versions}, {}, and {markers}", human::bytes(old.bytes)));
    }
    if let Some(lock) = &outcome.object_lock {
        lines.push(format!("lock       {}", locked(lock)));
    }
    if outcome.unsettled.objects > 0 {
        lines.push(format!("unsettled  {}, newer than the newest manifest: a shipment may be under way", tally(outcome.unsettled)));
    }
    if outcome.remnants.objects > 0 {
        lines.push(format!("remnants   {}, of writes that were killed", tally(outcome.remnants)));
    }
    lines
}
