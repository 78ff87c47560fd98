//! Which bytes of which packs are read: a whole pack where most of it is wanted, else runs of frames.

use std::iter::Peekable;
use std::ops::Range;
use std::vec::IntoIter;

use super::record::Frame;
use crate::format::digest::Digest;
use crate::format::limits::{PACK_MAX, PACK_TARGET};
use crate::format::marker::Encryption;
use crate::ops::Error;
use crate::sys::sorter::Sorted;

/// Unwanted bytes between two frames that are read along: at 50 MiB/s they take as long as a request that saves them would.
const GAP: u64 = 1 << 20;

/// Share of a full pack in percent above which the whole is read, so that its name can be checked too.
const WHOLE_PERCENT: u64 = 60;

/// Wanted frames of one pack that are looked at one by one; where there are more, the whole pack is read.
const FRAMES_MAX: usize = 65_536;

/// One request: a pack, or a range of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// Which pack, in the order of reading.
    pub(super) ordinal: u64,
    /// The pack.
    pub(super) pack: Digest,
    /// The bytes; `None` = all.
    pub(super) range: Option<Range<u64>>,
    /// How many bytes will come, at least.
    pub(super) expected: u64,
}

impl Read {
    /// Most bytes that may come.
    pub(super) fn at_most(&self) -> u64 {
        self.range.as_ref().map_or(PACK_MAX as u64, |range| range.end - range.start)
    }

    /// Whether the answer holds what this frame should be.
    pub(super) fn covers(&self, ordinal: u64, frame_offset: u64) -> bool {
        self.ordinal == ordinal && self.range.as_ref().is_none_or(|range| range.contains(&frame_offset))
    }
}

/// All requests, in the order of the plan.
pub(super) struct Reads {
    frames: Sorted,
    /// The first frame of the next pack.
    ahead: Option<Frame>,
    /// Whether packs are always read whole: an encrypted one opens from its beginning.
    whole: bool,
    /// Requests of the present pack.
    ready: Peekable<IntoIter<Read>>,
}

impl Reads {
    pub(super) fn new(frames: Sorted, encryption: Encryption) -> Result<Self, Error> {
        let whole = encryption == Encryption::Age;
        let mut reads = Self { frames, ahead: None, whole, ready: Vec::new().into_iter().peekable() };
        reads.advance()?;
        Ok(reads)
    }

    /// The next request, which stays until it is taken.
    pub(super) fn peek(&mut self) -> Result<Option<&Read>, Error> {
        if self.ready.peek().is_none()
            && let Some(first) = self.ahead.take()
        {
            let mut frames = vec![(first.offset, first.length)];
            let mut many = false;
            while self.advance()?.is_some_and(|frame| frame.ordinal == first.ordinal) {
                let frame = self.ahead.expect("it was just met");
                many |= frames.len() == FRAMES_MAX;
                if !many && frames.last() != Some(&(frame.offset, frame.length)) {
                    frames.push((frame.offset, frame.length));
                }
            }
            let ranges = if many || self.whole { None } else { ranges(&frames) };
            let end = frames.last().map_or(0, |(offset, length)| offset + u64::from(*length));
            let read = |range, expected| Read { ordinal: first.ordinal, pack: first.pack, range, expected };
            let reads: Vec<Read> = match ranges {
                None => vec![read(None, end)],
                Some(ranges) => ranges.into_iter().map(|range| read(Some(range.clone()), range.end - range.start)).collect(),
            };
            self.ready = reads.into_iter().peekable();
        }
        Ok(self.ready.peek())
    }

    /// Takes the request that was looked at.
    pub(super) fn take(&mut self) -> Option<Read> {
        self.ready.next()
    }

    fn advance(&mut self) -> Result<Option<Frame>, Error> {
        self.ahead = self.frames.next()?.map(Frame::from_record);
        Ok(self.ahead)
    }
}

/// The runs to read for these frames (in ascending order), or `None` when the whole pack is read.
fn ranges(frames: &[(u64, u32)]) -> Option<Vec<Range<u64>>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for (offset, length) in frames {
        let end = offset.saturating_add(u64::from(*length));
        match ranges.last_mut() {
            Some(last) if *offset <= last.end.saturating_add(GAP) && end.saturating_sub(last.start) <= PACK_MAX as u64 => {
                last.end = last.end.max(end);
            }
            _ => ranges.push(*offset..end),
        }
    }
    let wanted: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    (wanted * 100 < PACK_TARGET as u64 * WHOLE_PERCENT).then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_frames_are_read_together_and_far_ones_apart() {
        let frames = [(24, 100), (124, 50), (GAP + 174, 10), (3 * GAP, 10)];
        assert_eq!(ranges(&frames), Some(vec![24..GAP + 184, 3 * GAP..3 * GAP + 10]));
    }

    #[test]
    fn most_of_a_pack_is_read_as_a_whole() {
        let frame = 2 << 20;
        let most: Vec<(u64, u32)> = (0..6).map(|n| (24 + n * u64::from(frame), frame)).collect();
        assert_eq!(ranges(&most), None);
        assert!(ranges(&most[..2]).is_some());
    }
}
