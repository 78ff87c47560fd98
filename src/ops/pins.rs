//! Pins: snapshots that stay in the repository whatever retention says.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use serde::Serialize;

use super::catalogue::Shipped;
use super::damage::{Problem, settle};
use super::error::chain;
use super::name::SnapshotName;
use super::node::Remote;
use super::snapshots::Found;
use super::{Context, Error};
use crate::format::FormatError;
use crate::format::head::Head;
use crate::format::key::{Key, NodeKey};
use crate::format::limits::{FORMAT_VERSION, SMALL_MAX};
use crate::format::names::{NodeName, SourceName};
use crate::format::pin::Pin;
use crate::format::snapshot_id::SnapshotId;
use crate::repository;

/// How often a number is taken by somebody else before this gives up.
const TRIES: u32 = 8;

/// What was said of a snapshot last, and the number under which it was.
type Numbered = (u32, Pin);

/// The pins of a node, or of one source: what was said last of each snapshot that was ever pinned.
#[derive(Debug, Default)]
pub(super) struct Pins(BTreeMap<(SourceName, SnapshotId), Numbered>);

impl Pins {
    /// Reads them. A pin that is damaged or cannot be read counts as one, with a warning.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for one of another version; what the store gives.
    pub(super) fn read(ctx: &Context, remote: &Remote, node: &NodeName, source: Option<&SourceName>) -> Result<Self, Error> {
        Self::read_some(ctx, remote, node, source, None)
    }

    /// The same; `only` = those of this snapshot.
    fn read_some(
        ctx: &Context,
        remote: &Remote,
        node: &NodeName,
        source: Option<&SourceName>,
        only: Option<SnapshotId>,
    ) -> Result<Self, Error> {
        let prefix = source.map_or_else(|| format!("{node}/pins/"), |source| format!("{node}/pins/{source}/"));
        let mut highest: BTreeMap<(SourceName, SnapshotId), u32> = BTreeMap::new();
        remote.store.list(&prefix, &mut |object| {
            if let Some(Key::Of(_, NodeKey::Pin(source, id, n))) = Key::parse(&object.key)
                && only.is_none_or(|only| only == id)
            {
                let known = highest.entry((source, id)).or_insert(n);
                *known = n.max(*known);
            }
            ControlFlow::Continue(())
        })?;
        let mut pins = BTreeMap::new();
        for ((source, id), n) in highest {
            let key = NodeKey::Pin(source.clone(), id, n).of(node).to_string();
            let text = match settle(remote.store.get(&key, SMALL_MAX as u64))? {
                Err(problem) if problem == Problem::missing() => continue,
                text => text,
            };
            let own = |pin: Pin| {
                if pin.id == id { Ok(pin) } else { Err(FormatError::invalid("it speaks of another snapshot than its key")) }
            };
            let read = |text: Bytes| match Pin::from_text(&text).and_then(own) {
                Ok(pin) => Ok(Ok(pin)),
                Err(cause @ FormatError::Version(_)) => Err(Error::unreadable(&key)(cause)),
                Err(cause) => Ok(Err(chain(&cause))),
            };
            let pin = match text.map_or_else(|problem| Ok(Err(problem.text)), read)? {
                Ok(pin) => pin,
                Err(problem) => {
                    ctx.warn(Some(&source), format!("{key} is damaged, so {source}/{id} counts as pinned: {problem}"));
                    let why = "its pin is damaged".to_owned();
                    Pin { format: FORMAT_VERSION, id, pinned: true, time: ctx.clock.now(), why }
                }
            };
            pins.insert((source, id), (n, pin));
        }
        Ok(Self(pins))
    }

    /// The pin of a snapshot that is pinned.
    pub(super) fn of(&self, id: &(SourceName, SnapshotId)) -> Option<&Pin> {
        self.0.get(id).map(|(_, pin)| pin).filter(|pin| pin.pinned)
    }

    fn highest(&self, id: &(SourceName, SnapshotId)) -> u32 {
        self.0.get(id).map_or(0, |(n, _)| *n)
    }
}

/// The pin of a snapshot that is pinned.
///
/// # Errors
/// [`Error::Unreadable`] for a pin of another version; what the store gives.
pub(super) fn of_snapshot(ctx: &Context, remote: &Remote, shipped: &Shipped) -> Result<Option<Pin>, Error> {
    let Head { node, source, id, .. } = &*shipped.head;
    let pins = Pins::read_some(ctx, remote, node, Some(source), Some(*id))?;
    Ok(pins.of(&(source.clone(), *id)).cloned())
}

/// What came of pinning.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The source.
    pub source: SourceName,
    /// The snapshot.
    pub id: SnapshotId,
    /// Whether it is pinned now.
    pub pinned: bool,
    /// Whether it was different before.
    pub changed: bool,
    /// Why it is pinned, as it was given.
    pub why: String,
}

/// Pins a snapshot of the repository, or takes its pin away; in a dry run only says whether that would change anything.
///
/// # Errors
/// [`Error::Absent`] when the repository does not hold the snapshot; [`Error::Refused`] when it is being removed; what the store gives.
pub fn set(ctx: &Context, node: Option<&NodeName>, name: &SnapshotName, pinned: bool, why: &str, dry_run: bool) -> Result<Outcome, Error> {
    let found = Found::look_up(ctx, node, name)?;
    let Some((remote, _)) = &found.shipped else {
        let hint = if found.unreachable.is_some() { "the repository could not be read" } else { "ship it first" };
        return Err(Error::Absent(format!("{} is not in the repository, where pins count: {hint}", found.name())));
    };
    remote.check_same(ctx)?;
    let (node, id) = (&found.node, (found.source.clone(), found.id));
    if pinned && super::removals::of_source(remote, node, &id.0)?.contains(&id.1) {
        return Err(Error::Refused(format!("{} is being removed, and that cannot be taken back", found.name())));
    }
    for _ in 0..TRIES {
        let pins = Pins::read(ctx, remote, node, Some(&id.0))?;
        let known = pins.of(&id);
        let outcome = Outcome { source: id.0.clone(), id: id.1, pinned, changed: known.is_some() != pinned, why: why.to_owned() };
        if dry_run || known.map_or(!pinned, |pin| pinned && pin.why == why) {
            return Ok(outcome);
        }
        let pin = Pin { format: FORMAT_VERSION, id: id.1, pinned, time: ctx.clock.now(), why: why.to_owned() };
        let key = NodeKey::Pin(id.0.clone(), id.1, pins.highest(&id) + 1).of(node).to_string();
        match remote.store.create(&key, pin.to_text().into()) {
            Ok(()) => return Ok(outcome),
            // Somebody else has said something in the same moment.
            Err(repository::Error::Taken { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Refused(format!("others pin and unpin {} all the time: try again", found.name())))
}
