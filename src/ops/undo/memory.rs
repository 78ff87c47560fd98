//! What is remembered of restores: the undo that can be made, and a restore that is under way.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::aside::Placed;
use crate::format::limits::FORMAT_VERSION;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::Error;
use crate::source::placement::Placement;
use crate::sys::file::replace_private;

/// The document of the undo.
pub(crate) const UNDO: &str = "undo.json";
/// The document of a restore that is under way.
const PENDING: &str = "pending.json";
/// The journal of the exchange itself.
pub(crate) const JOURNAL: &str = "journal.json";

/// What can be undone, or done again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UndoRecord {
    format: u32,
    /// What has changed places.
    pub(crate) placement: Placed,
    /// The snapshot that was restored.
    pub(crate) snapshot: SnapshotId,
    /// Since when this lies aside: the restore, or the undo after it.
    pub(crate) time: Timestamp,
    /// Whether it was undone, so that the restored state lies aside now.
    pub(crate) undone: bool,
    /// Whether somebody may have written to what lies aside, after an undo had put it back and could not be finished: then only a person
    /// removes it.
    #[serde(default)]
    pub(crate) is_written: bool,
    /// Since when a clock that may be wrong has said that it is older than it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) old_since: Option<Timestamp>,
}

impl UndoRecord {
    /// The undo of a restore that has just been made.
    pub(crate) fn new(placement: Placed, snapshot: SnapshotId, time: Timestamp) -> Self {
        Self { format: FORMAT_VERSION, placement, snapshot, time, undone: false, is_written: false, old_since: None }
    }

    /// The undo of this undo, made at this instant: what it has set aside is as new as what a restore sets aside.
    pub(crate) fn turned(&self, placement: Placed, time: Timestamp) -> Self {
        Self { placement, time, undone: !self.undone, is_written: false, old_since: None, ..self.clone() }
    }

    /// The same, once somebody may have written to what lies aside.
    pub(crate) fn written(self) -> Self {
        Self { is_written: true, ..self }
    }

    /// The same, and since when it is said to be too old.
    pub(crate) fn old(self, old_since: Option<Timestamp>) -> Self {
        Self { old_since, ..self }
    }

    /// Whether this is the same undo, whatever a clock has said of its age meanwhile.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.clone().old(None) == other.clone().old(None)
    }

    /// How files change places.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is of what a server keeps, because the source was another one then.
    pub(crate) fn files(&self, folder: &Path) -> Result<&Placement, Error> {
        match &self.placement {
            Placed::Files(placement) => Ok(placement),
            Placed::Databases(_) | Placed::Cassandra(_) => Err(Error::Refused(format!(
                "{} tells of an undo of what a server keeps, and the source is another one now: look at them, and remove that file; nothing was \
                 changed",
                folder.join(UNDO).display()
            ))),
        }
    }

    /// The undo of a source, if there is one.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        read(folder, UNDO)
    }

    /// Remembers it.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        write(folder, UNDO, self)
    }

    /// Forgets it.
    pub(crate) fn forget(folder: &Path) -> Result<(), Error> {
        remove(folder, UNDO)
    }

    /// Moves the document out of the way of the next one, so that a person finds what it names. Gives where it lies then.
    pub(crate) fn set_strange_apart(folder: &Path, now: Timestamp) -> Result<PathBuf, Error> {
        let (from, to) = (folder.join(UNDO), folder.join(format!("undo.strange.{}.json", now.as_millisecond())));
        fs::rename(&from, &to).map_err(Error::file("move", from))?;
        crate::sys::file::sync_folder(folder)?;
        Ok(to)
    }
}

/// How far a restore has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    /// Files are being fetched; the source has not been touched.
    Staging,
    /// The staged files are about to change places with the live ones, or have done so.
    Placing,
}

/// A restore that is under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    format: u32,
    /// How far it has come.
    pub(crate) step: Step,
    /// Inode of what was staged, once it is complete.
    pub(crate) staged: Option<u64>,
    /// The undo that there will be.
    pub(crate) undo: UndoRecord,
}

impl Pending {
    /// A restore that begins.
    pub(crate) fn new(undo: UndoRecord) -> Self {
        Self { format: FORMAT_VERSION, step: Step::Staging, staged: None, undo }
    }

    /// The restore that was under way, if one was.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        read(folder, PENDING)
    }

    /// Remembers that it has come this far.
    pub(crate) fn write(&mut self, step: Step, folder: &Path) -> Result<(), Error> {
        self.step = step;
        write(folder, PENDING, self)
    }

    /// It is over.
    pub(crate) fn forget(folder: &Path) -> Result<(), Error> {
        remove(folder, PENDING)
    }
}

/// Reads a document, if it is there.
pub(super) fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>, Error> {
    let path = folder.join(name);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(Error::file("read", path)(cause)),
    };
    crate::format::head::check_version(&text).map_err(Error::unreadable(path.display()))?;
    serde_json::from_slice(&text).map(Some).map_err(|cause| Error::unreadable(path.display())(cause.into()))
}

/// Writes a document in place of the one that may be there.
pub(super) fn write<T: Serialize>(folder: &Path, name: &str, value: &T) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(value).expect("plain JSON");
    Ok(replace_private(&folder.join(name), &text)?)
}

/// Removes a document.
pub(super) fn remove(folder: &Path, name: &str) -> Result<(), Error> {
    let path = folder.join(name);
    match fs::remove_file(&path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path)(cause)),
        _ => Ok(crate::sys::file::sync_folder(folder)?),
    }
}
