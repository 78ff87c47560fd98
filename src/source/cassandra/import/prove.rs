//! What proves that tables are as they should be, beyond the files that came.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::cql::{Connection, failed};
use super::super::refused;
use super::super::schema::Kind;
use super::super::statements::{literal, quoted};
use super::super::take::Job;
use super::fill::Fill;
use crate::source::Error;

/// How long indexes and views may take that the node builds by itself: both go over all rows.
const BUILD_TIME: Duration = Duration::from_secs(3600);

/// How often they are looked at meanwhile.
const BUILD_TICK: Duration = Duration::from_millis(500);

/// What a node says of a table that has more deletions than it reads at once (`tombstone_failure_threshold`): the files can be read.
const TOO_MANY_TOMBSTONES: &str = "TOO_MANY_TOMBSTONES";

/// Proves that tables which were filled answer, and that their indexes and views are built, for which the node has an hour.
///
/// # Errors
/// [`Error::Cassandra`] with what is not as it should be; [`Error::Stopped`].
pub fn prove(job: &Job<'_>, tables: &[Fill]) -> Result<(), Error> {
    let connection = Connection::open(job.settings, job.config, job.stop)?;
    answers(&connection, tables)?;
    indexes_are_built(&connection, tables)?;
    views_are_built(&connection, tables)
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
            Err(Error::Cassandra { why, .. }) if why.contains(TOO_MANY_TOMBSTONES) || refused::is_no_right(&why) => {}
            Err(Error::Cassandra { node, why, .. }) => return Err(failed(WHAT, &node, format!("{}: {why}", table.told()))),
            answer => answer?,
        }
    }
    Ok(())
}

/// All indexes of tables are built, or are within an hour.
///
/// # Errors
/// [`Error::Cassandra`] naming those that are not; [`Error::Stopped`].
fn indexes_are_built(connection: &Connection, tables: &[Fill]) -> Result<(), Error> {
    const WHAT: &str = "see the indexes built of";
    wait(connection, WHAT, &mut || {
        let mut lacking = Vec::new();
        for keyspace in keyspaces(tables) {
            let of = literal(keyspace);
            let all = format!("SELECT table_name, index_name FROM system_schema.indexes WHERE keyspace_name = {of}");
            let all: Vec<(String, String)> = connection.rows(WHAT, &all)?;
            let wanted: Vec<String> =
                all.into_iter().filter(|(table, _)| is_among(tables, keyspace, table)).map(|(_, index)| index).collect();
            if wanted.is_empty() {
                continue;
            }
            // Its column `table_name` holds the name of the keyspace (`SystemKeyspace.setIndexBuilt`).
            let built = format!("SELECT index_name FROM system.\"IndexInfo\" WHERE table_name = {of}");
            let built: BTreeSet<String> = connection.rows::<(String,)>(WHAT, &built)?.into_iter().map(|(name,)| name).collect();
            lacking.extend(wanted.into_iter().filter(|name| !built.contains(name)).map(|name| format!("{keyspace}.{name}")));
        }
        Ok(lacking)
    })
}

/// All views among these are built, or are within an hour.
///
/// # Errors
/// As [`indexes_are_built`].
pub(super) fn views_are_built(connection: &Connection, tables: &[Fill]) -> Result<(), Error> {
    const WHAT: &str = "see the views built of";
    wait(connection, WHAT, &mut || {
        let mut lacking = Vec::new();
        for keyspace in keyspaces(tables) {
            let built = format!("SELECT view_name FROM system.built_views WHERE keyspace_name = {}", literal(keyspace));
            let built: BTreeSet<String> = connection.rows::<(String,)>(WHAT, &built)?.into_iter().map(|(name,)| name).collect();
            let views = tables.iter().filter(|table| table.kind == Kind::View && table.keyspace == keyspace);
            lacking.extend(views.filter(|view| !built.contains(&view.name)).map(Fill::told));
        }
        Ok(lacking)
    })
}

fn keyspaces(tables: &[Fill]) -> BTreeSet<&str> {
    tables.iter().map(|table| table.keyspace.as_str()).collect()
}

fn is_among(tables: &[Fill], keyspace: &str, name: &str) -> bool {
    tables.iter().any(|table| table.keyspace == keyspace && table.name == name)
}

/// Waits until nothing is lacking.
fn wait(connection: &Connection, what: &'static str, lacking: &mut dyn FnMut() -> Result<Vec<String>, Error>) -> Result<(), Error> {
    let mut left = BUILD_TIME.as_millis() / BUILD_TICK.as_millis();
    loop {
        let names = lacking()?;
        if names.is_empty() {
            return Ok(());
        }
        if left == 0 {
            let why = format!("{} are not built within {} seconds", names.join(", "), BUILD_TIME.as_secs());
            return Err(failed(what, connection.node(), why));
        }
        connection.pause(BUILD_TICK)?;
        left -= 1;
    }
}
