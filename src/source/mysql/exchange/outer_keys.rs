//! Foreign keys that point out of what is exchanged, into databases that stay live.
//!
//! Tables that were set aside with such a key would lose rows with their live parents (`ON DELETE CASCADE`), or keep those from being changed.
//! So what the keys say is noted before anything moves, in the journal of the exchange and in the undo; the tables lie aside without them, and
//! have them again once they are live. Each step looks at what is there, so it can be repeated after a kill.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::connection::{Connection, is_answer, is_busy, is_denied, is_no_such, literal, said};
use super::super::definers::account_literal;
use super::super::facts::Reference;
use super::super::foreign_keys::{Body, Key, Names, between, body, name_index_again};
use super::super::object::quoted;
use super::super::option_file::Login;
use super::super::settings::Settings;
use super::owed::{OwedKey, in_short};
use super::state::{Pair, State};
use super::told::first_of;
use crate::source::Error;
use crate::sys::stop::Stop;

/// Most of these that one database may have: they are kept in memory and written to the journal, some 300 bytes each, and those aside are
/// dropped while views are missing.
const KEYS_MAX: usize = 20_000;

/// After so many parents that somebody holds no more are waited for in one round, a second each: all of them may be locked for good.
const HELD_MAX: usize = 10;

/// Most keys that are named in a text.
const NAMED: usize = 10;

/// Most statements that a person is given at once; those that are left are told when these were run.
const GRANTS_MAX: usize = 50;

/// The table that is never made, to learn whether the account could make a key.
const PROBE: &str = "windlass~probe";

const LIST: &str = "list the foreign keys of";
const DROP: &str = "drop the foreign keys of what is aside on";
const ADD: &str = "make a foreign key again on";

/// A foreign key that points into a database which stays live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OuterKey {
    /// The table that has it.
    pub table: String,
    /// Its name.
    pub name: String,
    /// The database that it points into.
    pub into: String,
    /// The table there.
    pub parent: String,
    /// Everything else.
    pub body: Body,
}

/// Notes which keys each state has, before anything moves. Of a state that was set aside before it is known already.
///
/// # Errors
/// [`Error::Refused`] when they are too many; [`Error::Server`].
pub(super) fn note(connection: &mut Connection, pairs: &mut [Pair]) -> Result<(), Error> {
    let names = Names::read(connection)?;
    let all = |pair: &Pair| {
        let live = names.compared(&pair.live);
        pair.going.iter().map(move |table| (live.clone(), table.clone())).collect::<Vec<_>>()
    };
    let going: BTreeSet<(String, String)> = pairs.iter().flat_map(all).collect();
    for pair in pairs {
        let live = names.compared(&pair.live);
        // A key to a table that goes along is none of these.
        let stays = |key: &OuterKey| {
            going.contains(&(live.clone(), key.table.clone())) && !going.contains(&(names.compared(&key.into), key.parent.clone()))
        };
        pair.outgoing.keys = read(connection, &pair.live, stays)?;
        if pair.incoming.tables.is_none() {
            pair.incoming.keys = read(connection, &pair.incoming.database, |_| true)?;
        }
    }
    Ok(())
}

/// Those of these keys that are wanted, with what they say.
fn read(connection: &mut Connection, database: &str, is_wanted: impl Fn(&OuterKey) -> bool) -> Result<Vec<OuterKey>, Error> {
    let mut keys = Vec::new();
    for key in list(connection, database)?.into_iter().filter(is_wanted) {
        // One that has gone meanwhile is none.
        if let Some(body) = body(connection, &key.of(database), &key.into)? {
            keys.push(OuterKey { body, ..key });
        }
    }
    Ok(keys)
}

