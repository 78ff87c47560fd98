//! Restoring databases of a server: dumps are loaded beside the live databases, then the two change places.

use std::path::Path;

use super::allowed::{check_live, check_tables, judge, refuse_strangers, warnings_of_part};
use super::dumps::{self, Dumps};
use super::{Options, Outcome, Plan, UndoPlan, live, old_copy, rate, staging};
use crate::format::names::SourceName;
use crate::ops::error::chain;
use crate::ops::event::Event;
use crate::ops::name::SnapshotName;
use crate::ops::snapshots::Found;
use crate::ops::spec::{MysqlSettings, SourceSpec};
use crate::ops::undo::databases::{
    Bench, MOVE_AWAY, abandon, finish, owed_statements, staging as staging_folder, take_back, take_over_owed, told_of_strange,
};
use crate::ops::undo::{Aside, AsideDatabase, Leftovers, PendingExchange, Placed, Stage, UNDO, UndoRecord, is_under_way, site};
use crate::ops::{Context, Error, size};
use crate::source::mysql::{
    Captured, Demands, Done, Exchange, Failed, MARK, NEW, Pair, Present, Sight, State, Words, aside_at, beside, check_aside, check_length,
    folder_of, identity, load_tables, look, sight, tell_hidden_keys, tell_owed, tell_unread,
};
use crate::sys::random::hex;
use crate::sys::space::nearest_folder;
use crate::sys::stop::Stop;

/// Bytes of a dump that a server is taken to load in a second before any restore was measured: `benches/mysql` measured as many on two cores, where
/// what was live is set aside, in the slower of its rounds (docs/PERFORMANCE.md).
const RATE_MIN: u64 = 14 << 20;

/// Random bytes of the mark of what a restore loads: no two have the same.
const MARK_BYTES: usize = 8;

/// Plans to restore these dumps.
pub(super) fn plan(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    name: &SnapshotName,
    mut dumps: Dumps,
    options: &Options,
) -> Result<Plan, Error> {
    let present = look_at(ctx, settings, &mut dumps)?;
    let mut warnings = dumps.warnings.clone();
    warnings.extend(judge(&present, &dumps, options)?);
    check_tables(&dumps)?;
    warnings.extend(warnings_of_part(&dumps, &present, options));
    let folder = site::folder(ctx, spec)?;
    let room = ctx.space.room(nearest_folder(&folder))?;
    if dumps.found.is_some() && dumps.bytes > room.free {
        warnings.push(format!(
            "the dumps take {} in {}, and {} are free: they may not fit",
            size::in_words(dumps.bytes),
            folder.display(),
            size::in_words(room.free)
        ));
    }
    let exists = present.databases.iter().any(|database| database.exists);
    let earlier = UndoRecord::read(&folder)?;
    warnings.extend(earlier.as_ref().filter(|_| options.part.rename.is_none()).map(|earlier| told_of_earlier(earlier, &folder)));
    let place = aside_at(ctx.clock.now());
    let mut aside = pairs(&dumps, &folder, &place);
    if !is_under_way(ctx, &spec.name)? {
        // What a broken-off restore has left is settled before this one begins, and what is known to be left is removed then.
        // One that cannot be read is told then, and set apart.
        let left = Leftovers::read(&folder).ok().flatten().unwrap_or_default();
        let server = identity(settings, &ctx.stop)?;
        let goes = |name: &str| left.has(&server, name) && !left.has_written(&server, name);
        refuse_strangers(ctx, settings, &aside, &goes, &server, &folder)?;
    }
    check_length(settings, &aside, &dumps.known_tables(), &ctx.stop)?;
    for (pair, database) in aside.iter_mut().zip(&present.databases) {
        pair.outgoing.exists = database.exists;
    }
    warnings.extend(check_live(ctx, settings, &present, &aside, &dumps.known_references())?);
    if options.part.rename.is_none() {
        warnings.extend(tell_unread(settings, &aside, &ctx.stop)?);
        warnings.extend(tell_hidden_keys(settings, &aside, &ctx.stop)?);
    }
    // What it is named by is the time of the restore, which is not that of the plan.
    let told_aside = aside_of_pairs("", &aside).told().replace(&place, "undo_…");
    Ok(Plan {
        source: spec.name.clone(),
        kind: spec.kind.word().to_owned(),
        id: dumps.id,
        name: name.clone(),
        options: options.clone(),
        target: told(&dumps, settings),
        aside: (exists && options.part.rename.is_none()).then_some(told_aside),
        files: dumps.files,
        bytes: dumps.bytes,
        download_bytes: dumps.download_bytes,
        free_bytes: room.free,
        estimate: Some(
            rate::estimate(ctx, rate::DATABASES, dumps.bytes)?.unwrap_or(std::time::Duration::from_secs(dumps.bytes.div_ceil(RATE_MIN))),
        ),
        server: Some(present),
        node: None,
        warnings,
        earlier,
        parts: dumps.parts(),
    })
}

