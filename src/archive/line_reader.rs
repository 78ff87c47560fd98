//! Reads a compressed stream of lines that may be damaged.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use zstd::stream::read::Decoder;

use crate::format::limits::{LINE_MAX, WINDOW_LOG_MAX};

use super::Error;

/// Decoded bytes that are read at a time.
const BUFFER: usize = 128 << 10;

/// Reads the lines that a [`super::LineWriter`] wrote. Holds one line and the stream's window, at most 8 MiB.
pub struct LineReader<R: BufRead> {
    lines: BufReader<Decoder<'static, R>>,
    line: Vec<u8>,
}

impl<R: BufRead> LineReader<R> {
    /// A reader of the stream in `inner`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when there is nothing at all: a whole stream of no lines still has a frame. [`Error::Io`]; [`Error::Codec`].
    pub fn new(mut inner: R) -> Result<Self, Error> {
        if inner.fill_buf().map_err(refused)?.is_empty() {
            return Err(Error::damaged("a stream of lines that is empty"));
        }
        let set_up = |cause| Error::Codec { what: "be set up", cause };
        let mut decoder = Decoder::with_buffer(inner).map_err(set_up)?;
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(set_up)?;
        Ok(Self { lines: BufReader::with_capacity(BUFFER, decoder), line: Vec::new() })
    }

    /// The next line without its newline; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a line above [`LINE_MAX`], an end inside a line, a stream that is cut short or does not decode,
    /// a window above 8 MiB; [`Error::Io`] when the inner reader fails.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, Error> {
        self.line.clear();
        // The longest line and its newline; what does not end by then is too long.
        (&mut self.lines).take(LINE_MAX as u64 + 1).read_until(b'\n', &mut self.line).map_err(refused)?;
        match self.line.split_last() {
            None => Ok(None),
            Some((b'\n', line)) => Ok(Some(line)),
            Some(_) if self.line.len() > LINE_MAX => Err(Error::damaged(format!("a line of more than {LINE_MAX} bytes"))),
            Some(_) => Err(Error::damaged("the stream ends inside a line")),
        }
    }
}

impl<R: BufRead> std::fmt::Debug for LineReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineReader").finish_non_exhaustive()
    }
}

/// What the codec says of damaged bytes has no number of the operating system; what the disk says has.
fn refused(cause: io::Error) -> Error {
    match cause.kind() {
        ErrorKind::UnexpectedEof => Error::damaged("a stream of lines that is cut short"),
        ErrorKind::Other | ErrorKind::InvalidData if cause.raw_os_error().is_none() => {
            Error::Damaged(format!("a stream of lines: {cause}"))
        }
        _ => Error::Io { what: "read", cause },
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
