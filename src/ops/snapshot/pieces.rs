//! The pieces of one file while it is copied: in memory, and beyond a bound in a temporary file.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::archive::{Cutter, Method};
use crate::format::digest::Digest;
use crate::format::entry::Piece;
use crate::ops::Error;
use crate::source::directory::Content;
use crate::sys;

/// Pieces that are held in memory for one file: 8,192 take 900 KiB and stand for 2 GiB of content.
const HELD: usize = 8192;

/// A piece in the temporary file: length, and the digest, which is zero for a hole.
const WIDTH: usize = 8 + 32;

/// Cuts and hashes the bytes of one file as they are copied.
pub(super) struct Cutting {
    cutter: Option<Cutter>,
    pieces: Pieces,
    crc32: Option<crc32fast::Hasher>,
}

impl Cutting {
    /// For a file of about this size; `work` is where a temporary file goes.
    pub(super) fn new(method: Method, size: u64, work: &Path) -> Self {
        Self { cutter: Some(Cutter::new(method, size)), pieces: Pieces::new(work), crc32: None }
    }

    /// With a CRC-32 of all bytes besides, for what has one beside it.
    pub(super) fn with_crc32(self) -> Self {
        Self { crc32: Some(crc32fast::Hasher::new()), ..self }
    }

    /// The CRC-32 of the bytes so far, if one was asked for.
    pub(super) fn crc32(&self) -> Option<u32> {
        self.crc32.clone().map(crc32fast::Hasher::finalize)
    }

    /// The pieces, once all bytes have been seen.
    pub(super) fn finish(mut self) -> Result<Pieces, Error> {
        if let Some(cutter) = self.cutter.take() {
            cutter.finish(&mut |piece| self.pieces.push(piece));
        }
        self.pieces.close()?;
        Ok(self.pieces)
    }
}

impl Content for Cutting {
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(crc32) = &mut self.crc32 {
            crc32.update(bytes);
        }
        let (cutter, pieces) = (self.cutter.as_mut(), &mut self.pieces);
        cutter.expect("bytes come before the end").push(bytes, &mut |piece| pieces.push(piece));
    }

    fn hole(&mut self, length: u64) {
        let (cutter, pieces) = (self.cutter.as_mut(), &mut self.pieces);
        cutter.expect("holes come before the end").hole(length, &mut |piece| pieces.push(piece));
    }
}

/// A list of pieces that is written once and then read once.
pub(super) struct Pieces {
    held: Vec<Piece>,
    spilled: Option<BufWriter<File>>,
    reader: Option<BufReader<File>>,
    failure: Option<Error>,
    work: PathBuf,
    read: usize,
    /// Bytes that they stand for.
    pub(super) bytes: u64,
}

impl Pieces {
    fn new(work: &Path) -> Self {
        Self { held: Vec::new(), spilled: None, reader: None, failure: None, work: work.to_owned(), read: 0, bytes: 0 }
    }

    /// Pieces that are known already.
    pub(super) fn of(held: Vec<Piece>) -> Self {
        Self { bytes: held.iter().map(Piece::length).sum(), held, ..Self::new(Path::new("")) }
    }

    fn push(&mut self, piece: Piece) {
        self.bytes += piece.length();
        if self.held.len() < HELD {
            self.held.push(piece);
        } else if let Err(error) = self.spill(&piece) {
            // The caller of `push` copies bytes and cannot stop for this; the end of the file can.
            self.failure.get_or_insert(error);
        }
    }

    fn spill(&mut self, piece: &Piece) -> Result<(), Error> {
        if self.spilled.is_none() {
            self.spilled = Some(BufWriter::new(sys::table::unlinked(&self.work)?));
        }
        let (length, digest) = match piece {
            Piece::Hole { length } => (*length, [0; 32]),
            Piece::Blob { digest, length, .. } => (u64::from(*length), *digest.as_bytes()),
        };
        let file = self.spilled.as_mut().expect("it has just been made");
        file.write_all(&length.to_le_bytes())
            .and_then(|()| file.write_all(&digest))
            .map_err(Error::file("write a temporary file in", &self.work))
    }

    fn close(&mut self) -> Result<(), Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if let Some(spilled) = self.spilled.take() {
            let failed = || Error::file("write a temporary file in", &self.work);
            let mut file = spilled.into_inner().map_err(std::io::IntoInnerError::into_error).map_err(failed())?;
            file.seek(SeekFrom::Start(0)).map_err(failed())?;
            self.reader = Some(BufReader::new(file));
        }
        Ok(())
    }

    /// At most `most` further pieces; none at the end.
    pub(super) fn take(&mut self, most: usize) -> Result<Vec<Piece>, Error> {
        if self.read < self.held.len() {
            let end = self.held.len().min(self.read + most);
            let some = self.held[self.read..end].to_vec();
            self.read = end;
            return Ok(some);
        }
        let Some(reader) = &mut self.reader else { return Ok(Vec::new()) };
        let mut some = Vec::new();
        let mut record = [0; WIDTH];
        while some.len() < most {
            match reader.read_exact(&mut record) {
                Ok(()) => some.push(read_piece(&record)),
                Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(cause) => return Err(Error::file("read a temporary file in", &self.work)(cause)),
            }
        }
        Ok(some)
    }
}

fn read_piece(record: &[u8; WIDTH]) -> Piece {
    let length = u64::from_le_bytes(*record.first_chunk().expect("eight bytes"));
    let digest: [u8; 32] = record[8..].try_into().expect("32 bytes");
    if digest == [0; 32] {
        Piece::Hole { length }
    } else {
        Piece::Blob { digest: Digest::from_bytes(digest), length: u32::try_from(length).expect("a blob is at most 1 MiB"), at: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_beyond_the_bound_come_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut pieces = Pieces::new(folder.path());
        let piece = |n: u32| match n % 3 {
            0 => Piece::Hole { length: u64::from(n) << 30 | 1 },
            _ => Piece::Blob { digest: Digest::of(&n.to_le_bytes()), length: n, at: None },
        };
        (0..20_000).for_each(|n| pieces.push(piece(n)));
        pieces.close().unwrap();
        let mut back = Vec::new();
        loop {
            let some = pieces.take(2048).unwrap();
            if some.is_empty() {
                break;
            }
            assert!(some.len() <= 2048);
            back.extend(some);
        }
        assert_eq!(back, (0..20_000).map(piece).collect::<Vec<_>>());
    }
}
