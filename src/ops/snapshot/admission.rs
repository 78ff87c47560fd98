//! Whether there is room for one more copy, before anything is written.

use super::freed::freed_by;
use super::survey::Survey;
use crate::ops::catalogue::Catalogue;
use crate::ops::copies::{self, Copies, Copy};
use crate::ops::event::Event;
use crate::ops::node::Remote;
use crate::ops::spec::{SourceKind, SourceSpec};
use crate::ops::{Context, Error, size, verify};
use crate::sys::space::nearest_folder;

/// What stays free on the filesystem of local copies: a hundredth of it, at most this. A full disk harms what else lives there.
const SPARE_MAX: u64 = 1 << 30;

/// How many times the bytes of the last copy must be free, so that the source is not walked for an estimate.
const ABUNDANCE: u64 = 4;

/// How many bytes are copied between two looks at the room that is left.
pub(super) const LOOK_EVERY: u64 = 4 << 20;

/// What a person should know of a filesystem so full that no copy is admitted, however small.
///
/// # Errors
/// [`Error::System`].
pub(crate) fn told_full(ctx: &Context) -> Result<Option<String>, Error> {
    if ctx.local()?.tight {
        // The oldest copy goes first where it may, and whether it may is seen then.
        return Ok(None);
    }
    let (free, spare) = room(ctx)?;
    let dir = ctx.local()?.dir.display();
    let [free_words, spare_words] = [free, spare].map(size::in_words);
    Ok((free < spare).then(|| {
        format!(
            "{free_words} are free on the filesystem of {dir}, and {spare_words} must stay free: no snapshot is taken until there is room"
        )
    }))
}

/// Refuses to go on with a copy that leaves too little room: a source can grow after it was looked at.
pub(super) fn still_room(ctx: &Context) -> Result<(), Error> {
    let (free, spare) = room(ctx)?;
    if free >= spare {
        return Ok(());
    }
    let (free, spare) = (size::in_words(free), size::in_words(spare));
    Err(Error::Refused(format!(
        "the copy takes more room than there was: {free} are left on the filesystem of {}, and {spare} must stay free. The copy was not \
         made",
        ctx.local()?.dir.display()
    )))
}

/// Refuses a copy for which there is no room; with `local.tight` removes the oldest copy first, if it is shipped and verified.
///
/// The copy is made while the four others are still there, so there must be room for a fifth. Files that are unchanged are shared
/// with the copy before and take no room. Undos lie on the same or another filesystem and are part of what is not free.
pub(super) fn admit(ctx: &Context, spec: &SourceSpec, copies: &Copies) -> Result<(), Error> {
    let (free, spare) = room(ctx)?;
    // Where a source many times as large as the last copy would fit, nothing need be looked at twice; a copy that grows beyond even that
    // is stopped while it is made.
    if let (SourceKind::Directory { .. }, Some(previous)) = (&spec.kind, copies.latest())
        && free > previous.record.bytes.saturating_mul(ABUNDANCE).saturating_add(spare * 2)
    {
        return Ok(());
    }
    let previous = super::sound_previous(ctx, spec, copies)?;
    let needed = Survey::of(ctx, spec, previous, &ctx.state()?.work()?)?.needed;
    if fits(ctx, needed)? {
        return Ok(());
    }
    if let Some(oldest) = may_go_first(ctx, copies, needed)? {
        make_room(ctx, spec, oldest)?;
        if fits(ctx, needed)? {
            return Ok(());
        }
    }
    Err(refusal(ctx, spec, needed)?)
}

