//! `status`: what is late, and what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::error::chain;
use super::held;
use super::last_failure::{LastFailure, Work};
use super::node::{Remote, check_local_tier};
use super::snapshot::admission;
use super::snapshots::{DAMAGED_COPY, View};
use super::spec::SourceSpec;
use super::tally::Tally;
use super::{Context, Error, removals, verify};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::repository;
use crate::sys::space;

/// What becomes of damage that is known, said once however much there is.
const MENDING: &str = "`windlass heal` makes snapshots sound again whose bytes lie intact somewhere else; `windlass show SNAPSHOT` names what \
                       each needs of it";

/// One source at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct SourceStatus {
    /// The source.
    pub source: SourceName,
    /// Its kind.
    pub kind: String,
    /// Its newest local copy.
    pub snapshot: Option<SnapshotId>,
    /// Its newest snapshot in the repository; also `None` when the repository cannot be reached.
    pub shipped: Option<SnapshotId>,
    /// Age of the newest snapshot of either tier in seconds.
    pub age_seconds: Option<i64>,
    /// How old it may get.
    pub objective_seconds: u64,
    /// Local copies.
    pub copies: usize,
    /// Bytes that the local copies of a Cassandra source alone hold, because the server has given these files up; `None` for other kinds, whose
    /// copies share nothing with the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_bytes: Option<u64>,
    /// Local copies that are not in the repository; `None` when that cannot be told.
    pub unshipped: Option<usize>,
    /// When the agent begins its next run, by what the configuration says; `None` where it makes none, and until somebody who knows the schedule
    /// has said it.
    pub next_run: Option<Timestamp>,
    /// Whether the newest snapshot, or the newest shipped one, is older than the objective.
    pub late: bool,
    /// Who is at work on what restores leave and remove, as `` `restore ellis`, process 17, since 2026-11-23T00:00:00Z ``: what that run has
    /// written down is not wrong as long as it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_way: Option<String>,
    /// What is wrong, for a person; empty when all is well.
    pub wrong: Vec<String>,
}

/// The whole node at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The node.
    pub node: NodeName,
    /// When this was said.
    pub time: Timestamp,
    /// The repository's place.
    pub repository: String,
    /// Whether nothing is late and nothing is wrong.
    pub healthy: bool,
    /// The sources.
    pub sources: Vec<SourceStatus>,
    /// What is wrong with the node as a whole.
    pub wrong: Vec<String>,
    /// Free bytes on the filesystem of local copies.
    pub free_bytes: u64,
}

/// Tells what is late and what is wrong.
///
/// # Errors
/// What the local tier gives; a repository that cannot be reached is something wrong, not an error.
pub fn run(ctx: &Context) -> Result<Outcome, Error> {
    let local = ctx.local()?;
    let now = ctx.clock.now();
    let mut wrong = Vec::new();
    let local_tier = check_local_tier(ctx);
    match &local_tier {
        Err(Error::Refused(why)) => wrong.push(why.clone()),
        _ => local_tier?,
    }
    let is_mounted = wrong.is_empty();
    let mut view = View::read(ctx, None, None)?;
    wrong.extend(view.unreachable.as_ref().map(unreadable));
    wrong.extend(view.findings.iter().map(|finding| format!("{}: {}", finding.object, finding.problem)));
    wrong.extend(view.strange.iter().cloned());
    if ctx.sources.is_empty() {
        wrong.push("the configuration names no source: nothing is backed up".into());
    }
    if view.unreachable.is_none() {
        let told: BTreeSet<&str> = view.findings.iter().map(|finding| finding.object.as_str()).collect();
        wrong.extend(known_damage(ctx, &told, is_mounted)?);
    }
    let tallies = Tally::of(&view.rows)?;
    let removed = removed(ctx, &view, &tallies)?;
    let is_known = view.unreachable.is_none();
    let status = |spec: &SourceSpec| source_status(spec, tallies.get(&spec.name), is_known.then_some(&removed), now);
    let mut sources: Vec<SourceStatus> = ctx.sources.iter().map(status).collect();
    // Where the disk of the copies is not mounted there are none, and nothing is written for them either.
    let mut held = match if is_mounted { held::by_our_copies(ctx) } else { Ok(BTreeMap::new()) } {
        Err(error) if !error.is_stopped() => {
            ctx.warn(None, format!("how much is held by local copies alone cannot be told: {}", chain(&error)));
            BTreeMap::new()
        }
        held => held?,
    };
    for source in &mut sources {
        source.held_bytes = held.remove(&source.source);
        if !is_mounted {
            source.wrong.push("its local copies cannot be seen".to_owned());
        }
        source.wrong.extend(last_failures(ctx, &source.source)?);
        let Some(remains) = view.remains.remove(&source.source) else { continue };
        source.under_way = remains.under_way;
        if remains.is_broken_off {
            let name = &source.source;
            source.wrong.push(format!("a restore or an undo was broken off; the next `snapshot` or `restore` of `{name}` settles that"));
        }
        source.wrong.extend(remains.left);
    }
    // Of sources that the configuration names no more, and that have copies here.
    wrong.extend(view.remains.into_values().flat_map(|remains| remains.left));
    // A failure may not even have been written down.
    wrong.extend(if is_mounted { admission::told_full(ctx)? } else { None });
    // Why it could not be opened is said once, below.
    let repository = ctx.store().map_or_else(|_| "not opened".to_owned(), repository::Repository::describe);
    let healthy = wrong.is_empty() && sources.iter().all(|source| !source.late && source.wrong.is_empty());
    // Before the first snapshot there is no folder yet; the one above it lies on the filesystem that will be used.
    let free_bytes = ctx.space.room(space::nearest_folder(&local.dir))?.free;
    Ok(Outcome { node: ctx.node.clone(), time: now, repository, healthy, sources, wrong, free_bytes })
}

