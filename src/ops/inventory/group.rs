//! What comes out of the inventory: all that is said of one object.

use jiff::Timestamp;

use super::record::{Item, Owner, Record};
use crate::format::key::NodeKey;
use crate::ops::Error;
use crate::sys::sorter::Sorted;

/// An object as the store lists it.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Listed {
    pub(in crate::ops) size: u64,
    pub(in crate::ops) modified: Timestamp,
    sealed: bool,
}

/// All that is said of one object.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Group {
    item: Item,
    /// The least and the greatest of the snapshots whose bodies name it.
    pub(in crate::ops) named: Option<(Owner, Owner)>,
    /// The least and the greatest of the sizes that they say it has.
    stored: Option<(u64, u64)>,
    /// The files of marks that name it.
    pub(in crate::ops) marks: Vec<u32>,
    /// The store lists it.
    pub(in crate::ops) listed: Option<Listed>,
}

impl Group {
    /// Where the listed object lies, from the node's folder.
    pub(in crate::ops) fn key(&self) -> NodeKey {
        self.item.key(self.listed.is_some_and(|listed| listed.sealed))
    }

    /// Whether it is listed at the size that whoever names it says.
    pub(in crate::ops) fn is_whole(&self) -> bool {
        self.listed.is_some_and(|listed| self.stored.is_none_or(|stored| stored == (listed.size, listed.size)))
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Named { owners: (first, last), stored, .. } => {
                self.stored = Some(self.stored.map_or((stored, stored), |known| (known.0.min(stored), known.1.max(stored))));
                self.named = Some(self.named.map_or((first, last), |known| (known.0.min(first), known.1.max(last))));
            }
            Record::Marked { file, .. } if self.marks.last() != Some(&file) => self.marks.push(file),
            Record::Marked { .. } => {}
            Record::Listed { size, modified, sealed, .. } => self.listed = Some(Listed { size, modified, sealed }),
        }
    }
}

/// The inventory, object by object.
pub(in crate::ops) struct Groups {
    records: Sorted,
    next: Option<Group>,
}

impl Groups {
    pub(super) fn new(records: Sorted) -> Self {
        Self { records, next: None }
    }

    /// The next object.
    ///
    /// # Errors
    /// What the disk gives.
    pub(in crate::ops) fn next(&mut self) -> Result<Option<Group>, Error> {
        while let Some(bytes) = self.records.next()? {
            let record = Record::from_bytes(bytes);
            match &mut self.next {
                Some(group) if group.item == record.item() => group.take(record),
                next => {
                    let mut group = Group { item: record.item(), named: None, stored: None, marks: Vec::new(), listed: None };
                    group.take(record);
                    if let Some(done) = next.replace(group) {
                        return Ok(Some(done));
                    }
                }
            }
        }
        Ok(self.next.take())
    }
}
