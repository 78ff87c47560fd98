//! `stats`: what the repository holds of a node, in bytes: live, marked, waste; by source and by snapshot; and, where it is asked for, what
//! is [`dead`] within what is live.

mod dead;
mod frames;

use serde::Serialize;

use super::catalogue::Catalogue;
use super::inventory::Inventory;
use super::node::Remote;
use super::prune::Tally;
use super::work::work_folder;
use super::{Context, Error, marks};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
pub use dead::Dead;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only this source in the table; the totals are the node's all the same.
    pub source: Option<SourceName>,
    /// Another node's part of the repository.
    pub node: Option<NodeName>,
    /// Count dead bytes too: reads every file list once, and a few bytes of frames that are in use in part.
    pub dead: bool,
}

/// One snapshot.
#[derive(Debug, Serialize)]
pub struct SnapshotStats {
    /// Its id.
    pub id: SnapshotId,
    /// Stored bytes that it needs.
    pub stored_bytes: u64,
    /// Packs and lists that no other snapshot needs: what removing it would set free.
    pub unique: Tally,
}

/// One source.
#[derive(Debug, Serialize)]
pub struct SourceStats {
    /// The source.
    pub source: SourceName,
    /// Packs and lists that its snapshots need, each counted once, and no other source's.
    pub live: Tally,
    /// Stored bytes of these packs that nothing refers to; `None` = not asked for, or not known.
    pub dead: Option<u64>,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<SnapshotStats>,
}

/// What the repository holds of a node.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The node.
    pub node: NodeName,
    /// Packs and lists that manifests name, those included that are named by shipments that were broken off.
    pub live: Tally,
    /// Those of them that several sources share.
    pub shared: Tally,
    /// Packs and lists that are marked for deletion and that nothing names.
    pub marked: Tally,
    /// Packs and lists that nothing names and that are not marked: `prune` marks them, unless a shipment is under way.
    pub waste: Tally,
    /// Bytes within live packs that nothing refers to; `None` = not asked for, or not known.
    pub dead: Option<Dead>,
    /// Why they are not known.
    pub dead_unknown: Option<String>,
    /// Everything else: manifests, pins, verdicts, marks, records.
    pub others: Tally,
    /// By source.
    pub sources: Vec<SourceStats>,
    /// Why the figures may be too low: manifests and lists that cannot be read.
    pub unreadable: Vec<String>,
}

/// Counts. Nothing is changed; a snapshot needs a whole pack also where it refers to a part of it.
///
/// # Errors
/// [`Error::Absent`] when the repository knows no such node or source; what the store gives.
pub fn run(ctx: &Context, options: &Options) -> Result<Outcome, Error> {
    let remote = Remote::open(ctx)?;
    let node = options.node.as_ref().unwrap_or(&ctx.node);
    ctx.meter.set_phase("counting");
    let files = marks::list(&remote, node)?;
    let mut inventory = Inventory::new(&work_folder(ctx)?);
    inventory.list(ctx, &remote, node)?;
    let catalogue = Catalogue::read(ctx, &remote, node, None)?;
    if catalogue.listed.is_empty() {
        remote.check_node(node)?;
    }
    inventory.mark(ctx, &remote, &files)?;
    let obstacles = inventory.name(ctx, &remote, node, &catalogue, &|_, _| false)?;
    let findings = catalogue.findings.iter().map(|finding| format!("{}: {}", finding.object, finding.problem));
    let unreadable = findings.chain(obstacles.iter().map(ToString::to_string)).collect();

    // Places as the inventory gives them out: sources in order, snapshots in order.
    let ids: Vec<_> = catalogue.listed.keys().collect();
    let mut unique = vec![Tally::default(); ids.len()];
    let mut names: Vec<&SourceName> = ids.iter().map(|(source, _)| source).collect();
    names.dedup();
    let mut by_source = vec![Tally::default(); names.len()];
    let [mut live, mut shared, mut marked, mut waste] = [Tally::default(); 4];
    let others = Tally { objects: inventory.others.0, bytes: inventory.others.1 };
    let mut looking = options.dead.then(|| work_folder(ctx).map(dead::Looking::new)).transpose()?;
    let mut groups = inventory.groups()?;
    while let Some(group) = groups.next()? {
        let Some(size) = group.listed.map(|listed| listed.size) else { continue };
        looking.as_mut().map_or(Ok(()), |looking| looking.take(&group))?;
        match group.named {
            Some((first, last)) => {
                live.add(size);
                if first.source == last.source { &mut by_source[first.source as usize] } else { &mut shared }.add(size);
                if first == last {
                    unique[first.snapshot as usize].add(size);
                }
            }
            None if group.marks.is_empty() => waste.add(size),
            None => marked.add(size),
        }
    }
    let counted = looking.map(|looking| looking.count(ctx, &remote, node, names.len())).transpose()?;
    let (dead, dead_by_source, dead_unknown) = match counted {
        Some(Ok((dead, by_source))) => (Some(dead), by_source.into_iter().map(Some).collect(), None),
        Some(Err(why)) => (None, Vec::new(), Some(why)),
        None => (None, Vec::new(), None),
    };
    let mut sources: Vec<SourceStats> = Vec::new();
    for (place, (source, live)) in names.iter().zip(by_source).enumerate() {
        let of_source = ids.iter().zip(&unique).filter(|((name, _), _)| name == *source);
        let snapshots = of_source.filter_map(|(id, unique)| {
            let stored_bytes = catalogue.snapshots.get(*id)?.head.stored_bytes;
            Some(SnapshotStats { id: id.1, stored_bytes, unique: *unique })
        });
        let dead = dead_by_source.get(place).copied().flatten();
        sources.push(SourceStats { source: (*source).clone(), live, dead, snapshots: snapshots.collect() });
    }
    if let Some(wanted) = &options.source {
        sources.retain(|source| source.source == *wanted);
        if sources.is_empty() {
            return Err(Error::Absent(format!("the repository holds nothing of the source `{wanted}` of {node}")));
        }
    }
    Ok(Outcome { node: node.clone(), live, shared, marked, waste, dead, dead_unknown, others, sources, unreadable })
}
