//! Snapshots as `list` shows them, any number of them: those in the repository lie on disk and are read as often as needed.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::io;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;
use super::listed::Id;
use super::snapshots::DAMAGED_MANIFEST;
use crate::format::head::ProblemCount;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::sys::spool::{self, Spool};

/// Bytes of rows that stay in memory: some 200 rows, so most nodes need no temporary file.
const MEMORY: usize = 64 << 10;

/// Where a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// On the node only.
    Local,
    /// In the repository only.
    Shipped,
    /// On the node and in the repository.
    Both,
}

/// One snapshot, as `list` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its id.
    pub id: SnapshotId,
    /// The node that took it.
    pub node: NodeName,
    /// Its source.
    pub source: SourceName,
    /// The source's kind.
    pub kind: String,
    /// The instant it was taken.
    pub time: Timestamp,
    /// Where it is.
    #[serde(rename = "where")]
    pub place: Place,
    /// Regular files and hard links.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Stored bytes it needs in the repository; `None` when it is not there.
    pub stored_bytes: Option<u64>,
    /// Stored bytes it added to the repository; `None` when it is not there.
    pub added_bytes: Option<u64>,
    /// What went wrong while it was taken; empty when sound.
    pub problems: Vec<ProblemCount>,
    /// Whether its id is more than a day ahead of the clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub future: bool,
    /// Number of the manifest that counts in the repository; `None` when it is not there.
    #[serde(skip)]
    pub manifest: Option<u32>,
}

/// Rows in order: by source, oldest snapshot first.
#[derive(Debug, Default)]
pub struct Rows {
    /// In order; all but those beside.
    spool: Spool,
    /// Those that are not in the repository, and those whose manifests changed while they were listed: a few.
    beside: BTreeMap<Id, Row>,
    /// Manifests that are known to be damaged.
    damaged: BTreeSet<(SourceName, SnapshotId, u32)>,
    folder: PathBuf,
}

impl Rows {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.spool.len() + self.beside.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads them from the beginning.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rows: self, reader: self.spool.read(), ahead: None, beside: self.beside.values().peekable() }
    }

    /// Adds to the rows of these manifests that they are known to be damaged.
    pub(super) fn mark(&mut self, damaged: BTreeSet<(SourceName, SnapshotId, u32)>) {
        self.damaged = damaged;
    }

    fn marked(&self, mut row: Row) -> Row {
        let is_damaged = |n| !self.damaged.is_empty() && self.damaged.contains(&(row.source.clone(), row.id, n));
        if row.manifest.is_some_and(is_damaged) {
            row.problems.push(ProblemCount { kind: DAMAGED_MANIFEST.to_owned(), count: 1 });
        }
        row
    }
}

/// A few rows, in memory.
impl From<BTreeMap<Id, Row>> for Rows {
    fn from(beside: BTreeMap<Id, Row>) -> Self {
        Self { beside, ..Self::default() }
    }
}

impl<'a> IntoIterator for &'a Rows {
    type Item = Result<Row, Error>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Reads [`Rows`]; fails where their temporary file cannot be read.
pub struct Iter<'a> {
    rows: &'a Rows,
    reader: spool::Reader<'a>,
    /// The next row of the spool, once it has been read.
    ahead: Option<Row>,
    beside: Peekable<btree_map::Values<'a, Id, Row>>,
}

impl Iter<'_> {
    fn read(&mut self) -> Result<Option<Row>, Error> {
        let Some(record) = self.reader.next()? else { return Ok(None) };
        let failed = Error::file("read a temporary file in", &self.rows.folder);
        let (manifest, row): (_, Row) = serde_json::from_slice(record).map_err(|cause| failed(io::Error::from(cause)))?;
        Ok(Some(Row { manifest, ..row }))
    }
}

impl Iterator for Iter<'_> {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ahead.is_none() {
            match self.read() {
                Ok(row) => self.ahead = row,
                Err(error) => return Some(Err(error)),
            }
        }
        let beside = self.beside.next_if(|row| self.ahead.as_ref().is_none_or(|ahead| (&row.source, row.id) < (&ahead.source, ahead.id)));
        let row = beside.cloned().or_else(|| self.ahead.take())?;
        Some(Ok(self.rows.marked(row)))
    }
}

/// Takes [`Rows`].
pub(super) struct RowsWriter {
    spool: spool::Writer,
    /// The last one in the spool.
    last: Option<Id>,
    beside: BTreeMap<Id, Row>,
    folder: PathBuf,
}

impl RowsWriter {
    /// Rows with those of the local copies, and more in a temporary file in `folder`.
    pub(super) fn new(folder: &Path, local: BTreeMap<Id, Row>) -> Self {
        Self { spool: spool::Writer::new(folder, MEMORY), last: None, beside: local, folder: folder.to_owned() }
    }

    /// Takes back the row of a local copy.
    pub(super) fn take_local(&mut self, id: &Id) -> Option<Row> {
        self.beside.remove(id)
    }

    /// Adds a row. One that does not come in order stays in memory.
    ///
    /// # Errors
    /// [`Error::System`] when it cannot be written, most likely because the disk is full.
    pub(super) fn push(&mut self, row: Row) -> Result<(), Error> {
        let id = (row.source.clone(), row.id);
        if self.last.as_ref().is_some_and(|last| *last >= id) {
            self.beside.insert(id, row);
            return Ok(());
        }
        // The number is no part of what is shown.
        let record = serde_json::to_vec(&(row.manifest, &row)).expect("plain JSON");
        self.spool.push(&record)?;
        self.last = Some(id);
        Ok(())
    }

    /// All of them, to be read.
    ///
    /// # Errors
    /// As [`RowsWriter::push`].
    pub(super) fn finish(self) -> Result<Rows, Error> {
        Ok(Rows { spool: self.spool.finish()?, beside: self.beside, damaged: BTreeSet::new(), folder: self.folder })
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
