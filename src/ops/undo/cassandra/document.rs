//! What is remembered while files of a node change places.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::format::limits::FORMAT_VERSION;
use crate::ops::Error;
use crate::ops::undo::memory::{UndoRecord, read, remove, write};
use crate::ops::undo::settled::Work;
use crate::source::cassandra::{Exchange, Expected, Unindexed};

/// The document of files of a node that change places.
pub(super) const STOPPED: &str = "node.json";

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Files are being put together; the node has not been touched.
    Staging,
    /// The node is being drained and stopped; no file has been moved.
    Stopping,
    /// It was drained, and the command that stops it has not stopped it; no file has been moved.
    Unstopped,
    /// Its files are set aside: can be taken back.
    Out,
    /// All of them are aside, and others come in: is finished.
    In,
    /// The others are in place; the node is started and looked at.
    Starting,
    /// The node runs with them: what is left is to remember the undo, and to remove what is spent.
    Ending,
    /// It is not as it should be: what is live now is set apart again.
    BackOut,
    /// What was live before comes in again.
    BackIn,
    /// What was live before is in place; the node is started.
    BackStarting,
}

/// Files of a node that change places.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PendingStopped {
    format: u32,
    /// How far it has come.
    pub(crate) stage: Stage,
    /// Whether it undoes a restore, or an undo.
    pub(crate) is_undo: bool,
    /// Whether the node has written out all that it had in memory before it was stopped last.
    pub(crate) is_drained: bool,
    /// Whether the node was down when this began, and could not be told to write out anything: going back, it is left as it was.
    #[serde(default)]
    pub(crate) was_down: bool,
    /// What changes places.
    pub(crate) exchange: Exchange,
    /// What the node must have afterwards.
    pub(crate) expected: Vec<Expected>,
    /// Whether somebody may have written to what came in, before it is taken away again.
    pub(crate) is_written: bool,
    /// Indexes that are to be built when the node runs.
    pub(crate) unindexed: Vec<Unindexed>,
    /// Views, each of a keyspace, that the node makes anew from their tables when it is started.
    #[serde(default)]
    pub(crate) anew: Vec<(String, String)>,
    /// What is to be removed once the undo is remembered.
    pub(crate) spent: Vec<PathBuf>,
    /// What will be remembered for an undo.
    pub(crate) undo: UndoRecord,
}

impl PendingStopped {
    /// Work that begins.
    pub(crate) fn new(exchange: Exchange, expected: Vec<Expected>, undo: UndoRecord, is_undo: bool) -> Self {
        Self {
            format: FORMAT_VERSION,
            stage: Stage::Staging,
            is_undo,
            is_drained: false,
            was_down: false,
            exchange,
            expected,
            is_written: false,
            unindexed: Vec::new(),
            anew: Vec::new(),
            spent: Vec::new(),
            undo,
        }
    }

    /// What it does.
    pub(crate) fn work(&self) -> Work {
        if self.is_undo { Work::Undo } else { Work::Restore }
    }

    /// The work that was under way, if some was.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        read(folder, STOPPED)
    }

    /// Remembers that it has come this far.
    pub(crate) fn write(&mut self, stage: Stage, folder: &Path) -> Result<(), Error> {
        self.stage = stage;
        write(folder, STOPPED, self)
    }

    /// It is over.
    pub(crate) fn forget(folder: &Path) -> Result<(), Error> {
        remove(folder, STOPPED)
    }
}
