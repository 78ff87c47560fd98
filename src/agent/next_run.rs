//! When each source is due next, for whoever asks how things stand: of the configuration alone, so that it can be said while no agent runs.

use super::schedule::Schedule;
use crate::format::names::{NodeName, SourceName};
use crate::ops::status::Outcome;

/// Whose delay within the jitter it is: of each source of each node its own.
pub(super) fn key(node: &NodeName, source: &SourceName) -> String {
    format!("{node} {source}")
}

/// Says of each source when its next run begins.
pub fn tell(outcome: &mut Outcome, schedules: &[(SourceName, Schedule)]) {
    for status in &mut outcome.sources {
        let schedule = schedules.iter().find(|(source, _)| *source == status.source);
        let key = key(&outcome.node, &status.source);
        status.next_run = schedule.and_then(|(_, schedule)| schedule.next_begin(&key, outcome.time));
    }
}
