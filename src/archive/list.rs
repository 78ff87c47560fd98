//! File lists as they are stored: 16 random bytes in a skippable frame, then zstd frames of the format's usual limits.

use bytes::Bytes;

use crate::format::digest::Digest;
use crate::format::limits::{FILE_LIST_MAX, FRAME_MAX, LINE_MAX};
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

/// Reads the lines of a stored file list frame by frame: it holds the stored bytes, one frame and one line.
#[derive(Debug)]
pub struct ListReader {
    frames: FrameDecoder,
    /// What has not been decoded yet.
    rest: Bytes,
    /// Where the next line begins in the frame that was decoded last.
    at: usize,
    /// Plain bytes of all frames so far.
    total: usize,
    /// A line that began in an earlier frame.
    line: Vec<u8>,
}

impl ListReader {
    /// A reader of a stored list. Its name is for the caller to compare, before anything is done with a line.
    ///
    /// # Errors
    /// [`Error::Damaged`] for what does not begin as a list does.
    pub fn new(stored: Bytes) -> Result<Self, Error> {
        let skipped = stored.len() - skippable::strip(&stored)?.len();
        Ok(Self { frames: FrameDecoder::new(), rest: stored.slice(skipped..), at: 0, total: 0, line: Vec::new() })
    }

    /// The next line without its newline, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a frame that does not decode, more than [`FILE_LIST_MAX`] plain bytes, a line above [`LINE_MAX`], and an end
    /// inside a line.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, Error> {
        self.line.clear();
        loop {
            let from = self.at;
            let end = self.frames.plain()[from..].iter().position(|byte| *byte == b'\n').map(|length| from + length);
            let part = &self.frames.plain()[from..end.unwrap_or(self.frames.plain().len())];
            if self.line.len() + part.len() > LINE_MAX {
                return Err(Error::damaged(format!("a line of more than {LINE_MAX} bytes")));
            }
            match end {
                Some(end) if self.line.is_empty() => {
                    self.at = end + 1;
                    return Ok(Some(&self.frames.plain()[from..end]));
                }
                Some(end) => {
                    self.line.extend_from_slice(part);
                    self.at = end + 1;
                    return Ok(Some(&self.line));
                }
                None => self.line.extend_from_slice(part),
            }
            if !self.next_frame()? {
                return if self.line.is_empty() { Ok(None) } else { Err(Error::damaged("it ends inside a line")) };
            }
        }
    }

    fn next_frame(&mut self) -> Result<bool, Error> {
        self.at = self.frames.plain().len();
        if self.rest.is_empty() {
            return Ok(false);
        }
        let (plain, length) = self.frames.decode_first(&self.rest)?;
        self.total += plain.len();
        if self.total > FILE_LIST_MAX {
            return Err(Error::damaged(format!("a file list of more than {FILE_LIST_MAX} plain bytes")));
        }
        self.at = 0;
        self.rest = self.rest.slice(length..);
        Ok(true)
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
