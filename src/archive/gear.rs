//! Where content-defined pieces end, found in one pass without keeping the bytes.
//!
//! The cut points are those of FastCDC 2020 as the `fastcdc` crate finds them in a whole buffer (a test compares the two).
//! The crate wants a piece's longest possible run of bytes in memory at once; this scanner carries 16 bytes of state instead,
//! so that many files can be cut side by side.

use std::borrow::Cow;

use fastcdc::v2020::{Normalization, get_gear_with_seed, select_masks};

use crate::format::limits::BLOB_MAX;

/// Shortest piece but for the last of a file; part of the format.
pub(super) const MIN: usize = 64 << 10;
/// Length that pieces are drawn towards; part of the format.
pub(super) const AVERAGE: usize = 256 << 10;
/// Longest piece; part of the format.
pub(super) const MAX: usize = BLOB_MAX;
/// How strongly; part of the format.
pub(super) const LEVEL: Normalization = Normalization::Level1;

/// The state of a scan: the rolling hash, and how far into the piece it is.
#[derive(Clone, Debug)]
pub(super) struct Gear {
    table: &'static [u64; 256],
    /// The mask of a piece that is still below the average, and of one that is above: fewer bits, so that it ends sooner.
    masks: (u64, u64),
    hash: u64,
    length: usize,
}

impl Gear {
    /// A scanner at the beginning of a piece.
    pub(super) fn new() -> Self {
        let Cow::Borrowed(table) = get_gear_with_seed(0).0 else { unreachable!("the table without a seed is a constant") };
        let table = table.try_into().expect("the table has a place for every byte");
        Self { table, masks: select_masks(AVERAGE, LEVEL), hash: 0, length: 0 }
    }

    /// Takes as many of `bytes` as belong to the current piece; the flag says that the piece ends there.
    ///
    /// A piece may end before the first of `bytes`, so nothing may be taken.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = (MIN.saturating_sub(self.length)).min(bytes.len());
        self.length += at;
        for (end, mask) in [(AVERAGE, self.masks.0), (MAX, self.masks.1)] {
            let until = at + end.saturating_sub(self.length).min(bytes.len() - at);
            if let Some(taken) = self.scan(&bytes[at..until], mask) {
                self.restart();
                return (at + taken, true);
            }
            self.length += until - at;
            at = until;
        }
        let ends = self.length == MAX;
        if ends {
            self.restart();
        }
        (at, ends)
    }

    /// Begins a new piece.
    pub(super) fn restart(&mut self) {
        self.hash = 0;
        self.length = 0;
    }

    /// How many bytes come before the one that ends the piece.
    ///
    /// Two bytes a step, the second hash from the first's predecessor: half the chain of dependent additions.
    fn scan(&mut self, bytes: &[u8], mask: u64) -> Option<usize> {
        let table = self.table;
        let mut hash = self.hash;
        let mut pairs = bytes.chunks_exact(2);
        for (index, pair) in pairs.by_ref().enumerate() {
            let first = table[usize::from(pair[0])] << 1;
            hash = (hash << 2).wrapping_add(first);
            if hash & (mask << 1) == 0 {
                return Some(index * 2);
            }
            hash = hash.wrapping_add(table[usize::from(pair[1])]);
            if hash & mask == 0 {
                return Some(index * 2 + 1);
            }
        }
        if let [last] = *pairs.remainder() {
            hash = (hash << 1).wrapping_add(table[usize::from(last)]);
            if hash & mask == 0 {
                return Some(bytes.len() - 1);
            }
        }
        self.hash = hash;
        None
    }
}
