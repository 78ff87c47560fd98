//! `status`: what is late, and what is wrong.

use jiff::Timestamp;
use serde::Serialize;

use super::{Context, Error};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;

/// One source at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct SourceStatus {
    /// The source.
    pub source: SourceName,
    /// Its kind.
    pub kind: String,
    /// Its newest local copy.
    pub snapshot: Option<SnapshotId>,
    /// Its newest snapshot in the repository; also `None` when the repository cannot be reached.
    pub shipped: Option<SnapshotId>,
    /// Age of the newest snapshot of either tier in seconds.
    pub age_seconds: Option<i64>,
    /// How old it may get.
    pub objective_seconds: u64,
    /// Local copies.
    pub copies: usize,
    /// Local copies that are not in the repository.
    pub unshipped: usize,
    /// Whether the newest snapshot, or the newest shipped one, is older than the objective.
    pub late: bool,
    /// What is wrong, for a person; empty when all is well.
    pub wrong: Vec<String>,
}

/// The whole node at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The node.
    pub node: NodeName,
    /// When this was said.
    pub time: Timestamp,
    /// The repository's place.
    pub repository: String,
    /// Whether nothing is late and nothing is wrong.
    pub healthy: bool,
    /// The sources.
    pub sources: Vec<SourceStatus>,
    /// What is wrong with the node as a whole.
    pub wrong: Vec<String>,
    /// Free bytes on the filesystem of local copies.
    pub free_bytes: u64,
}

/// Tells what is late and what is wrong.
///
/// # Errors
/// What the local tier gives; a repository that cannot be reached is something wrong, not an error.
pub fn run(ctx: &Context) -> Result<Outcome, Error> {
    let _ = ctx;
    Err(Error::Refused("not built".into()))
}
