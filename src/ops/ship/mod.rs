//! `ship`: brings local copies into the repository.
//!
//! [`one`] ships one snapshot in two passes over its lines: [`packing`] puts blobs that the repository does not have into packs,
//! [`listing`] writes file lists that say where each blob lies; [`commit`] writes the manifest.
//! [`again`] does the same for a snapshot that is to be healed.
//! [`known`] is where blobs lie already, [`presence`] which of those objects can be relied on, [`journal`] what a broken run had
//! sent, [`numbers`] the manifest numbers that are used up.

mod again;
mod commit;
mod journal;
mod known;
mod listing;
mod numbers;
mod one;
mod packing;
mod presence;

pub(crate) use again::{Again, Facet, Found, ship_again};
pub(crate) use listing::KnownLists;
pub(crate) use numbers::UsedNumbers;
pub(crate) use packing::{CopySupply, local_damage};
pub(crate) use presence::{Object, Presence};

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::catalogue::{Catalogue, Shipped};
use super::copies::{Copies, Copy};
use super::event::Event;
use super::last_failure::{self, Work};
use super::locks::{self, Waiting};
use super::node::{Remote, check_local_tier};
use super::spec::SourceSpec;
use super::{Context, Error, removals, retire};
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Only this snapshot; else all that are not there yet, oldest first.
    pub snapshot: Option<SnapshotId>,
    /// How long to wait for another shipment.
    pub wait: Waiting,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// A snapshot that was (or would be) shipped.
#[derive(Debug, Serialize)]
pub struct Shipment {
    /// The source.
    pub source: SourceName,
    /// The snapshot.
    pub id: SnapshotId,
    /// Regular files and hard links.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Stored bytes that it added; 0 in a dry run.
    pub added_bytes: u64,
    /// Stored bytes that it needs; 0 in a dry run.
    pub stored_bytes: u64,
    /// What went wrong while it was taken, as it stands in its head.
    pub problems: Vec<crate::format::head::ProblemCount>,
}

/// What came of shipping a source.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was (or would be) shipped, oldest first.
    pub shipped: Vec<Shipment>,
    /// Copies that were passed over, so that newer ones reach the repository, each with the reason.
    pub failed: Vec<(SnapshotId, Error)>,
}

impl Outcome {
    /// What was shipped, or the first reason why not all was.
    ///
    /// # Errors
    /// That of the first copy that was passed over.
    pub fn complete(self) -> Result<Vec<Shipment>, Error> {
        self.failed.into_iter().next().map_or(Ok(self.shipped), |(_, error)| Err(error))
    }
}

/// Ships what the repository does not have of this source. A run that was broken off is taken up where it stopped.
///
/// A copy that itself cannot be shipped (it is damaged, too large for the format, cannot be read) is passed over: a manifest names what was
/// shipped before it, not every id, so newer copies need not wait for it.
///
/// # Errors
/// [`Error::Refused`] when the node's name belongs to another machine; what the store gives. Shipments before the failing one stay.
pub fn run(ctx: &Context, source: &SourceName, options: &Options) -> Result<Outcome, Error> {
    let spec = ctx.source(source)?;
    // Before anything is kept: it would land beneath the mount point.
    check_local_tier(ctx)?;
    let outcome = ship(ctx, spec, options);
    if !options.dry_run {
        let failed = outcome.as_ref().map_or_else(Some, |outcome| outcome.failed.first().map(|(_, error)| error));
        last_failure::remember(ctx, source, Work::Shipment, failed);
    }
    outcome
}

fn ship(ctx: &Context, spec: &SourceSpec, options: &Options) -> Result<Outcome, Error> {
    let source = &spec.name;
    // A dry run only looks: it takes no lock and keeps nothing of what it reads.
    let _lock = if options.dry_run { None } else { Some(locks::shipping(ctx, &format!("ship {source}"), options.wait)?) };
    let remote = Remote::open_for_shipping(ctx)?;
    ctx.phase(source, None, "planning");
    let copies = Copies::read(ctx, source)?;
    let mut catalogue =
        if options.dry_run { Catalogue::glance(ctx, &remote, &ctx.node, None)? } else { Catalogue::read(ctx, &remote, &ctx.node, None)? };
    let removed = removals::of_source(&remote, &ctx.node, source)?;
    if !options.dry_run {
        numbers::UsedNumbers::of(ctx, &remote, source)?.tidy(&copies, &catalogue, source)?;
    }
    let mut outcome = Outcome::default();
    for copy in choose(&copies, &catalogue, &removed, spec, options)? {
        if options.dry_run {
            outcome.shipped.push(shipment(copy, 0, 0));
            continue;
        }
        let held = match copy.hold(ctx) {
            // Another run's retention was faster; newer copies are still to be shipped.
            Err(Error::Absent(why)) if options.snapshot.is_none() => {
                ctx.warn(Some(source), format!("{source}/{} was not shipped: {why}", copy.id()));
                continue;
            }
            held => held?,
        };
        match one::ship(ctx, &remote, spec, copy, &catalogue) {
            Ok(head) => {
                outcome.shipped.push(shipment(copy, head.added_bytes, head.stored_bytes));
                ctx.tell(Event::Shipped {
                    source: source.clone(),
                    snapshot: copy.id(),
                    added_bytes: head.added_bytes,
                    stored_bytes: head.stored_bytes,
                });
                catalogue.snapshots.insert((source.clone(), copy.id()), Shipped { head: Box::new(head), lower: Vec::new() });
            }
            Err(error) if error.is_stopped() || matches!(error, Error::Repository(_)) => return Err(error),
            Err(error) => {
                // Damage may as well have been found in the repository, which says nothing of the copy.
                if matches!(&error, Error::Damaged { object, .. } if Path::new(object).starts_with(&copy.dir)) {
                    copy.note_damage(ctx, super::error::chain(&error))?;
                }
                outcome.failed.push((copy.id(), error));
            }
        }
        drop(held);
        // A copy that was held beyond the number of copies may go now.
        retire::after_shipping(ctx, spec)?;
    }
    Ok(outcome)
}

/// The copies to be shipped, oldest first.
fn choose<'c>(
    copies: &'c Copies,
    catalogue: &Catalogue,
    removed: &BTreeSet<SnapshotId>,
    spec: &SourceSpec,
    options: &Options,
) -> Result<Vec<&'c Copy>, Error> {
    let shipped = |id: SnapshotId| catalogue.snapshots.contains_key(&(spec.name.clone(), id));
    let Some(id) = options.snapshot else {
        return Ok(copies.complete.iter().filter(|copy| !shipped(copy.id()) && !removed.contains(&copy.id())).collect());
    };
    let copy = copies.find(id).ok_or_else(|| Error::Absent(format!("there is no local copy {}/{id} to ship", spec.name)))?;
    if removed.contains(&id) {
        return Err(Error::Refused(format!("{}/{id} was removed from the repository on purpose, and an id never comes back", spec.name)));
    }
    Ok(if shipped(id) { Vec::new() } else { vec![copy] })
}

fn shipment(copy: &Copy, added_bytes: u64, stored_bytes: u64) -> Shipment {
    let record = &copy.record;
    Shipment {
        source: record.source.clone(),
        id: record.id,
        files: record.files,
        bytes: record.bytes,
        added_bytes,
        stored_bytes,
        problems: record.problems.clone(),
    }
}
