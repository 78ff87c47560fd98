//! A node that was made anew and has not got its rows yet: until it has, what it holds is no state that anybody wants to keep.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::format::limits::FORMAT_VERSION;
use crate::format::names::NodeName;
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
}

impl Begun {
    /// One that begins.
    pub(crate) fn new(snapshot: SnapshotId, node: NodeName, config_file: PathBuf) -> Self {
        Self { format: FORMAT_VERSION, snapshot, node, config_file }
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
        let name = &spec.name;
        let of = if begun.node == ctx.node { String::new() } else { format!(" --node {}", begun.node) };
        Err(Error::Refused(format!(
            "the node was made anew, and is empty until `{name}` is restored: run `windlass restore {name}/{}{of}`, which goes on from where it was \
             broken off; if you want it as it is, remove {}; no snapshot was taken",
            begun.snapshot,
            folder.join(FRESH).display()
        )))
    }
}
