//! The mark of a restore on the database that it loads, and of every exchange on the one that takes what is live: a database's name is the same
//! for every restore, on whatever node, so only the mark tells whose it is.
//!
//! It is a view of a name that nobody else has: it holds no rows, is not among the tables that move, and shares the database's fate.

use super::super::connection::{Connection, literal};
use super::super::object::quoted;
use super::super::option_file::Login;
use super::super::settings::Settings;
use super::names::beginnings;
use super::{Exchange, Pair};
use crate::source::Error;
use crate::sys::stop::Stop;

/// How every mark begins.
pub const MARK: &str = "windlass_restore_";

/// Marks a database that was made just now.
pub(super) fn make(connection: &mut Connection, database: &str, mark: &str) -> Result<(), Error> {
    connection.run("mark a database on", &format!("CREATE VIEW {}.{} AS SELECT 1 AS `mark`", quoted(database), quoted(mark)))
}

/// Whether a database bears this mark.
pub(super) fn is_there(connection: &mut Connection, database: &str, mark: &str) -> Result<bool, Error> {
    let sql =
        format!("SELECT 1 FROM information_schema.TABLES WHERE table_schema = {} AND table_name = {}", literal(database), literal(mark));
    Ok(connection.value("look for the mark of a database on", &sql)?.is_some())
}

/// Whether a database bears a mark, of whatever restore.
pub(super) fn is_any_there(connection: &mut Connection, database: &str) -> Result<bool, Error> {
    let sql = format!(
        "SELECT 1 FROM information_schema.TABLES WHERE table_schema = {} AND {} LIMIT 1",
        literal(database),
        begins("table_name", MARK)
    );
    Ok(connection.value("look for the mark of a database on", &sql)?.is_some())
}

fn begins(column: &str, text: &str) -> String {
    format!("LEFT({column}, {}) = {}", text.chars().count(), literal(text))
}

/// Marks where that goes which is live, so that others see that an exchange is under way or was broken off.
pub(super) fn make_aside(connection: &mut Connection, pair: &Pair, mark: &str) -> Result<(), Error> {
    if mark.is_empty() || !pair.outgoing.exists { Ok(()) } else { make(connection, &pair.outgoing.database, mark) }
}

/// Removes all marks of an exchange: what its databases hold from now on is known from its journal, and what is live is whole.
pub(super) fn remove(connection: &mut Connection, exchange: &Exchange) -> Result<(), Error> {
    for pair in exchange.pairs.iter().filter(|_| !exchange.mark.is_empty()) {
        for database in [&pair.incoming.database, &pair.outgoing.database] {
            if is_there(connection, database, &exchange.mark)? {
                let sql = format!("DROP VIEW IF EXISTS {}.{}", quoted(database), quoted(&exchange.mark));
                connection.run("remove the mark of a database from", &sql)?;
            }
        }
    }
    Ok(())
}

/// The databases beside those of a source that bear a mark, of whatever restore, node or source: one is under way there, or was broken off.
///
/// # Errors
/// [`Error::Server`]; [`Error::Refused`], [`Error::File`] when the settings cannot be used; [`Error::Stopped`].
pub fn under_way(settings: &Settings, stop: &Stop) -> Result<Vec<String>, Error> {
    const WHAT: &str = "look for restores that are under way on";
    let mut connection = Connection::open(&Login::of(settings)?, stop)?;
    let mut found = Vec::new();
    for begin in settings.databases.iter().flat_map(|database| beginnings(database)) {
        let sql = format!("SELECT schema_name FROM information_schema.SCHEMATA WHERE {}", begins("schema_name", &begin));
        for database in connection.column(WHAT, &sql)? {
            if is_any_there(&mut connection, &database)? {
                found.push(database);
            }
        }
    }
    Ok(found)
}
