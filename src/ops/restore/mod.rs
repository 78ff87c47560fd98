//! `restore`: makes a source hold a snapshot again, so that it can be undone.
//!
//! [`staging`] fetches and verifies beside the live thing; then the source lets the two change places, under a journal.
//! What is remembered of it, and what becomes of one that was killed, is [`super::undo`].

mod about;
mod rate;
mod staging;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use self::about::About;
use super::damage::Damage;
use super::event::Event;
use super::locks::{self, Waiting};
use super::name::{SnapshotName, Which};
use super::origin::Origin;
use super::snapshots::Found;
use super::standing::Standing;
use super::undo::{JOURNAL, Pending, Site, Step, UndoRecord, recover, site};
use super::{Context, Error, size};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::source;
use crate::source::placement::Placement;
use crate::sys::space::nearest_folder;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where bytes may come from, best first; empty = local copy, then the repository.
    pub from: Vec<Origin>,
    /// Another node's snapshot, put onto this node's source.
    pub node: Option<NodeName>,
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
    pub target: PathBuf,
    /// Where what is there now will be set aside; `None` when there is nothing.
    pub aside: Option<PathBuf>,
    /// Files that will be there.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that must be downloaded, at most.
    pub download_bytes: u64,
    /// Free bytes on the target's filesystem.
    pub free_bytes: u64,
    /// How long it will take at the rate measured last; `None` when none was measured yet. Documents say it in whole seconds.
    #[serde(skip)]
    pub estimate: Option<Duration>,
    /// What a person should know before saying yes.
    pub warnings: Vec<String>,
}

/// What an undo will do.
#[derive(Clone, Debug, Serialize)]
pub struct UndoPlan {
    /// The source.
    pub source: SourceName,
    /// What will be replaced.
    pub target: PathBuf,
    /// What will be put back; `None` when nothing was there, so that the target will be empty again.
    pub aside: Option<PathBuf>,
    /// The restore that is undone.
    pub snapshot: Option<SnapshotId>,
    /// When that was.
    pub time: jiff::Timestamp,
    /// Whether it was undone before, so that this brings the restored state back.
    pub redo: bool,
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
    pub aside: Option<PathBuf>,
    /// What could not be given back (owners, attributes).
    pub notes: Vec<String>,
    /// What was found to be damaged on the way. All bytes that were put in place are sound: they came from another place.
    pub damage: Vec<Damage>,
}

/// Plans a restore.
///
/// # Errors
/// [`Error::Absent`], [`Error::Refused`] with the reason.
pub fn plan(ctx: &Context, name: &SnapshotName, options: &Options) -> Result<Plan, Error> {
    if let Some(source) = &name.source {
        ctx.source(source)?;
    }
    let found = Found::look_up_in(ctx, options.node.as_ref(), name, &options.from)?;
    let spec = ctx.source(&found.source)?;
    let standing = Standing::of(&found);
    let facts = standing.judge(About::of(ctx, &found, false))?;
    if facts.kind != spec.kind.word() {
        let kind = spec.kind.word();
        return Err(Error::Refused(format!(
            "{} is a snapshot of a {}, and the source `{}` is a {kind}",
            found.name(),
            facts.kind,
            spec.name
        )));
    }
    let placement = site::placement(ctx, spec)?;
    let site = Site::of(&placement);
    let room = ctx.space.room(nearest_folder(site.target))?;
    let download_bytes = standing.judge(staging::download_size(ctx, &found, options))?;
    let mut warnings = facts.warnings(&found, spec);
    if facts.bytes > room.free {
        warnings.push(format!(
            "the files take up to {} and {} are free: it may not fit",
            size::in_words(facts.bytes),
            size::in_words(room.free)
        ));
    }
    let folder = site::folder(ctx, spec)?;
    // What a broken-off restore has left is settled before this one begins, and is not looked at yet.
    if Pending::read(&folder)?.is_none() && earlier_undo(&site, &folder)?.is_some() && site.has_aside() {
        warnings.push("what the restore before this one has set aside will be removed when this one is in place".to_owned());
    }
    Ok(Plan {
        source: spec.name.clone(),
        kind: facts.kind,
        id: found.id,
        // The name is narrowed to the very snapshot, so that a newer `latest` does not slip in between plan and run.
        name: SnapshotName { source: Some(found.source.clone()), which: Which::Prefix(found.id.to_string()) },
        options: options.clone(),
        aside: (!site.fresh).then(|| site.aside.to_owned()),
        target: site.target.to_owned(),
        files: facts.files,
        bytes: facts.bytes,
        download_bytes,
        free_bytes: room.free,
        estimate: rate::estimate(ctx, facts.bytes)?,
        warnings,
    })
}

