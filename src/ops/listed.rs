//! What a listing shows of a node's manifests, snapshot by snapshot: sorted on disk, because there may be any number of them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::by_number::ByNumber;
use super::node::Remote;
use super::{Context, Error};
use crate::format::key::{Key, NodeKey};
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::sys::sorter::{Sorted, Sorter};

/// Bytes of a listing that are sorted in memory: the manifests of some 1,000 snapshots, so most nodes need no temporary file.
const SORT_BUDGET: usize = 128 << 10;

/// Which of the two parts of a manifest an object is.
const HEAD: u8 = 0;
const BODY: u8 = 1;

/// What a listing tells of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its stored length in bytes.
    pub size: u64,
    /// When it was stored, by the store's clock.
    pub modified: Timestamp,
}

/// The listed manifests of one snapshot, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Heads.
    pub heads: ByNumber,
    /// Bodies.
    pub bodies: ByNumber,
}

impl Numbers {
    /// All numbers, from the lowest.
    pub fn all(&self) -> BTreeSet<u32> {
        self.heads.numbers().chain(self.bodies.numbers()).collect()
    }

    fn insert(&mut self, object: &Object) {
        let map = if object.part == HEAD { &mut self.heads } else { &mut self.bodies };
        map.insert(object.n, object.stored);
    }
}

/// A snapshot of a node.
pub(super) type Id = (SourceName, SnapshotId);

/// The manifests that one listing has shown, by source, oldest snapshot first.
#[derive(Debug)]
pub(super) struct Listed {
    sorted: Sorted,
    /// The first object of the next snapshot, once it has been read.
    ahead: Option<Object>,
    folder: PathBuf,
}

impl Listed {
    /// Lists the manifests below a prefix; `unknown` is told of keys that are none.
    ///
    /// # Errors
    /// What the store gives; [`Error::System`] when `folder` takes no temporary file and one is needed.
    pub(super) fn below(
        ctx: &Context,
        remote: &Remote,
        prefix: &str,
        folder: &Path,
        unknown: &mut dyn FnMut(String),
    ) -> Result<Self, Error> {
        let mut sorter = Sorter::new(folder, SORT_BUDGET);
        remote.each_object(ctx, prefix, &mut |object| {
            let stored = Stored { size: object.size, modified: object.modified };
            let (part, source, id, n) = match Key::parse(&object.key) {
                Some(Key::Of(_, NodeKey::Head(source, id, n))) => (HEAD, source, id, n),
                Some(Key::Of(_, NodeKey::Body(source, id, n))) => (BODY, source, id, n),
                _ => {
                    unknown(object.key);
                    return Ok(());
                }
            };
            Ok(sorter.push(&Object { id: (source, id), part, n, stored }.to_record())?)
        })?;
        Ok(Self { sorted: sorter.sorted()?, ahead: None, folder: folder.to_owned() })
    }

    /// The next snapshot with all that is listed of it, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::System`] and [`Error::File`] when the temporary file cannot be read.
    pub(super) fn next_snapshot(&mut self) -> Result<Option<(Id, Numbers)>, Error> {
        let first = match self.ahead.take() {
            Some(object) => object,
            None => match self.next_object()? {
                Some(object) => object,
                None => return Ok(None),
            },
        };
        let mut numbers = Numbers::default();
        numbers.insert(&first);
        while let Some(object) = self.next_object()? {
            if object.id != first.id {
                self.ahead = Some(object);
                break;
            }
            numbers.insert(&object);
        }
        Ok(Some((first.id, numbers)))
    }

    fn next_object(&mut self) -> Result<Option<Object>, Error> {
        let Some(record) = self.sorted.next()? else { return Ok(None) };
        let other_bytes = || Error::file("read a temporary file in", &self.folder)(io::ErrorKind::InvalidData.into());
        Object::from_record(record).ok_or_else(other_bytes).map(Some)
    }
}

/// One half of a manifest, as it is listed.
#[derive(Debug, PartialEq, Eq)]
struct Object {
    id: Id,
    part: u8,
    n: u32,
    stored: Stored,
}

