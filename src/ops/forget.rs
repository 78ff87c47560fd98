//! `forget`: removes one local copy that a person named.

use serde::Serialize;

use super::copies::{self, Copies};
use super::event::Event;
use super::locks::{self, Waiting};
use super::name::SnapshotName;
use super::snapshots::{Found, Place, Row, View};
use super::{Context, Error, verify};
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;

/// What would be removed.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The source.
    pub source: SourceName,
    /// The snapshot.
    pub id: SnapshotId,
    /// The folder of the local copy.
    pub folder: std::path::PathBuf,
    /// Bytes of its files.
    pub bytes: u64,
    /// Whether it is in the repository too; `None` when the repository could not be asked.
    pub shipped: Option<bool>,
    /// An object of the shipped snapshot that is known to be damaged or missing.
    pub shipped_damage: Option<String>,
    /// Whether it is the only sound snapshot of the source that is known.
    pub last_sound: bool,
}

/// Says what `forget` would remove.
///
/// # Errors
/// [`Error::Absent`] when there is no such local copy.
pub fn plan(ctx: &Context, name: &SnapshotName) -> Result<Plan, Error> {
    let view = View::read(ctx, None, name.source.as_ref())?;
    let found = Found::look_up(ctx, None, name)?;
    let Some(copy) = found.local else {
        return Err(Error::Absent(format!("{}/{} has no local copy; `forget` removes local copies", found.source, found.id)));
    };
    let shipped_damage = match &found.shipped {
        Some((remote, shipped)) => verify::known_damage_of(ctx, remote, shipped)?.into_iter().next(),
        None => None,
    };
    let is_elsewhere = |row: &&Row| row.id != found.id || (row.place == Place::Both && shipped_damage.is_none());
    let others = view.rows.iter().filter(|row| row.source == found.source).filter(is_elsewhere);
    let shipped = if view.unreachable.is_some() { None } else { Some(found.shipped.is_some()) };
    let last_sound = copy.is_sound() && !others.into_iter().any(|row| row.problems.is_empty() && !row.future);
    Ok(Plan { source: found.source, id: found.id, folder: copy.dir, bytes: copy.record.bytes, shipped, shipped_damage, last_sound })
}

/// Removes the local copy.
///
/// # Errors
/// [`Error::Refused`] while somebody reads it.
pub fn run(ctx: &Context, plan: &Plan, wait: Waiting) -> Result<(), Error> {
    let _lock = locks::source(ctx, &plan.source, "forget a copy of", wait)?;
    let copies = Copies::read(ctx, &plan.source)?;
    let copy = copies.find(plan.id).ok_or_else(|| Error::Absent(format!("{}/{} has gone meanwhile", plan.source, plan.id)))?;
    copies::remove(ctx, copy)?;
    ctx.tell(Event::CopyRemoved { source: plan.source.clone(), snapshot: plan.id, why: "it was forgotten on request".into() });
    Ok(())
}
