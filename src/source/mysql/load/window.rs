//! A file as it is read for the lexer: what has been read and is not told yet stays in view, because a place is judged by what follows it.

use std::io::{ErrorKind, Read};

use crate::source::Error;

/// How much of the file is read at once.
pub(super) const READ: usize = 256 << 10;

/// What of a file is in view.
pub(super) struct Window {
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; READ], from: 0, to: 0 }
    }

    /// Reads on, behind what is left over, which is shorter than the lexer looks ahead; gives how much was read, 0 at the end.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn read(&mut self, dump: &mut dyn Read) -> Result<usize, Error> {
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        loop {
            match dump.read(&mut self.buffer[self.to..]) {
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                read => {
                    let read = read.map_err(Error::file("read", "the dump"))?;
                    self.to += read;
                    return Ok(read);
                }
            }
        }
    }

    /// What is not told yet.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.from..self.to]
    }

    /// The next bytes, which are told by this.
    pub(super) fn tell(&mut self, length: usize) -> &[u8] {
        self.from += length;
        &self.buffer[self.from - length..self.from]
    }
}
