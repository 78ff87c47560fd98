//! Whether what was to be imported is in the table's folders: SSTable by SSTable, by its size and the checksum of its rows.
//!
//! The node gives an SSTable that it imports another id and changes nothing of its rows (`SSTableReader.moveAndOpenSSTable`). So each one that was
//! to come must be found among those that were not there before, under whatever name.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::super::component::{Component, DATA};
use super::super::folders::data_files;
use super::super::listing::SORT_MEMORY;
use crate::source::Error;
use crate::sys::sorter::{Sorted, Sorter};

/// The component with the checksum of `Data.db`, in decimal digits.
const DIGEST: &str = "Digest.crc32";

/// More digits than any such checksum has.
const DIGEST_MAX: u64 = 32;

/// The names of the SSTables that lie in folders of one table, in order.
pub(super) struct Names(Sorted);

impl Names {
    /// Reads them.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::System`].
    pub(super) fn read(folders: &[PathBuf], work: &Path) -> Result<Self, Error> {
        let mut names = Sorter::new(work, SORT_MEMORY);
        for folder in folders {
            for entry in data_files(folder)? {
                if let Some(name) = entry?.file_name().to_str().and_then(Component::parse) {
                    names.push(name.sstable.as_bytes())?;
                }
            }
        }
        Ok(Self(names.sorted()?))
    }
}

/// SSTables by what makes them known whatever they are called, in order.
pub(super) struct Marks(Sorted);

impl Marks {
    /// Those of all SSTables in folders of one table.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::System`].
    pub(super) fn of(folders: &[PathBuf], work: &Path) -> Result<Self, Error> {
        Self::but(folders, Names::read(&[], work)?, work)
    }

    /// Those of SSTables that were not there before.
    ///
    /// # Errors
    /// As [`Marks::of`]. What is compacted away meanwhile does not count.
    pub(super) fn but(folders: &[PathBuf], before: Names, work: &Path) -> Result<Self, Error> {
        let (mut now, mut marks) = (Names::read(folders, work)?.0, Sorter::new(work, SORT_MEMORY));
        let mut before = before.0;
        let mut old = before.next()?.map(<[u8]>::to_vec);
        while let Some(name) = now.next()? {
            while old.as_deref().is_some_and(|old| old < name) {
                old = before.next()?.map(<[u8]>::to_vec);
            }
            if old.as_deref() != Some(name) {
                let name = String::from_utf8_lossy(name);
                if let Some(mark) = folders.iter().find_map(|folder| mark(folder, &name).transpose()) {
                    marks.push(&mark?)?;
                }
            }
        }
        Ok(Self(marks.sorted()?))
    }

    /// How many of these are among others; the name of the first that is not.
    ///
    /// # Errors
    /// [`Error::System`].
    pub(super) fn among(mut self, mut others: Self) -> Result<(u64, Option<String>), Error> {
        let (mut found, mut missing) = (0, None);
        let mut other = others.0.next()?.map(|record| split(record).0.to_vec());
        while let Some(record) = self.0.next()? {
            let (mark, name) = split(record);
            while other.as_deref().is_some_and(|other| other < mark) {
                other = others.0.next()?.map(|record| split(record).0.to_vec());
            }
            if other.as_deref() == Some(mark) {
                found += 1;
                other = others.0.next()?.map(|record| split(record).0.to_vec());
            } else {
                missing.get_or_insert_with(|| String::from_utf8_lossy(name).into_owned());
            }
        }
        Ok((found, missing))
    }
}

/// A record as mark and name.
fn split(record: &[u8]) -> (&[u8], &[u8]) {
    let at = record[8..].iter().position(|byte| *byte == 0).map_or(record.len(), |at| at + 8);
    (&record[..at], record.get(at + 1..).unwrap_or_default())
}

/// Size, checksum and name of an SSTable; `None` where it is not in this folder.
fn mark(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let data = folder.join(format!("{name}-{DATA}"));
    let size = match fs::metadata(&data) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        stat => stat.map_err(Error::file("look at", &data))?.len(),
    };
    let path = folder.join(format!("{name}-{DIGEST}"));
    let mut digest = String::new();
    match fs::File::open(&path) {
        // Compacted away since, or one that never had one: then its size has to do.
        Err(cause) if cause.kind() == ErrorKind::NotFound => {}
        file => {
            let file = file.map_err(Error::file("read", &path))?;
            file.take(DIGEST_MAX).read_to_string(&mut digest).map_err(Error::file("read", &path))?;
        }
    }
    Ok(Some([&size.to_be_bytes()[..], digest.trim().as_bytes(), &[0], name.as_bytes()].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, data: &str, digest: Option<&str>) {
        fs::write(folder.join(format!("{name}-big-Data.db")), data).unwrap();
        if let Some(digest) = digest {
            fs::write(folder.join(format!("{name}-big-Digest.crc32")), digest).unwrap();
        }
    }

    fn check(before: &[&str], staged: &[(&str, &str, &str)], live: &[(&str, &str, &str)]) -> (u64, Option<String>) {
        let temp = tempfile::tempdir().unwrap();
        let (from, to) = (temp.path().join("staged"), temp.path().join("live"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        before.iter().for_each(|name| write(&to, name, "x", Some("1")));
        let names = Names::read(std::slice::from_ref(&to), temp.path()).unwrap();
        staged.iter().for_each(|(name, data, digest)| write(&from, name, data, Some(digest)));
        live.iter().for_each(|(name, data, digest)| write(&to, name, data, Some(digest)));
        let arrived = Marks::but(&[to], names, temp.path()).unwrap();
        Marks::of(&[from], temp.path()).unwrap().among(arrived).unwrap()
    }

    #[test]
    fn what_has_come_is_found_whatever_it_is_called() {
        let staged = [("nb-1", "a", "1"), ("nb-2", "bb", "2"), ("nb-3", "a", "1")];
        assert_eq!(check(&[], &staged, &[("nb-7", "bb", "2\n"), ("nb-8", "a", "1"), ("nb-9", "a", "1")]), (3, None));
        assert_eq!(check(&[], &staged, &[("nb-7", "bb", "2"), ("nb-8", "a", "1")]), (2, Some("nb-3-big".into())));
        assert_eq!(check(&[], &staged, &[("nb-7", "bb", "3"), ("nb-8", "a", "1"), ("nb-9", "a", "1")]), (2, Some("nb-2-big".into())));
        assert_eq!(check(&[], &[], &[("nb-7", "bb", "3")]), (0, None));
    }

    #[test]
    fn what_was_there_before_is_no_evidence() {
        assert_eq!(check(&["nb-4", "nb-6"], &[("nb-1", "x", "1")], &[("nb-5", "y", "5")]), (0, Some("nb-1-big".into())));
        assert_eq!(check(&["nb-4"], &[("nb-1", "x", "1")], &[("nb-5", "x", "1")]), (1, None));
    }
}
