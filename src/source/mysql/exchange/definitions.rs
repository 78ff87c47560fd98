//! Views, triggers, events and routines: they cannot be moved, so they are saved as a dump, dropped and made anew.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::super::connection::{Connection, is_passing, literal};
use super::super::invalid::{self, InvalidView};
use super::super::load::{self, Loaded, Loading, OnError, Part, Unmade};
use super::super::object::{ObjectKind, quoted};
use super::super::settings::Settings;
use super::super::split::Sink;
use super::super::take;
use super::state::{Pair, State};
use super::told::first_of;
use super::{Around, Words, tables, turn};
use crate::source::Error;

/// What was dumped of a live database goes here.
struct ToFile<'a> {
    file: File,
    path: &'a Path,
}

impl Sink for ToFile<'_> {
    type Error = Error;

    fn write(&mut self, _database: usize, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::file("write", self.path))
    }
}

/// A file in place of the one that may be there, which nobody else can read, and its folder.
fn create(path: &Path) -> Result<(File, &Path), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::file("create the folder", folder))?;
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(Error::file("create", path))?;
    Ok((file, folder))
}

/// Saves all definitions of a live database, in place of what was saved there before; gives the views that cannot be saved.
pub(super) fn save(around: Around<'_>, live: &str, path: &Path) -> Result<Vec<InvalidView>, Error> {
    let (file, folder) = create(path)?;
    let mut sink = ToFile { file, path };
    let settings = Settings { databases: vec![live.to_owned()], ..around.settings.clone() };
    let left_out = take::definitions(&settings, around.folder, around.work, around.stop, &mut sink)?;
    sink.file.sync_all().map_err(Error::file("write", path))?;
    crate::sys::file::sync_folder(folder)?;
    Ok(left_out)
}

/// How often views are made again at most: each time one more of a chain of views, each on the next one, can be written through. The file is
/// read each time, and longer chains that are written through are hardly known.
const ROUNDS_MAX: usize = 4;

/// Most definitions besides the first that are named when the server refuses them.
const UNMADE_TOLD: usize = 20;

/// What each database's file has made; `None` where nothing was saved, because nothing was there.
type Made = Vec<Option<Loaded>>;

/// Makes what a state of each of these databases has saved in the live ones.
///
/// Each part is made in all databases before the next one: a view may select from one of another database that comes later, and so from
/// what stands in for it. A server keeps with each view whether it can be written through, one on a stand-in cannot, and nothing tells
/// (`information_schema` says otherwise: MariaDB 10.11). So views are made again; only then can those be made that check what is written.
pub(super) fn load(
    around: Around<'_>,
    pairs: &[Pair],
    state: impl Fn(&Pair) -> &State,
    words: &Words,
    on_error: OnError,
) -> Result<Made, Error> {
    let mut made: Made = Vec::new();
    let of = |pair: &Pair, part: Part| load_live(around, pair, state(pair), part, words, on_error);
    for pair in pairs {
        made.push(if state(pair).exists { Some(of(pair, Part::Forms)?) } else { None });
    }
    let again = |part: Part, made: &mut Made| -> Result<(), Error> {
        for (pair, made) in pairs.iter().zip(made) {
            if let Some(made) = made.as_mut().filter(|made| if part == Part::Checks { made.has_checks } else { made.has_views }) {
                made.add(of(pair, part)?)?;
            }
        }
        Ok(())
    };
    again(Part::Views, &mut made)?;
    if made.iter().flatten().any(|made| made.has_views) {
        let views = count_views(&mut around.connect()?, pairs)?;
        for _ in 0..views.saturating_sub(1).min(ROUNDS_MAX) {
            again(Part::Views, &mut made)?;
        }
    }
    if on_error == OnError::GoOn {
        drop_stand_ins(&mut around.connect()?, pairs, &made)?;
    }
    again(Part::Checks, &mut made)?;
    Ok(made)
}

/// What stands in for a view that was refused gives a row that nobody has written: an error is better.
fn drop_stand_ins(connection: &mut Connection, pairs: &[Pair], made: &Made) -> Result<(), Error> {
    for (pair, made) in pairs.iter().zip(made) {
        for unmade in made.iter().flat_map(|made| &made.unmade) {
            if let Some((ObjectKind::View, name)) = &unmade.makes {
                drop_one(connection, pair, "VIEW", name)?;
            }
        }
    }
    Ok(())
}