impl Object {
    /// A record whose bytes are in the order of sources and ids: no name holds a zero, and ids sort as text.
    fn to_record(&self) -> Vec<u8> {
        let mut record = Vec::with_capacity(96);
        record.extend_from_slice(self.id.0.as_str().as_bytes());
        record.push(0);
        record.extend_from_slice(self.id.1.to_string().as_bytes());
        record.push(self.part);
        record.extend_from_slice(&self.n.to_be_bytes());
        record.extend_from_slice(&self.stored.size.to_be_bytes());
        record.extend_from_slice(&self.stored.modified.as_nanosecond().to_be_bytes());
        record
    }

    fn from_record(record: &[u8]) -> Option<Self> {
        let end = record.iter().position(|byte| *byte == 0)?;
        let source = std::str::from_utf8(&record[..end]).ok()?.parse().ok()?;
        let (rest, modified) = record[end + 1..].split_last_chunk()?;
        let (rest, size) = rest.split_last_chunk()?;
        let (rest, n) = rest.split_last_chunk()?;
        let (part, id) = rest.split_last()?;
        let id = std::str::from_utf8(id).ok()?.parse().ok()?;
        let modified = Timestamp::from_nanosecond(i128::from_be_bytes(*modified)).ok()?;
        let stored = Stored { size: u64::from_be_bytes(*size), modified };
        Some(Self { id: (source, id), part: *part, n: u32::from_be_bytes(*n), stored })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(source: &str, id: &str, part: u8, n: u32) -> Object {
        let modified = Timestamp::from_nanosecond(1_795_000_000_123_456_789).unwrap();
        Object { id: (source.parse().unwrap(), id.parse().unwrap()), part, n, stored: Stored { size: u64::from(n) << 40, modified } }
    }

    #[test]
    fn records_are_in_the_order_of_sources_ids_parts_and_numbers_and_say_all() {
        // In the order in which a map has them; a name that begins another, and what lies between them as text.
        let objects = [
            object("tree", "19991231T235959999Z", BODY, 1),
            object("tree", "20261123T000000123Z", HEAD, 1),
            object("tree", "20261123T000000123Z", HEAD, 2),
            object("tree", "20261123T000000123Z", HEAD, 256),
            object("tree", "20261123T000000123Z", BODY, 1),
            object("tree-1", "20261123T000000123Z", HEAD, 1),
            object("tree.1", "20001123T000000123Z", HEAD, 1),
            object("tree1", "20001123T000000123Z", HEAD, 1),
        ];
        let records: Vec<Vec<u8>> = objects.iter().map(Object::to_record).collect();
        assert!(records.is_sorted() && objects.iter().map(|object| &object.id).is_sorted());
        for (object, record) in objects.iter().zip(&records) {
            assert_eq!(Object::from_record(record).as_ref(), Some(object));
        }
        assert_eq!(Object::from_record(&records[0][1..20]), None);
    }

    #[test]
    fn the_objects_of_each_snapshot_come_together() {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(folder.path(), 100);
        let (old, new) = ("20261123T000000123Z", "20261124T000000123Z");
        for object in [object("b", new, BODY, 1), object("a", new, HEAD, 3), object("b", old, HEAD, 1), object("a", new, BODY, 2)] {
            sorter.push(&object.to_record()).unwrap();
        }
        let mut listed = Listed { sorted: sorter.sorted().unwrap(), ahead: None, folder: folder.path().to_owned() };
        let mut seen = Vec::new();
        while let Some((id, numbers)) = listed.next_snapshot().unwrap() {
            let numbers_of = |map: &ByNumber| map.numbers().collect::<Vec<_>>();
            seen.push((format!("{}/{}", id.0, id.1), numbers_of(&numbers.heads), numbers_of(&numbers.bodies)));
        }
        let expected =
            [(format!("a/{new}"), vec![3], vec![2]), (format!("b/{old}"), vec![1], vec![]), (format!("b/{new}"), vec![], vec![1])];
        assert_eq!(seen, expected);
    }
}
