//! Wanted blobs, and the records that they are sorted as.
//!
//! Numbers are big-endian, so that the order of bytes is the order of numbers.

use std::sync::Arc;

use crate::format::digest::Digest;
use crate::format::entry::Location;
use crate::format::path::RelPath;
use crate::ops::damage::Problem;

/// Bytes that a file of the target still lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Want {
    /// The file in the target.
    pub(super) path: Arc<RelPath>,
    /// Where a local copy and the file lists keep its bytes, if not under its own path.
    pub(super) stored: Option<Arc<RelPath>>,
    /// Where in the file.
    pub(super) offset: u64,
    /// How many bytes.
    pub(super) length: u32,
    /// Their digest.
    pub(super) digest: Digest,
    /// Whether they are the whole file, which is made when they are written.
    pub(super) whole: bool,
    /// Where they lie in the repository, where that is known.
    pub(super) at: Option<Location>,
}

/// Why bytes could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Why {
    /// In words.
    pub(super) text: Arc<str>,
    /// Whether what should have them could not be read, which says nothing of them.
    pub(super) is_unread: bool,
}

impl Why {
    /// What has them was read, and has other bytes.
    pub(super) fn damaged(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), is_unread: false }
    }
}

impl From<Problem> for Why {
    fn from(problem: Problem) -> Self {
        Self { is_unread: problem.verdict.is_none(), text: problem.text.into() }
    }
}

impl Want {
    /// The path under which a local copy and the file lists keep the bytes.
    pub(super) fn stored(&self) -> &RelPath {
        self.stored.as_ref().unwrap_or(&self.path)
    }

    /// A record that sorts by pack (in the order of these ordinals), then by place in the pack.
    ///
    /// # Panics
    /// When it is not known where the blob lies.
    pub(super) fn to_placed(&self, ordinal: u64) -> Vec<u8> {
        let at = self.at.expect("only a blob whose place is known is read from a pack");
        let mut record = Vec::with_capacity(160);
        record.extend_from_slice(&ordinal.to_be_bytes());
        record.extend_from_slice(&at.frame_offset.to_be_bytes());
        record.extend_from_slice(&at.frame_length.to_be_bytes());
        record.extend_from_slice(&at.offset.to_be_bytes());
        record.extend_from_slice(at.pack.as_bytes());
        self.put_rest(&mut record);
        record
    }

    /// The ordinal and the blob of a record that [`Want::to_placed`] made.
    pub(super) fn from_placed(record: &[u8]) -> (u64, Self) {
        let mut fields = Fields(record);
        let ordinal = fields.u64();
        let (frame_offset, frame_length, offset) = (fields.u64(), fields.u32(), fields.u32());
        let at = Location { pack: fields.digest(), frame_offset, frame_length, offset };
        (ordinal, Self { at: Some(at), ..fields.rest() })
    }

    /// A record that sorts by path in the file lists, then by place in the file.
    pub(super) fn to_unplaced(&self) -> Vec<u8> {
        let mut record = self.stored().sort_key();
        // No sort key holds two zero bytes in a row or ends with one, so a path sorts before those it begins.
        record.extend_from_slice(&[0, 0]);
        record.extend_from_slice(&self.offset.to_be_bytes());
        let key = u32::try_from(record.len()).expect("a path is shorter than a line");
        self.put_rest(&mut record);
        record.extend_from_slice(&key.to_be_bytes());
        record
    }

    /// The blob of a record that [`Want::to_unplaced`] made.
    pub(super) fn from_unplaced(record: &[u8]) -> Self {
        let (record, key) = record.split_last_chunk::<4>().expect("a record ends with the length of its key");
        Fields(&record[u32::from_be_bytes(*key) as usize..]).rest()
    }

    /// A record of a blob that could not be had, with the reason; it sorts by digest.
    pub(super) fn to_lacking(&self, why: &Why) -> Vec<u8> {
        let mut record = Vec::with_capacity(256);
        self.put_rest(&mut record);
        let rest = u32::try_from(record.len()).expect("a path is shorter than a line");
        record.extend_from_slice(&[u8::from(self.at.is_some()), u8::from(why.is_unread)]);
        if let Some(at) = &self.at {
            record.extend_from_slice(at.pack.as_bytes());
            record.extend_from_slice(&at.frame_offset.to_be_bytes());
            record.extend_from_slice(&at.frame_length.to_be_bytes());
            record.extend_from_slice(&at.offset.to_be_bytes());
        }
        record.extend_from_slice(why.text.as_bytes());
        record.extend_from_slice(&rest.to_be_bytes());
        record
    }

