//! What a node is told over its API.

use std::time::Duration;

use reqwest::Method;
use serde::de::DeserializeOwned;

use super::super::component::is_plain;
use super::http::{Http, Outcome, shortened};
use crate::source::Error;
use crate::sys::stop::Stop;

/// How long a snapshot may take, and its removal: what ScyllaDB's own manager waits for.
const SNAPSHOT_TIME: Duration = Duration::from_secs(30 * 60);

/// How long a question may take.
const QUESTION_TIME: Duration = Duration::from_secs(60);

/// Snapshots of the node.
const SNAPSHOTS: &str = "/storage_service/snapshots";

/// The API of one node.
pub(in super::super) struct Api {
    http: Http,
    /// The source, for a person.
    node: String,
}

impl Api {
    /// The API at this host and port. Nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Cassandra`], [`Error::File`] when there can be no requests at all.
    pub(in super::super) fn open(place: &(String, u16), node: String, stop: &Stop) -> Result<Self, Error> {
        Ok(Self { http: Http::new(place, &node, stop)?, node })
    }

    /// Has a snapshot taken of these keyspaces, all in one, after memory is written out.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what it said, also when there is one of this name; [`Error::Stopped`].
    pub(in super::super) fn snapshot(&self, tag: &str, keyspaces: &[String]) -> Result<(), Error> {
        const WHAT: &str = "take a snapshot of";
        let path = self.path(WHAT, tag, keyspaces)?;
        match self.http.send(Method::POST, &path, SNAPSHOT_TIME)? {
            // The node takes one snapshot at a time, and looks for the name before each: it answers once the first request is through, well or
            // not. That the name is there now is that request's doing; whether all of it is there, its files say.
            Outcome::Cut(_) => match self.http.send(Method::POST, &path, SNAPSHOT_TIME)? {
                Outcome::Refused { message, .. } if is_there_already(&message) => Ok(()),
                again => self.done(WHAT, again),
            },
            first => self.done(WHAT, first),
        }
    }

    /// Has the snapshots of this name removed from these keyspaces; it goes well too where there is none.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what it said; [`Error::Stopped`].
    pub(in super::super) fn clear(&self, tag: &str, keyspaces: &[String]) -> Result<(), Error> {
        const WHAT: &str = "clear a snapshot of";
        let path = self.path(WHAT, tag, keyspaces)?;
        match self.http.send(Method::DELETE, &path, SNAPSHOT_TIME)? {
            // To remove what is removed already does no harm.
            Outcome::Cut(_) => self.done(WHAT, self.http.send(Method::DELETE, &path, SNAPSHOT_TIME)?),
            first => self.done(WHAT, first),
        }
    }

    /// What the node says of itself at a path.
    ///
    /// # Errors
    /// [`Error::Cassandra`], also when the answer is of another form; [`Error::Stopped`].
    pub(super) fn ask<T: DeserializeOwned>(&self, what: &'static str, path: &str) -> Result<T, Error> {
        let body = self.well(what, self.http.send(Method::GET, path, QUESTION_TIME)?)?;
        serde_json::from_slice(&body).map_err(|_| self.strange(what, &body))
    }

    /// The path of a snapshot of keyspaces. Without a name the node would remove all that it has, and without keyspaces take all: neither is
    /// ever sent.
    fn path(&self, what: &'static str, tag: &str, keyspaces: &[String]) -> Result<String, Error> {
        if !is_plain(tag) || keyspaces.is_empty() || !keyspaces.iter().all(|name| is_plain(name)) {
            let why = format!("`{tag}` of {keyspaces:?} is nothing that can be asked for: names have letters, digits and _");
            return Err(self.failed(what, why));
        }
        Ok(format!("{SNAPSHOTS}?tag={tag}&kn={}", keyspaces.join(",")))
    }

    /// Something has been done: the answer has nothing in it.
    fn done(&self, what: &'static str, outcome: Outcome) -> Result<(), Error> {
        let body = self.well(what, outcome)?;
        let is_nothing = body.is_empty() || serde_json::from_slice::<serde_json::Value>(&body).is_ok();
        if is_nothing { Ok(()) } else { Err(self.strange(what, &body)) }
    }

    fn well(&self, what: &'static str, outcome: Outcome) -> Result<Vec<u8>, Error> {
        let base = self.http.base();
        let why = match outcome {
            Outcome::Well(body) => return Ok(body),
            Outcome::Refused { message, .. } if is_there_already(&message) => {
                format!("{message}: another run took it; the next one has another name")
            }
            Outcome::Refused { status, message } => format!("{base} says: {message} (HTTP {status})"),
            Outcome::Unreachable(why) => why,
            Outcome::Cut(why) => format!("{base}: the connection has broken ({why}); did the node end? Its log tells"),
            Outcome::Slow(time) => {
                format!("{base}: no answer within {} minutes; is the node busy or stuck? Its log tells", time.as_secs() / 60)
            }
            Outcome::Strange(why) => format!("{base}: {why}; is this the API of ScyllaDB (`api`)?"),
        };
        Err(self.failed(what, why))
    }

    fn strange(&self, what: &'static str, body: &[u8]) -> Error {
        let (base, said) = (self.http.base(), shortened(&String::from_utf8_lossy(body)));
        self.failed(what, format!("{base}: its answer is not as ScyllaDB's ({said}); is this its API (`api`)?"))
    }

    fn failed(&self, what: &'static str, why: String) -> Error {
        Error::Cassandra { what, node: self.node.clone(), why }
    }
}

/// Whether a refusal says that there is a snapshot of this name (`snapshot_ctl::check_snapshot_not_exist`).
fn is_there_already(message: &str) -> bool {
    message.contains("already exist")
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
