//! The manifest head: the small document whose presence makes a shipped snapshot exist.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::limits::{FORMAT_VERSION, HEAD_MAX};
use super::names::{NodeName, SourceName};
use super::self_digest::{check_own_digest, with_own_digest};
use super::snapshot_id::SnapshotId;
use super::{FormatError, number};

/// How many problems of one kind a snapshot has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProblemCount {
    /// What is wrong, in one word: `changed`, `vanished`, `unreadable`, `special`, …
    pub kind: String,
    /// How often.
    pub count: u64,
}

/// Length and SHA-256 of the body that a head stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyRef {
    /// Length in bytes.
    #[serde(with = "number")]
    pub length: u64,
    /// SHA-256 of the body's text.
    pub sha256: Digest,
}

/// A manifest head. It holds no path and no digest of plain bytes, so it may be plain in an encrypted repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Format version.
    pub format: u32,
    /// The repository's id.
    pub repository: String,
    /// The node's name.
    pub node: NodeName,
    /// The source's name.
    pub source: SourceName,
    /// The source's kind: `directory`, `sqlite`, …
    pub kind: String,
    /// The snapshot's id.
    pub id: SnapshotId,
    /// Number of this manifest, from 1; the highest complete one counts.
    pub n: u32,
    /// Program and version that wrote it.
    pub agent: String,
    /// The instant of the snapshot (the same as `id`), RFC 3339.
    pub time: Timestamp,
    /// The civil date on the node at that instant, `YYYY-MM-DD`; retention counts by it.
    pub local_date: jiff::civil::Date,
    /// Regular files and hard links.
    #[serde(with = "number")]
    pub files: u64,
    /// Bytes of all files, holes included.
    #[serde(with = "number")]
    pub bytes: u64,
    /// Stored bytes that this snapshot added.
    #[serde(with = "number")]
    pub added_bytes: u64,
    /// Stored bytes of all packs and lists that it needs.
    #[serde(with = "number")]
    pub stored_bytes: u64,
    /// What went wrong while it was taken; empty when sound.
    pub problems: Vec<ProblemCount>,
    /// How old this snapshot may get before the next one is late, in seconds.
    #[serde(with = "number")]
    pub objective_seconds: u64,
    /// The snapshot of the same source that was the newest shipped one before.
    pub previous: Option<SnapshotId>,
    /// The newest shipped snapshots of the node's other sources, at most [`super::limits::OTHERS_MAX`].
    pub newest: BTreeMap<SourceName, SnapshotId>,
    /// Public recipients that packs and lists are sealed to; empty when not encrypted.
    pub recipients: Vec<String>,
    /// The body.
    pub body: BodyRef,
}

impl Head {
    /// The JSON text.
    ///
    /// # Errors
    /// [`FormatError::LineTooLong`] when it would be above [`HEAD_MAX`].
    pub fn to_text(&self) -> Result<Vec<u8>, FormatError> {
        let text = with_own_digest(serde_json::to_vec(self)?);
        if text.len() > HEAD_MAX {
            return Err(FormatError::LineTooLong { length: text.len(), limit: HEAD_MAX });
        }
        Ok(text)
    }

    /// Reads a head; the version is looked at before anything else.
    ///
    /// # Errors
    /// Any [`FormatError`].
    pub fn from_text(text: &[u8]) -> Result<Self, FormatError> {
        if text.len() > HEAD_MAX {
            return Err(FormatError::LineTooLong { length: text.len(), limit: HEAD_MAX });
        }
        check_version(text)?;
        check_own_digest(text)?;
        let head: Self = serde_json::from_slice(text)?;
        if head.id != SnapshotId::from_timestamp(head.time) {
            return Err(FormatError::invalid(format!("the head of {} speaks of the instant {}", head.id, head.time)));
        }
        Ok(head)
    }
}

/// Refuses a document whose `format` is not the one this program knows.
///
/// # Errors
/// [`FormatError::Version`], or [`FormatError::Json`] when there is no such number.
pub(crate) fn check_version(text: &[u8]) -> Result<(), FormatError> {
    #[derive(Deserialize)]
    struct Versioned {
        format: u32,
    }
    match serde_json::from_slice::<Versioned>(text)?.format {
        FORMAT_VERSION => Ok(()),
        other => Err(FormatError::Version(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        let id: SnapshotId = "20261123T000000123Z".parse().unwrap();
        let other = |n: usize| (format!("{n:0>63}").parse().unwrap(), id);
        Head {
            format: FORMAT_VERSION,
            repository: "6f2c1c5e-0f5b-4a53-9a0a-6dd2f0f1b7a1".into(),
            node: "n".repeat(63).parse().unwrap(),
            source: "s".repeat(63).parse().unwrap(),
            kind: "directory".into(),
            id,
            n: u32::MAX,
            agent: "windlass 0.1.0".into(),
            time: id.to_timestamp(),
            local_date: jiff::civil::date(2026, 11, 22),
            files: u64::MAX,
            bytes: u64::MAX,
            added_bytes: u64::MAX,
            stored_bytes: u64::MAX,
            problems: vec![ProblemCount { kind: "changed".into(), count: 3 }],
            objective_seconds: 93_600,
            previous: Some(id),
            newest: (0..super::super::limits::OTHERS_MAX).map(other).collect(),
            recipients: Vec::new(),
            body: BodyRef { length: 1, sha256: Digest::of(b"") },
        }
    }

    #[test]
    fn a_head_with_the_longest_names_comes_back_and_fits() {
        let head = head();
        assert_eq!(Head::from_text(&head.to_text().unwrap()).unwrap(), head);
    }

    #[test]
    fn another_version_is_named_and_not_guessed() {
        let text = String::from_utf8(head().to_text().unwrap()).unwrap().replace("\"format\":1", "\"format\":2");
        assert!(matches!(Head::from_text(text.as_bytes()), Err(FormatError::Version(2))));
        assert!(Head::from_text(b"{}").is_err());
    }
}
