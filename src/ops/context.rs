//! What a verb needs of the world around it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::Error;
use super::event::Event;
use super::keys::Keys;
use super::spec::SourceSpec;
use super::state::State;
use crate::format::names::{NodeName, SourceName};
use crate::repository::{self, Repository};
use crate::sys::clock::Clock;
use crate::sys::meter::Meter;
use crate::sys::random::Random;
use crate::sys::space::Space;
use crate::sys::stop::Stop;

/// How a verb opens the repository, at its first use.
pub type OpenRepository = Arc<dyn Fn() -> Result<Repository, repository::Error> + Send + Sync>;

/// Where local copies lie and how they are kept.
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// The folder of local copies; state lies in its `.windlass`.
    pub dir: PathBuf,
    /// Whether the oldest shipped copy may go before a new one is complete, when space is short.
    pub tight: bool,
    /// How long an undo is kept.
    pub undo_for: Duration,
}

/// The parts of a [`Context`].
pub struct Parts {
    /// This node.
    pub node: NodeName,
    /// The local tier; `None` on a machine without a configuration, where only the repository can be read.
    pub local: Option<LocalSettings>,
    /// The sources of this node.
    pub sources: Vec<SourceSpec>,
    /// Opens the repository.
    pub repository: OpenRepository,
    /// To whom this run seals, and with what it opens.
    pub keys: Arc<Keys>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness for names.
    pub random: Arc<dyn Random>,
    /// The room on filesystems.
    pub space: Arc<dyn Space>,
    /// Whether the run is to stop.
    pub stop: Stop,
    /// Progress.
    pub meter: Arc<Meter>,
    /// Who is told of events.
    pub events: Arc<dyn Fn(Event) + Send + Sync>,
    /// Most resident bytes the program may take.
    pub memory: u64,
    /// Most worker threads.
    pub threads: usize,
}

/// What a verb needs of the world around it.
pub struct Context {
    parts: Parts,
    /// Shared by all contexts of one process, so that there is one set of connections and limits.
    opened: Arc<OnceLock<Repository>>,
    /// Warnings that were given, where each is given once.
    warned: Mutex<BTreeSet<String>>,
}

/// Most warnings that are remembered to be given once; what is beyond them is given each time.
const WARNED_MAX: usize = 1000;

impl std::ops::Deref for Context {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("node", &self.node).field("local", &self.local).finish_non_exhaustive()
    }
}

impl Context {
    /// A context of these parts; nothing is opened yet.
    pub fn new(parts: Parts) -> Self {
        Self { parts, opened: Arc::default(), warned: Mutex::default() }
    }

    /// A second context of the same world, which shows and tells what it does to others: for whoever looks on while a run goes on, or listens to
    /// it. The repository is opened once for both.
    pub fn beside(&self, meter: Arc<Meter>, events: Arc<dyn Fn(Event) + Send + Sync>) -> Self {
        let parts = Parts {
            node: self.node.clone(),
            local: self.local.clone(),
            sources: self.sources.clone(),
            repository: Arc::clone(&self.repository),
            keys: Arc::clone(&self.keys),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            space: Arc::clone(&self.space),
            stop: self.stop.clone(),
            meter,
            events,
            memory: self.memory,
            threads: self.threads,
        };
        Self { parts, opened: Arc::clone(&self.opened), warned: Mutex::default() }
    }

    /// The source of this name.
    ///
    /// # Errors
    /// [`Error::Absent`] naming the sources that there are.
    pub fn source(&self, name: &SourceName) -> Result<&SourceSpec, Error> {
        self.sources.iter().find(|spec| spec.name == *name).ok_or_else(|| {
            let known: Vec<&str> = self.sources.iter().map(|spec| spec.name.as_str()).collect();
            Error::Absent(format!("there is no source `{name}`; the configuration has: {}", known.join(", ")))
        })
    }

    /// The local tier.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is none.
    pub fn local(&self) -> Result<&LocalSettings, Error> {
        self.parts.local.as_ref().ok_or_else(|| Error::Usage("this needs a configuration file with [local]".into()))
    }

    /// The state folder of the local tier.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no local tier.
    pub fn state(&self) -> Result<State, Error> {
        Ok(State::new(&self.local()?.dir))
    }

    /// The repository, opened at the first call.
    ///
    /// # Errors
    /// What opening it gives.
    pub fn store(&self) -> Result<&Repository, Error> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = (self.parts.repository)()?;
        Ok(self.opened.get_or_init(|| opened))
    }

    /// Reports an event.
    pub fn tell(&self, event: Event) {
        (self.parts.events)(event);
    }

    /// Reports a warning.
    pub fn warn(&self, source: Option<&SourceName>, message: impl Into<String>) {
        self.tell(Event::Warning { source: source.cloned(), message: message.into() });
    }

    /// Begins another run in the same process: what was warned of in the one before is new again.
    pub fn begins_anew(&self) {
        self.warned.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Reports a warning unless this run has given it already: of what every shipment of a run meets anew.
    pub(crate) fn warn_once(&self, message: String) {
        self.warn_once_of(None, message);
    }

    /// The same of a source.
    pub(crate) fn warn_once_of(&self, source: Option<&SourceName>, message: String) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.contains(&message) {
            return;
        }
        if warned.len() < WARNED_MAX {
            warned.insert(message.clone());
        }
        drop(warned);
        self.warn(source, message);
    }

    /// Reports that a phase began, also to the progress display.
    pub fn phase(&self, source: &SourceName, snapshot: Option<crate::format::snapshot_id::SnapshotId>, phase: &'static str) {
        self.meter.set_phase(phase);
        self.tell(Event::Phase { source: source.clone(), snapshot, phase });
    }
}
