//! Other sources on this machine's Cassandra: while a restore of one is half done, tables of it are taken into no snapshot, and no other one begins.

use crate::format::names::SourceName;
use crate::ops::locks::{self, Waiting};
use crate::ops::spec::SourceKind;
use crate::ops::undo::is_under_way;
use crate::ops::{Context, Error};
use crate::sys::lock::Lock;

/// Has this machine's Cassandra for one run alone, of which nothing is half done by another source.
///
/// # Errors
/// [`crate::sys::Error::Locked`] naming the holder; [`Error::Refused`] naming the other source, and what settles it.
pub(crate) fn alone(ctx: &Context, source: &SourceName, what: &str, wait: Waiting) -> Result<Lock, Error> {
    let lock = locks::cassandra(ctx, source, what, wait)?;
    check_others(ctx, source)?;
    Ok(lock)
}

/// The same for a snapshot, beside which others may be taken.
///
/// # Errors
/// As [`alone`].
pub(crate) fn beside_snapshots(ctx: &Context, source: &SourceName, what: &str, wait: Waiting) -> Result<Lock, Error> {
    let lock = locks::cassandra_shared(ctx, source, what, wait)?;
    check_others(ctx, source)?;
    Ok(lock)
}

/// What is under way while its lock is free was broken off.
fn check_others(ctx: &Context, source: &SourceName) -> Result<(), Error> {
    for other in ctx.sources.iter().filter(|other| other.name != *source && matches!(other.kind, SourceKind::Cassandra(_))) {
        if is_under_way(ctx, &other.name)? {
            let name = &other.name;
            return Err(Error::Refused(format!(
                "a restore or an undo of `{name}`, which is on this machine's Cassandra too, was broken off and is not settled, and until it is, what \
                 the node holds may be half of it: run `windlass snapshot {name}`, which settles it first; nothing was changed"
            )));
        }
    }
    Ok(())
}
