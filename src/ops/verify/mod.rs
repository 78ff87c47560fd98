//! `verify`: proves that stored bytes are what the manifests say.
//!
//! [`scope`]: what was asked for. The repository, from the outside in: [`identity`] (marker and node files), [`manifests`] (heads and
//! bodies), [`needs`] (what they name, sorted on disk), [`presence`] (against a listing), [`records`] (what lies beside the snapshots),
//! [`strangers`] (beside the nodes), [`stored_lists`] and [`stored_packs`] (every stored byte), [`places`] (what lists say of packs, against
//! what packs hold). Then [`local`] copies.
//! [`verdicts`] is what is remembered of it.

mod identity;
mod local;
mod manifests;
mod needs;
mod places;
mod presence;
mod records;
mod report;
mod scope;
mod stored_lists;
mod stored_packs;
mod strangers;
mod verdicts;

use std::collections::BTreeSet;

use serde::Serialize;

use super::catalogue::{Catalogue, list_heads};
pub use super::damage::Damage;
use super::error::chain;
use super::name::SnapshotName;
use super::node::Remote;
use super::work::work_folder;
use super::{Context, Error, bodies};
use crate::format::check::{Level, Verdict};
use crate::format::marker::Encryption;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use needs::{Needs, Seen};
pub(crate) use places::PLACE_NOT_HELD;
use places::Places;
use report::{Fault, Report};
use scope::Scope;
pub(crate) use verdicts::{INSIDE, superseded, write as record_verdicts};
pub(crate) use verdicts::{Recorded, recorded};
pub use verdicts::{damaged_manifests, known, known_damage_in, known_damage_of};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// How deep to look.
    pub level: Level,
    /// Only these snapshots; empty = everything the repository holds of the node, and the local copies.
    pub snapshots: Vec<SnapshotName>,
    /// Another node's part of the repository.
    pub node: Option<NodeName>,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Objects.
    pub objects: u64,
    /// Stored bytes that were read (all bytes of listed objects for a quick look).
    pub bytes: u64,
    /// The level that was reached.
    pub level: Level,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// How much was looked at.
    pub checked: Checked,
    /// Why a shallower level was reached than was asked for; `None` when it was reached.
    pub lowered: Option<String>,
    /// Objects that are sealed to recipients whose identities are not among those that this run was given.
    pub closed: u64,
    /// Snapshots that were looked at, in the repository.
    pub snapshots: u64,
    /// Local copies that were looked at.
    pub local_copies: u64,
    /// What is damaged or missing.
    pub damage: Vec<Damage>,
    /// What is known to be damaged, and no manifest that counts needs any more: a higher number has taken its place, or its snapshots were
    /// removed. It is no loss.
    pub superseded: Vec<Damage>,
    /// Objects that no manifest names (left by a broken run; prune removes them).
    pub unreferenced: u64,
    /// Objects whose names or versions this program does not know; they are no damage, and nobody deletes them.
    pub unexpected: Vec<String>,
    /// Why the repository could not be looked at, when it could not.
    pub unreachable: Option<String>,
}

/// Verifies; verdicts are recorded in the repository, so the next `backup` stores what is damaged anew.
///
/// When the repository cannot be reached, local copies are verified all the same, unless only the repository was asked for.
///
/// # Errors
/// What the store gives. Damage is in the outcome, not an error.
pub fn run(ctx: &Context, options: &Options) -> Result<Outcome, Error> {
    let mut report = Report::new(options.level);
    ctx.meter.set_phase("verifying");
    let node = options.node.as_ref().unwrap_or(&ctx.node);
    let local = ctx.local.is_some() && *node == ctx.node;
    let scope = Scope::of(ctx, options, &mut report)?;
    let unreachable = match verify_repository(ctx, node, &scope, &mut report) {
        Ok(()) => None,
        Err(error) if local && (error.is_unreachable() || matches!(error, Error::Absent(_))) => Some(error),
        Err(error) => return Err(error),
    };
    if local {
        for source in scope.sources(ctx)? {
            local::check_source(ctx, &source, scope.ids_of(&source).as_deref(), &mut report)?;
        }
    }
    match unreachable {
        // With nothing on this machine to look at either, there is nothing to report on.
        Some(error) if report.local_copies == 0 && report.faults.is_empty() => Err(error),
        unreachable => Ok(report.into_outcome(unreachable.map(|error| chain(&error)))),
    }
}

