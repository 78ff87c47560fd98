//! What a restore of tables of a Cassandra node has left beside them: to be taken back, to be finished, or to be removed.
//!
//! [`stopped`] lets files of a node that is down change places, and settles that after a kill; [`ending`] says what becomes of them, [`document`] is
//! what it remembers, [`ground`] what it needs. [`running`] has a node that runs take files in, [`aside`] keeps what it held, and [`import`] is what that remembers. [`others`]
//! keeps the sources of one machine apart, [`begun`] remembers that a node was made anew and waits for its rows, [`since`] says what was made since
//! and must be dropped before an undo.

pub(crate) mod aside;
mod begun;
mod document;
mod ending;
mod ground;
mod import;
mod others;
pub(crate) mod running;
mod since;
pub(crate) mod stopped;

use std::path::{Path, PathBuf};

pub(crate) use begun::Begun;
pub(crate) use document::{PendingStopped, Stage};
pub(crate) use ground::Ground;
pub(crate) use import::{Manner, PendingImport};
pub(crate) use others::settled;
pub(crate) use since::{check_since, indexes_of};

use super::aside::Placed;
use super::clear::clear_files;
use super::leftovers::Leftovers;
use super::memory::UndoRecord;
use super::settled::{Ending, Work};
use super::tables::AsideTables;
use crate::ops::spec::{CassandraSettings, SourceSpec};
use crate::ops::{Context, Error};

/// What is said where the node does not make views anew, and why.
pub(crate) fn views_as_they_were(why: &str) -> String {
    format!(
        "views could not be made anew ({why}; it takes CREATE and DROP in their keyspaces, and to write to system.built_views, which where roles are asked for \
         only a superuser may): they come as they lay ready, of another moment than their tables; where that matters, drop them afterwards and \
         make them anew, as `schema.cql` has them, each with its ID"
    )
}

/// What is said of views that the node is still making.
fn told_under_way(views: &[String]) -> Option<String> {
    (!views.is_empty()).then(|| {
        format!(
            "the node goes on making views anew from their tables, and until it is done rows are lacking in them: {} (`nodetool viewbuildstatus KEYSPACE \
             VIEW` tells how far it is)",
            views.join(", ")
        )
    })
}

/// Whether work on tables has begun and not come to its end.
pub(super) fn is_under_way(folder: &Path) -> Result<bool, Error> {
    Ok(stopped::is_under_way(folder)? || running::is_under_way(folder)?)
}

/// Settles what was broken off, and removes what is to be removed. Gives what was broken off and how it ended.
pub(super) fn recover(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &CassandraSettings,
    folder: &Path,
) -> Result<Option<(Work, Ending)>, Error> {
    let broken_off = stopped::recover(ctx, spec, settings, folder)?.or(running::recover(ctx, spec, settings, folder)?);
    clear_files(ctx, spec, folder)?;
    Ok(broken_off)
}

/// Removes what an undo that has grown old would put back.
pub(super) fn expire(ctx: &Context, spec: &SourceSpec, aside: &AsideTables, folder: &Path) -> Result<(), Error> {
    // Written down first: what is half removed must not be offered, and must not be forgotten either.
    give_up(aside).add(folder)?;
    UndoRecord::forget(folder)?;
    clear_files(ctx, spec, folder)
}

/// What lies aside of tables and goes once another undo is remembered in its place. To what an undo had put back the node may have been written:
/// then it stays, which is told, unless it is what this undo brings back.
fn replaced(ctx: &Context, spec: &SourceSpec, earlier: Option<UndoRecord>, is_undo: bool) -> Vec<PathBuf> {
    let Some(UndoRecord { placement: Placed::Cassandra(aside), is_written, .. }) = earlier else { return Vec::new() };
    if is_written && !is_undo {
        ctx.warn(
            Some(&spec.name),
            format!(
                "what lay aside before stays, because the node may have been written to while it ran with it: look at {}, and remove it",
                aside.told()
            ),
        );
        return Vec::new();
    }
    give_up(&aside).files
}

/// All that there is of tables that lie aside.
fn give_up(aside: &AsideTables) -> Leftovers {
    let places = aside.places.iter().chain(aside.others.iter().map(|other| &other.place));
    Leftovers::of_files(places.cloned().collect())
}
