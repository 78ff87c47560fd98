//! How long and how often is tried: limits of time, tries, and the waits between them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::sys::clock::Clock;
use crate::sys::random::Random;
use crate::sys::stop::{Stop, Stopped};

use super::fault::Fault;
use super::rate::Waited;

/// Longest time to make a connection: a reachable host answers within a second or two.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// Longest time without any byte of an answer: stores that are asked to slow down take tens of seconds.
pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// How often a request is tried in all: with the waits between, an outage of about a minute and a half is outlasted.
pub(super) const TRIES: u32 = 10;

/// How often it is tried while the store has never answered: a wrong endpoint is to be told at once.
pub(super) const FIRST_TRIES: u32 = 3;

/// Longest time for one request, all its tries together, where what lies on this machine can be shown or used without the store: about
/// as long as somebody who waits for a list looks on before thinking that it hangs, and several times what a store in trouble still takes.
pub(super) const BRIEF: Duration = Duration::from_secs(10);

/// The wait after the first try; it doubles after each.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How soon a request to stop is noticed.
const SLICE: Duration = Duration::from_millis(100);

/// How long and how often is tried.
#[derive(Debug)]
pub(super) struct Patience {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) stop: Stop,
    /// Bytes per second below which a transfer is given up.
    pub(super) floor_rate: u64,
}

impl Patience {
    /// Longest time for a transfer of so many bytes.
    pub(super) fn transfer(&self, bytes: u64) -> Duration {
        ANSWER + Duration::from_secs(bytes / self.floor_rate.max(1))
    }

    /// How long to wait after so many tries (from 1): doubling, between half and all of it by chance, so that nodes do not march in step.
    pub(super) fn wait_after(&self, tries: u32) -> Duration {
        let longest = FIRST_WAIT.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_WAIT);
        let mut bytes = [0; 4];
        self.random.fill(&mut bytes);
        longest / 2 + (longest / 2).mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
    }

    /// Waits, noticing a request to stop.
    pub(super) async fn wait(&self, duration: Duration) -> Result<(), Stopped> {
        let (clock, stop) = (Arc::clone(&self.clock), self.stop.clone());
        // The clock blocks its thread, so it needs one that may be blocked.
        let waited = tokio::task::spawn_blocking(move || {
            let mut rest = duration;
            while !rest.is_zero() {
                stop.check()?;
                let slice = rest.min(SLICE);
                clock.sleep(slice);
                rest -= slice;
            }
            stop.check()
        });
        waited.await.unwrap_or(Err(Stopped))
    }

    /// Runs a request unless or until a stop is requested.
    pub(super) async fn unless_stopped<T>(&self, request: impl Future<Output = T>) -> Result<T, Stopped> {
        let stopped = async {
            while !self.stop.is_stopped() {
                tokio::time::sleep(SLICE).await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => Err(Stopped),
            done = request => Ok(done),
        }
    }
}

/// Runs a request for at most `limit`.
pub(super) async fn within<T, E: Into<Fault>>(limit: Duration, request: impl Future<Output = Result<T, E>>) -> Result<T, Fault> {
    match tokio::time::timeout(limit, request).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => Err(Fault::timeout(limit)),
    }
}

/// Runs a request for at most `limit`, not counting the time that the limit of the rate has held it up.
pub(super) async fn within_besides<T>(
    limit: Duration,
    waited: &Waited,
    request: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let mut request = pin!(request);
    let began = Instant::now();
    let mut due = began + limit;
    loop {
        if let Ok(outcome) = tokio::time::timeout_at(due, &mut request).await {
            return outcome;
        }
        let later = began + limit + waited.total();
        if later <= due {
            return Err(Fault::timeout(limit));
        }
        due = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::rate::Rate;
    use crate::sys::clock::FixedClock;
    use crate::sys::random::SeededRandom;

    fn patience() -> Patience {
        Patience {
            clock: Arc::new(FixedClock::at(jiff::Timestamp::UNIX_EPOCH)),
            random: Arc::new(SeededRandom::new(1)),
            stop: Stop::new(),
            floor_rate: 1 << 20,
        }
    }

    #[test]
    fn waits_double_vary_and_are_bounded() {
        let patience = patience();
        for (tries, most) in [(1, 250), (2, 500), (5, 4000), (9, 30_000), (1000, 30_000)] {
            let waits: Vec<Duration> = (0..20).map(|_| patience.wait_after(tries)).collect();
            assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(most) && *wait >= Duration::from_millis(most / 2)), "{tries}");
            assert!(waits.iter().any(|wait| *wait != waits[0]));
        }
    }

    #[test]
    fn a_transfer_may_take_as_long_as_the_floor_rate_needs() {
        assert_eq!(patience().transfer(10 << 20), ANSWER + Duration::from_secs(10));
    }

    #[test]
    fn time_that_the_limit_of_the_rate_takes_is_not_held_against_a_transfer() {
        // Far more than a busy machine keeps a thread from running.
        let limit = Duration::from_secs(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (slow, waited) = (Rate::new(1 << 10), Waited::default());
        let held_up = within_besides(limit, &waited, async {
            for _ in 0..8 {
                slow.take(384, &waited).await;
            }
            Ok(())
        });
        assert!(runtime.block_on(held_up).is_ok());
        assert!(waited.total() > 2 * limit, "{waited:?}");
        let waited = Waited::default();
        let hangs = within_besides(limit, &waited, async {
            slow.take(64, &waited).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(())
        });
        assert!(matches!(runtime.block_on(hangs), Err(Fault::Broken { sent: true, .. })));
    }
}