/// Carries a plan out. The caller holds the source's lock and has settled what an earlier run has left.
pub(super) fn run(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, plan: &Plan) -> Result<Outcome, Error> {
    let started = ctx.clock.monotonic();
    let options = &plan.options;
    let mut dumps = match old_copy::of(settings, &plan.name, options)? {
        Some(copy) => copy,
        None => {
            let found = Found::look_up_in(ctx, options.node.as_ref(), &plan.name, &options.from)?;
            dumps::of_snapshot(ctx, spec, settings, found, options, true)?
        }
    };
    let present = look_at(ctx, settings, &mut dumps)?;
    judge(&present, &dumps, options)?;
    dumps.check_planned(&plan.parts)?;
    let folder = site::folder(ctx, spec)?;
    let words = Words {
        sql_mode: dumps.sql_mode().map(str::to_owned),
        definers: options.part.definers.clone(),
        without_events: options.part.rename.is_some(),
    };
    let server = identity(settings, &ctx.stop)?;
    let mark = format!("{MARK}{}", hex(&*ctx.random, MARK_BYTES));
    let pairs = pairs(&dumps, &folder, &aside_at(ctx.clock.now()));
    let exchange = Exchange { server, pairs, words, mark, ..Exchange::default() };
    refuse_strangers(ctx, settings, &exchange.pairs, &|_| false, &exchange.server, &folder)?;
    check_length(settings, &exchange.pairs, &dumps.known_tables(), &ctx.stop)?;
    check_live(ctx, settings, &present, &exchange.pairs, &dumps.known_references())?;
    let mut pending = PendingExchange::new(exchange, false);
    pending.is_look = options.part.rename.is_some();
    pending.write(Stage::Loading, &folder)?;
    let prepared = prepare(ctx, spec, settings, &mut dumps, options, &mut pending, &present);
    let (mut prepared, captured) = match prepared.and_then(|prepared| ctx.stop.check().map(|()| prepared).map_err(Error::from)) {
        Ok(prepared) => prepared,
        Err(error) => {
            give_up(ctx, spec, settings, &pending, &folder);
            return Err(untouched(error));
        }
    };
    if options.part.rename.is_none() {
        pending.undo = Some(UndoRecord::new(Placed::Databases(aside_of(&pending.exchange)), dumps.id, ctx.clock.now()));
    }
    ctx.phase(&spec.name, Some(dumps.id), "placing");
    prepared.notes.extend(change_places(ctx, spec, settings, (&mut pending, &captured), &folder)?);
    prepared.notes.sort();
    prepared.notes.dedup();
    if options.part.table.is_none() && options.part.database.is_none() {
        // The restore is in place: that its rate cannot be remembered makes it none the worse.
        let _ = rate::record(ctx, rate::DATABASES, dumps.bytes, ctx.clock.monotonic().saturating_sub(started));
    }
    if options.part.rename.is_none() {
        ctx.tell(Event::Restored { source: spec.name.clone(), snapshot: Some(dumps.id) });
    }
    let aside = pending.undo.as_ref().and(Some(aside_of(&pending.exchange))).filter(Aside::exists);
    Ok(Outcome {
        source: spec.name.clone(),
        id: Some(dumps.id),
        files: dumps.files,
        bytes: dumps.bytes,
        downloaded_bytes: prepared.downloaded,
        aside: aside.map(|aside| aside.told()),
        notes: prepared.notes,
        owed: owed_statements(&pending, &folder),
        damage: prepared.damage,
    })
}

