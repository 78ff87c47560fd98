//! How the server is told to take a snapshot, and to forget it.

use super::nodetool::Nodetool;
use super::scylladb::Api;
use super::settings::Engine;
use super::take::Job;
use crate::source::Error;

/// The server of a source, and what it is told by. Neither is believed: what it did is looked for on the disk by whoever asked.
pub(super) enum Server<'a> {
    /// Cassandra.
    Cassandra(Nodetool<'a>),
    /// ScyllaDB.
    Scylla(Box<Api>),
}

impl<'a> Server<'a> {
    /// The one that work is on.
    ///
    /// # Errors
    /// [`Error::Cassandra`] when there can be no requests to it.
    pub(super) fn of(job: &Job<'a>) -> Result<Self, Error> {
        match &job.settings.engine {
            Engine::Cassandra => Ok(Self::Cassandra(Nodetool::new(job.settings, job.folder, job.stop))),
            Engine::Scylla { api } => Ok(Self::Scylla(Box::new(Api::open(api, job.settings.place(), job.stop)?))),
        }
    }

    /// What it is told by, for a person.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Cassandra(_) => "nodetool",
            Self::Scylla(_) => "the request to its API",
        }
    }

    /// Has a snapshot taken of these keyspaces, all in one. The name is one that this source has noted and nobody else has.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what it said; [`Error::Stopped`].
    pub(super) fn snapshot(&self, tag: &str, keyspaces: &[String]) -> Result<(), Error> {
        match self {
            Self::Cassandra(nodetool) => nodetool.snapshot(tag, keyspaces),
            Self::Scylla(api) => api.snapshot(tag, keyspaces),
        }
    }

    /// Has the snapshots of this name removed from these keyspaces; it goes well too where there is none.
    ///
    /// # Errors
    /// As [`Server::snapshot`].
    pub(super) fn clear(&self, tag: &str, keyspaces: &[String]) -> Result<(), Error> {
        match self {
            Self::Cassandra(nodetool) => nodetool.clear(tag, keyspaces),
            Self::Scylla(api) => api.clear(tag, keyspaces),
        }
    }
}
