//! `fetch`: puts the files of a snapshot into an empty folder, verified.

use std::path::PathBuf;

use serde::Serialize;

use super::name::SnapshotName;
use super::{Context, Error};
use crate::format::names::{NodeName, SourceName};
use crate::format::path::RelPath;
use crate::format::snapshot_id::SnapshotId;

/// A tier that bytes may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The local copy.
    Local,
    /// The repository.
    Repository,
    /// A folder that a fetch has filled before (restore only).
    Folder(PathBuf),
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The folder; it must be empty or not there yet.
    pub to: PathBuf,
    /// Only these paths and what is below them; empty = all.
    pub paths: Vec<RelPath>,
    /// Where bytes may come from, best first; empty = the local copy, then the repository.
    pub from: Vec<Origin>,
    /// Another node's snapshot.
    pub node: Option<NodeName>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was fetched, or in a dry run what would be.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The source.
    pub source: SourceName,
    /// The snapshot.
    pub id: SnapshotId,
    /// Regular files and hard links.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Bytes that came from the repository.
    pub downloaded_bytes: u64,
    /// What this filesystem or user could not be given (owners, attributes), at most 20 of them.
    pub notes: Vec<String>,
    /// How many such notes there are in all.
    pub noted: u64,
}

/// Fetches a snapshot; nothing is in the folder whose digest has not matched.
///
/// # Errors
/// [`Error::Refused`] when the folder is not empty; [`Error::Damaged`] naming the object when bytes are found in no tier.
pub fn run(ctx: &Context, name: &SnapshotName, options: &Options) -> Result<Outcome, Error> {
    let _ = (ctx, name, options);
    Err(Error::Refused("not built".into()))
}
