//! Removing databases that nobody needs, and nothing that somebody else has put into one.
//!
//! Tables go one by one, children before their parents, with the server's checks of foreign keys on: so one that a table outside refers to, which
//! the account may not even see, is refused and stays. What marks a database for ours goes last, so that what is left half-way is still known.

use std::collections::BTreeSet;

use super::super::connection::{Connection, is_answer, is_referred_to, literal};
use super::super::foreign_keys::Names;
use super::super::object::quoted;
use super::names::{is_beside, is_of_what_comes};
use super::sight::{self, Sight};
use super::ties::{self, Table, Tie};
use super::told::first_of;
use super::{Around, exists, mark};
use crate::source::Error;

/// How long is waited for whoever holds a table of what is to go: a snapshot that meets it waits as long, and it can be tried again.
const WAIT_SECONDS: u32 = 10;

/// Most things that are named.
const NAMED: usize = 10;

const REMOVE: &str = "remove a database from";

/// A database that is to go, on some condition.
#[derive(Clone, Copy, Debug)]
pub struct Doomed<'a> {
    /// Its name.
    pub database: &'a str,
    /// What of it is to go.
    pub holds: Holds<'a>,
}

/// What of a database is to go with it. Whatever else is there keeps it.
#[derive(Clone, Copy, Debug)]
pub enum Holds<'a> {
    /// Nothing: it was made ready, or is empty by now.
    Nothing,
    /// Nothing: what is there may have been written to, and only a person removes it.
    Written,
    /// All of it, if it bears this mark.
    Marked(&'a str),
    /// These tables.
    Tables(&'a [String]),
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
    /// It lacks the mark that it should bear, or bears another one, so that it is somebody else's.
    Strange,
    /// It is gone, or the account has no right to it and cannot see it. The statement that would give one.
    Hidden(String),
    /// It holds this, which was not to go; what was is gone.
    Holds(String),
    /// These foreign keys of tables that do not go refer to it. Nothing of it is gone.
    Referred(String),
    /// The server did not remove a table of it, because a key refers to that which the account does not see.
    Tied(Error),
    /// The server did not remove it.
    Refused(Error),
}

/// The statement that removes a database of ours by hand. What was loaded into several refers to each other, and nothing else to it; to what was
/// live, others may.
pub fn removal(database: &str) -> String {
    let unchecked = if is_of_what_comes(database) { "SET SESSION foreign_key_checks = 0; " } else { "" };
    format!("{unchecked}DROP DATABASE {}", quoted(database))
}

/// Drops databases that nobody needs, as far as each one's condition holds; those that are gone are passed over. Gives those that stay, though
/// they should go, and those that are not ours.
///
/// No server drops a database on a condition. So between the look that nothing is left in it and the statement that drops it, somebody may put
/// something there: who does so in a database with a name of ours in that instant loses it.
///
/// # Errors
/// [`Error::Server`] when it does not answer.
pub fn drop_databases(around: Around<'_>, doomed: &[Doomed<'_>]) -> Result<Vec<Undropped>, Error> {
    if doomed.is_empty() {
        return Ok(Vec::new());
    }
    let mut connection = ready(around)?;
    let mut all = Vec::new();
    for doomed in doomed {
        all.extend(Going::of(&mut connection, doomed)?);
    }
    let names: Vec<&str> = all.iter().map(|going| going.database.as_str()).collect();
    let ties = ties::to(&mut connection, &names)?;
    keep_referred(&mut all, &ties);
    drop_tables(&mut connection, &mut all, &ties)?;
    for going in all.iter_mut().filter(|going| going.stays.is_none()) {
        going.finish(&mut connection)?;
    }
    let stay = all.into_iter().filter_map(|Going { database, stays, .. }| stays.map(|stays| Undropped { database, stays }));
    Ok(stay.collect())
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
    connection.run("set up a session on", &format!("SET SESSION lock_wait_timeout = {WAIT_SECONDS}, foreign_key_checks = 1"))?;
    Ok(connection)
}

/// A database that goes, as far as nothing keeps it.
struct Going {
    database: String,
    tables: Vec<String>,
    /// Whether all that is left goes too.
    is_whole: bool,
    stays: Option<Stays>,
}

impl Going {
    /// What becomes of one; nothing where it is gone, or not worth a word.
    fn of(connection: &mut Connection, doomed: &Doomed<'_>) -> Result<Option<Self>, Error> {
        let Doomed { database, holds } = *doomed;
        let of = |tables, is_whole, stays| Some(Self { database: database.to_owned(), tables, is_whole, stays });
        if !is_beside(database) {
            return Ok(of(Vec::new(), false, Some(Stays::Nameless)));
        }
        match sight::of(connection, database)? {
            Sight::There => {}
            // What was only made ready holds nothing that is worth a word.
            Sight::Hidden(grant) if !matches!(holds, Holds::Nothing) => return Ok(of(Vec::new(), false, Some(Stays::Hidden(grant)))),
            Sight::Gone | Sight::Hidden(_) => return Ok(None),
        }
        let is_ours = match holds {
            Holds::Nothing | Holds::Written => true,
            Holds::Marked(mark) => mark::is_there(connection, database, mark)?,
            // Whoever loads something there has marked it.
            Holds::Tables(_) => !mark::is_any_there(connection, database)?,
        };
        if !is_ours {
            return Ok(match drop_if_empty(connection, database) {
                Err(why) if is_answer(&why) => of(Vec::new(), false, Some(Stays::Refused(why))),
                dropped => {
                    dropped?;
                    if exists(connection, database)? { of(Vec::new(), false, Some(Stays::Strange)) } else { None }
                }
            });
        }
        let there = || {
            format!("SELECT table_name FROM information_schema.TABLES WHERE table_schema = {} AND table_type <> 'VIEW'", literal(database))
        };
        Ok(match holds {
            Holds::Nothing | Holds::Written => of(Vec::new(), false, None),
            Holds::Marked(_) => of(connection.column("list the tables of", &there())?, true, None),
            Holds::Tables(tables) => {
                let known: BTreeSet<&String> = tables.iter().collect();
                let mut tables = connection.column("list the tables of", &there())?;
                tables.retain(|table| known.contains(table));
                of(tables, false, None)
            }
        })
    }

