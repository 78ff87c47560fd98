//! The locks of a node: one per source, one for shipping, one for work on its Cassandra. Readers need none but that of the copy they read.

use std::path::PathBuf;
use std::time::Duration;

use super::spec::CassandraSettings;
use super::{Context, Error};
use crate::format::names::SourceName;
use crate::source::cassandra::NodeConfig;
use crate::sys::{self, lock::Lock};

/// How long to wait for a lock that another run holds; `None` = not at all.
pub type Waiting = Option<Duration>;

/// Work that is done under the lock of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A copy is made.
    Snapshot,
    /// The source is replaced.
    Restore,
    /// What a restore has replaced is put back.
    Undo,
    /// A restore that was broken off is settled.
    Settle,
    /// A damaged copy is made anew.
    Heal,
    /// A copy is removed.
    Forget,
    /// Copies that are too many are removed.
    Retention,
}

impl Task {
    /// Those that neither settle what a restore has left nor leave something themselves.
    const OTHERS: [Self; 3] = [Self::Heal, Self::Forget, Self::Retention];

    /// How it is named to others, before the source.
    fn words(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Restore => "restore",
            Self::Undo => "undo a restore of",
            Self::Settle => "settle a restore of",
            Self::Heal => "heal",
            Self::Forget => "forget a snapshot of",
            Self::Retention => "retention of",
        }
    }

    fn of(self, source: &SourceName) -> String {
        format!("{} {source}", self.words())
    }
}

/// The lock of a source: held while its copies change or it is restored.
///
/// # Errors
/// [`crate::sys::Error::Locked`] naming the holder.
pub fn source(ctx: &Context, source: &SourceName, task: Task, wait: Waiting) -> Result<Lock, Error> {
    let path = of_source(ctx.state()?.folder(&["locks"])?, source);
    Ok(Lock::exclusive(&path, &task.of(source), &*ctx.clock, wait, &ctx.stop)?)
}

/// Who holds the lock of a source and is at work on what restores leave, for a person; `None` when nobody is.
///
/// # Errors
/// [`Error::System`].
pub(crate) fn holder(ctx: &Context, source: &SourceName) -> Result<Option<String>, Error> {
    let holder = Lock::holder(&of_source(ctx.state()?.path(&["locks"]), source))?;
    Ok(holder.filter(|holder| !Task::OTHERS.iter().any(|task| holder.starts_with(&format!("`{}`", task.of(source))))))
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

/// The lock of the one agent of a node.
///
/// # Errors
/// [`crate::sys::Error::Locked`] naming the holder.
pub fn agent(ctx: &Context) -> Result<Lock, Error> {
    let path = ctx.state()?.folder(&["locks"])?.join("@agent.lock");
    Ok(Lock::exclusive(&path, "agent", &*ctx.clock, None, &ctx.stop)?)
}

/// The lock of this machine's Cassandra: one where this configuration keeps its state, which says who holds it, and one on the node's first data
/// directory, which is the same for every configuration.
#[derive(Debug)]
pub(crate) struct OfCassandra {
    _state: Lock,
    _node: Option<Lock>,
}

/// What the lock of this machine's Cassandra is taken for. Of all its sources only one is restored at a time, and none is snapshotted meanwhile,
/// because sources may have tables in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A snapshot, beside which others may be taken.
    Snapshot,
    /// A restore while the node runs. Those of other configurations may be at work on other tables.
    Running,
    /// A restore that stops the node, for all.
    Stopped,
}

/// The lock of this machine's Cassandra.
///
/// # Errors
/// [`crate::sys::Error::Locked`] naming the holder; what speaks against the node's configuration.
pub(crate) fn cassandra(
    ctx: &Context,
    source: &SourceName,
    settings: &CassandraSettings,
    (what, of): (&str, Use),
    wait: Waiting,
) -> Result<OfCassandra, Error> {
    let path = ctx.state()?.folder(&["locks"])?.join("@cassandra.lock");
    let what = format!("{what} {source}");
    let take = if of == Use::Snapshot { Lock::shared_within } else { Lock::exclusive };
    let state = take(&path, &what, &*ctx.clock, wait, &ctx.stop)?;
    let config = NodeConfig::of(settings)?;
    let data = config.data_directories.first().expect("there is at least one");
    let node = Lock::on_folder(data, of != Use::Stopped, &*ctx.clock, wait, &ctx.stop).map_err(|error| match error {
        sys::Error::Locked { path, .. } => {
            let holder = "one of another configuration of this Cassandra, with another `local.dir`".to_owned();
            sys::Error::Locked { path, holder }
        }
        error => error,
    })?;
    Ok(OfCassandra { _state: state, _node: node })
}
