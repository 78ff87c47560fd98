//! `windlass init`.

use clap::Args;

use super::args::DryRun;
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use super::table::{Align, Table};
use crate::ops::init::{self, Options, Outcome};
use crate::repository::{Finding, Probe, Verdict};

/// Make the configured place a repository, try out what its store can do, and make this node known in it.
///
/// A repository that is there and matches is left as it is.
#[derive(Args, Debug)]
pub(super) struct Init {
    /// This machine replaces the one that had the node's name.
    #[arg(long)]
    adopt: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Init {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let ctx = program.context()?;
        let dry_run = self.dry_run.dry_run;
        let outcome = init::run(&ctx, &Options { adopt: self.adopt, dry_run })?;
        if program.output.json {
            program.output.document("init", &outcome);
        } else {
            let told = outcome.probe.iter().flat_map(probe_lines);
            let lines = sentences(&outcome, ctx.node.as_str(), dry_run).into_iter().chain(told);
            lines.for_each(|line| if dry_run { program.output.plan(line) } else { program.output.done(line) });
        }
        Ok(Exit::Done)
    }
}

fn sentences(outcome: &Outcome, node: &str, dry_run: bool) -> Vec<String> {
    let would = |done: &'static str, planned: &'static str| if dry_run { planned } else { done };
    let id = outcome.repository.as_ref().map(|id| format!(" (id {id})")).unwrap_or_default();
    let repository = match outcome.created {
        true => format!("{}: {} a repository{id}", outcome.location, would("now", "would become")),
        false => format!("{}: a repository already{id}", outcome.location),
    };
    let claimed = match outcome.claimed {
        None => format!("{node}: known in it as this machine"),
        Some(1) => format!("{node}: {} known in it as this machine", would("now", "would become")),
        Some(n) => format!("{node}: {} taken over by this machine (node.{n}.json)", would("now", "would be")),
    };
    vec![repository, claimed]
}

/// What the store can do, a line for each ability.
fn probe_lines(probe: &Probe) -> Vec<String> {
    let mut table = Table::new([("THE STORE", Align::Left), ("", Align::Left), ("", Align::Left)]);
    let findings: [(&str, &Finding); 5] = [
        ("create-only writes", &probe.create_only),
        ("checksums of writes", &probe.checksum),
        ("reading ranges", &probe.ranged_read),
        ("listing in pages", &probe.list_paging),
        ("deleting", &probe.delete),
    ];
    for (name, finding) in findings {
        table.row([name.into(), word(finding.verdict).into(), finding.detail.clone()]);
    }
    let skew = match probe.clock_skew_seconds {
        None => "not tested".into(),
        Some(0) => "the same as here".into(),
        Some(seconds) => {
            let by = human::duration(std::time::Duration::from_secs(seconds.unsigned_abs()));
            format!("{by} {}", if seconds > 0 { "ahead" } else { "behind" })
        }
    };
    table.row(["its clock".into(), skew, String::new()]);
    table.lines()
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Works => "works",
        Verdict::Ignored => "ignored",
        Verdict::Broken => "broken",
        Verdict::Denied => "denied",
        Verdict::NotTested => "not tested",
    }
}
