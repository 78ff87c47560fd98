//! Indexes and views that a node builds by itself, each from all rows of its table.

use std::collections::BTreeSet;
use std::time::Duration;

use super::anew::View;
use super::cql::{Connection, failed};
use super::refused;
use super::statements::literal;
use crate::source::Error;

/// How long a node may take to build indexes, which go over all rows. One that has failed is never built.
const INDEX_TIME: Duration = Duration::from_secs(3600);

/// How long it is waited for views that a node makes anew: it goes on by itself, also after its next start.
const VIEWS_TIME: Duration = Duration::from_secs(600);

/// How often they are looked at meanwhile.
const BUILD_TICK: Duration = Duration::from_millis(500);

/// A table whose indexes are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Builder<'a> {
    /// Its keyspace.
    pub(super) keyspace: &'a str,
    /// Its name.
    pub(super) table: &'a str,
    /// The one index of it that is meant, where it is not all of them.
    pub(super) index: Option<&'a str>,
}

/// An index: its keyspace, its table and its name.
pub(super) type Index = (String, String, String);

/// All indexes of tables are built, or are within an hour. Gives what is to be said where the role may not see that.
///
/// # Errors
/// [`Error::Cassandra`] naming those that are not; [`Error::Stopped`].
pub(super) fn indexes_are_built(connection: &Connection, of: &[Builder<'_>]) -> Result<Option<String>, Error> {
    match wait(connection, INDEX_TIME, &mut || unbuilt_indexes(connection, of))? {
        None => Ok(Some(
            "that indexes are built could not be seen, for the role has no right to SELECT on system.\"IndexInfo\": see that they answer as they should"
                .to_owned(),
        )),
        Some(lacking) if lacking.is_empty() => Ok(None),
        Some(lacking) => {
            let names: Vec<String> = lacking.iter().map(|(keyspace, _, index)| format!("{keyspace}.{index}")).collect();
            let why = format!("{} are not built within {} seconds", names.join(", "), INDEX_TIME.as_secs());
            Err(failed("see the indexes built of", connection.node(), why))
        }
    }
}

/// Waits some minutes for views. Gives those that are not built then, for a person; all of them where the role may not see that.
///
/// # Errors
/// [`Error::Cassandra`] with what the node says; [`Error::Stopped`].
pub(super) fn views_under_way(connection: &Connection, views: &[View]) -> Result<Vec<String>, Error> {
    let under_way = wait(connection, VIEWS_TIME, &mut || unbuilt_views(connection, views))?;
    Ok(under_way.unwrap_or_else(|| views.to_vec()).iter().map(|(keyspace, name)| format!("{keyspace}.{name}")).collect())
}

/// Indexes of these tables that are not built.
///
/// # Errors
/// [`Error::Cassandra`] with what the node says; [`Error::Stopped`].
pub(super) fn unbuilt_indexes(connection: &Connection, of: &[Builder<'_>]) -> Result<Vec<Index>, Error> {
    const WHAT: &str = "see the indexes built of";
    let mut lacking = Vec::new();
    for keyspace in of.iter().map(|one| one.keyspace).collect::<BTreeSet<_>>() {
        let named = literal(keyspace);
        let all = format!("SELECT table_name, index_name FROM system_schema.indexes WHERE keyspace_name = {named}");
        let all: Vec<(String, String)> = connection.rows(WHAT, &all)?;
        let is_meant = |(table, index): &(String, String)| {
            of.iter().any(|one| one.keyspace == keyspace && one.table == table && one.index.is_none_or(|only| only == index))
        };
        let wanted: Vec<(String, String)> = all.into_iter().filter(is_meant).collect();
        if wanted.is_empty() {
            continue;
        }
        // Its column `table_name` holds the name of the keyspace (`SystemKeyspace.setIndexBuilt`).
        let built = format!("SELECT index_name FROM system.\"IndexInfo\" WHERE table_name = {named}");
        let built: BTreeSet<String> = connection.rows::<(String,)>(WHAT, &built)?.into_iter().map(|(name,)| name).collect();
        let unbuilt = wanted.into_iter().filter(|(_, index)| !built.contains(index));
        lacking.extend(unbuilt.map(|(table, index)| (keyspace.to_owned(), table, index)));
    }
    Ok(lacking)
}

/// Those of the views that are not built.
///
/// # Errors
/// As [`unbuilt_indexes`].
pub(super) fn unbuilt_views(connection: &Connection, views: &[View]) -> Result<Vec<View>, Error> {
    const WHAT: &str = "see the views built of";
    let mut lacking = Vec::new();
    for keyspace in views.iter().map(|(keyspace, _)| keyspace).collect::<BTreeSet<_>>() {
        let built = format!("SELECT view_name FROM system.built_views WHERE keyspace_name = {}", literal(keyspace));
        let built: BTreeSet<String> = connection.rows::<(String,)>(WHAT, &built)?.into_iter().map(|(name,)| name).collect();
        lacking.extend(views.iter().filter(|(of, name)| of == keyspace && !built.contains(name)).cloned());
    }
    Ok(lacking)
}

/// Waits until nothing is lacking, for so long at most. Gives what is; nothing where the role may not see that. A node that builds may be slow to
/// answer.
fn wait<T>(connection: &Connection, time: Duration, lacking: &mut dyn FnMut() -> Result<Vec<T>, Error>) -> Result<Option<Vec<T>>, Error> {
    let mut left = time.as_millis() / BUILD_TICK.as_millis();
    loop {
        match lacking() {
            Err(Error::Cassandra { why, .. }) if refused::is_no_right(&why) => return Ok(None),
            Err(Error::Cassandra { why, .. }) if refused::is_no_answer(&why) && left > 0 => {}
            Ok(names) if !names.is_empty() && left > 0 => {}
            names => return names.map(Some),
        }
        connection.pause(BUILD_TICK)?;
        left -= 1;
    }
}
