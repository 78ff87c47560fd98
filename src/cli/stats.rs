//! `windlass stats`.

use clap::Args;

use super::args::Node;
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use super::table::{Align, Table};
use crate::format::names::SourceName;
use crate::ops::prune::Tally;
use crate::ops::stats::{self, Dead, Options, Outcome};

/// Show what the repository holds of this node in bytes: by source, by snapshot, and what is waste.
#[derive(Args, Debug)]
pub(super) struct Stats {
    /// Only this source in the table.
    #[arg(value_name = "SOURCE")]
    source: Option<SourceName>,
    /// Count also what is dead within packs that snapshots need. Reads every file list of the node once.
    #[arg(long)]
    waste: bool,
    #[command(flatten)]
    node: Node,
}

impl Stats {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let reading = program.reading(self.node.node.as_ref())?;
        let progress = program.progress();
        let outcome = stats::run(&reading.ctx, &Options { source: self.source.clone(), node: reading.node.clone(), dead: self.waste });
        drop(progress);
        let outcome = outcome?;
        if program.output.json {
            program.output.document("stats", &outcome);
        } else {
            lines(&outcome).iter().for_each(|line| program.output.line(line));
        }
        outcome.unreadable.iter().for_each(|what| program.output.warning(format!("what it needs counts as waste: {what}")));
        if let Some(why) = &outcome.dead_unknown {
            program.output.warning(format!("what is dead within live packs is not known: {why}"));
        }
        Ok(if outcome.unreadable.is_empty() { Exit::Done } else { Exit::Partly })
    }
}

/// What is dead within live packs, by source.
fn dead_line(dead: &Dead, outcome: &Outcome) -> String {
    let some = outcome.sources.iter().filter_map(|source| Some((source.source.to_string(), source.dead.filter(|bytes| *bytes > 0)?)));
    let shared = Some(("shared by sources".to_owned(), dead.shared)).filter(|(_, bytes)| *bytes > 0);
    let parts: Vec<String> = some.chain(shared).map(|(name, bytes)| format!("{name} {}", human::bytes(bytes))).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    let at_least = if dead.at_least { "at least " } else { "" };
    format!("dead      {at_least}{} within what is live{parts}", human::bytes(dead.bytes))
}

fn lines(outcome: &Outcome) -> Vec<String> {
    let mut table = Table::new([("SNAPSHOT", Align::Left), ("NEEDS", Align::Right), ("ITS OWN", Align::Right), ("OBJECTS", Align::Right)]);
    for source in &outcome.sources {
        for snapshot in &source.snapshots {
            table.row([
                format!("{}/{}", source.source, snapshot.id),
                human::bytes(snapshot.stored_bytes),
                human::bytes(snapshot.unique.bytes),
                human::number(snapshot.unique.objects),
            ]);
        }
        let name = format!("{}, all", source.source);
        table.row([name, human::bytes(source.live.bytes), String::new(), human::number(source.live.objects)]);
    }
    let tally = |tally: Tally| format!("{}, {}", human::bytes(tally.bytes), human::count(tally.objects, "object"));
    let mut lines = table.lines();
    lines.push(String::new());
    let shared = if outcome.shared.objects > 0 { format!(" (shared by sources: {})", tally(outcome.shared)) } else { String::new() };
    lines.push(format!("live      {}{shared}", tally(outcome.live)));
    lines.extend(outcome.dead.as_ref().map(|dead| dead_line(dead, outcome)));
    lines.push(format!("marked    {}", tally(outcome.marked)));
    lines.push(format!("waste     {}", tally(outcome.waste)));
    lines.push(format!("other     {}", tally(outcome.others)));
    lines
}
