//! The mark of a restore on the database that it loads: its name is the same for every restore, on whatever node, so only the mark tells whose it is.
//!
//! It is a view of a name that nobody else has: it holds no rows, is not among the tables that move, and shares the database's fate.

use super::super::connection::{Connection, literal};
use super::super::object::quoted;
use crate::source::Error;

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

/// Removes it: what the database holds from now on is known from the journal of the exchange.
pub(super) fn remove(connection: &mut Connection, database: &str, mark: &str) -> Result<(), Error> {
    connection.run("remove the mark of a database from", &format!("DROP VIEW IF EXISTS {}.{}", quoted(database), quoted(mark)))
}
