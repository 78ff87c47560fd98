//! Evidence that what a dump holds is on the server: every thing that it makes, and nothing else.

use std::path::Path;

use super::super::connection::Connection;
use super::super::inventory::{self, Named, SORT_BUDGET};
use super::super::load::Loaded;
use super::super::object::{Object, ObjectKind, quoted};
use super::state::Pair;
use super::tables;
use crate::source::Error;
use crate::sys::sorter::{Sorted, Sorter};

/// That every table of the dump came, no other is there, and a row of each can be read; gives their names.
pub(super) fn tables_came(connection: &mut Connection, pair: &Pair, loaded: &mut Loaded, work: &Path) -> Result<Vec<String>, Error> {
    let beside = std::slice::from_ref(&pair.incoming.database);
    let tables = tables::listed(connection, &pair.incoming.database, None)?;
    if let Some(table) = &pair.table
        && !tables.contains(table)
    {
        return Err(Error::NoTable { table: table.clone(), database: pair.original.clone() });
    }
    let there = inventory::list(connection, beside, work)?;
    compare(take_found(loaded, work), there, beside, Strangers::Refuse, &is_table)?;
    for table in &tables {
        let sql = format!("SELECT 1 FROM {}.{} LIMIT 1", quoted(&pair.incoming.database), quoted(table));
        connection.value("read a row from", &sql)?;
    }
    Ok(tables)
}

/// That the live database holds the tables that came and everything that was made after them, and nothing else; of a single table, that it
/// and its triggers are there. Where strangers stay, tables that they have dropped do not count. Gives what else stays, for a person, as a sentence
/// without its end.
pub(super) fn is_whole(
    connection: &mut Connection,
    pair: &Pair,
    loaded: Option<&mut Loaded>,
    strangers: Strangers,
    work: &Path,
) -> Result<Option<String>, Error> {
    let mut wanted = loaded.map_or_else(|| Sorter::new(work, SORT_BUDGET), |loaded| take_found(loaded, work));
    for table in &pair.coming {
        for kind in [ObjectKind::Table, ObjectKind::Sequence] {
            wanted.push(&Object { database: 0, kind, name: table.clone() }.key())?;
        }
    }
    let live = std::slice::from_ref(&pair.live);
    let there = inventory::list(connection, live, work)?;
    let may_lack = strangers == Strangers::Stay;
    let strangers = if pair.table.is_some() { Strangers::Stay } else { strangers };
    // Whether a name is that of a table or of a sequence was looked at when it was loaded; here it counts once.
    let strange = compare(wanted, there, live, strangers, &|kind| !is_table(kind))?.filter(|_| pair.table.is_none());
    let tables = tables::listed(connection, &pair.live, pair.table.as_deref())?;
    let (coming, there) = (tables::set(&pair.coming), tables::set(&tables));
    let lost = coming.difference(&there).next().filter(|_| !may_lack);
    let stranger = there.difference(&coming).next().filter(|_| strangers == Strangers::Refuse);
    match (lost, stranger) {
        (None, None) => {
            Ok(strange
                .map(|strange| format!("what somebody has made since that was broken off stays, and is none of what came: {strange}")))
        }
        (Some(table), _) => Err(Error::Dump { why: format!("the table {} has not come", pair.of_live(table)) }),
        (None, Some(table)) => Err(Error::Dump { why: format!("the table {} is there and should not be", pair.of_live(table)) }),
    }
}

/// What is to be said of things that no dump has made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strangers {
    /// They are an error.
    Refuse,
    /// They stay: others may have made them meanwhile.
    Stay,
}

fn take_found(loaded: &mut Loaded, work: &Path) -> Sorter {
    std::mem::replace(&mut loaded.found, Sorter::new(work, SORT_BUDGET))
}

fn is_table(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Table | ObjectKind::Sequence)
}

/// Compares what should be there with what is, as far as the kind counts. Gives what else is there and stays.
fn compare(
    wanted: Sorter,
    mut there: Sorted,
    databases: &[String],
    strangers: Strangers,
    counts: &dyn Fn(ObjectKind) -> bool,
) -> Result<Option<String>, Error> {
    let mut wanted = wanted.sorted()?;
    let next = |sorted: &mut Sorted| -> Result<Option<Vec<u8>>, Error> {
        while let Some(key) = sorted.next()? {
            if counts(Object::of_key(key).kind) {
                return Ok(Some(key.to_vec()));
            }
        }
        Ok(None)
    };
    let (mut missing, mut strange) = (Named::default(), Named::default());
    let (mut one, mut other) = (next(&mut wanted)?, next(&mut there)?);
    while one.is_some() || other.is_some() {
        match (&one, &other) {
            (Some(a), Some(b)) if a == b => {
                let same = a.clone();
                // What a dump makes in several steps is found several times.
                while one.as_ref() == Some(&same) {
                    one = next(&mut wanted)?;
                }
                other = next(&mut there)?;
            }
            (Some(a), b) if b.as_ref().is_none_or(|b| a < b) => {
                missing.add(a, databases);
                one = next(&mut wanted)?;
            }
            (_, b) => {
                if let Some(b) = b {
                    strange.add(b, databases);
                }
                other = next(&mut there)?;
            }
        }
    }
    if let Some(missing) = missing.text() {
        return Err(Error::Dump { why: format!("it was loaded, and {missing} did not come") });
    }
    match strange.text() {
        Some(strange) if strangers == Strangers::Refuse => {
            Err(Error::Dump { why: format!("it was loaded, and {strange} is there, which it does not make") })
        }
        strange => Ok(strange),
    }
}
