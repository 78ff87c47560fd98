//! Uploads that travel while the next ones are made.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::task::{JoinError, JoinSet};

use super::{Error, Repository};

/// A queue of creates. At most `in_flight` of them travel, so it holds at most so many bodies.
///
/// Each upload has a tag of the caller's, which comes back once the store has accepted it; only then may it be relied on.
/// After an error the tags of what was accepted all the same are still there: [`Uploads::drain`] until it is `Ok` gives them.
/// Dropping the queue ends what travels; whether it was stored is then not known.
#[derive(Debug)]
pub struct Uploads<T> {
    repository: Repository,
    in_flight: usize,
    next: u64,
    travelling: JoinSet<(u64, Result<(), Error>)>,
    tags: BTreeMap<u64, T>,
    accepted: Vec<T>,
    failed: Option<Error>,
}

impl<T: Send> Uploads<T> {
    pub(super) fn new(repository: Repository, in_flight: usize) -> Self {
        let (travelling, tags) = (JoinSet::new(), BTreeMap::new());
        Self { repository, in_flight: in_flight.max(1), next: 0, travelling, tags, accepted: Vec::new(), failed: None }
    }

    /// Sends a body under a key; blocks while `in_flight` others travel. Gives the tags that were accepted since the last call, in any order.
    ///
    /// # Errors
    /// The first error of an earlier upload; then this one was not sent.
    pub fn push(&mut self, key: String, bytes: Bytes, tag: T) -> Result<Vec<T>, Error> {
        while let Some(done) = self.travelling.try_join_next() {
            self.settle(done);
        }
        while self.failed.is_none() && self.travelling.len() >= self.in_flight {
            self.wait_for_one();
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let (id, core) = (self.next, self.repository.core());
        self.next += 1;
        self.tags.insert(id, tag);
        let upload = async move { (id, core.create(&key, bytes).await) };
        self.travelling.spawn_on(upload, self.repository.handle());
        Ok(std::mem::take(&mut self.accepted))
    }

    /// Waits for all that travel and gives the tags that were accepted since the last call.
    ///
    /// # Errors
    /// The first error since the last call; called again, it gives the tags of what was accepted.
    pub fn drain(&mut self) -> Result<Vec<T>, Error> {
        while !self.travelling.is_empty() {
            self.wait_for_one();
        }
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut self.accepted)),
        }
    }

    fn wait_for_one(&mut self) {
        if let Some(done) = self.repository.block_on(self.travelling.join_next()) {
            self.settle(done);
        }
    }

    fn settle(&mut self, done: Result<(u64, Result<(), Error>), JoinError>) {
        let error = match done {
            Ok((id, outcome)) => match (outcome, self.tags.remove(&id)) {
                (Ok(()), tag) => return self.accepted.extend(tag),
                (Err(error), _) => error,
            },
            Err(broken) => self.repository.broken_task(broken),
        };
        // A stop is the least telling of several errors.
        if self.failed.as_ref().is_none_or(|earlier| matches!(earlier, Error::Stopped { .. })) {
            self.failed = Some(error);
        }
    }
}
