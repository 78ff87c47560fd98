//! Limits of the rate: bytes per second over all requests of a repository.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The lowest rate that can be asked for, in bytes per second: at less than that a pack takes most of an hour, and stores hang up on a
/// body that comes in drops.
pub const RATE_MIN: u64 = 8 << 10;

/// What was not used in so much time may be made up for: timers are late by a millisecond or two, and without this each of these would be
/// lost. It is also how far the limit can be overdrawn.
const SLACK: Duration = Duration::from_millis(100);

/// How much is sent at a time: so much time's worth, which keeps a line even.
const STEP: Duration = Duration::from_millis(50);

/// Least and most bytes that are sent at a time: less costs more in calls than it evens out, more would fill the buffers below at once.
const STEP_BYTES: std::ops::RangeInclusive<u64> = 1 << 10..=256 << 10;

/// The limits of both directions; `None` = as fast as it goes.
#[derive(Debug, Default)]
pub(super) struct Rates {
    pub(super) upload: Option<Arc<Rate>>,
    pub(super) download: Option<Arc<Rate>>,
}

impl Rates {
    /// Limits in bytes per second.
    pub(super) fn new(upload: Option<u64>, download: Option<u64>) -> Self {
        let rate = |limit: Option<u64>| limit.map(|limit| Arc::new(Rate::new(limit)));
        Self { upload: rate(upload), download: rate(download) }
    }
}

/// One limit. Whoever moves bytes takes their time from it, in turn: so it holds for all together, and costs no memory.
#[derive(Debug)]
pub(super) struct Rate {
    bytes_per_second: u64,
    /// Until when the line is given away; `None` before the first byte.
    taken_until: Mutex<Option<Instant>>,
}

/// How long one transfer was held up.
#[derive(Debug, Default)]
pub(super) struct Waited(AtomicU64);

impl Waited {
    fn add(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// All of it, also what is just being waited for.
    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl Rate {
    /// A limit in bytes per second, at least 1.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), taken_until: Mutex::new(None) }
    }

    /// How many bytes to move at a time.
    pub(super) fn step(&self) -> usize {
        let step = (self.bytes_per_second as f64 * STEP.as_secs_f64()) as u64;
        usize::try_from(step.clamp(*STEP_BYTES.start(), *STEP_BYTES.end())).expect("a step is small")
    }

    /// Gives away the time of so many bytes, and says when it is over.
    fn reserve(&self, bytes: u64) -> Instant {
        let time = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let now = Instant::now();
        let mut taken_until = self.taken_until.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        let over = taken_until.unwrap_or(now).max(earliest) + time;
        *taken_until = Some(over);
        over
    }

    /// Waits until so many bytes may have been moved.
    pub(super) async fn take(&self, bytes: u64, waited: &Waited) {
        let over = self.reserve(bytes);
        waited.add(over.saturating_duration_since(Instant::now()));
        tokio::time::sleep_until(over).await;
    }

    /// Counts bytes that have been moved without waiting for them.
    pub(super) fn charge(&self, bytes: u64) {
        self.reserve(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
    }

    /// Moves this much through a limit of 1 MiB/s by several at a time and gives the seconds that it took.
    async fn seconds(rate: &Arc<Rate>, several: u64, bytes: u64, step: u64) -> f64 {
        let began = Instant::now();
        let movers: Vec<_> = (0..several)
            .map(|_| {
                let rate = Arc::clone(rate);
                tokio::spawn(async move {
                    let waited = Waited::default();
                    for _ in 0..bytes / several / step {
                        rate.take(step, &waited).await;
                    }
                })
            })
            .collect();
        for mover in movers {
            mover.await.unwrap();
        }
        began.elapsed().as_secs_f64()
    }

    #[test]
    fn the_rate_holds_within_a_tenth_for_one_and_for_several() {
        run(async {
            for (several, step) in [(1, 16 << 10), (8, 16 << 10), (2, 256 << 10)] {
                let took = seconds(&Arc::new(Rate::new(1 << 20)), several, 2 << 20, step).await;
                assert!((1.8..2.2).contains(&took), "{several} by {step}: {took} seconds for 2 MiB at 1 MiB/s");
            }
        });
    }

    #[test]
    fn what_was_charged_is_waited_for_by_the_next() {
        run(async {
            let rate = Rate::new(1 << 20);
            rate.charge(1 << 19);
            let (began, waited) = (Instant::now(), Waited::default());
            rate.take(1, &waited).await;
            assert!((0.45..0.6).contains(&began.elapsed().as_secs_f64()));
            assert!((0.45..0.6).contains(&waited.total().as_secs_f64()));
        });
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        run(async {
            let (rate, waited) = (Rate::new(1 << 20), Waited::default());
            rate.take(1, &waited).await;
            tokio::time::sleep(Duration::from_millis(600)).await;
            let began = Instant::now();
            rate.take(1 << 19, &waited).await;
            assert!(began.elapsed() >= Duration::from_millis(350), "{:?}", began.elapsed());
        });
    }

    #[test]
    fn steps_are_neither_tiny_nor_large() {
        assert_eq!([1, 1 << 20, 1 << 40].map(|limit| Rate::new(limit).step()), [1 << 10, 52_428, 256 << 10]);
    }
}
