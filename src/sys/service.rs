//! The service manager that runs the agent: what systemd is told of it (sd_notify(3)), and the watchdog that it keeps.
//!
//! The watchdog is told that the agent lives from a thread of its own, so that a disk that takes minutes for a flush does not end a backup. A
//! thread that only did that would hide whatever hangs beside it, so it does so as long as something moves: the agent's loop, the counters of what
//! it does, or the processor time that the process takes. A process that stands still as a whole (stopped, or waiting for a dead disk with all its
//! threads) says nothing at all and is ended after `WatchdogSec`; one of which only the loop hangs, after [`HANG`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use sd_notify::NotifyState;

use super::clock::Clock;
use super::environment::Environment;
use super::meter::{Meter, Reading};
use super::stop::Stop;

/// How long nothing may move before it is a hang. The longest that this program waits by itself is the four hours for which a dump may be silent
/// (a server that sorts a large table), and a pack at the lowest rate takes most of an hour, so this ends nothing that lives; and a run that hangs
/// at midnight is ended and made again long before its source is late, after 26 hours.
pub const HANG: Duration = Duration::from_secs(6 * 3600);

/// Processor time that is work. Looking every tenth of a second whether a program has ended takes seconds in [`HANG`]; SQLite's copy of a large
/// database, which no counter sees, takes many minutes.
const WORKED: Duration = Duration::from_secs(60);

/// How often the thread looks: soon enough for a stop to be told when it was asked for.
const TICK: Duration = Duration::from_millis(500);

/// How much may wait to be told to a service manager that does not listen; what is more is not told.
const WAITING_MAX: usize = 64;

/// How long the end of the agent is put off for it to be told.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a service manager is told of the agent; nothing where there is none.
#[derive(Debug, Default)]
pub struct Service {
    told: Option<Told>,
}

/// The way to the thread that does the telling: a service manager whose socket is full keeps that one waiting, and not the agent.
#[derive(Debug)]
struct Told {
    words: SyncSender<Word>,
    /// Closed when the thread has told all there was.
    ended: Receiver<()>,
    /// Steps of the agent's loop.
    steps: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Word {
    Ready(String),
    Reloading,
    Status(String),
    Stopping,
}

impl Service {
    /// Nobody is told anything.
    pub fn none() -> Self {
        Self::default()
    }

    /// The service manager that started this process, if one did.
    ///
    /// # Errors
    /// When there can be no thread for its watchdog.
    pub fn of(environment: &dyn Environment, clock: &Arc<dyn Clock>, meter: &Arc<Meter>, stop: &Stop) -> std::io::Result<Self> {
        if environment.var("NOTIFY_SOCKET").is_none() {
            return Ok(Self::none());
        }
        let steps = Arc::new(AtomicU64::new(0));
        let (words, heard) = sync_channel(WAITING_MAX);
        let (end, ended) = sync_channel(1);
        let (clock, meter, stop, counted) = (Arc::clone(clock), Arc::clone(meter), stop.clone(), Arc::clone(&steps));
        let work = move || {
            keep(&heard, &counted, &*clock, &meter, &stop);
            drop(end);
        };
        std::thread::Builder::new().name("service".into()).spawn(work)?;
        Ok(Self { told: Some(Told { words, ended, steps }) })
    }

    /// The agent does its work from now on, or again.
    pub fn ready(&self, status: &str) {
        self.tell(|| Word::Ready(one_line(status)));
    }

    /// The agent reads its configuration again; [`Service::ready`] says when that is over, however it ended.
    pub fn reloading(&self) {
        self.tell(|| Word::Reloading);
    }

    /// What goes on, in a line for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.tell(|| Word::Status(one_line(status)));
    }

    /// The agent ends, and there is nothing more to tell.
    pub fn stopping(self) {
        self.tell(|| Word::Stopping);
        if let Some(Told { words, ended, .. }) = self.told {
            drop(words);
            let _ = ended.recv_timeout(LAST_WORDS);
        }
    }

