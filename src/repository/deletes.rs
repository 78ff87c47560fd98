//! Deletes that travel while the next ones are found.

use std::collections::BTreeMap;

use tokio::task::{JoinError, JoinSet};

use super::error::Cause;
use super::{Error, Repository};

/// A queue of deletes whose order does not matter. At most `in_flight` of them travel.
///
/// Each has a tag of the caller's, which comes back with what became of it; an error of one ends no other.
/// Dropping the queue ends what travels; whether that was deleted is then not known.
#[derive(Debug)]
pub struct Deletes<T> {
    repository: Repository,
    in_flight: usize,
    next: u64,
    travelling: JoinSet<(u64, Result<(), Error>)>,
    tags: BTreeMap<u64, T>,
}

/// What became of a delete.
pub type Deleted<T> = (T, Result<(), Error>);

impl<T> Deletes<T> {
    pub(super) fn new(repository: Repository, in_flight: usize) -> Self {
        Self { repository, in_flight: in_flight.max(1), next: 0, travelling: JoinSet::new(), tags: BTreeMap::new() }
    }

    /// Deletes an object; blocks while `in_flight` others travel. Gives those that have ended meanwhile, in any order.
    pub fn push(&mut self, key: String, tag: T) -> Vec<Deleted<T>> {
        let mut ended = Vec::new();
        while let Some(done) = self.travelling.try_join_next() {
            ended.extend(self.settle(done));
        }
        while self.travelling.len() >= self.in_flight {
            ended.extend(self.wait_for_one());
        }
        let (id, core) = (self.next, self.repository.core());
        self.next += 1;
        self.tags.insert(id, tag);
        let delete = async move { (id, core.delete(&key).await) };
        self.travelling.spawn_on(delete, self.repository.handle());
        ended
    }

    /// Waits for all that travel.
    pub fn drain(&mut self) -> Vec<Deleted<T>> {
        let mut ended = Vec::new();
        while !self.travelling.is_empty() {
            ended.extend(self.wait_for_one());
        }
        // A task that broke off cannot say which one it was.
        let broken = |tag| {
            let at = self.repository.core.at("delete", "");
            (tag, Err(Error::Failed { at, cause: Cause("the request broke off".into()) }))
        };
        ended.extend(std::mem::take(&mut self.tags).into_values().map(broken));
        ended
    }

    fn wait_for_one(&mut self) -> Option<Deleted<T>> {
        let done = self.repository.block_on(self.travelling.join_next())?;
        self.settle(done)
    }

    fn settle(&mut self, done: Result<(u64, Result<(), Error>), JoinError>) -> Option<Deleted<T>> {
        let (id, outcome) = done.ok()?;
        Some((self.tags.remove(&id)?, outcome))
    }
}
