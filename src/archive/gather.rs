//! Gathers blobs into frames.

use std::io;

use crate::format::digest::Digest;
use crate::format::limits::FRAME_MAX;
use crate::format::path::RelPath;

use super::tar_member::space;

/// A blob that is to be stored: where its bytes lie in a local copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The file.
    pub path: RelPath,
    /// Where in the file the blob begins, in bytes.
    pub offset: u64,
    /// How many bytes it has, 1 to [`crate::format::limits::BLOB_MAX`].
    pub length: u32,
    /// Their SHA-256.
    pub digest: Digest,
}

/// Where the bytes of members come from: a local copy. Called by several threads at once.
pub trait Supply: Sync {
    /// Fills `bytes` (of the member's length) with the member's bytes.
    ///
    /// # Errors
    /// Any reason why they cannot all be read; a file that has become too short is `UnexpectedEof`.
    fn read(&self, member: &Member, bytes: &mut [u8]) -> io::Result<()>;
}

/// Gathers members, in the order they come, into frames of at most [`FRAME_MAX`] plain bytes, headers and padding counted.
#[derive(Debug, Default)]
pub struct FrameGatherer {
    members: Vec<Member>,
    plain: usize,
}

impl FrameGatherer {
    /// A gatherer that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member; gives the frame before it when this one no longer fits.
    pub fn push(&mut self, member: Member) -> Option<Vec<Member>> {
        let more = space(member.length);
        let full = (self.plain + more > FRAME_MAX && !self.members.is_empty()).then(|| std::mem::take(&mut self.members));
        if full.is_some() {
            self.plain = 0;
        }
        self.plain += more;
        self.members.push(member);
        full
    }

    /// The last frame, unless nothing is left.
    pub fn finish(self) -> Option<Vec<Member>> {
        (!self.members.is_empty()).then_some(self.members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(length: u32) -> Member {
        Member { path: RelPath::root(), offset: 0, length, digest: Digest::of(b"") }
    }

    #[test]
    fn frames_are_as_full_as_headers_and_padding_allow() {
        let mut gatherer = FrameGatherer::new();
        // 4,096 members of one byte take 1,024 bytes each: exactly one frame.
        assert!((0..4096).all(|_| gatherer.push(of(1)).is_none()));
        assert_eq!(gatherer.push(of(1)).map(|frame| frame.len()), Some(4096));
        assert_eq!(gatherer.finish().map(|frame| frame.len()), Some(1));
    }

    #[test]
    fn the_largest_blobs_are_three_to_a_frame() {
        let mut gatherer = FrameGatherer::new();
        let frames: Vec<_> = (0..7).filter_map(|_| gatherer.push(of(1 << 20))).map(|frame| frame.len()).collect();
        assert_eq!((frames, gatherer.finish().map(|frame| frame.len())), (vec![3, 3], Some(1)));
        assert!(FrameGatherer::new().finish().is_none());
    }
}