/// Reads every byte of one local copy, and remembers beside it what was found; what is not sound is given.
///
/// # Errors
/// What the file system gives for the copy as a whole.
pub(crate) fn local_copy(ctx: &Context, source: &SourceName, id: SnapshotId) -> Result<Outcome, Error> {
    let mut report = Report::new(Level::Full);
    ctx.meter.set_phase("verifying");
    local::check_source(ctx, source, Some(&[id]), &mut report)?;
    Ok(report.into_outcome(None))
}

fn verify_repository(ctx: &Context, node: &NodeName, scope: &Scope, report: &mut Report) -> Result<(), Error> {
    let work = work_folder(ctx)?;
    let (known, bad_checks) = verdicts::fold(ctx.store()?, node)?;
    report.known = known;
    for (key, problem) in bad_checks {
        report.fault(key, None, problem);
    }
    let Some(remote) = identity::open(ctx, node, report)? else { return Ok(()) };
    lower_without_identity(&remote, report)?;
    let catalogue = Catalogue::read(ctx, &remote, node, None)?;
    manifests::take_findings(&catalogue, &|snapshot| scope.wants(snapshot), report);
    let heads = list_heads(&remote, node)?;
    if scope.is_all() {
        manifests::find_lost(ctx, &remote, &catalogue, node, report)?;
    }
    let mut needs = Needs::new(&work, node);
    for (id, shipped) in catalogue.snapshots.iter().filter(|(id, _)| scope.wants(&manifests::name_of(id))) {
        ctx.stop.check()?;
        report.snapshots += 1;
        if let Some(body) = manifests::check(&remote, shipped, report)? {
            needs.body(&body, Seen::Needed, &manifests::name_of(id))?;
        }
        for n in heads.get(id).into_iter().flat_map(|numbers| numbers.range(..shipped.n())) {
            if let Some(body) = bodies::read(&remote, node, &(id.0.clone(), id.1, *n))? {
                needs.body(&body, Seen::Named, &manifests::name_of(id))?;
            }
        }
    }
    needs.read_pack_lists(ctx, &remote, report)?;
    let needs_are_known = report.names_all_needs();
    // The manifests were read first, so what they name is in the listing unless it is lost.
    let node_files = presence::list(ctx, &remote, node, &mut needs, scope.is_all(), report)?;
    if scope.is_all() {
        strangers::look(ctx, &remote, report)?;
    }
    identity::check_node_files(&remote.store, node, &node_files, report)?;
    presence::compare(needs.take_objects(), scope.is_all(), report)?;
    if report.level > Level::Quick {
        let mut places = Places::new(&work);
        stored_lists::check(ctx, &remote, node, &mut needs, &mut places, &work, report)?;
        stored_packs::check(ctx, &remote, node, &mut needs, &places, report)?;
        if scope.is_all() {
            records::check(ctx, &remote, node, report)?;
        }
        places.compare(&remote.objects(node), report)?;
    }
    forget_removed(&remote, node, report)?;
    if scope.is_all() && needs_are_known {
        report.find_superseded();
    }
    verdicts::record(ctx, &remote, node, report);
    Ok(())
}

/// Who has no identity at all proves stored bytes: they need no key.
fn lower_without_identity(remote: &Remote, report: &mut Report) -> Result<(), Error> {
    if remote.marker.encryption == Encryption::Age && report.level > Level::Stored && remote.keys.identities()?.is_none() {
        report.level = Level::Stored;
        report.lowered = Some("the repository is encrypted, and this run has no identity that opens it".into());
    }
    Ok(())
}

/// What is missing for a snapshot that was removed meanwhile is no damage: only a fresh listing can tell.
fn forget_removed(remote: &Remote, node: &NodeName, report: &mut Report) -> Result<(), Error> {
    let doubtful = |fault: &Fault| !fault.firm && fault.snapshot.is_some() && fault.problem.verdict == Some(Verdict::Missing);
    if report.faults.values().any(doubtful) {
        let heads = list_heads(remote, node)?;
        let there: BTreeSet<String> = heads.keys().map(manifests::name_of).collect();
        report.faults.retain(|_, fault| !doubtful(fault) || fault.snapshot.as_ref().is_some_and(|snapshot| there.contains(snapshot)));
    }
    Ok(())
}