/// Brings the dumps here, loads their tables beside the live ones and notes what is live.
fn prepare(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    dumps: &mut Dumps,
    options: &Options,
    pending: &mut PendingExchange,
    present: &Present,
) -> Result<(staging::Staged, Captured), Error> {
    ctx.phase(&spec.name, Some(dumps.id), "fetching");
    let folder = site::folder(ctx, spec)?;
    let place = staging_folder(&folder);
    let mut staged = match dumps.found.take() {
        Some(found) => staging::stage_dumps(ctx, found, options, &dumps.paths()?, &place, spec)?,
        None => staging::Staged::default(),
    };
    ctx.phase(&spec.name, Some(dumps.id), "loading");
    ctx.meter.set_total(dumps.bytes);
    let bench = Bench::new(ctx)?;
    let around = bench.around(settings, &ctx.stop);
    let (mut demands, mut calls) = (Demands::default(), Vec::new());
    for at in 0..pending.exchange.pairs.len() {
        // Others may have come while the dumps were fetched; what is there now is theirs.
        let server = &pending.exchange.server;
        refuse_strangers(ctx, settings, &pending.exchange.pairs[at..=at], &|_| false, server, &folder)?;
        Leftovers::strike(&folder, server, &pending.exchange.pairs[at].incoming.database)?;
        pending.exchange.pairs[at].is_made = true;
        pending.write(Stage::Loading, &folder)?;
        let Exchange { pairs, words, mark, .. } = &mut pending.exchange;
        let pair = &mut pairs[at];
        let rest = place.join(format!("{}.definitions.sql", folder_of(&pair.live)));
        let loaded = load_tables(around, pair, words, mark, &rest, &mut |bytes| ctx.meter.add_bytes(bytes))?;
        staged.notes.extend(loaded.notes);
        demands.creations += loaded.creations;
        demands.undeclared += loaded.undeclared;
        demands.definers.extend(loaded.definers);
        calls.push(loaded.calls);
    }
    // Of an old copy nothing of this is known before; of others it was refused when it was planned.
    staged.notes.extend(present.check("the dump", &demands)?);
    demands.definers.sort();
    demands.definers.dedup();
    staged.notes.extend(present.tell_missing(&demands.definers));
    pending.exchange.rehearse(&demands, around)?;
    pending.exchange.check_calls(&calls, around)?;
    let captured = pending.exchange.capture(around)?;
    take_over_owed(&mut pending.exchange, &folder)?;
    Ok((staged, captured))
}

