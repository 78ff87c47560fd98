//! What the integration tests share.

pub mod authority;
pub mod servers;
#[allow(dead_code, reason = "which faults are used changes with the tests")]
pub mod store;

use std::sync::Arc;

use windlass::repository::Tools;
use windlass::sys::clock::SystemClock;
use windlass::sys::meter::Meter;
use windlass::sys::random::SystemRandom;
use windlass::sys::stop::Stop;

// `store` is shared with the unit tests and finds it here.
use windlass::repository::Refusal;

/// The tools of a running program.
pub fn tools() -> Tools {
    Tools { clock: Arc::new(SystemClock::new()), random: Arc::new(SystemRandom), stop: Stop::new(), meter: Arc::new(Meter::default()) }
}
