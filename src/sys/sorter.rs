//! An external merge sort: any number of records in order, under a fixed amount of memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Error;
use super::table::unlinked;

/// Most sorted runs that are merged at once; more are merged into one first, so that open files and read buffers are bounded.
const RUNS_MAX: usize = 64;

/// Read buffer of each run while they are merged: 64 runs take 1 MiB.
const RUN_BUFFER: usize = 16 << 10;

/// Takes records, then gives them back in ascending order of their bytes. Equal records all come back.
#[derive(Debug)]
pub struct Sorter {
    folder: PathBuf,
    budget: usize,
    bytes: Vec<u8>,
    /// Where each record lies in `bytes`.
    records: Vec<(u32, u32)>,
    runs: Vec<File>,
}

impl Sorter {
    /// A sorter that holds about `budget` bytes (at most 1 GiB) and spills what is more into temporary files in `folder`.
    pub fn new(folder: &Path, budget: usize) -> Self {
        Self { folder: folder.to_owned(), budget: budget.min(1 << 30), bytes: Vec::new(), records: Vec::new(), runs: Vec::new() }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be spilled.
    pub fn push(&mut self, record: &[u8]) -> Result<(), Error> {
        if !self.records.is_empty() && self.bytes.len() + record.len() + (self.records.len() + 1) * 8 > self.budget {
            self.spill()?;
        }
        let at = u32::try_from(self.bytes.len()).expect("the budget is at most 1 GiB");
        self.bytes.extend_from_slice(record);
        self.records.push((at, u32::try_from(record.len()).expect("a record is far below 4 GiB")));
        Ok(())
    }

    /// All records in ascending order.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sorted(mut self) -> Result<Sorted, Error> {
        if self.runs.is_empty() {
            self.order();
            return Ok(Sorted(Source::Memory { bytes: self.bytes, records: self.records.into_iter() }, Vec::new()));
        }
        if !self.records.is_empty() {
            self.spill()?;
        }
        let merge = Merge::of(self.runs, &self.folder)?;
        Ok(Sorted(Source::Merge(merge), Vec::new()))
    }

    fn order(&mut self) {
        let bytes = &self.bytes;
        let of = |record: &(u32, u32)| &bytes[record.0 as usize..(record.0 + record.1) as usize];
        self.records.sort_unstable_by(|a, b| of(a).cmp(of(b)));
    }

    fn spill(&mut self) -> Result<(), Error> {
        self.order();
        let mut run = Run::create(&self.folder)?;
        for (at, length) in &self.records {
            run.write(&self.bytes[*at as usize..(*at + *length) as usize])?;
        }
        self.runs.push(run.finish()?);
        self.bytes.clear();
        self.records.clear();
        if self.runs.len() == RUNS_MAX {
            let mut merge = Merge::of(std::mem::take(&mut self.runs), &self.folder)?;
            let (mut run, mut record) = (Run::create(&self.folder)?, Vec::new());
            while merge.next(&mut record)? {
                run.write(&record)?;
            }
            self.runs.push(run.finish()?);
        }
        Ok(())
    }
}

/// Sorted records, one at a time.
#[derive(Debug)]
pub struct Sorted(Source, Vec<u8>);

#[derive(Debug)]
enum Source {
    Memory { bytes: Vec<u8>, records: std::vec::IntoIter<(u32, u32)> },
    Merge(Merge),
}

impl Sorted {
    /// The next record, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::Io`].
    #[expect(clippy::should_implement_trait, reason = "the record is lent, which an Iterator cannot do")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        match &mut self.0 {
            Source::Memory { bytes, records } => Ok(records.next().map(|(at, length)| &bytes[at as usize..(at + length) as usize])),
            Source::Merge(merge) => Ok(merge.next(&mut self.1)?.then_some(self.1.as_slice())),
        }
    }
}

struct Run {
    file: BufWriter<File>,
    folder: PathBuf,
}

impl Run {
    fn create(folder: &Path) -> Result<Self, Error> {
        Ok(Self { file: BufWriter::new(unlinked(folder)?), folder: folder.to_owned() })
    }

    fn write(&mut self, record: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(record.len()).expect("a record is far below 4 GiB").to_le_bytes();
        self.file
            .write_all(&length)
            .and_then(|()| self.file.write_all(record))
            .map_err(Error::io("write a temporary file in", &self.folder))
    }

    fn finish(self) -> Result<File, Error> {
        let failed = || Error::io("write a temporary file in", &self.folder);
        let mut file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error).map_err(failed())?;
        file.seek(SeekFrom::Start(0)).map_err(failed())?;
        Ok(file)
    }
}

#[derive(Debug)]
struct Merge {
    runs: Vec<BufReader<File>>,
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    folder: PathBuf,
}

impl Merge {
    fn of(runs: Vec<File>, folder: &Path) -> Result<Self, Error> {
        let runs = runs.into_iter().map(|run| BufReader::with_capacity(RUN_BUFFER, run)).collect();
        let mut merge = Self { runs, heads: BinaryHeap::new(), folder: folder.to_owned() };
        for run in 0..merge.runs.len() {
            merge.advance(run, Vec::new())?;
        }
        Ok(merge)
    }

    /// Reads the next record of a run into the heap, in the buffer that the one before no longer needs.
    fn advance(&mut self, run: usize, mut record: Vec<u8>) -> Result<(), Error> {
        let failed = || Error::io("read a temporary file in", &self.folder);
        let mut length = [0; 4];
        match self.runs[run].read_exact(&mut length) {
            Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            other => other.map_err(failed())?,
        }
        record.resize(u32::from_le_bytes(length) as usize, 0);
        self.runs[run].read_exact(&mut record).map_err(failed())?;
        self.heads.push(Reverse((record, run)));
        Ok(())
    }

    fn next(&mut self, record: &mut Vec<u8>) -> Result<bool, Error> {
        let Some(Reverse((least, run))) = self.heads.pop() else { return Ok(false) };
        let spent = std::mem::replace(record, least);
        self.advance(run, spent)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sort(records: &[Vec<u8>], budget: usize) -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(folder.path(), budget);
        records.iter().for_each(|record| sorter.push(record).unwrap());
        let mut sorted = sorter.sorted().unwrap();
        let mut out = Vec::new();
        while let Some(record) = sorted.next().unwrap() {
            out.push(record.to_vec());
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn records_come_back_in_order_whether_they_fit_or_not(mut records: Vec<Vec<u8>>, budget in 16usize..4096) {
            let sorted = sort(&records, budget);
            records.sort();
            prop_assert_eq!(sorted, records);
        }
    }

    #[test]
    fn more_runs_than_are_merged_at_once_are_merged_in_rounds() {
        let records: Vec<Vec<u8>> = (0..3000u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes().to_vec()).collect();
        let mut expected = records.clone();
        expected.sort();
        assert_eq!(sort(&records, 64), expected);
    }
}
