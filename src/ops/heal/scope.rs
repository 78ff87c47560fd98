//! What is to be healed: everything, some sources, or some snapshots.

use std::fmt;
use std::str::FromStr;

use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::Error;
use crate::ops::name::{SnapshotName, Which};

/// A source with all its snapshots, or one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// All snapshots of a source.
    Source(SourceName),
    /// One snapshot.
    Snapshot(SnapshotName),
}

impl FromStr for What {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.parse() {
            Ok(source) => Ok(Self::Source(source)),
            Err(_) => Ok(Self::Snapshot(text.parse()?)),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(source) => source.fmt(f),
            Self::Snapshot(name) => name.fmt(f),
        }
    }
}

/// The snapshots that are meant; `None` = all.
#[derive(Debug)]
pub(super) struct Scope(Option<Vec<(SourceName, SnapshotId)>>);

impl Scope {
    /// What is meant, among the snapshots that either tier knows of.
    ///
    /// # Errors
    /// [`Error::Absent`] for what means none of them.
    pub(super) fn of(what: &[What], known: &[(SourceName, SnapshotId)]) -> Result<Self, Error> {
        if what.is_empty() {
            return Ok(Self(None));
        }
        let mut meant = Vec::new();
        for what in what {
            let before = meant.len();
            match what {
                What::Source(source) => meant.extend(known.iter().filter(|(of, _)| of == source).cloned()),
                What::Snapshot(name) => {
                    let of_source = known.iter().filter(|(of, _)| name.source.as_ref().is_none_or(|source| source == of));
                    match &name.which {
                        Which::Latest => meant.extend(of_source.max_by_key(|(_, id)| *id).cloned()),
                        Which::Prefix(prefix) => meant.extend(of_source.filter(|(_, id)| id.to_string().starts_with(prefix)).cloned()),
                    }
                }
            }
            if meant.len() == before {
                return Err(Error::Absent(format!("there is no snapshot `{what}`: `windlass list` shows what there is")));
            }
        }
        Ok(Self(Some(meant)))
    }

    /// Whether this snapshot is meant.
    pub(super) fn wants(&self, source: &SourceName, id: SnapshotId) -> bool {
        self.0.as_ref().is_none_or(|meant| meant.iter().any(|(of, one)| (of, *one) == (source, id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_means_all_its_snapshots_and_a_name_of_nothing_is_told() {
        let id = |text: &str| text.parse::<SnapshotId>().unwrap();
        let (first, second) = (id("20261123T000000123Z"), id("20261124T000000123Z"));
        let (tree, other): (SourceName, SourceName) = ("tree".parse().unwrap(), "other".parse().unwrap());
        let known = [(tree.clone(), first), (tree.clone(), second), (other.clone(), first)];
        let wants = |text: &str| {
            let scope = Scope::of(&[text.parse().unwrap()], &known).unwrap();
            [scope.wants(&tree, first), scope.wants(&tree, second), scope.wants(&other, first)]
        };
        assert_eq!(wants("tree"), [true, true, false]);
        assert_eq!(wants("tree/latest"), [false, true, false]);
        assert_eq!(wants("20261123T000000123Z"), [true, false, true]);
        assert!(matches!(Scope::of(&["tree/2027".parse().unwrap()], &known), Err(Error::Absent(_))));
    }
}
