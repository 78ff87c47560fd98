//! A new table beside the live ones.

use super::super::cql::Connection;
use super::super::schema::TableId;
use super::super::statements::{literal, quoted};
use super::super::take::Job;
use crate::source::Error;

/// Makes a table by its statements. Its name is free and its id is new; whoever calls has written both down.
///
/// # Errors
/// [`Error::Cassandra`] with what the node says; [`Error::Stopped`].
pub fn make_beside(job: &Job<'_>, statements: &[String]) -> Result<(), Error> {
    let connection = Connection::open(job.settings, job.config, job.stop)?;
    statements.iter().try_for_each(|statement| connection.run("make a table beside the live ones of", statement))
}

/// Drops a table that was made beside, if it is there and has this id: one of the same name with another is somebody's. Gives whether it was.
///
/// # Errors
/// As [`make_beside`].
pub fn drop_beside(job: &Job<'_>, keyspace: &str, name: &str, id: &TableId) -> Result<bool, Error> {
    const WHAT: &str = "drop the table that was made beside the live ones of";
    let connection = Connection::open(job.settings, job.config, job.stop)?;
    let cql = format!("SELECT id FROM system_schema.tables WHERE keyspace_name = {} AND table_name = {}", literal(keyspace), literal(name));
    let found: Vec<(scylla::value::CqlValue,)> = connection.rows(WHAT, &cql)?;
    let is_ours = found.first().is_some_and(|(found,)| found.to_string().parse().is_ok_and(|found: TableId| found == *id));
    if is_ours {
        connection.run(WHAT, &format!("DROP TABLE {}.{}", quoted(keyspace), quoted(name)))?;
    }
    Ok(is_ours)
}
