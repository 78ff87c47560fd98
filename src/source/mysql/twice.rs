//! Views that check what is written through them.
//!
//! The dump program writes views by name. One `WITH CHECK OPTION` that stands on another one which comes later is refused when it is loaded,
//! because what stands in for the other one cannot be written through. So where there are such views, the views of a database come twice:
//! first without that option, then, when all of them are there, as they are.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::source::Error;
use crate::sys::table::unlinked;

/// The option as dump programs write it, at the end of a view.
const OPTIONS: [&[u8]; 2] = [b"/*!50002 WITH CASCADED CHECK OPTION */", b"/*!50002 WITH LOCAL CHECK OPTION */"];

/// How many bytes are held back, so that the option and the delimiter are in view when the statement ends.
const TAIL: usize = 64;

/// How much is read back at once.
const READ: usize = 64 << 10;

/// The views of the database that is under way, word for word.
#[derive(Debug)]
pub(super) struct Twice {
    file: File,
    work: PathBuf,
    /// Whether some view had the option.
    pub(super) is_needed: bool,
}

impl Twice {
    pub(super) fn new(work: &Path) -> Result<Self, Error> {
        Ok(Self { file: unlinked(work)?, work: work.to_owned(), is_needed: false })
    }

    pub(super) fn keep(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::file("write a temporary file in", &self.work))
    }

    /// Hands all of it on.
    pub(super) fn give<E: From<Error>>(mut self, take: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.file.seek(SeekFrom::Start(0)).map_err(Error::file("read a temporary file in", &self.work))?;
        let mut buffer = vec![0; READ];
        loop {
            match self.file.read(&mut buffer).map_err(Error::file("read a temporary file in", &self.work))? {
                0 => return Ok(()),
                read => take(&buffer[..read])?,
            }
        }
    }
}

/// A view without its option, while it goes by.
#[derive(Debug, Default)]
pub(super) struct Unchecked {
    tail: Vec<u8>,
}

impl Unchecked {
    /// More bytes; gives those that can be written.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.tail.extend_from_slice(bytes);
        let rest = self.tail.split_off(self.tail.len().saturating_sub(TAIL));
        std::mem::replace(&mut self.tail, rest)
    }

    /// The end without the option, and whether there was one.
    pub(super) fn end(self, delimiter: &[u8]) -> (Vec<u8>, bool) {
        let body = self.tail.strip_suffix(delimiter).unwrap_or(&self.tail).trim_ascii_end();
        match OPTIONS.iter().find_map(|option| body.strip_suffix(*option)) {
            Some(body) => ([body, delimiter].concat(), true),
            None => (self.tail, false),
        }
    }
}
