//! Records that are written once, in order, and read as often as needed: a few in memory, more of them in a nameless temporary file.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use super::positioned::Positioned;
use super::table::unlinked;

/// Read buffer of one reader of a file.
const READ_BUFFER: usize = 16 << 10;

/// Records that have all been written. A clone reads the same file.
#[derive(Clone, Debug, Default)]
pub struct Spool {
    held: Held,
    records: usize,
    folder: PathBuf,
}

#[derive(Clone, Debug)]
enum Held {
    Memory(Arc<[u8]>),
    File(Arc<File>),
}

impl Default for Held {
    fn default() -> Self {
        Self::Memory(Arc::default())
    }
}

impl Spool {
    /// How many records it has.
    pub fn len(&self) -> usize {
        self.records
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Reads it from the beginning.
    pub fn read(&self) -> Reader<'_> {
        let source: Box<dyn Read + '_> = match &self.held {
            Held::Memory(bytes) => Box::new(&**bytes),
            Held::File(file) => Box::new(BufReader::with_capacity(READ_BUFFER, Positioned::new(file.clone()))),
        };
        Reader { source, left: self.records, folder: &self.folder, record: Vec::new() }
    }
}

/// Takes the records of a [`Spool`].
#[derive(Debug)]
pub struct Writer {
    memory: Vec<u8>,
    budget: usize,
    file: Option<BufWriter<File>>,
    records: usize,
    folder: PathBuf,
}

impl Writer {
    /// A spool of which at most `budget` bytes stay in memory; what is more lies in a temporary file in `folder`.
    pub fn new(folder: &Path, budget: usize) -> Self {
        Self { memory: Vec::new(), budget, file: None, records: 0, folder: folder.to_owned() }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`Error::Io`], most likely because the disk is full.
    pub fn push(&mut self, record: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(record.len()).expect("a record is far below 4 GiB").to_le_bytes();
        self.records += 1;
        if self.file.is_none() && self.memory.len() + length.len() + record.len() > self.budget {
            let mut file = BufWriter::new(unlinked(&self.folder)?);
            file.write_all(&std::mem::take(&mut self.memory)).map_err(self.failed())?;
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(&length).and_then(|()| file.write_all(record)).map_err(self.failed()),
            None => {
                self.memory.extend_from_slice(&length);
                self.memory.extend_from_slice(record);
                Ok(())
            }
        }
    }

    /// All records, to be read.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<Spool, Error> {
        let held = match self.file.take() {
            Some(file) => Held::File(Arc::new(file.into_inner().map_err(io::IntoInnerError::into_error).map_err(self.failed())?)),
            None => Held::Memory(self.memory.into()),
        };
        Ok(Spool { held, records: self.records, folder: self.folder })
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::io("write a temporary file in", self.folder.clone())
    }
}

/// Reads a [`Spool`].
pub struct Reader<'a> {
    source: Box<dyn Read + 'a>,
    left: usize,
    folder: &'a Path,
    record: Vec<u8>,
}

impl Reader<'_> {
    /// The next record, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::Io`].
    #[expect(clippy::should_implement_trait, reason = "the record is lent, which an Iterator cannot do")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut length = [0; 4];
        let mut read = || {
            self.source.read_exact(&mut length)?;
            self.record.resize(u32::from_le_bytes(length) as usize, 0);
            self.source.read_exact(&mut self.record)
        };
        read().map_err(Error::io("read a temporary file in", self.folder))?;
        Ok(Some(&self.record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(spool: &Spool) -> Vec<Vec<u8>> {
        let (mut reader, mut records) = (spool.read(), Vec::new());
        while let Some(record) = reader.next().unwrap() {
            records.push(record.to_vec());
        }
        assert!(reader.next().unwrap().is_none(), "the end stays the end");
        records
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn records_come_back_as_they_were_written_however_often_they_are_read(records: Vec<Vec<u8>>, budget in 0usize..4096) {
            let folder = tempfile::tempdir().unwrap();
            let mut writer = Writer::new(folder.path(), budget);
            records.iter().for_each(|record| writer.push(record).unwrap());
            let spool = writer.finish().unwrap();
            prop_assert_eq!((spool.len(), spool.is_empty()), (records.len(), records.is_empty()));
            prop_assert_eq!(all(&spool), records.clone());
            prop_assert_eq!(all(&spool), records);
        }
    }

    #[test]
    fn two_readers_of_one_file_do_not_disturb_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path(), 0);
        let records: Vec<Vec<u8>> = (0..5000u32).map(|n| n.to_be_bytes().to_vec()).collect();
        records.iter().for_each(|record| writer.push(record).unwrap());
        let spool = writer.finish().unwrap();
        let (mut one, mut other) = (spool.read(), spool.read());
        for record in &records {
            assert_eq!(one.next().unwrap(), Some(record.as_slice()));
            if record[3] == 0 {
                assert!(other.next().unwrap().is_some());
            }
        }
        assert!(one.next().unwrap().is_none() && other.next().unwrap().is_some());
    }

    #[test]
    fn few_records_need_no_folder_and_more_of_them_say_which_one_is_missing() {
        let nowhere = Path::new("/nonexistent/windlass");
        let mut writer = Writer::new(nowhere, 100);
        writer.push(b"a few bytes").unwrap();
        let error = writer.push(&[0; 100]).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/windlass"), "{error}");
        let mut writer = Writer::new(nowhere, 100);
        writer.push(b"a few bytes").unwrap();
        assert_eq!(all(&writer.finish().unwrap()), [b"a few bytes"]);
    }
}
