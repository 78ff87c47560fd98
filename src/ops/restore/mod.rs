//! `restore`: makes a source hold a snapshot again, so that it can be undone.
//!
//! [`staging`] fetches and verifies beside the live thing; then the source lets the two change places, under a journal: [`files`], or the
//! [`databases`] of a server, from [`dumps`] or from the one in an [`old_copy`] ([`live`] says what a failure there has left); tables of a node come back by [`cassandra`].
//! What is remembered of it, and what becomes of one that was killed, is [`super::undo`].

mod about;
mod allowed;
mod cassandra;
mod databases;
mod dumps;
mod files;
mod live;
mod old_copy;
mod rate;
mod staging;

use std::time::Duration;

use serde::Serialize;

use self::about::About;
pub use self::cassandra::{FreshPlan, NodePlan};
use super::damage::Damage;
use super::event::Event;
use super::locks::{self, Waiting};
use super::name::{SnapshotName, Which};
use super::node::known_uuid;
use super::origin::Origin;
use super::snapshots::Found;
use super::spec::{SourceKind, SourceSpec};
use super::standing::Standing;
use super::undo::databases::is_going;
pub use super::undo::{Ending, Settled, Undoable, Way, Work, is_under_way};
use super::undo::{Leftovers, Placed, UndoRecord, finish_broken_off, recover, site};
use super::{Context, Error};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::source::mysql::Definers;
pub use crate::source::mysql::Present;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where bytes may come from, best first; empty = local copy, then the repository.
    pub from: Vec<Origin>,
    /// Another node's snapshot, put onto this node's source.
    pub node: Option<NodeName>,
    /// What of a server's databases, and as what; for other sources nothing is said here.
    pub part: Part,
    /// How a Cassandra node is to take it; for other sources nothing is said here.
    pub manner: Manner,
}

/// How a Cassandra node is to take a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// While it runs, also where it could be stopped.
    pub running: bool,
    /// Into tables that keep what they hold: newer cells and newer deletions win.
    pub merge: bool,
    /// Also where it is down and cannot be started, so that what only its commit log holds is set aside.
    pub undrained: bool,
}

/// What of a snapshot of databases is restored, and as what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Only this database.
    pub database: Option<String>,
    /// Only this table.
    pub table: Option<String>,
    /// Into a new database of this name, beside the live one.
    pub rename: Option<String>,
    /// Which account takes the place of which `DEFINER`, each as `user@host`.
    pub definers: Definers,
}

/// What a restore will do; nothing has been done yet.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The source.
    pub source: SourceName,
    /// Its kind.
    pub kind: String,
    /// The snapshot.
    pub id: SnapshotId,
    /// The name it was asked for by, to be looked up again.
    #[serde(skip)]
    pub name: SnapshotName,
    /// The options it was made with.
    #[serde(skip)]
    pub options: Options,
    /// What will be replaced.
    pub target: String,
    /// Where what is there now will be set aside; `None` when there is nothing.
    pub aside: Option<String>,
    /// Files that will be there.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that must be downloaded, at most.
    pub download_bytes: u64,
    /// Free bytes on the filesystem that the files are put together on.
    pub free_bytes: u64,
    /// How long it will take at the rate measured last; `None` when none was measured yet. Documents say it in whole seconds.
    #[serde(skip)]
    pub estimate: Option<Duration>,
    /// What is on the server now, and who is connected; of sources that lie in files nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Present>,
    /// What becomes of a Cassandra node; of other sources nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodePlan>,
    /// What a person should know before saying yes.
    pub warnings: Vec<String>,
    /// The undo that there was: it goes when this restore is in place.
    #[serde(skip)]
    earlier: Option<UndoRecord>,
    /// What of a server's databases will be restored; of files nothing.
    #[serde(skip)]
    parts: Vec<dumps::Whole>,
}

impl Plan {
    /// Whether the restore before this one was of the same things and has come through, so that this one would only repeat it.
    pub fn repeats_earlier(&self) -> bool {
        let Some(earlier) = self.earlier.as_ref().filter(|earlier| earlier.snapshot == self.id && !earlier.undone) else { return false };
        let aside = match &earlier.placement {
            Placed::Files(_) => return true,
            Placed::Cassandra(aside) => {
                return self.options.part == Part::default() && self.node.as_ref().is_some_and(|node| node.way == aside.cassandra);
            }
            Placed::Databases(aside) => aside,
        };
        let table = self.options.part.table.as_deref().map(|table| table.rsplit('.').next().unwrap_or(table));
        let there = self.server.iter().flat_map(|present| &present.databases).map(|database| (database.name.as_str(), table));
        self.options.part.rename.is_none() && there.eq(aside.databases.iter().map(|one| (one.live.as_str(), one.table.as_deref())))
    }
}

