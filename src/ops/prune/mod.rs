//! `prune`: applies retention to the repository, and deletes what no manifest names, in two phases at least [`MARK_AGE`] apart.
//!
//! [`plan`] decides which snapshots go; [`sweep`] finds what nothing names, marks it, and deletes what was marked long enough ago; [`bucket`]
//! asks what the store keeps of that.
//! Safe without any lock while ships, fetches and other prunes run: `docs/FORMAT.md`, "Removing and pruning", says why.

mod bucket;
mod look;
mod outcome;
mod plan;
mod sweep;

use jiff::{SignedDuration, Timestamp};

use super::catalogue::Catalogue;
use super::event::Event;
use super::inventory::Inventory;
use super::node::Remote;
use super::retention::Retention;
use super::work::work_folder;
use super::{Context, Error, marks, obstacle, removals, rolling};
use crate::format::key::{NodeKey, PROBE};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::repository::StoreClock;
use look::{Ids, Look};
use outcome::Fate;
pub use outcome::{Outcome, Removed, Tally};
pub use plan::{Plan, SourcePlan, plan};
use sweep::Sweep;

/// How old a mark must be, by the store's clock, before what it names is deleted: longer than any store takes to show what was written, and
/// long enough for a person to notice.
pub const MARK_AGE: SignedDuration = SignedDuration::from_hours(72);

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Retention of these sources only; empty = all that the repository holds. Waste is always looked for in the whole node's part.
    pub sources: Vec<SourceName>,
    /// Another node's part of the repository.
    pub node: Option<NodeName>,
    /// The rules; `None` = no snapshot goes.
    pub retention: Option<Retention>,
    /// Only say what would be done.
    pub dry_run: bool,
}

impl Options {
    /// The catalogue; a dry run keeps nothing of what it reads.
    fn read(&self, ctx: &Context, remote: &Remote, node: &NodeName) -> Result<Catalogue, Error> {
        let read = if self.dry_run { Catalogue::glance } else { Catalogue::read };
        read(ctx, remote, node, None)
    }
}

/// Carries a plan out, then sweeps. Of the plan only what still holds is done.
///
/// # Errors
/// [`Error::Damaged`] or [`Error::Refused`] when something stands in the way of deleting, as `docs/FORMAT.md` lists it; what the store gives.
/// A delete that is denied, and an object that is locked, are in the outcome and no error.
pub fn run(ctx: &Context, options: &Options, planned: &Plan) -> Result<Outcome, Error> {
    let remote = Remote::open(ctx)?;
    remote.check_same(ctx)?;
    let node = options.node.as_ref().unwrap_or(&ctx.node);
    let clock = match options.dry_run {
        // Nothing is written, so this machine's clock has to do.
        true => StoreClock { now: ctx.clock.now(), keeps_versions: false },
        false => remote.store.clock()?,
    };
    let mut outcome = Outcome { keeps_versions: clock.keeps_versions, ..Outcome::default() };
    ctx.meter.set_phase("pruning");

    // The order matters. Marks are listed before the objects, so a mark whose objects are not listed has done its work. Objects are listed
    // before the bodies are read, and the newest head is taken from a listing that ended before the one that the bodies come from began:
    // so whatever is older than that head and needed by a snapshot has its body in the second listing.
    let files = marks::list(&remote, node)?;
    let first = options.read(ctx, &remote, node)?;
    let newest_head = first.listed.values().flat_map(|numbers| numbers.heads.iter()).map(|(_, head)| head.modified).max();
    let mut inventory = Inventory::new(&work_folder(ctx)?);
    inventory.list(ctx, &remote, node)?;
    let recorded = removals::of_node(&remote, node)?;
    let mut obstacles = obstacle::of_manifests(ctx, &remote, node, &first, &recorded)?;
    obstacles.extend(obstacle::of_listing(&remote, node, &inventory.unknown, &inventory.node_files)?);
    obstacle::check(ctx, obstacles)?;

    let mut going = still_going(ctx, &remote, options, planned, &first, &Ids::new())?;
    if !going.is_empty() {
        // Nothing can be put back in the place of what goes, so all that stays is looked at first.
        let look = Look::with_marks(ctx, &remote, node, &first, &recorded, &files)?;
        obstacle::check(ctx, look.obstacles)?;
        going = still_going(ctx, &remote, options, planned, &first, &look.lacking)?;
    }
    remove(ctx, &remote, node, going, options.dry_run, &mut outcome)?;

    let second = match options.dry_run {
        true => first,
        false => {
            let second = Catalogue::read(ctx, &remote, node, None)?;
            let recorded = removals::of_node(&remote, node)?;
            obstacle::check(ctx, obstacle::of_manifests(ctx, &remote, node, &second, &recorded)?)?;
            second
        }
    };
    let broken_off = broken_off(&second, newest_head);
    remove_bodies(ctx, &remote, node, &broken_off, options.dry_run, &mut outcome)?;
    inventory.mark(ctx, &remote, &files)?;
    let gone = |id: &(SourceName, SnapshotId)| outcome.removed.iter().any(|removed| removed.source == id.0 && removed.id == id.1);
    let would_go = |id: &(SourceName, SnapshotId), n| options.dry_run && (gone(id) || broken_off.contains(&(id.clone(), n)));
    obstacle::check(ctx, inventory.name(ctx, &remote, node, &second, &would_go)?)?;
    let ledgers = std::mem::take(&mut inventory.ledgers);
    let sweep = Sweep { ctx, remote: &remote, node, now: clock.now, newest_head, files, dry_run: options.dry_run };
    sweep.run(inventory.groups()?, &mut outcome)?;
    remove_remnants(&remote, node, clock.now, options.dry_run, &mut outcome)?;
    remove_ledgers(&remote, ledgers, options.dry_run, &mut outcome)?;
    bucket::ask(&remote, node, options.dry_run, &mut outcome)?;
    Ok(outcome)
}

