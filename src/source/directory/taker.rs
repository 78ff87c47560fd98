//! Who receives a copy of a tree as it grows.

use crate::format::entry::Entry;
use crate::format::path::RelPath;
use crate::source::{Error, Problem};

/// What is made of a file's bytes while they pass by. Each attempt to read a file gets a fresh one.
pub trait Content: Send {
    /// The next bytes.
    fn bytes(&mut self, bytes: &[u8]);
    /// The next run of zero bytes that take no space.
    fn hole(&mut self, length: u64);
}

/// Receives a copy as it grows. All calls come on one thread; but for [`Taker::previous`], which runs ahead of the others, in the order
/// of paths.
pub trait Taker<C> {
    /// How it fails.
    type Error: From<Error>;
    /// The entry of the previous copy, with its identity, if there was one. Asked for files only, in the order of paths.
    ///
    /// # Errors
    /// Ends the copy.
    fn previous(&mut self, path: &RelPath) -> Result<Option<Entry>, Self::Error>;
    /// Something that is in the copy; for files, with what was made of their bytes. `size` is what was read.
    ///
    /// # Errors
    /// Ends the copy.
    fn copied(&mut self, entry: Entry, content: Option<C>) -> Result<(), Self::Error>;
    /// A file whose bytes are shared with the previous copy; its content is that of the previous entry.
    ///
    /// # Errors
    /// Ends the copy.
    fn unchanged(&mut self, entry: Entry) -> Result<(), Self::Error>;
    /// Something that is not in the copy as it should be. Its entry, if it has one, came just before.
    ///
    /// # Errors
    /// Ends the copy.
    fn problem(&mut self, problem: Problem) -> Result<(), Self::Error>;
}
