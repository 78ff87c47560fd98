//! Packs beside what file lists say of the blobs in them: which frames are in use, and how much of each.

use crate::archive::{PACK_FRAMING, blob_end, blob_space};
use crate::format::digest::Digest;
use crate::format::entry::Location;
use crate::ops::Error;
use crate::sys::sorter::Sorted;

/// What an age file has besides what it holds: 16 bytes for each 64 KiB, and its header, which for twelve recipients stays below this.
const AGE_HEAD: u64 = 4 << 10;

/// A pack or a list as the store lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pack {
    pub(super) name: Digest,
    pub(super) stored: u64,
    pub(super) sealed: bool,
    /// The place of the one source that needs it; `None` = several do.
    pub(super) source: Option<u32>,
}

impl Pack {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let source = self.source.map_or([0; 5], |source| {
            let [a, b, c, d] = source.to_be_bytes();
            [1, a, b, c, d]
        });
        [&self.name.as_bytes()[..], &self.stored.to_be_bytes(), &[u8::from(self.sealed)], &source].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let number = |at: usize| u32::from_be_bytes(*bytes[at..].first_chunk().expect("four bytes"));
        Self {
            name: Digest::from_bytes(*bytes.first_chunk().expect("it has a name")),
            stored: u64::from_be_bytes(*bytes[32..].first_chunk().expect("eight bytes")),
            sealed: bytes[40] == 1,
            source: (bytes[41] == 1).then(|| number(42)),
        }
    }

    /// Most stored bytes that its frames can have together.
    fn room(&self) -> u64 {
        let sealing = if self.sealed { AGE_HEAD + self.stored.div_ceil(64 << 10) * 16 } else { 0 };
        self.stored.saturating_sub(PACK_FRAMING + sealing)
    }
}

/// A blob in a pack, as a file list refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) at: Location,
    pub(super) length: u32,
}

impl Reference {
    /// Sorts by pack, frame and place in it.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let Location { pack, frame_offset, frame_length, offset } = self.at;
        let numbers = [frame_length, offset, self.length].map(u32::to_be_bytes);
        [&pack.as_bytes()[..], &frame_offset.to_be_bytes(), numbers.as_flattened()].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let number = |at: usize| u32::from_be_bytes(*bytes[at..].first_chunk().expect("four bytes"));
        let pack = Digest::from_bytes(*bytes.first_chunk().expect("it has a pack"));
        let frame_offset = u64::from_be_bytes(*bytes[32..].first_chunk().expect("eight bytes"));
        Self { at: Location { pack, frame_offset, frame_length: number(40), offset: number(44) }, length: number(48) }
    }
}

/// A frame of which something is in use, or all of a pack that lies in frames of which nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) pack: Digest,
    pub(super) source: Option<u32>,
    pub(super) sealed: bool,
    /// Whether nothing of it is in use.
    pub(super) whole: bool,
    /// Where it begins in the pack.
    pub(super) offset: u64,
    /// Its stored bytes.
    pub(super) length: u64,
    /// Plain bytes of it that are in use.
    used: u64,
    /// Where the last of them ends.
    pub(super) end: u64,
}

impl Frame {
    /// Its share of stored bytes that is not in use, where it has so many plain bytes.
    pub(super) fn dead_of(&self, plain: u64) -> u64 {
        let plain = plain.max(self.end);
        // A list that lies must not overflow it.
        self.length.saturating_mul(plain - self.used.min(plain)) / plain.max(1)
    }
}

/// The frames of all packs, pack by pack.
pub(super) struct Frames {
    packs: Sorted,
    references: Sorted,
    pack: Option<Pack>,
    reference: Option<Reference>,
    /// Stored bytes of this pack's frames in use.
    used: u64,
}

impl Frames {
    pub(super) fn new(packs: Sorted, references: Sorted) -> Self {
        Self { packs, references, pack: None, reference: None, used: 0 }
    }

