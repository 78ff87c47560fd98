//! Both tiers seen together: which snapshots there are, and where each one is.

use jiff::Timestamp;
use serde::Serialize;

use super::catalogue::{Finding, Shipped};
use super::copies::Copy;
use super::name::SnapshotName;
use super::node::Remote;
use super::{Context, Error};
use crate::format::head::ProblemCount;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;

/// Where a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// On the node only.
    Local,
    /// In the repository only.
    Shipped,
    /// On the node and in the repository.
    Both,
}

/// One snapshot, as `list` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its id.
    pub id: SnapshotId,
    /// The node that took it.
    pub node: NodeName,
    /// Its source.
    pub source: SourceName,
    /// The source's kind.
    pub kind: String,
    /// The instant it was taken.
    pub time: Timestamp,
    /// Where it is.
    #[serde(rename = "where")]
    pub place: Place,
    /// Regular files and hard links.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Stored bytes it needs in the repository; `None` when it is not there.
    pub stored_bytes: Option<u64>,
    /// Stored bytes it added to the repository; `None` when it is not there.
    pub added_bytes: Option<u64>,
    /// What went wrong while it was taken; empty when sound.
    pub problems: Vec<ProblemCount>,
    /// Whether its id is more than a day ahead of the clock.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub future: bool,
}

/// What a restore has set aside and `restore --undo` puts back.
#[derive(Clone, Debug, Serialize)]
pub struct Undo {
    /// The source.
    pub source: SourceName,
    /// The snapshot that was restored.
    pub snapshot: Option<SnapshotId>,
    /// When.
    pub time: Timestamp,
    /// What was set aside.
    pub aside: std::path::PathBuf,
}

/// All snapshots of a node in both tiers.
#[derive(Debug, Default)]
pub struct View {
    /// The snapshots, by source, oldest first.
    pub rows: Vec<Row>,
    /// Undos of this node.
    pub undo: Vec<Undo>,
    /// What is not as it should be in the repository.
    pub findings: Vec<Finding>,
    /// What lies in the local folder and was not recognised.
    pub strange: Vec<String>,
    /// Why the repository was not read, when it was not.
    pub unreachable: Option<Error>,
}

/// One snapshot that was looked up, with both places it may be in.
#[derive(Debug)]
pub struct Found {
    /// The node that took it.
    pub node: NodeName,
    /// Its source.
    pub source: SourceName,
    /// Its id.
    pub id: SnapshotId,
    /// The local copy.
    pub local: Option<Copy>,
    /// The shipped one, with the repository it is in.
    pub shipped: Option<(Remote, Shipped)>,
    /// Why the repository was not asked, when it was not.
    pub unreachable: Option<Error>,
}

impl View {
    /// Reads both tiers; `node` = another node's part of the repository, where there is no local tier.
    ///
    /// # Errors
    /// What the local tier gives. A repository that cannot be reached is in the view.
    pub fn read(ctx: &Context, node: Option<&NodeName>, source: Option<&SourceName>) -> Result<Self, Error> {
        let _ = (ctx, node, source);
        Err(Error::Refused("not built".into()))
    }
}

impl Found {
    /// Looks a snapshot up in both tiers.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none, or when the name fits more than one (then it names them).
    pub fn look_up(ctx: &Context, node: Option<&NodeName>, name: &SnapshotName) -> Result<Self, Error> {
        let _ = (ctx, node, name);
        Err(Error::Refused("not built".into()))
    }
}
