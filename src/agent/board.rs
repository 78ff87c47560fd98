//! What the agent does and has done, for whoever asks while it works.
//!
//! The loop and the events of its verbs write on it, HTTP reads a copy. Its lock is held for as long as it takes to write or copy a few numbers,
//! so nobody who asks slowly keeps a backup waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::event::Event;
use crate::ops::rolling::Covered;
use crate::sys::clock::Clock;

/// A step of the agent's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A local copy is taken.
    Snapshot,
    /// Copies are shipped.
    Shipment,
    /// The repository is pruned.
    Prune,
    /// What is stored is read again, and damage is mended.
    Verification,
}

impl Stage {
    /// Its name, in metrics too.
    pub fn word(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Shipment => "shipment",
            Self::Prune => "prune",
            Self::Verification => "verification",
        }
    }
}

/// How far the agent has come since its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does not back up anything yet, for this reason.
    Waiting(String),
    /// It holds the node's lock and has its schedule.
    Ready,
}

/// What goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doing {
    /// The step.
    pub stage: Stage,
    /// Of which source; `None` = of all.
    pub source: Option<SourceName>,
    /// The phase of it that was told last.
    pub phase: Option<&'static str>,
    /// Since when.
    pub since: Timestamp,
    /// The same on the clock that is never set.
    pub since_monotonic: Duration,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stage.word())?;
        self.source.iter().try_for_each(|source| write!(f, " of {source}"))?;
        self.phase.iter().try_for_each(|phase| write!(f, " ({phase})"))?;
        write!(f, ", since {}", self.since.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

/// How often one step of one source, or of the node, was tried since the agent began, and how that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Those that have ended.
    pub ended: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those that failed since one came through.
    pub failed_in_a_row: u64,
    /// When the last one came through.
    pub succeeded: Option<Timestamp>,
    /// How long the last one took that ended.
    pub took: Option<Duration>,
}

/// The newest local copy, as far as this agent has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenCopy {
    /// Its id.
    pub id: SnapshotId,
    /// Regular files and hard links.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFacts {
    /// When its next run begins: a moment that may be past where one is due.
    pub next: Option<Timestamp>,
    /// Its newest copy.
    pub copy: Option<SeenCopy>,
    /// The newest snapshot that this agent has shipped, and the stored bytes that it needs.
    pub shipped: Option<(SnapshotId, u64)>,
    /// Its steps.
    pub tries: BTreeMap<Stage, Tries>,
    /// Bytes read of the source.
    pub read_bytes: u64,
    /// Bytes of its snapshots that were not read, because they were unchanged.
    pub unchanged_bytes: u64,
    /// Stored bytes that its shipments added.
    pub added_bytes: u64,
    /// Stored bytes that its shipments needed and that were there already.
    pub reused_bytes: u64,
    /// Files that could not be taken as they were.
    pub problems: u64,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Since when the agent runs.
    pub started: Timestamp,
    /// How far it has come.
    pub standing: Standing,
    /// When its loop turned last, on the clock that is never set.
    pub turned: Duration,
    /// Events that were told.
    pub heard: u64,
    /// What goes on.
    pub doing: Option<Doing>,
    /// Sources whose run was asked for and has not begun.
    pub asked: BTreeSet<SourceName>,
    /// The sources.
    pub sources: BTreeMap<SourceName, SourceFacts>,
    /// Prunes.
    pub prunes: Tries,
    /// Snapshots that were removed from the repository.
    pub removed: u64,
    /// Verifications.
    pub verifications: Tries,
    /// Stored bytes that they read.
    pub verified_bytes: u64,
    /// How much of the repository was read again in time; `None` until this agent has looked.
    pub covered: Option<Covered>,
    /// Objects and local files that are known to be damaged and that nothing has mended; `None` until this agent has looked.
    pub damaged: Option<u64>,
    /// Snapshots and local copies that were made sound again.
    pub mended: u64,
}

impl Facts {
    /// Steps that have ended, of whatever kind: what there was to see before may have changed.
    pub fn ended(&self) -> u64 {
        self.sources
            .values()
            .flat_map(|source| source.tries.values())
            .chain([&self.prunes, &self.verifications])
            .map(|tries| tries.ended)
            .sum()
    }
}