/// What an undo will do.
#[derive(Clone, Debug, Serialize)]
pub struct UndoPlan {
    /// The source.
    pub source: SourceName,
    /// What will be replaced.
    pub target: String,
    /// What will be put back; `None` when nothing was there, so that the target will be empty again.
    pub aside: Option<String>,
    /// The restore that is undone.
    pub snapshot: Option<SnapshotId>,
    /// When that was.
    pub time: jiff::Timestamp,
    /// Whether it was undone before, so that this brings the restored state back.
    pub redo: bool,
    /// What becomes of a Cassandra node; of other sources nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodePlan>,
    /// Whether a Cassandra node that is down and cannot be started is put back all the same: what only its commit log holds is set aside then.
    #[serde(skip)]
    pub undrained: bool,
    /// What is undone, as it was remembered then.
    #[serde(skip)]
    record: UndoRecord,
}

impl UndoPlan {
    /// What of the source is put back alone; `None` where it is the source as a whole.
    pub fn part(&self) -> Option<&str> {
        matches!(self.record.placement, Placed::Databases(_)).then_some(self.target.as_str())
    }
}

/// What was restored.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The source.
    pub source: SourceName,
    /// The snapshot it now holds; `None` after an undo.
    pub id: Option<SnapshotId>,
    /// Files put in place.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that came from the repository.
    pub downloaded_bytes: u64,
    /// What was set aside; `restore SOURCE --undo` puts it back.
    pub aside: Option<String>,
    /// What could not be given back (owners, attributes).
    pub notes: Vec<String>,
    /// Statements for foreign keys into other databases that are still to be made or dropped; the next command on the source tries again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<String>,
    /// What was found to be damaged on the way. All bytes that were put in place are sound: they came from another place.
    pub damage: Vec<Damage>,
}

impl Outcome {
    fn of_undo(spec: &SourceSpec, undo: &UndoRecord, aside: Option<String>) -> Self {
        let id = (!undo.undone).then_some(undo.snapshot);
        Self {
            source: spec.name.clone(),
            id,
            files: 0,
            bytes: 0,
            downloaded_bytes: 0,
            aside,
            notes: Vec::new(),
            owed: Vec::new(),
            damage: Vec::new(),
        }
    }
}

/// The source as it is configured. On a machine that has lost its configuration the snapshots still remember it.
fn configured<'c>(ctx: &'c Context, source: &SourceName) -> Result<&'c SourceSpec, Error> {
    ctx.source(source).map_err(|error| match error {
        Error::Absent(why) => Error::Absent(format!("{why}. What its snapshots remember of it is printed by `windlass config recover`")),
        error => error,
    })
}

/// Plans a restore.
///
/// # Errors
/// [`Error::Absent`], [`Error::Refused`] with the reason.
pub fn plan(ctx: &Context, name: &SnapshotName, options: &Options) -> Result<Plan, Error> {
    // Before anything is planned, which may make the folder.
    let is_known = known_uuid(ctx)?.is_some();
    let mut plan = planned(ctx, name, options)?;
    if !is_known {
        plan.warnings.push(format!(
            "nothing was ever kept in {} by this node. On a new machine that is as it should be; where copies lay there, its disk is not mounted, and \
             what is set aside would come to lie beneath the mount point: mount it first",
            ctx.local()?.dir.display()
        ));
    }
    Ok(plan)
}

fn planned(ctx: &Context, name: &SnapshotName, options: &Options) -> Result<Plan, Error> {
    if let Some(source) = &name.source {
        let spec = configured(ctx, source)?;
        if let SourceKind::Mysql(settings) = &spec.kind
            && let Some(copy) = old_copy::of(settings, name, options)?
        {
            return databases::plan(ctx, spec, settings, name, copy, options);
        }
    }
    let found = Found::look_up_in(ctx, options.node.as_ref(), name, &options.from)?;
    let spec = configured(ctx, &found.source)?;
    if options.manner != Manner::default() && !matches!(spec.kind, SourceKind::Cassandra(_)) {
        return Err(Error::Usage(format!(
            "`{}` is a {}: --running, --merge and --undrained are for Cassandra nodes",
            spec.name,
            spec.kind.word()
        )));
    }
    match &spec.kind {
        SourceKind::Mysql(settings) => {
            let name = exactly(&found);
            let coming = dumps::of_snapshot(ctx, spec, settings, found, options, false)?;
            databases::plan(ctx, spec, settings, &name, coming, options)
        }
        SourceKind::Cassandra(settings) => cassandra::plan(ctx, spec, settings, &found, options),
        _ if options.part != Part::default() => Err(Error::Usage(format!(
            "`{}` is a {}: only of the databases of a server can a part be restored, or under another name",
            spec.name,
            spec.kind.word()
        ))),
        _ => files::plan(ctx, spec, &found, options),
    }
}

/// Carries a plan out. Any failure before "put in place" leaves the source untouched.
///
/// # Errors
/// [`Error::Damaged`], [`Error::Refused`], what the source gives.
pub fn run(ctx: &Context, plan: &Plan, wait: Waiting) -> Result<Outcome, Error> {
    let spec = ctx.source(&plan.source)?;
    let _lock = locks::source(ctx, &plan.source, locks::Task::Restore, wait)?;
    recover(ctx, spec)?;
    let earlier = UndoRecord::read(&site::folder(ctx, spec)?)?;
    let is_planned = |earlier: &UndoRecord| plan.earlier.as_ref().is_some_and(|planned| planned.is_same(earlier));
    if plan.options.part.rename.is_none() && !earlier.as_ref().is_none_or(is_planned) {
        return Err(Error::Refused(format!(
            "another restore or undo of `{}` has come through since this one was planned, and what it has set aside would be removed: plan \
             again; nothing was changed",
            plan.source
        )));
    }
    match &spec.kind {
        SourceKind::Mysql(settings) => databases::run(ctx, spec, settings, plan),
        SourceKind::Cassandra(settings) => cassandra::run(ctx, spec, settings, plan, wait),
        _ => files::run(ctx, spec, plan),
    }
}

