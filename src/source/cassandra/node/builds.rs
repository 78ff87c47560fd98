//! Views that the node makes anew when it is started.

use std::time::Duration;

use super::Control;
use crate::source::Error;
use crate::source::cassandra::anew;
use crate::source::cassandra::built::{Builder, views_after};
use crate::source::cassandra::cql::Connection;

/// How long it is waited for views of a node that was started: it begins with them half a minute after its start (`ring_delay_ms`), and goes
/// on by itself, also after the next start.
const VIEWS_TIME: Duration = Duration::from_secs(600);

impl Control<'_> {
    /// Has the node make views, each of a keyspace, anew from their tables when it is started the next time; then they must be empty. Gives what it
    /// says against it, where it does not take that: the role may have no right to it.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what it says; [`Error::Stopped`].
    pub fn forget_views(&self, views: &[(String, String)]) -> Result<Option<String>, Error> {
        if views.is_empty() {
            return Ok(None);
        }
        anew::refused(anew::forget(&Connection::open(self.settings, self.config, self.stop)?, views))
    }

    /// Waits some minutes for views that it makes anew. Gives those that are not ready then, for a person; all where the role may not see that.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what it says; [`Error::Stopped`].
    pub fn views_under_way(&self, views: &[(String, String)]) -> Result<Vec<String>, Error> {
        if views.is_empty() {
            return Ok(Vec::new());
        }
        let builders: Vec<Builder<'_>> = views.iter().map(|(keyspace, name)| Builder { keyspace, name, is_view: true }).collect();
        let under_way = views_after(&Connection::open(self.settings, self.config, self.stop)?, &builders, VIEWS_TIME)?;
        Ok(under_way.unwrap_or_else(|| views.iter().map(|(keyspace, name)| format!("{keyspace}.{name}")).collect()))
    }
}