/// Carries a plan out. Any failure before "put in place" leaves the source untouched.
///
/// # Errors
/// [`Error::Damaged`], [`Error::Refused`], what the source gives.
pub fn run(ctx: &Context, plan: &Plan, wait: Waiting) -> Result<Outcome, Error> {
    let spec = ctx.source(&plan.source)?;
    let _lock = locks::source(ctx, &plan.source, "restore", wait)?;
    recover(ctx, spec)?;
    let started = ctx.clock.monotonic();
    let found = Found::look_up_in(ctx, plan.options.node.as_ref(), &plan.name, &plan.options.from)?;
    let standing = Standing::of(&found);
    let about = standing.judge(About::of(ctx, &found, true))?;
    let folder = site::folder(ctx, spec)?;
    let placement = site::placement(ctx, spec)?;
    let site = Site::of(&placement);
    let earlier = earlier_undo(&site, &folder)?;
    site.clear_staged()?;
    let mut pending = Pending::new(UndoRecord::new(placement.clone(), found.id, ctx.clock.now()));
    pending.write(Step::Staging, &folder)?;

    ctx.phase(&spec.name, Some(found.id), "fetching");
    let staged = standing.judge(staging::stage(ctx, found, &plan.options, &site, spec));
    let staged = match staged.and_then(|staged| ctx.stop.check().map(|()| staged).map_err(Error::from)) {
        Ok(staged) => staged,
        Err(error) => {
            // Nothing has been touched, and what was fetched is of no use; the error is what matters.
            let _ = site.clear_staged().and_then(|()| Pending::forget(&folder));
            return Err(error);
        }
    };
    ctx.phase(&spec.name, Some(plan.id), "placing");
    if earlier.as_ref().is_some_and(|earlier| Site::of(&earlier.placement).aside == site.aside) {
        site.set_earlier_apart()?;
    }
    pending.staged = site::inode(site.staged);
    pending.write(Step::Placing, &folder)?;
    if let Err(error) = put_in_place(ctx, &placement, &about, &folder) {
        // What can be put right at once is; otherwise the journal stays, and the next command does it.
        if let Err(later) = recover(ctx, spec) {
            ctx.warn(Some(&spec.name), format!("the next command has to put it right: {}", super::error::chain(&later)));
        }
        return Err(error);
    }
    pending.undo.write(&folder)?;
    site.drop_earlier()?;
    if let Some(earlier) = &earlier {
        drop_elsewhere(earlier, &site)?;
    }
    Pending::forget(&folder)?;
    rate::record(ctx, staged.bytes, ctx.clock.monotonic().saturating_sub(started))?;
    ctx.tell(Event::Restored { source: spec.name.clone(), snapshot: Some(plan.id) });
    Ok(Outcome {
        source: spec.name.clone(),
        id: Some(plan.id),
        files: staged.files,
        bytes: staged.bytes,
        downloaded_bytes: staged.downloaded,
        aside: site.has_aside().then(|| site.aside.to_owned()),
        notes: staged.notes,
        damage: staged.damage,
    })
}

