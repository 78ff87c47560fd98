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
            report(&outcome, dry_run).iter().for_each(|line| output.line(line));
        }
        if outcome.keeps_versions {
            output.warning(
                "the bucket keeps old versions of what is deleted, and they cost as much: a lifecycle rule for noncurrent versions ends them",
            );
        }
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
    if outcome.unsettled.objects > 0 {
        lines.push(format!("unsettled  {}, newer than the newest manifest: a shipment may be under way", tally(outcome.unsettled)));
    }
    if outcome.remnants.objects > 0 {
        lines.push(format!("remnants   {}, of writes that were killed", tally(outcome.remnants)));
    }
    lines
}
