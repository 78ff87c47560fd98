//! The local tier: copies whose every byte is read again.

use jiff::Timestamp;

use super::Rules;
use super::turn::DAY;
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::copies::{Copies, Copy};
use crate::ops::damage::Damage;
use crate::ops::{Context, Error, verify};

/// A copy that was read.
#[derive(Debug)]
pub struct ReadCopy {
    /// Its id.
    pub id: SnapshotId,
    /// Bytes that were read.
    pub bytes: u64,
    /// What is wrong with it.
    pub damage: Vec<Damage>,
}

/// Reads the copy of a source that is due: the one that was not read for longest, and of four copies one a day. `None` when none is.
///
/// # Errors
/// What the file system gives for the folder of copies, or for the copy as a whole.
pub fn read_copy(ctx: &Context, rules: &Rules, source: &SourceName) -> Result<Option<ReadCopy>, Error> {
    if !rules.local {
        return Ok(None);
    }
    let copies = Copies::read(ctx, source)?;
    let now = ctx.clock.now();
    let sound: Vec<&Copy> = copies.complete.iter().filter(|copy| copy.damage.is_none()).collect();
    let dated: Vec<(Timestamp, Option<Timestamp>)> = sound.iter().map(|copy| (copy.id().to_timestamp(), copy.checked())).collect();
    let Some(at) = due(&dated, rules, now) else { return Ok(None) };
    let copy = sound[at];
    let outcome = verify::local_copy(ctx, source, copy.id())?;
    // It may have been removed meanwhile, as one too many.
    if outcome.damage.is_empty() && outcome.local_copies > 0 {
        copy.note_checked(now)?;
    }
    Ok(Some(ReadCopy { id: copy.id(), bytes: outcome.checked.bytes, damage: outcome.damage }))
}

/// Which of the copies, given as when each was made and when it was read, is due. The bytes of one that is not a day old were just hashed.
fn due(copies: &[(Timestamp, Option<Timestamp>)], rules: &Rules, now: Timestamp) -> Option<usize> {
    // An instant that lies ahead comes from a clock that was wrong.
    let last = |(made, read): &(Timestamp, Option<Timestamp>)| read.filter(|read| *read <= now).unwrap_or(*made);
    let oldest = (0..copies.len()).min_by_key(|at| last(&copies[*at]))?;
    let today = copies.iter().filter(|(_, read)| read.is_some_and(|read| read <= now && now.duration_since(read) < DAY)).count();
    (now.duration_since(last(&copies[oldest])) >= DAY && today < rules.share(copies.len())).then_some(oldest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::SignedDuration;

    use super::*;

    const RULES: Rules = Rules { every: Duration::from_secs(30 * 86_400), bytes: None, time: None, local: true };

    fn after(hours: i64) -> Timestamp {
        "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours)
    }

    #[test]
    fn of_four_copies_one_is_read_a_day_and_the_one_that_was_not_read_for_longest() {
        let mut copies: Vec<_> = (0..4).map(|day| (after(24 * day), None)).collect();
        let mut read = Vec::new();
        for hour in 73..73 + 24 * 8 {
            while let Some(at) = due(&copies, &RULES, after(hour)) {
                copies[at].1 = Some(after(hour));
                read.push((at, hour));
            }
        }
        let expected: Vec<_> = (0..8).map(|n| (n % 4, 73 + 24 * i64::try_from(n).unwrap())).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn a_copy_that_was_just_made_waits_and_more_copies_than_days_are_read_in_time() {
        assert_eq!(due(&[(after(0), None)], &RULES, after(23)), None);
        assert_eq!(due(&[(after(0), None)], &RULES, after(24)), Some(0));
        assert_eq!(due(&[(after(0), Some(after(500)))], &RULES, after(24)), Some(0), "a clock was ahead when it was read");
        let mut copies = vec![(after(0), None); 100];
        for hour in 24..30 * 24 {
            while let Some(at) = due(&copies, &RULES, after(hour)) {
                copies[at].1 = Some(after(hour));
            }
        }
        assert!(copies.iter().all(|(_, read)| read.is_some()));
        assert_eq!(due(&[], &RULES, after(0)), None);
    }
}
