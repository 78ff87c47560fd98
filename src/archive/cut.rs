//! Cuts a file into blobs and holes while its bytes go by.

use crate::format::digest::Hasher;
use crate::format::entry::Piece;
use crate::format::limits::BLOB_MAX;

use super::gear::Gear;

/// How a file that is longer than one blob is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// FastCDC 2020, 64 KiB / 256 KiB / 1 MiB: for content that changes in place or shifts (dumps, databases, directories).
    ContentDefined,
    /// Pieces of 1 MiB: for files that are written once (SSTables).
    Fixed,
}

/// Cuts one file. It keeps no bytes: a few hundred bytes of state, whatever the file.
///
/// A file of at most [`BLOB_MAX`] bytes without holes is one blob, whatever the size hint said.
#[derive(Debug)]
pub struct Cutter {
    scan: Scan,
    then: Method,
    piece: Hasher,
    length: u32,
    hole: u64,
    small: Option<Small>,
}

/// What ends a piece.
#[derive(Debug)]
enum Scan {
    /// Its length alone.
    Length,
    /// Its content.
    Content(Gear),
}

/// The file as one blob, as long as it may still turn out to be one, and the pieces that count if it does not.
#[derive(Debug, Default)]
struct Small {
    whole: Hasher,
    length: usize,
    held: Vec<Piece>,
}

impl Cutter {
    /// A cutter for one file. `size_hint` is how long the file is thought to be, in bytes; `u64::MAX` where that is not known.
    /// Where the hint is wrong, the pieces still add up; they may be others than with the right one.
    pub fn new(method: Method, size_hint: u64) -> Self {
        let content = method == Method::ContentDefined && size_hint > BLOB_MAX as u64;
        Self {
            scan: if content { Scan::Content(Gear::new()) } else { Scan::Length },
            then: method,
            piece: Hasher::new(),
            length: 0,
            hole: 0,
            small: content.then(Small::default),
        }
    }

    /// Takes the next bytes of the file and emits the pieces that end in them.
    pub fn push(&mut self, mut bytes: &[u8], emit: &mut dyn FnMut(Piece)) {
        if bytes.is_empty() {
            return;
        }
        self.end_hole(emit);
        match &mut self.small {
            Some(small) if small.length + bytes.len() <= BLOB_MAX => {
                small.whole.update(bytes);
                small.length += bytes.len();
            }
            _ => self.not_small(emit),
        }
        while !bytes.is_empty() {
            let (taken, ends) = self.take(bytes);
            self.piece.update(&bytes[..taken]);
            self.length += u32::try_from(taken).expect("no piece is longer than a blob");
            bytes = &bytes[taken..];
            if ends {
                self.end_piece(emit);
            }
        }
    }

    /// Takes a run of `length` bytes that the file system does not store. Neighbours become one hole.
    pub fn hole(&mut self, length: u64, emit: &mut dyn FnMut(Piece)) {
        if length == 0 {
            return;
        }
        self.not_small(emit);
        self.end_piece(emit);
        self.hole += length;
    }

    /// Emits what is left at the end of the file.
    pub fn finish(mut self, emit: &mut dyn FnMut(Piece)) {
        match self.small.take() {
            Some(small) if small.length > 0 => {
                let length = u32::try_from(small.length).expect("at most a blob");
                emit(Piece::Blob { digest: small.whole.finish(), length, at: None });
            }
            _ => self.end_piece(emit),
        }
        self.end_hole(emit);
    }

    fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        match &mut self.scan {
            Scan::Content(gear) => gear.take(bytes),
            Scan::Length => {
                let room = BLOB_MAX - self.length as usize;
                (room.min(bytes.len()), room <= bytes.len())
            }
        }
    }

    /// The file is longer than one blob or has a hole: its pieces count.
    fn not_small(&mut self, emit: &mut dyn FnMut(Piece)) {
        if let Some(small) = self.small.take() {
            small.held.into_iter().for_each(emit);
        }
    }

    fn end_piece(&mut self, emit: &mut dyn FnMut(Piece)) {
        match &mut self.scan {
            Scan::Content(gear) => gear.restart(),
            // A file that was thought to be small is not: what follows is cut as its method says.
            Scan::Length if self.length as usize == BLOB_MAX && self.then == Method::ContentDefined => {
                self.scan = Scan::Content(Gear::new());
            }
            Scan::Length => {}
        }
        if self.length == 0 {
            return;
        }
        let digest = std::mem::take(&mut self.piece).finish();
        let piece = Piece::Blob { digest, length: std::mem::take(&mut self.length), at: None };
        match &mut self.small {
            Some(small) => small.held.push(piece),
            None => emit(piece),
        }
    }

    fn end_hole(&mut self, emit: &mut dyn FnMut(Piece)) {
        if self.hole > 0 {
            emit(Piece::Hole { length: std::mem::take(&mut self.hole) });
        }
    }
}

#[cfg(test)]
#[path = "cut_tests.rs"]
mod tests;
