//! The pack that frames are appended to until it is sealed.

use bytes::Bytes;

use crate::format::digest::Digest;
use crate::format::entry::Location;
use crate::format::limits::{PACK_MAX, PACK_TARGET};
use crate::sys::random::Random;

use super::sealing::Sealing;
use super::{Error, Recipients, raw_frame, skippable};

/// Blobs at which a pack is closed, so that what is remembered of them (about 80 bytes each) stays near 5 MiB.
const BLOBS_FULL: usize = 65_536;

/// A pack that is ready to be stored under its name.
#[derive(Clone, Debug)]
pub struct SealedPack {
    /// SHA-256 of `bytes`.
    pub name: Digest,
    /// What is to be stored.
    pub bytes: Bytes,
    /// Sum of the blobs' lengths.
    pub plain_bytes: u64,
    /// The blobs in it: digest, length, and where each lies.
    pub blobs: Vec<(Digest, u32, Location)>,
}

/// A blob's digest, its length, and where its bytes begin in the decoded frame.
pub(super) type Placed = (Digest, u32, u32);

/// A pack that begins with its random bytes and may hold frames.
pub(super) struct OpenPack {
    bytes: Sealing,
    /// Bytes of the pack as it is before it is sealed: that is where frames are counted from.
    length: usize,
    plain_bytes: u64,
    blobs: Vec<(Digest, u32, Location)>,
}

impl OpenPack {
    /// A pack without frames. The room for the largest pack is reserved at once, so that it never moves; only what is written is resident.
    pub(super) fn new(random: &dyn Random, recipients: &Recipients) -> Result<Self, Error> {
        let mut pack = Self { bytes: Sealing::new(PACK_MAX, recipients)?, length: 0, plain_bytes: 0, blobs: Vec::new() };
        pack.append(&skippable::random(random))?;
        Ok(pack)
    }

    /// Adds a frame that holds these blobs.
    pub(super) fn add(&mut self, frame: &[u8], blobs: &[Placed]) -> Result<(), Error> {
        let frame_offset = self.length as u64;
        let frame_length = u32::try_from(frame.len()).expect("a frame is at most 4 MiB and its framing");
        self.blobs.extend(blobs.iter().map(|(digest, length, offset)| {
            // The pack's name is put in when it is known.
            let at = Location { pack: Digest::from_bytes([0; 32]), frame_offset, frame_length, offset: *offset };
            (*digest, *length, at)
        }));
        self.plain_bytes += blobs.iter().map(|(_, length, _)| u64::from(*length)).sum::<u64>();
        self.append(frame)
    }

    /// Whether it is time to seal it.
    pub(super) fn is_full(&self) -> bool {
        self.length >= PACK_TARGET || self.blobs.len() >= BLOBS_FULL
    }

    /// Ends the tar archive, proves what was sealed, and names the pack.
    pub(super) fn seal(mut self) -> Result<SealedPack, Error> {
        self.append(&raw_frame::END)?;
        let (name, bytes) = self.bytes.finish()?;
        for (_, _, at) in &mut self.blobs {
            at.pack = name;
        }
        Ok(SealedPack { name, bytes, plain_bytes: self.plain_bytes, blobs: self.blobs })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.length += bytes.len();
        self.bytes.append(bytes)
    }
}
