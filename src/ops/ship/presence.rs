//! Which objects of this node can be relied on: there, at their recorded size, not marked for deletion, not known as damaged.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;

use serde::Deserialize;

use crate::format::digest::Digest;
use crate::format::key::{Key, NodeKey};
use crate::format::limits::RECORDS_MAX;
use crate::ops::node::Remote;
use crate::ops::{Context, Error, verify};

/// The packs and file lists that a writer may refer to.
#[derive(Debug, Default)]
pub(super) struct Presence {
    unreliable: HashSet<String>,
}

/// Objects by key, with the size that they should have.
pub(super) type Wanted = BTreeMap<String, u64>;

#[derive(Deserialize)]
struct Mark {
    object: String,
}

impl Presence {
    /// Reads the marks and the verdicts.
    pub(super) fn read(ctx: &Context, remote: &Remote) -> Result<Self, Error> {
        let mut unreliable: HashSet<String> = verify::known(ctx, remote, &ctx.node)?.iter().map(|check| check.object.clone()).collect();
        for key in keys(remote, &format!("{}/prune/", ctx.node))? {
            let text = match remote.store.get(&key, RECORDS_MAX as u64) {
                Ok(text) => text,
                // Its deletions are done; what they deleted is missing from the listing that follows.
                Err(error) if error.is_absent() => continue,
                Err(error) => return Err(error.into()),
            };
            for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let mark: Mark = serde_json::from_slice(line).map_err(|cause| Error::unreadable(&key)(cause.into()))?;
                unreliable.insert(mark.object);
            }
        }
        Ok(Self { unreliable })
    }

    /// Lists the node's packs and file lists, and gives those of `wanted` that cannot be relied on.
    pub(super) fn missing(&self, ctx: &Context, remote: &Remote, wanted: &Wanted) -> Result<BTreeSet<String>, Error> {
        let mut missing: BTreeSet<String> = wanted.keys().cloned().collect();
        for folder in ["packs", "files"] {
            let prefix = format!("{}/{folder}/", ctx.node);
            if !wanted.keys().any(|key| key.starts_with(&prefix)) {
                continue;
            }
            remote.store.list(&prefix, &mut |object| {
                if wanted.get(&object.key) == Some(&object.size) && !self.unreliable.contains(&object.key) {
                    missing.remove(&object.key);
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok(missing)
    }
}

/// The key of a pack of this node.
pub(super) fn pack_key(ctx: &Context, name: Digest) -> String {
    NodeKey::pack(name).of(&ctx.node).to_string()
}

/// All keys below a prefix.
pub(super) fn keys(remote: &Remote, prefix: &str) -> Result<Vec<String>, Error> {
    let mut keys = Vec::new();
    remote.store.list(prefix, &mut |object| {
        keys.push(object.key);
        ControlFlow::Continue(())
    })?;
    Ok(keys)
}

/// Ids of a source that were removed on purpose: they never come back.
pub(super) fn removed(
    ctx: &Context,
    remote: &Remote,
    source: &crate::format::names::SourceName,
) -> Result<BTreeSet<crate::format::snapshot_id::SnapshotId>, Error> {
    let keys = keys(remote, &format!("{}/removed/{source}/", ctx.node))?;
    Ok(keys
        .iter()
        .filter_map(|key| match Key::parse(key) {
            Some(Key::Of(_, NodeKey::Removed(_, id))) => Some(id),
            _ => None,
        })
        .collect())
}
