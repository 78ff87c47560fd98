//! A hash table on disk: what grows with the data is looked up here and not held in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Error;

/// Bytes of a key: a SHA-256, or anything else whose first eight bytes are spread evenly.
pub const KEY: usize = 32;

/// Slots of a new table: one page of memory per few entries, and growing doubles it.
const FIRST_SLOTS: u64 = 1 << 12;

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
    /// An empty table, with its file in `folder`, for values of `value_length` bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(folder: &Path, value_length: usize) -> Result<Self, Error> {
        Self::with_slots(folder, KEY + value_length + 1, FIRST_SLOTS)
    }

    fn with_slots(folder: &Path, width: usize, slots: u64) -> Result<Self, Error> {
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
        let (slot, taken) = self.find(key).map_err(Error::io("read a table in", &self.folder))?;
        let mut entry = Vec::with_capacity(self.width);
        entry.push(1);
        entry.extend_from_slice(key);
        entry.extend_from_slice(value);
        self.file.write_all_at(&entry, slot * self.width as u64).map_err(Error::io("write a table in", &self.folder))?;
        self.used += u64::from(!taken);
        Ok(())
    }

    /// Copies the value of a key into `value`; gives whether there is one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn get(&self, key: &[u8; KEY], value: &mut [u8]) -> Result<bool, Error> {
        assert_eq!(value.len() + KEY + 1, self.width, "values of one table have one length");
        let failed = || Error::io("read a table in", &self.folder);
        let (slot, taken) = self.find(key).map_err(failed())?;
        if taken {
            self.file.read_exact_at(value, slot * self.width as u64 + 1 + KEY as u64).map_err(failed())?;
        }
        Ok(taken)
    }

    /// The slot of a key, or the free one where it belongs.
    fn find(&self, key: &[u8; KEY]) -> io::Result<(u64, bool)> {
        let spread = u64::from_le_bytes(*key.first_chunk().expect("a key has 32 bytes"));
        let mut slot = u64::try_from((u128::from(spread) * u128::from(self.slots)) >> 64).expect("below the number of slots");
        let mut found = [0; KEY + 1];
        loop {
            self.file.read_exact_at(&mut found, slot * self.width as u64)?;
            if found[0] == 0 {
                return Ok((slot, false));
            }
            if found[1..] == *key {
                return Ok((slot, true));
            }
            slot = if slot + 1 == self.slots { 0 } else { slot + 1 };
        }
    }

    fn grow(&mut self) -> Result<(), Error> {
        let mut larger = Self::with_slots(&self.folder, self.width, self.slots * 2)?;
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
