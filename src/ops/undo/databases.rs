//! What a restore of databases has left beside them: to be taken back, to be finished, or to be removed.

use std::path::{Path, PathBuf};

use super::aside::{Aside, AsideDatabase, Placed};
use super::clear::{clear, clear_and_mend};
use super::exchange::{EXCHANGE, PendingExchange, Stage};
use super::leftovers::{LeftKey, Leftovers};
use super::memory::{UNDO, UndoRecord};
use super::settled::{Ending, Work};
use crate::ops::error::chain;
use crate::ops::scratch::Scratch;
use crate::ops::spec::{MysqlSettings, SourceSpec};
use crate::ops::{Context, Error};
use crate::source::mysql::{Around, BESIDE, Done, Exchange, OuterKey, OwedKey, Pair, Settled, drop_made, tell_owed};
use crate::sys::stop::Stop;

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

/// Settles an exchange that was broken off, and removes what is to be removed. Gives what was broken off and how it ended.
pub(super) fn recover(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, folder: &Path) -> Result<Option<(Work, Ending)>, Error> {
    let mut broken_off = None;
    forget_going(ctx, spec, folder)?;
    if let Some(pending) = PendingExchange::read(folder)? {
        let work = pending.work();
        match pending.stage {
            Stage::Loading => {
                let is_gone = abandon(ctx, spec, settings, &pending, folder, &[])?;
                ctx.warn(Some(&spec.name), format!("{work} of `{}` that was broken off {}", spec.name, told_of_loading(work, is_gone)));
                broken_off = Some((work, Ending::TakenBack));
            }
            Stage::Exchanging => {
                let is_finished = settle(ctx, spec, settings, pending, folder).inspect_err(|_| {
                    let document = folder.join(EXCHANGE);
                    let text = format!(
                        "{work} of `{}` that was broken off is not settled, and until it is nothing else is done; where what it needs is gone for \
                         good, look at the databases and files that {} names, and move that file away",
                        spec.name,
                        document.display()
                    );
                    ctx.warn(Some(&spec.name), text);
                })?;
                broken_off = Some((work, if is_finished { Ending::Finished } else { Ending::TakenBack }));
            }
            Stage::Exchanged => {
                finish_and_tell(ctx, spec, settings, &pending, folder)?;
                broken_off = Some((work, Ending::Finished));
            }
        }
    } else {
        clear_and_mend(ctx, spec, settings, folder, &[])?;
    }
    Ok(broken_off)
}

/// Whether the removal of an undo has begun: it is written down before the first table goes, and from then on nothing is put back.
pub(crate) fn is_going(undo: &UndoRecord, folder: &Path) -> bool {
    let Placed::Databases(aside) = &undo.placement else { return false };
    // A document that cannot be read names nothing, and is told by what reads it to remove what it names.
    Leftovers::read(folder).ok().flatten().is_some_and(|left| left.takes(aside))
}

/// Forgets an undo whose removal has begun, where a kill came before that.
fn forget_going(ctx: &Context, spec: &SourceSpec, folder: &Path) -> Result<(), Error> {
    let Some(undo) = UndoRecord::read(folder)?.filter(|undo| is_going(undo, folder)) else { return Ok(()) };
    UndoRecord::forget(folder)?;
    ctx.warn(
        Some(&spec.name),
        format!(
            "what the restore of {} had set aside was being removed when that was broken off, and can be put back no more",
            undo.snapshot
        ),
    );
    Ok(())
}

fn told_of_loading(work: Work, is_gone: bool) -> &'static str {
    match (work, is_gone) {
        (Work::Undo, _) => "had changed nothing and was taken back",
        (_, true) => "had changed nothing, and what it had loaded was removed",
        (_, false) => "had changed nothing; what it had loaded is still there",
    }
}

