//! Indexes and views that a node builds by itself, each from all rows of its table.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cql::{Connection, failed};
use super::refused;
use super::statements::literal;
use crate::source::Error;

/// How long a node may take to build indexes, which go over all rows. One that has failed is never built.
const INDEX_TIME: Duration = Duration::from_secs(3600);

/// How long it may take to build views, of which each row is written once more: at 10 MiB/s, a terabyte takes a day.
const VIEW_TIME: Duration = Duration::from_secs(24 * 3600);

/// How often they are looked at meanwhile.
const BUILD_TICK: Duration = Duration::from_millis(500);

/// A table whose indexes are built, or a view that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Builder<'a> {
    /// Its keyspace.
    pub(super) keyspace: &'a str,
    /// Its name.
    pub(super) name: &'a str,
    /// Whether it is a view.
    pub(super) is_view: bool,
}

/// All indexes of tables are built, or are within an hour, and all views, or are within a day. Gives what is to be said where the role may not see
/// that.
///
/// # Errors
/// [`Error::Cassandra`] naming those that are not; [`Error::Stopped`].
pub(super) fn are_built(connection: &Connection, of: &[Builder<'_>]) -> Result<Option<String>, Error> {
    let mut unseen = None;
    for (what, table, lacking, time) in
        [("indexes", "system.\"IndexInfo\"", indexes as Lacking, INDEX_TIME), ("views", "system.built_views", views, VIEW_TIME)]
    {
        match wait(connection, of, lacking, time)? {
            None => {
                unseen.get_or_insert_with(|| {
                    format!("that {what} are built could not be seen, for the role has no right to SELECT on {table}: see that they answer as they should")
                });
            }
            Some(lacking) if lacking.is_empty() => {}
            Some(lacking) => {
                let why = format!("{} are not built within {} seconds", lacking.join(", "), time.as_secs());
                return Err(failed("see the indexes and views built of", connection.node(), why));
            }
        }
    }
    Ok(unseen)
}

/// Waits until all views are built, for so long at most. Gives those that are not, for a person; nothing where the role may not see that.
///
/// # Errors
/// [`Error::Cassandra`] with what the node says; [`Error::Stopped`].
pub(super) fn views_after(connection: &Connection, of: &[Builder<'_>], time: Duration) -> Result<Option<Vec<String>>, Error> {
    wait(connection, of, views, time)
}

/// What of these is not built yet, for a person.
type Lacking = fn(&Connection, &[Builder<'_>]) -> Result<Vec<String>, Error>;

/// Waits until nothing is lacking, for so long at most. Gives what is; nothing where the role may not see that.
fn wait(connection: &Connection, of: &[Builder<'_>], lacking: Lacking, time: Duration) -> Result<Option<Vec<String>>, Error> {
    let mut left = time.as_millis() / BUILD_TICK.as_millis();
    loop {
        let names = match lacking(connection, of) {
            Err(Error::Cassandra { why, .. }) if refused::is_no_right(&why) => return Ok(None),
            names => names?,
        };
        if names.is_empty() || left == 0 {
            return Ok(Some(names));
        }
        connection.pause(BUILD_TICK)?;
        left -= 1;
    }
}

/// Indexes of these tables that are not built.
fn indexes(connection: &Connection, of: &[Builder<'_>]) -> Result<Vec<String>, Error> {
    const WHAT: &str = "see the indexes built of";
    let mut lacking = Vec::new();
    for keyspace in keyspaces(of.iter()) {
        let named = literal(keyspace);
        let all = format!("SELECT table_name, index_name FROM system_schema.indexes WHERE keyspace_name = {named}");
        let all: Vec<(String, String)> = connection.rows(WHAT, &all)?;
        let is_meant = |table: &str| of.iter().any(|one| one.keyspace == keyspace && one.name == table);
        let wanted: Vec<String> = all.into_iter().filter(|(table, _)| is_meant(table)).map(|(_, index)| index).collect();
        if wanted.is_empty() {
            continue;
        }
        // Its column `table_name` holds the name of the keyspace (`SystemKeyspace.setIndexBuilt`).
        let built = format!("SELECT index_name FROM system.\"IndexInfo\" WHERE table_name = {named}");
        let built: BTreeSet<String> = connection.rows::<(String,)>(WHAT, &built)?.into_iter().map(|(name,)| name).collect();
        lacking.extend(wanted.into_iter().filter(|name| !built.contains(name)).map(|name| format!("{keyspace}.{name}")));
    }
    Ok(lacking)
}

/// Those of the views that are not built.
fn views(connection: &Connection, of: &[Builder<'_>]) -> Result<Vec<String>, Error> {
    const WHAT: &str = "see the views built of";
    let mut lacking = Vec::new();
    for keyspace in keyspaces(of.iter().filter(|one| one.is_view)) {
        let built = format!("SELECT view_name FROM system.built_views WHERE keyspace_name = {}", literal(keyspace));
        let built: BTreeSet<String> = connection.rows::<(String,)>(WHAT, &built)?.into_iter().map(|(name,)| name).collect();
        let views = of.iter().filter(|one| one.is_view && one.keyspace == keyspace);
        lacking.extend(views.filter(|view| !built.contains(view.name)).map(|view| format!("{keyspace}.{}", view.name)));
    }
    Ok(lacking)
}

fn keyspaces<'a>(of: impl Iterator<Item = &'a Builder<'a>>) -> BTreeSet<&'a str> {
    of.map(|one| one.keyspace).collect()
}
