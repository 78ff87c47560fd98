//! What lies ready for a table.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::complete::Sstable;
use super::super::folders::data_files;
use super::super::listing::Listing;
use super::super::take::Job;
use super::fill::{Fill, existing};
use crate::source::Error;

/// The folders that a table's files lie ready in; those without SSTables are left out, since the node takes an empty folder for an import that
/// went well.
pub(super) fn folders(places: &[PathBuf], keyspace: &str, folder: &str) -> Vec<PathBuf> {
    let below = Path::new(keyspace).join(folder);
    let has_rows = |folder: &PathBuf| data_files(folder).is_ok_and(|mut files| files.next().is_some());
    existing(places, &below).into_iter().filter(has_rows).collect()
}

/// The folders that a table's files lie ready in, all that should, each SSTable with all that belongs to it.
///
/// # Errors
/// [`Error::NotWhole`]; [`Error::File`]; [`Error::Stopped`].
pub(super) fn ready(places: &[PathBuf], table: &Fill, job: &Job<'_>) -> Result<Vec<PathBuf>, Error> {
    let folders = folders(places, &table.keyspace, &table.folder);
    let count = count(&folders)?;
    if count < table.at_least {
        let below = places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ");
        let (wanted, name) = (table.at_least, table.told());
        return Err(Error::NotWhole {
            why: format!("of {wanted} SSTables of {name}, {count} lie ready below {below}: somebody took them away"),
        });
    }
    check(&folders, job)?;
    Ok(folders)
}

/// How many SSTables they hold, without those of indexes.
pub(super) fn count(folders: &[PathBuf]) -> Result<u64, Error> {
    let mut count = 0;
    for folder in folders {
        for entry in data_files(folder)? {
            entry?;
            count += 1;
        }
    }
    Ok(count)
}

/// Bytes of all files right in them.
pub(super) fn bytes(folders: &[PathBuf]) -> Result<u64, Error> {
    let mut bytes = 0;
    for folder in folders {
        for entry in fs::read_dir(folder).map_err(Error::file("list", folder))? {
            let entry = entry.map_err(Error::file("list", folder))?;
            bytes += entry.metadata().map_or(0, |stat| if stat.is_file() { stat.len() } else { 0 });
        }
    }
    Ok(bytes)
}

/// Proves that every SSTable has all that its list of components names. The node does not: where a checksum is missing, it checks none.
///
/// # Errors
/// [`Error::NotWhole`] naming what is missing; [`Error::File`]; [`Error::Stopped`].
fn check(folders: &[PathBuf], job: &Job<'_>) -> Result<(), Error> {
    let mut listing = Listing::of(folders, job.work, job.stop)?;
    let mut current: Option<Sstable> = None;
    while let Some(found) = listing.next()? {
        if let Some(sstable) = &mut current
            && sstable.push(&found, folders)?
        {
            continue;
        }
        if let Some(done) = current.take() {
            done.check(&folders[done.place])?;
        }
        current = Sstable::begin(&found);
    }
    current.map_or(Ok(()), |done| done.check(&folders[done.place]).map(drop))
}
