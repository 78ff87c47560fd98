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
            _ => Err(Error::ReadBack { what: "a frame that was just compressed does not decode" }),
        }
    }
}

/// Most bytes that libzstd's compressor takes for a frame of [`crate::format::limits::FRAME_MAX`] bytes, as it tells itself.
pub(super) fn context_memory(level: i32) -> usize {
    let mebibytes = match level {
        ..=3 => 2,
        4..=6 => 4,
        7..=8 => 6,
        9 => 11,
        10..=11 => 21,
        12..=14 => 50,
        _ => 66,
    };
    mebibytes << 20
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::limits::FRAME_MAX;

    #[test]
    fn no_level_takes_more_memory_than_is_told() {
        let plain: Vec<u8> = (0..FRAME_MAX).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 & 15).collect();
        for level in -5..=22 {
            let mut codec = Codec::new(level).unwrap();
            codec.seal(&plain, &mut Vec::new()).unwrap();
            let taken = codec.compressor.context_mut().sizeof();
            assert!(taken <= context_memory(level), "level {level}: {taken}");
        }
    }
}
