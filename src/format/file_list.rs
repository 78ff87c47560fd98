//! How entries are cut into file lists, and the order that a reader insists on.

use super::FormatError;
use super::digest::Digest;
use super::entry::{Entry, Kind, Piece};
use super::limits::FILE_LIST_MAX;
use super::line::Line;
use super::path::RelPath;

/// One path in so many begins a new list: with 350 bytes a line, lists of about 1.4 MiB.
const CUT_EVERY: u32 = 4096;

/// Whether a new file list begins at this path.
///
/// It depends on the path alone, so an unchanged part of a tree is cut at the same places in the next snapshot:
/// the first four bytes of the path's SHA-256, read as a big-endian number, are divisible by 4,096.
pub fn cuts_before(path: &RelPath) -> bool {
    let digest = Digest::of(path.as_bytes());
    let head = digest.as_bytes().first_chunk::<4>().expect("a digest has 32 bytes");
    u32::from_be_bytes(*head).is_multiple_of(CUT_EVERY)
}

/// Gathers lines until a list is complete: at a path that begins a new one, or before it grows above [`FILE_LIST_MAX`].
#[derive(Debug, Default)]
pub struct Gatherer {
    plain: Vec<u8>,
}

impl Gatherer {
    /// A gatherer that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line; gives the list before it when this line begins a new one.
    ///
    /// # Errors
    /// [`FormatError::LineTooLong`].
    pub fn push(&mut self, line: &Line) -> Result<Option<Vec<u8>>, FormatError> {
        let json = line.to_json()?;
        let begins = matches!(line, Line::Entry(entry) if cuts_before(&entry.path));
        let full = self.plain.len() + json.len() + 1 > FILE_LIST_MAX;
        let complete = (!self.plain.is_empty() && (begins || full)).then(|| std::mem::take(&mut self.plain));
        self.plain.extend_from_slice(&json);
        self.plain.push(b'\n');
        Ok(complete)
    }

    /// The last list, unless nothing is left.
    pub fn finish(self) -> Option<Vec<u8>> {
        (!self.plain.is_empty()).then_some(self.plain)
    }
}

/// Checks the order and the sums of lines as they are read, over all lists of a snapshot.
///
/// It refuses: paths that do not ascend, an entry whose parent is not a directory that came before (so nothing can be written through a
/// symbolic link), continuation lines that do not continue, content that does not add up to the size.
#[derive(Debug, Default)]
pub struct OrderCheck {
    last: Option<RelPath>,
    parents: Vec<RelPath>,
    open: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    pieces: u64,
    bytes: u64,
    size: u64,
}

impl OrderCheck {
    /// A check that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the next line.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] naming the path and what is out of order.
    pub fn line(&mut self, line: &Line) -> Result<(), FormatError> {
        match line {
            Line::Entry(entry) => self.entry(entry)?,
            Line::More(more) => {
                let continues = self.last.as_ref() == Some(&more.path) && !more.content.is_empty();
                match &self.open {
                    Some(open) if continues && open.pieces == more.first_piece => {}
                    _ => {
                        return Err(FormatError::invalid(format!("`{}`: content that continues nothing", more.path)));
                    }
                }
            }
        }
        self.add(line)
    }

    /// Checks that the last file is complete and that there was a root.
    ///
    /// # Errors
    /// [`FormatError::Invalid`].
    pub fn finish(self) -> Result<(), FormatError> {
        self.close()?;
        if self.last.is_none() { Err(FormatError::invalid("the file lists hold no root directory")) } else { Ok(()) }
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), FormatError> {
        self.close()?;
        let path = &entry.path;
        match &self.last {
            None if !path.is_root() => {
                return Err(FormatError::invalid("the first entry is not the root"));
            }
            Some(last) if path <= last => {
                return Err(FormatError::invalid(format!("`{path}` comes after `{last}`: paths must ascend")));
            }
            _ => {}
        }
        if let Some(parent) = path.parent() {
            while self.parents.last().is_some_and(|open| *open != parent) {
                self.parents.pop();
            }
            if self.parents.is_empty() {
                return Err(FormatError::invalid(format!("`{path}` lies in no directory of this snapshot")));
            }
        }
        if entry.kind == Kind::Directory {
            self.parents.push(path.clone());
        }
        self.last = Some(path.clone());
        self.open = (entry.kind == Kind::File).then_some(OpenFile { pieces: 0, bytes: 0, size: entry.size });
        Ok(())
    }

    fn add(&mut self, line: &Line) -> Result<(), FormatError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.pieces += line.content().len() as u64;
        for piece in line.content() {
            open.bytes = open.bytes.saturating_add(piece.length());
        }
        if open.bytes > open.size {
            return Err(FormatError::invalid(format!("`{}` has more content than its {} bytes", line.path(), open.size)));
        }
        Ok(())
    }

    fn close(&self) -> Result<(), FormatError> {
        match (&self.open, &self.last) {
            (Some(open), Some(path)) if open.bytes != open.size => {
                Err(FormatError::invalid(format!("`{path}` has {} bytes of content and a size of {}", open.bytes, open.size)))
            }
            _ => Ok(()),
        }
    }
}

/// Whether every blob of a line says where it lies, as in the repository it must.
///
/// # Errors
/// [`FormatError::Invalid`] naming the path.
pub fn check_located(line: &Line) -> Result<(), FormatError> {
    let unplaced = |piece: &&Piece| matches!(piece, Piece::Blob { at: None, .. });
    match line.content().iter().find(unplaced) {
        Some(_) => Err(FormatError::invalid(format!("`{}`: a blob that lies in no pack", line.path()))),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "file_list_tests.rs"]
mod tests;
