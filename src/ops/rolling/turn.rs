//! Which part is read next, and when it is enough for a day: a pure function of when the parts were read.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::format::coverage::{Coverage, PARTS, Part};

/// What is read in a day is counted over the last 24 hours, so that a restart begins no day anew.
pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How much is to be read again, and how much of it at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Within what time every stored byte is read again; at least two days.
    pub every: Duration,
    /// Most stored bytes in 24 hours; `None` = whatever is due. One part is read however large it is.
    pub bytes: Option<u64>,
    /// Most time in 24 hours; a part that was begun is read to its end.
    pub time: Option<Duration>,
    /// Whether local copies are read too.
    pub local: bool,
}

impl Rules {
    /// How many of so many things are read in 24 hours. A day of the time is left for what goes wrong.
    pub(super) fn share(&self, of: usize) -> usize {
        let day = Duration::from_secs(86_400);
        let days = self.every.saturating_sub(day).max(day).as_secs() / day.as_secs();
        of.div_ceil(usize::try_from(days).unwrap_or(usize::MAX))
    }
}

/// The part that is to be read now; `None` = none for now.
///
/// It is one that was never read, else the one that was not read for longest: as long as the parts of this day are not many enough, or it is
/// a day before it would be late. `passed_over`: those that could not be read just now.
pub(super) fn next(coverage: &Coverage, rules: &Rules, now: Timestamp, passed_over: &BTreeSet<u8>) -> Option<u8> {
    let parts = (0..=u8::MAX).zip(&coverage.parts).filter(|(number, _)| !passed_over.contains(number));
    let (number, part) = parts.min_by_key(|(_, part)| (matches!(part, Part::Read { .. }), part.since()))?;
    let age = now.duration_since(part.since());
    if matches!(part, Part::Read { .. }) && age < DAY {
        return None;
    }
    let is_late = age >= SignedDuration::try_from(rules.every).unwrap_or(SignedDuration::MAX) - DAY;
    let (mut today, mut bytes, mut seconds) = (0, 0u64, 0u64);
    for part in &coverage.parts {
        if let Part::Read { read, bytes: of, seconds: took } = part
            && now.duration_since(*read) < DAY
        {
            today += 1;
            bytes = bytes.saturating_add(*of);
            seconds = seconds.saturating_add(*took);
        }
    }
    // Parts are of about one size, so one that was never read is as large as the others.
    let mean = || bytes / u64::try_from(today.max(1)).unwrap_or(1);
    let size = if let Part::Read { bytes, .. } = part { *bytes } else { mean() };
    let fits = rules.bytes.is_none_or(|most| bytes == 0 || bytes.saturating_add(size) <= most);
    let has_time = rules.time.is_none_or(|most| seconds < most.as_secs().max(1));
    ((is_late || today < rules.share(PARTS)) && fits && has_time).then_some(number)
}

/// How long until there is room for another part in a day's share.
pub(super) fn rest(coverage: &Coverage, now: Timestamp) -> Duration {
    let ages = coverage.parts.iter().filter(|part| matches!(part, Part::Read { .. })).map(|part| now.duration_since(part.since()));
    let oldest = ages.filter(|age| *age < DAY).max();
    Duration::try_from(oldest.map_or(DAY, |age| DAY - age)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn rules(days: u64) -> Rules {
        Rules { every: Duration::from_secs(days * 86_400), bytes: None, time: None, local: true }
    }

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    /// Somebody who looks each hour for so many days, but for the hours of which `sleeps` says so; `visit` sees what there is each time.
    fn lives(rules: &Rules, days: i64, size: u64, sleeps: impl Fn(i64) -> bool, mut visit: impl FnMut(&Coverage, Timestamp, usize)) {
        let mut coverage = Coverage::begun(start(), rules.every.as_secs());
        for hour in 0..days * 24 {
            let now = start() + HOUR * i32::try_from(hour).unwrap();
            let mut read = 0;
            while !sleeps(hour)
                && let Some(number) = next(&coverage, rules, now, &BTreeSet::new())
            {
                coverage.parts[usize::from(number)] = Part::Read { read: now, bytes: size, seconds: 600 };
                read += 1;
            }
            visit(&coverage, now, read);
        }
    }

    #[test]
    fn every_part_is_read_again_within_the_time_and_no_day_has_more_than_its_share() {
        for days in [2, 3, 7, 30, 365] {
            let rules = rules(days);
            let mut all = 0;
            lives(
                &rules,
                3 * i64::try_from(days).unwrap(),
                1,
                |_| false,
                |coverage, now, read| {
                    assert_eq!(coverage.behind(now), 0, "{days} {now}");
                    assert!(read <= rules.share(PARTS), "{days} {now}: {read}");
                    all += read;
                },
            );
            // The time is used: it is not read much more often than it must be.
            assert!((3 * 256..=5 * 256 + 256).contains(&all), "{days}: {all}");
        }
    }

    #[test]
    fn after_a_pause_what_is_late_comes_first_and_within_one_look() {
        let is_off = |hour: i64| (24 * 10..24 * 50).contains(&hour);
        let mut caught_up = false;
        lives(&rules(30), 80, 1, is_off, |coverage, now, read| {
            if now.duration_since(start()) == HOUR * (24 * 50) {
                assert!(read > 100, "{read}");
                caught_up = true;
            }
            assert!(coverage.behind(now) == 0 || is_off(now.duration_since(start()).as_hours()), "{now}");
        });
        assert!(caught_up);
    }

    #[test]
    fn a_budget_of_bytes_or_of_time_ends_a_day_and_what_it_leaves_behind_is_told() {
        let limited = [Rules { bytes: Some(3000), ..rules(30) }, Rules { time: Some(Duration::from_secs(1800)), ..rules(30) }];
        for rules in limited {
            let (mut window, mut behind) = (Vec::new(), 0);
            lives(
                &rules,
                60,
                1000,
                |_| false,
                |coverage, now, read| {
                    window.extend(std::iter::repeat_n(now, read));
                    window.retain(|at| now.duration_since(*at) < DAY);
                    assert!(window.len() <= 3, "{now}: {}", window.len());
                    behind = coverage.behind(now);
                },
            );
            assert!(behind > 100, "{behind}");
        }
        // A part that is larger than the budget is read all the same, else it never would be.
        let mut read_in_all = 0;
        lives(&Rules { bytes: Some(10), ..rules(30) }, 10, 1000, |_| false, |_, _, read| read_in_all += read);
        assert_eq!(read_in_all, 10);
    }
}
