//! Whether the agent is alive, and whether it works: two questions, because it is no use to restart one that waits for a disk.

use std::time::Duration;

use jiff::Timestamp;

use super::board::{Facts, Standing};
use super::job::WRITTEN;
use crate::sys::meter::Reading;
use crate::sys::service;

/// How long nothing may move before the agent counts as hanging, the same as for a service manager: a dump may say nothing for four hours, a hook may
/// take as long, and SQLite copies a database without a word.
pub const HANGS_AFTER: Duration = service::HANG;

/// When something moved last: the loop turned, an event was told, or a byte, a file or a try again was counted.
#[derive(Debug)]
pub struct Pulse {
    seen: Option<(Reading, u64)>,
    moved: Duration,
}

impl Pulse {
    /// A pulse that is felt now.
    pub fn new(monotonic: Duration) -> Self {
        Self { seen: None, moved: monotonic }
    }

    /// Looks again; gives for how long nothing has moved.
    pub fn look(&mut self, facts: &Facts, reading: Reading, monotonic: Duration) -> Duration {
        let now = Some((reading, facts.heard));
        if self.seen != now {
            (self.seen, self.moved) = (now, monotonic);
        }
        monotonic.saturating_sub(self.moved.max(facts.turned))
    }
}

/// Why the agent does not back up anything yet; `None` when it does.
pub fn not_ready(facts: &Facts, now: Timestamp) -> Option<String> {
    match &facts.standing {
        Standing::Waiting(why) => Some(why.clone()),
        Standing::Ready if now < WRITTEN => Some(format!("the clock shows {now}, so it is not set yet")),
        Standing::Ready => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::board::Board;
    use super::*;
    use crate::sys::clock::{Clock, FixedClock};
    use crate::sys::meter::Meter;

    #[test]
    fn whatever_moves_is_a_sign_of_life() {
        let clock = Arc::new(FixedClock::at("2026-11-28T12:00:00Z".parse().unwrap()));
        let (board, meter) = (Board::new(clock.clone(), []), Meter::default());
        let mut pulse = Pulse::new(clock.monotonic());
        let mut look = || pulse.look(&board.facts(), meter.read(), clock.monotonic()).as_secs();
        assert_eq!(look(), 0);
        clock.advance(Duration::from_secs(60));
        assert_eq!(look(), 60);
        meter.add_bytes(1);
        assert_eq!(look(), 0);
        clock.advance(Duration::from_secs(60));
        meter.add_retry();
        assert_eq!(look(), 0);
        clock.advance(Duration::from_secs(60));
        assert_eq!(look(), 60);
        board.turns();
        assert_eq!(look(), 0);
    }

    #[test]
    fn it_works_once_it_stands_ready_and_the_clock_is_set() {
        let clock = Arc::new(FixedClock::at("1970-01-01T00:10:00Z".parse().unwrap()));
        let board = Board::new(clock.clone(), []);
        assert_eq!(not_ready(&board.facts(), clock.now()).unwrap(), "the agent is starting");
        board.stands(Standing::Ready);
        assert!(not_ready(&board.facts(), clock.now()).unwrap().contains("it is not set yet"));
        assert_eq!(not_ready(&board.facts(), WRITTEN), None);
    }
}
