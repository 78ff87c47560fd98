//! File lists as they are stored: 16 random bytes in a skippable frame, then zstd frames of the format's usual limits.

use bytes::Bytes;

use crate::format::digest::Digest;
use crate::format::limits::{FILE_LIST_MAX, FRAME_MAX};
use crate::sys::random::Random;

use super::codec::Codec;
use super::sealing::Sealing;
use super::{Error, FrameDecoder, Recipients, skippable};

/// zstd level of file lists. They are mostly digests, which no level shrinks.
const LEVEL: i32 = 3;

/// Most stored bytes of a list: what does not shrink grows by a few bytes per block, and sealing adds a header and 16 bytes per 64 KiB.
const STORED_MAX: usize = FILE_LIST_MAX + (1 << 20);

/// A file list that is ready to be stored under its name.
#[derive(Clone, Debug)]
pub struct SealedList {
    /// SHA-256 of `bytes`.
    pub name: Digest,
    /// What is to be stored.
    pub bytes: Bytes,
}

/// Compresses a file list and seals it to the recipients, if there are any; all of it is decoded again to compare.
///
/// # Errors
/// [`Error::TooLarge`] above [`FILE_LIST_MAX`] plain bytes; [`Error::ReadBack`]; [`Error::Codec`].
pub fn seal_list(plain: &[u8], recipients: &Recipients, random: &dyn Random) -> Result<SealedList, Error> {
    if plain.len() > FILE_LIST_MAX {
        return Err(Error::TooLarge { what: "a file list", length: plain.len() as u64, limit: FILE_LIST_MAX as u64 });
    }
    let mut codec = Codec::new(LEVEL)?;
    let mut stored = Sealing::new(STORED_MAX, recipients)?;
    stored.append(&skippable::random(random))?;
    let mut frame = Vec::new();
    for part in plain.chunks(FRAME_MAX) {
        codec.seal(part, &mut frame)?;
        stored.append(&frame)?;
    }
    let (name, bytes) = stored.finish()?;
    Ok(SealedList { name, bytes })
}

/// The plain text of a stored file list. Its name is for the caller to compare.
///
/// # Errors
/// [`Error::Damaged`] for what does not decode, or to more than [`FILE_LIST_MAX`] bytes.
pub fn open_list(stored: &[u8]) -> Result<Vec<u8>, Error> {
    let mut list = ListDecoder::default();
    list.open(stored)?;
    Ok(list.plain)
}

/// Opens file lists one after another in the same memory: at most [`FILE_LIST_MAX`] bytes and a frame, however many lists there are.
#[derive(Debug, Default)]
pub struct ListDecoder {
    frames: FrameDecoder,
    plain: Vec<u8>,
}

impl ListDecoder {
    /// Opens a stored file list in place of the one before.
    ///
    /// # Errors
    /// As [`open_list`]; then there is no list.
    pub fn open(&mut self, stored: &[u8]) -> Result<(), Error> {
        self.plain.clear();
        let opened = self.decode(stored);
        if opened.is_err() {
            self.plain.clear();
        }
        opened
    }

    /// The plain text of the list that was opened last.
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    fn decode(&mut self, stored: &[u8]) -> Result<(), Error> {
        let mut rest = skippable::strip(stored)?;
        while !rest.is_empty() {
            let (part, length) = self.frames.decode_first(rest)?;
            if self.plain.len() + part.len() > FILE_LIST_MAX {
                return Err(Error::damaged(format!("a file list of more than {FILE_LIST_MAX} plain bytes")));
            }
            // Exactly, because growing by doubling takes twice the largest list.
            self.plain.reserve_exact(part.len());
            self.plain.extend_from_slice(part);
            rest = &rest[length..];
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
