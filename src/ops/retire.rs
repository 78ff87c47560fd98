//! Local retention: a new copy is complete before the oldest of one too many goes.

use std::collections::BTreeSet;
use std::fs;

use super::catalogue;
use super::copies::{self, Copies};
use super::event::Event;
use super::locks;
use super::node::Remote;
use super::spec::SourceSpec;
use super::{Context, Error, removals};
use crate::format::snapshot_id::SnapshotId;
use crate::sys::lock::Lock;

/// Removes the copies of a source that are too many; gives their ids. The caller holds the source's lock.
///
/// A copy that somebody reads or ships stays, and goes the next time.
///
/// # Errors
/// What the file system gives.
pub fn retire(ctx: &Context, spec: &SourceSpec, dry_run: bool) -> Result<Vec<SnapshotId>, Error> {
    let copies = Copies::read(ctx, &spec.name)?;
    let mut all = Vec::with_capacity(copies.complete.len() + 1);
    // A copy that is known to be damaged takes no sound one's place; it goes once there are enough others.
    for copy in copies.complete.iter().filter(|copy| copy.damage.is_none()) {
        all.push((copy.id(), copy.is_sound(), is_held(ctx, spec, copy.id(), dry_run)?));
    }
    if dry_run {
        // The copy that would be there.
        all.push((copies::next_id(ctx, &spec.name)?, true, false));
    }
    let mut going = copies::expire(&all, spec.keep);
    if all.len() >= spec.keep {
        for copy in copies.complete.iter().filter(|copy| copy.damage.is_some()) {
            if !is_held(ctx, spec, copy.id(), dry_run)? {
                going.push(copy.id());
            }
        }
    }
    if dry_run {
        return Ok(going);
    }
    let shipped = catalogue::cached_ids(ctx, &spec.name)?;
    let mut removed = None;
    let mut gone = Vec::with_capacity(going.len());
    for id in going {
        let copy = copies.find(id).expect("it has just been read");
        match copies::remove(ctx, copy) {
            Ok(()) => {}
            // Somebody has begun to read it since it was looked at.
            Err(Error::Refused(_)) => continue,
            Err(error) => return Err(error),
        }
        ctx.tell(Event::CopyRemoved { source: spec.name.clone(), snapshot: id, why: format!("{} newer copies are complete", spec.keep) });
        // Whoever ships nothing at all has chosen that.
        if !shipped.is_empty() && !shipped.contains(&id) {
            // What was shipped and then removed on purpose is not remembered here; the repository says so, where it can be asked.
            let known = match removed.get_or_insert_with(|| removed_ids(ctx, spec)) {
                Some(removed) if removed.contains(&id) => None,
                Some(_) => Some("it was never shipped"),
                None => Some("it was never shipped, as far as this node knows"),
            };
            if let Some(known) = known {
                ctx.warn(Some(&spec.name), format!("the local copy {id} has gone for {} newer ones, and {known}", spec.keep));
            }
        }
        gone.push(id);
    }
    Ok(gone)
}

/// Snapshots of a source that are recorded as removed; `None` where the repository does not answer soon.
fn removed_ids(ctx: &Context, spec: &SourceSpec) -> Option<BTreeSet<SnapshotId>> {
    let remote = Remote::open_briefly(ctx).ok()?;
    removals::of_source(&remote, &ctx.node, &spec.name).ok()
}

/// Retention after a shipment, when a copy that was held for it may go. Another run on the source does it itself, later.
///
/// # Errors
/// As [`retire`].
pub fn after_shipping(ctx: &Context, spec: &SourceSpec) -> Result<(), Error> {
    match locks::source(ctx, &spec.name, locks::Task::Retention, None) {
        Ok(_lock) => retire(ctx, spec, false).map(|_| ()),
        Err(Error::System(crate::sys::Error::Locked { .. })) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether somebody reads or ships a copy. A lock file that is only left over is removed, but not where one `only_looks`.
fn is_held(ctx: &Context, spec: &SourceSpec, id: SnapshotId, only_looks: bool) -> Result<bool, Error> {
    let path = ctx.state()?.copy_lock(&spec.name, id)?;
    if !path.exists() {
        return Ok(false);
    }
    let free = Lock::try_exclusive_quiet(&path)?;
    if free.is_some() && !only_looks {
        // Nobody holds it, so its file is only left over.
        let _ = fs::remove_file(&path);
    }
    Ok(free.is_none())
}