    /// The next frame, or the rest of a pack.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Error> {
        loop {
            let pack = match self.pack {
                Some(pack) => pack,
                None => {
                    let Some(next) = self.packs.next()?.map(Pack::from_bytes) else { return Ok(None) };
                    self.used = 0;
                    *self.pack.insert(next)
                }
            };
            while self.peek()?.is_some_and(|reference| reference.at.pack < pack.name) {
                // Of a pack that is not there.
                self.reference = None;
            }
            if self.peek()?.is_some_and(|reference| reference.at.pack == pack.name) {
                return self.gather(&pack).map(Some);
            }
            self.pack = None;
            let rest = pack.room().saturating_sub(self.used);
            if rest > 0 {
                let Pack { name, source, sealed, .. } = pack;
                return Ok(Some(Frame { pack: name, source, sealed, whole: true, offset: 0, length: rest, used: 0, end: 0 }));
            }
        }
    }

    fn peek(&mut self) -> Result<Option<Reference>, Error> {
        if self.reference.is_none() {
            self.reference = self.references.next()?.map(Reference::from_bytes);
        }
        Ok(self.reference)
    }

    /// All that is said of the next frame; what several lists say counts once.
    fn gather(&mut self, pack: &Pack) -> Result<Frame, Error> {
        let first = self.peek()?.expect("it was looked at").at;
        let Pack { name, source, sealed, .. } = *pack;
        let length = u64::from(first.frame_length);
        let mut frame = Frame { pack: name, source, sealed, whole: false, offset: first.frame_offset, length, used: 0, end: 0 };
        let mut last = None;
        while let Some(reference) = self.peek()?.filter(|one| one.at.pack == first.pack && one.at.frame_offset == first.frame_offset) {
            if last != Some(reference.at.offset) {
                last = Some(reference.at.offset);
                frame.used += blob_space(reference.length);
                frame.end = frame.end.max(blob_end(reference.at.offset, reference.length));
            }
            self.reference = None;
        }
        self.used += length;
        Ok(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::sorter::Sorter;

    #[test]
    fn records_come_back() {
        for source in [None, Some(0), Some(70_000)] {
            let pack = Pack { name: Digest::of(b"a"), stored: 1 << 40, sealed: source.is_none(), source };
            assert_eq!(Pack::from_bytes(&pack.to_bytes()), pack);
        }
        let at = Location { pack: Digest::of(b"a"), frame_offset: 1 << 33, frame_length: 7, offset: 512 };
        assert_eq!(Reference::from_bytes(&Reference { at, length: 9 }.to_bytes()), Reference { at, length: 9 });
    }

    #[test]
    fn what_two_lists_refer_to_counts_once_and_what_nobody_does_is_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let (mut packs, mut references) = (Sorter::new(folder.path(), 1 << 20), Sorter::new(folder.path(), 1 << 20));
        let mut names = [b"a", b"b", b"c"].map(|name| Digest::of(name));
        names.sort();
        for name in [names[0], names[2]] {
            packs.push(&Pack { name, stored: PACK_FRAMING + 1000, sealed: false, source: Some(1) }.to_bytes()).unwrap();
        }
        // Two blobs of the first pack's first frame, one of them twice, and one of a pack that is not there.
        for (name, offset) in [(names[0], 512), (names[0], 2048), (names[0], 512), (names[1], 512)] {
            let at = Location { pack: name, frame_offset: 24, frame_length: 400, offset };
            references.push(&Reference { at, length: 100 }.to_bytes()).unwrap();
        }
        let mut frames = Frames::new(packs.sorted().unwrap(), references.sorted().unwrap());
        let first = frames.next().unwrap().unwrap();
        assert_eq!((first.whole, first.length, first.used, first.end), (false, 400, 2048, 2560));
        assert_eq!((first.dead_of(4096), first.dead_of(0)), (200, 80));
        let rest = frames.next().unwrap().unwrap();
        assert_eq!((rest.whole, rest.length, rest.pack), (true, 600, names[0]));
        let second = frames.next().unwrap().unwrap();
        assert_eq!((second.whole, second.length, second.pack), (true, 1000, names[2]));
        assert_eq!(frames.next().unwrap(), None);
    }
}
