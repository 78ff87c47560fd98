//! What came of healing.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::remedy::Lost;
use super::scan::{Ill, Patient};
use crate::format::key::{MARKER, NodeKey};
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::elsewhere::Place;
use crate::ops::records;

/// What was healed, or in a dry run what would be.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// When damage was last recorded; `None` when no verification has recorded any.
    pub known_until: Option<Timestamp>,
    /// Snapshots that are sound again in the repository.
    pub healed: Vec<Healed>,
    /// Local copies that are sound again.
    pub copies: Vec<HealedCopy>,
    /// Snapshots and copies that are as damaged as before.
    pub unhealed: Vec<Unhealed>,
    /// Local copies that could not be looked at now, each with the reason; the next run does.
    pub postponed: Vec<(SourceName, SnapshotId, String)>,
    /// What only a person can mend.
    pub by_hand: Vec<ByHand>,
    /// Objects that were known to be damaged and have been put back.
    pub sound_again: Vec<String>,
    /// Places that blobs came from, where a snapshot had no sound local copy; at most 20 of each tier.
    pub elsewhere: Vec<Place>,
    /// Damaged objects that nothing needs any more.
    pub superseded: u64,
}

/// A snapshot that was written again.
#[derive(Debug, Serialize)]
pub struct Healed {
    /// The source.
    pub source: SourceName,
    /// The snapshot.
    pub id: SnapshotId,
    /// The number of its new manifest; `None` in a dry run.
    pub n: Option<u32>,
    /// `local copy` or `elsewhere`.
    pub from: &'static str,
    /// Plain bytes that lie nowhere they can be referred to, at most.
    pub bytes_to_store: u64,
    /// Stored bytes that it added; `None` in a dry run.
    pub added_bytes: Option<u64>,
    /// What it needed and was damaged, at most 20 objects.
    pub damage: Vec<Ill>,
}

/// A local copy that was made anew.
#[derive(Debug, Serialize)]
pub struct HealedCopy {
    /// The source.
    pub source: SourceName,
    /// The snapshot.
    pub id: SnapshotId,
    /// Files that were (or would be) written anew; the others were proven and kept. 0 when all of them had been put back.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A snapshot that cannot be healed.
#[derive(Debug, Serialize)]
pub struct Unhealed {
    /// The source.
    pub source: SourceName,
    /// The snapshot.
    pub id: SnapshotId,
    /// Whether it is the local copy.
    pub local: bool,
    /// Why.
    pub why: String,
    /// What is damaged, at most 20 objects.
    pub damage: Vec<Ill>,
    /// Files that are lost, the first 20 in path order.
    pub lost: Vec<String>,
    /// How many there are in all.
    pub lost_files: u64,
}

impl Unhealed {
    pub(super) fn without_lists(patient: &Patient, why: String) -> Self {
        let (source, id, damage) = (patient.source.clone(), patient.id, patient.ill.clone());
        Self { source, id, local: false, why, damage, lost: Vec::new(), lost_files: 0 }
    }

    pub(super) fn of_copy(source: &SourceName, id: SnapshotId, dir: &Path, problem: &str, why: String) -> Self {
        let damage = vec![Ill { object: dir.display().to_string(), problem: problem.to_owned() }];
        Self { source: source.clone(), id, local: true, why, damage, lost: Vec::new(), lost_files: 0 }
    }

    pub(super) fn without_blobs(patient: &Patient, lost: Lost) -> Self {
        let why = match (lost.files, lost.facts) {
            (0, _) => "the facts of its source lie sound nowhere; its files can be fetched all the same",
            (_, false) => "some of its bytes lie sound nowhere",
            (_, true) => "some of its bytes, and the facts of its source, lie sound nowhere",
        };
        let why = why.to_owned();
        Self { lost: lost.named, lost_files: lost.files, ..Self::without_lists(patient, why) }
    }
}

/// An object that only a person can mend.
#[derive(Debug, Serialize)]
pub struct ByHand {
    /// Its key.
    pub object: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub advice: &'static str,
}

impl ByHand {
    pub(super) fn of(object: &str, problem: String) -> Self {
        let advice = match object {
            MARKER => "write it again as \"Damage\" in docs/OPERATIONS.md says",
            _ => "if this machine is the node: `windlass init --adopt` writes the next one, and the damaged one no longer counts",
        };
        Self { object: object.to_owned(), problem, advice }
    }

    pub(super) fn of_record(record: &NodeKey, object: String, problem: String) -> Self {
        Self { object, problem, advice: records::advice(record) }
    }
}