/// The keys of a database's tables that point into another one, without what they say.
fn list(connection: &mut Connection, database: &str) -> Result<Vec<OuterKey>, Error> {
    let names = Names::read(connection)?;
    let sql = format!(
        "SELECT table_name, constraint_name, referenced_table_schema, referenced_table_name FROM information_schema.KEY_COLUMN_USAGE WHERE \
         table_schema = {schema} AND {of} = {compared} AND referenced_table_schema IS NOT NULL AND {into} <> {compared} AND ordinal_position \
         = 1 ORDER BY 1, 2 LIMIT {limit}",
        schema = literal(database),
        compared = literal(&names.compared(database)),
        of = names.column("table_schema"),
        into = names.column("referenced_table_schema"),
        limit = KEYS_MAX + 1,
    );
    let rows = connection.rows(LIST, &sql)?;
    if rows.len() > KEYS_MAX {
        let why = format!("tables of {} have more than {KEYS_MAX} foreign keys into other databases", quoted(database));
        return Err(Error::Refused { why });
    }
    let key = |row: Vec<Option<String>>| match <[_; 4]>::try_from(row) {
        Ok([Some(table), Some(name), Some(into), Some(parent)]) => Some(OuterKey { table, name, into, parent, ..OuterKey::default() }),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(key).collect())
}

impl OuterKey {
    pub(super) fn of(&self, database: &str) -> Key {
        Key {
            schema: database.to_owned(),
            table: self.table.clone(),
            name: self.name.clone(),
            into: self.into.clone(),
            parent: self.parent.clone(),
        }
    }

    /// What tells it from others, and where it points.
    pub(super) fn identity(&self) -> [&str; 4] {
        [&self.table, &self.name, &self.into, &self.parent]
    }

    /// Its parent.
    fn parent(&self) -> (String, String) {
        (self.into.clone(), self.parent.clone())
    }

    /// The statement that makes it.
    pub(super) fn add_statement(&self, database: &str) -> String {
        let table = format!("{}.{}", quoted(database), quoted(&self.table));
        format!("ALTER TABLE {table} ADD CONSTRAINT {} {}", quoted(&self.name), self.body.text)
    }

    fn owed(&self, database: &str, is_to_go: bool, why: String) -> OwedKey {
        OwedKey { database: database.to_owned(), key: self.clone(), is_to_go, turn: None, why }
    }
}

/// The statement that drops keys of one table.
pub(super) fn drop_statement(database: &str, keys: &[&OuterKey]) -> String {
    let drops = keys.iter().map(|key| format!("DROP FOREIGN KEY {}", quoted(&key.name))).collect::<Vec<_>>().join(", ");
    let table = keys.first().map(|key| quoted(&key.table)).unwrap_or_default();
    format!("ALTER TABLE {}.{table} {drops}", quoted(database))
}

/// Drops the keys that were noted from tables that lie aside now. Gives those that stay: nobody is waited for long, and a parent that is held is
/// tried once. Checks are off in this session.
///
/// # Errors
/// [`Error::Server`] when it does not answer.
pub(super) fn let_go(connection: &mut Connection, aside: &State) -> Result<Vec<OwedKey>, Error> {
    if aside.keys.is_empty() {
        return Ok(Vec::new());
    }
    let noted: BTreeMap<[&str; 4], &OuterKey> = aside.keys.iter().map(|key| (key.identity(), key)).collect();
    let there = list(connection, &aside.database)?;
    let there: Vec<&OuterKey> = there.iter().filter_map(|key| noted.get(&key.identity()).copied()).collect();
    in_short(connection, |connection| {
        let (mut held, mut owed) = (Held::default(), Vec::new());
        // A table at a time: the sooner the better, a parent may change meanwhile.
        for keys in there.chunk_by(|one, next| one.table == next.table) {
            let sql = drop_statement(&aside.database, keys);
            if let Some(why) = held.run(connection, DROP, &sql, keys)? {
                owed.extend(keys.iter().map(|key| key.owed(&aside.database, true, why.clone())));
            }
        }
        Ok(owed)
    })
}

/// Parents that somebody holds: to wait for each of their keys would take as long again.
#[derive(Default)]
struct Held(BTreeMap<(String, String), String>);

impl Held {
    /// Why these keys of one table are not tried: somebody holds a parent of theirs, or so many others that no more are waited for.
    fn known(&self, keys: &[&OuterKey]) -> Option<&String> {
        let is_enough = self.0.len() >= HELD_MAX;
        keys.iter().find_map(|key| self.0.get(&key.parent())).or_else(|| self.0.values().next().filter(|_| is_enough))
    }

