//! Which snapshots go, and why each of the others stays.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::look::{Ids, Look};
use super::{Options, Removed};
use crate::format::check::Known;
use crate::format::key::NodeKey;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::ops::catalogue::{Catalogue, Shipped};
use crate::ops::node::{Remote, check_local_tier};
use crate::ops::pins::Pins;
use crate::ops::retention::{self, Candidate, Decision};
use crate::ops::{Context, Error, records, removals, verify};

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
    /// What is recorded as removed and stays all the same, each with the reason.
    pub contested: Vec<String>,
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
    remote.check_same(ctx)?;
    let mut plan = of_catalogue(ctx, &remote, options, &catalogue, &Ids::new())?;
    if plan.removals().next().is_some() {
        // What stands in the way of deleting is told when it is carried out.
        let look = Look::take(ctx, &remote, node, &catalogue, &removals::of_node(&remote, node)?)?;
        plan = of_catalogue(ctx, &remote, options, &catalogue, &look.lacking)?;
    }
    plan.contested.iter().for_each(|contested| ctx.warn(None, contested));
    Ok(plan)
}

/// The decisions on what a catalogue holds; `lacking` = snapshots of which something is missing, as far as that was looked at.
pub(super) fn of_catalogue(ctx: &Context, remote: &Remote, options: &Options, catalogue: &Catalogue, lacking: &Ids) -> Result<Plan, Error> {
    let node = options.node.as_ref().unwrap_or(&ctx.node);
    let recorded = removals::of_node(remote, node)?;
    let pins = Pins::read(ctx, remote, node, None)?;
    let verdicts = verify::known(ctx, remote, node)?;
    let mut sources: BTreeMap<&SourceName, Vec<&Shipped>> = BTreeMap::new();
    for (id, shipped) in &catalogue.snapshots {
        let shipped = (!recorded.contains(id)).then_some(shipped);
        sources.entry(&id.0).or_default().extend(shipped);
    }
    let known = Facts { pins: &pins, verdicts: &verdicts, lacking };
    let mut plan = Plan { node: node.clone(), sources: Vec::new(), begun: Vec::new(), contested: Vec::new(), removals: Vec::new() };
    let mut left = BTreeMap::new();
    for (source, snapshots) in sources {
        ctx.stop.check()?;
        let candidates = known.candidates(ctx, remote, &snapshots)?;
        let (sound, whole) = (candidates.iter().any(|one| one.sound), candidates.iter().any(|one| !one.damaged));
        left.insert(source.clone(), Left { sound, whole });
        if candidates.is_empty() || !(options.sources.is_empty() || options.sources.contains(source)) {
            continue;
        }
        let decisions = retention::decide(options.retention.as_ref(), &candidates, ctx.clock.now());
        // The oldest goes first.
        let going = decisions.iter().rev().filter(|decision| !decision.keep);
        plan.removals.extend(going.map(|one| Removed { source: source.clone(), id: one.id, why: one.why.join(", ") }));
        plan.sources.push(SourcePlan { source: source.clone(), snapshots: decisions });
    }
    for id in catalogue.listed.keys().filter(|id| recorded.contains(id)) {
        match contested(remote, catalogue, id, &pins, &left)? {
            None => {
                let why = "its removal was begun before".to_owned();
                plan.begun.push(Removed { source: id.0.clone(), id: id.1, why });
            }
            Some(why) => plan.contested.push(format!("{}/{} is recorded as removed, and stays: {why}", id.0, id.1)),
        }
    }
    Ok(plan)
}

/// What is left of a source without what is recorded as removed.
struct Left {
    /// A sound snapshot.
    sound: bool,
    /// One that is not damaged.
    whole: bool,
}

/// Why a removal that is recorded is not ended; `None` = it is. Whoever may write in the repository can write such a record, so it gives up
/// nothing that `forget` would have refused to give up.
fn contested(
    remote: &Remote,
    catalogue: &Catalogue,
    id: &(SourceName, SnapshotId),
    pins: &Pins,
    left: &BTreeMap<SourceName, Left>,
) -> Result<Option<String>, Error> {
    // Where no manifest is complete any more, the removal has begun, or there is nothing left to protect.
    let Some(shipped) = catalogue.snapshots.get(id) else { return Ok(None) };
    let (node, key) = (&shipped.head.node, NodeKey::Removed(id.0.clone(), id.1));
    if let Some(problem) = records::problem_of(remote, node, &key)? {
        let object = key.of(node);
        return Ok(Some(format!("{object} is damaged ({}); `windlass forget {}/{} --shipped` removes it", problem.text, id.0, id.1)));
    }
    let is_missed = left.get(&id.0).is_none_or(|left| !left.whole || (shipped.head.problems.is_empty() && !left.sound));
    Ok(if pins.of(id).is_some() {
        Some(format!("it is pinned; `windlass unpin {}/{}` first", id.0, id.1))
    } else if is_missed {
        Some(format!(
            "no other sound snapshot of the source is known; `windlass forget {}/{} --shipped --even-the-last` removes it",
            id.0, id.1
        ))
    } else {
        None
    })
}

/// What is known of snapshots besides their heads.
struct Facts<'a> {
    pins: &'a Pins,
    verdicts: &'a Known,
    lacking: &'a Ids,
}

impl Facts<'_> {
    /// The snapshots of a source as retention sees them. Verdicts are asked of the newest ones until one is found that is sound: that one
    /// stays.
    fn candidates(&self, ctx: &Context, remote: &Remote, snapshots: &[&Shipped]) -> Result<Vec<Candidate>, Error> {
        let future = ctx.clock.now() + crate::ops::copies::FUTURE;
        let (mut found, mut candidates) = (false, Vec::with_capacity(snapshots.len()));
        for shipped in snapshots.iter().rev() {
            let head = &shipped.head;
            let id = (head.source.clone(), head.id);
            let mut damaged = self.lacking.contains(&id);
            if !damaged && !found && head.id.to_timestamp() <= future {
                damaged = !verify::known_damage_in(self.verdicts, remote, shipped)?.is_empty();
            }
            let sound = !damaged && head.problems.is_empty();
            found |= sound && head.id.to_timestamp() <= future;
            let pinned = self.pins.of(&id).is_some();
            candidates.push(Candidate { id: head.id, date: head.local_date, sound, damaged, pinned });
        }
        Ok(candidates)
    }
}