    /// The blob and the reason of a record that [`Want::to_lacking`] made.
    pub(super) fn from_lacking(record: &[u8]) -> (Self, Why) {
        let (record, rest) = record.split_last_chunk::<4>().expect("a record ends with the length of its first part");
        let (rest, tail) = record.split_at(u32::from_be_bytes(*rest) as usize);
        let mut fields = Fields(tail);
        let [is_placed, is_unread] = fields.take();
        let at = (is_placed == 1).then(|| {
            let (pack, frame_offset) = (fields.digest(), fields.u64());
            Location { pack, frame_offset, frame_length: fields.u32(), offset: fields.u32() }
        });
        (Self { at, ..Fields(rest).rest() }, Why { text: String::from_utf8_lossy(fields.0).into(), is_unread: is_unread == 1 })
    }

    fn put_rest(&self, record: &mut Vec<u8>) {
        record.extend_from_slice(self.digest.as_bytes());
        record.extend_from_slice(&self.length.to_be_bytes());
        record.extend_from_slice(&self.offset.to_be_bytes());
        record.push(u8::from(self.whole));
        let stored = self.stored.as_ref().map_or(&b""[..], |stored| stored.as_bytes());
        record.extend_from_slice(&u32::try_from(stored.len()).expect("a path is shorter than a line").to_be_bytes());
        record.extend_from_slice(stored);
        record.extend_from_slice(self.path.as_bytes());
    }
}

/// One frame that is wanted from a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Which pack, in the order in which packs first appeared.
    pub(super) ordinal: u64,
    /// The pack.
    pub(super) pack: Digest,
    /// Where the frame begins in it.
    pub(super) offset: u64,
    /// Its stored length.
    pub(super) length: u32,
}

impl Frame {
    pub(super) fn to_record(self) -> [u8; 52] {
        let mut record = [0; 52];
        record[..8].copy_from_slice(&self.ordinal.to_be_bytes());
        record[8..16].copy_from_slice(&self.offset.to_be_bytes());
        record[16..20].copy_from_slice(&self.length.to_be_bytes());
        record[20..].copy_from_slice(self.pack.as_bytes());
        record
    }

    pub(super) fn from_record(record: &[u8]) -> Self {
        let mut fields = Fields(record);
        let (ordinal, offset, length) = (fields.u64(), fields.u64(), fields.u32());
        Self { ordinal, offset, length, pack: fields.digest() }
    }
}

/// Takes a record of our own apart.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_first_chunk::<N>().expect("a record has all its fields");
        self.0 = rest;
        *head
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    fn digest(&mut self) -> Digest {
        Digest::from_bytes(self.take())
    }

    fn rest(mut self) -> Want {
        let digest = self.digest();
        let (length, offset) = (self.u32(), self.u64());
        let whole = self.take() == [1];
        let stored = self.u32() as usize;
        let (stored, path) = self.0.split_at(stored);
        let path_of = |bytes: &[u8]| Arc::new(RelPath::new(bytes).expect("a record holds a path that was checked"));
        let stored = Some(stored).filter(|stored| !stored.is_empty()).map(path_of);
        Want { path: path_of(path), stored, offset, length, digest, whole, at: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(path: &str, offset: u64) -> Want {
        let at = Location { pack: Digest::of(b"pack"), frame_offset: 1 << 20, frame_length: 77, offset: 512 };
        Want {
            path: Arc::new(RelPath::from_escaped(path).unwrap()),
            stored: None,
            offset,
            length: 9,
            digest: Digest::of(b"blob"),
            whole: offset == 5,
            at: Some(at),
        }
    }

    #[test]
    fn records_come_back() {
        let stored = Some(Arc::new(RelPath::from_escaped("first").unwrap()));
        for want in [want("a/b", 5), Want { stored, ..want("z", 1 << 40) }] {
            assert_eq!(Want::from_placed(&want.to_placed(7)), (7, want.clone()));
            let unplaced = Want { at: None, ..want.clone() };
            assert_eq!(Want::from_unplaced(&unplaced.to_unplaced()), unplaced);
            for want in [want, unplaced] {
                for is_unread in [false, true] {
                    let why = Why { text: "it is missing".into(), is_unread };
                    assert_eq!(Want::from_lacking(&want.to_lacking(&why)), (want.clone(), why));
                }
            }
        }
        let frame = Frame { ordinal: 3, pack: Digest::of(b"p"), offset: 24, length: 4 };
        assert_eq!(Frame::from_record(&frame.to_record()), frame);
    }

    #[test]
    fn unplaced_records_sort_as_paths_and_offsets_do() {
        let wants = [want("a", 1), want("a", 300), want("a/b", 0), want("a-b", 0), want("a.b", 0)];
        let records: Vec<_> = wants.iter().map(Want::to_unplaced).collect();
        assert!(records.is_sorted());
        let low_bytes = [want("a", u64::MAX), want("a%01", 0)];
        assert!(low_bytes.iter().map(Want::to_unplaced).is_sorted());
    }
}