/// Runs that did not come through, and that none has made up for since.
fn last_failures(ctx: &Context, source: &SourceName) -> Result<Vec<String>, Error> {
    let mut wrong = Vec::new();
    for work in Work::ALL {
        let failure = LastFailure::of(ctx, source, work)?;
        wrong.extend(failure.map(|failure| {
            let time = failure.time.strftime("%Y-%m-%dT%H:%M:%SZ");
            format!("the last {} failed at {time}: {}", work.word(), failure.error)
        }));
    }
    Ok(wrong)
}

/// Snapshots that were removed from the repository and are still here as copies: nobody waits for their shipment.
fn removed(ctx: &Context, view: &View, tallies: &BTreeMap<SourceName, Tally>) -> Result<BTreeSet<(SourceName, SnapshotId)>, Error> {
    let here = tallies.iter().flat_map(|(source, tally)| tally.local_only.iter().map(|id| (source.clone(), *id))).collect::<BTreeSet<_>>();
    match &view.read {
        Some(remote) if !here.is_empty() => removals::among(remote, &ctx.node, &here),
        _ => Ok(BTreeSet::new()),
    }
}

/// Why the repository is not part of what is said. A folder that is not there is named by its error already.
fn unreadable(error: &Error) -> String {
    match error {
        Error::Repository(repository::Error::FolderMissing { .. }) => super::error::chain(error),
        error => format!("the repository cannot be read: {}", super::error::chain(error)),
    }
}

/// What verification has found and nothing has mended yet, and what keeps anything from being shipped: a name that is another machine's, a
/// configuration that disagrees about encryption.
fn known_damage(ctx: &Context, told: &BTreeSet<&str>, is_mounted: bool) -> Result<Vec<String>, Error> {
    let remote = Remote::open(ctx)?;
    let mut wrong = Vec::new();
    wrong.extend(ctx.keys.check_agreement(remote.marker.encryption).err().map(|error| super::error::chain(&error)));
    match remote.check_owner(ctx) {
        Ok(()) => {}
        // Without its own identity, a machine cannot say that the name is another's.
        Err(_) if !is_mounted => {}
        Err(Error::Refused(why)) => wrong.push(why),
        Err(error) => wrong.push(super::error::chain(&error)),
    }
    let before = wrong.len();
    let known = verify::known(ctx, &remote, &ctx.node)?;
    let known = known.iter().filter(|check| !check.superseded && !told.contains(check.object.as_str()));
    wrong.extend(known.map(|check| {
        let found = check.time.strftime("%Y-%m-%dT%H:%M:%SZ");
        format!("{} is {} (found {found})", check.object, check.verdict.word())
    }));
    if wrong.len() > before {
        wrong.push(MENDING.to_owned());
    }
    Ok(wrong)
}

/// `tally` = its snapshots, where there are any; `removed` = snapshots that were removed from the repository, `None` where that is not known.
fn source_status(
    spec: &SourceSpec,
    tally: Option<&Tally>,
    removed: Option<&BTreeSet<(SourceName, SnapshotId)>>,
    now: Timestamp,
) -> SourceStatus {
    let (source, mut wrong) = (&spec.name, Vec::new());
    if tally.is_none() {
        wrong.push("there is no snapshot yet".to_owned());
    }
    let none = Tally::default();
    let tally = tally.unwrap_or(&none);
    let age = |id: Option<SnapshotId>| id.map(|id| (now - id.to_timestamp()).as_secs().max(0));
    let objective = i64::try_from(spec.objective.as_secs()).unwrap_or(i64::MAX);
    let is_late = |id| age(id).is_none_or(|age| age > objective);
    let future = |id| format!("{id} is from the future: the clock was wrong; `windlass forget {source}/{id}` removes it");
    wrong.extend(tally.future.iter().map(future));
    let damaged = |id| format!("the local copy of {id} is damaged: `windlass heal {source}/{id}` makes it anew");
    wrong.extend(tally.damaged.iter().map(damaged));
    let problems = tally.problems.iter().filter(|problem| problem.kind != DAMAGED_COPY);
    wrong.extend(problems.map(|problem| format!("the newest snapshot has {} {}", problem.count, problem.kind)));
    let newest = tally.copy.max(tally.shipped);
    SourceStatus {
        source: source.clone(),
        kind: spec.kind.word().to_owned(),
        snapshot: tally.copy,
        shipped: tally.shipped,
        age_seconds: age(newest),
        objective_seconds: spec.objective.as_secs(),
        copies: tally.copies,
        held_bytes: None,
        unshipped: removed.map(|removed| tally.local_only.iter().filter(|id| !removed.contains(&(source.clone(), **id))).count()),
        next_run: None,
        // A repository that cannot be read says nothing about what is in it.
        late: is_late(newest) || (removed.is_some() && is_late(tally.shipped)),
        under_way: None,
        wrong,
    }
}
