//! A clean stop: SIGINT and SIGTERM set a flag that long work looks at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use thiserror::Error;

/// How often it is looked whether a grace period has begun.
const TICK: Duration = Duration::from_millis(200);

/// The run was asked to stop.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("stopped; the next run goes on from here")]
pub struct Stopped;

/// Whether the run is to stop. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicI32>);

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
                    if flag.is_stopped() {
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
        self.0.store(signal, Ordering::SeqCst);
    }

    /// Whether it was asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.signal().is_some()
    }

    /// The signal that asked, if any.
    pub fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }

    /// For `?` in a loop.
    ///
    /// # Errors
    /// [`Stopped`] once it was asked to stop.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.is_stopped() { Err(Stopped) } else { Ok(()) }
    }
}