/// The undo that this restore replaces. What lies aside without this node remembering it is somebody's only copy, and not to be removed.
fn earlier_undo(site: &Site<'_>, folder: &Path) -> Result<Option<UndoRecord>, Error> {
    let earlier = UndoRecord::read(folder)?;
    let is_known = earlier.as_ref().is_some_and(|earlier| Site::of(&earlier.placement).aside == site.aside);
    if site.has_aside() && !is_known {
        return Err(Error::Refused(format!(
            "{} holds what a restore has set aside that this node does not remember (its `local.dir` was another one then): look at it, \
             and move it away or remove it; nothing was changed",
            site.aside.display()
        )));
    }
    Ok(earlier)
}

/// Removes an earlier undo that lies elsewhere, because the source or what is mounted around it has moved since.
fn drop_elsewhere(earlier: &UndoRecord, site: &Site<'_>) -> Result<(), Error> {
    let old = Site::of(&earlier.placement);
    if old.aside == site.aside { Ok(()) } else { old.drop_aside() }
}

/// Lets the staged files and the live ones change places, and looks whether the source works.
fn put_in_place(ctx: &Context, placement: &Placement, about: &About, folder: &Path) -> Result<(), Error> {
    let journal = folder.join(JOURNAL);
    match placement {
        Placement::Directory(placement) => {
            let placed = source::directory::place(placement, &journal, &ctx.stop)?;
            for left in placed.left {
                ctx.warn(None, format!("`{left}` is excluded and could not be carried over; it lies in {}", placement.aside.display()));
            }
        }
        Placement::Sqlite(placement) => source::sqlite::place(placement, &about.journal_mode, &journal, &ctx.stop)?,
    }
    Ok(())
}

/// Plans to put back what the last restore of a source has set aside.
///
/// # Errors
/// [`Error::Absent`] when there is none.
pub fn plan_undo(ctx: &Context, source: &SourceName) -> Result<UndoPlan, Error> {
    let spec = ctx.source(source)?;
    let undo = UndoRecord::read(&site::folder(ctx, spec)?)?
        .ok_or_else(|| Error::Absent(format!("there is nothing to undo for `{source}`: no restore, or its undo has expired")))?;
    let site = Site::of(&undo.placement);
    if site.is_gone(undo.undone) {
        return Err(Error::Absent(format!(
            "nothing can be put back for `{source}`: {}, where the restore of {} had set it aside, is gone",
            site.aside.display(),
            undo.snapshot
        )));
    }
    Ok(UndoPlan {
        source: source.clone(),
        target: site.target.to_owned(),
        aside: site.has_aside().then(|| site.aside.to_owned()),
        snapshot: Some(undo.snapshot),
        time: undo.time,
        redo: undo.undone,
    })
}

/// Puts it back; what is replaced by that is set aside in turn, so that an undo can be undone.
///
/// # Errors
/// [`Error::Refused`], what the source gives.
pub fn undo(ctx: &Context, plan: &UndoPlan, wait: Waiting) -> Result<Outcome, Error> {
    let spec = ctx.source(&plan.source)?;
    let _lock = locks::source(ctx, &plan.source, "undo a restore of", wait)?;
    recover(ctx, spec)?;
    let folder = site::folder(ctx, spec)?;
    let mut undo = UndoRecord::read(&folder)?.ok_or_else(|| Error::Absent(format!("the undo of `{}` has gone meanwhile", plan.source)))?;
    let journal = folder.join(JOURNAL);
    ctx.phase(&spec.name, Some(undo.snapshot), "undoing");
    match &undo.placement {
        Placement::Directory(placement) => drop(source::directory::undo(placement, &journal)?),
        Placement::Sqlite(placement) => source::sqlite::undo(placement, &journal)?,
    }
    undo.undone = !undo.undone;
    undo.write(&folder)?;
    let id = undo.undone.then_some(()).map_or(Some(undo.snapshot), |()| None);
    ctx.tell(Event::Restored { source: spec.name.clone(), snapshot: id });
    let site = Site::of(&undo.placement);
    Ok(Outcome {
        source: spec.name.clone(),
        id,
        files: 0,
        bytes: 0,
        downloaded_bytes: 0,
        aside: site.has_aside().then(|| site.aside.to_owned()),
        notes: Vec::new(),
        damage: Vec::new(),
    })
}