    /// The agent's loop has come one step further.
    pub fn step(&self) {
        if let Some(told) = &self.told {
            told.steps.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tell(&self, word: impl FnOnce() -> Word) {
        self.step();
        if let Some(told) = &self.told {
            // One that does not listen changes nothing of the work.
            let _ = told.words.try_send(word());
        }
    }
}

/// A line of a message is a word of its own to the service manager.
fn one_line(status: &str) -> String {
    status.replace('\n', " ")
}

/// Tells the service manager; what it makes of it is not for the agent to know.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

fn tell_word(word: &Word) {
    match word {
        Word::Ready(status) => tell(&[NotifyState::Ready, NotifyState::Status(status)]),
        // A clock that cannot be read is no reason not to reload; only systemd 253 and newer asks for it.
        Word::Reloading => {
            tell(&[NotifyState::Reloading, NotifyState::monotonic_usec_now().unwrap_or(NotifyState::MonotonicUsec(0))]);
        }
        Word::Status(status) => tell(&[NotifyState::Status(status)]),
        Word::Stopping => tell(&[NotifyState::Stopping]),
    }
}

/// Tells what is to be told, keeps the watchdog, and tells of a stop, until the agent has ended.
fn keep(heard: &Receiver<Word>, steps: &AtomicU64, clock: &dyn Clock, meter: &Meter, stop: &Stop) {
    let interval = sd_notify::watchdog_enabled();
    let tick = interval.map_or(TICK, |interval| TICK.min(interval / 4));
    let (mut watch, mut told, mut is_stopping, mut is_hanging) = (None, None::<Duration>, false, false);
    loop {
        match heard.recv_timeout(tick) {
            Ok(word) => tell_word(&word),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = clock.monotonic();
        if stop.signal().is_some() && !is_stopping {
            is_stopping = true;
            tell(&[NotifyState::Stopping, NotifyState::Status("ends what it does, as it was told to")]);
        }
        let evidence = Evidence { steps: steps.load(Ordering::Relaxed), reading: meter.read(), worked: worked() };
        let is_alive = watch.get_or_insert(Watch { seen: evidence, since: now }).is_alive(evidence, now);
        if !is_alive && !is_hanging {
            tell(&[NotifyState::Status("hangs: nothing has moved for 6 hours, so the watchdog is told nothing any more")]);
        }
        is_hanging = !is_alive;
        let is_due = interval.is_some_and(|interval| told.is_none_or(|told| now.saturating_sub(told) >= interval / 4));
        if is_alive && is_due {
            told = Some(now);
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// Processor time of this process, all threads together.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// What shows that something moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Evidence {
    steps: u64,
    reading: Reading,
    worked: Duration,
}

/// When something was last seen to move.
#[derive(Debug)]
struct Watch {
    seen: Evidence,
    since: Duration,
}

impl Watch {
    fn is_alive(&mut self, evidence: Evidence, now: Duration) -> bool {
        let is_counted = evidence.steps != self.seen.steps || evidence.reading != self.seen.reading;
        if is_counted || evidence.worked.saturating_sub(self.seen.worked) >= WORKED {
            (self.seen, self.since) = (evidence, now);
        }
        now.saturating_sub(self.since) < HANG
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3600)
    }

    #[test]
    fn what_moves_however_slowly_lives_and_what_stands_still_for_six_hours_hangs() {
        let meter = Meter::default();
        let still = Evidence { steps: 1, reading: meter.read(), worked: Duration::ZERO };
        let mut watch = Watch { seen: still, since: hours(1) };
        assert!(watch.is_alive(still, hours(6)) && !watch.is_alive(still, hours(7)));
        // One byte in five hours is a backup that lives.
        for hour in (6..60).step_by(5) {
            meter.add_bytes(1);
            assert!(watch.is_alive(Evidence { reading: meter.read(), ..still }, hours(hour)), "{hour}");
        }
        let idle = watch.seen;
        let waiting = Evidence { worked: Duration::from_secs(59), ..idle };
        assert!(!watch.is_alive(waiting, hours(70)), "looking whether a program has ended is no work");
        let works = Evidence { worked: Duration::from_secs(60), ..idle };
        assert!(watch.is_alive(works, hours(70)) && watch.is_alive(works, hours(75)) && !watch.is_alive(works, hours(76)));
        assert!(watch.is_alive(Evidence { steps: 2, ..works }, hours(76)), "the loop goes on");
    }
}
