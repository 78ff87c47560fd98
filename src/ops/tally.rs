//! What the snapshots of each source come to, read once and one at a time.

use std::collections::BTreeMap;

use super::Error;
use super::snapshots::{DAMAGED_COPY, Place, Rows};
use crate::format::head::ProblemCount;
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;

/// What the snapshots of one source come to. Of what lies in the repository, only what must be told is named.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Its newest local copy that is not from the future.
    pub(super) copy: Option<SnapshotId>,
    /// Its newest snapshot in the repository that is not from the future.
    pub(super) shipped: Option<SnapshotId>,
    /// Local copies.
    pub(super) copies: usize,
    /// Local copies that are not in the repository, oldest first.
    pub(super) local_only: Vec<SnapshotId>,
    /// Snapshots from the future, oldest first.
    pub(super) future: Vec<SnapshotId>,
    /// Local copies that are known to be damaged, oldest first.
    pub(super) damaged: Vec<SnapshotId>,
    /// What went wrong while the newest one that is not from the future was taken.
    pub(super) problems: Vec<ProblemCount>,
}

impl Tally {
    /// What these rows come to, by source; a source without snapshots has no entry.
    ///
    /// # Errors
    /// What reading the rows gives.
    pub(super) fn of(rows: &Rows) -> Result<BTreeMap<SourceName, Self>, Error> {
        let mut tallies: BTreeMap<SourceName, Self> = BTreeMap::new();
        // Rows of a source ascend by id, so the last one stays.
        for row in rows {
            let row = row?;
            let tally = tallies.entry(row.source).or_default();
            let is_here = row.place != Place::Shipped;
            tally.copies += usize::from(is_here);
            if row.place == Place::Local {
                tally.local_only.push(row.id);
            }
            if row.problems.iter().any(|problem| problem.kind == DAMAGED_COPY) {
                tally.damaged.push(row.id);
            }
            if row.future {
                tally.future.push(row.id);
                continue;
            }
            if is_here {
                tally.copy = Some(row.id);
            }
            if row.place != Place::Local {
                tally.shipped = Some(row.id);
            }
            tally.problems = row.problems;
        }
        Ok(tallies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::snapshots::Row;

    #[test]
    fn what_is_from_the_future_is_named_and_never_the_newest() {
        let row = |id: &str, place, future, problem: &str| {
            let id: SnapshotId = id.parse().unwrap();
            let row = Row {
                id,
                node: "n".parse().unwrap(),
                source: "tree".parse().unwrap(),
                kind: "directory".into(),
                time: id.to_timestamp(),
                place,
                files: 0,
                bytes: 0,
                stored_bytes: None,
                added_bytes: None,
                problems: vec![ProblemCount { kind: problem.into(), count: 1 }],
                future,
                manifest: None,
            };
            ((row.source.clone(), id), row)
        };
        let ids = ["20261120T000000000Z", "20261121T000000000Z", "20261122T000000000Z", "20271123T000000000Z"];
        let rows = BTreeMap::from([
            row(ids[0], Place::Both, false, DAMAGED_COPY),
            row(ids[1], Place::Shipped, false, "first"),
            row(ids[2], Place::Local, false, "second"),
            row(ids[3], Place::Both, true, "third"),
        ]);
        let id = |n: usize| ids[n].parse::<SnapshotId>().unwrap();
        let expected = Tally {
            copy: Some(id(2)),
            shipped: Some(id(1)),
            copies: 3,
            local_only: vec![id(2)],
            future: vec![id(3)],
            damaged: vec![id(0)],
            problems: vec![ProblemCount { kind: "second".into(), count: 1 }],
        };
        let tallies = Tally::of(&Rows::from(rows)).unwrap();
        assert_eq!(tallies.into_iter().collect::<Vec<_>>(), [("tree".parse().unwrap(), expected)]);
    }
}
