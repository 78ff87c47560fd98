//! Events whose last time has passed: how the server took them.
//!
//! It keeps them switched off, however they were; and where a session may not set its time, it drops them. Either is told, and stops nothing.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::connection::Connection;
use super::super::foreign_keys::Names;
use super::super::inventory::SORT_BUDGET;
use super::super::load::Loaded;
use super::super::object::{Object, ObjectKind, quoted};
use super::state::Pair;
use crate::source::Error;
use crate::sys::sorter::Sorter;

/// Tells of those that were switched on and are not now, as sentences without their end.
pub(super) fn switched_off(connection: &mut Connection, pair: &Pair, made: &Loaded) -> Result<Vec<String>, Error> {
    if made.timed.is_empty() {
        return Ok(Vec::new());
    }
    let there = statuses(connection, pair)?;
    let is_off = |name: &String| there.get(name).is_some_and(|status| status == "DISABLED");
    let off = made.timed.iter().filter(|(name, event)| event.is_enabled && is_off(name));
    Ok(off
        .map(|(name, _)| {
            format!(
                "the event {} of {} was switched on and is switched off now: the server takes its last time for past, and would run it at once or drop \
                 it; where it is to run, give it another time (ALTER EVENT … ON SCHEDULE … ENABLE)",
                quoted(name),
                quoted(&pair.live)
            )
        })
        .collect())
}

/// Takes those from what should be there that the server has dropped as it made them, and tells of them.
pub(super) fn pass_over_dropped(connection: &mut Connection, pair: &Pair, made: &mut Loaded, work: &Path) -> Result<Vec<String>, Error> {
    if made.timed.is_empty() {
        return Ok(Vec::new());
    }
    let there = statuses(connection, pair)?;
    let dropped = |name: &str| made.timed.contains_key(name) && !there.contains_key(name);
    let mut left = Sorter::new(work, SORT_BUDGET);
    let mut found = std::mem::replace(&mut made.found, Sorter::new(work, SORT_BUDGET)).sorted()?;
    while let Some(key) = found.next()? {
        let object = Object::of_key(key);
        if object.kind != ObjectKind::Event || !dropped(&object.name) {
            left.push(key)?;
        }
    }
    made.found = left;
    Ok(made
        .timed
        .iter()
        .filter(|(name, _)| !there.contains_key(*name))
        .map(|(name, event)| {
            format!(
                "the event {} is not in {}: its last time has passed, and the server drops such a one as it is made (it lets no session set its time, \
                 secure_timestamp); this makes it, with another time: {}",
                quoted(name),
                quoted(&pair.live),
                event.text
            )
        })
        .collect())
}

/// The events of a live database, each with its status.
fn statuses(connection: &mut Connection, pair: &Pair) -> Result<BTreeMap<String, String>, Error> {
    let of_live = Names::read(connection)?.is("event_schema", &pair.live);
    let sql = format!("SELECT event_name, status FROM information_schema.EVENTS WHERE {of_live}");
    let rows = connection.rows("list the events of", &sql)?;
    Ok(rows.into_iter().filter_map(|row| <[_; 2]>::try_from(row).ok()).filter_map(|[name, status]| Some((name?, status?))).collect())
}