/// Removes what killed writes have left, as old as marks must be: nothing is written for that long by anyone who lives.
fn remove_remnants(remote: &Remote, node: &NodeName, now: Timestamp, dry_run: bool, outcome: &mut Outcome) -> Result<(), Error> {
    let Ok(before) = now.checked_sub(MARK_AGE) else { return Ok(()) };
    if outcome.denied.is_some() {
        return Ok(());
    }
    for below in [format!("{node}/"), PROBE.to_owned()] {
        match remote.store.remove_remnants(&below, before, dry_run) {
            Ok(found) => {
                outcome.remnants.objects += found.files;
                outcome.remnants.bytes += found.bytes;
            }
            Err(error) => drop(outcome.fate(remote, Err(error), 0)?),
        }
    }
    Ok(())
}

/// Removes what rolling verification has noted and newer notes have taken the place of: a few kilobytes a day, which nobody counts.
fn remove_ledgers(remote: &Remote, mut ledgers: Vec<String>, dry_run: bool, outcome: &mut Outcome) -> Result<(), Error> {
    ledgers.sort();
    let old = ledgers.len().saturating_sub(rolling::LEDGERS_KEPT);
    if old > 0 && rolling::is_of_another_version(remote, ledgers.last().map_or("", String::as_str))? {
        return Ok(());
    }
    for key in &ledgers[..old] {
        if !dry_run && outcome.denied.is_none() {
            outcome.fate(remote, remote.store.delete(key), 0)?;
        }
    }
    Ok(())
}

type Going = Vec<(Removed, super::listed::Numbers)>;

/// What of a plan still holds, with the manifests that are listed, and what earlier runs have begun to remove.
fn still_going(
    ctx: &Context,
    remote: &Remote,
    options: &Options,
    planned: &Plan,
    catalogue: &Catalogue,
    lacking: &Ids,
) -> Result<Going, Error> {
    let now = plan::of_catalogue(ctx, remote, options, catalogue, lacking)?;
    let holds = |removed: &Removed| planned.removals().any(|one| one.source == removed.source && one.id == removed.id);
    let going = now.removals().filter(|removed| now.is_begun(removed) || holds(removed));
    Ok(going.filter_map(|removed| Some((removed.clone(), catalogue.listed.get(&(removed.source.clone(), removed.id))?.clone()))).collect())
}

fn remove(ctx: &Context, remote: &Remote, node: &NodeName, going: Going, dry_run: bool, outcome: &mut Outcome) -> Result<(), Error> {
    for (removed, numbers) in going {
        ctx.stop.check()?;
        if !dry_run && outcome.denied.is_none() {
            let id = (removed.source.clone(), removed.id);
            let removal = removals::record(ctx, remote, node, &id, &removed.why);
            let removal = removal.and_then(|()| removals::delete(ctx, remote, node, &id, &numbers));
            if outcome.fate(remote, removal, 0)? != Fate::Gone {
                continue;
            }
            ctx.tell(Event::Removed { source: id.0, snapshot: id.1, why: removed.why.clone() });
        }
        if outcome.denied.is_none() {
            outcome.removed.push(removed);
        }
    }
    Ok(())
}

type BrokenOff = std::collections::BTreeSet<((SourceName, SnapshotId), u32)>;

/// Bodies without a head whose writers are long gone: a node ships under one lock, so whoever wrote a body before a head that is later was
/// done with it, and a head of its own would be listed.
fn broken_off(catalogue: &Catalogue, newest_head: Option<Timestamp>) -> BrokenOff {
    let bodies = catalogue.listed.iter().flat_map(|(id, numbers)| {
        let headless = numbers.bodies.iter().filter(|(n, _)| !numbers.heads.has(*n));
        headless.map(move |(n, body)| (id, n, body.modified))
    });
    let older = bodies.filter(|(_, _, modified)| newest_head.is_some_and(|newest| *modified < newest));
    older.map(|(id, n, _)| (id.clone(), n)).collect()
}

fn remove_bodies(
    ctx: &Context,
    remote: &Remote,
    node: &NodeName,
    bodies: &BrokenOff,
    dry_run: bool,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    for ((source, id), n) in bodies {
        ctx.stop.check()?;
        let key = NodeKey::Body(source.clone(), *id, *n).of(node).to_string();
        if outcome.denied.is_none() && (dry_run || outcome.fate(remote, remote.store.delete(&key), 0)? == Fate::Gone) {
            outcome.bodies += 1;
        }
    }
    Ok(())
}