/// Makes the definitions that were live, whatever of them is refused. What is in their way is gone.
///
/// # Errors
/// That of the first definition that the server refuses, with the others that it refuses; whatever else keeps the work from being done.
pub(super) fn load_back(connection: &mut Connection, around: Around<'_>, pairs: &[Pair]) -> Result<(), Error> {
    let of = |on_error| load(around, pairs, |pair| &pair.outgoing, &Words::default(), on_error);
    match of(OnError::End) {
        Err(error) if is_refusal(&error) => {}
        made => return made.map(drop),
    }
    // Past the first refusal nothing was made, and what was made before it is there.
    for pair in pairs {
        drop_rest(connection, pair, &pair.outgoing.invalid)?;
        drop_triggers(connection, pair, &pair.going)?;
    }
    let made = of(OnError::GoOn)?;
    let each = pairs.iter().zip(made).flat_map(|(pair, made)| {
        let unmade = made.map(|made| made.unmade).unwrap_or_default();
        unmade.into_iter().map(|one| (pair.live.clone(), one))
    });
    told_unmade(each.collect())
}

/// Whether the server does not take a definition, and will not when it is tried again at once.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Load { why, .. } if why.starts_with("ERROR ")) && !is_passing(error)
}

/// The error for definitions that could not be made, each with its database.
fn told_unmade(unmade: Vec<(String, Unmade)>) -> Result<(), Error> {
    let mut each = unmade.into_iter();
    let Some((_, first)) = each.next() else { return Ok(()) };
    let named = |(live, one): (String, Unmade)| {
        let (line, head, why) = match one.error {
            Error::Load { line, head, why } => (line, head, why),
            other => (one.line, String::new(), other.to_string()),
        };
        let what = one.makes.map_or_else(|| format!("line {line}, {head}"), |(kind, name)| format!("{kind} {}", quoted(&name)));
        format!("{what} of {} ({why})", quoted(&live))
    };
    let others = first_of(each.map(named), UNMADE_TOLD);
    Err(if others.is_empty() { first.error } else { first.error.adding(&format!("nor could be made: {}", others.join(", "))) })
}

fn count_views(connection: &mut Connection, pairs: &[Pair]) -> Result<usize, Error> {
    let mut count = 0;
    for pair in pairs {
        count += connection.column("list the views of", &views_of(&pair.live))?.len();
    }
    Ok(count)
}

/// Makes a part of what a state has saved in the live database.
fn load_live(around: Around<'_>, pair: &Pair, state: &State, part: Part, words: &Words, on_error: OnError) -> Result<Loaded, Error> {
    let is_incoming = *state == pair.incoming;
    let original = if is_incoming { &pair.original } else { &pair.live };
    let loading = Loading {
        settings: around.settings,
        database: &pair.live,
        original,
        part,
        table: pair.table.as_deref(),
        without_events: words.without_events,
        first: Some(&turn::of_the_client(pair, on_error)),
        sql_mode: words.sql_mode.as_deref(),
        definers: &words.definers,
        folder: around.folder,
        work: around.work,
    };
    load_from(&loading, on_error, &state.definitions, &mut |_| {}, around)
}

/// Loads a part of the dump that comes into the database beside the live one.
pub(super) fn load_part(around: Around<'_>, pair: &Pair, part: Part, words: &Words, meter: &mut dyn FnMut(u64)) -> Result<Loaded, Error> {
    let loading = Loading {
        settings: around.settings,
        database: &pair.incoming.database,
        original: &pair.original,
        part,
        table: pair.table.as_deref(),
        without_events: words.without_events,
        first: None,
        sql_mode: words.sql_mode.as_deref(),
        definers: &words.definers,
        folder: around.folder,
        work: around.work,
    };
    load_from(&loading, OnError::End, &pair.incoming.definitions, meter, around)
}

/// Writes a dump without its rows.
pub(super) fn extract(around: Around<'_>, dump: &Path, to: &Path) -> Result<(), Error> {
    let mut from = File::open(dump).map_err(Error::file("read", dump))?;
    let (file, folder) = create(to)?;
    let mut out = BufWriter::new(file);
    load::without_rows(&mut from, &mut out, around.stop)?;
    let file = out.into_inner().map_err(std::io::IntoInnerError::into_error).map_err(Error::file("write", to))?;
    file.sync_all().map_err(Error::file("write", to))?;
    Ok(crate::sys::file::sync_folder(folder)?)
}

fn load_from(
    loading: &Loading<'_>,
    on_error: OnError,
    path: &Path,
    meter: &mut dyn FnMut(u64),
    around: Around<'_>,
) -> Result<Loaded, Error> {
    let mut file = File::open(path).map_err(Error::file("read", path))?;
    let loaded = load::feed(loading, on_error, &mut file, meter, around.stop)?;
    if !loaded.is_complete {
        return Err(Error::Dump { why: format!("{} ends without the line that a dump program writes last", path.display()) });
    }
    Ok(loaded)
}

