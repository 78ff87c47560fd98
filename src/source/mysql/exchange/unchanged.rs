//! What is live besides tables, found to be as it was saved: nothing else is dropped, because no undo would have it.
//!
//! To drop a routine that somebody uses takes several tries, seconds apart, and others go on making definitions meanwhile. So each try looks at all of
//! them first, at each one once more just before it is dropped, and at what is left while the tables are locked.

use std::collections::BTreeMap;

use super::super::connection::{Connection, literal};
use super::super::foreign_keys::Names;
use super::super::inventory::{self, Named};
use super::super::object::{Object, ObjectKind};
use super::state::Pair;
use super::{Around, definitions, grants, tables};
use crate::format::digest::Digest;
use crate::source::Error;

/// The definitions of each live database that are to go, by their keys.
pub(super) struct Unchanged(Vec<Digests>);

/// Definitions, each with the digest of how it is made.
pub(super) type Digests = BTreeMap<Vec<u8>, Digest>;

impl Unchanged {
    /// Reads what is live now.
    pub(super) fn read(connection: &mut Connection, around: Around<'_>, pairs: &[Pair]) -> Result<Self, Error> {
        let of = |pair| digests(connection, around, pair, &|object| goes(pair, object));
        Ok(Self(pairs.iter().map(of).collect::<Result<_, _>>()?))
    }

    /// Whether nothing of a database is to go.
    pub(super) fn is_empty(&self, at: usize) -> bool {
        self.0[at].is_empty()
    }

    /// That whatever is live now is among these, as it was; some of it may be gone. No table is there that was not.
    ///
    /// # Errors
    /// [`Error::Refused`] naming what is there besides; [`Error::Server`].
    pub(super) fn check(&self, around: Around<'_>, pairs: &[Pair]) -> Result<(), Error> {
        // Another session may hold the tables, and look at nothing else then.
        let mut connection = around.connect()?;
        let now = Self::read(&mut connection, around, pairs)?;
        for ((pair, saved), now) in pairs.iter().zip(&self.0).zip(&now.0) {
            let mut other = Named::default();
            for (key, _) in now.iter().filter(|(key, digest)| saved.get(*key) != Some(digest)) {
                other.add(key, std::slice::from_ref(&pair.live));
            }
            if let Some(other) = other.text() {
                return Err(refused(&other));
            }
            check_besides(&mut connection, pair)?;
        }
        Ok(())
    }

    /// Drops what is to go of a live database, but for triggers; where only one table is exchanged, nothing.
    pub(super) fn drop_rest(&self, connection: &mut Connection, pair: &Pair, at: usize) -> Result<(), Error> {
        if pair.table.is_some() {
            return Ok(());
        }
        // No event is to run while tables change places. Nobody is waited for before a routine is dropped, as it is before views are: so what
        // somebody uses is known before they go.
        for kind in [ObjectKind::Event, ObjectKind::Package, ObjectKind::Procedure, ObjectKind::Function, ObjectKind::View] {
            for key in self.0[at].keys() {
                let object = Object::of_key(key);
                if object.kind == kind && self.is_there(connection, pair, (at, &object))? {
                    definitions::drop_one(connection, pair, kind.words(), &object.name)?;
                }
            }
        }
        let there = connection.column("list the views of", &definitions::views_of(&pair.live))?;
        for view in pair.outgoing.invalid.iter().filter(|view| there.contains(&view.name)) {
            check_invalid(connection, pair)?;
            definitions::drop_one(connection, pair, "VIEW", &view.name)?;
        }
        Ok(())
    }

    /// Drops the triggers of the tables that go, which are locked, and so nobody can make another one.
    pub(super) fn drop_triggers(&self, connection: &mut Connection, pair: &Pair, at: usize) -> Result<(), Error> {
        let of_live = Names::read(connection)?.is("trigger_schema", &pair.live);
        // The last to act goes first: those that are left when this is broken off are the first, and the others are made again after them.
        let order = "event_object_table, action_timing, event_manipulation, action_order DESC";
        let sql = format!("SELECT trigger_name, event_object_table FROM information_schema.TRIGGERS WHERE {of_live} ORDER BY {order}");
        let going = tables::set(&pair.going);
        for row in connection.rows("list the triggers of", &sql)? {
            let [Some(trigger), Some(table)] = &row[..] else { continue };
            let object = Object { database: 0, kind: ObjectKind::Trigger, name: trigger.clone() };
            if going.contains(table.as_str()) {
                if !self.0[at].contains_key(&object.key()) {
                    return Err(refused(&object.told(std::slice::from_ref(&pair.live))));
                }
                definitions::drop_one(connection, pair, "TRIGGER", trigger)?;
            }
        }
        Ok(())
    }