    /// Runs a statement on these keys of one table; gives what the server says against it. A table that is gone has none.
    fn run(&mut self, connection: &mut Connection, what: &'static str, sql: &str, keys: &[&OuterKey]) -> Result<Option<String>, Error> {
        if let Some(why) = self.known(keys) {
            return Ok(Some(why.clone()));
        }
        match connection.run(what, sql) {
            Err(error) if is_no_such(&error) => Ok(None),
            Err(error) if is_answer(&error) => {
                if is_busy(&error) {
                    self.0.extend(keys.iter().map(|key| (key.parent(), said(&error))));
                }
                Ok(Some(said(&error)))
            }
            run => run.map(|()| None),
        }
    }
}

/// Leaves the keys out of a copy that nobody is to be held by: rows of other databases would have to stay as long as it is there. Gives what a
/// person should know, as a sentence without its end.
///
/// # Errors
/// [`Error::Server`], also when somebody holds a parent for long.
pub(super) fn leave_out(connection: &mut Connection, database: &str, name: &str) -> Result<Option<String>, Error> {
    let keys = list(connection, database)?;
    if keys.is_empty() {
        return Ok(None);
    }
    for keys in keys.chunk_by(|one, next| one.table == next.table) {
        connection.run(DROP, &drop_statement(database, &keys.iter().collect::<Vec<_>>()))?;
    }
    let told = |key: &OuterKey| format!("{} of {} to {}.{}", quoted(&key.name), quoted(&key.table), quoted(&key.into), quoted(&key.parent));
    Ok(Some(format!(
        "tables of {} are without their foreign keys into other databases, which would keep rows there from being changed: {}",
        quoted(name),
        first_of(keys.iter().map(told), NAMED).join(", ")
    )))
}

/// Makes the keys that were noted of a state whose tables are live now, where they are not there; rows are not checked, as when a dump is
/// loaded. Gives those that the server does not make now, for whatever reason: nobody is waited for long, and a parent that is held is tried once.
/// Checks are off in this session.
///
/// # Errors
/// [`Error::Server`] when it does not answer.
pub(super) fn take_hold(connection: &mut Connection, live: &str, state: &State) -> Result<Vec<OwedKey>, Error> {
    if state.keys.is_empty() {
        return Ok(Vec::new());
    }
    let there = list(connection, live)?;
    let there: BTreeSet<[&str; 4]> = there.iter().map(OuterKey::identity).collect();
    in_short(connection, |connection| {
        let (mut held, mut owed) = (Held::default(), Vec::new());
        for key in &state.keys {
            let known = key.of(live);
            if !there.contains(&key.identity()) && !is_there(connection, &known)? {
                if let Some(why) = held.run(connection, ADD, &key.add_statement(live), &[key])? {
                    owed.push(key.owed(live, false, why));
                    continue;
                }
            } else if state.tables.is_none() {
                // It came with the table that was loaded, and its index too.
                continue;
            }
            // Also of one that is there: a kill may have come before it.
            name_index_again(connection, &known, &key.body)?;
        }
        Ok(owed)
    })
}

/// Whether a key is there, maybe under the name that it has while it is made anew.
pub(super) fn is_there(connection: &mut Connection, key: &Key) -> Result<bool, Error> {
    let sql = format!(
        "SELECT 1 FROM information_schema.KEY_COLUMN_USAGE WHERE table_schema = {} AND table_name = {table} AND CAST(table_name AS BINARY) \
         = {table} AND referenced_table_name IS NOT NULL AND CAST(constraint_name AS BINARY) IN ({}, {}) LIMIT 1",
        literal(&key.schema),
        literal(&key.name),
        literal(&between(&key.name)),
        table = literal(&key.table),
    );
    Ok(connection.value(LIST, &sql)?.is_some())
}

