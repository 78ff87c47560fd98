//! What is remembered while databases change places.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::aside::Placed;
use super::memory::{UndoRecord, read, remove, write};
use super::settled::Work;
use crate::format::limits::FORMAT_VERSION;
use crate::ops::Error;
use crate::source::mysql::{Exchange, OwedKey};

/// The document of an exchange of databases that is under way.
pub(super) const EXCHANGE: &str = "exchange.json";

/// How far an exchange of databases has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// Dumps are being loaded beside the live databases, which have not been touched.
    Loading,
    /// The two are about to change places, or do so.
    Exchanging,
    /// They have done so.
    Exchanged,
}

/// An exchange of databases that is under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PendingExchange {
    format: u32,
    /// How far it has come.
    pub(crate) stage: Stage,
    /// Whether it undoes a restore, or an undo.
    pub(crate) is_undo: bool,
    /// Whether it makes a database of another name, so that nothing that is live is touched.
    #[serde(default)]
    pub(crate) is_look: bool,
    /// Whether applications may have written to what came, so that it is not to be removed.
    #[serde(default)]
    pub(crate) keep: bool,
    /// The databases.
    pub(crate) exchange: Exchange,
    /// Foreign keys that the exchange has left to be made or dropped.
    #[serde(default)]
    pub(crate) owed: Vec<OwedKey>,
    /// Files of definitions that stay, because nothing else holds some of what they make.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) needed: Vec<PathBuf>,
    /// What will be remembered for an undo; nothing where a database of another name is made.
    pub(crate) undo: Option<UndoRecord>,
}

impl PendingExchange {
    /// An exchange that begins.
    pub(crate) fn new(exchange: Exchange, is_undo: bool) -> Self {
        Self {
            format: FORMAT_VERSION,
            stage: Stage::Loading,
            is_undo,
            is_look: false,
            keep: false,
            exchange,
            owed: Vec::new(),
            needed: Vec::new(),
            undo: None,
        }
    }

    /// What it does.
    pub(crate) fn work(&self) -> Work {
        match (self.is_undo, self.is_look) {
            (true, _) => Work::Undo,
            (false, true) => Work::Look,
            (false, false) => Work::Restore,
        }
    }

    /// The exchange that was under way, if one was.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let mut pending: Option<Self> = read(folder, EXCHANGE)?;
        if let Some(Self { exchange, undo: Some(UndoRecord { placement: Placed::Databases(aside), .. }), .. }) = &mut pending
            && aside.server.is_empty()
        {
            // What an exchange sets aside is on its own server.
            aside.server.clone_from(&exchange.server);
        }
        Ok(pending)
    }

    /// Remembers that it has come this far.
    pub(crate) fn write(&mut self, stage: Stage, folder: &Path) -> Result<(), Error> {
        let before = std::mem::replace(&mut self.stage, stage);
        // What cannot be written down has not come this far.
        write(folder, EXCHANGE, self).inspect_err(|_| self.stage = before)
    }

    /// Writes down which live databases are about to be made, before they are: a kill may come between their making and the next that is
    /// written, and after it one that is empty is ours.
    pub(crate) fn note_making(&self, folder: &Path) -> Result<(), Error> {
        let mut noted = self.clone();
        noted.exchange.pairs.iter_mut().for_each(|pair| pair.is_live_made = pair.makes_live());
        if noted.exchange.pairs.iter().any(|pair| pair.is_live_made) { noted.write(self.stage, folder) } else { Ok(()) }
    }

    /// It is over.
    pub(crate) fn forget(folder: &Path) -> Result<(), Error> {
        remove(folder, EXCHANGE)
    }
}

#[cfg(test)]
mod tests {
    use super::super::aside::Aside;
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn an_exchange_that_cannot_be_written_down_has_not_come_this_far() {
        let folder = tempfile::tempdir().unwrap();
        let mut pending = PendingExchange::new(Exchange::default(), false);
        std::fs::create_dir(folder.path().join(EXCHANGE)).unwrap();
        pending.write(Stage::Exchanging, folder.path()).unwrap_err();
        assert_eq!(pending.stage, Stage::Loading);
    }

    #[test]
    fn what_an_exchange_sets_aside_is_on_the_server_of_the_exchange() {
        let folder = tempfile::tempdir().unwrap();
        let mut pending = PendingExchange::new(Exchange { server: "here".into(), ..Exchange::default() }, false);
        let aside = Placed::Databases(Aside { server: String::new(), databases: Vec::new() });
        pending.undo = Some(UndoRecord::new(aside, "20260101T000000000Z".parse().unwrap(), Timestamp::UNIX_EPOCH));
        pending.write(Stage::Exchanging, folder.path()).unwrap();
        let read = PendingExchange::read(folder.path()).unwrap().unwrap();
        assert!(matches!(read.undo.unwrap().placement, Placed::Databases(aside) if aside.is_on("here")));
    }
}
