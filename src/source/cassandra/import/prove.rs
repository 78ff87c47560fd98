//! What proves that tables are as they should be, beyond the files that came.

use super::super::built::{Builder, are_built};
use super::super::cql::{Connection, failed};
use super::super::refused;
use super::super::schema::Kind;
use super::super::statements::quoted;
use super::super::take::Job;
use super::fill::Fill;
use crate::source::Error;

/// What a node says of a table that has more deletions than it reads at once (`tombstone_failure_threshold`): the files can be read.
const TOO_MANY_TOMBSTONES: &str = "TOO_MANY_TOMBSTONES";

/// Proves that tables which were filled answer, and that their indexes and views are built, for which the node has an hour and a day. Gives what could
/// not be seen, for a person.
///
/// # Errors
/// [`Error::Cassandra`] with what is not as it should be; [`Error::Stopped`].
pub fn prove(job: &Job<'_>, tables: &[Fill]) -> Result<Option<String>, Error> {
    let connection = Connection::open(job.settings, job.config, job.stop)?;
    answers(&connection, tables)?;
    let builders: Vec<Builder<'_>> = tables.iter().map(builder).collect();
    are_built(&connection, &builders)
}

/// Every table gives an answer, where the role may ask for one.
///
/// # Errors
/// [`Error::Cassandra`] with what the node says; [`Error::Stopped`].
fn answers(connection: &Connection, tables: &[Fill]) -> Result<(), Error> {
    const WHAT: &str = "read a row of a table of";
    for table in tables {
        let statement = format!("SELECT * FROM {}.{} LIMIT 1", quoted(&table.keyspace), quoted(&table.name));
        match connection.run(WHAT, &statement) {
            // Its files are there and open; that is known already.
            Err(Error::Cassandra { why, .. })
                if why.contains(TOO_MANY_TOMBSTONES) || refused::is_no_right(&why) || refused::is_no_answer(&why) => {}
            Err(Error::Cassandra { node, why, .. }) => return Err(failed(WHAT, &node, format!("{}: {why}", table.told()))),
            answer => answer?,
        }
    }
    Ok(())
}

/// What is built for a table that files come into: the indexes of a table, and a view itself.
pub(super) fn builder(table: &Fill) -> Builder<'_> {
    Builder { keyspace: &table.keyspace, name: &table.name, is_view: table.kind == Kind::View }
}
