//! `backup`: a snapshot, then its shipment, between an operator's hooks. The everyday command.

use serde::Serialize;

use super::locks::Waiting;
use super::ship::Shipment;
use super::{Context, Error, hooks, ship, snapshot};
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How long to wait for other runs.
    pub wait: Waiting,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What came of it: the copy is there; the shipment may have failed.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The local copy.
    pub snapshot: snapshot::Outcome,
    /// What was shipped: the new copy and older ones that had not been.
    pub shipped: Vec<Shipment>,
    /// Copies that were passed over, each with the reason.
    #[serde(skip)]
    pub passed_over: Vec<(SnapshotId, Error)>,
    /// Why shipping as a whole failed, if it did.
    #[serde(skip)]
    pub failure: Option<Error>,
}

/// Takes a local copy of a source and ships it.
///
/// # Errors
/// When no copy could be taken. A shipment that fails is in the outcome.
pub fn run(ctx: &Context, source: &SourceName, options: &Options) -> Result<Outcome, Error> {
    // A dry run does nothing, and a hook does something.
    let before = if options.dry_run {
        Ok(())
    } else {
        hooks::settle(ctx, source);
        hooks::before(ctx, source)
    };
    let take = snapshot::Options { wait: options.wait, dry_run: options.dry_run };
    let taken = before.and_then(|()| snapshot::run(ctx, source, &take));
    let snapshot = taken.inspect_err(|error| {
        if !options.dry_run {
            hooks::failed(ctx, source, error);
        }
    })?;
    let ship = ship::Options { snapshot: None, wait: options.wait, dry_run: options.dry_run };
    let outcome = match ship::run(ctx, source, &ship) {
        Ok(done) => Outcome { snapshot, shipped: done.shipped, passed_over: done.failed, failure: None },
        Err(error) => Outcome { snapshot, shipped: Vec::new(), passed_over: Vec::new(), failure: Some(error) },
    };
    if let Some(id) = outcome.snapshot.id {
        hooks::after(ctx, source, id, outcome.shipped.iter().any(|shipment| shipment.id == id));
    }
    Ok(outcome)
}
