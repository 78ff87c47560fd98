//! Local copies whose record is damaged or gone: what they were is told by the manifest of the same snapshot, and by its source facts.

use crate::format::names::SourceName;
use crate::ops::copies::{BrokenCopy, Copy, KnownDamage, Record};
use crate::ops::error::chain;
use crate::ops::facts::shipped_facts;
use crate::ops::lists::read_body;
use crate::ops::name::{SnapshotName, Which};
use crate::ops::snapshots::Found;
use crate::ops::{Context, Error};

/// The copy as it was, to be made anew like any other that is damaged; in words why nobody can tell what it was.
pub(super) fn known(ctx: &Context, source: &SourceName, broken: &BrokenCopy) -> Result<Result<Copy, String>, Error> {
    match record(ctx, source, broken) {
        Ok(record) => {
            let damage = Some(KnownDamage { time: ctx.clock.now(), problem: broken.problem.clone() });
            Ok(Ok(Copy { dir: broken.dir.clone(), record, damage }))
        }
        Err(Error::Absent(_)) => {
            let remove = format!("`windlass forget {source}/{} --local` removes it", broken.id);
            Ok(Err(format!("the repository does not hold the snapshot, so nothing tells what the copy was; {remove}")))
        }
        Err(error) if error.is_damage() || matches!(error, Error::Usage(_) | Error::Unreadable { .. }) => Ok(Err(chain(&error))),
        Err(error) => Err(error),
    }
}

fn record(ctx: &Context, source: &SourceName, broken: &BrokenCopy) -> Result<Record, Error> {
    let name = SnapshotName { source: Some(source.clone()), which: Which::Prefix(broken.id.to_string()) };
    let found = Found::look_up(ctx, None, &name)?;
    let Some((remote, shipped)) = &found.shipped else {
        return Err(Error::Absent(format!("{} is not in the repository", found.name())));
    };
    remote.keys.check_readable(&shipped.head)?;
    let body = read_body(remote, shipped)?;
    let facts = shipped_facts(ctx, remote, shipped, &body, true)?;
    Ok(Record::of_shipped(&shipped.head, body.counts.entries, facts))
}
