//! Records of the inventory as they are sorted on disk: object, then what is said of it.

use jiff::Timestamp;

use crate::format::digest::Digest;
use crate::format::key::NodeKey;

/// A pack, a file list or a pack list, by the digest in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::ops) enum Item {
    Pack(Digest),
    List(Digest),
    /// The one beside this file list.
    PackList(Digest),
}

impl Item {
    /// The item under a key, and whether it is encrypted; `None` for objects of other kinds.
    pub(super) fn of(key: &NodeKey) -> Option<(Self, bool)> {
        match key {
            NodeKey::Pack { name, sealed } => Some((Self::Pack(*name), *sealed)),
            NodeKey::FileList { name, sealed } => Some((Self::List(*name), *sealed)),
            NodeKey::PackList(name) => Some((Self::PackList(*name), false)),
            _ => None,
        }
    }

    pub(super) fn key(self, sealed: bool) -> NodeKey {
        match self {
            Self::Pack(name) => NodeKey::Pack { name, sealed },
            Self::List(name) => NodeKey::FileList { name, sealed },
            Self::PackList(name) => NodeKey::PackList(name),
        }
    }

    fn parts(&self) -> (u8, &Digest) {
        match self {
            Self::Pack(name) => (0, name),
            Self::List(name) => (1, name),
            Self::PackList(name) => (2, name),
        }
    }
}

/// Who names an object: source and snapshot, by their places in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::ops) struct Owner {
    pub(in crate::ops) source: u32,
    pub(in crate::ops) snapshot: u32,
}

impl Owner {
    pub(super) fn of(source: usize, snapshot: usize) -> Self {
        let small = |n| u32::try_from(n).expect("snapshots are far fewer");
        Self { source: small(source), snapshot: small(snapshot) }
    }

    pub(super) fn to_bytes(self) -> [u8; 8] {
        ((u64::from(self.source) << 32) | u64::from(self.snapshot)).to_be_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let both = u64::from_be_bytes(*bytes.first_chunk().expect("eight bytes"));
        let half = |shift| u32::try_from((both >> shift) & u64::from(u32::MAX)).expect("32 bits");
        Self { source: half(32), snapshot: half(0) }
    }

    /// The least and the greatest of the owners between two tags.
    pub(super) fn range(first: &[u8], last: &[u8]) -> (Self, Self) {
        (Self::from_bytes(first), Self::from_bytes(last))
    }
}

/// Something that is said of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// Bodies name it, as an object of this size: the least and the greatest of their owners.
    Named { item: Item, owners: (Owner, Owner), stored: u64 },
    /// This file of marks names it.
    Marked { item: Item, file: u32 },
    /// The store lists it.
    Listed { item: Item, size: u64, modified: Timestamp, sealed: bool },
}

impl Record {
    pub(super) fn item(&self) -> Item {
        match self {
            Self::Named { item, .. } | Self::Marked { item, .. } | Self::Listed { item, .. } => *item,
        }
    }

    /// Sorts by object; of one object what names it first, then marks, then the listing.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let item = self.item();
        let (kind, name) = item.parts();
        let mut bytes = [&[kind][..], name.as_bytes()].concat();
        match self {
            Self::Named { owners: (first, last), stored, .. } => {
                bytes.push(0);
                bytes.extend_from_slice(&first.to_bytes());
                bytes.extend_from_slice(&last.to_bytes());
                bytes.extend_from_slice(&stored.to_be_bytes());
            }
            Self::Marked { file, .. } => {
                bytes.push(1);
                bytes.extend_from_slice(&file.to_be_bytes());
            }
            Self::Listed { size, modified, sealed, .. } => {
                bytes.push(2);
                bytes.push(u8::from(sealed));
                bytes.extend_from_slice(&size.to_be_bytes());
                bytes.extend_from_slice(&modified.as_nanosecond().to_be_bytes());
            }
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let name = Digest::from_bytes(*bytes[1..].first_chunk().expect("a record has a digest"));
        let item = match bytes[0] {
            0 => Item::Pack(name),
            1 => Item::List(name),
            _ => Item::PackList(name),
        };
        let rest = &bytes[34..];
        match bytes[33] {
            0 => {
                let stored = u64::from_be_bytes(*rest[16..].first_chunk().expect("eight bytes"));
                Self::Named { item, owners: Owner::range(rest, &rest[8..]), stored }
            }
            1 => Self::Marked { item, file: u32::from_be_bytes(*rest.first_chunk().expect("four bytes")) },
            _ => {
                let size = u64::from_be_bytes(*rest[1..].first_chunk().expect("eight bytes"));
                let modified = i128::from_be_bytes(*rest[9..].first_chunk().expect("sixteen bytes"));
                let modified = Timestamp::from_nanosecond(modified).expect("it was made from one");
                Self::Listed { item, size, modified, sealed: rest[0] == 1 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_sort_by_object() {
        let (a, b) = (Item::Pack(Digest::of(b"a")), Item::PackList(Digest::of(b"b")));
        let modified = Timestamp::from_nanosecond(1_795_399_200_123_456_789).unwrap();
        let owners = (Owner::of(1, 2), Owner::of(1, 70_000));
        let records = [
            Record::Named { item: a, owners, stored: 7 },
            Record::Marked { item: a, file: 258 },
            Record::Listed { item: a, size: 1 << 40, modified, sealed: true },
            Record::Named { item: b, owners, stored: 1 << 40 },
        ];
        let bytes = records.map(Record::to_bytes);
        assert!(bytes.is_sorted());
        assert_eq!(bytes.map(|bytes| Record::from_bytes(&bytes)), records);
    }
}
