//! Removing databases that nobody needs.

use super::super::connection::{Connection, is_answer, literal};
use super::super::object::quoted;
use super::names::is_beside;
use super::sight::{self, Sight};
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

/// A database that stays.
#[derive(Debug)]
pub struct Undropped {
    /// Its name.
    pub database: String,
    /// Why.
    pub stays: Stays,
}

/// Why a database stays.
#[derive(Debug)]
pub enum Stays {
    /// Its name is none that a restore gives, so it is not ours, whatever was written down.
    Nameless,
    /// It lacks the mark that it should bear, so that it is somebody else's.
    Strange,
    /// It is gone, or the account has no right to it and cannot see it. The statement that would give one.
    Hidden(String),
    /// The server did not remove it.
    Refused(Error),
}

/// Drops databases that nobody needs, as far as each one's condition holds; those that are gone are passed over. Gives those that stay, though
/// they should go, and those that are not ours.
///
/// No server drops a database on a condition. So between the look at what it holds, or at its mark, and the statement that drops it,
/// somebody may put something there: who does so in a database with a name of ours loses it.
///
/// # Errors
/// [`Error::Server`] when it does not answer.
pub fn drop_databases(around: Around<'_>, doomed: &[Doomed<'_>]) -> Result<Vec<Undropped>, Error> {
    let mut undropped = Vec::new();
    if doomed.is_empty() {
        return Ok(undropped);
    }
    let mut connection = ready(around)?;
    for doomed in doomed {
        if let Some(stays) = drop_one(&mut connection, doomed)? {
            undropped.push(Undropped { database: doomed.database.to_owned(), stays });
        }
    }
    Ok(undropped)
}

/// Drops live databases that were made for what does not come, if they hold nothing. Gives those that the server did not remove.
///
/// # Errors
/// [`Error::Server`] when it does not answer.
pub fn drop_made(around: Around<'_>, databases: &[&str]) -> Result<Vec<(String, Error)>, Error> {
    let mut connection = ready(around)?;
    let mut undropped = Vec::new();
    for database in databases {
        match drop_if_empty(&mut connection, database) {
            Err(why) if is_answer(&why) => undropped.push(((*database).to_owned(), why)),
            dropped => dropped?,
        }
    }
    Ok(undropped)
}

fn ready(around: Around<'_>) -> Result<Connection, Error> {
    let mut connection = around.connect()?;
    tables::without_checks(&mut connection)?;
    connection.run("set up a session on", &format!("SET SESSION lock_wait_timeout = {WAIT_SECONDS}"))?;
    Ok(connection)
}

fn drop_one(connection: &mut Connection, doomed: &Doomed<'_>) -> Result<Option<Stays>, Error> {
    let Doomed { database, if_empty, mark } = *doomed;
    if !is_beside(database) {
        return Ok(Some(Stays::Nameless));
    }
    match sight::of(connection, database)? {
        Sight::There => {}
        // What was only made ready holds nothing that is worth a word.
        Sight::Hidden(grant) if !if_empty => return Ok(Some(Stays::Hidden(grant))),
        Sight::Gone | Sight::Hidden(_) => return Ok(None),
    }
    let is_ours = match mark {
        Some(mark) => mark::is_there(connection, database, mark)?,
        None => true,
    };
    let dropped = if if_empty || !is_ours {
        drop_if_empty(connection, database)
    } else {
        connection.run("remove a database from", &format!("DROP DATABASE IF EXISTS {}", quoted(database)))
    };
    match dropped {
        Ok(()) if !is_ours && exists(connection, database)? => Ok(Some(Stays::Strange)),
        Err(why) if is_answer(&why) => Ok(Some(Stays::Refused(why))),
        dropped => dropped.map(|()| None),
    }
}

/// Removes a database that holds nothing any more; one that holds something stays. What somebody puts there between the look and the statement
/// goes with it: no server drops a database only if it is empty.
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
