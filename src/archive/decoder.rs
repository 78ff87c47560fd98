//! Decodes one frame that nobody has vouched for.

use zstd::bulk::Decompressor;
use zstd::zstd_safe::find_frame_compressed_size;

use super::{Error, header};
use crate::format::limits::FRAME_MAX;
use crate::sys::buffer::Buffer;

/// Decodes frames one after another with one context and one buffer.
///
/// Holds at most [`FRAME_MAX`] bytes and about 160 KiB of context, whatever the frames claim.
pub struct FrameDecoder {
    context: Decompressor<'static>,
    plain: Buffer,
}

impl FrameDecoder {
    /// A decoder that has decoded nothing.
    pub fn new() -> Self {
        Self { context: Decompressor::default(), plain: Buffer::with_capacity(FRAME_MAX) }
    }

    /// Decodes `stored`, which must be exactly one frame. The bytes are good until the next call, and proven by nothing yet.
    ///
    /// # Errors
    /// [`Error::Damaged`] for anything but one whole zstd frame that says its size and is within the limits of the format,
    /// for bytes after it, and for content of another size than it says.
    pub fn decode(&mut self, stored: &[u8]) -> Result<&[u8], Error> {
        self.plain.clear();
        let size = header::content_size(stored)?;
        if frame_length(stored)? != stored.len() {
            return Err(Error::damaged("bytes after the frame"));
        }
        match self.context.decompress_to_buffer(stored, &mut self.plain.spare()[..size]) {
            Ok(length) if length == size => {
                self.plain.filled(length);
                Ok(&self.plain)
            }
            Ok(length) => Err(Error::damaged(format!("a frame of {length} plain bytes says that it has {size}"))),
            Err(cause) => Err(Error::damaged(format!("a frame does not decode: {cause}"))),
        }
    }

    /// The bytes of the frame that was decoded last; none after one that was refused.
    pub(super) fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// Decodes the frame that `stored` begins with; gives its stored length too.
    pub(super) fn decode_first(&mut self, stored: &[u8]) -> Result<(&[u8], usize), Error> {
        header::content_size(stored)?;
        let length = frame_length(stored)?;
        Ok((self.decode(&stored[..length])?, length))
    }
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for FrameDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameDecoder").field("holds", &self.plain.len()).finish_non_exhaustive()
    }
}

/// How many bytes the frame that `stored` begins with takes, by its block headers.
fn frame_length(stored: &[u8]) -> Result<usize, Error> {
    match find_frame_compressed_size(stored) {
        Ok(length) if length <= stored.len() => Ok(length),
        _ => Err(Error::damaged("a frame that is cut short or whose blocks are malformed")),
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
