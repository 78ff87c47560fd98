//! Removing shipped snapshots: the record first, then the manifests, lowest number first and of each the head before the body.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::listed::Numbers;
use super::node::Remote;
use super::{Context, Error};
use crate::format::key::{Key, NodeKey};
use crate::format::limits::FORMAT_VERSION;
use crate::format::names::{NodeName, SourceName};
use crate::format::removal::Removal;
use crate::format::snapshot_id::SnapshotId;
use crate::repository;

/// A snapshot of a node.
type Id = (SourceName, SnapshotId);

/// The snapshots of a node that are recorded as removed: they never come back.
///
/// # Errors
/// What the store gives.
pub(super) fn of_node(remote: &Remote, node: &NodeName) -> Result<BTreeSet<Id>, Error> {
    listed(remote, &format!("{node}/removed/"), &|_| true)
}

/// Those of these snapshots that are recorded as removed.
///
/// # Errors
/// What the store gives.
pub(super) fn among(remote: &Remote, node: &NodeName, wanted: &BTreeSet<Id>) -> Result<BTreeSet<Id>, Error> {
    listed(remote, &format!("{node}/removed/"), &|id| wanted.contains(id))
}

/// Ids of a source that are recorded as removed.
///
/// # Errors
/// What the store gives.
pub(super) fn of_source(remote: &Remote, node: &NodeName, source: &SourceName) -> Result<BTreeSet<SnapshotId>, Error> {
    Ok(listed(remote, &format!("{node}/removed/{source}/"), &|_| true)?.into_iter().map(|(_, id)| id).collect())
}

fn listed(remote: &Remote, prefix: &str, is_wanted: &dyn Fn(&Id) -> bool) -> Result<BTreeSet<Id>, Error> {
    let mut ids = BTreeSet::new();
    remote.store.list(prefix, &mut |object| {
        if let Some(Key::Of(_, NodeKey::Removed(source, id))) = Key::parse(&object.key)
            && is_wanted(&(source.clone(), id))
        {
            ids.insert((source, id));
        }
        ControlFlow::Continue(())
    })?;
    Ok(ids)
}

/// Records that a snapshot is removed; one that is recorded already stays as it is.
///
/// # Errors
/// What the store gives; that the credential may not is one too.
pub(super) fn record(ctx: &Context, remote: &Remote, node: &NodeName, id: &Id, why: &str) -> Result<(), repository::Error> {
    let removal = Removal { format: FORMAT_VERSION, id: id.1, time: ctx.clock.now(), why: why.to_owned(), by: ctx.node.to_string() };
    let key = NodeKey::Removed(id.0.clone(), id.1).of(node).to_string();
    match remote.store.create(&key, removal.to_text().into()) {
        // Another prune was faster.
        Err(repository::Error::Taken { .. }) => Ok(()),
        created => created,
    }
}

/// Deletes the manifests of a snapshot that is recorded as removed.
///
/// # Errors
/// What the store gives; a denied delete is one too.
pub(super) fn delete(ctx: &Context, remote: &Remote, node: &NodeName, id: &Id, numbers: &Numbers) -> Result<(), repository::Error> {
    for n in numbers.all() {
        let (source, snapshot) = id;
        let head = NodeKey::Head(source.clone(), *snapshot, n).of(node).to_string();
        if numbers.heads.has(n) {
            remote.store.delete(&head)?;
            super::catalogue::forget(ctx, remote, &head);
        }
        if numbers.bodies.has(n) {
            remote.store.delete(&NodeKey::Body(source.clone(), *snapshot, n).of(node).to_string())?;
        }
    }
    Ok(())
}
