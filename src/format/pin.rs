//! The pin: a snapshot is kept whatever retention says, or no longer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::FormatError;
use super::head::check_version;
use super::self_digest::{check_own_digest, with_own_digest};
use super::snapshot_id::SnapshotId;

/// `pins/<source>/<id>.<n>.json`; the highest number counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Format version.
    pub format: u32,
    /// The snapshot's id.
    pub id: SnapshotId,
    /// Whether it is pinned from now on.
    pub pinned: bool,
    /// When this was said, by the clock of the machine that said it.
    pub time: Timestamp,
    /// Why; may be empty.
    pub why: String,
}

impl Pin {
    /// The JSON text.
    pub fn to_text(&self) -> Vec<u8> {
        with_own_digest(serde_json::to_vec(self).expect("a pin is plain JSON"))
    }

    /// Reads a pin; the version is looked at before anything else.
    ///
    /// # Errors
    /// Any [`FormatError`].
    pub fn from_text(text: &[u8]) -> Result<Self, FormatError> {
        check_version(text)?;
        check_own_digest(text)?;
        Ok(serde_json::from_slice(text)?)
    }
}
