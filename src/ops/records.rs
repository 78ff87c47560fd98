//! What lies beside the snapshots of a node and that nothing can be made of again: removal records, pins, marks, verdicts, coverage.

use super::damage::{Problem, settle};
use super::error::chain;
use super::node::Remote;
use super::{Context, Error};
use crate::format::FormatError;
use crate::format::coverage::Coverage;
use crate::format::key::{Key, NodeKey};
use crate::format::limits::{RECORDS_MAX, SMALL_MAX};
use crate::format::mark::Mark;
use crate::format::names::NodeName;
use crate::format::pin::Pin;
use crate::format::removal::Removal;
use crate::format::snapshot_id::SnapshotId;
use crate::format::{check, mark};
use crate::sys::random::hex;

/// A name for a record that comes after this one, the last of its kind, whatever the clocks of the machines say; `<utc>-<random>`.
pub(super) fn name_after(ctx: &Context, last: Option<&str>) -> String {
    let instant = |key: &str| key.rsplit('/').next()?.split('-').next()?.parse::<SnapshotId>().ok();
    let now = SnapshotId::from_timestamp(ctx.clock.now());
    let id = last.and_then(instant).map_or(now, |last| now.max(last.next()));
    format!("{id}-{}", hex(&*ctx.random, 8))
}

/// Whether an object is one of these.
pub(super) fn is_record(key: &NodeKey) -> bool {
    matches!(key, NodeKey::Removed(..) | NodeKey::Pin(..) | NodeKey::Prune(_) | NodeKey::Check(_) | NodeKey::Coverage(_))
}

/// What is wrong with a record, in words; `None` when it says what it should, or when a later pin has taken its place. One of an unknown
/// version is nobody's to judge.
///
/// # Errors
/// What concerns the store as a whole.
pub(super) fn problem_of(remote: &Remote, node: &NodeName, key: &NodeKey) -> Result<Option<Problem>, Error> {
    let object = key.clone().of(node).to_string();
    let at_most = if matches!(key, NodeKey::Prune(_) | NodeKey::Check(_)) { RECORDS_MAX } else { SMALL_MAX };
    let problem = match settle(remote.store.get(&object, at_most as u64))? {
        // Marks and pins go while others look.
        Err(problem) if problem == Problem::missing() => None,
        Err(problem) => Some(problem),
        Ok(text) => match read(node, key, &text) {
            Ok(()) => Problem::of_one_line(&text).filter(|_| matches!(key, NodeKey::Removed(..) | NodeKey::Pin(..))),
            Err(FormatError::Version(_)) => None,
            Err(cause) => Some(Problem::damaged(chain(&cause))),
        },
    };
    match (problem, key) {
        // Numbers are given one by one, and the highest counts.
        (Some(_), NodeKey::Pin(source, id, n)) if has_pin(remote, node, &NodeKey::Pin(source.clone(), *id, n + 1))? => Ok(None),
        (problem, _) => Ok(problem),
    }
}

fn has_pin(remote: &Remote, node: &NodeName, key: &NodeKey) -> Result<bool, Error> {
    Ok(remote.store.stat(&key.clone().of(node).to_string())?.is_some())
}

fn read(node: &NodeName, key: &NodeKey, text: &[u8]) -> Result<(), FormatError> {
    let another = || FormatError::invalid("it speaks of another snapshot than its key");
    match key {
        NodeKey::Removed(_, id) if Removal::from_text(text)?.id != *id => Err(another()),
        NodeKey::Pin(_, id, _) if Pin::from_text(text)?.id != *id => Err(another()),
        NodeKey::Prune(_) => mark::read(text).try_for_each(|mark| check_mark(node, &mark?)),
        NodeKey::Check(_) => check::read(text).map(drop),
        NodeKey::Coverage(_) => Coverage::from_text(text).map(drop),
        _ => Ok(()),
    }
}

/// Only packs, file lists and pack lists of the node are ever marked.
///
/// # Errors
/// [`FormatError::Invalid`] for a mark of anything else.
pub(super) fn check_mark(node: &NodeName, mark: &Mark) -> Result<(), FormatError> {
    match Key::parse(&mark.object) {
        Some(Key::Of(of, NodeKey::Pack { .. } | NodeKey::FileList { .. } | NodeKey::PackList(_))) if of == *node => Ok(()),
        _ => Err(FormatError::invalid("it marks what is never deleted")),
    }
}

/// What a person is to do about a damaged record.
pub(super) fn advice(key: &NodeKey) -> &'static str {
    match key {
        NodeKey::Removed(..) => {
            "the snapshot counts as removed all the same; `windlass forget SOURCE/ID --shipped`, its id written in full, removes what is left of it; \
             where nothing is, delete this object first and say the same, so that the record is written anew"
        }
        NodeKey::Pin(..) => "the snapshot counts as pinned until it is said again: `windlass pin` it, or `windlass unpin` it",
        NodeKey::Prune(_) => {
            "nobody knows any more what it marks, so prune deletes nothing and shipments refer to nothing that is as old as it: delete this \
             object while no prune runs, and the next one marks anew"
        }
        NodeKey::Coverage(_) => "what it said is in the one before it, and the next look writes another: delete this object",
        _ => "what it said is found again by `windlass verify --full`: then delete this object",
    }
}
