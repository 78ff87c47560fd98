//! When a source is due: patterns of civil time in a time zone, and which instant each of them is.
//!
//! | the clock on the wall | an occurrence is |
//! |---|---|
//! | shows its time once | then |
//! | shows it twice, because it is set back | at the first of the two, and once |
//! | leaves it out, because it is set forward | at the first instant after the gap: midnight where clocks go from 0:00 to 1:00 is 1:00 |
//! | leaves out a whole date, as Apia left out 2011-12-30 | with the first one of the date after: these two are one run |
//!
//! So every civil date that there is has exactly one run of a daily schedule. A machine whose clock is wrong is the matter of [`super::served`].

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::pattern::Pattern;
use crate::format::digest::Digest;

/// How long after a change of the clock times can still be behind it that have come already: the largest change there was is a day.
const CHANGE: SignedDuration = SignedDuration::from_hours(26);

/// Most occurrences that are looked through for one instant: those of each minute in the largest change.
const STEPS_MAX: usize = 26 * 60 + 1;

/// One run that is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// What the pattern says, which is its name: `2026-11-28T00:00:00`.
    pub wall: DateTime,
    /// When that is.
    pub instant: Timestamp,
}

/// A schedule as it is configured: in a time zone, or in that of the machine.
#[derive(Clone, Debug)]
pub struct Timetable {
    /// The patterns; none = never.
    pub patterns: Vec<Pattern>,
    /// The zone; `None` = the machine's.
    pub zone: Option<TimeZone>,
    /// How much later a run may begin.
    pub jitter: Duration,
}

/// Most occurrences that are looked at for the longest time between two of them: a year of one for each quarter of a day.
const LOOKED_AT: usize = 4 * 366;

impl Timetable {
    /// The longest time between two runs, their delays included, on a clock that is never set; `None` where there are no runs.
    pub fn longest_gap(&self) -> Option<Duration> {
        let mut wall = DateTime::constant(2026, 1, 1, 0, 0, 0, 0);
        let after = |wall: DateTime| self.patterns.iter().filter_map(|pattern| pattern.after(wall)).min();
        let mut longest = SignedDuration::ZERO;
        wall = after(wall)?;
        for _ in 0..LOOKED_AT {
            let next = after(wall)?;
            longest = longest.max(next.duration_since(wall));
            wall = next;
        }
        Some(Duration::try_from(longest).unwrap_or_default() + self.jitter)
    }

    /// The schedule on a machine in this time zone.
    pub fn on(self, machine: TimeZone) -> Schedule {
        Schedule::new(self.patterns, self.zone.unwrap_or(machine), self.jitter)
    }
}

/// When a source is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    patterns: Vec<Pattern>,
    zone: TimeZone,
    jitter: Duration,
}

impl Schedule {
    /// A schedule of these patterns; one without any is never due. Runs begin up to `jitter` later, so that the nodes of a deployment do not all
    /// begin at once.
    pub fn new(patterns: Vec<Pattern>, zone: TimeZone, jitter: Duration) -> Self {
        Self { patterns, zone, jitter }
    }

    /// What was written of it.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whose clock on the wall is meant.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// How much later a run may begin.
    pub fn jitter(&self) -> Duration {
        self.jitter
    }

    /// The last occurrence until now, if there is any.
    pub fn latest(&self, now: Timestamp) -> Option<Occurrence> {
        let mut wall = self.last_reading(now);
        for _ in 0..STEPS_MAX {
            let found = self.occurrence(self.patterns.iter().filter_map(|pattern| pattern.until(wall)).max()?)?;
            if found.instant <= now {
                return Some(found);
            }
            wall = found.wall.checked_sub(SignedDuration::from_secs(1)).ok()?;
        }
        None
    }

    /// The next occurrence after now, if there is any.
    pub fn next(&self, now: Timestamp) -> Option<Occurrence> {
        let mut wall = self.zone.to_datetime(now);
        for _ in 0..STEPS_MAX {
            let found = self.occurrence(self.patterns.iter().filter_map(|pattern| pattern.after(wall)).min()?)?;
            if found.instant > now {
                return Some(found);
            }
            wall = found.wall;
        }
        None
    }

    /// How much later than an occurrence its run begins: the same for every run of whoever has this key, and spread evenly over the others.
    pub fn delay(&self, key: &str, occurrence: Occurrence) -> Duration {
        let digest = Digest::of(format!("{key} {}", occurrence.wall).as_bytes());
        let number = u64::from_str_radix(&digest.to_string()[..15], 16).expect("a digest is written in hexadecimal");
        Duration::from_secs(number % (self.jitter.as_secs() + 1))
    }

    /// When the run of an occurrence begins, for whoever has this key. It is made before the next one is due, whatever the jitter is.
    pub fn begin(&self, key: &str, occurrence: Occurrence) -> Timestamp {
        let delay = SignedDuration::try_from(self.delay(key, occurrence)).unwrap_or_default();
        let next = self.next(occurrence.instant).map(|next| next.instant.duration_since(occurrence.instant) / 2);
        occurrence.instant.checked_add(next.map_or(delay, |half| delay.min(half))).unwrap_or(occurrence.instant)
    }

    /// When the first run after now begins: that of the last occurrence may still lie ahead, by its delay.
    pub fn next_begin(&self, key: &str, now: Timestamp) -> Option<Timestamp> {
        let last = self.latest(now).map(|latest| self.begin(key, latest)).filter(|begin| *begin > now);
        last.or_else(|| Some(self.begin(key, self.next(now)?)))
    }

    /// The latest that the clock on the wall has shown until now, also if it was set back a moment ago.
    fn last_reading(&self, now: Timestamp) -> DateTime {
        let shown = self.zone.to_datetime(now);
        let second = SignedDuration::from_secs(1);
        let until = now.checked_add(second).unwrap_or(now);
        let Some(change) = self.zone.preceding(until).next().map(|transition| transition.timestamp()) else { return shown };
        if now.duration_since(change) > CHANGE {
            return shown;
        }
        let before = change.checked_sub(second).map_or(shown, |before| self.zone.to_offset(before).to_datetime(change));
        shown.max(before)
    }

    fn occurrence(&self, wall: DateTime) -> Option<Occurrence> {
        let ambiguous = self.zone.to_ambiguous_timestamp(wall);
        let instant = match ambiguous.offset() {
            AmbiguousOffset::Gap { after, .. } => {
                // With the offset of afterwards it lies before the change.
                let before = after.to_timestamp(wall).ok()?;
                self.zone.following(before).next()?.timestamp()
            }
            _ => ambiguous.earlier().ok()?,
        };
        Some(Occurrence { wall, instant })
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
