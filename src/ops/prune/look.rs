//! A look at all that snapshots need, in the store itself, before any snapshot is removed: what is removed by then cannot stand in for
//! what turns out to be damaged afterwards.

use std::collections::BTreeSet;

use crate::format::head::Head;
use crate::format::limits::HEAD_MAX;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::ops::catalogue::{Catalogue, Shipped};
use crate::ops::damage::{Problem, settle};
use crate::ops::error::chain;
use crate::ops::inventory::Inventory;
use crate::ops::marks::{self, MarkFile};
use crate::ops::node::Remote;
use crate::ops::obstacle::Obstacle;
use crate::ops::work::work_folder;
use crate::ops::{Context, Error, removals};

/// Snapshots of a node.
pub(super) type Ids = BTreeSet<(SourceName, SnapshotId)>;

/// What the look has found.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Snapshots of which something is not listed, or not at the size that it was stored with. More may be here than lack something, never
    /// fewer: whoever is here counts as unsound, so that others stay in its place.
    pub(super) lacking: Ids,
    /// What stands in the way of deleting anything.
    pub(super) obstacles: Vec<Obstacle>,
}

impl Look {
    /// Reads every head from the store, whatever this node remembers of it, then all marks, bodies and pack lists, and compares what they
    /// name with what is listed. Snapshots that are recorded as removed protect nothing any more.
    ///
    /// # Errors
    /// What the store gives.
    pub(super) fn take(ctx: &Context, remote: &Remote, node: &NodeName, catalogue: &Catalogue, recorded: &Ids) -> Result<Self, Error> {
        let files = marks::list(remote, node)?;
        Self::with_marks(ctx, remote, node, catalogue, recorded, &files)
    }

    /// The same, of files of marks that were listed before.
    ///
    /// # Errors
    /// As [`Look::take`].
    pub(super) fn with_marks(
        ctx: &Context,
        remote: &Remote,
        node: &NodeName,
        catalogue: &Catalogue,
        recorded: &Ids,
        files: &[MarkFile],
    ) -> Result<Self, Error> {
        let mut look = Self { obstacles: heads(ctx, remote, node, catalogue, recorded)?, lacking: Ids::new() };
        let mut inventory = Inventory::new(&work_folder(ctx)?);
        inventory.list(ctx, remote, node)?;
        inventory.mark(ctx, remote, files)?;
        look.obstacles.extend(inventory.name(ctx, remote, node, catalogue, &|id, _| recorded.contains(id))?);
        let ids: Vec<&(SourceName, SnapshotId)> = catalogue.listed.keys().collect();
        let mut groups = inventory.groups()?;
        while let Some(group) = groups.next()? {
            ctx.stop.check()?;
            if let Some((first, last)) = group.named.filter(|_| !group.is_whole()) {
                let owners = &ids[first.snapshot as usize..=last.snapshot as usize];
                look.lacking.extend(owners.iter().map(|id| (*id).clone()));
            }
        }
        Ok(look)
    }
}

/// Heads that are not in the store what the catalogue, which may have them from this node's memory, says.
fn heads(ctx: &Context, remote: &Remote, node: &NodeName, catalogue: &Catalogue, recorded: &Ids) -> Result<Vec<Obstacle>, Error> {
    let mut missing = Vec::new();
    let mut obstacles = Vec::new();
    for (id, shipped) in catalogue.snapshots.iter().filter(|(id, _)| !recorded.contains(id)) {
        ctx.stop.check()?;
        match head_problem(remote, shipped)? {
            None => {}
            Some(problem) if problem == Problem::missing() => missing.push((id, shipped)),
            Some(problem) => obstacles.push(Obstacle::damaged(shipped.head_key(), problem.text)),
        }
    }
    if !missing.is_empty() {
        // Another prune may have removed them since they were listed; its records are older than that the heads are gone.
        let removed = removals::of_node(remote, node)?;
        let lost = missing.into_iter().filter(|(id, _)| !removed.contains(id));
        obstacles.extend(lost.map(|(_, shipped)| Obstacle::damaged(shipped.head_key(), Problem::missing().text)));
    }
    Ok(obstacles)
}

fn head_problem(remote: &Remote, shipped: &Shipped) -> Result<Option<Problem>, Error> {
    let text = match settle(remote.store.get(&shipped.head_key(), HEAD_MAX as u64))? {
        Ok(text) => text,
        Err(problem) => return Ok(Some(problem)),
    };
    Ok(match Head::from_text(&text) {
        Ok(head) if head == *shipped.head => Problem::of_one_line(&text),
        Ok(_) => Some(Problem::damaged("it says something else than when it was read before")),
        Err(cause) => Some(Problem::damaged(chain(&cause))),
    })
}