/// Lets the two change places, or puts the old state back. Gives what a person should know of how it was loaded.
fn change_places(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    (pending, captured): (&mut PendingExchange, &Captured),
    folder: &Path,
) -> Result<Vec<String>, Error> {
    let bench = Bench::new(ctx)?;
    let ready = pending
        .note_making(folder)
        .and_then(|()| Ok(pending.exchange.get_ready(bench.around(settings, &ctx.stop))?))
        .and_then(|()| pending.write(Stage::Exchanging, folder));
    if let Err(error) = ready {
        give_up(ctx, spec, settings, pending, folder);
        return Err(untouched(error));
    }
    // From here on a stop waits: half-way there is neither the old nor the new state, and it is soon over.
    let no_stop = Stop::new();
    let Done { mut notes, owed, .. } = match pending.exchange.carry_out(captured, bench.around(settings, &no_stop)) {
        Ok(done) => done,
        Err(Failed::Before(error)) => {
            give_up(ctx, spec, settings, pending, folder);
            return Err(untouched(error.into()));
        }
        Err(Failed::Midway(error)) => {
            let state = match take_back(ctx, spec, settings, pending, folder) {
                Ok(()) => live::of_taken_back(pending).to_owned(),
                Err(later) => {
                    ctx.warn(Some(&spec.name), format!("the next command has to settle what is half done: {}", chain(&later)));
                    live::of_stuck(ctx, spec, settings, pending)
                }
            };
            return Err(error.adding(&state).into());
        }
    };
    notes.extend(tell_owed(owed.iter()));
    pending.owed = owed;
    if let Err(later) = pending.write(Stage::Exchanged, folder) {
        // What is on the disk says that it is under way, so the next command looks and finds that it has come through.
        ctx.warn(
            Some(&spec.name),
            format!(
                "{} of `{}` has come through, and that cannot be written down, so the next command on the source has to end it: {}",
                pending.work(),
                spec.name,
                chain(&later)
            ),
        );
    } else if let Err(later) = finish(ctx, spec, settings, pending, folder) {
        ctx.warn(Some(&spec.name), format!("the next command has to remove what is left beside it: {}", chain(&later)));
    }
    Ok(notes)
}

/// Plans to put back the databases that lie aside.
pub(super) fn plan_undo(
    ctx: &Context,
    settings: &MysqlSettings,
    undo: &UndoRecord,
    aside: &Aside,
    source: &SourceName,
) -> Result<UndoPlan, Error> {
    let spec = ctx.source(source)?;
    let folder = site::folder(ctx, spec)?;
    check_server(aside, &identity(settings, &ctx.stop)?, undo, &folder)?;
    check_there(ctx, settings, undo, aside, source)?;
    if !is_under_way(ctx, source)? {
        // What was broken off may have left the tables anywhere.
        check_undo(ctx, settings, &pairs_of_undo(aside, &aside_at(ctx.clock.now()), &folder))?;
    }
    let live = aside.databases.iter().map(|one| told_one(&one.live, one.table.as_deref())).collect::<Vec<_>>().join(", ");
    Ok(UndoPlan {
        source: source.clone(),
        target: format!("{live} at {}", settings.place()),
        aside: aside.exists().then(|| aside.told()),
        snapshot: Some(undo.snapshot),
        time: undo.time,
        redo: undo.undone,
        node: None,
        undrained: false,
        record: undo.clone(),
    })
}

/// Puts back what lies aside; what it replaces lies aside afterwards. The caller holds the source's lock.
pub(super) fn undo(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, undo: &UndoRecord, aside: &Aside) -> Result<Outcome, Error> {
    let folder = site::folder(ctx, spec)?;
    let server = identity(settings, &ctx.stop)?;
    check_server(aside, &server, undo, &folder)?;
    let mark = format!("{MARK}{}", hex(&*ctx.random, MARK_BYTES));
    let exchange = Exchange { server, pairs: pairs_of_undo(aside, &aside_at(ctx.clock.now()), &folder), mark, ..Exchange::default() };
    check_undo(ctx, settings, &exchange.pairs)?;
    let mut pending = PendingExchange::new(exchange, true);
    pending.write(Stage::Loading, &folder)?;
    let bench = Bench::new(ctx)?;
    let around = bench.around(settings, &ctx.stop);
    let captured = pending.exchange.rehearse(&Demands::default(), around).and_then(|()| pending.exchange.capture(around));
    let captured = captured.map_err(Error::from).and_then(|captured| take_over_owed(&mut pending.exchange, &folder).map(|()| captured));
    let captured = match captured {
        Ok(captured) => captured,
        Err(error) => {
            give_up(ctx, spec, settings, &pending, &folder);
            return Err(untouched(error));
        }
    };
    let undone = undo.turned(Placed::Databases(aside_of(&pending.exchange)), ctx.clock.now());
    pending.undo = Some(undone.clone());
    let notes = change_places(ctx, spec, settings, (&mut pending, &captured), &folder)?;
    let lies_aside = aside_of(&pending.exchange);
    Ok(Outcome {
        notes,
        owed: owed_statements(&pending, &folder),
        ..Outcome::of_undo(spec, &undone, lies_aside.exists().then(|| lies_aside.told()))
    })
}

