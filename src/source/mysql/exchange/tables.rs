//! Moving tables from one database to another, and what moves along with them.

use std::collections::BTreeSet;

use super::super::connection::{Connection, is_answer, is_passing, literal};
use super::super::object::quoted;
use super::definitions;
use super::state::Pair;
use crate::source::Error;

/// Most tables that move at once: the statement that moves them locks them all, and names each twice, up to 300 bytes a name.
const TABLES_MAX: usize = 20_000;

/// How long is waited for whoever holds a table that foreign keys point to: who uses it next waits as long.
const PARENTS_SECONDS: u32 = 5;

/// What holds rows, as `information_schema` calls it.
const HOLDS_ROWS: &str = "table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')";

/// The tables and sequences of a database, or one of them, by name.
///
/// # Errors
/// [`Error::Refused`] when they are too many.
pub(super) fn listed(connection: &mut Connection, database: &str, only: Option<&str>) -> Result<Vec<String>, Error> {
    let only = only.map_or_else(String::new, |table| format!(" AND table_name = {}", literal(table)));
    let limit = TABLES_MAX + 1;
    let sql = format!(
        "SELECT table_name FROM information_schema.TABLES WHERE table_schema = {}{only} AND {HOLDS_ROWS} ORDER BY table_name LIMIT {limit}",
        literal(database)
    );
    let tables = connection.column("list the tables of", &sql)?;
    if tables.len() > TABLES_MAX {
        let why = format!(
            "the database {} has more than {TABLES_MAX} tables, and they cannot be moved all at once: restore it under another name with \
             --as",
            quoted(database)
        );
        return Err(Error::Refused { why });
    }
    Ok(tables)
}

/// Lets tables move although others refer to them; for this session.
pub(super) fn without_checks(connection: &mut Connection) -> Result<(), Error> {
    connection.run("set up a session on", "SET SESSION foreign_key_checks = 0")
}

/// Moves the live tables away and the loaded ones in, all at once.
///
/// What is in the way goes first: events, and triggers, with which no table can move. Whoever uses a table is waited for before that.
pub(super) fn exchange(connection: &mut Connection, pairs: &[Pair]) -> Result<(), Error> {
    without_checks(connection)?;
    for pair in pairs {
        definitions::drop_events(connection, pair)?;
        definitions::drop_views_in_the_way(connection, pair)?;
    }
    let is_locked = lock(connection, pairs)?;
    for pair in pairs {
        definitions::drop_triggers(connection, pair, &pair.going)?;
    }
    if is_locked {
        connection.run(UNLOCK, "UNLOCK TABLES")?;
    }
    let mut moves = Vec::new();
    for pair in pairs {
        moves.extend(pair.going.iter().map(|table| rename(&pair.live, &pair.outgoing.database, table)));
    }
    for pair in pairs {
        moves.extend(pair.coming.iter().map(|table| rename(&pair.incoming.database, &pair.live, table)));
    }
    run(connection, &moves)
}

/// Waits for whoever holds a table that goes, and lets it go again: what takes too long is known before anything is changed.
pub(super) fn wait_for_holders(connection: &mut Connection, pairs: &[Pair]) -> Result<(), Error> {
    wait_for_parents(connection, pairs)?;
    if lock(connection, pairs)? { connection.run(UNLOCK, "UNLOCK TABLES") } else { Ok(()) }
}

/// Waits for whoever holds one of these tables, so that what takes too long is known before definitions are dropped. One that cannot be locked, because a
/// trigger of it is broken for example, is not waited for.
pub(super) fn wait_for(connection: &mut Connection, tables: &[String]) -> Result<(), Error> {
    if tables.is_empty() {
        return Ok(());
    }
    match connection.run(LOCK, &format!("LOCK TABLES {} WRITE", tables.join(" WRITE, "))) {
        Err(error) if is_answer(&error) && !is_passing(&error) => Ok(()),
        locked => {
            locked?;
            connection.run(UNLOCK, "UNLOCK TABLES")
        }
    }
}

