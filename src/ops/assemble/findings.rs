//! What was found to be damaged on the way.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::ops::copies::Copy;
use crate::ops::error::chain;
use crate::ops::{Context, Error};

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

    /// An outcome, or `None` when it is damage, which is added.
    ///
    /// # Errors
    /// What is no damage.
    pub(crate) fn unless_damaged<T>(&self, outcome: Result<T, Error>) -> Result<Option<T>, Error> {
        match outcome {
            Err(Error::Damaged { object, problem }) => self.add(object, problem),
            Err(Error::Unreadable { object, cause }) => self.add(object, chain(&cause)),
            outcome => return outcome.map(Some),
        }
        Ok(None)
    }

    /// Remembers beside a local copy what was found of its files, so that no new copy shares them and nobody calls it sound.
    pub(crate) fn note(&self, ctx: &Context, copy: &Copy) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((object, problem)) = kept.iter().find(|(object, _)| Path::new(object).starts_with(&copy.dir)) else { return };
        if let Err(error) = copy.note_damage(ctx, format!("{object}: {problem}")) {
            let name = &copy.record.source;
            ctx.warn(Some(name), format!("that the copy {} is damaged could not be written down: {}", copy.id(), chain(&error)));
        }
    }

    /// The first of them: object or file, and what is wrong with it.
    pub(crate) fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
