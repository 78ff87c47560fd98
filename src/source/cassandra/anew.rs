//! Views that a node makes anew from their tables, because the files of a view are of another moment than those of its table.
//!
//! A node takes its snapshot of one table after the other, so that of what is written meanwhile a view may have rows that its table has not, or
//! lack some that it has; and Cassandra never compares the two. Which views are built it keeps in `system.built_views`, and how far a build has come
//! in `system.view_builds_in_progress`. With any change of the definitions of a keyspace, and half a minute after its start, it ends the builds of all
//! views and begins those anew, where they ended, that are not marked as built (`ViewManager.reload`, `View.build`, `ViewBuilder.start` of 4.1 and
//! 5.0). A build adds rows and removes none, so the view must be empty before.
//!
//! Only a node that is alone makes the whole of a view: of another one's tables, rows come to this one's view too.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cql::Connection;
use super::statements::{literal, quoted};
use crate::source::Error;

/// A type that is made in a keyspace for a moment, so that its definitions change: no other change is as small.
const CHANGE: &str = "windlass_makes_views_anew";

/// A keyspace and the name of a view of it.
pub(super) type View = (String, String);

/// How long a build goes on that is told to end: it looks before each row, and notes then how far it has come.
const END_TIME: Duration = Duration::from_secs(2);

/// Looks whether the node takes what [`make`] says, changing nothing that anybody would notice.
///
/// # Errors
/// [`Error::Cassandra`] with what the node says against it; [`Error::Stopped`].
pub(super) fn is_taken(connection: &Connection, views: &[View]) -> Result<(), Error> {
    for keyspace in keyspaces(views) {
        // The right to drop it is asked for first: what could be made and not dropped would stay.
        drop_type(connection, keyspace)?;
        create_type(connection, keyspace)?;
        drop_type(connection, keyspace)?;
        forget(connection, keyspace, CHANGE)?;
    }
    Ok(())
}

/// Has the node build views from what is in their tables now.
///
/// # Errors
/// As [`is_taken`]; then they may be empty, and are to be made once more.
pub(super) fn make(connection: &Connection, views: &[View]) -> Result<(), Error> {
    // What is taken for built is not begun anew: so the change ends all builds, whatever they were of.
    for (keyspace, name) in views {
        let built = "INSERT INTO system.built_views (keyspace_name, view_name, status_replicated) VALUES";
        connection.run(WHAT, &format!("{built} ({}, {}, true)", literal(keyspace), literal(name)))?;
    }
    keyspaces(views).into_iter().try_for_each(|keyspace| create_type(connection, keyspace))?;
    connection.pause(END_TIME)?;
    views.iter().try_for_each(|(keyspace, name)| forget(connection, keyspace, name))?;
    // Who has looked at the node meanwhile may have taken the type for one that a kill has left: the change must come after the marks are gone.
    for keyspace in keyspaces(views) {
        create_type(connection, keyspace)?;
        drop_type(connection, keyspace)?;
    }
    Ok(())
}

/// Removes what a killed run has left of the change, where these definitions of keyspaces have it. Gives whether there was some.
///
/// # Errors
/// [`Error::Stopped`]. What the role may not drop stays.
pub(super) fn remove_left_over(connection: &Connection, ddl: &[(String, String)]) -> Result<bool, Error> {
    let mut is_removed = false;
    for (keyspace, _) in ddl.iter().filter(|(_, text)| text.contains(CHANGE)) {
        is_removed |= against(drop_type(connection, keyspace))?.is_none();
    }
    Ok(is_removed)
}

const WHAT: &str = "have views made anew by";

/// Has the node forget that a view is built, and how far it is.
fn forget(connection: &Connection, keyspace: &str, name: &str) -> Result<(), Error> {
    for table in ["built_views", "view_builds_in_progress"] {
        let of = format!("keyspace_name = {} AND view_name = {}", literal(keyspace), literal(name));
        connection.run(WHAT, &format!("DELETE FROM system.{table} WHERE {of}"))?;
    }
    Ok(())
}

fn create_type(connection: &Connection, keyspace: &str) -> Result<(), Error> {
    connection.run("change the definitions of", &format!("CREATE TYPE IF NOT EXISTS {}.{CHANGE} (change int)", quoted(keyspace)))
}

fn drop_type(connection: &Connection, keyspace: &str) -> Result<(), Error> {
    connection.run("change the definitions of", &format!("DROP TYPE IF EXISTS {}.{CHANGE}", quoted(keyspace)))
}

fn keyspaces(views: &[View]) -> BTreeSet<&str> {
    views.iter().map(|(keyspace, _)| keyspace.as_str()).collect()
}

/// What the node says against it, where it does: there is another way then.
///
/// # Errors
/// [`Error::Stopped`].
pub(super) fn against(outcome: Result<(), Error>) -> Result<Option<String>, Error> {
    match outcome {
        Err(Error::Cassandra { why, .. }) => Ok(Some(why)),
        outcome => outcome.map(|()| None),
    }
}
