//! What a prune has done, and what it could not.

use jiff::Timestamp;
use serde::Serialize;

use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::Error;
use crate::ops::error::chain;
use crate::ops::node::Remote;
use crate::repository::{self, BucketLock, OldVersions};

/// Most answers that are noted as missing: each of many locked objects may lack one.
const UNTOLD_MAX: usize = 10;

/// Refusals that speak of a lock and are checked, one question each; whoever was right so often is believed.
const LOCKS_ASKED: u64 = 10;

/// Objects and their stored bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How many.
    pub objects: u64,
    /// Their stored bytes.
    pub bytes: u64,
}

impl Tally {
    /// Counts an object of this size.
    pub(in crate::ops) fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// A snapshot that was removed, or in a dry run would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The source.
    pub source: SourceName,
    /// Its id.
    pub id: SnapshotId,
    /// Why.
    pub why: String,
}

/// What was done, or in a dry run would be.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// Snapshots.
    pub removed: Vec<Removed>,
    /// Manifest bodies of shipments that were broken off.
    pub bodies: u64,
    /// Packs and lists that snapshots need.
    pub live: Tally,
    /// Packs and lists that nothing names, newly marked.
    pub marked: Tally,
    /// Marked ones whose time has not come.
    pub waiting: Tally,
    /// When the time of the first of these comes, by the store's clock.
    pub next_deletion: Option<Timestamp>,
    /// Marked ones that were deleted.
    pub deleted: Tally,
    /// Packs and lists that nothing names, but that are newer than the newest manifest: a shipment may be under way.
    pub unsettled: Tally,
    /// What writes that were killed have left in a repository that is a folder, and was removed: no listing shows it.
    pub remnants: Tally,
    /// Why deleting stopped: the credential may not.
    pub denied: Option<String>,
    /// Objects that the store did not delete because they are locked; manifests count without bytes. A later prune deletes them.
    pub locked: Tally,
    /// When the last of the first of these locks ends.
    pub locked_until: Option<Timestamp>,
    /// Whether the store keeps what is deleted as old versions.
    pub keeps_versions: bool,
    /// What it keeps in the node's part; `None` = nothing, or it does not tell.
    pub noncurrent: Option<OldVersions>,
    /// The bucket's object lock: how long at least an old version stays.
    pub object_lock: Option<BucketLock>,
    /// What could not be learnt of the bucket, and why.
    pub untold: Vec<String>,
}

/// What became of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It took place.
    Gone,
    /// The object is locked, which says nothing of others.
    Locked,
    /// The credential may not delete.
    Denied,
}

impl Outcome {
    /// What became of a change, and of so many bytes by a delete. What is denied to the credential ends all deleting, a locked object is left;
    /// neither ends the run.
    pub(super) fn fate(&mut self, remote: &Remote, changed: Result<(), repository::Error>, bytes: u64) -> Result<Fate, Error> {
        match changed {
            Ok(()) => Ok(Fate::Gone),
            Err(error) if error.is_denied() => {
                if self.is_locked(remote, &error)? {
                    self.locked.add(bytes);
                    return Ok(Fate::Locked);
                }
                self.denied = Some(chain(&error));
                Ok(Fate::Denied)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether an object was left because it is locked, rather than because the credential may not delete. The words of the refusal may hold
    /// any name, so they are believed only when the store also says until when.
    fn is_locked(&mut self, remote: &Remote, error: &repository::Error) -> Result<bool, Error> {
        let repository::Error::Denied { at, .. } = error else { return Ok(false) };
        if !error.is_locked() {
            return Ok(false);
        }
        if self.locked.objects >= LOCKS_ASKED {
            return Ok(true);
        }
        let until = self.told(remote.store.object_lock(&at.key))?.and_then(|lock| lock.until);
        self.locked_until = self.locked_until.max(until);
        Ok(until.is_some() || error.has_lock_code())
    }

    /// An answer about the bucket. Whoever prunes can do without it, so that there is none is noted; only a stop ends the run.
    pub(super) fn told<T>(&mut self, answer: Result<T, repository::Error>) -> Result<Option<T>, Error> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error @ repository::Error::Stopped { .. }) => Err(error.into()),
            Err(error) => {
                let untold = chain(&error);
                if self.untold.len() < UNTOLD_MAX {
                    self.untold.push(untold);
                }
                Ok(None)
            }
        }
    }
}
