//! Writes a compressed stream of lines, such as `files.jsonl.zst` of a local copy.

use std::io::Write;

use zstd::stream::write::Encoder;
use zstd::zstd_safe::CParameter;

use crate::format::limits::LINE_MAX;

use super::Error;

/// Window of the stream as a power of two: 2 MiB keeps writer and reader at a few MiB of memory, and lines repeat nearby.
const WINDOW_LOG: u32 = 21;

/// Writes lines into one zstd frame with a checksum. Memory: about 6 MiB up to level 4.
pub struct LineWriter<W: Write> {
    encoder: Encoder<'static, W>,
}

impl<W: Write> LineWriter<W> {
    /// A writer of this zstd level into `inner`, which should be cheap to write to in parts of 128 KiB.
    ///
    /// # Errors
    /// [`Error::Codec`].
    pub fn new(inner: W, level: i32) -> Result<Self, Error> {
        let set_up = |cause| Error::Codec { what: "be set up", cause };
        let mut encoder = Encoder::new(inner, level).map_err(set_up)?;
        encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG)).map_err(set_up)?;
        encoder.include_checksum(true).map_err(set_up)?;
        Ok(Self { encoder })
    }

    /// Writes one line; the newline is added.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`LINE_MAX`]; [`Error::Damaged`] for a line that holds a newline; [`Error::Io`].
    pub fn write_line(&mut self, line: &[u8]) -> Result<(), Error> {
        if line.len() > LINE_MAX {
            return Err(Error::TooLarge { what: "a line", length: line.len() as u64, limit: LINE_MAX as u64 });
        }
        if line.contains(&b'\n') {
            return Err(Error::damaged("a line that holds a newline"));
        }
        let write = |cause| Error::Io { what: "write", cause };
        self.encoder.write_all(line).map_err(write)?;
        self.encoder.write_all(b"\n").map_err(write)
    }

    /// Ends the stream and gives the inner writer back. Without this call a reader refuses the stream.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<W, Error> {
        self.encoder.finish().map_err(|cause| Error::Io { what: "write", cause })
    }
}

impl<W: Write> std::fmt::Debug for LineWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineWriter").finish_non_exhaustive()
    }
}
