//! `forget`: removes one local copy that a person named.

use serde::Serialize;

use super::context::Waiting;
use super::name::SnapshotName;
use super::{Context, Error};
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;

/// What would be removed.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The source.
    pub source: SourceName,
    /// The snapshot.
    pub id: SnapshotId,
    /// The folder of the local copy.
    pub folder: std::path::PathBuf,
    /// Bytes of its files.
    pub bytes: u64,
    /// Whether it is in the repository too; `None` when the repository could not be asked.
    pub shipped: Option<bool>,
    /// Whether it is the only sound snapshot of the source that is known.
    pub last_sound: bool,
}

/// Says what `forget` would remove.
///
/// # Errors
/// [`Error::Absent`] when there is no such local copy.
pub fn plan(ctx: &Context, name: &SnapshotName) -> Result<Plan, Error> {
    let _ = (ctx, name);
    Err(Error::Refused("not built".into()))
}

/// Removes the local copy.
///
/// # Errors
/// [`Error::Refused`] while somebody reads it.
pub fn run(ctx: &Context, plan: &Plan, wait: Waiting) -> Result<(), Error> {
    let _ = (ctx, plan, wait);
    Err(Error::Refused("not built".into()))
}
