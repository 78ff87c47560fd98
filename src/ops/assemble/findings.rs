//! What was found to be damaged on the way, though the bytes came from elsewhere.

use std::sync::{Mutex, PoisonError};

/// Most findings that are kept word for word: enough to see what is wrong, few enough to hold whatever is.
const KEPT: usize = 100;

/// Damaged objects and files, each named once. May be added to from several threads.
#[derive(Debug, Default)]
pub(crate) struct Findings(Mutex<Vec<(String, String)>>);

impl Findings {
    /// Adds what is wrong with an object or a file, unless it is known already.
    pub(crate) fn add(&self, object: String, problem: impl Into<String>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT && kept.iter().all(|(known, _)| *known != object) {
            kept.push((object, problem.into()));
        }
    }

    /// The first of them: object or file, and what is wrong with it.
    pub(crate) fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