/// Finishes an exchange whose tables have changed places, and takes back one whose have not. Gives whether it was finished.
fn settle(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, mut pending: PendingExchange, folder: &Path) -> Result<bool, Error> {
    let work = pending.work();
    let tell = |how: &str| ctx.warn(Some(&spec.name), format!("{work} of `{}` that was broken off {how}", spec.name));
    let bench = Bench::new(ctx)?;
    let no_stop = Stop::new();
    let around = bench.around(settings, &no_stop);
    note_come(&mut pending, around, folder)?;
    let (why, Done { notes, owed, needed }) = match pending.exchange.settle(around)? {
        Settled::Finished(Done { mut notes, owed, needed }) => {
            pending.owed = owed;
            // What a restore brings is in the snapshot as well.
            if pending.is_undo && !needed.is_empty() {
                notes.push(format!(
                    "the definitions that were not made are in {}, which stays: look at it before you remove it",
                    told_of(&needed)
                ));
                pending.needed = needed;
            }
            pending.write(Stage::Exchanged, folder)?;
            finish_and_tell(ctx, spec, settings, &pending, folder)?;
            warn_of(ctx, spec, notes, &pending.owed);
            return Ok(true);
        }
        Settled::TakenBack(done) => (None, done),
        Settled::Kept(error, done) => (Some(chain(&Error::from(error))), done),
        Settled::Stuck(why, error) => {
            tell(&format!("could not be finished: {}", chain(&Error::from(why))));
            return Err(error.into());
        }
    };
    end_taken_back(ctx, spec, settings, &pending, (&owed, &needed), folder)?;
    if pending.keep {
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        tell(&format!("could not be finished{why} and was taken back; {}", told_of_kept(&pending)));
    } else {
        let all = if notes.is_empty() && owed.is_empty() { "; all is as before it" } else { ", but not all of it" };
        let why = why.map(|why| format!("could not be finished ({why}) and ")).unwrap_or_default();
        tell(&format!("{why}was taken back{all}"));
    }
    warn_of(ctx, spec, notes, &owed);
    Ok(false)
}

/// Remembers that a table that came is live and may be written to, before anything moves back: after another kill it would look as if nothing had
/// come.
fn note_come(pending: &mut PendingExchange, around: Around<'_>, folder: &Path) -> Result<(), Error> {
    if !pending.keep && pending.exchange.has_come(around)? {
        pending.keep = true;
        pending.write(Stage::Exchanging, folder)?;
    }
    Ok(())
}

/// Ends what was taken back, but for keys that are `owed` and saved definitions that are `needed`. What came stays where it is if it may have been written to.
fn end_taken_back(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    pending: &PendingExchange,
    (owed, needed): (&[OwedKey], &[PathBuf]),
    folder: &Path,
) -> Result<(), Error> {
    if pending.keep
        && pending.is_undo
        && let Some(undo) = UndoRecord::read(folder)?
    {
        // It is what the undo still names, which would go with it.
        undo.written().write(folder)?;
    }
    keep_owed(&pending.exchange.server, owed, folder)?;
    abandon(ctx, spec, settings, pending, folder, needed).map(drop)
}

/// Where that is which came, and may have been written to; a sentence without its end.
fn told_of_kept(pending: &PendingExchange) -> String {
    let names: Vec<String> = pending.exchange.pairs.iter().map(|pair| format!("`{}`", pair.incoming.database)).collect();
    let what = if pending.is_undo { "what it had put back" } else { "the restored tables" };
    format!("{what}, and what was written to it since, is in {}: look at it before you remove it", names.join(", "))
}

/// Writes down which foreign keys are still to be made or dropped.
fn keep_owed(server: &str, owed: &[OwedKey], folder: &Path) -> Result<(), Error> {
    if owed.is_empty() {
        return Ok(());
    }
    let mut leftovers = Leftovers::default();
    leftovers.keys.extend(owed.iter().map(|owed| LeftKey::new(server, owed.clone())));
    leftovers.add(folder)
}

