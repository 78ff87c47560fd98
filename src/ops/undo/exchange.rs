//! What is remembered while databases change places, and of what is to be removed afterwards.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::memory::{UndoRecord, read, remove, write};
use crate::format::limits::FORMAT_VERSION;
use crate::ops::Error;
use crate::source::mysql::Exchange;

/// The document of an exchange of databases that is under way.
const EXCHANGE: &str = "exchange.json";
/// The document of what is being removed.
const LEFTOVERS: &str = "leftovers.json";

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
    /// Whether applications may have written to what came, so that it is not to be removed.
    #[serde(default)]
    pub(crate) keep: bool,
    /// The databases.
    pub(crate) exchange: Exchange,
    /// What will be remembered for an undo; nothing where a database of another name is made.
    pub(crate) undo: Option<UndoRecord>,
}

impl PendingExchange {
    /// An exchange that begins.
    pub(crate) fn new(exchange: Exchange, is_undo: bool, undo: Option<UndoRecord>) -> Self {
        Self { format: FORMAT_VERSION, stage: Stage::Loading, is_undo, keep: false, exchange, undo }
    }

    /// The exchange that was under way, if one was.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        read(folder, EXCHANGE)
    }

    /// Remembers that it has come this far.
    pub(crate) fn write(&mut self, stage: Stage, folder: &Path) -> Result<(), Error> {
        self.stage = stage;
        write(folder, EXCHANGE, self)
    }

    /// It is over.
    pub(crate) fn forget(folder: &Path) -> Result<(), Error> {
        remove(folder, EXCHANGE)
    }
}

/// What nobody needs any more and is being removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leftovers {
    format: u32,
    /// Databases of the server.
    pub(crate) databases: Vec<String>,
    /// Databases of the server that hold nothing any more; one that does hold something is left alone.
    pub(crate) emptied: Vec<String>,
    /// Files of this node, and folders.
    pub(crate) files: Vec<PathBuf>,
}

impl Leftovers {
    /// What is to be removed.
    pub(crate) fn new(databases: Vec<String>, files: Vec<PathBuf>) -> Self {
        Self { format: FORMAT_VERSION, databases, emptied: Vec::new(), files }
    }

    /// What was to be removed, if anything was.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        read(folder, LEFTOVERS)
    }

    /// Remembers that it is to be removed.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        write(folder, LEFTOVERS, self)
    }

    /// It is gone.
    pub(crate) fn forget(folder: &Path) -> Result<(), Error> {
        remove(folder, LEFTOVERS)
    }
}
