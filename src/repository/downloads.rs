//! Downloads that travel ahead of their reader.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{Error, Repository};

/// What is to be downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The object's key from the repository's root.
    pub key: String,
    /// The bytes of it that are wanted; `None` = all.
    pub range: Option<Range<u64>>,
    /// Most bytes that may come.
    pub at_most: u64,
}

/// A queue of downloads whose answers come in the order of the requests.
///
/// At most `ahead` of them travel or lie here unread, so it holds at most `ahead` times `at_most` bytes. Requests beyond that wait; a caller
/// that has very many pushes them as it reads. Dropping the queue ends what travels.
#[derive(Debug)]
pub struct Downloads {
    repository: Repository,
    ahead: usize,
    waiting: VecDeque<Request>,
    travelling: VecDeque<JoinHandle<Result<Bytes, Error>>>,
}

impl Downloads {
    pub(super) fn new(repository: Repository, ahead: usize) -> Self {
        Self { repository, ahead: ahead.max(1), waiting: VecDeque::new(), travelling: VecDeque::new() }
    }

    /// Adds a request. Never blocks.
    pub fn request(&mut self, request: Request) {
        self.waiting.push_back(request);
        self.send();
    }

    /// The answer to the oldest request without one; `None` when there is none. Blocks until it is there.
    #[expect(clippy::should_implement_trait, reason = "more may be requested after the end, and an iterator suggests otherwise")]
    pub fn next(&mut self) -> Option<Result<Bytes, Error>> {
        let oldest = self.travelling.pop_front()?;
        let answer = self.repository.block_on(oldest);
        // The reader works on this answer while the next ones travel.
        self.send();
        Some(answer.unwrap_or_else(|broken| Err(self.repository.broken_task(broken))))
    }

    fn send(&mut self) {
        while self.travelling.len() < self.ahead
            && let Some(request) = self.waiting.pop_front()
        {
            let core = self.repository.core();
            self.travelling.push_back(self.repository.spawn(async move { core.fetch(request).await }));
        }
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        self.travelling.iter().for_each(JoinHandle::abort);
    }
}
