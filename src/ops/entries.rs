//! Entries one at a time, with the pieces of long content behind them.

use super::Error;
use super::lists::Lines;
use crate::format::entry::{Entry, Kind, Piece};
use crate::format::line::Line;
use crate::format::path::RelPath;

/// Walks the entries of a stream of lines. Holds two lines at most.
pub(crate) struct Entries {
    lines: Box<dyn Lines>,
    /// The line that was read to see whether it still belongs to the entry before.
    ahead: Option<Line>,
}

impl Entries {
    /// The entries of these lines.
    pub(crate) fn new(lines: Box<dyn Lines>) -> Self {
        Self { lines, ahead: None }
    }

    /// The next entry, with the first pieces of its content; what was not asked for of the one before is passed over.
    ///
    /// # Errors
    /// What reading gives.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            match self.line()? {
                None => return Ok(None),
                Some(Line::Entry(entry)) => return Ok(Some(entry)),
                Some(Line::More(_)) => {}
            }
        }
    }

    /// More pieces of the entry that was given last; `None` when there are no more.
    ///
    /// # Errors
    /// What reading gives.
    pub(crate) fn more(&mut self) -> Result<Option<Vec<Piece>>, Error> {
        match self.line()? {
            Some(Line::More(more)) => Ok(Some(more.content)),
            other => {
                self.ahead = other;
                Ok(None)
            }
        }
    }

    /// The entry of this path, or `None`. Entries before it are passed over; nothing after it is read.
    ///
    /// # Errors
    /// What reading gives.
    pub(crate) fn find(&mut self, path: &RelPath) -> Result<Option<Entry>, Error> {
        while let Some(entry) = self.next_entry()? {
            if entry.path >= *path {
                return Ok(Some(entry).filter(|entry| entry.path == *path));
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> Result<Option<Line>, Error> {
        match self.ahead.take() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next_line(),
        }
    }
}

/// What a kind of entry is called, with its article, for messages.
pub(crate) fn kind_in_words(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "a file",
        Kind::Directory => "a directory",
        Kind::Symlink => "a symbolic link",
        Kind::HardLink => "a hard link",
        Kind::Fifo => "a named pipe",
    }
}
