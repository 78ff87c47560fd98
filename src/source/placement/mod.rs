//! Putting back: what all sources that live in files share.
//!
//! A verified copy (*staged*) and the live thing (the *target*) change places, so that afterwards what was live lies *aside*, whole, and
//! the same step undoes it. A journal file says what is under way. It is written before anything is touched and removed when all is done,
//! so a kill at any point leaves either no journal, or one from which [`recover`] makes the target exactly the old or exactly the new
//! thing: the old one, as long as the new one was not in place, because nobody knows what has happened to the live thing since.

pub(super) mod crash;
pub(super) mod escaped;
pub(super) mod record;
pub(super) mod swap;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Error, directory, sqlite};
use record::Record;

/// How something is put back. Kept by the caller as long as the undo is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Placement {
    /// A tree of files.
    Directory(directory::Placement),
    /// A database file.
    Sqlite(sqlite::Placement),
}

/// What was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// A staged copy was being put in place.
    Place,
    /// What lay aside was being put back.
    Undo,
}

/// What became of an interrupted operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// What it was.
    pub operation: Operation,
    /// True when it was finished; false when it was taken back, so that all is as before it.
    pub is_finished: bool,
    /// What it was about.
    pub placement: Placement,
}

/// Looks for the journal of an interrupted operation and finishes it, or takes it back. `None` when there is no journal.
///
/// # Errors
/// [`Error::Journal`] and [`Error::Unclear`] when what is found cannot be understood: then nothing more is changed, and the journal stays.
/// [`Error::File`] and [`Error::System`] when a step fails: it can be tried again.
pub fn recover(journal: &Path) -> Result<Option<Recovered>, Error> {
    let Some(record) = Record::read(journal)? else { return Ok(None) };
    let is_finished = match &record.placement {
        Placement::Directory(placement) => directory::recover(placement, &record, journal)?,
        Placement::Sqlite(placement) => sqlite::recover(placement, &record, journal)?,
    };
    Ok(Some(Recovered { operation: record.operation, is_finished, placement: record.placement }))
}
