//! How a pack is laid out, for whoever counts its bytes without reading them.

use super::{Error, header, raw_frame, skippable, tar_member};

/// Stored bytes of a pack that is not encrypted besides its frames of blobs: the random bytes at its beginning, and its end.
pub const PACK_FRAMING: u64 = (skippable::LENGTH + raw_frame::END.len()) as u64;

/// Most bytes that a frame says its plain length in: magic number, descriptor, window, no dictionary, eight bytes of content size.
pub const FRAME_HEAD: u64 = 4 + 1 + 1 + 8;

/// Plain bytes of the frame that begins with these bytes, at least [`FRAME_HEAD`] of them unless it is shorter.
///
/// # Errors
/// [`Error::Damaged`] when no frame of a pack begins so.
pub fn frame_length(head: &[u8]) -> Result<u64, Error> {
    header::content_size(head).map(|size| size as u64)
}

/// Plain bytes that a blob takes in a frame: its header, itself, and what fills it up.
pub fn blob_space(length: u32) -> u64 {
    tar_member::space(length) as u64
}

/// Plain bytes of a frame from its beginning to the end of the blob whose bytes begin at this offset.
pub fn blob_end(offset: u32, length: u32) -> u64 {
    u64::from(offset).saturating_sub(tar_member::BLOCK as u64) + blob_space(length)
}
