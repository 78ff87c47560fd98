//! Snapshots that somebody remembers, and that are neither listed nor recorded as removed.

use std::collections::BTreeMap;
use std::fs;

use super::catalogue::{Catalogue, list_heads};
use super::node::Remote;
use super::{Context, Error, removals};
use crate::format::key::NodeKey;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;

/// A snapshot of a node.
type Id = (SourceName, SnapshotId);

/// A snapshot that was in the repository and is not.
#[derive(Debug)]
pub(super) struct Lost {
    /// The snapshot.
    pub(super) id: Id,
    /// The head that is missing.
    pub(super) object: String,
    /// Who knows of it.
    pub(super) problem: String,
}

/// Finds snapshots whose heads are lost: other heads name them, or this node has read them in this very repository before.
///
/// # Errors
/// What the store gives.
pub(super) fn find(ctx: &Context, remote: &Remote, catalogue: &Catalogue, node: &NodeName) -> Result<Vec<Lost>, Error> {
    let mut remembered: BTreeMap<Id, String> = cached(ctx, remote, node);
    for shipped in catalogue.snapshots.values() {
        let head = &shipped.head;
        let previous = head.previous.map(|id| (head.source.clone(), id));
        let others = head.newest.iter().map(|(source, id)| (source.clone(), *id));
        remembered.extend(previous.into_iter().chain(others).map(|id| (id, shipped.head_key())));
    }
    remembered.retain(|id, _| catalogue.listed.get(id).is_none_or(|numbers| numbers.heads.is_empty()));
    if remembered.is_empty() {
        return Ok(Vec::new());
    }
    let removed = removals::of_node(remote, node)?;
    remembered.retain(|id, _| !removed.contains(id));
    if remembered.is_empty() {
        return Ok(Vec::new());
    }
    // What was shipped since the first listing is no loss, nor is what was shipped and removed since: its record is older than that its head
    // is gone, so it is looked for after the heads.
    let now = list_heads(remote, node)?;
    remembered.retain(|id, _| !now.contains_key(id));
    if remembered.is_empty() {
        return Ok(Vec::new());
    }
    let removed = removals::of_node(remote, node)?;
    remembered.retain(|id, _| !removed.contains(id));
    Ok(remembered
        .into_iter()
        .map(|(id, by)| {
            let n = catalogue.highest_number(&id).max(1);
            let object = NodeKey::Head(id.0.clone(), id.1, n).of(node).to_string();
            Lost { id, object, problem: format!("it is missing: {by} knows of it, and no record says that it was removed") }
        })
        .collect())
}

/// Snapshots whose heads this node has read in this very repository before.
fn cached(ctx: &Context, remote: &Remote, node: &NodeName) -> BTreeMap<Id, String> {
    let mut known = BTreeMap::new();
    let Ok(state) = ctx.state() else { return known };
    let folder = state.path(&["heads", &remote.marker.repository, node.as_str(), "manifests"]);
    for source in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Some(name) = source.file_name().to_str().and_then(|name| name.parse::<SourceName>().ok()) else { continue };
        for head in fs::read_dir(source.path()).into_iter().flatten().flatten() {
            let id = head.file_name().to_str().and_then(|file| file.split('.').next()?.parse().ok());
            if let Some(id) = id {
                known.insert((name.clone(), id), "this node".to_owned());
            }
        }
    }
    known
}
