//! What a restore of databases has left beside them: to be taken back, to be finished, or to be removed.

use std::path::{Path, PathBuf};

use super::aside::{Aside, Placed};
use super::exchange::{Leftovers, PendingExchange, Stage};
use super::memory::UndoRecord;
use crate::ops::error::chain;
use crate::ops::scratch::Scratch;
use crate::ops::spec::{MysqlSettings, SourceSpec};
use crate::ops::{Context, Error};
use crate::source::mysql::{Around, Pair, Settled, drop_databases};
use crate::sys::stop::Stop;
use crate::sys::tree::remove_tree;

/// The folder that dumps are put together in.
const STAGING: &str = "staging";

/// What work on a server needs beside it: a folder for a password's file, and one for temporary files.
pub(crate) struct Bench {
    scratch: Scratch,
    work: PathBuf,
}

impl Bench {
    pub(crate) fn new(ctx: &Context) -> Result<Self, Error> {
        let work = ctx.state()?.work()?;
        Ok(Self { scratch: Scratch::new(&work, &*ctx.random)?, work })
    }

    pub(crate) fn around<'a>(&'a self, settings: &'a MysqlSettings, stop: &'a Stop) -> Around<'a> {
        Around { settings, folder: self.scratch.path(), work: &self.work, stop }
    }
}

/// Where the dumps of a restore are put together.
pub(crate) fn staging(folder: &Path) -> PathBuf {
    folder.join(STAGING)
}

/// Settles an exchange that was broken off, and removes what was being removed. Gives whether one was taken back.
pub(super) fn recover(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, folder: &Path) -> Result<bool, Error> {
    let mut taken_back = false;
    if let Some(pending) = PendingExchange::read(folder)? {
        let what = if pending.is_undo { "undo" } else { "restore" };
        let bench = Bench::new(ctx)?;
        pending.exchange.check_server(bench.around(settings, &ctx.stop))?;
        match pending.stage {
            Stage::Loading => {
                taken_back = true;
                abandon(ctx, settings, &pending, folder)?;
                ctx.warn(Some(&spec.name), format!("what a {what} of `{}` that was broken off had loaded was removed", spec.name));
            }
            Stage::Exchanging => taken_back = !settle(ctx, spec, settings, pending, folder)?,
            Stage::Exchanged => {
                finish(ctx, settings, &pending, folder)?;
                ctx.warn(Some(&spec.name), format!("a {what} of `{}` that was broken off was finished", spec.name));
            }
        }
    }
    clear(ctx, settings, folder)?;
    Ok(taken_back)
}

/// Finishes an exchange whose tables have changed places, and takes back one whose have not. Gives whether it was finished.
fn settle(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, mut pending: PendingExchange, folder: &Path) -> Result<bool, Error> {
    let what = if pending.is_undo { "undo" } else { "restore" };
    let tell = |how: &str| ctx.warn(Some(&spec.name), format!("a {what} of `{}` that was broken off {how}", spec.name));
    let bench = Bench::new(ctx)?;
    let no_stop = Stop::new();
    let around = bench.around(settings, &no_stop);
    if !pending.keep && pending.exchange.has_come(around)? {
        // Remembered before anything moves back: after another kill it would look as if nothing had come.
        pending.keep = true;
        pending.write(Stage::Exchanging, folder)?;
    }
    let (why, notes) = match pending.exchange.settle(around)? {
        Settled::Finished(notes) => {
            pending.write(Stage::Exchanged, folder)?;
            finish(ctx, settings, &pending, folder)?;
            tell("was finished");
            warn_of(ctx, spec, notes);
            return Ok(true);
        }
        Settled::TakenBack(notes) => (None, notes),
        Settled::Kept(error, notes) => (Some(chain(&Error::from(error))), notes),
    };
    abandon(ctx, settings, &pending, folder)?;
    if pending.keep {
        let names: Vec<String> = pending.exchange.pairs.iter().map(|pair| format!("`{}`", pair.incoming.database)).collect();
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        let what = if pending.is_undo { "what it had put back" } else { "the restored tables" };
        tell(&format!(
            "could not be finished{why} and was taken back; {what}, and what was written to it since, is in {}: look at it before you remove it",
            names.join(", ")
        ));
    } else {
        let all = if notes.is_empty() { "; all is as before it" } else { ", but not all of it" };
        tell(&format!("was taken back{all}"));
    }
    warn_of(ctx, spec, notes);
    Ok(false)
}

