//! `show`: all that is known of one snapshot.

use serde::Serialize;

use super::name::SnapshotName;
use super::snapshots::Row;
use super::{Context, Error};
use crate::format::line::Line;
use crate::format::names::NodeName;
use crate::format::snapshot_id::SnapshotId;

/// What is known of a snapshot.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Its row in `list`.
    #[serde(flatten)]
    pub row: Row,
    /// Program and version that took it.
    pub agent: String,
    /// The civil date on the node.
    pub local_date: jiff::civil::Date,
    /// The folder of the local copy.
    pub folder: Option<std::path::PathBuf>,
    /// Number of the manifest that counts in the repository.
    pub manifest: Option<u32>,
    /// The shipped snapshot before it.
    pub previous: Option<SnapshotId>,
    /// File lists in the repository.
    pub lists: Option<u64>,
    /// Packs it needs.
    pub packs: Option<u64>,
    /// Entries of every kind.
    pub entries: u64,
    /// What a fresh node needs to know of the source.
    pub facts: serde_json::Value,
}

/// Tells what is known of a snapshot.
///
/// # Errors
/// [`Error::Absent`]; [`Error::Damaged`].
pub fn run(ctx: &Context, name: &SnapshotName, node: Option<&NodeName>) -> Result<Outcome, Error> {
    let _ = (ctx, name, node);
    Err(Error::Refused("not built".into()))
}

/// Calls `visit` with every line of the snapshot's file lists, in path order.
///
/// # Errors
/// As [`run`]; what `visit` gives.
pub fn files(
    ctx: &Context,
    name: &SnapshotName,
    node: Option<&NodeName>,
    visit: &mut dyn FnMut(Line) -> Result<(), Error>,
) -> Result<(), Error> {
    let _ = (ctx, name, node, visit);
    Err(Error::Refused("not built".into()))
}
