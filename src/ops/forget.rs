//! `forget`: removes one snapshot that a person named, from the node, from the repository, or from both.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::catalogue::{Catalogue, Shipped};
use super::copies::{self, Copies, FUTURE};
use super::event::Event;
use super::listed::Numbers;
use super::locks::{self, Waiting};
use super::name::{SnapshotName, Which};
use super::node::Remote;
use super::pins::Pins;
use super::snapshots::{Found, Place, View};
use super::{Context, Error, lost, removals, verify};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether the local copy goes.
    pub local: bool,
    /// Whether the shipped snapshot goes.
    pub shipped: bool,
    /// Another node's snapshot.
    pub node: Option<NodeName>,
    /// Go on although no other sound snapshot of the source is known.
    pub even_the_last: bool,
}

impl Default for Options {
    /// Both tiers, this node, and never the last one.
    fn default() -> Self {
        Self { local: true, shipped: true, node: None, even_the_last: false }
    }
}

/// What would be removed.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The node that took it.
    pub node: NodeName,
    /// The source.
    pub source: SourceName,
    /// The snapshot.
    pub id: SnapshotId,
    /// The folder of the local copy, when that goes.
    pub folder: Option<PathBuf>,
    /// What is wrong with the record of the local copy that goes, when it counts for nothing.
    pub local_damage: Option<String>,
    /// Bytes of its files; 0 where nothing tells.
    pub bytes: u64,
    /// Whether the shipped snapshot goes. Its id never comes back, and what only it needs is deleted by `prune`, later.
    pub remove_shipped: bool,
    /// Whether it is in the repository at all; `None` when the repository could not be asked.
    pub shipped: Option<bool>,
    /// An object of the shipped snapshot that is known to be damaged or missing.
    pub shipped_damage: Option<String>,
    /// Whether no sound snapshot of the source that is known stays.
    pub last_sound: bool,
}

/// Says what `forget` would remove. A copy whose record is damaged is named in full.
///
/// # Errors
/// [`Error::Absent`] when there is nothing of it to remove; [`Error::Refused`] when it is pinned, when it is the last sound snapshot of the
/// source, or when the repository was meant too and cannot be asked.
pub fn plan(ctx: &Context, name: &SnapshotName, options: &Options) -> Result<Plan, Error> {
    let target = match Target::look_up(ctx, name, options) {
        Err(error @ Error::Damaged { .. }) if options.shipped => return damaged(ctx, name, options, error),
        Err(error @ Error::Absent(_)) if options.shipped => {
            return damaged(ctx, name, options, is_lost(ctx, name, options)?.unwrap_or(error));
        }
        target => target?,
    };
    let written = format!("{}/{}", target.source, target.id);
    let view = View::read(ctx, options.node.as_ref(), Some(&target.source))?;
    if options.shipped && target.is_unreachable {
        let local = "`--local` removes the local copy alone";
        return Err(Error::Refused(format!("the repository cannot be asked whether {written} is there too: {local}")));
    }
    let local = target.here.as_ref().filter(|_| options.local);
    let shipped = target.shipped.as_ref().filter(|_| options.shipped);
    if local.is_none() && shipped.is_none() {
        if options.shipped
            && let Some(lost) = is_lost(ctx, name, options)?
        {
            return damaged(ctx, name, options, lost);
        }
        let place = if options.local { "has no local copy" } else { "is not in the repository" };
        return Err(Error::Absent(format!("{written} {place}")));
    }
    if let Some((remote, _)) = shipped {
        remote.check_same(ctx)?;
        refuse_pinned(ctx, remote, &target.node, &(target.source.clone(), target.id))?;
    }
    let shipped_damage = match &target.shipped {
        Some((remote, shipped)) => verify::known_damage_of(ctx, remote, shipped)?.into_iter().next(),
        None => None,
    };
    let stays_here = target.here.as_ref().is_some_and(|here| here.is_sound && local.is_none());
    let stays_there = target.shipped.as_ref().is_some_and(|(_, there)| there.head.problems.is_empty()) && shipped.is_none();
    let stays = stays_here || (stays_there && shipped_damage.is_none());
    let being_removed = match &target.shipped {
        Some((remote, _)) => removals::of_source(remote, &target.node, &target.source)?,
        None => BTreeSet::new(),
    };
    let last_sound = !stays && !any_other_is_sound(ctx, &view, &target, &being_removed)?;
    let bytes_there = target.shipped.as_ref().map(|(_, there)| there.head.bytes);
    let plan = Plan {
        bytes: target.here.as_ref().and_then(|here| here.bytes).or(bytes_there).unwrap_or(0),
        folder: local.map(|here| here.dir.clone()),
        local_damage: local.and_then(|here| here.damage.clone()),
        remove_shipped: shipped.is_some(),
        shipped: (!target.is_unreachable).then_some(target.shipped.is_some()),
        node: target.node,
        source: target.source,
        id: target.id,
        shipped_damage,
        last_sound,
    };
    refuse_last(plan, options)
}