/// The same of a copy that would take so many bytes and is not made: nothing is removed, and nothing is written.
///
/// The run itself looks in the repository whether all is there that the oldest copy needs. Here it counts as sound if it is shipped and
/// nothing is known to be wrong with it.
pub(super) fn would_admit(ctx: &Context, spec: &SourceSpec, copies: &Copies, needed: u64) -> Result<(), Error> {
    if fits(ctx, needed)? {
        return Ok(());
    }
    let Some(oldest) = may_go_first(ctx, copies, needed)? else { return Err(refusal(ctx, spec, needed)?) };
    let remote = Remote::open(ctx)?;
    let catalogue = Catalogue::glance(ctx, &remote, &ctx.node, Some(&spec.name))?;
    match catalogue.snapshots.get(&(spec.name.clone(), oldest.id())) {
        Some(shipped) if verify::known_damage_of(ctx, &remote, shipped)?.is_empty() => Ok(()),
        _ => Err(unsound(spec, oldest)),
    }
}

fn fits(ctx: &Context, needed: u64) -> Result<bool, Error> {
    let (free, spare) = room(ctx)?;
    Ok(free >= needed.saturating_add(spare))
}

/// The oldest copy, where it may go before the new one is complete and there is room then: no copy is removed for nothing.
fn may_go_first<'c>(ctx: &Context, copies: &'c Copies, needed: u64) -> Result<Option<&'c Copy>, Error> {
    let tight = ctx.local()?.tight;
    let Some(oldest) = copies.complete.first().filter(|_| tight && copies.complete.len() > 1) else { return Ok(None) };
    let (free, spare) = room(ctx)?;
    let is_enough = free.saturating_add(freed_by(ctx, oldest)?) >= needed.saturating_add(spare);
    Ok(is_enough.then_some(oldest))
}

fn unsound(spec: &SourceSpec, oldest: &Copy) -> Error {
    Error::Refused(format!(
        "there is no room for a new copy of `{0}`, and the oldest copy {0}/{1} cannot go first: it is not sound in the repository",
        spec.name,
        oldest.id()
    ))
}

fn refusal(ctx: &Context, spec: &SourceSpec, needed: u64) -> Result<Error, Error> {
    let (free, spare) = room(ctx)?;
    // In words the numbers may look alike, so what is lacking is said as well.
    let lacking = size::in_words(needed.saturating_add(spare).saturating_sub(free));
    let [free, needed, spare] = [free, needed, spare].map(size::in_words);
    Ok(Error::Refused(format!(
        "there is no room for a new copy of `{}` on the filesystem of {}: {free} are free, the copy takes up to {needed} and {spare} must \
         stay free, so {lacking} are lacking. A new copy is complete before an old one goes, so there must be room for {} copies. Make \
         room, lower `keep`, or set `local.tight = true` to let the oldest copy go first once it is shipped",
        spec.name,
        ctx.local()?.dir.display(),
        spec.keep + 1,
    )))
}

/// Free bytes on the filesystem of local copies, and those of them that must stay free.
fn room(ctx: &Context) -> Result<(u64, u64), Error> {
    // Before the first snapshot there is no folder yet; the one above it lies on the filesystem that will be used.
    let room = ctx.space.room(nearest_folder(&ctx.local()?.dir))?;
    Ok((room.free, (room.whole / 100).min(SPARE_MAX)))
}

fn make_room(ctx: &Context, spec: &SourceSpec, oldest: &Copy) -> Result<(), Error> {
    let remote = Remote::open(ctx)?;
    let name = format!("{}/{}", spec.name, oldest.id());
    let options =
        verify::Options { level: crate::format::check::Level::Quick, snapshots: vec![name.parse()?], node: Some(ctx.node.clone()) };
    let catalogue = Catalogue::read(ctx, &remote, &ctx.node, Some(&spec.name))?;
    let shipped = catalogue.snapshots.contains_key(&(spec.name.clone(), oldest.id()));
    if !shipped || !verify::run(ctx, &options)?.damage.is_empty() {
        return Err(unsound(spec, oldest));
    }
    copies::remove(ctx, oldest)?;
    ctx.tell(Event::CopyRemoved {
        source: spec.name.clone(),
        snapshot: oldest.id(),
        why: "space is tight, and it is shipped and verified".into(),
    });
    Ok(())
}