/// Waits a little for whoever holds a table of another database that foreign keys point to, where the account may lock it. One that is held longer
/// stands in the way of nothing: its keys come later.
fn wait_for_parents(connection: &mut Connection, pairs: &[Pair]) -> Result<(), Error> {
    let keys = pairs.iter().flat_map(|pair| pair.outgoing.keys.iter().chain(&pair.incoming.keys));
    let stays = |into: &str| !pairs.iter().any(|pair| pair.live == into || pair.incoming.database == into);
    let parents: BTreeSet<String> =
        keys.filter(|key| stays(&key.into)).map(|key| format!("{}.{} WRITE", quoted(&key.into), quoted(&key.parent))).collect();
    if parents.is_empty() {
        return Ok(());
    }
    const SET_UP: &str = "set up a session on";
    let before = connection.value(SET_UP, "SELECT @@session.lock_wait_timeout")?.unwrap_or_else(|| "60".into());
    connection.run(SET_UP, &format!("SET SESSION lock_wait_timeout = {PARENTS_SECONDS}"))?;
    let parents = parents.into_iter().collect::<Vec<_>>().join(", ");
    match connection.run(LOCK, &format!("LOCK TABLES {parents}")) {
        Err(error) if is_answer(&error) => {}
        locked => {
            locked?;
            connection.run(UNLOCK, "UNLOCK TABLES")?;
        }
    }
    connection.run(SET_UP, &format!("SET SESSION lock_wait_timeout = {before}"))
}

/// Locks the tables that go; false where none go.
fn lock(connection: &mut Connection, pairs: &[Pair]) -> Result<bool, Error> {
    let going: Vec<String> = pairs.iter().flat_map(|pair| pair.going.iter().map(|table| pair.of_live(table) + " WRITE")).collect();
    if going.is_empty() {
        return Ok(false);
    }
    connection.run(LOCK, &format!("LOCK TABLES {}", going.join(", ")))?;
    Ok(true)
}

const UNLOCK: &str = "unlock the tables of";

/// What is being done when somebody else holds a table.
const LOCK: &str = "lock the tables that are to be replaced (somebody may hold one in a long transaction) on";

/// The words that the statement begins with which moves tables.
pub(super) const RENAME: &str = "RENAME TABLE ";

/// Names to be looked up in, of which there may be many.
pub(super) fn set(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(String::as_str).collect()
}

/// One table's move, as part of a statement.
pub(super) fn rename(from: &str, to: &str, table: &str) -> String {
    format!("{}.{table} TO {}.{table}", quoted(from), quoted(to), table = quoted(table))
}

/// Carries moves out, all or none.
pub(super) fn run(connection: &mut Connection, moves: &[String]) -> Result<(), Error> {
    if moves.is_empty() {
        return Ok(());
    }
    connection.run("exchange the tables of", &format!("{RENAME}{}", moves.join(", ")))
}

/// Column defaults that take from a sequence say in which database it is. Those that were loaded beside the live database are told where
/// their sequence is now.
pub(super) fn name_own_sequences(connection: &mut Connection, pair: &Pair) -> Result<(), Error> {
    let (beside, live) = (format!("{}.", quoted(&pair.incoming.database)), format!("{}.", quoted(&pair.live)));
    let sql = format!(
        "SELECT table_name, column_name, column_default FROM information_schema.COLUMNS WHERE table_schema = {} AND LOCATE({}, column_default) \
         > 0",
        literal(&pair.live),
        literal(&beside)
    );
    for row in connection.rows("read the defaults of columns of", &sql)? {
        let [Some(table), Some(column), Some(default)] = &row[..] else { continue };
        let default = default.replace(&beside, &live);
        let sql = format!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT ({default})", pair.of_live(table), quoted(column));
        connection.run("set the default of a column of", &sql)?;
    }
    Ok(())
}
