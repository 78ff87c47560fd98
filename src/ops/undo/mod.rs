//! What a restore has left behind: the undo that can be made, and a restore that was killed.
//!
//! [`site`] is where a restore of files happens, [`databases`] what is beside those of a server, [`cassandra`] what is beside the
//! tables of a node, [`memory`], [`exchange`] and
//! [`aside`] what is remembered of it, [`leftovers`] what is to be removed (by [`clear`]; [`stays`] what of it cannot be), [`recover`] what the next command does after a kill and
//! [`settled`] what became of it.

mod aside;
pub(crate) mod cassandra;
mod clear;
pub(crate) mod databases;
mod exchange;
mod leftovers;
mod memory;
mod recover;
mod settled;
pub(crate) mod site;
mod stays;
mod tables;

use jiff::Timestamp;
use serde::Serialize;

pub(crate) use aside::{Aside, AsideDatabase, Placed};
pub(crate) use exchange::{PendingExchange, Stage};
pub(crate) use leftovers::Leftovers;
pub(crate) use memory::{JOURNAL, Pending, Step, UNDO, UndoRecord};
pub(crate) use recover::{finish_broken_off, recover};
pub use settled::{Ending, Settled, Undoable, Work};
pub(crate) use site::Site;
pub use tables::Way;
pub(crate) use tables::{AsideOther, AsideTable, AsideTables};

use leftovers::Leftover;

use super::error::chain;
use super::{Context, Error, locks};
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::source::mysql::tell_owed;

/// What a restore has set aside and `restore --undo` puts back.
#[derive(Clone, Debug, Serialize)]
pub struct Undo {
    /// The source.
    pub source: SourceName,
    /// The snapshot that was restored.
    pub snapshot: Option<SnapshotId>,
    /// When.
    pub time: Timestamp,
    /// What lies aside.
    pub aside: String,
    /// Whether the restore was undone, so that the restored state lies aside.
    pub redo: bool,
    /// Whether somebody has taken away what lay aside, so that nothing can be put back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// Whether a restore or an undo of a source has begun and not come to its end: it is running, or was broken off.
///
/// # Errors
/// [`Error::File`].
pub fn is_under_way(ctx: &Context, source: &SourceName) -> Result<bool, Error> {
    let folder = ctx.state()?.path(&["restore", source.as_str()]);
    Ok(Pending::read(&folder)?.is_some()
        || PendingExchange::read(&folder)?.is_some()
        || cassandra::is_under_way(&folder)?
        || folder.join(JOURNAL).exists())
}

/// What is to be said of the restores of a source, besides their undo.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Whether a restore or an undo was broken off.
    pub is_broken_off: bool,
    /// What is needed no more and could not be removed yet, keys that are owed, and a Cassandra node that waits for its rows, for a person.
    pub left: Vec<String>,
    /// Who makes a snapshot of the source, or restores it, or settles that, where there is something of the two above: then it may be what this
    /// run has just written down, and is not told.
    pub under_way: Option<String>,
}

/// What restores of a source have left. Whether it is still there only a server knows, which is not asked for this.
///
/// # Errors
/// [`Error::File`].
pub fn remains_of(ctx: &Context, source: &SourceName) -> Result<Remains, Error> {
    let look = || Ok::<_, Error>(Remains { is_broken_off: is_under_way(ctx, source)?, left: left_of(ctx, source)?, under_way: None });
    if look()? == Remains::default() {
        return Ok(Remains::default());
    }
    match locks::holder(ctx, source)? {
        // A run that has come to its end since may have left nothing.
        None => look(),
        under_way => Ok(Remains { under_way, ..Remains::default() }),
    }
}

fn left_of(ctx: &Context, source: &SourceName) -> Result<Vec<String>, Error> {
    let folder = ctx.state()?.path(&["restore", source.as_str()]);
    let left = match Leftovers::read(&folder) {
        Err(error @ Error::Unreadable { .. }) => {
            return Ok(vec![format!("what restores of `{source}` have left is not known: {}", chain(&error))]);
        }
        left => left?.unwrap_or_default(),
    };
    let (written, databases): (Vec<&Leftover>, Vec<&Leftover>) = left.databases.iter().partition(|left| left.is_written);
    let databases = databases.into_iter().map(|left| format!("`{}`", left.database));
    let files = left.files.iter().map(|path| path.display().to_string());
    let written = written.into_iter().map(|left| stays::told_of_written(&left.database));
    let told = |name: String| {
        format!("{name} is needed no more and could not be removed yet: the next command on `{source}` tries again and says why")
    };
    let keys = tell_owed(left.keys.iter().map(|left| &left.owed));
    let waits = cassandra::Begun::read(&folder)?
        .map(|begun| format!("{}; until then no snapshot of it is taken", begun.told(ctx, source, &folder)));
    Ok(databases.chain(files).map(told).chain(written).chain(keys).chain(waits).collect())
}

/// The undo of a source, if there is one.
///
/// # Errors
/// [`Error::File`].
pub fn undo_of(ctx: &Context, source: &SourceName) -> Result<Option<Undo>, Error> {
    let folder = ctx.state()?.path(&["restore", source.as_str()]);
    let Some(undo) = UndoRecord::read(&folder)?.filter(|undo| !databases::is_going(undo, &folder)) else { return Ok(None) };
    let (aside, gone) = match &undo.placement {
        Placed::Files(placement) => {
            let site = Site::of(placement);
            (site.aside.display().to_string(), site.is_gone(undo.undone))
        }
        // Whether they are still there only the server knows, which is not asked for a list.
        Placed::Databases(aside) => (aside.told(), false),
        Placed::Cassandra(aside) => (aside.told(), aside.is_gone()),
    };
    Ok(Some(Undo { source: source.clone(), snapshot: Some(undo.snapshot), time: undo.time, aside, redo: undo.undone, gone }))
}
