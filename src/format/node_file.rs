//! The node file: which machine a node's name belongs to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::FormatError;
use super::head::check_version;
use super::names::NodeName;
use super::self_digest::{check_own_digest, with_own_digest};

/// `node.<n>.json`: the UUID of the machine that ships under this name. The highest number counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFile {
    /// Format version.
    pub format: u32,
    /// The node's name.
    pub node: NodeName,
    /// A UUID made at the node's first use of Windlass.
    pub uuid: String,
    /// When it was written.
    pub created: Timestamp,
}

impl NodeFile {
    /// The JSON text.
    pub fn to_text(&self) -> Vec<u8> {
        with_own_digest(serde_json::to_vec(self).expect("a node file is plain JSON"))
    }

    /// Reads a node file; the version is looked at before anything else.
    ///
    /// # Errors
    /// Any [`FormatError`].
    pub fn from_text(text: &[u8]) -> Result<Self, FormatError> {
        check_version(text)?;
        check_own_digest(text)?;
        let file: Self = serde_json::from_slice(text)?;
        if !is_uuid(&file.uuid) {
            return Err(FormatError::invalid(format!("the node id `{}` is not a UUID", file.uuid)));
        }
        Ok(file)
    }
}

/// Whether a text is a UUID in its lower-case form (RFC 9562).
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}
