//! The marker: the document at the repository's root that says what it is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::FormatError;
use super::head::check_version;
use super::self_digest::{check_own_digest, with_own_digest};

/// Whether packs and file lists are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Stored as they are.
    None,
    /// Each one is an age file.
    Age,
}

/// `windlass.json`: written once by `init`, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Format version.
    pub format: u32,
    /// A UUID that names this repository, wherever it is copied to.
    pub repository: String,
    /// When it was created.
    pub created: Timestamp,
    /// Whether it is encrypted.
    pub encryption: Encryption,
}

impl Marker {
    /// The JSON text.
    pub fn to_text(&self) -> Vec<u8> {
        with_own_digest(serde_json::to_vec(self).expect("a marker is plain JSON"))
    }

    /// Reads a marker; the version is looked at before anything else.
    ///
    /// # Errors
    /// Any [`FormatError`].
    pub fn from_text(text: &[u8]) -> Result<Self, FormatError> {
        check_version(text)?;
        check_own_digest(text)?;
        let marker: Self = serde_json::from_slice(text)?;
        if !super::node_file::is_uuid(&marker.repository) {
            return Err(FormatError::invalid(format!("the repository id `{}` is not a UUID", marker.repository)));
        }
        Ok(marker)
    }
}
