//! The vendor's client and what it is given.
//!
//! It runs what it has of a statement when its input ends, also where that is only the beginning, as after a kill of ours. A row that is cut so
//! goes with the database that was being loaded; a trigger or routine would stay. So definitions lie in a nameless file as a whole before the client
//! begins with them.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::program::environment;
use super::changes::Changes;
use super::{Loading, Part};
use crate::source::Error;
use crate::sys::child::{Child, Ended};
use crate::sys::stop::Stop;
use crate::sys::table::unlinked;

/// How long one statement may take: the indexes of a huge table are made by one.
const STATEMENT_TIME: Duration = Duration::from_secs(24 * 3600);

pub(super) enum Client {
    /// It reads what it is given.
    Runs(Child),
    /// It is started once all is in this file.
    Waits(File, PathBuf),
}

impl Client {
    /// Those that take rows say into `changes` what the server does with them.
    pub(super) fn start(loading: &Loading<'_>, words: &[String], changes: &Changes, stop: &Stop) -> Result<Self, Error> {
        match loading.part {
            Part::Tables | Part::All => {
                let changes = changes.clone();
                let hear = move |bytes: &[u8]| changes.hear(bytes);
                Ok(Self::Runs(Child::feed(words, &environment(), STATEMENT_TIME, hear, stop)?))
            }
            Part::Forms | Part::Views | Part::Checks => Ok(Self::Waits(unlinked(loading.work)?, loading.work.to_owned())),
        }
    }

    /// Gives it these bytes; false when it does not take any more.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        match self {
            Self::Runs(client) => Ok(client.write(bytes)?),
            Self::Waits(file, work) => file.write_all(bytes).map(|()| true).map_err(failed(work)),
        }
    }

    /// Waits for its end, once it has been given everything.
    pub(super) fn finish(self, words: &[String], stop: &Stop) -> Result<Ended, Error> {
        let client = match self {
            Self::Runs(client) => client,
            Self::Waits(mut file, work) => {
                file.rewind().map_err(failed(&work))?;
                Child::read_from(file, words, &environment(), stop)?
            }
        };
        Ok(client.finish_within(STATEMENT_TIME)?)
    }
}

fn failed(work: &Path) -> impl FnOnce(std::io::Error) -> Error {
    Error::file("write a temporary file in", work)
}
