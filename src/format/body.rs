//! The manifest body: which file lists a snapshot consists of.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::limits::LINE_MAX;
use super::{FormatError, number};

/// What a list in a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The snapshot's files.
    Files,
    /// What a fresh node needs to know of the source, as files.
    Facts,
}

/// One file list of a snapshot, with its pack list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRef {
    /// What it is for.
    pub role: Role,
    /// The list's name: the SHA-256 of its stored bytes.
    pub list: Digest,
    /// Its stored size in bytes.
    #[serde(with = "number")]
    pub stored: u64,
    /// SHA-256 of the pack list beside it.
    pub packs_sha256: Digest,
    /// Length of the pack list in bytes.
    #[serde(with = "number")]
    pub packs_length: u64,
}

/// What a snapshot amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Regular files and hard links.
    #[serde(with = "number")]
    pub files: u64,
    /// Entries of every kind.
    #[serde(with = "number")]
    pub entries: u64,
    /// Bytes of all files, holes included, each hard-linked file once.
    #[serde(with = "number")]
    pub bytes: u64,
    /// Packs that the lists refer to, each counted once.
    #[serde(with = "number")]
    pub packs: u64,
    /// Stored bytes of those packs and of the lists.
    #[serde(with = "number")]
    pub stored_bytes: u64,
}

/// A manifest body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The lists: files in path order, then facts.
    pub lists: Vec<ListRef>,
    /// The closing counts.
    pub counts: Counts,
}

#[derive(Serialize, Deserialize)]
struct End {
    end: bool,
    #[serde(with = "number")]
    lists: u64,
    #[serde(flatten)]
    counts: Counts,
    sha256: Digest,
}

impl Body {
    /// The text: a line for each list, then the closing line with the SHA-256 of the lines before it.
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity((self.lists.len() + 1) * 280);
        for list in &self.lists {
            serde_json::to_writer(&mut text, list).expect("a list reference is plain JSON");
            text.push(b'\n');
        }
        let end = End { end: true, lists: self.lists.len() as u64, counts: self.counts, sha256: Digest::of(&text) };
        serde_json::to_writer(&mut text, &end).expect("the closing line is plain JSON");
        text.push(b'\n');
        text
    }

    /// Reads a body, and refuses one that is cut short, reordered into another digest, or followed by anything.
    ///
    /// # Errors
    /// Any [`FormatError`].
    pub fn from_text(text: &[u8]) -> Result<Self, FormatError> {
        let cut = || FormatError::invalid("the manifest body is cut short: its closing line is missing");
        let lines = text.strip_suffix(b"\n").ok_or_else(cut)?;
        let last = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (before, end) = lines.split_at(last);
        if end.len() > LINE_MAX {
            return Err(FormatError::LineTooLong { length: end.len(), limit: LINE_MAX });
        }
        let end: End = serde_json::from_slice(end).map_err(|_| cut())?;
        if !end.end || end.sha256 != Digest::of(before) {
            return Err(FormatError::invalid("the manifest body's lines do not match its closing SHA-256"));
        }
        let lists = before
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| Ok(serde_json::from_slice(line)?))
            .collect::<Result<Vec<ListRef>, FormatError>>()?;
        if lists.len() as u64 != end.lists {
            return Err(FormatError::invalid(format!("the manifest body holds {} lists and says {}", lists.len(), end.lists)));
        }
        Ok(Self { lists, counts: end.counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Body {
        let list = |n: u8| ListRef {
            role: Role::Files,
            list: Digest::of(&[n]),
            stored: 1 << 40,
            packs_sha256: Digest::of(b"packs"),
            packs_length: 110,
        };
        Body { lists: vec![list(1), list(2)], counts: Counts { files: 3, entries: 4, bytes: 5, packs: 1, stored_bytes: 6 } }
    }

    #[test]
    fn a_body_comes_back() {
        for body in [body(), Body::default()] {
            assert_eq!(Body::from_text(&body.to_text()).unwrap(), body);
        }
    }

    #[test]
    fn a_truncated_or_reordered_body_is_refused() {
        let text = body().to_text();
        for end in 0..text.len() {
            assert!(Body::from_text(&text[..end]).is_err(), "cut at {end}");
        }
        let text = String::from_utf8(text).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.swap(0, 1);
        assert!(Body::from_text(format!("{}\n", lines.join("\n")).as_bytes()).is_err());
        assert!(Body::from_text(format!("{text}{{}}\n").as_bytes()).is_err());
    }
}
