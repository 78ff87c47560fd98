//! Views, triggers, events and routines: they cannot be moved, so they are saved as a dump, dropped and made anew.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::super::connection::{Connection, is_busy, literal};
use super::super::invalid::{self, InvalidView};
use super::super::inventory::{self, Inventory};
use super::super::load::{self, Loaded, Loading, OnError, Part};
use super::super::object::{Object, ObjectKind, quoted};
use super::super::settings::Settings;
use super::super::split::Sink;
use super::super::take;
use super::state::{Pair, State};
use super::{Around, Words};
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
pub(super) fn create(path: &Path) -> Result<(File, &Path), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::file("create the folder", folder))?;
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(Error::file("create", path))?;
    Ok((file, folder))
}

/// Saves all definitions of a live database, in place of what was saved there before; gives the views that cannot be saved, and the list of what
/// was.
pub(super) fn save(around: Around<'_>, live: &str, path: &Path) -> Result<(Vec<InvalidView>, Inventory), Error> {
    let (file, folder) = create(path)?;
    let mut sink = ToFile { file, path };
    let settings = Settings { databases: vec![live.to_owned()], ..around.settings.clone() };
    let saved = take::definitions(&settings, around.folder, around.work, around.stop, &mut sink)?;
    sink.file.sync_all().map_err(Error::file("write", path))?;
    crate::sys::file::sync_folder(folder)?;
    Ok(saved)
}

/// How all of the dump that comes is made in the live database, in place of what is there.
pub(super) fn loading<'a>(around: Around<'a>, pair: &'a Pair, words: &'a Words) -> Loading<'a> {
    Loading {
        settings: around.settings,
        database: &pair.live,
        original: &pair.original,
        part: Part::All,
        table: pair.table.as_deref(),
        kept: None,
        defaults: None,
        without_events: words.without_events,
        first: None,
        sql_mode: words.sql_mode.as_deref(),
        definers: &words.definers,
        folder: around.folder,
        work: around.work,
    }
}

/// Loads a part of the dump that comes into the database beside the live one.
pub(super) fn load_part(around: Around<'_>, pair: &Pair, part: Part, words: &Words, meter: &mut dyn FnMut(u64)) -> Result<Loaded, Error> {
    let loading = Loading { database: &pair.incoming.database, part, ..loading(around, pair, words) };
    load_from(&loading, OnError::End, &pair.incoming.definitions, meter, around)
}

/// The keys of the views, triggers, events and routines that the dump of a state makes, as objects of database 0. Nothing where there was no
/// database.
fn made(around: Around<'_>, pair: &Pair, state: &State, original: &str, words: &Words) -> Result<BTreeSet<Vec<u8>>, Error> {
    let mut keys = BTreeSet::new();
    if !state.exists {
        return Ok(keys);
    }
    let loading = Loading { original, ..loading(around, pair, words) };
    let path = &state.definitions;
    let mut file = File::open(path).map_err(Error::file("read", path))?;
    let mut found = load::makes(&loading, &mut file, around.stop)?.sorted()?;
    while let Some(key) = found.next()? {
        if !matches!(Object::of_key(key).kind, ObjectKind::Table | ObjectKind::Sequence) {
            keys.insert(key.to_vec());
        }
    }
    Ok(keys)
}

/// Those of what comes.
pub(super) fn coming(around: Around<'_>, pair: &Pair, words: &Words) -> Result<BTreeSet<Vec<u8>>, Error> {
    made(around, pair, &pair.incoming, &pair.original, words)
}

/// Those of what was live, with the views that no dump holds.
pub(super) fn going(around: Around<'_>, pair: &Pair) -> Result<BTreeSet<Vec<u8>>, Error> {
    let mut keys = made(around, pair, &pair.outgoing, &pair.live, &Words::default())?;
    keys.extend(pair.outgoing.invalid.iter().map(|view| view_key(&view.name)));
    Ok(keys)
}

/// The key of a view.
pub(super) fn view_key(name: &str) -> Vec<u8> {
    Object { database: 0, kind: ObjectKind::View, name: name.to_owned() }.key()
}

/// Everything in a live database but what holds rows.
pub(super) fn there(connection: &mut Connection, around: Around<'_>, pair: &Pair) -> Result<BTreeSet<Vec<u8>>, Error> {
    let mut listed = inventory::list(connection, std::slice::from_ref(&pair.live), around.work)?;
    let mut there = BTreeSet::new();
    while let Some(key) = listed.next()? {
        if !matches!(Object::of_key(key).kind, ObjectKind::Table | ObjectKind::Sequence) {
            there.insert(key.to_vec());
        }
    }
    Ok(there)
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

pub(super) fn load_from(
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

const MODE: &str = "set up a session on";

/// Drops these of a live database, by their keys. A package goes with its body.
pub(super) fn drop_these<'k>(connection: &mut Connection, pair: &Pair, keys: impl Iterator<Item = &'k Vec<u8>>) -> Result<(), Error> {
    for object in keys.map(|key| Object::of_key(key)).filter(|object| object.kind != ObjectKind::PackageBody) {
        drop_one(connection, pair, object.kind.words(), &object.name)?;
    }
    Ok(())
}

/// Whether a live view is one of these.
pub(super) fn is_still(connection: &mut Connection, pair: &Pair, view: &str, among: &[InvalidView]) -> Result<bool, Error> {
    let Some(one) = among.iter().find(|one| one.name == view) else { return Ok(false) };
    Ok(invalid::definition(connection, &pair.live, view)?.as_ref() == Some(&one.definition))
}

/// Whether this is the key of a view that was live, stood on what was missing, and is there as it was: nothing could make it again.
pub(super) fn is_old_view(connection: &mut Connection, pair: &Pair, key: &[u8]) -> Result<bool, Error> {
    let object = Object::of_key(key);
    Ok(object.kind == ObjectKind::View && is_still(connection, pair, &object.name, &pair.outgoing.invalid)?)
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

/// Drops one of a live database, of this kind as SQL says it.
pub(super) fn drop_one(connection: &mut Connection, pair: &Pair, kind: &str, name: &str) -> Result<(), Error> {
    // MariaDB knows packages by their word in this mode alone (10.11).
    let is_package = kind == "PACKAGE";
    if is_package {
        connection.run(MODE, "SET SESSION sql_mode = 'ORACLE'")?;
    }
    let (of_live, word) = (format!("{}.{}", quoted(&pair.live), quoted(name)), kind.to_lowercase());
    let dropped = connection.run("remove a definition from", &format!("DROP {kind} IF EXISTS {of_live}"));
    // Whatever came of it: the session reads and drops others after this, also when it tries once more.
    let is_reset = if is_package { connection.run(MODE, "SET SESSION sql_mode = ''") } else { Ok(()) };
    match dropped {
        Err(error) if is_busy(&error) => {
            Err(error.adding(&format!("somebody has used the {word} {of_live} in a transaction that is open: let that come to its end")))
        }
        dropped => dropped.and(is_reset),
    }
}