/// Why a run that was asked for is not made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotRun {
    /// The agent does not know the source.
    #[error("there is no source `{source_name}`; the configuration has: {known}")]
    Unknown {
        /// What was asked for.
        source_name: String,
        /// Those that there are.
        known: String,
    },
    /// It was asked for before.
    #[error("a run of `{0}` was asked for already, and begins as soon as the agent is free")]
    Asked(SourceName),
    /// It goes on.
    #[error("a run of `{source_name}` goes on: {doing}")]
    Running {
        /// The source.
        source_name: SourceName,
        /// What of it.
        doing: Doing,
    },
    /// Nothing is backed up yet.
    #[error("nothing is backed up yet: {0}")]
    NotReady(String),
}

/// The board.
#[derive(Debug)]
pub struct Board {
    clock: Arc<dyn Clock>,
    facts: Mutex<Facts>,
}

impl Board {
    /// A board on which these sources stand, and nothing else yet.
    pub fn new(clock: Arc<dyn Clock>, sources: impl IntoIterator<Item = SourceName>) -> Self {
        let facts = Facts {
            started: clock.now(),
            standing: Standing::Waiting("the agent is starting".into()),
            turned: clock.monotonic(),
            heard: 0,
            doing: None,
            asked: BTreeSet::new(),
            sources: sources.into_iter().map(|source| (source, SourceFacts::default())).collect(),
            prunes: Tries::default(),
            removed: 0,
            verifications: Tries::default(),
            verified_bytes: 0,
            covered: None,
            damaged: None,
            mended: 0,
        };
        Self { clock, facts: Mutex::new(facts) }
    }

