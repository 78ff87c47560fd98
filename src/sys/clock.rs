//! The clock: wall time, monotonic time, the time zone and waiting.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where time comes from.
pub trait Clock: Send + Sync + Debug {
    /// The wall clock; it may jump.
    fn now(&self) -> Timestamp;
    /// Time since some fixed instant; it never goes back.
    fn monotonic(&self) -> Duration;
    /// Waits.
    fn sleep(&self, duration: Duration);
    /// The time zone of this machine.
    fn zone(&self) -> TimeZone;
}

/// The machine's own clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    zone: TimeZone,
}

impl SystemClock {
    /// The machine's clock and time zone.
    #[expect(clippy::disallowed_methods, reason = "this is where the clock enters the program")]
    pub fn new() -> Self {
        Self { started: Instant::now(), zone: TimeZone::system() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock enters the program")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn zone(&self) -> TimeZone {
        self.zone.clone()
    }
}

/// A clock that stands still until it is told otherwise; waiting moves it on at once. Its zone is UTC.
#[derive(Debug)]
pub struct FixedClock(Mutex<(Timestamp, Duration)>);

impl FixedClock {
    /// A clock that stands at this instant.
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new((now, Duration::ZERO)))
    }

    /// Moves the wall clock, forward or back; monotonic time stays.
    pub fn set(&self, now: Timestamp) {
        self.state().0 = now;
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.0 += by;
        state.1 += by;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, (Timestamp, Duration)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.state().0
    }

    fn monotonic(&self) -> Duration {
        self.state().1
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }

    fn zone(&self) -> TimeZone {
        TimeZone::UTC
    }
}
