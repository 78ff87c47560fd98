//! The removal record: a snapshot was removed on purpose, and its id never comes back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::FormatError;
use super::head::check_version;
use super::self_digest::{check_own_digest, with_own_digest};
use super::snapshot_id::SnapshotId;

/// `removed/<source>/<id>.json`. Its presence is what counts; what it says is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Format version.
    pub format: u32,
    /// The snapshot's id.
    pub id: SnapshotId,
    /// When it was removed, by the clock of the machine that did it.
    pub time: Timestamp,
    /// Why.
    pub why: String,
    /// The node whose program did it.
    pub by: String,
}

impl Removal {
    /// The JSON text.
    pub fn to_text(&self) -> Vec<u8> {
        with_own_digest(serde_json::to_vec(self).expect("a removal record is plain JSON"))
    }

    /// Reads a removal record; the version is looked at before anything else.
    ///
    /// # Errors
    /// Any [`FormatError`].
    pub fn from_text(text: &[u8]) -> Result<Self, FormatError> {
        check_version(text)?;
        check_own_digest(text)?;
        Ok(serde_json::from_slice(text)?)
    }
}