/// Whether another snapshot of the source is sound as far as is known: copies are looked at first, because that reads nothing; then the
/// shipped ones, the newest first, until one is found of which no damage is recorded.
fn any_other_is_sound(ctx: &Context, view: &View, target: &Target, being_removed: &BTreeSet<SnapshotId>) -> Result<bool, Error> {
    for row in &view.rows {
        let row = row?;
        if row.id != target.id && !row.future && row.place != Place::Shipped && row.problems.is_empty() {
            return Ok(true);
        }
    }
    let Some(remote) = &view.read else { return Ok(false) };
    let catalogue = Catalogue::read(ctx, remote, &target.node, Some(&target.source))?;
    let known = verify::known(ctx, remote, &target.node)?;
    for ((_, id), shipped) in catalogue.snapshots.iter().rev() {
        ctx.stop.check()?;
        let counts = *id != target.id && !being_removed.contains(id) && id.to_timestamp() <= ctx.clock.now() + FUTURE;
        if counts && shipped.head.problems.is_empty() && verify::known_damage_in(&known, remote, shipped)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a name means, in both tiers.
struct Target {
    node: NodeName,
    source: SourceName,
    id: SnapshotId,
    here: Option<Here>,
    shipped: Option<(Remote, Shipped)>,
    is_unreachable: bool,
}

/// A local copy, also one that counts for nothing.
struct Here {
    dir: PathBuf,
    /// Bytes of its files; `None` where nothing tells.
    bytes: Option<u64>,
    is_sound: bool,
    /// What is wrong with its record.
    damage: Option<String>,
}

impl Target {
    fn look_up(ctx: &Context, name: &SnapshotName, options: &Options) -> Result<Self, Error> {
        let found = match Found::look_up(ctx, options.node.as_ref(), name) {
            Err(error @ Error::Absent(_)) if options.local => return Self::broken_alone(ctx, name, options)?.ok_or(error),
            found => found?,
        };
        let here = match &found.local {
            Some(copy) => Some(Here { dir: copy.dir.clone(), bytes: Some(copy.record.bytes), is_sound: copy.is_sound(), damage: None }),
            None => Self::broken(ctx, &found.source, found.id, options)?,
        };
        let is_unreachable = found.unreachable.is_some();
        Ok(Self { node: found.node, source: found.source, id: found.id, here, shipped: found.shipped, is_unreachable })
    }

    /// A copy with a damaged record of which nothing else is known.
    fn broken_alone(ctx: &Context, name: &SnapshotName, options: &Options) -> Result<Option<Self>, Error> {
        let (Some(source), Which::Prefix(id)) = (&name.source, &name.which) else { return Ok(None) };
        let Ok(id) = id.parse::<SnapshotId>() else { return Ok(None) };
        let Some(here) = Self::broken(ctx, source, id, options)? else { return Ok(None) };
        let is_unreachable = View::read(ctx, None, Some(source))?.unreachable.is_some();
        let (node, source) = (ctx.node.clone(), source.clone());
        Ok(Some(Self { node, source, id, here: Some(here), shipped: None, is_unreachable }))
    }

    fn broken(ctx: &Context, source: &SourceName, id: SnapshotId, options: &Options) -> Result<Option<Here>, Error> {
        if ctx.local.is_none() || options.node.as_ref().is_some_and(|node| *node != ctx.node) {
            return Ok(None);
        }
        let broken = Copies::read(ctx, source)?.broken.into_iter().find(|copy| copy.id == id);
        Ok(broken.map(|copy| Here { dir: copy.dir, bytes: None, is_sound: false, damage: Some(copy.problem) }))
    }
}

fn refuse_last(plan: Plan, options: &Options) -> Result<Plan, Error> {
    if plan.last_sound && !options.even_the_last {
        let why = "no other sound snapshot of the source is known: make one first, or say --even-the-last";
        return Err(Error::Refused(format!("{}/{} stays: {why}", plan.source, plan.id)));
    }
    let is_whole_here_alone = plan.folder.is_some() && plan.local_damage.is_none() && plan.shipped_damage.is_some();
    if is_whole_here_alone && !plan.remove_shipped && !options.even_the_last {
        let why = "the shipped snapshot is damaged, and this copy may be the last that holds all bytes: `windlass heal` first, or say --even-the-last";
        return Err(Error::Refused(format!("the local copy of {}/{} stays: {why}", plan.source, plan.id)));
    }
    Ok(plan)
}

fn refuse_pinned(ctx: &Context, remote: &Remote, node: &NodeName, id: &(SourceName, SnapshotId)) -> Result<(), Error> {
    match Pins::read(ctx, remote, node, Some(&id.0))?.of(id) {
        Some(pin) if pin.why.is_empty() => Err(Error::Refused(format!("{}/{} is pinned: `windlass unpin` it first", id.0, id.1))),
        Some(pin) => Err(Error::Refused(format!("{}/{} is pinned ({}): `windlass unpin` it first", id.0, id.1, pin.why))),
        None => Ok(()),
    }
}

/// A snapshot whose manifest is gone, that is remembered and was never recorded as removed.
fn is_lost(ctx: &Context, name: &SnapshotName, options: &Options) -> Result<Option<Error>, Error> {
    let (Some(source), Which::Prefix(id)) = (&name.source, &name.which) else { return Ok(None) };
    let remote = match Remote::open(ctx) {
        Err(error) if error.is_unreachable() => return Ok(None),
        remote => remote?,
    };
    let node = options.node.as_ref().unwrap_or(&ctx.node);
    let catalogue = Catalogue::read(ctx, &remote, node, None)?;
    let lost = lost::find(ctx, &remote, &catalogue, node)?;
    let lost = lost.into_iter().find(|lost| lost.id.0 == *source && lost.id.1.to_string() == *id);
    Ok(lost.map(|lost| Error::damaged(lost.object, lost.problem)))
}

/// The plan for a shipped snapshot whose manifest is damaged, and that is named in full: it is in the way of `prune` until it goes or is
/// made good. That there is another sound one is not asked: this one is none.
fn damaged(ctx: &Context, name: &SnapshotName, options: &Options, error: Error) -> Result<Plan, Error> {
    let (true, Some(source), Which::Prefix(id)) = (error.is_damage(), &name.source, &name.which) else { return Err(error) };
    let Ok(id) = id.parse::<SnapshotId>() else { return Err(error) };
    let remote = Remote::open(ctx)?;
    let node = options.node.as_ref().unwrap_or(&ctx.node);
    refuse_pinned(ctx, &remote, node, &(source.clone(), id))?;
    let problem = Some(super::error::chain(&error));
    let (source, node) = (source.clone(), node.clone());
    let plan = Plan {
        node,
        source,
        id,
        folder: None,
        local_damage: None,
        bytes: 0,
        remove_shipped: true,
        shipped: Some(true),
        shipped_damage: problem,
        last_sound: false,
    };
    Ok(plan)
}

/// Removes it. The repository goes first: if that fails, the local copy is still there.
///
/// # Errors
/// [`Error::Refused`] while somebody reads the local copy; what the store gives. When the credential may not delete, the snapshot is recorded
/// as removed, and a `prune` that may delete ends it.
pub fn run(ctx: &Context, plan: &Plan, wait: Waiting) -> Result<(), Error> {
    // The copy that is shipped at this moment must not lose its manifest between the two.
    let _lock = match plan.folder {
        Some(_) => Some(locks::source(ctx, &plan.source, locks::Task::Forget, wait)?),
        None => None,
    };
    if plan.remove_shipped {
        let remote = Remote::open(ctx)?;
        remote.check_same(ctx)?;
        let id = (plan.source.clone(), plan.id);
        removals::record(ctx, &remote, &plan.node, &id, "it was forgotten on request")?;
        let catalogue = Catalogue::read(ctx, &remote, &plan.node, Some(&plan.source))?;
        let numbers = catalogue.listed.get(&id).cloned().unwrap_or_else(Numbers::default);
        removals::delete(ctx, &remote, &plan.node, &id, &numbers)?;
        ctx.tell(Event::Removed { source: id.0, snapshot: id.1, why: "it was forgotten on request".into() });
    }
    if plan.folder.is_some() {
        let copies = Copies::read(ctx, &plan.source)?;
        let broken = copies.broken.iter().find(|copy| copy.id == plan.id).filter(|_| plan.local_damage.is_some());
        match (copies.find(plan.id), broken) {
            (Some(copy), _) => copies::remove(ctx, copy)?,
            (None, Some(copy)) => copies::remove_broken(ctx, &plan.source, copy)?,
            (None, None) => return Err(Error::Absent(format!("{}/{} has gone meanwhile", plan.source, plan.id))),
        }
        ctx.tell(Event::CopyRemoved { source: plan.source.clone(), snapshot: plan.id, why: "it was forgotten on request".into() });
    }
    Ok(())
}
