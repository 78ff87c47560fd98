//! What the node builds by itself: indexes, and views that it makes anew.

use serde::{Deserialize, Serialize};

use super::Control;
use crate::source::Error;
use crate::source::cassandra::anew;
use crate::source::cassandra::built::{Builder, unbuilt_indexes, unbuilt_views, views_under_way};
use crate::source::cassandra::cql::Connection;
use crate::source::cassandra::exchange::Unindexed;
use crate::source::cassandra::refused;
use crate::source::cassandra::schema::{Kind, Schema};

/// What of tables is not built: taken away as it is, it would come back half built and be taken for the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbuilt {
    /// Indexes.
    pub indexes: Vec<Unindexed>,
    /// Views, each of a keyspace.
    pub views: Vec<(String, String)>,
}

impl Unbuilt {
    /// Whether all is built.
    pub fn is_empty(&self) -> bool {
        self.indexes.is_empty() && self.views.is_empty()
    }
}

impl Control<'_> {
    /// What of these tables is not built now; nothing where the role may not see that.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what the node says; [`Error::Stopped`].
    pub fn unbuilt(&self, schema: &Schema) -> Result<Unbuilt, Error> {
        let connection = Connection::open(self.settings, self.config, self.stop)?;
        let tables = || schema.keyspaces.iter().flat_map(|keyspace| keyspace.tables.iter().map(|table| (keyspace.name.as_str(), table)));
        let builders: Vec<Builder<'_>> = tables().map(|(keyspace, table)| Builder { keyspace, table: &table.name, index: None }).collect();
        let views: Vec<(String, String)> = tables()
            .filter(|(_, table)| table.kind == Kind::View)
            .map(|(keyspace, table)| (keyspace.to_owned(), table.name.clone()))
            .collect();
        let indexes = seen(unbuilt_indexes(&connection, &builders))?;
        Ok(Unbuilt {
            indexes: indexes.into_iter().map(|(keyspace, table, index)| Unindexed { keyspace, table, index }).collect(),
            views: seen(unbuilt_views(&connection, &views))?,
        })
    }

    /// Looks whether the node lets views be made anew. Gives what it says against it, where it does: the role may have no right to it.
    ///
    /// # Errors
    /// [`Error::Cassandra`] when it cannot be asked; [`Error::Stopped`].
    pub fn may_make_views(&self, views: &[(String, String)]) -> Result<Option<String>, Error> {
        if views.is_empty() {
            return Ok(None);
        }
        anew::against(anew::is_taken(&Connection::open(self.settings, self.config, self.stop)?, views))
    }

    /// Has the node make views anew from their tables, and waits some minutes for that. Gives those that are not ready then, for a person.
    ///
    /// # Errors
    /// [`Error::Cassandra`] when it does not take that; then they may be empty. [`Error::Stopped`].
    pub fn make_views(&self, views: &[(String, String)]) -> Result<Vec<String>, Error> {
        if views.is_empty() {
            return Ok(Vec::new());
        }
        let connection = Connection::open(self.settings, self.config, self.stop)?;
        anew::make(&connection, views)?;
        match views_under_way(&connection, views) {
            // That it cannot be seen how far it is does not make it worse.
            Err(Error::Cassandra { .. }) => Ok(views.iter().map(|(keyspace, name)| format!("{keyspace}.{name}")).collect()),
            under_way => under_way,
        }
    }
}

fn seen<T>(lacking: Result<Vec<T>, Error>) -> Result<Vec<T>, Error> {
    match lacking {
        Err(Error::Cassandra { why, .. }) if refused::is_no_right(&why) => Ok(Vec::new()),
        lacking => lacking,
    }
}
