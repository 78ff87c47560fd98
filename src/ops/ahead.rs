//! Downloads that travel ahead while their answers are looked at, whatever their number.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::ops::Error;
use crate::ops::damage::{Problem, settle};
use crate::repository::{Downloads, Repository, Request};

/// A queue of objects to be read, each with what is known of it.
pub(crate) struct Ahead<T> {
    downloads: Downloads,
    waiting: VecDeque<T>,
    ahead: usize,
}

impl<T> Ahead<T> {
    /// A queue with so many downloads under way.
    pub(crate) fn new(store: &Repository, ahead: usize) -> Self {
        Self { downloads: store.downloads(ahead), waiting: VecDeque::new(), ahead }
    }

    /// The next object with its bytes or what is wrong with it; `more` says what to read next, `None` = nothing more.
    ///
    /// # Errors
    /// What `more` gives, and what concerns the store as a whole.
    #[expect(clippy::type_complexity, reason = "an item and its answer")]
    pub(crate) fn next(
        &mut self,
        more: &mut dyn FnMut() -> Result<Option<(T, Request)>, Error>,
    ) -> Result<Option<(T, Result<Bytes, Problem>)>, Error> {
        while self.waiting.len() < self.ahead
            && let Some((item, request)) = more()?
        {
            self.downloads.request(request);
            self.waiting.push_back(item);
        }
        match (self.waiting.pop_front(), self.downloads.next()) {
            (Some(item), Some(answer)) => Ok(Some((item, settle(answer)?))),
            _ => Ok(None),
        }
    }
}