    fn all(&self) -> impl Iterator<Item = Table> {
        self.tables.iter().map(|table| (self.database.clone(), table.clone()))
    }

    /// Removes the database itself, once its tables are gone.
    fn finish(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let dropped = if self.is_whole {
            connection.run(REMOVE, &format!("DROP DATABASE IF EXISTS {}", quoted(&self.database)))
        } else {
            drop_if_empty(connection, &self.database)
        };
        self.stays = match dropped {
            Err(why) if is_answer(&why) => Some(Stays::Refused(why)),
            dropped => {
                dropped?;
                let held = held(connection, &self.database)?;
                (!held.is_empty()).then(|| Stays::Holds(first_of(held.into_iter(), NAMED).join(", ")))
            }
        };
        Ok(())
    }
}

/// Has those stay that a table refers to which does not go, and then those that these refer to.
fn keep_referred(all: &mut [Going], ties: &[Tie]) {
    loop {
        let goes: BTreeSet<Table> = all.iter().filter(|going| going.stays.is_none()).flat_map(Going::all).collect();
        let mut is_done = true;
        for going in all.iter_mut().filter(|going| going.stays.is_none()) {
            let own: BTreeSet<Table> = going.all().collect();
            let mut outer = ties.iter().filter(|tie| own.contains(&tie.parent) && !goes.contains(&tie.child)).peekable();
            if outer.peek().is_some() {
                going.stays = Some(Stays::Referred(ties::listed(outer)));
                is_done = false;
            }
        }
        if is_done {
            return;
        }
    }
}

/// Drops the tables of all that go; of one whose table the server refuses, no more.
fn drop_tables(connection: &mut Connection, all: &mut [Going], ties: &[Tie]) -> Result<(), Error> {
    let tables: BTreeSet<Table> = all.iter().filter(|going| going.stays.is_none()).flat_map(Going::all).collect();
    let (ordered, ring) = ties::in_order(&tables, ties);
    for table in ordered {
        drop_table(connection, all, &table)?;
    }
    let is_in_ring: BTreeSet<&Table> = ring.iter().collect();
    for tie in ties.iter().filter(|tie| tie.is_seen && is_in_ring.contains(&tie.child) && is_in_ring.contains(&tie.parent)) {
        let dropped = connection.run("drop the foreign keys of what is needed no more on", &tie.drop_statement());
        keep_refused(all, &tie.child.0, dropped)?;
    }
    for table in &ring {
        drop_table(connection, all, table)?;
    }
    Ok(())
}

fn drop_table(connection: &mut Connection, all: &mut [Going], (database, table): &Table) -> Result<(), Error> {
    if all.iter().any(|going| going.database == *database && going.stays.is_some()) {
        return Ok(());
    }
    let dropped = connection.run(REMOVE, &format!("DROP TABLE IF EXISTS {}.{}", quoted(database), quoted(table)));
    keep_refused(all, database, dropped)
}

/// What the server says against something in a database keeps that; that it does not answer is an error.
fn keep_refused(all: &mut [Going], database: &str, done: Result<(), Error>) -> Result<(), Error> {
    let Err(why) = done else { return Ok(()) };
    if !is_answer(&why) {
        return Err(why);
    }
    if let Some(going) = all.iter_mut().find(|going| going.database == database && going.stays.is_none()) {
        going.stays = Some(if is_referred_to(&why) { Stays::Tied(why) } else { Stays::Refused(why) });
    }
    Ok(())
}

/// Removes a database that holds nothing any more; one that holds something stays. What somebody puts there between the look and the statement
/// goes with it: no server drops a database only if it is empty.
pub(super) fn drop_if_empty(connection: &mut Connection, name: &str) -> Result<(), Error> {
    if exists(connection, name)? && held(connection, name)?.is_empty() {
        connection.run("remove an empty database from", &format!("DROP DATABASE {}", quoted(name)))?;
    }
    Ok(())
}

/// What a database holds, for a person.
fn held(connection: &mut Connection, database: &str) -> Result<Vec<String>, Error> {
    let (schema, of_events) = (literal(database), Names::read(connection)?.is("event_schema", database));
    let sql = format!(
        "SELECT table_type, table_name FROM information_schema.TABLES WHERE table_schema = {schema} UNION ALL SELECT routine_type, routine_name \
         FROM information_schema.ROUTINES WHERE routine_schema = {schema} UNION ALL SELECT 'EVENT', event_name FROM information_schema.EVENTS \
         WHERE {of_events}"
    );
    let rows = connection.rows("look into a database of", &sql)?;
    let told = |row: Vec<Option<String>>| match <[_; 2]>::try_from(row) {
        Ok([Some(kind), Some(name)]) => {
            let kind = if ["BASE TABLE", "SYSTEM VERSIONED"].contains(&kind.as_str()) { "table".to_owned() } else { kind.to_lowercase() };
            Some(format!("{kind} {}", quoted(&name)))
        }
        _ => None,
    };
    Ok(rows.into_iter().filter_map(told).collect())
}
