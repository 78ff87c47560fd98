//! Seals one frame: compress, decode again, compare.

use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use super::{Error, FrameDecoder, raw_frame};

/// One thread's contexts and buffers for making frames, used again for every frame.
pub(super) struct Codec {
    compressor: Compressor<'static>,
    decoder: FrameDecoder,
}

impl Codec {
    /// A codec of this zstd level.
    pub(super) fn new(level: i32) -> Result<Self, Error> {
        let compressor = Compressor::new(level).map_err(|cause| Error::Codec { what: "be set up", cause })?;
        Ok(Self { compressor, decoder: FrameDecoder::new() })
    }

    /// Puts the frame that holds `plain` (at most [`crate::format::limits::FRAME_MAX`] bytes) into `stored`, in place of what it held.
    ///
    /// The frame has been decoded by the strict reader and compared with `plain`, so that faults of codec and memory do not spread.
    pub(super) fn seal(&mut self, plain: &[u8], stored: &mut Vec<u8>) -> Result<(), Error> {
        stored.clear();
        stored.reserve(compress_bound(plain.len()));
        self.compressor.compress_to_buffer(plain, stored).map_err(|cause| Error::Codec { what: "compress a frame", cause })?;
        if stored.len() >= raw_frame::length(plain.len()) {
            raw_frame::write(plain, stored);
        }
        match self.decoder.decode(stored) {
            Ok(decoded) if decoded == plain => Ok(()),
            _ => Err(Error::ReadBack),
        }
    }
}
