//! What is remembered while a node that runs takes files in.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::format::limits::FORMAT_VERSION;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::Error;
use crate::ops::undo::memory::{UndoRecord, read, remove, write};
use crate::ops::undo::settled::Work;
use crate::source::cassandra::TableId;
use crate::source::cassandra::import::Fill;

/// The document of it.
pub(super) const IMPORT: &str = "import.json";

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ImportStage {
    /// Files are being put together, what is there is being set aside, what is missing of the schema is being made: no row has been touched.
    Preparing,
    /// Tables are being emptied and filled.
    Filling,
    /// They are filled, and looked at.
    Filled,
    /// They hold again what they held before: clients may have written to them since, and nothing is emptied any more.
    BackFilled,
}

/// What becomes of what tables hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Manner {
    /// They are emptied; what they held lies aside.
    Replace,
    /// The same, by an undo.
    PutBack,
    /// They keep it.
    Merge,
    /// There is a new table of this keyspace, name and id.
    Beside(String, String, TableId),
}

/// Tables of a node that runs are being filled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PendingImport {
    format: u32,
    /// How far it has come.
    pub(crate) stage: ImportStage,
    /// What becomes of what they hold.
    pub(crate) manner: Manner,
    /// The snapshot, or the one whose restore is undone.
    pub(crate) snapshot: SnapshotId,
    /// The id of the node: another one has other tables.
    pub(crate) host_id: String,
    /// Where the files lie that come, one folder for each data directory.
    pub(crate) incoming: Vec<PathBuf>,
    /// What they come into.
    pub(crate) tables: Vec<Fill>,
    /// Where that lies aside which the tables held.
    pub(crate) outgoing: Vec<PathBuf>,
    /// What of it belongs where, should it have to be put back.
    pub(crate) back: Vec<Fill>,
    /// Tables whose compaction is off meanwhile, by keyspace and name.
    pub(crate) uncompacted: Vec<(String, String)>,
    /// Whether a table has gone to which some of that belongs, so that it stays there.
    #[serde(default)]
    pub(crate) is_kept: bool,
    /// What will be remembered for an undo; nothing where nothing is replaced.
    pub(crate) undo: Option<UndoRecord>,
}

impl PendingImport {
    /// Work that begins.
    pub(crate) fn new(manner: Manner, snapshot: SnapshotId, host_id: String, incoming: Vec<PathBuf>, outgoing: Vec<PathBuf>) -> Self {
        Self {
            format: FORMAT_VERSION,
            stage: ImportStage::Preparing,
            manner,
            snapshot,
            host_id,
            incoming,
            tables: Vec::new(),
            outgoing,
            back: Vec::new(),
            uncompacted: Vec::new(),
            is_kept: false,
            undo: None,
        }
    }

    /// What it does.
    pub(crate) fn work(&self) -> Work {
        match self.manner {
            Manner::PutBack => Work::Undo,
            Manner::Beside(..) => Work::Look,
            Manner::Replace | Manner::Merge => Work::Restore,
        }
    }

    /// Whether what tables held lies aside, and is put back if this does not come through.
    pub(crate) fn replaces(&self) -> bool {
        matches!(self.manner, Manner::Replace | Manner::PutBack)
    }

    /// The work that was under way, if some was.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        read(folder, IMPORT)
    }

    /// Remembers that it has come this far.
    pub(crate) fn write(&mut self, stage: ImportStage, folder: &Path) -> Result<(), Error> {
        self.stage = stage;
        write(folder, IMPORT, self)
    }

    /// It is over.
    pub(crate) fn forget(folder: &Path) -> Result<(), Error> {
        remove(folder, IMPORT)
    }
}
