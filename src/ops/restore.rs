//! `restore`: makes a source hold a snapshot again, so that it can be undone.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::context::Waiting;
use super::fetch::Origin;
use super::name::SnapshotName;
use super::{Context, Error};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where bytes may come from, best first; empty = local copy, then the repository.
    pub from: Vec<Origin>,
    /// Another node's snapshot, put onto this node's source.
    pub node: Option<NodeName>,
}

/// What a restore will do; nothing has been done yet.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The source.
    pub source: SourceName,
    /// Its kind.
    pub kind: String,
    /// The snapshot.
    pub id: SnapshotId,
    /// The name it was asked for by, to be looked up again.
    #[serde(skip)]
    pub name: SnapshotName,
    /// The options it was made with.
    #[serde(skip)]
    pub options: Options,
    /// What will be replaced.
    pub target: PathBuf,
    /// Where what is there now will be set aside; `None` when there is nothing.
    pub aside: Option<PathBuf>,
    /// Files that will be there.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that must be downloaded, at most.
    pub download_bytes: u64,
    /// Free bytes on the target's filesystem.
    pub free_bytes: u64,
    /// How long it will take at the rate measured last; `None` when none was measured yet.
    pub estimate: Option<Duration>,
    /// What a person should know before saying yes.
    pub warnings: Vec<String>,
}

/// What an undo will do.
#[derive(Clone, Debug, Serialize)]
pub struct UndoPlan {
    /// The source.
    pub source: SourceName,
    /// What will be replaced.
    pub target: PathBuf,
    /// What will be put back.
    pub aside: PathBuf,
    /// The restore that is undone.
    pub snapshot: Option<SnapshotId>,
    /// When that was.
    pub time: jiff::Timestamp,
}

/// What was restored.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The source.
    pub source: SourceName,
    /// The snapshot it now holds; `None` after an undo.
    pub id: Option<SnapshotId>,
    /// Files put in place.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that came from the repository.
    pub downloaded_bytes: u64,
    /// What was set aside; `restore SOURCE --undo` puts it back.
    pub aside: Option<PathBuf>,
    /// What could not be given back (owners, attributes).
    pub notes: Vec<String>,
}

/// Plans a restore.
///
/// # Errors
/// [`Error::Absent`], [`Error::Refused`] with the reason.
pub fn plan(ctx: &Context, name: &SnapshotName, options: &Options) -> Result<Plan, Error> {
    let _ = (ctx, name, options);
    Err(Error::Refused("not built".into()))
}

/// Carries a plan out. Any failure before "put in place" leaves the source untouched.
///
/// # Errors
/// [`Error::Damaged`], [`Error::Refused`], what the source gives.
pub fn run(ctx: &Context, plan: &Plan, wait: Waiting) -> Result<Outcome, Error> {
    let _ = (ctx, plan, wait);
    Err(Error::Refused("not built".into()))
}

/// Plans to put back what the last restore of a source has set aside.
///
/// # Errors
/// [`Error::Absent`] when there is none.
pub fn plan_undo(ctx: &Context, source: &SourceName) -> Result<UndoPlan, Error> {
    let _ = (ctx, source);
    Err(Error::Refused("not built".into()))
}

/// Puts it back; what is replaced by that is set aside in turn, so that an undo can be undone.
///
/// # Errors
/// [`Error::Refused`], what the source gives.
pub fn undo(ctx: &Context, plan: &UndoPlan, wait: Waiting) -> Result<Outcome, Error> {
    let _ = (ctx, plan, wait);
    Err(Error::Refused("not built".into()))
}

/// Finishes what a restore that was killed has left.
///
/// # Errors
/// What the source gives.
pub fn recover(ctx: &Context, spec: &super::spec::SourceSpec) -> Result<(), Error> {
    let _ = (ctx, spec);
    Ok(())
}

/// The undo of a source, if there is one.
///
/// # Errors
/// [`Error::File`].
pub fn undo_of(ctx: &Context, source: &SourceName) -> Result<Option<super::snapshots::Undo>, Error> {
    let _ = (ctx, source);
    Ok(None)
}