    /// Whether something is there, and as it was. Errors: it is another one.
    fn is_there(&self, connection: &mut Connection, pair: &Pair, (at, object): (usize, &Object)) -> Result<bool, Error> {
        let live = std::slice::from_ref(&pair.live);
        let body = Object { kind: ObjectKind::PackageBody, ..object.clone() };
        // A package takes its body along.
        let with = if object.kind == ObjectKind::Package { vec![object, &body] } else { vec![object] };
        let mut is_there = false;
        for one in with {
            let now = inventory::definition(connection, live, one)?;
            if now == Digest::of(b"") {
                continue;
            }
            if self.0[at].get(&one.key()) != Some(&now) {
                return Err(refused(&one.told(live)));
            }
            is_there = true;
        }
        if is_there && has_other_rights(connection, pair, object)? {
            return Err(refused(&format!("a right on the {}", object.told(live))));
        }
        Ok(is_there)
    }
}

/// What a live database holds besides tables, as far as it counts.
pub(super) fn digests(
    connection: &mut Connection,
    around: Around<'_>,
    pair: &Pair,
    counts: &dyn Fn(&Object) -> bool,
) -> Result<Digests, Error> {
    let mut found = Digests::new();
    for key in definitions::there(connection, around, pair)? {
        let object = Object::of_key(&key);
        if counts(&object) {
            let digest = inventory::definition(connection, std::slice::from_ref(&pair.live), &object)?;
            found.insert(key, digest);
        }
    }
    Ok(found)
}

/// Whether it goes when tables change places. Views that cannot be saved are looked at by what is noted of them.
fn goes(pair: &Pair, object: &Object) -> bool {
    match &pair.table {
        // With one table go its triggers alone.
        Some(_) => object.kind == ObjectKind::Trigger,
        None => object.kind != ObjectKind::View || !pair.outgoing.invalid.iter().any(|view| view.name == object.name),
    }
}

/// That nothing is there besides definitions that can be saved which was not.
pub(super) fn check_besides(connection: &mut Connection, pair: &Pair) -> Result<(), Error> {
    check_invalid(connection, pair)?;
    check_tables(connection, pair)
}

/// That no view which cannot be saved has become another one, which could.
fn check_invalid(connection: &mut Connection, pair: &Pair) -> Result<(), Error> {
    if pair.table.is_some() || pair.outgoing.invalid.is_empty() {
        return Ok(());
    }
    let there = connection.column("list the views of", &definitions::views_of(&pair.live))?;
    for view in pair.outgoing.invalid.iter().filter(|view| there.contains(&view.name)) {
        if !definitions::is_still(connection, pair, &view.name, &pair.outgoing.invalid)? {
            return Err(refused(&view.object().told(std::slice::from_ref(&pair.live))));
        }
    }
    Ok(())
}

/// That no table was made which would stay behind among those that come.
fn check_tables(connection: &mut Connection, pair: &Pair) -> Result<(), Error> {
    let there = tables::listed(connection, &pair.live, pair.table.as_deref())?;
    let going = tables::set(&pair.going);
    let mut made = Named::default();
    for table in there.iter().filter(|table| !going.contains(table.as_str())) {
        made.add(&Object { database: 0, kind: ObjectKind::Table, name: table.clone() }.key(), std::slice::from_ref(&pair.live));
    }
    made.text().map_or(Ok(()), |made| Err(refused(&made)))
}

/// Whether somebody has a right on a single routine that was not noted.
fn has_other_rights(connection: &mut Connection, pair: &Pair, object: &Object) -> Result<bool, Error> {
    // Where not all rights could be noted, those which were not are told as lost.
    if matches!(object.kind, ObjectKind::View | ObjectKind::Event) || pair.outgoing.unread.is_some() {
        return Ok(false);
    }
    let of = format!(" AND routine_name = {}", literal(&object.name));
    let (now, _) = grants::read(connection, &pair.live, &of)?;
    Ok(now.iter().any(|grant| !pair.outgoing.grants.contains(grant)))
}

pub(super) fn refused(what: &str) -> Error {
    let why = format!("{what} was made, changed or removed since what is live was saved, and no undo would have it: run it again");
    Error::Refused { why }
}
