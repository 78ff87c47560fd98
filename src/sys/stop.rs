//! A clean stop: SIGINT and SIGTERM set a flag that long work looks at; and a pause, for work that can be gone on with later.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

/// How often it is looked whether a grace period has begun.
const TICK: Duration = Duration::from_millis(200);

/// The run was asked to stop.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("stopped; the next run goes on from here")]
pub struct Stopped;

/// Whether the run is to stop. Clones share one flag.
#[derive(Clone, Default)]
pub struct Stop {
    signal: Arc<AtomicI32>,
    pause: Arc<Mutex<Option<Pause>>>,
}

/// Says whether what is being done is to end for now.
type Pause = Box<dyn Fn() -> bool + Send + Sync>;

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("signal", &self.signal()).finish_non_exhaustive()
    }
}

impl Stop {
    /// A flag that nobody has set.
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag that SIGINT and SIGTERM set. A second signal ends the process at once: what is on disk is sound at any instant.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn on_signals() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let stop = Self::new();
        let flag = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    let number = tokio::select! {
                        _ = interrupt.recv() => 2,
                        _ = terminate.recv() => 15,
                    };
                    if flag.signal().is_some() {
                        std::process::exit(128 + number);
                    }
                    flag.request(number);
                }
            });
        })?;
        Ok(stop)
    }

    /// Ends the process once this long has gone by since it was asked to stop: whatever then still waits for a disk or a server keeps a service
    /// manager from nothing. What is on disk is sound at any instant, and locks end with the process.
    ///
    /// # Errors
    /// When there can be no thread that watches.
    pub fn end_within(&self, grace: Duration) -> io::Result<()> {
        let flag = self.clone();
        let watch = move || {
            loop {
                std::thread::sleep(TICK);
                if let Some(signal) = flag.signal() {
                    std::thread::sleep(grace);
                    std::process::exit(128 + signal);
                }
            }
        };
        std::thread::Builder::new().name("grace".into()).spawn(watch).map(drop)
    }

    /// Asks the run to stop, as this signal would.
    pub fn request(&self, signal: i32) {
        self.signal.store(signal, Ordering::SeqCst);
    }

    /// Does something that ends as if it were asked to stop as soon as `is_to_end` says so: it is gone on with another time, and whoever does
    /// that tells the two apart by [`Stop::signal`].
    pub fn pausing<T>(&self, is_to_end: impl Fn() -> bool + Send + Sync + 'static, work: impl FnOnce() -> T) -> T {
        let set = |pause| *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = pause;
        set(Some(Box::new(is_to_end)));
        let done = work();
        set(None);
        done
    }

    /// Whether it was asked to stop, or is to pause.
    pub fn is_stopped(&self) -> bool {
        let is_to_pause = || self.pause.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|is_to_end| is_to_end());
        self.signal().is_some() || is_to_pause()
    }

    /// The signal that asked, if any.
    pub fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }

    /// For `?` in a loop.
    ///
    /// # Errors
    /// [`Stopped`] once it was asked to stop.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.is_stopped() { Err(Stopped) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_pause_ends_work_that_is_told_apart_from_work_that_a_signal_ends() {
        let stop = Stop::new();
        let (is_due, clone) = (Arc::new(AtomicBool::new(false)), stop.clone());
        let sees = is_due.clone();
        let ended = stop.pausing(
            move || sees.load(Ordering::SeqCst),
            || {
                assert!(clone.check().is_ok());
                is_due.store(true, Ordering::SeqCst);
                clone.check()
            },
        );
        assert_eq!((ended, stop.signal(), stop.check()), (Err(Stopped), None, Ok(())));
        stop.request(15);
        assert_eq!((stop.signal(), stop.check()), (Some(15), Err(Stopped)));
    }
}