/// That the account could make the keys again which what is live has, and what is to come back; and those of what `comes`, the known ones of each
/// pair: servers ask for a right to each parent. They are asked by a statement that fails in any case, because the column of the key is not
/// there; rights are looked at before that.
///
/// # Errors
/// [`Error::Refused`] with the rights that are lacking; [`Error::Server`].
pub fn check_references(settings: &Settings, pairs: &[Pair], comes: &[Vec<Reference>], stop: &Stop) -> Result<(), Error> {
    let mut connection = Connection::open(&Login::of(settings)?, stop)?;
    let (mut aside, mut coming) = (BTreeMap::new(), BTreeMap::new());
    let table = |database: &str, table: &str| format!("{}.{}", quoted(database), quoted(table));
    for (at, pair) in pairs.iter().enumerate() {
        let keys = list(&mut connection, &pair.live)?;
        let keys = keys.iter().filter(|key| pair.table.as_ref().is_none_or(|table| *table == key.table));
        let known = pair.incoming.keys.iter().map(|key| (&pair.incoming.database, key));
        let is_exchanged = |database: &str| pairs.iter().any(|pair| pair.live == database);
        let parents: BTreeSet<(&String, String)> = keys
            .map(|key| (&pair.live, key))
            .chain(known)
            .filter(|(_, key)| !is_exchanged(&key.into))
            .map(|(child, key)| (child, table(&key.into, &key.parent)))
            .collect();
        ask(&mut connection, &parents, &mut aside)?;
        let comes =
            comes.get(at).into_iter().flatten().filter(|reference| pair.table.as_ref().is_none_or(|table| *table == reference.table));
        let parents = comes.filter(|reference| !is_exchanged(&reference.database));
        let parents = parents.map(|reference| (&pair.incoming.database, table(&reference.database, &reference.parent))).collect();
        ask(&mut connection, &parents, &mut coming)?;
    }
    let mut whys = Vec::new();
    for (lacking, what) in [
        (
            &aside,
            "what lies aside is without its foreign keys into other databases, and the account may not make them again when it comes back",
        ),
        (&coming, "what comes has foreign keys into other databases, and the account may not make them"),
    ] {
        whys.extend(lacking.values().next().map(|said| format!("{what} ({said})")));
    }
    if whys.is_empty() {
        return Ok(());
    }
    let account = connection.value("ask for the account on", "SELECT CURRENT_USER()")?.unwrap_or_default();
    let lacking: BTreeSet<&String> = aside.keys().chain(coming.keys()).collect();
    let grants = lacking.iter().map(|parent| format!("GRANT REFERENCES ON {parent} TO {}", account_literal(&account)));
    let grants = first_of(grants, GRANTS_MAX);
    Err(Error::Refused { why: format!("{}; it needs: {}", whys.join("; and "), grants.join("; ")) })
}

/// Asks the server whether each of these databases may have a key to the table beside it; which may not, and what the server says, is collected.
///
/// # Errors
/// [`Error::Refused`] when it may have no new table at all; [`Error::Server`].
fn ask(connection: &mut Connection, parents: &BTreeSet<(&String, String)>, lacking: &mut BTreeMap<String, String>) -> Result<(), Error> {
    for (child, parent) in parents {
        let table = format!("{}.{}", quoted(child), quoted(PROBE));
        let sql = format!("CREATE TABLE {table} (id INT, KEY (`none`), FOREIGN KEY (`none`) REFERENCES {parent} (`none`))");
        match connection.run("ask for the right to make a foreign key on", &sql) {
            // Rights by roles are not known before, so this may be the first to meet it.
            Err(error) if is_denied(&error) && !said(&error).contains("REFERENCES") => {
                let account = connection.value("ask for the account on", "SELECT CURRENT_USER()")?.unwrap_or_default();
                let (child, to) = (quoted(child), account_literal(&account));
                let why =
                    format!("the account may not make tables in {child} ({}); it needs: GRANT CREATE ON {child}.* TO {to}", said(&error));
                return Err(Error::Refused { why });
            }
            Err(error) if is_denied(&error) => drop(lacking.insert(parent.clone(), said(&error))),
            Err(error) if !is_answer(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_parents_are_waited_for_than_can_be_held_for_a_while() {
        let key = |parent: usize| OuterKey { into: "other".into(), parent: format!("p{parent}"), ..OuterKey::default() };
        let mut held = Held::default();
        for parent in 0..HELD_MAX {
            assert_eq!(held.known(&[&key(parent)]), None, "{parent}");
            held.0.insert(key(parent).parent(), format!("said of p{parent}"));
        }
        assert_eq!(held.known(&[&key(3)]).map(String::as_str), Some("said of p3"));
        assert!(held.known(&[&key(HELD_MAX)]).is_some(), "one more is not tried");
        held.0.remove(&key(3).parent());
        assert_eq!(held.known(&[&key(HELD_MAX)]), None);
        assert!(held.known(&[&key(HELD_MAX), &key(4)]).is_some(), "a table with one held parent");
    }
}
