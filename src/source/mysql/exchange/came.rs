//! What came with an exchange that is taken back goes; what others have made since stays, but for what keeps tables from moving.

use std::collections::{BTreeMap, BTreeSet};

use super::super::connection::Connection;
use super::super::foreign_keys::Names;
use super::super::object::{Object, ObjectKind, quoted};
use super::put_back::Moved;
use super::state::Pair;
use super::{Around, Words, definitions, tables, without_tables};
use crate::source::Error;

/// Drops the definitions of a live database that came. A trigger of others on a table that moves, and a view of theirs under the name of one that
/// comes back, go as well: gives what they were, as sentences without their end.
pub(super) fn drop(
    connection: &mut Connection,
    around: Around<'_>,
    (pair, moved): (&Pair, &Moved),
    words: &Words,
) -> Result<Vec<String>, Error> {
    let came = known(definitions::coming(around, pair, words))?;
    let in_the_way = in_the_way(connection, pair, moved)?;
    let as_before = without_tables::as_before(connection, pair, around)?;
    let (mut notes, mut doomed) = (Vec::new(), Vec::new());
    for key in definitions::there(connection, around, pair)? {
        let is_in_the_way = in_the_way.contains(&key);
        let stays = pair.table.is_some() || as_before.contains(&key);
        if !is_in_the_way && stays || definitions::is_old_view(connection, pair, &key)? {
            continue;
        }
        // Where nobody can tell, all of it is taken for what came, so that the old state comes back.
        let has_come = came.as_ref().is_none_or(|came| came.contains(&key));
        if is_in_the_way && !has_come {
            notes.push(told(connection, pair, &key)?);
        }
        if is_in_the_way || has_come {
            doomed.push(key);
        }
    }
    definitions::drop_these(connection, pair, doomed.iter())?;
    Ok(notes)
}

/// What a dump makes; nothing where that cannot be read any more.
pub(super) fn known(made: Result<BTreeSet<Vec<u8>>, Error>) -> Result<Option<BTreeSet<Vec<u8>>>, Error> {
    match made {
        Ok(made) => Ok(Some(made)),
        Err(Error::File { .. } | Error::Load { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Triggers on tables that came, with which none moves, and views under the names of tables that come back.
fn in_the_way(connection: &mut Connection, pair: &Pair, moved: &Moved) -> Result<BTreeSet<Vec<u8>>, Error> {
    let of_live = Names::read(connection)?.is("trigger_schema", &pair.live);
    let sql = format!("SELECT trigger_name, event_object_table FROM information_schema.TRIGGERS WHERE {of_live}");
    let rows = connection.rows("list the triggers of", &sql)?;
    let on: BTreeMap<String, String> = rows
        .into_iter()
        .filter_map(|row| match <[_; 2]>::try_from(row) {
            Ok([Some(trigger), Some(table)]) => Some((trigger, table)),
            _ => None,
        })
        .collect();
    let (came, went) = (tables::set(&moved.came), tables::set(&moved.went));
    let triggers = on.into_iter().filter(|(_, table)| came.contains(table.as_str()));
    let triggers = triggers.map(|(name, _)| Object { database: 0, kind: ObjectKind::Trigger, name }.key());
    let views = went.iter().map(|table| definitions::view_key(table));
    Ok(triggers.chain(views).collect())
}

/// What somebody has made that goes, with the statement that makes it.
fn told(connection: &mut Connection, pair: &Pair, key: &[u8]) -> Result<String, Error> {
    let object = Object::of_key(key);
    let sql = format!("SHOW CREATE {} {}", object.kind.words(), pair.of_live(&object.name));
    let rows = connection.rows("read a definition from", &sql)?;
    let text = rows.into_iter().flatten().flatten().find(|text| text.starts_with("CREATE")).unwrap_or_default();
    Ok(format!(
        "the {} {} of {}, which somebody has made since that was broken off, kept a table from moving and was dropped: {text}",
        object.kind,
        quoted(&object.name),
        quoted(&pair.live)
    ))
}
