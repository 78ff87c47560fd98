//! Restoring databases of a server: dumps are loaded beside the live databases, then the two change places.

use std::path::Path;

use super::dumps::{self, Dumps};
use super::{Options, Outcome, Plan, UndoPlan, old_copy, rate, staging};
use crate::format::names::SourceName;
use crate::ops::error::chain;
use crate::ops::event::Event;
use crate::ops::name::SnapshotName;
use crate::ops::snapshots::Found;
use crate::ops::spec::{MysqlSettings, SourceSpec};
use crate::ops::undo::databases::{Bench, abandon, finish, staging as staging_folder, take_back};
use crate::ops::undo::{Aside, AsideDatabase, PendingExchange, Placed, Stage, UndoRecord, site};
use crate::ops::{Context, Error, size};
use crate::source::mysql::{Exchange, Pair, Present, State, Words, beside, folder_of, load_tables, look, which_exist};
use crate::sys::space::nearest_folder;
use crate::sys::stop::Stop;

/// Bytes of a dump that a server loads in a second at least, for an estimate before any restore was measured; docs/PERFORMANCE.md has figures.
const RATE_MIN: u64 = 20 << 20;

/// Places aside, of which one is free while the other one has what an earlier restore has set aside.
const PLACES: [&str; 2] = ["undo1", "undo2"];

