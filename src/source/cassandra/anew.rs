//! Views that a node makes anew from their tables, because the files of a view are of another moment than those of its table.
//!
//! A node takes its snapshot of one table after the other, so that of what is written meanwhile a view may have rows that its table has not, or
//! lack some that it has; and Cassandra never compares the two. Which views are built it keeps in `system.built_views`. A view that is not there it
//! builds when it is started, and with any change of the definitions of its keyspace (`ViewManager.reload`, `ViewBuilder.start` of 4.1 and 5.0).
//! A build adds rows and removes none, so the view must be empty before.
//!
//! Only a node that is alone makes the whole of a view: of another one's tables, rows come to this one's view too.

use std::collections::BTreeSet;

use super::cql::Connection;
use super::statements::{literal, quoted};
use crate::source::Error;

/// A type that is made in a keyspace for a moment, so that its definitions change: no other change is as small.
const CHANGE: &str = "windlass_makes_views_anew";

/// A keyspace and the name of a view of it.
pub(super) type View = (String, String);

/// Has the node forget that views are built.
///
/// # Errors
/// [`Error::Cassandra`] with what the node says; [`Error::Stopped`].
pub(super) fn forget(connection: &Connection, views: &[View]) -> Result<(), Error> {
    for (keyspace, name) in views {
        for table in ["built_views", "view_builds_in_progress"] {
            let of = format!("keyspace_name = {} AND view_name = {}", literal(keyspace), literal(name));
            connection.run("have views made anew by", &format!("DELETE FROM system.{table} WHERE {of}"))?;
        }
    }
    Ok(())
}

/// Begins to have the views of a node that runs made anew: it knows of none of them any more that it is built, until [`end`].
///
/// # Errors
/// As [`forget`]; then nothing was begun.
pub(super) fn begin(connection: &Connection, views: &[View]) -> Result<(), Error> {
    let begun = keyspaces(views)
        .into_iter()
        .try_for_each(|keyspace| {
            let change = format!("CREATE TYPE IF NOT EXISTS {}.{CHANGE} (change int)", quoted(keyspace));
            connection.run("change the definitions of", &change)
        })
        .and_then(|()| forget(connection, views));
    if begun.is_err() {
        end_change(connection, views)?;
    }
    begun
}

/// Has the node that runs build the views, now that their tables are filled.
///
/// # Errors
/// As [`forget`].
pub(super) fn end(connection: &Connection, views: &[View]) -> Result<(), Error> {
    // Somebody may have changed a definition meanwhile, so that views were built of what was there then.
    forget(connection, views)?;
    end_change(connection, views)
}

/// Ends what was broken off between [`begin`] and [`end`], so that no view waits to be built.
///
/// # Errors
/// As [`forget`].
pub(super) fn end_change(connection: &Connection, views: &[View]) -> Result<(), Error> {
    const WHAT: &str = "change the definitions back of";
    for keyspace in keyspaces(views) {
        let of = literal(keyspace);
        let there = format!("SELECT type_name FROM system_schema.types WHERE keyspace_name = {of} AND type_name = '{CHANGE}'");
        if !connection.rows::<(String,)>(WHAT, &there)?.is_empty() {
            connection.run(WHAT, &format!("DROP TYPE IF EXISTS {}.{CHANGE}", quoted(keyspace)))?;
        }
    }
    Ok(())
}

fn keyspaces(views: &[View]) -> BTreeSet<&str> {
    views.iter().map(|(keyspace, _)| keyspace.as_str()).collect()
}

/// What the node says against it, where it does: there is another way then.
///
/// # Errors
/// [`Error::Stopped`].
pub(super) fn refused(outcome: Result<(), Error>) -> Result<Option<String>, Error> {
    match outcome {
        Err(Error::Cassandra { why, .. }) => Ok(Some(why)),
        outcome => outcome.map(|()| None),
    }
}
