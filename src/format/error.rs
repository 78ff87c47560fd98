//! Why a stored text was refused.

use thiserror::Error;

/// A stored or typed text that does not follow the format. Says what was wrong; the caller adds where.
#[derive(Debug, Error)]
pub enum FormatError {
    /// A digest is not 64 lower-case hexadecimal digits.
    #[error("`{0}` is not a SHA-256 in 64 lower-case hexadecimal digits")]
    Digest(String),
    /// A snapshot id is not of the form `20261123T000000123Z`.
    #[error("`{0}` is not a snapshot id (like 20261123T000000123Z)")]
    SnapshotId(String),
    /// A node or source name does not match `[a-z0-9][a-z0-9._-]{0,62}`.
    #[error("`{0}` is not a name: use 1 to 63 of a-z 0-9 . _ - and begin with a letter or a digit")]
    Name(String),
    /// A relative path is absolute, empty in a part, or climbs.
    #[error("unsafe path `{path}`: {why}")]
    Path {
        /// The path, escaped.
        path: String,
        /// What is unsafe about it.
        why: &'static str,
    },
    /// A `%` is not followed by two hexadecimal digits.
    #[error("`{0}` has a `%` that two hexadecimal digits do not follow")]
    Escape(String),
    /// A document is not JSON of the expected shape.
    #[error("not the expected JSON")]
    Json(#[from] serde_json::Error),
    /// A line is longer than the format allows.
    #[error("a line of {length} bytes is above the limit of {limit}")]
    LineTooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A document is written in a version this program does not know.
    #[error("format version {0} is not known to this program: use a newer one; nothing was changed")]
    Version(u32),
    /// A value or an order that the format forbids.
    #[error("{0}")]
    Invalid(String),
}

impl FormatError {
    /// A [`FormatError::Invalid`] with this text.
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(what.into())
    }
}
