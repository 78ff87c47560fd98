//! Which snapshots go, and why each of the others stays.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Options, Removed};
use crate::format::check::Known;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::ops::catalogue::{Catalogue, Shipped};
use crate::ops::node::{Remote, check_local_tier};
use crate::ops::pins::Pins;
use crate::ops::retention::{self, Candidate, Decision};
use crate::ops::{Context, Error, removals, verify};

/// The decisions on one source.
#[derive(Debug, Serialize)]
pub struct SourcePlan {
    /// The source.
    pub source: SourceName,
    /// What becomes of each of its snapshots, the newest first.
    pub snapshots: Vec<Decision>,
}

/// What retention decides for a node.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The node.
    pub node: NodeName,
    /// The decisions, by source.
    pub sources: Vec<SourcePlan>,
    /// What earlier runs have begun to remove, and this one ends.
    pub begun: Vec<Removed>,
    #[serde(skip)]
    removals: Vec<Removed>,
}

impl Plan {
    /// The snapshots that go.
    pub fn removals(&self) -> impl Iterator<Item = &Removed> {
        self.begun.iter().chain(&self.removals)
    }

    /// Whether an earlier run has begun to remove this one.
    pub(super) fn is_begun(&self, removed: &Removed) -> bool {
        self.begun.contains(removed)
    }
}

/// Decides which snapshots go. Nothing is changed.
///
/// # Errors
/// [`Error::Absent`] when the repository holds nothing of a source that was named; what the store gives.
pub fn plan(ctx: &Context, options: &Options) -> Result<Plan, Error> {
    let remote = Remote::open(ctx)?;
    let node = options.node.as_ref().unwrap_or(&ctx.node);
    if ctx.local.is_some() && *node == ctx.node {
        // What this node remembers says which snapshots are lost.
        check_local_tier(ctx)?;
    }
    let catalogue = options.read(ctx, &remote, node)?;
    let known: BTreeSet<&SourceName> = catalogue.listed.keys().map(|(source, _)| source).collect();
    if known.is_empty() {
        remote.check_node(node)?;
    }
    if let Some(missing) = options.sources.iter().find(|source| !known.contains(source)) {
        let known: Vec<&str> = known.iter().map(|source| source.as_str()).collect();
        return Err(Error::Absent(format!("the repository holds nothing of the source `{missing}`; it holds: {}", known.join(", "))));
    }
    of_catalogue(ctx, &remote, options, &catalogue)
}

/// The decisions on what a catalogue holds.
pub(super) fn of_catalogue(ctx: &Context, remote: &Remote, options: &Options, catalogue: &Catalogue) -> Result<Plan, Error> {
    let node = options.node.as_ref().unwrap_or(&ctx.node);
    let recorded = removals::of_node(remote, node)?;
    let pins = Pins::read(ctx, remote, node, None)?;
    let verdicts = verify::known(ctx, remote, node)?;
    let mut sources: BTreeMap<&SourceName, Vec<&Shipped>> = BTreeMap::new();
    for (id, shipped) in catalogue.snapshots.iter().filter(|(id, _)| !recorded.contains(id)) {
        if options.sources.is_empty() || options.sources.contains(&id.0) {
            sources.entry(&id.0).or_default().push(shipped);
        }
    }
    let mut plan = Plan { node: node.clone(), sources: Vec::new(), begun: begun(catalogue, &recorded), removals: Vec::new() };
    for (source, snapshots) in sources {
        ctx.stop.check()?;
        let candidates = candidates(ctx, remote, &snapshots, &pins, &verdicts)?;
        let decisions = retention::decide(options.retention.as_ref(), &candidates, ctx.clock.now());
        // The oldest goes first.
        let going = decisions.iter().rev().filter(|decision| !decision.keep);
        plan.removals.extend(going.map(|one| Removed { source: source.clone(), id: one.id, why: one.why.join(", ") }));
        plan.sources.push(SourcePlan { source: source.clone(), snapshots: decisions });
    }
    Ok(plan)
}

fn begun(catalogue: &Catalogue, recorded: &BTreeSet<(SourceName, SnapshotId)>) -> Vec<Removed> {
    let listed = catalogue.listed.keys().filter(|id| recorded.contains(id));
    let why = || "its removal was begun before".to_owned();
    listed.map(|(source, id)| Removed { source: source.clone(), id: *id, why: why() }).collect()
}

/// The snapshots of a source as retention sees them. Verdicts are asked of the newest ones until one is found that is sound: that one stays.
fn candidates(ctx: &Context, remote: &Remote, snapshots: &[&Shipped], pins: &Pins, verdicts: &Known) -> Result<Vec<Candidate>, Error> {
    let future = ctx.clock.now() + crate::ops::copies::FUTURE;
    let (mut found, mut candidates) = (false, Vec::with_capacity(snapshots.len()));
    for shipped in snapshots.iter().rev() {
        let head = &shipped.head;
        let mut sound = head.problems.is_empty();
        if sound && !found && head.id.to_timestamp() <= future {
            sound = verify::known_damage_in(verdicts, remote, shipped)?.is_empty();
            found = sound;
        }
        let pinned = pins.of(&(head.source.clone(), head.id)).is_some();
        candidates.push(Candidate { id: head.id, date: head.local_date, sound, pinned });
    }
    Ok(candidates)
}
