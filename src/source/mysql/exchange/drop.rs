//! Removing databases that nobody needs.

use super::super::connection::{Connection, is_answer, literal};
use super::super::object::quoted;
use super::{Around, exists, mark, tables};
use crate::source::Error;

/// How long is waited for whoever holds a table of what is to go: a snapshot that meets it waits as long, and it can be tried again.
const WAIT_SECONDS: u32 = 10;

/// A database that is to go, on some condition.
#[derive(Clone, Copy, Debug)]
pub struct Doomed<'a> {
    /// Its name.
    pub database: &'a str,
    /// Only if it holds nothing.
    pub if_empty: bool,
    /// Only if it bears this mark, or holds nothing.
    pub mark: Option<&'a str>,
}

/// A database that could not be removed.
#[derive(Debug)]
pub struct Undropped {
    /// Its name.
    pub database: String,
    /// Whether the account sees it; else nobody knows whether it is there.
    pub is_seen: bool,
    /// Whether it lacks the mark that it should bear, so that it is somebody else's.
    pub is_strange: bool,
    /// What the server said, or what is wrong with it.
    pub why: Error,
}

/// Drops databases that nobody needs, as far as each one's condition holds; those that are not there are passed over. Gives those that the
/// server did not remove, and those that are not ours.
///
/// # Errors
/// [`Error::Server`] when it does not answer.
pub fn drop_databases(around: Around<'_>, doomed: &[Doomed<'_>]) -> Result<Vec<Undropped>, Error> {
    let mut undropped = Vec::new();
    if doomed.is_empty() {
        return Ok(undropped);
    }
    let mut connection = around.connect()?;
    tables::without_checks(&mut connection)?;
    connection.run("set up a session on", &format!("SET SESSION lock_wait_timeout = {WAIT_SECONDS}"))?;
    for &Doomed { database, if_empty, mark } in doomed {
        let is_ours = match mark {
            Some(mark) => mark::is_there(&mut connection, database, mark)?,
            None => true,
        };
        let dropped = if if_empty || !is_ours {
            drop_if_empty(&mut connection, database)
        } else {
            connection.run("remove a database from", &format!("DROP DATABASE IF EXISTS {}", quoted(database)))
        };
        match dropped {
            Ok(()) if !is_ours && exists(&mut connection, database)? => {
                let why = Error::Refused { why: format!("{} does not bear the mark of what was loaded", quoted(database)) };
                undropped.push(Undropped { database: database.to_owned(), is_seen: true, is_strange: true, why });
            }
            Err(why) if is_answer(&why) => {
                let is_seen = exists(&mut connection, database)?;
                undropped.push(Undropped { database: database.to_owned(), is_seen, is_strange: false, why });
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
