//! The pack list: beside each file list, in plain text, the packs that it refers to.
//!
//! It is what `verify --quick` and prune read, so they need no key in an encrypted repository.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::{FormatError, number};

/// One pack that a file list refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackRef {
    /// The pack's name.
    pub pack: Digest,
    /// Its stored size in bytes.
    #[serde(with = "number")]
    pub stored: u64,
}

/// The text of a pack list: a line for each pack, ascending by name.
pub fn write(packs: &[PackRef]) -> Vec<u8> {
    let mut text = Vec::with_capacity(packs.len() * 110);
    for pack in packs {
        serde_json::to_writer(&mut text, pack).expect("a pack reference is plain JSON");
        text.push(b'\n');
    }
    text
}

/// Reads a pack list.
///
/// # Errors
/// Names that do not ascend, or a line that is not a pack reference.
pub fn read(text: &[u8]) -> Result<Vec<PackRef>, FormatError> {
    let mut packs: Vec<PackRef> = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").ok_or_else(|| FormatError::invalid("the pack list ends inside a line"))?;
        let pack: PackRef = serde_json::from_slice(line)?;
        if packs.last().is_some_and(|last| last.pack >= pack.pack) {
            return Err(FormatError::invalid("the pack list is not in ascending order"));
        }
        packs.push(pack);
    }
    Ok(packs)
}
