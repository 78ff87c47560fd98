//! A node that was made anew and has not got its rows yet: until it has, what it holds is no state that anybody wants to keep.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::limits::FORMAT_VERSION;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::ops::spec::SourceSpec;
use crate::ops::undo::memory::{read, remove, write};
use crate::ops::undo::site;
use crate::ops::{Context, Error};

/// The document of a node that is made anew.
const FRESH: &str = "fresh.json";

/// What is remembered of it, from before its file is written until its rows are in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    format: u32,
    /// The snapshot that it is to hold.
    pub(crate) snapshot: SnapshotId,
    /// The node that has taken it.
    pub(crate) node: NodeName,
    /// The configuration that was written.
    pub(crate) config_file: PathBuf,
    /// When it was begun for the first time: what lies in the node's commit log since then is its own.
    pub(crate) since: Timestamp,
}

impl Begun {
    /// One that begins.
    pub(crate) fn new(snapshot: SnapshotId, node: NodeName, config_file: PathBuf, since: Timestamp) -> Self {
        Self { format: FORMAT_VERSION, snapshot, node, config_file, since }
    }

    /// When that was, as the times of files are told.
    pub(crate) fn began(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.since.as_duration().unsigned_abs()
    }

    /// The one that has begun, if one has.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        read(folder, FRESH)
    }

    /// Remembers it.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        write(folder, FRESH, self)
    }

    /// It is over.
    pub(crate) fn forget(folder: &Path) -> Result<(), Error> {
        if folder.join(FRESH).exists() { remove(folder, FRESH) } else { Ok(()) }
    }

    /// That no snapshot is taken of a node that waits for its rows: it would be the newest one, and empty.
    ///
    /// # Errors
    /// [`Error::Refused`] with what goes on from there.
    pub(crate) fn check(ctx: &Context, spec: &SourceSpec) -> Result<(), Error> {
        let folder = site::folder(ctx, spec)?;
        let Some(begun) = Self::read(&folder)? else { return Ok(()) };
        Err(Error::Refused(format!("{}; no snapshot was taken", begun.told(ctx, &spec.name, &folder))))
    }

    /// What waits, and what to do, for a person.
    pub(crate) fn told(&self, ctx: &Context, name: &SourceName, folder: &Path) -> String {
        let of = if self.node == ctx.node { String::new() } else { format!(" --node {}", self.node) };
        format!(
            "the node was made anew, and is empty until `{name}` is restored: run `windlass restore {name}/{}{of}`, which goes on from where it was \
             broken off; if you want it as it is, or have replaced it by other means, remove {}",
            self.snapshot,
            folder.join(FRESH).display()
        )
    }
}
