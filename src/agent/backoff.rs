//! How long to wait before what failed is tried again.

use std::time::Duration;

/// After the first failure: a database that is just being restarted is back by then.
const FIRST: Duration = Duration::from_secs(60);

/// Between two tries at most: what has failed for hours waits for a person or a day, and an hour more than needed is no harm then.
const LONGEST: Duration = Duration::from_secs(3600);

/// Tries that failed one after the other, and when the next one is due.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// In the clock's monotonic time.
    not_before: Duration,
}

impl Backoff {
    /// Whether the next try is due.
    pub(super) fn is_over(&self, monotonic: Duration) -> bool {
        monotonic >= self.not_before
    }

    /// How long until the next try.
    pub(super) fn left(&self, monotonic: Duration) -> Duration {
        self.not_before.saturating_sub(monotonic)
    }

    /// A try failed: the next one comes after twice as long as the one before it. Gives how long that is.
    pub(super) fn fail(&mut self, monotonic: Duration) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures += 1;
        self.not_before = monotonic + wait;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_after_a_minute_and_then_ever_more_seldom_up_to_an_hour() {
        let (mut backoff, mut now) = (Backoff::default(), Duration::ZERO);
        assert!(backoff.is_over(now));
        let mut waits = Vec::new();
        for _ in 0..9 {
            let wait = backoff.fail(now);
            assert!(!backoff.is_over(now + wait - Duration::from_nanos(1)) && backoff.is_over(now + wait));
            assert_eq!(backoff.left(now), wait);
            now += wait;
            waits.push(wait.as_secs() / 60);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
