//! `backup`: a snapshot, then its shipment. The everyday command.

use serde::Serialize;

use super::locks::Waiting;
use super::ship::Shipment;
use super::{Context, Error, ship, snapshot};
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
    let snapshot = snapshot::run(ctx, source, &snapshot::Options { wait: options.wait, dry_run: options.dry_run })?;
    let ship = ship::Options { snapshot: None, wait: options.wait, dry_run: options.dry_run };
    match ship::run(ctx, source, &ship) {
        Ok(done) => Ok(Outcome { snapshot, shipped: done.shipped, passed_over: done.failed, failure: None }),
        Err(error) => Ok(Outcome { snapshot, shipped: Vec::new(), passed_over: Vec::new(), failure: Some(error) }),
    }
}
