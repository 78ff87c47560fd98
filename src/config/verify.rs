//! How much of what is stored is read again by itself, and within what time.

use std::time::Duration;

use super::mistake::Gatherer;
use super::schedule::NEVER;
use super::section::{Section, Written};
use super::units;
use crate::ops::rolling::Rules;

/// Within what time every stored byte is read again when nothing else is said.
const EVERY: Duration = Duration::from_secs(30 * 86_400);

/// Below this there is no day left for what goes wrong.
const EVERY_MIN: Duration = Duration::from_secs(2 * 86_400);

/// Above this it is no proof any more: media fail sooner.
const EVERY_MAX: Duration = Duration::from_secs(366 * 86_400);

/// The table as it was written.
#[derive(Debug)]
pub(super) struct Verify {
    every: Option<Written<String>>,
    bytes: Option<Written<u64>>,
    time: Option<Written<Duration>>,
    local: Option<Written<bool>>,
}

impl Verify {
    pub(super) fn read(section: &Section<'_, '_>) -> Self {
        let verify = Self {
            every: section.text("every"),
            bytes: section.size("bytes"),
            time: section.duration("time"),
            local: section.flag("local"),
        };
        section.finish();
        verify
    }

    /// What is meant; `None` where it is never.
    pub(super) fn resolve(&self, gather: &Gatherer<'_>) -> Option<Rules> {
        for (at, key) in
            [self.bytes.as_ref().filter(|w| w.value == 0).map(|w| (w.at, &w.key)), self.time_of_nothing()].into_iter().flatten()
        {
            gather.mistake(at, key, format!("with this nothing would ever be read: take it out, or write every = \"{NEVER}\""));
        }
        let every = match &self.every {
            None => EVERY,
            Some(written) if written.value == NEVER => return None,
            Some(written) => match units::duration(&written.value) {
                Ok(every) if (EVERY_MIN..=EVERY_MAX).contains(&every) => every,
                Ok(_) => {
                    gather.mistake(written.at, &written.key, format!("give from 2d to 366d, or \"{NEVER}\""));
                    EVERY
                }
                Err(why) => {
                    gather.mistake(written.at, &written.key, why);
                    EVERY
                }
            },
        };
        Some(Rules {
            every,
            bytes: self.bytes.as_ref().map(|written| written.value),
            time: self.time.as_ref().map(|written| written.value),
            local: self.local.as_ref().is_none_or(|written| written.value),
        })
    }

    fn time_of_nothing(&self) -> Option<(usize, &String)> {
        self.time.as_ref().filter(|written| written.value.is_zero()).map(|written| (written.at, &written.key))
    }
}
