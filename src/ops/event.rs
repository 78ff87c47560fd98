//! What a long run reports while it goes on, for logs and scripts.

use serde::Serialize;

use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;

/// One thing that happened. Serialised as `{"event":"…", …}`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A phase of a run began.
    Phase {
        /// The source.
        source: SourceName,
        /// The snapshot, once it has an id.
        snapshot: Option<SnapshotId>,
        /// `scanning`, `copying`, `planning`, `packing`, `lists`, `committing`, `retention`, `fetching`, `placing`, `verifying`.
        phase: &'static str,
    },
    /// Something was not as it should be, and the run went on.
    Warning {
        /// The source, where it concerns one.
        source: Option<SourceName>,
        /// What, for a person.
        message: String,
    },
    /// Damage was met, and the run went on with what is intact.
    Damage {
        /// The source.
        source: SourceName,
        /// The object.
        object: String,
        /// What is wrong with it, and what that means for this run.
        message: String,
    },
    /// A file could not be taken as it was.
    Problem {
        /// The source.
        source: SourceName,
        /// `changed`, `vanished`, `unreadable`, `special`, …
        kind: String,
        /// The file, escaped.
        path: String,
        /// What exactly.
        detail: String,
    },
    /// Snapshots that are not ours take room in the database of a source. They are left alone.
    Foreign {
        /// The source.
        source: SourceName,
        /// `auto` (the server made it before something destructive), `ephemeral` (the server removes it itself) or `others`.
        made_by: &'static str,
        /// Bytes of files that nothing else shares.
        bytes: u64,
        /// The name of one of them.
        example: String,
    },
    /// A local copy is complete.
    SnapshotTaken {
        /// The source.
        source: SourceName,
        /// Its id.
        snapshot: SnapshotId,
        /// Regular files and hard links.
        files: u64,
        /// Their bytes.
        bytes: u64,
        /// Bytes that were read of the source; the rest was unchanged and shared with the copy before.
        read_bytes: u64,
    },
    /// A local copy was removed.
    CopyRemoved {
        /// The source.
        source: SourceName,
        /// Its id.
        snapshot: SnapshotId,
        /// Why.
        why: String,
    },
    /// A snapshot is in the repository.
    Shipped {
        /// The source.
        source: SourceName,
        /// Its id.
        snapshot: SnapshotId,
        /// Stored bytes it added.
        added_bytes: u64,
        /// Stored bytes it needs.
        stored_bytes: u64,
    },
    /// A snapshot was removed from the repository.
    Removed {
        /// The source.
        source: SourceName,
        /// Its id.
        snapshot: SnapshotId,
        /// Why.
        why: String,
    },
    /// A damaged snapshot was written again.
    Healed {
        /// The source.
        source: SourceName,
        /// Its id.
        snapshot: SnapshotId,
        /// The number of the new manifest.
        n: u32,
        /// Stored bytes it added.
        added_bytes: u64,
    },
    /// A damaged local copy was made anew.
    CopyHealed {
        /// The source.
        source: SourceName,
        /// Its id.
        snapshot: SnapshotId,
    },
    /// The agent knows when a source is due next; without a time it never is.
    Scheduled {
        /// The source.
        source: SourceName,
        /// When its next run begins.
        next: Option<jiff::Timestamp>,
    },
    /// The agent has read its configuration again, and that one is in force.
    Reloaded,
    /// The agent begins the run of a source.
    RunBegun {
        /// The source.
        source: SourceName,
        /// Which run: what the schedule says, in civil time.
        due: jiff::civil::DateTime,
        /// How long after that it begins.
        late_seconds: i64,
    },
    /// A run of the agent has taken its snapshot.
    RunEnded {
        /// The source.
        source: SourceName,
        /// Which run.
        due: jiff::civil::DateTime,
        /// Whether the copies are in the repository.
        is_shipped: bool,
        /// When the next one begins.
        next: Option<jiff::Timestamp>,
    },
    /// Stored bytes were read again and compared with their names.
    ReadAgain {
        /// Parts of what is stored.
        parts: usize,
        /// Their bytes.
        bytes: u64,
        /// How much was read in time by now.
        covered: super::rolling::Covered,
    },
    /// What the repository lists was compared with what the manifests need.
    Compared {
        /// Objects.
        objects: u64,
        /// Those of which damage is known, local files among them.
        damaged: u64,
    },
    /// Damage was mended, as far as its bytes lay intact somewhere else.
    Mended {
        /// Snapshots and local copies that are sound again.
        healed: u64,
        /// Those that are as damaged as before.
        unhealed: u64,
    },
    /// The agent begins a run that somebody asked for while none was due.
    AskedRunBegun {
        /// The source.
        source: SourceName,
    },
    /// A run that somebody asked for has taken its snapshot.
    AskedRunEnded {
        /// The source.
        source: SourceName,
        /// Whether the copies are in the repository.
        is_shipped: bool,
        /// When the next run begins.
        next: Option<jiff::Timestamp>,
    },
    /// A restore is in place, or was undone.
    Restored {
        /// The source.
        source: SourceName,
        /// The snapshot that the source now holds; none after an undo.
        snapshot: Option<SnapshotId>,
    },
}
