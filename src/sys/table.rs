//! A hash table on disk: what grows with the data is looked up here and not held in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Error;

/// Bytes of a key: a SHA-256, or anything else whose first eight bytes are spread evenly.
pub const KEY: usize = 32;

/// Slots of a new table. The file has holes where nothing was put, so this costs little.
const FIRST_SLOTS: u64 = 1 << 14;

/// How many times as large a table becomes when it is full: every entry is put again then.
const GROWTH: u64 = 4;

/// Bytes that are read at once: slots that follow each other, so that most probes need one read.
const RUN: usize = 512;

/// A table from 32-byte keys to values of one length, in an unlinked temporary file: it vanishes with the process.
///
/// Open addressing with linear probing; an entry's place follows from the first eight bytes of its key.
/// The kernel's page cache makes it fast and gives the memory back when others need it.
#[derive(Debug)]
pub struct Table {
    file: File,
    folder: PathBuf,
    slots: u64,
    used: u64,
    width: usize,
}

impl Table {
    /// An empty table, with its file in `folder`, for values of `value_length` bytes, at most 479.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(folder: &Path, value_length: usize) -> Result<Self, Error> {
        Self::with_slots(folder, KEY + value_length + 1, FIRST_SLOTS)
    }

    fn with_slots(folder: &Path, width: usize, slots: u64) -> Result<Self, Error> {
        assert!(width <= RUN, "a slot is read as a whole");
        let file = unlinked(folder)?;
        file.set_len(slots * width as u64).map_err(Error::io("make a table in", folder))?;
        Ok(Self { file, folder: folder.to_owned(), slots, used: 0, width })
    }

    /// How many entries it has.
    pub fn len(&self) -> u64 {
        self.used
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Adds an entry, or gives the entry of this key another value.
    ///
    /// # Errors
    /// [`Error::Io`], most likely because the disk is full.
    pub fn put(&mut self, key: &[u8; KEY], value: &[u8]) -> Result<(), Error> {
        assert_eq!(value.len() + KEY + 1, self.width, "values of one table have one length");
        // Above seven tenths, probes become long.
        if self.used * 10 >= self.slots * 7 {
            self.grow()?;
        }
        let (slot, taken) = self.find(key, &mut [0; RUN]).map_err(Error::io("read a table in", &self.folder))?;
        let mut entry = Vec::with_capacity(self.width);
        entry.push(1);
        entry.extend_from_slice(key);
        entry.extend_from_slice(value);
        self.file.write_all_at(&entry, slot * self.width as u64).map_err(Error::io("write a table in", &self.folder))?;
        self.used += u64::from(taken.is_none());
        Ok(())
    }

    /// Copies the value of a key into `value`; gives whether there is one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn get(&self, key: &[u8; KEY], value: &mut [u8]) -> Result<bool, Error> {
        assert_eq!(value.len() + KEY + 1, self.width, "values of one table have one length");
        let mut run = [0; RUN];
        let (_, taken) = self.find(key, &mut run).map_err(Error::io("read a table in", &self.folder))?;
        if let Some(at) = taken {
            value.copy_from_slice(&run[at + 1 + KEY..at + self.width]);
        }
        Ok(taken.is_some())
    }

    /// The slot of a key, and where its entry lies in `run`; or the free slot where it belongs.
    fn find(&self, key: &[u8; KEY], run: &mut [u8; RUN]) -> io::Result<(u64, Option<usize>)> {
        let spread = u64::from_le_bytes(*key.first_chunk().expect("a key has 32 bytes"));
        let mut slot = u64::try_from((u128::from(spread) * u128::from(self.slots)) >> 64).expect("below the number of slots");
        loop {
            let count = (self.slots - slot).min((RUN / self.width) as u64);
            let run = &mut run[..self.width * usize::try_from(count).expect("a few slots")];
            self.file.read_exact_at(run, slot * self.width as u64)?;
            for (n, entry) in run.chunks_exact(self.width).enumerate() {
                if entry[0] == 0 {
                    return Ok((slot + n as u64, None));
                }
                if entry[1..=KEY] == *key {
                    return Ok((slot + n as u64, Some(n * self.width)));
                }
            }
            slot = if slot + count == self.slots { 0 } else { slot + count };
        }
    }

    fn grow(&mut self) -> Result<(), Error> {
        let mut larger = Self::with_slots(&self.folder, self.width, self.slots * GROWTH)?;
        let failed = || Error::io("read a table in", &self.folder);
        let mut entries = vec![0; self.width * 1024];
        for first in (0..self.slots).step_by(1024) {
            let some = &mut entries[..self.width * usize::try_from((self.slots - first).min(1024)).expect("at most 1,024")];
            self.file.read_exact_at(some, first * self.width as u64).map_err(failed())?;
            for entry in some.chunks_exact(self.width).filter(|entry| entry[0] == 1) {
                let key = entry[1..].first_chunk().expect("an entry begins with its key");
                larger.put(key, &entry[1 + KEY..])?;
            }
        }
        *self = larger;
        Ok(())
    }
}

/// A temporary file in `folder` that has no name, so nobody need clean it up.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn unlinked(folder: &Path) -> Result<File, Error> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => return Ok(file.into()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {}
        Err(cause) => return Err(Error::io("make a temporary file in", folder)(cause.into())),
    }
    // A filesystem without nameless files: a name that is removed at once does the same.
    let path = folder.join(format!(".{}-{:?}.scratch", std::process::id(), std::thread::current().id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).map_err(Error::io("create", &path))?;
    std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn a_table_answers_as_a_map_does(entries in proptest::collection::vec((any::<u16>(), any::<u32>()), 0..9000)) {
            let folder = tempfile::tempdir().unwrap();
            let mut table = Table::new(folder.path(), 4).unwrap();
            let mut model = HashMap::new();
            // Keys that begin alike end up in one place, so probing is exercised.
            let key = |n: u16| { let mut key = [0; KEY]; key[7] = n as u8 & 3; key[30..].copy_from_slice(&n.to_le_bytes()); key };
            for (n, value) in entries.into_iter().take(600) {
                table.put(&key(n), &value.to_le_bytes()).unwrap();
                model.insert(n, value);
            }
            prop_assert_eq!(table.len(), model.len() as u64);
            for n in 0..=2000u16 {
                let mut value = [0; 4];
                let found = table.get(&key(n), &mut value).unwrap();
                prop_assert_eq!(found.then(|| u32::from_le_bytes(value)), model.get(&n).copied());
            }
        }
    }

    #[test]
    fn a_table_grows_and_forgets_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = Table::new(folder.path(), 8).unwrap();
        let key = |n: u64| *crate::format::digest::Digest::of(&n.to_le_bytes()).as_bytes();
        for n in 0..20_000u64 {
            table.put(&key(n), &n.to_le_bytes()).unwrap();
        }
        let mut value = [0; 8];
        for n in 0..20_000u64 {
            assert!(table.get(&key(n), &mut value).unwrap());
            assert_eq!(u64::from_le_bytes(value), n);
        }
        assert!(!table.get(&key(20_000), &mut value).unwrap());
    }
}
