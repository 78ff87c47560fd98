//! `windlass status`.

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::cluster;
use super::context::Program;
use super::exit::Exit;
use super::failure::Failure;
use super::human;
use super::table::{Align, Table};
use crate::agent::next_run;
use crate::ops::cluster::Except;
use crate::ops::status::{self, Outcome, SourceStatus};

/// Say what is late and what is wrong; exit code 7 when something is.
#[derive(Args, Debug)]
pub(super) struct Status {
    /// Of every node that is found in the repository, told by what lies there alone: also when their agents are dead. Takes no key, nothing
    /// of this machine, and with --repository no configuration.
    #[arg(long)]
    cluster: bool,
    /// Leave out a node, or one source of it, that was given up and whose last snapshots stay; may be said more than once.
    #[arg(long, value_name = "NODE[/SOURCE]", requires = "cluster")]
    except: Vec<Except>,
}

impl Status {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        if self.cluster {
            return cluster::run(program, &self.except);
        }
        let mut config = program.config_alone()?;
        let timetables = std::mem::take(&mut config.timetables);
        let ctx = program.context_of(config);
        let mut outcome = status::run(&ctx)?;
        let zone = ctx.clock.zone();
        let schedules = timetables.into_iter().map(|(source, timetable)| (source, timetable.on(zone.clone()))).collect::<Vec<_>>();
        next_run::tell(&mut outcome, &schedules);
        if program.output.json {
            program.output.document("status", &outcome);
        } else {
            lines(&outcome, &zone).iter().for_each(|line| program.output.line(line));
        }
        Ok(if outcome.healthy { Exit::Done } else { Exit::Unhealthy })
    }
}

fn lines(outcome: &Outcome, zone: &jiff::tz::TimeZone) -> Vec<String> {
    let (now, free) = (human::time(outcome.time, zone), human::bytes(outcome.free_bytes));
    let mut lines = vec![format!("{} at {now}: repository {}, {free} free for local copies", outcome.node, outcome.repository)];
    if !outcome.sources.is_empty() {
        let columns = [
            ("SOURCE", Align::Left),
            ("KIND", Align::Left),
            ("SNAPSHOT", Align::Left),
            ("SHIPPED", Align::Left),
            ("AGE", Align::Right),
            ("OBJECTIVE", Align::Right),
            ("COPIES", Align::Right),
            ("UNSHIPPED", Align::Right),
            ("NEXT RUN", Align::Right),
            ("STATE", Align::Left),
        ];
        let mut table = Table::new(columns);
        outcome.sources.iter().for_each(|source| table.row(row(source, outcome.time)));
        lines.extend(table.lines());
    }
    for source in &outcome.sources {
        let held = source.held_bytes.filter(|bytes| *bytes > 0).map(human::bytes);
        lines.extend(held.map(|held| {
            format!("{}: {held} are held by its local copies alone: the server does not have these files, or not any more", source.source)
        }));
        lines.extend(source.under_way.iter().map(|run| format!("{}: under way is {run}", source.source)));
        lines.extend(source.wrong.iter().map(|wrong| format!("{}: {wrong}", source.source)));
    }
    lines.extend(outcome.wrong.iter().cloned());
    if outcome.healthy {
        lines.push("all is well".into());
    }
    lines
}

fn row(source: &SourceStatus, now: Timestamp) -> [String; 10] {
    let id = |id: Option<crate::format::snapshot_id::SnapshotId>| id.map_or_else(|| "-".into(), |id| id.to_string());
    let state = match (source.late, source.wrong.is_empty()) {
        (true, _) => "late",
        (false, false) => "wrong",
        (false, true) => "well",
    };
    [
        source.source.to_string(),
        source.kind.clone(),
        id(source.snapshot),
        id(source.shipped),
        source.age_seconds.map_or_else(|| "-".into(), |age| human::age(SignedDuration::from_secs(age))),
        human::duration(Duration::from_secs(source.objective_seconds)),
        source.copies.to_string(),
        source.unshipped.map_or_else(|| "-".to_owned(), |count| count.to_string()),
        source.next_run.map_or_else(|| "-".to_owned(), |next| human::age(now.duration_since(next))),
        state.into(),
    ]
}
