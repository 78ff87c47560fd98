//! The commands around the run of a source, as they were written.

use std::time::Duration;

use super::mistake::Gatherer;
use super::section::{Section, Written};
use crate::ops::hooks::{self, TIMEOUT, TIMEOUT_MAX};

/// The table that a source has, and `[agent]` for each key that a source does not have.
#[derive(Clone, Debug, Default)]
pub(super) struct Hooks {
    before: Option<Written<Vec<String>>>,
    after: Option<Written<Vec<String>>>,
    failed: Option<Written<Vec<String>>>,
    timeout: Option<Written<Duration>>,
}

impl Hooks {
    pub(super) fn read(section: &Section<'_, '_>) -> Self {
        let table = section.table("hooks");
        let hooks = Self {
            before: table.texts("before"),
            after: table.texts("after"),
            failed: table.texts("failed"),
            timeout: table.duration("timeout"),
        };
        table.finish();
        hooks
    }

    /// What is meant: each key of the source's own, else of `[agent]`, else none.
    pub(super) fn resolve(&self, all: &Self, gather: &Gatherer<'_>) -> hooks::Hooks {
        let words = |own: &Option<Written<Vec<String>>>, all: &Option<Written<Vec<String>>>| {
            let Some(written) = own.as_ref().or(all.as_ref()) else { return Vec::new() };
            if written.value.first().is_some_and(String::is_empty) || written.value.iter().any(|word| word.contains('\0')) {
                gather.mistake(
                    written.at,
                    &written.key,
                    "this is a program and its arguments, such as [\"systemctl\", \"stop\", \"ellis\"]",
                );
            }
            written.value.clone()
        };
        let timeout = self.timeout.as_ref().or(all.timeout.as_ref());
        if let Some(written) = timeout.filter(|written| written.value.is_zero() || written.value > TIMEOUT_MAX) {
            gather.mistake(written.at, &written.key, "give from 1s to 4h");
        }
        hooks::Hooks {
            before: words(&self.before, &all.before),
            after: words(&self.after, &all.after),
            failed: words(&self.failed, &all.failed),
            timeout: timeout.map_or(TIMEOUT, |written| written.value),
        }
    }
}
