//! Removing databases that nobody needs.

use super::super::connection::{Connection, is_answer, literal};
use super::super::object::quoted;
use super::{Around, exists, tables};
use crate::source::Error;

/// How long is waited for whoever holds a table of what is to go: a snapshot that meets it waits as long, and it can be tried again.
const WAIT_SECONDS: u32 = 10;

/// A database that could not be removed.
#[derive(Debug)]
pub struct Undropped {
    /// Its name.
    pub database: String,
    /// Whether the account sees it; else nobody knows whether it is there.
    pub is_seen: bool,
    /// What the server said.
    pub why: Error,
}

/// Drops databases that nobody needs, and of those that should be `empty` the ones that are; those that are not there are passed over.
/// Gives those that the server did not remove.
///
/// # Errors
/// [`Error::Server`] when it does not answer.
pub fn drop_databases(around: Around<'_>, names: &[String], empty: &[String]) -> Result<Vec<Undropped>, Error> {
    let mut undropped = Vec::new();
    if names.is_empty() && empty.is_empty() {
        return Ok(undropped);
    }
    let mut connection = around.connect()?;
    tables::without_checks(&mut connection)?;
    connection.run("set up a session on", &format!("SET SESSION lock_wait_timeout = {WAIT_SECONDS}"))?;
    for (name, is_empty) in empty.iter().map(|name| (name, true)).chain(names.iter().map(|name| (name, false))) {
        let dropped = if is_empty {
            drop_if_empty(&mut connection, name)
        } else {
            connection.run("remove a database from", &format!("DROP DATABASE IF EXISTS {}", quoted(name)))
        };
        match dropped {
            Err(why) if is_answer(&why) => {
                undropped.push(Undropped { database: name.clone(), is_seen: exists(&mut connection, name)?, why });
            }
            dropped => dropped?,
        }
    }
    Ok(undropped)
}

/// Removes a database that holds nothing any more; one that holds something stays.
pub(super) fn drop_if_empty(connection: &mut Connection, name: &str) -> Result<(), Error> {
    let schema = literal(name);
    let things = [("TABLES", "table_schema"), ("ROUTINES", "routine_schema"), ("EVENTS", "event_schema")];
    let things = things.map(|(table, column)| format!("(SELECT 1 FROM information_schema.{table} WHERE {column} = {schema} LIMIT 1)"));
    let holds = connection.value("look into a database of", &format!("SELECT 1 FROM ({}) AS things", things.join(" UNION ALL ")))?;
    if exists(connection, name)? && holds.is_none() {
        connection.run("remove an empty database from", &format!("DROP DATABASE {}", quoted(name)))?;
    }
    Ok(())
}
