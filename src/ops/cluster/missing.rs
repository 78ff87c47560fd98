//! Snapshots that other heads remember and that are gone: a source that has lost its newest manifests, or all of them, would show no trace
//! of it otherwise.

use std::collections::BTreeMap;

use crate::format::head::Head;
use crate::format::key::{Key, NodeKey};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::ops::node::Remote;
use crate::ops::{Context, Error};

/// The newest snapshot of each source that is listed, and the newest one that a head names.
#[derive(Debug, Default)]
pub(super) struct Missing {
    listed: BTreeMap<SourceName, SnapshotId>,
    named: BTreeMap<SourceName, SnapshotId>,
}

impl Missing {
    /// A head of this snapshot is listed.
    pub(super) fn is_listed(&mut self, source: &SourceName, id: SnapshotId) {
        raise(&mut self.listed, source, id);
    }

    /// What a head names was there when it was written.
    pub(super) fn names(&mut self, head: &Head) {
        for (source, id) in head.newest.iter().chain(head.previous.as_ref().map(|id| (&head.source, id))) {
            raise(&mut self.named, source, *id);
        }
    }

    /// Those that are named, newer than all that is listed, and that nobody has removed.
    ///
    /// # Errors
    /// What the store gives.
    pub(super) fn find(self, ctx: &Context, remote: &Remote, node: &NodeName) -> Result<Vec<(SourceName, SnapshotId)>, Error> {
        let mut missing = Vec::new();
        for (source, id) in self.named {
            if self.listed.get(&source).is_some_and(|newest| *newest >= id) {
                continue;
            }
            // It may have been shipped while manifests were listed; and a record is older than that the head it speaks of is gone.
            let record = NodeKey::Removed(source.clone(), id).of(node).to_string();
            if !has_head(ctx, remote, node, &source, id)? && remote.store.stat(&record)?.is_none() {
                missing.push((source, id));
            }
        }
        Ok(missing)
    }
}

fn raise(map: &mut BTreeMap<SourceName, SnapshotId>, source: &SourceName, id: SnapshotId) {
    let newest = map.entry(source.clone()).or_insert(id);
    *newest = id.max(*newest);
}

fn has_head(ctx: &Context, remote: &Remote, node: &NodeName, source: &SourceName, id: SnapshotId) -> Result<bool, Error> {
    let mut is_there = false;
    remote.each_object(ctx, &format!("{node}/manifests/{source}/"), &mut |object| {
        is_there |= matches!(Key::parse(&object.key), Some(Key::Of(_, NodeKey::Head(_, of, _))) if of == id);
        Ok(())
    })?;
    Ok(is_there)
}