/// What lies aside, and where that goes which is live now.
fn pairs_of_undo(aside: &Aside, place: &str, folder: &Path) -> Vec<Pair> {
    let pair = |one: &AsideDatabase| Pair {
        live: one.live.clone(),
        original: one.live.clone(),
        table: one.table.clone(),
        incoming: one.state.clone(),
        outgoing: outgoing(&one.live, place, folder),
        ..Pair::default()
    };
    aside.databases.iter().map(pair).collect()
}

/// That what lies aside is all there, and that the account can put it back, and what is live should that fail.
fn check_undo(ctx: &Context, settings: &MysqlSettings, pairs: &[Pair]) -> Result<(), Error> {
    check_aside(settings, pairs, &ctx.stop)?;
    let live: Vec<String> = pairs.iter().map(|pair| pair.live.clone()).collect();
    check_live(ctx, settings, &look(settings, &live, &ctx.stop)?, pairs, &[]).map(drop)
}

/// What is on the server where the dumps are to go, whose databases have their names as the server keeps them from then on.
fn look_at(ctx: &Context, settings: &MysqlSettings, dumps: &mut Dumps) -> Result<Present, Error> {
    let live: Vec<String> = dumps.databases.iter().map(|dump| dump.live.clone()).collect();
    let present = look(settings, &live, &ctx.stop)?;
    for (dump, database) in dumps.databases.iter_mut().zip(&present.databases) {
        dump.live.clone_from(&database.name);
    }
    Ok(present)
}

/// The databases and what will lie beside them.
fn pairs(dumps: &Dumps, folder: &Path, place: &str) -> Vec<Pair> {
    let from_snapshot = dumps.found.is_some();
    let pair = |dump: &dumps::Dump| Pair {
        live: dump.live.clone(),
        original: dump.original.clone(),
        table: dump.table.clone(),
        incoming: State {
            database: beside(&dump.live, NEW),
            definitions: if from_snapshot { staging_folder(folder).join(&dump.file) } else { dump.file.clone() },
            exists: true,
            character_set: dump.character_set.clone(),
            collation: dump.collation.clone(),
            ..State::default()
        },
        outgoing: outgoing(&dump.live, place, folder),
        ..Pair::default()
    };
    dumps.databases.iter().map(pair).collect()
}

fn outgoing(live: &str, place: &str, folder: &Path) -> State {
    let definitions = folder.join(place).join(format!("{}.sql", folder_of(live)));
    State { database: beside(live, place), definitions, ..State::default() }
}

fn aside_of(exchange: &Exchange) -> Aside {
    aside_of_pairs(&exchange.server, &exchange.pairs)
}

fn aside_of_pairs(server: &str, pairs: &[Pair]) -> Aside {
    let one = |pair: &Pair| AsideDatabase { live: pair.live.clone(), table: pair.table.clone(), state: pair.outgoing.clone() };
    Aside { server: server.to_owned(), databases: pairs.iter().map(one).collect() }
}