/// Plans to restore these dumps.
pub(super) fn plan(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    name: &SnapshotName,
    dumps: Dumps,
    options: &Options,
) -> Result<Plan, Error> {
    let live: Vec<String> = dumps.databases.iter().map(|dump| dump.live.clone()).collect();
    let present = look(settings, &live, &ctx.stop)?;
    let mut warnings = dumps.warnings.clone();
    warnings.extend(judge(&present, &dumps, options)?);
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
    if earlier.is_some() && options.part.rename.is_none() {
        warnings.push("what the restore before this one has set aside will be removed when this one is in place".to_owned());
    }
    let mut aside = pairs(&dumps, &folder, earlier.as_ref());
    for (pair, database) in aside.iter_mut().zip(&present.databases) {
        pair.outgoing.exists = database.exists;
    }
    Ok(Plan {
        source: spec.name.clone(),
        kind: spec.kind.word().to_owned(),
        id: dumps.id,
        name: name.clone(),
        options: options.clone(),
        target: told(&dumps, settings),
        aside: (exists && options.part.rename.is_none()).then(|| aside_of(&aside).told()),
        files: dumps.files,
        bytes: dumps.bytes,
        download_bytes: dumps.download_bytes,
        free_bytes: room.free,
        estimate: Some(
            rate::estimate(ctx, rate::DATABASES, dumps.bytes)?.unwrap_or(std::time::Duration::from_secs(dumps.bytes.div_ceil(RATE_MIN))),
        ),
        server: Some(present),
        warnings,
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
    let live: Vec<String> = dumps.databases.iter().map(|dump| dump.live.clone()).collect();
    judge(&look(settings, &live, &ctx.stop)?, &dumps, options)?;
    let folder = site::folder(ctx, spec)?;
    let words = Words { sql_mode: dumps.sql_mode().map(str::to_owned), definers: options.part.definers.clone() };
    let exchange = Exchange { pairs: pairs(&dumps, &folder, UndoRecord::read(&folder)?.as_ref()), words };
    refuse_strangers(ctx, settings, &exchange)?;
    let mut pending = PendingExchange::new(exchange, false, None);
    pending.write(Stage::Loading, &folder)?;
    let prepared = prepare(ctx, spec, settings, &mut dumps, options, &mut pending, &folder);
    let mut prepared = match prepared.and_then(|prepared| ctx.stop.check().map(|()| prepared).map_err(Error::from)) {
        Ok(prepared) => prepared,
        Err(error) => {
            if let Err(later) = abandon(ctx, settings, &pending, &folder) {
                ctx.warn(Some(&spec.name), format!("the next command has to remove what was loaded beside it: {}", chain(&later)));
            }
            return Err(error);
        }
    };
    if options.part.rename.is_none() {
        pending.undo = Some(UndoRecord::new(Placed::Databases(aside_of(&pending.exchange.pairs)), dumps.id, ctx.clock.now()));
    }
    ctx.phase(&spec.name, Some(dumps.id), "placing");
    let notes = change_places(ctx, spec, settings, &mut pending, &folder)?;
    prepared.notes.extend(notes);
    prepared.notes.sort();
    prepared.notes.dedup();
    rate::record(ctx, rate::DATABASES, dumps.bytes, ctx.clock.monotonic().saturating_sub(started))?;
    ctx.tell(Event::Restored { source: spec.name.clone(), snapshot: Some(dumps.id) });
    let aside = pending.undo.as_ref().and(Some(aside_of(&pending.exchange.pairs))).filter(Aside::exists);
    Ok(Outcome {
        source: spec.name.clone(),
        id: Some(dumps.id),
        files: dumps.files,
        bytes: dumps.bytes,
        downloaded_bytes: prepared.downloaded,
        aside: aside.map(|aside| aside.told()),
        notes: prepared.notes,
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
    folder: &Path,
) -> Result<staging::Staged, Error> {
    ctx.phase(&spec.name, Some(dumps.id), "fetching");
    let mut staged = match dumps.found.take() {
        Some(found) => staging::stage_dumps(ctx, found, options, &dumps.paths()?, &staging_folder(folder), spec)?,
        None => staging::Staged::default(),
    };
    ctx.phase(&spec.name, Some(dumps.id), "loading");
    ctx.meter.set_total(dumps.bytes);
    let bench = Bench::new(ctx)?;
    let around = bench.around(settings, &ctx.stop);
    let Exchange { pairs, words } = &mut pending.exchange;
    for pair in pairs {
        let loaded = load_tables(around, pair, words, &mut |bytes| ctx.meter.add_bytes(bytes))?;
        staged.notes.extend(loaded.notes);
    }
    pending.exchange.capture(around)?;
    Ok(staged)
}

/// Lets the two change places, or puts the old state back. Gives what a person should know of how it was loaded.
fn change_places(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &MysqlSettings,
    pending: &mut PendingExchange,
    folder: &Path,
) -> Result<Vec<String>, Error> {
    pending.write(Stage::Exchanging, folder)?;
    let bench = Bench::new(ctx)?;
    // From here on a stop waits: half-way there is neither the old nor the new state, and it is soon over.
    let no_stop = Stop::new();
    let loaded = match pending.exchange.carry_out(bench.around(settings, &no_stop)) {
        Ok(loaded) => loaded,
        Err(error) => {
            if let Err(later) = take_back(ctx, settings, pending, folder) {
                ctx.warn(Some(&spec.name), format!("the next command has to put the old state back: {}", chain(&later)));
            }
            return Err(error.into());
        }
    };
    pending.write(Stage::Exchanged, folder)?;
    if let Err(later) = finish(ctx, settings, pending, folder) {
        ctx.warn(Some(&spec.name), format!("the next command has to remove what is left beside it: {}", chain(&later)));
    }
    Ok(loaded.into_iter().flat_map(|loaded| loaded.notes).collect())
}

/// Plans to put back the databases that lie aside.
pub(super) fn plan_undo(
    ctx: &Context,
    settings: &MysqlSettings,
    undo: &UndoRecord,
    aside: &Aside,
    source: &SourceName,
) -> Result<UndoPlan, Error> {
    let names: Vec<String> = aside.databases.iter().filter(|one| one.state.exists).map(|one| one.state.database.clone()).collect();
    let there = which_exist(settings, &names, &ctx.stop)?;
    if let Some(gone) = names.iter().find(|name| !there.contains(name)) {
        return Err(Error::Absent(format!(
            "nothing can be put back for `{source}`: the database `{gone}`, where the restore of {} had set it aside, is gone",
            undo.snapshot
        )));
    }
    let live = aside.databases.iter().map(|one| format!("`{}`", one.live)).collect::<Vec<_>>().join(", ");
    Ok(UndoPlan {
        source: source.clone(),
        target: format!("{live} at {}", settings.place()),
        aside: aside.exists().then(|| aside.told()),
        snapshot: Some(undo.snapshot),
        time: undo.time,
        redo: undo.undone,
    })
}

/// Puts back what lies aside; what it replaces lies aside afterwards. The caller holds the source's lock.
pub(super) fn undo(ctx: &Context, spec: &SourceSpec, settings: &MysqlSettings, undo: &UndoRecord, aside: &Aside) -> Result<Outcome, Error> {
    let folder = site::folder(ctx, spec)?;
    let place = free_place(aside);
    let pairs = aside.databases.iter().map(|one| Pair {
        live: one.live.clone(),
        original: one.live.clone(),
        table: one.table.clone(),
        incoming: one.state.clone(),
        outgoing: outgoing(&one.live, place, &folder),
        ..Pair::default()
    });
    let exchange = Exchange { pairs: pairs.collect(), ..Exchange::default() };
    refuse_strangers_among(ctx, settings, exchange.pairs.iter().map(|pair| pair.outgoing.database.clone()).collect())?;
    let mut pending = PendingExchange::new(exchange, true, None);
    pending.write(Stage::Loading, &folder)?;
    let bench = Bench::new(ctx)?;
    if let Err(error) = pending.exchange.capture(bench.around(settings, &ctx.stop)) {
        abandon(ctx, settings, &pending, &folder)?;
        return Err(error.into());
    }
    let mut undone = undo.clone();
    undone.placement = Placed::Databases(aside_of(&pending.exchange.pairs));
    undone.undone = !undo.undone;
    pending.undo = Some(undone.clone());
    let notes = change_places(ctx, spec, settings, &mut pending, &folder)?;
    let lies_aside = aside_of(&pending.exchange.pairs);
    Ok(Outcome { notes, ..Outcome::of_undo(spec, &undone, lies_aside.exists().then(|| lies_aside.told())) })
}

/// The databases and what will lie beside them.
fn pairs(dumps: &Dumps, folder: &Path, earlier: Option<&UndoRecord>) -> Vec<Pair> {
    let place = match earlier.map(|earlier| &earlier.placement) {
        Some(Placed::Databases(aside)) => free_place(aside),
        _ => PLACES[0],
    };
    let from_snapshot = dumps.found.is_some();
    let pair = |dump: &dumps::Dump| Pair {
        live: dump.live.clone(),
        original: dump.original.clone(),
        table: dump.table.clone(),
        incoming: State {
            database: beside(&dump.live, "new"),
            definitions: if from_snapshot { staging_folder(folder).join(&dump.file) } else { dump.file.clone() },
            exists: true,
            character_set: dump.character_set.clone(),
            collation: dump.collation.clone(),
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

/// The place aside that an earlier restore does not use.
fn free_place(earlier: &Aside) -> &'static str {
    let is_used = |place: &str| earlier.databases.iter().any(|one| one.state.database == beside(&one.live, place));
    if is_used(PLACES[0]) { PLACES[1] } else { PLACES[0] }
}

fn aside_of(pairs: &[Pair]) -> Aside {
    let one = |pair: &Pair| AsideDatabase { live: pair.live.clone(), table: pair.table.clone(), state: pair.outgoing.clone() };
    Aside { databases: pairs.iter().map(one).collect() }
}

fn told(dumps: &Dumps, settings: &MysqlSettings) -> String {
    let one = |dump: &dumps::Dump| match &dump.table {
        Some(table) => format!("table `{table}` of `{}`", dump.live),
        None => format!("`{}`", dump.live),
    };
    format!("{} at {}", dumps.databases.iter().map(one).collect::<Vec<_>>().join(", "), settings.place())
}

/// What a person should know before the dumps come; refused is what cannot go well, and a new name that is taken.
fn judge(present: &Present, dumps: &Dumps, options: &Options) -> Result<Vec<String>, Error> {
    let (facts, definers) = (dumps.facts.as_ref(), &options.part.definers);
    Ok(if options.part.rename.is_some() { present.judge_new(facts, definers)? } else { present.judge(facts, definers)? })
}

/// Databases beside that this node does not remember may be somebody's only copy.
fn refuse_strangers(ctx: &Context, settings: &MysqlSettings, exchange: &Exchange) -> Result<(), Error> {
    let names = exchange.pairs.iter().flat_map(|pair| [pair.incoming.database.clone(), pair.outgoing.database.clone()]);
    refuse_strangers_among(ctx, settings, names.collect())
}

fn refuse_strangers_among(ctx: &Context, settings: &MysqlSettings, names: Vec<String>) -> Result<(), Error> {
    match which_exist(settings, &names, &ctx.stop)?.first() {
        None => Ok(()),
        Some(name) => Err(Error::Refused(format!(
            "there is a database `{name}` that this node does not remember (another node, or another `local.dir`, has restored into this \
             server): look at it, and remove it if nobody needs it; nothing was changed"
        ))),
    }
}
