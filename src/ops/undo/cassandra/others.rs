//! Other sources on this machine's Cassandra: while a restore of one is half done, tables of it are taken into no snapshot, and no other one begins.

use crate::format::names::SourceName;
use crate::ops::locks::{self, OfCassandra, Use, Waiting};
use crate::ops::spec::{CassandraSettings, SourceKind};
use crate::ops::undo::is_under_way;
use crate::ops::{Context, Error};

/// Has this machine's Cassandra, of which nothing is half done by another source.
///
/// # Errors
/// Those of [`locks::cassandra`]; [`Error::Refused`] naming the other source, and what settles it.
pub(crate) fn settled(
    ctx: &Context,
    source: &SourceName,
    settings: &CassandraSettings,
    what: (&str, Use),
    wait: Waiting,
) -> Result<OfCassandra, Error> {
    let lock = locks::cassandra(ctx, source, settings, what, wait)?;
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
