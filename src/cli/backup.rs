//! `windlass backup`.

use clap::Args;
use serde::Serialize;

use super::args::{DryRun, Sources, Wait};
use super::context::Program;
use super::each::{Failed, each, exit_of};
use super::exit::Exit;
use super::failure::Failure;
use super::snapshot::Taken;
use super::{ship, snapshot};
use crate::ops::backup::{self, Options, Outcome};
use crate::ops::snapshots::{Place, Row};
use crate::ops::{Context, Error, error::chain};

/// Take a local copy of sources and ship it: the everyday command.
#[derive(Args, Debug)]
pub(super) struct Backup {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    pub(super) wait: Wait,
    #[command(flatten)]
    dry_run: DryRun,
}

#[derive(Serialize)]
struct Document {
    dry_run: bool,
    /// The new snapshots.
    snapshots: Vec<Taken>,
    /// Older ones that were shipped as well.
    also_shipped: Vec<Row>,
    planned: Vec<Planned>,
    /// Copies that were made and not shipped, with the reason.
    not_shipped: Vec<NotShipped>,
    failed: Vec<Failed>,
}

/// What a dry run says of one source.
#[derive(Serialize)]
struct Planned {
    snapshot: crate::ops::snapshot::Outcome,
    ship: Vec<crate::ops::ship::Shipment>,
}

#[derive(Serialize)]
struct NotShipped {
    source: crate::format::names::SourceName,
    /// The copy, where it failed for one of them and not for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<crate::format::snapshot_id::SnapshotId>,
    error: String,
}

impl Backup {
    pub(super) fn run(&self, program: &Program) -> Result<Exit, Failure> {
        let ctx = program.context()?;
        let sources = self.sources.choose(&ctx)?;
        let options = Options { wait: self.wait.wait, dry_run: self.dry_run.dry_run };
        let progress = program.progress();
        let work = each(program, &sources, |source| {
            let outcome = backup::run(&ctx, source, &options)?;
            Ok(tell(program, outcome, options.dry_run))
        });
        drop(progress);
        if program.output.json {
            program.output.document("backup", &document(&ctx, work.done, work.failed, options.dry_run)?);
        }
        Ok(work.exit)
    }
}

/// Prints what came of one source.
fn tell(program: &Program, outcome: Outcome, dry_run: bool) -> (Outcome, Exit) {
    snapshot::tell(program, &outcome.snapshot);
    ship::tell(program, &outcome.shipped, dry_run);
    let mut exits = vec![exit_of(&outcome.snapshot.problems)];
    exits.extend(outcome.shipped.iter().map(|shipment| exit_of(&shipment.problems)));
    for (id, error) in &outcome.passed_over {
        let (_, exit) = Failed::copy(program, &outcome.snapshot.source, *id, error);
        exits.push(if exit == Exit::Damage { exit } else { Exit::Partly });
    }
    if let Some(error) = &outcome.failure {
        // The copy is there, so whatever kept it from being shipped, the work is partly done; damage and a stop go before that.
        let exit = Exit::of_error(error, program.stop.signal());
        let exit = if exit == Exit::Damage || error.is_stopped() { exit } else { Exit::Partly };
        let what = format!("{}: the local copy is there, but was not shipped (the next run ships it)", outcome.snapshot.source);
        program.output.op_error(what, error, exit);
        exits.push(exit);
    }
    let exit = Exit::of_all(&exits);
    (outcome, exit)
}

fn document(ctx: &Context, outcomes: Vec<Outcome>, failed: Vec<Failed>, dry_run: bool) -> Result<Document, Error> {
    let mut document =
        Document { dry_run, snapshots: Vec::new(), also_shipped: Vec::new(), planned: Vec::new(), not_shipped: Vec::new(), failed };
    for outcome in outcomes {
        let source = outcome.snapshot.source.clone();
        let passed_over = outcome.passed_over.iter().map(|(id, error)| (Some(*id), error));
        let why = passed_over.chain(outcome.failure.iter().map(|error| (None, error)));
        document.not_shipped.extend(why.map(|(id, error)| NotShipped { source: source.clone(), id, error: chain(error) }));
        let Some(mut taken) = Taken::of(ctx, &outcome.snapshot)? else {
            document.planned.push(Planned { snapshot: outcome.snapshot, ship: outcome.shipped });
            continue;
        };
        for shipment in &outcome.shipped {
            let row = ship::row(ctx, shipment)?;
            if row.id == taken.row.id {
                taken.row = Row { place: Place::Both, ..row };
            } else {
                document.also_shipped.push(row);
            }
        }
        document.snapshots.push(taken);
    }
    Ok(document)
}
