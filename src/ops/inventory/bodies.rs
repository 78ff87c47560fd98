//! The bodies that protect what they name: every one that is listed, whatever its number, and whether it has a head or not.

use crate::format::body::Body;
use crate::format::digest::Digest;
use crate::format::key::NodeKey;
use crate::format::limits::BODY_MAX;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::ops::Error;
use crate::ops::catalogue::Catalogue;
use crate::ops::damage::{Problem, settle};
use crate::ops::error::chain;
use crate::ops::node::Remote;
use crate::ops::obstacle::Obstacle;

/// What came of reading a body.
pub(super) enum Read {
    /// It is whole.
    Body(Body),
    /// It cannot be read, so nobody knows what it protects.
    Obstacle(Obstacle),
    /// It protects nothing: it was removed meanwhile, or a higher number is complete and this one cannot be read.
    Nothing,
}

/// Reads one body.
///
/// # Errors
/// What concerns the store as a whole.
pub(super) fn read(remote: &Remote, node: &NodeName, catalogue: &Catalogue, id: &(SourceName, SnapshotId), n: u32) -> Result<Read, Error> {
    let key = NodeKey::Body(id.0.clone(), id.1, n).of(node).to_string();
    let complete = catalogue.snapshots.get(id).map(|shipped| &shipped.head);
    let problem = match settle(remote.store.get(&key, BODY_MAX as u64))? {
        Ok(text) => match complete.filter(|head| head.n == n) {
            Some(head) if Digest::of(&text) != head.body.sha256 => Problem::damaged("its SHA-256 is not the one in the manifest head"),
            _ => match Body::from_text(&text) {
                Ok(body) => return Ok(Read::Body(body)),
                Err(cause) => Problem::damaged(chain(&cause)),
            },
        },
        Err(problem) if problem == Problem::missing() => {
            // Whoever removes a snapshot removes the head first.
            let head = NodeKey::Head(id.0.clone(), id.1, n).of(node).to_string();
            if remote.store.stat(&head)?.is_none() {
                return Ok(Read::Nothing);
            }
            problem
        }
        Err(problem) => problem,
    };
    match complete {
        Some(head) if head.n > n => Ok(Read::Nothing),
        _ => Ok(Read::Obstacle(Obstacle::damaged(key, problem.text))),
    }
}
