//! `snapshot`: takes a local copy of a source, then retires the copies that are one too many.

use super::context::Waiting;
use super::{Context, Error};
use crate::format::head::ProblemCount;
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use serde::Serialize;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How long to wait for another run on the source.
    pub wait: Waiting,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// A local copy that was taken, or in a dry run what would be.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The source.
    pub source: SourceName,
    /// The new snapshot; `None` in a dry run.
    pub id: Option<SnapshotId>,
    /// Regular files and hard links.
    pub files: u64,
    /// Their bytes; in a dry run an estimate.
    pub bytes: u64,
    /// Bytes that were read; the rest was unchanged and shared with the copy before.
    pub read_bytes: u64,
    /// What went wrong while it was taken; empty when sound.
    pub problems: Vec<ProblemCount>,
    /// Copies that were (or would be) removed because they were one too many.
    pub removed: Vec<SnapshotId>,
}

/// Takes a local copy. A crash leaves none or a whole one, and never harms an older one.
///
/// # Errors
/// [`Error::Refused`] when there is too little space; what the source gives.
pub fn run(ctx: &Context, source: &SourceName, options: &Options) -> Result<Outcome, Error> {
    let _ = (ctx, source, options);
    Err(Error::Refused("not built".into()))
}
