//! When the agent backs a source up, as it was written.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::mistake::Gatherer;
use super::section::{Section, Written};
use crate::agent::pattern::Pattern;
use crate::agent::schedule::Timetable;

/// What stands for a source that the agent leaves alone.
pub(super) const NEVER: &str = "never";

/// Most by which a run may be put off: with more it would no longer be that of its day.
const JITTER_MAX: Duration = Duration::from_secs(12 * 3600);

/// The three keys that a source has, and `[agent]` for all sources that have none.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    patterns: Option<Written<Vec<String>>>,
    time_zone: Option<Written<String>>,
    jitter: Option<Written<Duration>>,
}

impl Schedule {
    pub(super) fn read(section: &Section<'_, '_>) -> Self {
        Self { patterns: section.text_or_texts("schedule"), time_zone: section.text("time_zone"), jitter: section.duration("jitter") }
    }

    /// Whether anything was written of it; whoever has a timer run backups writes nothing.
    pub(super) fn is_written(&self) -> bool {
        self.patterns.is_some() || self.jitter.is_some()
    }

    /// What is meant: each key of the source's own, else of `[agent]`, else midnight of this machine without a delay.
    pub(super) fn resolve(&self, all: &Self, gather: &Gatherer<'_>) -> Timetable {
        let zone = self.time_zone.as_ref().or(all.time_zone.as_ref()).and_then(|written| zone(written, gather));
        let jitter = self.jitter.as_ref().or(all.jitter.as_ref());
        if let Some(written) = jitter.filter(|written| written.value > JITTER_MAX) {
            gather.mistake(written.at, &written.key, "a run would be put off until another day: give at most 12h");
        }
        let patterns = match self.patterns.as_ref().or(all.patterns.as_ref()) {
            Some(written) => patterns(written, gather),
            None => vec![Pattern::midnight()],
        };
        Timetable { patterns, zone, jitter: jitter.map_or(Duration::ZERO, |written| written.value) }
    }
}

fn patterns(written: &Written<Vec<String>>, gather: &Gatherer<'_>) -> Vec<Pattern> {
    if written.value == [NEVER] {
        return Vec::new();
    }
    if written.value.is_empty() {
        gather.mistake(written.at, &written.key, format!("this is never: write \"{NEVER}\", or take it out for every midnight"));
    }
    let read = |text: &String| text.parse().map_err(|why: String| gather.mistake(written.at, &written.key, why)).ok();
    written.value.iter().filter_map(read).collect()
}

fn zone(written: &Written<String>, gather: &Gatherer<'_>) -> Option<TimeZone> {
    let found = TimeZone::get(&written.value);
    found.map_err(|cause| gather.mistake(written.at, &written.key, format!("give a name such as \"Europe/Berlin\": {cause}"))).ok()
}