/// That what lies aside is there, and this account sees it.
fn check_there(ctx: &Context, settings: &MysqlSettings, undo: &UndoRecord, aside: &Aside, source: &SourceName) -> Result<(), Error> {
    // A restore may have found no database, and its undo then removes one; an undo that found none has set nothing aside.
    if let Some(one) = aside.databases.iter().find(|one| undo.undone && !one.state.exists) {
        return Err(Error::Absent(format!(
            "what the restore of {} had put into `{}` cannot come back: the database was gone when that restore was undone; nothing was changed",
            undo.snapshot, one.live
        )));
    }
    for one in aside.databases.iter().filter(|one| one.state.exists) {
        let name = &one.state.database;
        let begin = format!(
            "nothing can be put back for `{source}`: the database `{name}`, where the restore of {} had set it aside, is",
            undo.snapshot
        );
        match sight(settings, name, &ctx.stop)? {
            Sight::There => {}
            Sight::Gone => return Err(Error::Absent(format!("{begin} gone"))),
            Sight::Hidden(grant) => {
                return Err(Error::Refused(format!(
                    "{begin} gone, or not to be seen by this account: {grant}, and run it again; nothing was changed"
                )));
            }
        }
    }
    Ok(())
}

/// That what lies aside has names that a restore has given, and is on this server: one of the same name elsewhere is another.
fn check_server(aside: &Aside, here: &str, undo: &UndoRecord, folder: &Path) -> Result<(), Error> {
    if aside.strange().is_some() {
        return Err(Error::Refused(format!("{}; nothing was changed", told_of_strange(aside, &folder.join(UNDO), MOVE_AWAY))));
    }
    if aside.is_on(here) {
        return Ok(());
    }
    let document = folder.join(UNDO);
    if aside.server.is_empty() {
        return Err(Error::Refused(format!(
            "nobody has noted on which server the restore of {} has set aside what it replaced: where it is {here}, on which the source is now, \
             write that into {} as `server` of `placement`; nothing was changed",
            undo.snapshot,
            document.display()
        )));
    }
    Err(Error::Refused(format!(
        "what the restore of {} has replaced was set aside on the server {}, and the source is on {here} now: let the source have that server; \
         where it is the same one under another name, write that into {}; nothing was changed",
        undo.snapshot,
        aside.server,
        document.display()
    )))
}

/// Removes what was loaded for nothing. Why it was for nothing is what matters.
fn give_up(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, pending: &PendingExchange, folder: &Path) {
    if let Err(later) = abandon(ctx, spec, settings, pending, folder, &[]) {
        ctx.warn(Some(&spec.name), format!("the next command has to remove what was loaded beside it: {}", chain(&later)));
    }
}

/// What becomes of what an earlier restore has set aside.
fn told_of_earlier(earlier: &UndoRecord, folder: &Path) -> String {
    match &earlier.placement {
        Placed::Databases(aside) if aside.strange().is_some() => {
            let strange = told_of_strange(aside, &folder.join(UNDO), MOVE_AWAY);
            format!("what the restore before this one has set aside stays, and no undo puts it back any more: {strange}")
        }
        _ if earlier.is_written => {
            "what the restore before this one has set aside may have been written to: it stays, and no undo puts it back any more"
                .to_owned()
        }
        _ => "what the restore before this one has set aside will be removed when this one is in place".to_owned(),
    }
}

/// What failed before the exchange, with the word that it has changed nothing.
fn untouched(error: Error) -> Error {
    match error {
        Error::Source(cause) => cause.adding("nothing that is live was changed").into(),
        Error::System(cause @ crate::sys::Error::Io { .. }) => {
            Error::Refused(format!("{}; nothing that is live was changed", chain(&cause)))
        }
        other => other,
    }
}

fn told(dumps: &Dumps, settings: &MysqlSettings) -> String {
    let all = dumps.databases.iter().map(|dump| told_one(&dump.live, dump.table.as_deref()));
    format!("{} at {}", all.collect::<Vec<_>>().join(", "), settings.place())
}

fn told_one(live: &str, table: Option<&str>) -> String {
    table.map_or_else(|| format!("`{live}`"), |table| format!("table `{table}` of `{live}`"))
}
