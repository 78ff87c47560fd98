//! What became of work that was broken off.

use std::fmt;

use serde::Serialize;

use crate::format::snapshot_id::SnapshotId;

/// What was broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// A restore of the source.
    Restore,
    /// A restore under another name, which touches nothing that is live.
    Look,
    /// An undo, or the undo of one.
    Undo,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restore => "a restore",
            Self::Look => "a restore under another name",
            Self::Undo => "an undo",
        })
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// What it was to do is done.
    Finished,
    /// It is as if it had never begun, as far as warnings do not name what is not.
    TakenBack,
}

/// What became of work that was broken off. Serialised as `{"work":"…","outcome":"…", …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// What it was.
    pub work: Work,
    /// How it ended.
    #[serde(rename = "outcome")]
    pub ending: Ending,
    /// The restore that can be undone now, or whose undo can be undone; `None` when there is none.
    pub undo: Option<Undoable>,
}

/// A restore that can be undone, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Undoable {
    /// The snapshot that was restored.
    pub snapshot: SnapshotId,
    /// Whether it was undone, so that the source is as it was before.
    pub undone: bool,
}
