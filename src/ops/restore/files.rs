//! Restoring what lies in files: they are put together beside the live ones, and the two change places.

use std::path::Path;

use super::about::About;
use super::{Options, Outcome, Plan, UndoPlan, about_same_kind, exactly, rate, staging};
use crate::format::names::SourceName;
use crate::ops::event::Event;
use crate::ops::snapshots::Found;
use crate::ops::spec::SourceSpec;
use crate::ops::standing::Standing;
use crate::ops::undo::{JOURNAL, Pending, Placed, Site, Step, UndoRecord, recover, site};
use crate::ops::{Context, Error, size};
use crate::source;
use crate::source::placement::Placement;
use crate::sys::space::nearest_folder;

/// Plans a restore.
///
/// # Errors
/// [`Error::Absent`], [`Error::Refused`] with the reason.
pub(super) fn plan(ctx: &Context, spec: &SourceSpec, found: &Found, options: &Options) -> Result<Plan, Error> {
    let standing = Standing::of(found);
    let facts = about_same_kind(ctx, spec, found, &standing)?;
    let placement = site::placement(ctx, spec)?;
    let site = Site::of(&placement);
    let room = ctx.space.room(nearest_folder(site.target))?;
    let download_bytes = standing.judge(staging::download_size(ctx, found, options, &mut |_| true))?;
    let mut warnings = facts.warnings(found, spec);
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
        name: exactly(found),
        options: options.clone(),
        aside: (!site.fresh).then(|| site.aside.display().to_string()),
        target: site.target.display().to_string(),
        files: facts.files,
        bytes: facts.bytes,
        download_bytes,
        free_bytes: room.free,
        estimate: rate::estimate(ctx, rate::FILES, facts.bytes)?,
        server: None,
        node: None,
        warnings,
        earlier: UndoRecord::read(&folder)?,
        parts: Vec::new(),
    })
}

/// Carries a plan out. Any failure before "put in place" leaves the source untouched.
///
/// # Errors
/// [`Error::Damaged`], [`Error::Refused`], what the source gives.
pub(super) fn run(ctx: &Context, spec: &SourceSpec, plan: &Plan) -> Result<Outcome, Error> {
    let started = ctx.clock.monotonic();
    let found = Found::look_up_in(ctx, plan.options.node.as_ref(), &plan.name, &plan.options.from)?;
    let standing = Standing::of(&found);
    let about = standing.judge(About::of(ctx, &found, true))?;
    let folder = site::folder(ctx, spec)?;
    let placement = site::placement(ctx, spec)?;
    let site = Site::of(&placement);
    let earlier = earlier_undo(&site, &folder)?;
    site.clear_staged()?;
    let mut pending = Pending::new(UndoRecord::new(Placed::Files(placement.clone()), found.id, ctx.clock.now()));
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
    if earlier.as_ref().is_some_and(|earlier| Site::of(earlier).aside == site.aside) {
        site.set_earlier_apart()?;
    }
    pending.staged = site::inode(site.staged);
    pending.write(Step::Placing, &folder)?;
    if let Err(error) = put_in_place(ctx, &placement, &about, &folder) {
        // What can be put right at once is; otherwise the journal stays, and the next command does it.
        if let Err(later) = recover(ctx, spec) {
            ctx.warn(Some(&spec.name), format!("the next command has to put it right: {}", crate::ops::error::chain(&later)));
        }
        return Err(error);
    }
    pending.undo.write(&folder)?;
    site.drop_earlier()?;
    if let Some(earlier) = &earlier {
        drop_elsewhere(earlier, &site)?;
    }
    Pending::forget(&folder)?;
    rate::record(ctx, rate::FILES, staged.bytes, ctx.clock.monotonic().saturating_sub(started))?;
    ctx.tell(Event::Restored { source: spec.name.clone(), snapshot: Some(plan.id) });
    Ok(Outcome {
        source: spec.name.clone(),
        id: Some(plan.id),
        files: staged.files,
        bytes: staged.bytes,
        downloaded_bytes: staged.downloaded,
        aside: site.has_aside().then(|| site.aside.display().to_string()),
        notes: staged.notes,
        owed: Vec::new(),
        damage: staged.damage,
    })
}

/// The undo that this restore replaces. What lies aside without this node remembering it is somebody's only copy, and not to be removed.
fn earlier_undo(site: &Site<'_>, folder: &Path) -> Result<Option<Placement>, Error> {
    let record = UndoRecord::read(folder)?;
    let earlier = record.as_ref().map(|record| record.files(folder)).transpose()?.cloned();
    let is_known = earlier.as_ref().is_some_and(|earlier| Site::of(earlier).aside == site.aside);
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
fn drop_elsewhere(earlier: &Placement, site: &Site<'_>) -> Result<(), Error> {
    let old = Site::of(earlier);
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
pub(super) fn plan_undo(undo: &UndoRecord, placement: &Placement, source: &SourceName) -> Result<UndoPlan, Error> {
    let site = Site::of(placement);
    if site.is_gone(undo.undone) {
        return Err(Error::Absent(format!(
            "nothing can be put back for `{source}`: {}, where the restore of {} had set it aside, is gone",
            site.aside.display(),
            undo.snapshot
        )));
    }
    Ok(UndoPlan {
        source: source.clone(),
        target: site.target.display().to_string(),
        aside: site.has_aside().then(|| site.aside.display().to_string()),
        snapshot: Some(undo.snapshot),
        time: undo.time,
        redo: undo.undone,
        node: None,
        undrained: false,
        record: undo.clone(),
    })
}

/// Puts it back; what is replaced by that is set aside in turn, so that an undo can be undone.
///
/// # Errors
/// [`Error::Refused`], what the source gives.
pub(super) fn undo(ctx: &Context, spec: &SourceSpec, undo: &UndoRecord, placement: &Placement) -> Result<Outcome, Error> {
    let folder = site::folder(ctx, spec)?;
    let journal = folder.join(JOURNAL);
    match placement {
        Placement::Directory(placement) => drop(source::directory::undo(placement, &journal)?),
        Placement::Sqlite(placement) => source::sqlite::undo(placement, &journal)?,
    }
    let undone = undo.turned(undo.placement.clone(), ctx.clock.now());
    undone.write(&folder)?;
    let site = Site::of(placement);
    Ok(Outcome::of_undo(spec, &undone, site.has_aside().then(|| site.aside.display().to_string())))
}