fn warn_of(ctx: &Context, spec: &SourceSpec, lost: Vec<String>) {
    lost.into_iter().for_each(|text| ctx.warn(Some(&spec.name), text));
}

/// Makes the old state live again.
pub(crate) fn take_back(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    pending: &PendingExchange,
    folder: &Path,
) -> Result<(), Error> {
    let bench = Bench::new(ctx)?;
    // Not to be stopped half-way: it is short, and what it leaves would be neither the old nor the new state.
    warn_of(ctx, spec, pending.exchange.put_back(bench.around(settings, &Stop::new()))?);
    abandon(ctx, settings, pending, folder)
}

/// Removes what a restore has loaded for nothing. The live databases are as they were.
pub(crate) fn abandon(ctx: &Context, settings: &MysqlSettings, pending: &PendingExchange, folder: &Path) -> Result<(), Error> {
    let pairs = &pending.exchange.pairs;
    let mut leftovers = Leftovers::new(Vec::new(), pairs.iter().map(|pair| pair.outgoing.definitions.clone()).collect());
    if !pending.is_undo {
        let ours = pairs.iter().filter(|pair| pair.is_made && !pending.keep);
        leftovers.databases = ours.map(|pair| pair.incoming.database.clone()).collect();
        leftovers.files.push(staging(folder));
    }
    // What was made ready to take tables has none, and a live database that was not there before has none either.
    leftovers.emptied = pairs.iter().map(|pair| pair.outgoing.database.clone()).collect();
    let had_none = |pair: &&Pair| pair.is_captured && pair.incoming.exists && !pair.outgoing.exists;
    leftovers.emptied.extend(pairs.iter().filter(had_none).map(|pair| pair.live.clone()));
    leftovers.write(folder)?;
    PendingExchange::forget(folder)?;
    clear(ctx, settings, folder)
}

/// Remembers the undo of what has come through, and removes what nobody needs any more.
pub(crate) fn finish(ctx: &Context, settings: &MysqlSettings, pending: &PendingExchange, folder: &Path) -> Result<(), Error> {
    let remembered = UndoRecord::read(folder)?;
    // A kill may have come after it was remembered: then what is to be removed is written down already.
    if pending.undo.is_none() || remembered != pending.undo {
        let pairs = &pending.exchange.pairs;
        let mut leftovers = Leftovers::new(Vec::new(), Vec::new());
        leftovers.emptied = pairs.iter().map(|pair| pair.incoming.database.clone()).collect();
        if pending.is_undo {
            leftovers.files.extend(pairs.iter().map(|pair| pair.incoming.definitions.clone()));
        } else {
            leftovers.files.push(staging(folder));
        }
        if let (Some(_), false, Some(UndoRecord { placement: Placed::Databases(earlier), .. })) =
            (&pending.undo, pending.is_undo, remembered)
        {
            let earlier = leftovers_of(&earlier);
            leftovers.databases.extend(earlier.databases);
            leftovers.files.extend(earlier.files);
        }
        leftovers.write(folder)?;
        if let Some(undo) = &pending.undo {
            undo.write(folder)?;
        }
    }
    PendingExchange::forget(folder)?;
    clear(ctx, settings, folder)
}

/// Removes what an undo that has grown old would put back.
pub(super) fn expire(ctx: &Context, settings: &MysqlSettings, aside: &Aside, folder: &Path) -> Result<(), Error> {
    // Written down first: what is half removed must not be offered, and must not be forgotten either.
    leftovers_of(aside).write(folder)?;
    UndoRecord::forget(folder)?;
    clear(ctx, settings, folder)
}

/// Removes what is written down to be removed.
fn clear(ctx: &Context, settings: &MysqlSettings, folder: &Path) -> Result<(), Error> {
    let Some(leftovers) = Leftovers::read(folder)? else { return Ok(()) };
    let bench = Bench::new(ctx)?;
    // Also in a run that is being stopped: what is left would only be in the way of the next one.
    drop_databases(bench.around(settings, &Stop::new()), &leftovers.databases, &leftovers.emptied)?;
    for path in &leftovers.files {
        remove_tree(path)?;
    }
    Leftovers::forget(folder)
}

/// All that there is of databases that lie aside.
fn leftovers_of(aside: &Aside) -> Leftovers {
    let databases = aside.databases.iter().map(|one| one.state.database.clone()).collect();
    Leftovers::new(databases, aside.databases.iter().map(|one| one.state.definitions.clone()).collect())
}
