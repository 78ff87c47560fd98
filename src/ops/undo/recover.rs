//! What the next command does about a restore that was killed, and about an undo that has grown old.

use jiff::SignedDuration;

use super::aside::Placed;
use super::memory::{JOURNAL, Pending, Step, UNDO, UndoRecord};
use super::settled::{Ending, Settled, Undoable, Work};
use super::site::{Site, folder, inode};
use super::{cassandra, databases};
use crate::ops::copies::Copies;
use crate::ops::spec::{SourceKind, SourceSpec};
use crate::ops::{Context, Error};
use crate::source::placement::{self, Operation};

/// How far the clock may be ahead of what was done here last, and is believed at once.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(48);

/// For how long it must have said so otherwise.
const AGREED: SignedDuration = SignedDuration::from_hours(6);

/// Finishes or takes back what a killed restore of this source has left, and drops an undo that is older than `local.undo_for`.
/// The caller holds the source's lock.
///
/// # Errors
/// What the source gives; then it is to be tried again.
pub(crate) fn recover(ctx: &Context, spec: &SourceSpec) -> Result<(), Error> {
    finish_broken_off(ctx, spec)?;
    expire(ctx, spec, &folder(ctx, spec)?)
}

/// As [`recover`], and lets an undo be, however old it is. Gives what became of work that was broken off, if some was.
///
/// # Errors
/// As [`recover`].
pub(crate) fn finish_broken_off(ctx: &Context, spec: &SourceSpec) -> Result<Option<Settled>, Error> {
    let folder = folder(ctx, spec)?;
    let ended = |is_finished| if is_finished { Ending::Finished } else { Ending::TakenBack };
    let mut broken_off = None;
    let recovered = placement::recover(&folder.join(JOURNAL))?;
    if let Some(recovered) = &recovered {
        let what = match recovered.operation {
            Operation::Place => "restore",
            Operation::Undo => "undo",
        };
        let how = if recovered.is_finished { "was finished" } else { "was taken back; all is as before it" };
        ctx.warn(Some(&spec.name), format!("a {what} of `{}` that was broken off {how}", spec.name));
        let work = if recovered.operation == Operation::Undo { Work::Undo } else { Work::Restore };
        broken_off = Some((work, ended(recovered.is_finished)));
        if recovered.operation == Operation::Undo
            && recovered.is_finished
            && let Some(undo) = UndoRecord::read(&folder)?
        {
            undo.turned(undo.placement.clone(), ctx.clock.now()).write(&folder)?;
        }
    }
    if let Some(pending) = Pending::read(&folder)? {
        broken_off = Some((Work::Restore, ended(settle(ctx, spec, pending, &folder)?)));
    }
    if let SourceKind::Mysql(settings) = &spec.kind {
        broken_off = databases::recover(ctx, spec, settings, &folder)?.or(broken_off);
    }
    if let SourceKind::Cassandra(settings) = &spec.kind {
        broken_off = cassandra::recover(ctx, spec, settings, &folder)?.or(broken_off);
    }
    let Some((work, ending)) = broken_off else { return Ok(None) };
    let undo = UndoRecord::read(&folder)?.map(|undo| Undoable { snapshot: undo.snapshot, undone: undo.undone });
    Ok(Some(Settled { work, ending, undo }))
}

/// Tells from what lies there whether the restore had come through, and remembers or forgets it.
fn settle(ctx: &Context, spec: &SourceSpec, mut pending: Pending, folder: &std::path::Path) -> Result<bool, Error> {
    let placement = pending.undo.files(folder)?.clone();
    let site = Site::of(&placement);
    // The place aside was free before, so something lies there only once the two have changed places. Where nothing was live before,
    // nothing lies aside afterwards either; then it is told by what is live now.
    let is_placed = pending.step == Step::Placing
        && if site.fresh { pending.staged.is_some() && inode(site.target) == pending.staged } else { site.has_aside() };
    site.clear_staged()?;
    if is_placed {
        pending.undo.write(folder)?;
        site.drop_earlier()?;
        ctx.warn(Some(&spec.name), format!("the broken-off restore of {}/{} is in place", spec.name, pending.undo.snapshot));
    } else {
        // Said first: what lies aside once the earlier undo is back there must not be taken for a sign that this restore came through.
        pending.write(Step::Staging, folder)?;
        // The earlier undo is set apart just before the step is written, so it may lie there whichever step is.
        site.put_earlier_back()?;
    }
    Pending::forget(folder)?;
    Ok(is_placed)
}

/// Whether an undo that is too old by the clock is so in truth. One wrong reading, of a machine that comes up with another date, must not remove it:
/// a clock that is far ahead of all that was done here is believed when it says the same hours later.
fn is_over(ctx: &Context, spec: &SourceSpec, undo: &UndoRecord) -> Result<bool, Error> {
    let now = ctx.clock.now();
    // Once it was doubted, a snapshot of that very clock does not speak for it.
    if let Some(since) = undo.old_since {
        return Ok(now.duration_since(since) >= AGREED);
    }
    let newest = Copies::read(ctx, &spec.name)?.complete.last().map_or(undo.time, |copy| copy.id().to_timestamp().max(undo.time));
    Ok(now.duration_since(newest) <= AHEAD_MAX)
}

/// Remembers since when an undo is said to be too old, or that it is not.
fn remember_age(ctx: &Context, undo: UndoRecord, is_old: bool, folder: &std::path::Path) -> Result<(), Error> {
    let now = ctx.clock.now();
    let since = is_old.then(|| undo.old_since.filter(|since| *since <= now).unwrap_or(now));
    if since == undo.old_since { Ok(()) } else { undo.old(since).write(folder) }
}

fn expire(ctx: &Context, spec: &SourceSpec, folder: &std::path::Path) -> Result<(), Error> {
    let Some(undo) = UndoRecord::read(folder)? else { return Ok(()) };
    if undo.is_written {
        return Ok(());
    }
    // Ages are compared, because an instant may be beyond all that a clock can say.
    let age = ctx.clock.now().duration_since(undo.time);
    let is_old = SignedDuration::try_from(ctx.local()?.undo_for).is_ok_and(|undo_for| age > undo_for);
    if !(is_old && is_over(ctx, spec, &undo)?) {
        return remember_age(ctx, undo, is_old, folder);
    }
    match (&undo.placement, &spec.kind) {
        (Placed::Databases(aside), SourceKind::Mysql(settings)) => {
            if !databases::expire(ctx, spec, settings, aside, folder)? {
                return Ok(());
            }
        }
        (Placed::Cassandra(aside), SourceKind::Cassandra(_)) => cassandra::expire(ctx, spec, aside, folder)?,
        (Placed::Databases(_) | Placed::Cassandra(_), _) => {
            let told = match &undo.placement {
                Placed::Databases(aside) => aside.told(),
                Placed::Cassandra(aside) => aside.told(),
                Placed::Files(_) => String::new(),
            };
            ctx.warn(
                Some(&spec.name),
                format!(
                    "{} tells of what a restore has set aside of what a server keeps ({told}), and the source is another one now: look at it, \
                     remove it if nobody needs it, and then that file",
                    folder.join(UNDO).display(),
                ),
            );
            return Ok(());
        }
        _ => {
            let placement = undo.files(folder)?;
            // Forgotten first: an undo that is half removed must not be offered.
            UndoRecord::forget(folder)?;
            Site::of(placement).drop_aside()?;
        }
    }
    ctx.warn(Some(&spec.name), format!("what the restore of {} had set aside was kept long enough and is gone", undo.snapshot));
    Ok(())
}