    /// These are the sources from now on. What is known of those that were there before stays.
    pub fn knows<'s>(&self, sources: impl IntoIterator<Item = &'s SourceName>) {
        let mut facts = self.write();
        let mut before = std::mem::take(&mut facts.sources);
        facts.sources = sources.into_iter().map(|source| (source.clone(), before.remove(source).unwrap_or_default())).collect();
        let Facts { asked, sources, .. } = &mut *facts;
        asked.retain(|source| sources.contains_key(source));
    }

    fn write(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands there now.
    pub fn facts(&self) -> Facts {
        self.write().clone()
    }

    /// Hears each event, and then tells it to whoever was told before.
    pub fn hears(self: &Arc<Self>, then: Arc<dyn Fn(Event) + Send + Sync>) -> Arc<dyn Fn(Event) + Send + Sync> {
        let board = Arc::clone(self);
        Arc::new(move |event| {
            board.hear(&event);
            then(event);
        })
    }

    fn hear(&self, event: &Event) {
        let mut facts = self.write();
        facts.heard += 1;
        match event {
            Event::Phase { source, phase, .. } => {
                let doing = facts.doing.as_mut().filter(|doing| doing.source.as_ref().is_none_or(|of| of == source));
                doing.into_iter().for_each(|doing| doing.phase = Some(phase));
            }
            Event::Problem { source, .. } => facts.of(source).into_iter().for_each(|of| of.problems += 1),
            Event::SnapshotTaken { source, snapshot, files, bytes, read_bytes } => {
                facts.of(source).into_iter().for_each(|of| {
                    of.copy = Some(SeenCopy { id: *snapshot, files: *files, bytes: *bytes });
                    of.read_bytes += read_bytes;
                    of.unchanged_bytes += bytes.saturating_sub(*read_bytes);
                });
            }
            Event::Shipped { source, snapshot, added_bytes, stored_bytes } => {
                facts.of(source).into_iter().for_each(|of| {
                    of.shipped = Some((*snapshot, *stored_bytes));
                    of.added_bytes += added_bytes;
                    of.reused_bytes += stored_bytes.saturating_sub(*added_bytes);
                });
            }
            Event::Removed { .. } => facts.removed += 1,
            Event::ReadAgain { bytes, covered, .. } => {
                facts.verified_bytes += bytes;
                facts.covered = Some(covered.clone());
            }
            Event::Compared { damaged, .. } => facts.damaged = Some(*damaged),
            Event::Mended { healed, unhealed } => {
                facts.mended += healed;
                // What is left of it otherwise, the next comparison tells.
                facts.damaged = if *unhealed == 0 { Some(0) } else { facts.damaged };
            }
            _ => {}
        }
    }

    /// Says how far the agent has come.
    pub fn stands(&self, standing: Standing) {
        self.write().standing = standing;
    }

    /// The loop has turned once more.
    pub fn turns(&self) {
        self.write().turned = self.clock.monotonic();
    }

    /// A step begins.
    pub fn begins(&self, stage: Stage, source: Option<&SourceName>) {
        let (since, since_monotonic) = (self.clock.now(), self.clock.monotonic());
        let mut facts = self.write();
        facts.turned = since_monotonic;
        facts.doing = Some(Doing { stage, source: source.cloned(), phase: None, since, since_monotonic });
    }

    /// The step that goes on has ended.
    pub fn ends(&self, is_done: bool) {
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        let mut facts = self.write();
        facts.turned = monotonic;
        let Some(doing) = facts.doing.take() else { return };
        let tries = match &doing.source {
            Some(source) => facts.of(source).map(|of| of.tries.entry(doing.stage).or_default()),
            None if doing.stage == Stage::Verification => Some(&mut facts.verifications),
            None => Some(&mut facts.prunes),
        };
        let Some(tries) = tries else { return };
        tries.ended += 1;
        tries.took = Some(monotonic.saturating_sub(doing.since_monotonic));
        if is_done {
            (tries.succeeded, tries.failed_in_a_row) = (Some(now), 0);
        } else {
            (tries.failed, tries.failed_in_a_row) = (tries.failed + 1, tries.failed_in_a_row + 1);
        }
    }

    /// The step that goes on is left, to be gone on with later: it has neither come through nor failed.
    pub fn pauses(&self) {
        let monotonic = self.clock.monotonic();
        let mut facts = self.write();
        (facts.turned, facts.doing) = (monotonic, None);
    }

    /// What was seen of a repository may be of another one from now on.
    pub fn forgets(&self) {
        let mut facts = self.write();
        (facts.covered, facts.damaged) = (None, None);
        facts.sources.values_mut().for_each(|of| of.shipped = None);
    }

    /// Says when the next run of a source begins.
    pub fn next(&self, source: &SourceName, next: Option<Timestamp>) {
        self.write().of(source).into_iter().for_each(|of| of.next = next);
    }

    /// Says which copy of a source was the newest one when the agent began.
    pub fn found(&self, source: &SourceName, copy: SeenCopy) {
        self.write().of(source).into_iter().for_each(|of| of.copy = Some(copy));
    }

    /// Asks for a run of a source as soon as the loop is free.
    ///
    /// # Errors
    /// [`NotRun`] says why there is none, or why it needs none.
    pub fn ask(&self, name: &str) -> Result<SourceName, NotRun> {
        let mut facts = self.write();
        let Some(source) = facts.sources.keys().find(|source| source.as_str() == name).cloned() else {
            let known: Vec<&str> = facts.sources.keys().map(SourceName::as_str).collect();
            // Whatever was asked for is somebody's text, and is shown in part only.
            return Err(NotRun::Unknown { source_name: name.chars().take(80).collect(), known: known.join(", ") });
        };
        if let Standing::Waiting(why) = &facts.standing {
            return Err(NotRun::NotReady(why.clone()));
        }
        if facts.asked.contains(&source) {
            return Err(NotRun::Asked(source));
        }
        if let Some(doing) = facts.doing.as_ref().filter(|doing| doing.source.as_ref() == Some(&source)) {
            return Err(NotRun::Running { source_name: source, doing: doing.clone() });
        }
        facts.asked.insert(source.clone());
        Ok(source)
    }

    /// Whether any run was asked for.
    pub fn is_asked(&self) -> bool {
        !self.write().asked.is_empty()
    }

    /// Whether a run of this source was asked for.
    pub fn is_asked_for(&self, source: &SourceName) -> bool {
        self.write().asked.contains(source)
    }

    /// Takes up what was asked for of this source, if it was.
    pub fn takes(&self, source: &SourceName) -> bool {
        self.write().asked.remove(source)
    }
}

impl Facts {
    fn of(&mut self, source: &SourceName) -> Option<&mut SourceFacts> {
        self.sources.get_mut(source)
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
