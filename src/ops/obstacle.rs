//! What stands in the way of deleting anything in a node's part of the repository: what cannot be recognised is never waste.

use std::collections::BTreeSet;

use super::catalogue::Catalogue;
use super::damage::settle;
use super::error::chain;
use super::node::Remote;
use super::{Context, Error, lost};
use crate::format::FormatError;
use crate::format::key::{Key, NodeKey};
use crate::format::limits::SMALL_MAX;
use crate::format::names::{NodeName, SourceName};
use crate::format::node_file::NodeFile;
use crate::format::snapshot_id::SnapshotId;

/// Why nothing is deleted.
#[derive(Debug)]
pub(super) struct Obstacle {
    /// The object.
    object: String,
    /// What is wrong with it.
    problem: String,
    /// Whether it is damage, rather than something that this program does not know.
    damage: bool,
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.object, self.problem)
    }
}

impl Obstacle {
    pub(super) fn damaged(object: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { object: object.into(), problem: problem.into(), damage: true }
    }

    pub(super) fn unknown(object: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { object: object.into(), problem: problem.into(), damage: false }
    }
}

/// What the manifests of a node have against deleting: what is damaged or unknown, unless a higher number of the same snapshot is complete,
/// and snapshots that are lost. What is recorded as removed stands in nobody's way.
///
/// # Errors
/// What the store gives.
pub(super) fn of_manifests(
    ctx: &Context,
    remote: &Remote,
    node: &NodeName,
    catalogue: &Catalogue,
    recorded: &BTreeSet<(SourceName, SnapshotId)>,
) -> Result<Vec<Obstacle>, Error> {
    let superseded = |key: &str| match Key::parse(key) {
        Some(Key::Of(_, NodeKey::Head(source, id, n) | NodeKey::Body(source, id, n))) => {
            let id = (source, id);
            recorded.contains(&id) || catalogue.snapshots.get(&id).is_some_and(|shipped| shipped.n() > n)
        }
        _ => false,
    };
    let findings = catalogue.findings.iter().filter(|finding| !superseded(&finding.object));
    let mut obstacles: Vec<Obstacle> = findings
        .map(|finding| Obstacle { object: finding.object.clone(), problem: finding.problem.clone(), damage: !finding.unknown })
        .collect();
    let lost = lost::find(ctx, remote, catalogue, node)?;
    obstacles.extend(lost.into_iter().map(|lost| Obstacle::damaged(lost.object, lost.problem)));
    Ok(obstacles)
}

/// What keys and node files have against deleting. Of node files the highest counts: below it, damage matters to nobody.
///
/// # Errors
/// What the store gives.
pub(super) fn of_listing(remote: &Remote, node: &NodeName, unknown: &[String], node_files: &[u32]) -> Result<Vec<Obstacle>, Error> {
    let strange = |key: &String| Obstacle::unknown(key, "this program does not know what it is");
    let mut obstacles: Vec<Obstacle> = unknown.iter().map(strange).collect();
    let highest = node_files.iter().max();
    for n in node_files {
        let key = NodeKey::Node(*n).of(node).to_string();
        let text = match settle(remote.store.get(&key, SMALL_MAX as u64))? {
            Ok(text) => text,
            Err(problem) if Some(n) == highest => {
                obstacles.push(Obstacle::damaged(key, problem.text));
                continue;
            }
            Err(_) => continue,
        };
        match NodeFile::from_text(&text) {
            Ok(_) => {}
            Err(cause @ FormatError::Version(_)) => obstacles.push(Obstacle::unknown(key, cause.to_string())),
            Err(cause) if Some(n) == highest => obstacles.push(Obstacle::damaged(key, chain(&cause))),
            Err(_) => {}
        }
    }
    Ok(obstacles)
}

/// Ends the run when anything stands in the way; each thing is told.
///
/// # Errors
/// [`Error::Damaged`] when any of it is damage, else [`Error::Refused`].
pub(super) fn check(ctx: &Context, mut obstacles: Vec<Obstacle>) -> Result<(), Error> {
    // Damage goes first: it is what must be mended.
    obstacles.sort_by_key(|obstacle| !obstacle.damage);
    for obstacle in obstacles.iter().skip(1) {
        ctx.warn(None, obstacle.to_string());
    }
    let Some(first) = obstacles.into_iter().next() else { return Ok(()) };
    if first.damage {
        let what = "nothing is deleted while it is so, because nobody can tell what it protects: `windlass verify` names all that is wrong";
        return Err(Error::damaged(first.object, format!("{}; {what}", first.problem)));
    }
    let what = "what cannot be recognised is never waste, so nothing is deleted while it is there: remove it if it is not Windlass's, or use a newer Windlass";
    Err(Error::Refused(format!("{}: {}; {what}", first.object, first.problem)))
}
