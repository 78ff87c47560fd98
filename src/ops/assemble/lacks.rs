//! Bytes that none of the places gave: looked for elsewhere, and written where they belong.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::record::{Want, Why};
use super::{Assembly, Lost};
use crate::format::digest::Digest;
use crate::ops::Error;
use crate::ops::elsewhere::{self, Gains, Wanted};
use crate::sys::sorter::Sorter;
use crate::sys::table::{Table, unlinked};

/// Memory for what is lacking, about 4,000 blobs; more go to the disk. Normally there is nothing.
const LACKING_BUDGET: usize = 1 << 20;

/// What is wrong with bytes of which no file list says where they lie.
pub(super) const NOWHERE: &str = "its bytes are gone or not what was copied, and are in none of the other places";

/// What is lacking, in any order, each with the reason.
pub(super) struct Lacks {
    sorter: Sorter,
    is_empty: bool,
    work: PathBuf,
}

impl Lacks {
    pub(super) fn new(work: &Path) -> Self {
        Self { sorter: Sorter::new(work, LACKING_BUDGET), is_empty: true, work: work.to_owned() }
    }

    /// Adds bytes that could not be had.
    pub(super) fn push(&mut self, want: &Want, why: &Why) -> Result<(), Error> {
        self.is_empty = false;
        Ok(self.sorter.push(&want.to_lacking(why))?)
    }

    /// Looks for all of it elsewhere and writes what is found; a file that still lacks bytes is lost, and taken out of the target.
    pub(super) fn fill(self, assembly: &Assembly<'_>) -> Result<(Gains, Lost), Error> {
        let mut lost = Lost::default();
        if self.is_empty {
            return Ok((Gains::default(), lost));
        }
        let mut wanted = Wanted::new(&self.work)?;
        let needs = Needs::write(self, &mut wanted)?;
        let gains = elsewhere::search(assembly.ctx, assembly.tiers, &needs.work, &mut wanted, &mut |digest, bytes, _| {
            needs.each_of(digest, &mut |want| {
                if want.length as usize == bytes.len() {
                    assembly.put(&want, bytes)?;
                    assembly.ctx.meter.add_bytes(u64::from(want.length));
                }
                Ok(())
            })
        })?;
        needs.each(&mut |want, why| {
            if wanted.found(&want.digest)? == Some(want.length) {
                return Ok(());
            }
            if lost.add(&want, assembly.object_of(&want), &why, &needs.work)? {
                assembly.target.remove(&want.path)?;
            }
            Ok(())
        })?;
        Ok((gains, lost))
    }
}

/// What is lacking, by digest: one digest may be needed in very many places.
struct Needs {
    /// Records with their lengths before them, sorted by digest.
    file: File,
    /// Where the records of a digest begin.
    index: Table,
    work: PathBuf,
}

impl Needs {
    fn write(lacks: Lacks, wanted: &mut Wanted) -> Result<Self, Error> {
        let work = lacks.work;
        let failed = || Error::file("write a temporary file in", &work);
        let mut index = Table::new(&work, 8)?;
        let (mut file, mut at, mut last) = (BufWriter::new(unlinked(&work)?), 0u64, None);
        let mut sorted = lacks.sorter.sorted()?;
        while let Some(record) = sorted.next()? {
            let (want, _) = Want::from_lacking(record);
            wanted.add(&want.digest, want.at.as_ref())?;
            if last != Some(want.digest) {
                index.put(want.digest.as_bytes(), &at.to_be_bytes())?;
                last = Some(want.digest);
            }
            let length = u32::try_from(record.len()).expect("a path is shorter than a line");
            file.write_all(&length.to_be_bytes()).and_then(|()| file.write_all(record)).map_err(failed())?;
            at += 4 + record.len() as u64;
        }
        let file = file.into_inner().map_err(std::io::IntoInnerError::into_error).map_err(failed())?;
        Ok(Self { file, index, work })
    }

    /// Every place that needs this blob.
    fn each_of(&self, digest: &Digest, see: &mut dyn FnMut(Want) -> Result<(), Error>) -> Result<(), Error> {
        let mut at = [0; 8];
        if !self.index.get(digest.as_bytes(), &mut at)? {
            return Ok(());
        }
        let mut records = self.records(u64::from_be_bytes(at));
        while let Some((want, _)) = records.next(&self.work)? {
            if want.digest != *digest {
                break;
            }
            see(want)?;
        }
        Ok(())
    }

    /// Everything, with the reasons.
    fn each(&self, see: &mut dyn FnMut(Want, Why) -> Result<(), Error>) -> Result<(), Error> {
        let mut records = self.records(0);
        while let Some((want, why)) = records.next(&self.work)? {
            see(want, why)?;
        }
        Ok(())
    }

    fn records(&self, at: u64) -> Records<'_> {
        Records(BufReader::new(At { file: &self.file, at }))
    }
}

/// Records from some place on.
struct Records<'a>(BufReader<At<'a>>);

impl Records<'_> {
    fn next(&mut self, work: &Path) -> Result<Option<(Want, Why)>, Error> {
        let mut length = [0; 4];
        match self.0.read_exact(&mut length) {
            Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(Error::file("read a temporary file in", work))?,
        }
        let mut record = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut record).map_err(Error::file("read a temporary file in", work))?;
        Ok(Some(Want::from_lacking(&record)))
    }
}

/// Reads a file that others read too.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
