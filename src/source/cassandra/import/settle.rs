//! An import goes on in the node when the program that asked for it has ended; and a `nodetool` that was started may yet ask for one. Before tables
//! are filled otherwise, neither may bring anything more.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::super::exchange::make_own_folder;
use super::super::nodetool::Nodetool;
use super::super::take::Job;
use super::fill::Fill;
use crate::source::Error;
use crate::sys::file::sync_folder;

/// What a folder of files that must not come in any more is called besides. It is ours to remove, other than what a node that was started too soon
/// has written (`….late`).
const APART: &str = ".apart";

/// A folder without files.
const EMPTY: &str = "empty";

/// Where a place lies while it is set apart.
pub fn apart(place: &Path) -> PathBuf {
    let mut name = OsString::from(place);
    name.push(APART);
    name.into()
}

/// Moves places away, so that whoever was told to import from them finds nothing. Doing it again is no error.
///
/// # Errors
/// [`Error::File`]; [`Error::System`].
pub fn set_apart(places: &[PathBuf]) -> Result<(), Error> {
    places.iter().try_for_each(|place| rename(place, &apart(place)))
}

/// Moves them back.
///
/// # Errors
/// As [`set_apart`].
pub fn bring_back(places: &[PathBuf]) -> Result<(), Error> {
    places.iter().try_for_each(|place| rename(&apart(place), place))
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    match fs::rename(from, to) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
        renamed => renamed.map_err(Error::file("move", from))?,
    }
    Ok(sync_folder(to.parent().unwrap_or(to))?)
}

/// Waits until no import into these tables is under way: a node does one after the other for each table (`SSTableImporter.importNewSSTables` is
/// synchronized), and one of a folder without files, which is made in `place`, brings nothing.
///
/// # Errors
/// [`Error::Cassandra`]; [`Error::File`]; [`Error::Stopped`].
pub fn wait_for_others(job: &Job<'_>, place: &Path, tables: &[Fill]) -> Result<(), Error> {
    let empty = place.join(EMPTY);
    make_own_folder(place, &empty)?;
    let nodetool = Nodetool::new(job.settings, job.folder, job.stop);
    tables.iter().try_for_each(|table| nodetool.import(&table.keyspace, &table.name, std::slice::from_ref(&empty)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_set_apart_and_brought_back_as_often_as_it_takes() {
        let temp = tempfile::tempdir().unwrap();
        let place = temp.path().join("aside-1");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("file"), "x").unwrap();
        let places = [place.clone(), temp.path().join("nothing")];
        for _ in 0..2 {
            set_apart(&places).unwrap();
            assert!(!place.exists() && temp.path().join("aside-1.apart/file").is_file());
        }
        for _ in 0..2 {
            bring_back(&places).unwrap();
            assert!(place.join("file").is_file() && !apart(&place).exists());
        }
    }
}
