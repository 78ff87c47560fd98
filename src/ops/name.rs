//! How a person names a snapshot: `SOURCE/ID`, `SOURCE/latest`, or the beginning of an id.

use std::fmt;
use std::str::FromStr;

use super::Error;
use crate::format::names::SourceName;

/// What a person typed to mean one snapshot; not looked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotName {
    /// The source; may be left out where only one is meant.
    pub source: Option<SourceName>,
    /// Which of its snapshots.
    pub which: Which,
}

/// Which snapshot of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest one that is not from the future.
    Latest,
    /// The only one whose id begins like this.
    Prefix(String),
}

impl SnapshotName {
    /// The newest snapshot of a source.
    pub fn latest(source: SourceName) -> Self {
        Self { source: Some(source), which: Which::Latest }
    }
}

impl FromStr for SnapshotName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (source, which) = match text.rsplit_once('/') {
            Some((source, which)) => (Some(source.parse().map_err(|cause| Error::Usage(format!("`{text}`: {cause}")))?), which),
            None => (None, text),
        };
        if which == "latest" {
            return Ok(Self { source, which: Which::Latest });
        }
        let digit = which.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
        if digit && which.bytes().all(|byte| byte.is_ascii_digit() || byte == b'T' || byte == b'Z') {
            return Ok(Self { source, which: Which::Prefix(which.to_owned()) });
        }
        Err(Error::Usage(format!("`{text}` does not name a snapshot: write SOURCE/latest, SOURCE/ID or the beginning of an id")))
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{source}/")?;
        }
        match &self.which {
            Which::Latest => f.write_str("latest"),
            Which::Prefix(prefix) => f.write_str(prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_ways_to_name_a_snapshot_are_told_apart() {
        let parse = |text: &str| text.parse::<SnapshotName>();
        assert_eq!(parse("a/latest").unwrap(), SnapshotName::latest("a".parse().unwrap()));
        assert_eq!(parse("20261").unwrap(), SnapshotName { source: None, which: Which::Prefix("20261".into()) });
        assert_eq!(parse("a/20261123T000000123Z").unwrap().to_string(), "a/20261123T000000123Z");
        assert!(parse("a").is_err() && parse("../../2026").is_err() && parse("a/").is_err());
    }
}
