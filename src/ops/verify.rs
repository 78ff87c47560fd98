//! `verify`: proves that stored bytes are what the manifests say.

use serde::Serialize;

use super::name::SnapshotName;
use super::{Context, Error};
use crate::format::check::Level;
use crate::format::names::NodeName;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// How deep to look.
    pub level: Level,
    /// Only these snapshots; empty = everything the repository holds of the node, and the local copies.
    pub snapshots: Vec<SnapshotName>,
    /// Another node's part of the repository.
    pub node: Option<NodeName>,
}

/// One object that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The object's key, or the path of a local file.
    pub object: String,
    /// A snapshot that needs it, as `source/id`, where that is known.
    pub snapshot: Option<String>,
    /// What is wrong.
    pub problem: String,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Objects.
    pub objects: u64,
    /// Stored bytes that were read (all bytes of listed objects for a quick look).
    pub bytes: u64,
    /// The level that was reached.
    pub level: Level,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// How much was looked at.
    pub checked: Checked,
    /// Snapshots that were looked at, in the repository.
    pub snapshots: u64,
    /// Local copies that were looked at.
    pub local_copies: u64,
    /// What is damaged or missing.
    pub damage: Vec<Damage>,
    /// Objects that no manifest names (left by a broken run; prune removes them).
    pub unreferenced: u64,
    /// Objects whose names this version does not know.
    pub unexpected: Vec<String>,
}

/// Verifies; verdicts are recorded in the repository, so the next `backup` stores what is damaged anew.
///
/// # Errors
/// What the store gives. Damage is in the outcome, not an error.
pub fn run(ctx: &Context, options: &Options) -> Result<Outcome, Error> {
    let _ = (ctx, options);
    Err(Error::Refused("not built".into()))
}

/// The objects that are known not to be sound.
///
/// # Errors
/// What the store gives.
pub fn known(ctx: &Context, remote: &super::node::Remote, node: &NodeName) -> Result<crate::format::check::Known, Error> {
    let _ = (ctx, remote, node);
    Ok(crate::format::check::Known::default())
}
