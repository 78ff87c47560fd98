//! What the bucket keeps of what is deleted. Pruning goes without knowing it: it is for whoever wonders why a bucket does not shrink.

use super::Outcome;
use crate::format::names::NodeName;
use crate::ops::Error;
use crate::ops::node::Remote;

/// Asks the bucket. Where an object that was just stored got no version, it keeps none, and nothing is asked; a dry run stores nothing, so it
/// does not know and asks.
pub(super) fn ask(remote: &Remote, node: &NodeName, dry_run: bool, outcome: &mut Outcome) -> Result<(), Error> {
    let store = &remote.store;
    outcome.untold.extend(store.cannot_tell().map(str::to_owned));
    if dry_run {
        outcome.keeps_versions = outcome.told(store.keeps_versions())?.unwrap_or(false);
    }
    if outcome.keeps_versions {
        outcome.noncurrent = outcome.told(store.old_versions(&format!("{node}/")))?.flatten();
        outcome.object_lock = outcome.told(store.bucket_lock())?.flatten();
    }
    Ok(())
}
