//! The locks of a node: one per source, one for shipping, one for work on its Cassandra. Readers need none but that of the copy they read.

use std::path::PathBuf;
use std::time::Duration;

use super::{Context, Error};
use crate::format::names::SourceName;
use crate::sys::lock::Lock;

/// How long to wait for a lock that another run holds; `None` = not at all.
pub type Waiting = Option<Duration>;

/// The lock of a source: held while its copies change or it is restored.
///
/// # Errors
/// [`crate::sys::Error::Locked`] naming the holder.
pub fn source(ctx: &Context, source: &SourceName, what: &str, wait: Waiting) -> Result<Lock, Error> {
    let path = of_source(ctx.state()?.folder(&["locks"])?, source);
    Ok(Lock::exclusive(&path, &format!("{what} {source}"), &*ctx.clock, wait, &ctx.stop)?)
}

/// Who holds the lock of a source, for a person; `None` when nobody does.
///
/// # Errors
/// [`Error::System`].
pub(crate) fn holder(ctx: &Context, source: &SourceName) -> Result<Option<String>, Error> {
    Ok(Lock::holder(&of_source(ctx.state()?.path(&["locks"]), source))?)
}

fn of_source(locks: PathBuf, source: &SourceName) -> PathBuf {
    locks.join(format!("{source}.lock"))
}

/// The node's one shipping lock.
///
/// # Errors
/// [`crate::sys::Error::Locked`] naming the holder.
pub fn shipping(ctx: &Context, what: &str, wait: Waiting) -> Result<Lock, Error> {
    // A name that no source can have, because of the `@`.
    let path = ctx.state()?.folder(&["locks"])?.join("@shipping.lock");
    Ok(Lock::exclusive(&path, what, &*ctx.clock, wait, &ctx.stop)?)
}

/// The lock of this machine's Cassandra, for one run alone: of all its sources only one is restored at a time, because a node is stopped and
/// started for all, and none is snapshotted meanwhile, because sources may have tables in common.
///
/// # Errors
/// [`crate::sys::Error::Locked`] naming the holder.
pub fn cassandra(ctx: &Context, source: &SourceName, what: &str, wait: Waiting) -> Result<Lock, Error> {
    Ok(Lock::exclusive(&of_cassandra(ctx)?, &format!("{what} {source}"), &*ctx.clock, wait, &ctx.stop)?)
}

/// The same for a snapshot, beside which others may be taken.
///
/// # Errors
/// As [`cassandra`].
pub fn cassandra_shared(ctx: &Context, source: &SourceName, what: &str, wait: Waiting) -> Result<Lock, Error> {
    Ok(Lock::shared_within(&of_cassandra(ctx)?, &format!("{what} {source}"), &*ctx.clock, wait, &ctx.stop)?)
}

fn of_cassandra(ctx: &Context) -> Result<PathBuf, Error> {
    Ok(ctx.state()?.folder(&["locks"])?.join("@cassandra.lock"))
}
