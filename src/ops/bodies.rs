//! Manifest bodies by number: also of manifests that do not count, which protect what they name and may name what others have lost.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::Error;
use super::damage::settle;
use super::node::Remote;
use crate::format::body::Body;
use crate::format::key::{Key, NodeKey};
use crate::format::limits::BODY_MAX;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;

/// A body: source, snapshot, number.
pub(super) type BodyId = (SourceName, SnapshotId, u32);

/// The bodies that the store lists of a node, or of one of its sources.
///
/// # Errors
/// What the store gives.
pub(super) fn list(remote: &Remote, node: &NodeName, source: Option<&SourceName>) -> Result<BTreeSet<BodyId>, Error> {
    let prefix = source.map_or_else(|| format!("{node}/manifests/"), |source| format!("{node}/manifests/{source}/"));
    let mut bodies = BTreeSet::new();
    remote.store.list(&prefix, &mut |object| {
        if let Some(Key::Of(_, NodeKey::Body(source, id, n))) = Key::parse(&object.key) {
            bodies.insert((source, id, n));
        }
        ControlFlow::Continue(())
    })?;
    Ok(bodies)
}

/// A body as it is stored, compared with the digest that it ends with; `None` when it is not whole.
///
/// # Errors
/// What concerns the store as a whole.
pub(super) fn read(remote: &Remote, node: &NodeName, body: &BodyId) -> Result<Option<Body>, Error> {
    let key = NodeKey::Body(body.0.clone(), body.1, body.2).of(node).to_string();
    let text = settle(remote.store.get(&key, BODY_MAX as u64))?;
    Ok(text.ok().and_then(|text| Body::from_text(&text).ok()))
}