/// Has what goes remember the keys that its tables were still to have.
pub(crate) fn take_over_owed(exchange: &mut Exchange, folder: &Path) -> Result<(), Error> {
    // A document that cannot be read has been set apart before this.
    let Some(left) = Leftovers::read(folder)? else { return Ok(()) };
    // It would go aside with its table, and be turned there to what is live: then that table lost rows with it.
    if let Some(key) = left.keys.iter().find(|left| exchange.pairs.iter().any(|pair| left.is_turned_of(&exchange.server, pair))) {
        let told = tell_owed(std::iter::once(&key.owed)).join("");
        return Err(Error::Refused(format!(
            "a table that is to go aside has a key which is to be turned first: {told}; nothing was changed"
        )));
    }
    for pair in &mut exchange.pairs {
        let own: Vec<&LeftKey> = left.keys.iter().filter(|left| left.is_of(&exchange.server, pair)).collect();
        for left in own {
            let key = &left.owed.key;
            let is_same = |one: &OuterKey| (&one.table, &one.name) == (&key.table, &key.name);
            if !pair.outgoing.keys.iter().any(is_same) {
                pair.outgoing.keys.push(key.clone());
            }
        }
    }
    Ok(())
}

fn told_of(files: &[PathBuf]) -> String {
    files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn finish_and_tell(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    pending: &PendingExchange,
    folder: &Path,
) -> Result<(), Error> {
    finish(ctx, spec, settings, pending, folder)?;
    ctx.warn(Some(&spec.name), format!("{} of `{}` that was broken off was finished", pending.work(), spec.name));
    Ok(())
}

fn warn_of(ctx: &Context, spec: &SourceSpec, lost: Vec<String>, owed: &[OwedKey]) {
    lost.into_iter().chain(tell_owed(owed.iter())).for_each(|text| ctx.warn(Some(&spec.name), text));
}

/// Makes the old state live again. What came goes, unless somebody may have written to it.
pub(crate) fn take_back(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    pending: &mut PendingExchange,
    folder: &Path,
) -> Result<(), Error> {
    let (bench, no_stop) = (Bench::new(ctx)?, Stop::new());
    // Not to be stopped half-way: it is short, and what it leaves would be neither the old nor the new state.
    let around = bench.around(settings, &no_stop);
    note_come(pending, around, folder)?;
    let Done { notes, owed, needed } = pending.exchange.put_back(around)?;
    // Only now does nobody write to it any more.
    pending.keep = pending.keep && pending.exchange.is_written(around).unwrap_or(true);
    warn_of(ctx, spec, notes, &owed);
    end_taken_back(ctx, spec, settings, pending, (&owed, &needed), folder)?;
    if pending.keep {
        ctx.warn(Some(&spec.name), format!("{} of `{}` was taken back; {}", pending.work(), spec.name, told_of_kept(pending)));
    }
    Ok(())
}

/// Removes what a restore has loaded for nothing, and the saved definitions of what is live but those that are still `needed`; gives whether all of
/// that is gone, else it was told. The live databases are as they were.
pub(crate) fn abandon(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    pending: &PendingExchange,
    folder: &Path,
    needed: &[PathBuf],
) -> Result<bool, Error> {
    let (pairs, server) = (&pending.exchange.pairs, &pending.exchange.server);
    let mut leftovers = Leftovers::default();
    leftovers.files.extend(pairs.iter().map(|pair| pair.outgoing.definitions.clone()).filter(|path| !needed.contains(path)));
    if !pending.is_undo {
        pairs.iter().filter(|pair| pair.is_made).for_each(|pair| match pending.stage {
            _ if pending.keep => leftovers.written(server, &pair.incoming.database),
            // Between the note that it is made and its making, and since a kill, others may have made one of its name.
            Stage::Loading => leftovers.marked(server, &pair.incoming.database, &pending.exchange.mark),
            _ => leftovers.tables(server, &pair.incoming.database, &pair.coming),
        });
        leftovers.files.push(staging(folder));
    }
    // What was made ready to take tables has none.
    pairs.iter().for_each(|pair| leftovers.emptied(server, &pair.outgoing.database));
    drop_made_live(ctx, spec, settings, pairs);
    leftovers.add(folder)?;
    PendingExchange::forget(folder)?;
    clear(ctx, spec, settings, folder)
}

/// Removes live databases that were made for what does not come. Later they may be somebody's, so it is not tried again.
fn drop_made_live(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, pairs: &[Pair]) {
    let made: Vec<&str> = pairs.iter().filter(|pair| pair.is_live_made).map(|pair| pair.live.as_str()).collect();
    if made.is_empty() {
        return;
    }
    let no_stop = Stop::new();
    let dropped = Bench::new(ctx).and_then(|bench| Ok(drop_made(bench.around(settings, &no_stop), &made)?));
    let undropped: Vec<(String, String)> = match dropped {
        Ok(undropped) => undropped.into_iter().map(|(name, why)| (name, chain(&Error::from(why)))).collect(),
        Err(why) => made.iter().map(|name| ((*name).to_owned(), chain(&why))).collect(),
    };
    for (name, why) in undropped {
        ctx.warn(
            Some(&spec.name),
            format!("`{name}` was made for what did not come and could not be removed; it is not tried again: {why}"),
        );
    }
}

/// Remembers the undo of what has come through, and removes what nobody needs any more.
pub(crate) fn finish(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    pending: &PendingExchange,
    folder: &Path,
) -> Result<(), Error> {
    pending.exchange.end()?;
    let remembered = UndoRecord::read(folder)?;
    // A kill may have come after it was remembered: then what is to be removed is written down already.
    if pending.undo.is_none() || remembered != pending.undo {
        let (pairs, server) = (&pending.exchange.pairs, &pending.exchange.server);
        let mut leftovers = Leftovers::default();
        pairs.iter().for_each(|pair| leftovers.emptied(server, &pair.incoming.database));
        if pending.is_undo {
            let goes = |path: &PathBuf| !pending.needed.contains(path);
            leftovers.files.extend(pairs.iter().map(|pair| pair.incoming.definitions.clone()).filter(goes));
        } else {
            leftovers.files.push(staging(folder));
        }
        if let (Some(_), false, Some(UndoRecord { placement: Placed::Databases(earlier), is_written, .. })) =
            (&pending.undo, pending.is_undo, remembered)
        {
            if earlier.strange().is_some() {
                let apart = UndoRecord::set_strange_apart(folder, ctx.clock.now())?;
                let text = told_of_strange(&earlier, &apart, "remove that file afterwards");
                ctx.warn(Some(&spec.name), format!("what an earlier restore had set aside is not removed: {text}"));
            } else if is_written {
                let text = format!("an undo that was not finished had put it back, and it may have been written to: {}", earlier.told());
                ctx.warn(
                    Some(&spec.name),
                    format!("what an earlier restore had set aside is not removed: look at it before you do; {text}"),
                );
                let there = earlier.databases.iter().filter(|one| one.state.exists);
                there.for_each(|one| leftovers.written(&earlier.server, &one.state.database));
            } else {
                give_up(&earlier, &mut leftovers);
            }
        }
        Leftovers::strike_keys(folder, server, pairs)?;
        leftovers.keys.extend(pending.owed.iter().map(|owed| LeftKey::new(server, owed.clone())));
        leftovers.add(folder)?;
        if let Some(undo) = &pending.undo {
            undo.write(folder)?;
        }
    }
    PendingExchange::forget(folder)?;
    clear_and_mend(ctx, spec, settings, folder, &pending.owed).map(drop)
}

/// The statements for foreign keys that are still to be made, dropped or turned; with those that earlier restores have left, where this one was
/// of what is live.
pub(crate) fn owed_statements(pending: &PendingExchange, folder: &Path) -> Vec<String> {
    let mut owed: Vec<OwedKey> = pending.owed.clone();
    if !pending.is_look {
        // One that cannot be read is told by what reads it to remove what it names.
        let left = Leftovers::read(folder).ok().flatten().unwrap_or_default();
        for left in left.keys {
            if !owed.iter().any(|owed| owed.is_same(&left.owed)) {
                owed.push(left.owed);
            }
        }
    }
    owed.iter().map(OwedKey::statement).collect()
}

/// Removes what an undo that has grown old would put back; gives whether all of it is gone, else it was told.
pub(super) fn expire(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, aside: &Aside, folder: &Path) -> Result<bool, Error> {
    if aside.strange().is_some() {
        let text = told_of_strange(aside, &folder.join(UNDO), MOVE_AWAY);
        ctx.warn_once_of(Some(&spec.name), format!("what is too old is not removed: {text}"));
        return Ok(false);
    }
    let mut leftovers = Leftovers::default();
    give_up(aside, &mut leftovers);
    // Written down first: what is half removed must not be offered, and must not be forgotten either.
    leftovers.add(folder)?;
    UndoRecord::forget(folder)?;
    clear(ctx, spec, settings, folder)
}

/// What is to be done about an undo that names what no restore has.
pub(crate) const MOVE_AWAY: &str =
    "move that file away as long as it names them (the next restore sets it apart itself, as `undo.strange.TIME.json`)";

/// What is said of an undo that names a database which no restore has: all that its document names, and what is to become of that.
pub(crate) fn told_of_strange(aside: &Aside, document: &Path, do_so: &str) -> String {
    let Some(strange) = aside.strange() else { return String::new() };
    format!(
        "{} names `{}` as what was set aside of `{}`, and no restore gives such a name: it was changed or damaged; look at all that it names ({}) \
         and at the databases of the server that begin with `{}{BESIDE}`, and {do_so}",
        document.display(),
        strange.state.database,
        strange.live,
        aside.names(),
        strange.live
    )
}

/// All that there is of databases that lie aside.
fn give_up(aside: &Aside, leftovers: &mut Leftovers) {
    for AsideDatabase { state, .. } in &aside.databases {
        match &state.tables {
            Some(tables) if state.exists => leftovers.tables(&aside.server, &state.database, tables),
            _ => leftovers.emptied(&aside.server, &state.database),
        }
    }
    leftovers.files.extend(aside.databases.iter().map(|one| one.state.definitions.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mysql::Turn;

    #[test]
    fn a_table_whose_key_is_still_to_be_turned_does_not_go_aside_and_a_key_that_is_missing_goes_along() {
        let folder = tempfile::tempdir().unwrap();
        let key = OuterKey { table: "t".into(), name: "fk".into(), into: "parents".into(), parent: "p".into(), ..OuterKey::default() };
        let pair = Pair { live: "base".into(), going: vec!["t".into()], ..Pair::default() };
        let exchange = Exchange { server: "here".into(), pairs: vec![pair], ..Exchange::default() };
        let taken = |server: &str, database: &str, turned: Option<bool>| {
            let turn =
                turned.map(|is_held| Turn { pair: ("aside".into(), "parents".into()), is_held, name: "fk".into(), among: Vec::new() });
            let owed = OwedKey { database: database.into(), key: key.clone(), is_to_go: false, turn, why: "held".into() };
            let mut left = Leftovers::default();
            left.keys.push(LeftKey::new(server, owed));
            left.keep(folder.path()).unwrap();
            let mut exchange = exchange.clone();
            take_over_owed(&mut exchange, folder.path()).map(|()| exchange.pairs[0].outgoing.keys.len()).map_err(|error| error.to_string())
        };
        let refused = taken("here", "base", Some(false)).unwrap_err();
        assert!(refused.contains("does not point to `parents`.`p` yet: `fk` of `base`.`t`") && refused.contains("nothing was changed"));
        assert_eq!(taken("here", "base", None), Ok(1));
        for (server, database, turned) in [("there", "base", Some(false)), ("here", "other", Some(false)), ("here", "aside", Some(true))] {
            assert_eq!(taken(server, database, turned), Ok(0), "{server} {database}");
        }
    }
}