/// Finishes or takes back a restore or an undo that was broken off, so that what is planned then is true. Gives what was broken off, and what
/// became of it.
///
/// # Errors
/// [`Error::Absent`] for an unknown source; what the source gives.
pub fn settle(ctx: &Context, source: &SourceName, wait: Waiting) -> Result<Option<Settled>, Error> {
    let spec = ctx.source(source)?;
    let _lock = locks::source(ctx, source, locks::Task::Settle, wait)?;
    finish_broken_off(ctx, spec)
}

/// Plans to put back what the last restore of a source has set aside.
///
/// # Errors
/// [`Error::Absent`] when there is none.
pub fn plan_undo(ctx: &Context, source: &SourceName) -> Result<UndoPlan, Error> {
    let spec = ctx.source(source)?;
    let folder = site::folder(ctx, spec)?;
    let undo = UndoRecord::read(&folder)?.ok_or_else(|| nothing_to_undo(source, &folder))?;
    if is_going(&undo, &folder) {
        return Err(Error::Refused(format!(
            "what the restore of {} had set aside is being removed, which was broken off, and what is left of it cannot be put back: the next \
             command on `{source}` removes it; nothing was changed",
            undo.snapshot
        )));
    }
    match (&undo.placement, &spec.kind) {
        (Placed::Databases(aside), SourceKind::Mysql(settings)) => databases::plan_undo(ctx, settings, &undo, aside, source),
        (Placed::Cassandra(aside), SourceKind::Cassandra(settings)) => cassandra::plan_undo(ctx, spec, settings, &undo, aside),
        _ => files::plan_undo(&undo, undo.files(&folder)?, source),
    }
}

fn nothing_to_undo(source: &SourceName, folder: &std::path::Path) -> Error {
    // A document that cannot be read names nothing.
    let why = match Leftovers::read(folder).ok().flatten().and_then(|left| left.told_of_aside()) {
        Some(names) => format!("what restores of it had set aside is being removed ({names}), and what is left of it cannot be put back"),
        None => "no restore, or its undo has expired".to_owned(),
    };
    Error::Absent(format!("there is nothing to undo for `{source}`: {why}"))
}

/// Puts it back; what is replaced by that is set aside in turn, so that an undo can be undone.
///
/// # Errors
/// [`Error::Refused`], what the source gives.
pub fn undo(ctx: &Context, plan: &UndoPlan, wait: Waiting) -> Result<Outcome, Error> {
    let spec = ctx.source(&plan.source)?;
    let _lock = locks::source(ctx, &plan.source, locks::Task::Undo, wait)?;
    // An undo that is old and still there is what is asked for.
    finish_broken_off(ctx, spec)?;
    let folder = site::folder(ctx, spec)?;
    let undo = UndoRecord::read(&folder)?.ok_or_else(|| Error::Absent(format!("the undo of `{}` has gone meanwhile", plan.source)))?;
    if !undo.is_same(&plan.record) {
        return Err(Error::Refused(format!(
            "another restore or undo of `{}` has come through since this undo was planned: plan again; nothing was changed",
            plan.source
        )));
    }
    ctx.phase(&spec.name, Some(undo.snapshot), "undoing");
    let outcome = match (&undo.placement, &spec.kind) {
        (Placed::Databases(aside), SourceKind::Mysql(settings)) => databases::undo(ctx, spec, settings, &undo, aside)?,
        (Placed::Cassandra(aside), SourceKind::Cassandra(settings)) => cassandra::undo(ctx, spec, settings, plan, (&undo, aside), wait)?,
        _ => {
            let placement = undo.files(&folder)?.clone();
            files::undo(ctx, spec, &undo, &placement)?
        }
    };
    ctx.tell(Event::Restored { source: spec.name.clone(), snapshot: outcome.id });
    Ok(outcome)
}

/// The name of a very snapshot, so that a newer `latest` does not slip in between plan and run.
fn exactly(found: &Found) -> SnapshotName {
    SnapshotName { source: Some(found.source.clone()), which: Which::Prefix(found.id.to_string()) }
}

/// What is known of a snapshot, which must be one of the source's kind.
fn about_same_kind(ctx: &Context, spec: &SourceSpec, found: &Found, standing: &Standing) -> Result<About, Error> {
    let about = standing.judge(About::of(ctx, found, false))?;
    let kind = spec.kind.word();
    if about.kind == kind {
        return Ok(about);
    }
    Err(Error::Refused(format!("{} is a snapshot of a {}, and the source `{}` is a {kind}", found.name(), about.kind, spec.name)))
}
