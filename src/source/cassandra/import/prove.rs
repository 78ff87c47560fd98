//! What proves that tables are as they should be, beyond the files that came.

use super::super::anew::View;
use super::super::built::{Builder, indexes_are_built, views_under_way as wait_for_views};
use super::super::cql::{Connection, failed};
use super::super::refused;
use super::super::schema::Kind;
use super::super::statements::quoted;
use super::super::take::Job;
use super::fill::Fill;
use crate::source::Error;

/// What a node says of a table that has more deletions than it reads at once (`tombstone_failure_threshold`): the files can be read.
const TOO_MANY_TOMBSTONES: &str = "TOO_MANY_TOMBSTONES";

/// Proves that tables which were filled answer, and that their indexes are built, for which the node has an hour. Gives what could not be seen, for a
/// person.
///
/// # Errors
/// [`Error::Cassandra`] with what is not as it should be; [`Error::Stopped`].
pub fn prove(job: &Job<'_>, tables: &[Fill]) -> Result<Option<String>, Error> {
    let connection = Connection::open(job.settings, job.config, job.stop)?;
    answers(&connection, tables)?;
    let builders: Vec<Builder<'_>> = tables.iter().map(builder).collect();
    indexes_are_built(&connection, &builders)
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

/// Waits some minutes for views among these tables that the node makes anew. Gives those that are not ready then, for a person.
///
/// # Errors
/// [`Error::Cassandra`] with what the node says; [`Error::Stopped`].
pub fn views_under_way(job: &Job<'_>, tables: &[Fill]) -> Result<Vec<String>, Error> {
    let views = views(tables);
    if views.is_empty() {
        return Ok(Vec::new());
    }
    wait_for_views(&Connection::open(job.settings, job.config, job.stop)?, &views)
}

/// Those of the tables that are views.
pub(super) fn views(tables: &[Fill]) -> Vec<View> {
    tables.iter().filter(|table| table.kind == Kind::View).map(|view| (view.keyspace.clone(), view.name.clone())).collect()
}

fn builder(table: &Fill) -> Builder<'_> {
    Builder { keyspace: &table.keyspace, table: &table.name, index: None }
}
