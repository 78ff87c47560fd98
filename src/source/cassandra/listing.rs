//! What lies in the snapshot folders of one table, in the order of names.
//!
//! A table may have a hundred thousand files, so the list is sorted on disk, and comes back SSTable by SSTable.

use std::fs;
use std::path::{Path, PathBuf};

use super::component::{MANIFEST, SCHEMA, is_index_folder};
use crate::source::Error;
use crate::sys::sorter::{Sorted, Sorter};
use crate::sys::stop::Stop;

/// Memory for sorting the names of a table: about 40,000 of them; what is more waits on disk.
pub(super) const SORT_MEMORY: usize = 4 << 20;

/// A file of a table's snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path below the snapshot's folder: its name, after `.<index>/` for a file of an index.
    pub(super) path: String,
    /// Which of the folders it lies in.
    pub(super) place: usize,
}

/// The files of a table's snapshot, sorted by path: all files of an SSTable one after the other.
#[derive(Debug)]
pub(super) struct Listing(Sorted);

impl Listing {
    /// Lists the folders of one snapshot. The server's two documents are left out.
    ///
    /// # Errors
    /// [`Error::NotWhole`] for what is neither a file nor the folder of an index: nobody can tell what it stands for; [`Error::File`];
    /// [`Error::Stopped`].
    pub(super) fn of(places: &[PathBuf], work: &Path, stop: &Stop) -> Result<Self, Error> {
        let mut names = Sorter::new(work, SORT_MEMORY);
        for (place, folder) in places.iter().enumerate() {
            list(folder, "", place, &mut names, stop)?;
        }
        Ok(Self(names.sorted()?))
    }

    /// The next file.
    ///
    /// # Errors
    /// [`Error::System`].
    pub(super) fn next(&mut self) -> Result<Option<Found>, Error> {
        let Some(record) = self.0.next()? else { return Ok(None) };
        let (path, place) = record.split_at(record.len() - 2);
        let place = usize::from(u16::from_be_bytes([place[0], place[1]]));
        Ok(Some(Found { path: String::from_utf8_lossy(&path[..path.len() - 1]).into_owned(), place }))
    }
}

fn list(folder: &Path, prefix: &str, place: usize, names: &mut Sorter, stop: &Stop) -> Result<(), Error> {
    let number = u16::try_from(place).map_err(|_| Error::Refused { why: "a node has at most 65,535 data directories".into() })?;
    for entry in fs::read_dir(folder).map_err(Error::file("list", folder))? {
        stop.check()?;
        let entry = entry.map_err(Error::file("list", folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::file("look at", &path))?;
        let name = entry.file_name();
        match name.to_str() {
            Some(MANIFEST | SCHEMA) if prefix.is_empty() && kind.is_file() => {}
            Some(name) if kind.is_file() => {
                // The NUL keeps a name before those that it begins.
                let record = [prefix.as_bytes(), name.as_bytes(), &[0], &number.to_be_bytes()].concat();
                names.push(&record)?;
            }
            Some(name) if kind.is_dir() && prefix.is_empty() && is_index_folder(name) => {
                list(&path, &format!("{name}/"), place, names, stop)?;
            }
            _ => {
                let why = format!("{} is nothing that a snapshot of Cassandra is known to hold", path.display());
                return Err(Error::NotWhole { why });
            }
        }
    }
    Ok(())
}