/// Drops the events of a live database, so that none of them runs while tables change places.
pub(super) fn drop_events(connection: &mut Connection, pair: &Pair) -> Result<(), Error> {
    if pair.table.is_some() {
        return Ok(());
    }
    let sql = format!("SELECT event_name FROM information_schema.EVENTS WHERE event_schema = {}", literal(&pair.live));
    drop_each(connection, pair, "EVENT", &sql)
}

/// Drops views whose names tables are about to take.
pub(super) fn drop_views_in_the_way(connection: &mut Connection, pair: &Pair) -> Result<(), Error> {
    let views = connection.column("list the views of", &views_of(&pair.live))?;
    let coming = tables::set(&pair.coming);
    for view in views.iter().filter(|view| coming.contains(view.as_str())) {
        drop_one(connection, pair, "VIEW", view)?;
    }
    Ok(())
}

/// Drops the triggers of these tables of the live database.
pub(super) fn drop_triggers(connection: &mut Connection, pair: &Pair, tables: &[String]) -> Result<(), Error> {
    let sql =
        format!("SELECT trigger_name, event_object_table FROM information_schema.TRIGGERS WHERE trigger_schema = {}", literal(&pair.live));
    let tables = tables::set(tables);
    for row in connection.rows("list the triggers of", &sql)? {
        if let [Some(trigger), Some(table)] = &row[..]
            && tables.contains(table.as_str())
        {
            drop_one(connection, pair, "TRIGGER", trigger)?;
        }
    }
    Ok(())
}

const MODE: &str = "set up a session on";

/// Drops what is left of a live database beside its tables, but for views that are these still; where only one table is exchanged, nothing.
pub(super) fn drop_rest(connection: &mut Connection, pair: &Pair, but: &[InvalidView]) -> Result<(), Error> {
    if pair.table.is_some() {
        return Ok(());
    }
    drop_events(connection, pair)?;
    for view in connection.column("list the views of", &views_of(&pair.live))? {
        if !is_still(connection, pair, &view, but)? {
            drop_one(connection, pair, "VIEW", &view)?;
        }
    }
    for kind in ["PACKAGE", "PROCEDURE", "FUNCTION"] {
        let sql = format!(
            "SELECT routine_name FROM information_schema.ROUTINES WHERE routine_schema = {} AND routine_type = '{kind}'",
            literal(&pair.live)
        );
        drop_each(connection, pair, kind, &sql)?;
    }
    Ok(())
}

/// Whether a live view is one of these.
fn is_still(connection: &mut Connection, pair: &Pair, view: &str, among: &[InvalidView]) -> Result<bool, Error> {
    let Some(one) = among.iter().find(|one| one.name == view) else { return Ok(false) };
    Ok(invalid::definition(connection, &pair.live, view)?.as_ref() == Some(&one.definition))
}

/// Those of the views that nothing can make again which are not there any more, as a person is told them.
pub(super) fn lost(connection: &mut Connection, pair: &Pair) -> Result<Vec<String>, Error> {
    let mut lost = Vec::new();
    for view in &pair.outgoing.invalid {
        if !is_still(connection, pair, &view.name, &pair.outgoing.invalid)? {
            lost.push(view);
        }
    }
    Ok(invalid::notes(&pair.live, lost.into_iter()))
}

pub(super) fn views_of(database: &str) -> String {
    format!("SELECT table_name FROM information_schema.VIEWS WHERE table_schema = {}", literal(database))
}

fn drop_each(connection: &mut Connection, pair: &Pair, kind: &str, sql: &str) -> Result<(), Error> {
    for name in connection.column("list what is in a database of", sql)? {
        drop_one(connection, pair, kind, &name)?;
    }
    Ok(())
}

fn drop_one(connection: &mut Connection, pair: &Pair, kind: &str, name: &str) -> Result<(), Error> {
    // MariaDB knows packages by their word in this mode alone (10.11).
    let mode = if kind == "PACKAGE" { "ORACLE" } else { "" };
    if !mode.is_empty() {
        connection.run(MODE, &format!("SET SESSION sql_mode = '{mode}'"))?;
    }
    connection.run("remove a definition from", &format!("DROP {kind} IF EXISTS {}.{}", quoted(&pair.live), quoted(name)))?;
    if mode.is_empty() { Ok(()) } else { connection.run(MODE, "SET SESSION sql_mode = ''") }
}
