//! Restoring tables of a Cassandra node: which way, and what is common to both.
//!
//! With the node [`stopped`], its files change places with those of the snapshot; while it is [`running`], it takes them in. Both have them put
//! together by [`staging`] below its data directories: [`survey`] counts what comes, [`shares`] says which directory each SSTable goes to,
//! [`recorded`] what the snapshot says of its keyspaces, [`seen`] and [`matched`] how that stands to what the node has, [`checks`] whether the node
//! can take it, [`views`] what becomes of views. [`down`] is for a node that does not answer, [`fresh`] for one that has never run.

mod checks;
mod choice;
mod down;
mod exchange;
mod fresh;
mod linked;
mod matched;
mod node_plan;
mod recorded;
mod running;
mod seen;
mod shares;
mod staging;
mod stopped;
mod stopped_undo;
mod survey;
mod views;

pub use self::fresh::FreshPlan;
pub use self::node_plan::NodePlan;
use super::about::About;
use super::{Options, Outcome, Part, Plan, UndoPlan};
use crate::ops::locks::{Use, Waiting};
use crate::ops::snapshots::Found;
use crate::ops::spec::{CassandraSettings, SourceSpec};
use crate::ops::undo::cassandra::{Begun, settled};
use crate::ops::undo::{AsideTables, UndoRecord, Way, site};
use crate::ops::{Context, Error};
use crate::source::cassandra::table_of;

/// Which way a restore takes.
fn way(settings: &CassandraSettings, options: &Options) -> Result<Way, Error> {
    let Part { database, table, rename, definers } = &options.part;
    if !definers.is_empty() {
        return Err(Error::Usage("nothing of a Cassandra node has a definer: leave --definer out".to_owned()));
    }
    if rename.is_some() && table.is_none() {
        return Err(Error::Usage("--as is for one table of a Cassandra node: say which, by --table KEYSPACE.TABLE".to_owned()));
    }
    if let Some(name) = rename {
        if options.manner.merge {
            return Err(Error::Usage("--merge is for tables that are there, and --as makes a new one: leave one of them out".to_owned()));
        }
        if table_of(&format!("{name}-{}", "0".repeat(32))).is_none() {
            return Err(Error::Usage(format!("`{name}` is no name of a table: letters, digits and _")));
        }
    }
    if let (Some(database), Some(table)) = (database, table)
        && table.split_once('.').is_some_and(|(keyspace, _)| keyspace != database)
    {
        return Err(Error::Usage(format!("--database {database} and --table {table} are of two keyspaces: leave --database out")));
    }
    let is_part = database.is_some() || table.is_some() || rename.is_some();
    let can_be_stopped = settings.stop.is_some() && settings.start.is_some();
    let manner = options.manner;
    if manner.undrained && (is_part || manner.running || manner.merge) {
        let why = "--undrained is for a node that is down, and a part is restored while it runs: leave one of them out";
        return Err(Error::Usage(why.to_owned()));
    }
    if manner.undrained && !can_be_stopped {
        return Err(Error::Usage(
            "--undrained is for a node that is started when its files are in place: configure `stop` and `start` of the source".to_owned(),
        ));
    }
    let stopped = can_be_stopped && !is_part && !manner.running && !manner.merge;
    Ok(if stopped { Way::Stopped } else { Way::Running })
}

/// Plans a restore.
pub(super) fn plan(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &CassandraSettings,
    found: &Found,
    options: &Options,
) -> Result<Plan, Error> {
    let way = way(settings, options)?;
    if settings.is_scylla() || is_of_scylla(ctx, found)? {
        return Err(Error::Refused(by_hand(found)));
    }
    match way {
        Way::Stopped => stopped::plan(ctx, spec, settings, found, options),
        Way::Running => running::plan(ctx, spec, settings, found, options),
    }
}

/// Whether a snapshot is of ScyllaDB, whatever the source is now.
fn is_of_scylla(ctx: &Context, found: &Found) -> Result<bool, Error> {
    Ok(About::of(ctx, found, false)?.facts.get("engine").is_some())
}

/// What to do in place of a restore into ScyllaDB, of which no server could be had to build one against.
fn by_hand(found: &Found) -> String {
    format!(
        "{0} is of ScyllaDB, and nothing is restored into that; nothing was changed. `windlass fetch {0} --to FOLDER` gives its files, each \
         byte verified. Then make the tables that are missing (`cqlsh --file FOLDER/KEYSPACE/schema.cql`), TRUNCATE those that are there, \
         put the files of each table into the folder `upload` of its own, and have the node load them (`nodetool refresh KEYSPACE TABLE`, or \
         POST /storage_service/sstables/KEYSPACE?cf=TABLE); views and indexes are made anew. docs/CASSANDRA.md has the steps",
        found.name()
    )
}

/// What the lock of the node is taken for.
fn of(way: Way) -> Use {
    match way {
        Way::Stopped => Use::Stopped,
        Way::Running => Use::Running,
    }
}

/// Carries a plan out. The caller holds the source's lock and has settled what an earlier run has left.
pub(super) fn run(ctx: &Context, spec: &SourceSpec, settings: &CassandraSettings, plan: &Plan, wait: Waiting) -> Result<Outcome, Error> {
    let way = way(settings, &plan.options)?;
    let _lock = settled(ctx, &spec.name, settings, ("restore", of(way)), wait)?;
    let outcome = match way {
        Way::Stopped => stopped::run(ctx, spec, settings, plan),
        Way::Running => running::run(ctx, spec, settings, plan),
    }?;
    // Whichever way has filled it, the node is not one any more that waits for its rows.
    if plan.options.part == Part::default() {
        Begun::forget(&site::folder(ctx, spec)?)?;
    }
    Ok(outcome)
}

/// Plans to put back what lies aside.
pub(super) fn plan_undo(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &CassandraSettings,
    undo: &UndoRecord,
    aside: &AsideTables,
) -> Result<UndoPlan, Error> {
    match aside.cassandra {
        Way::Stopped => stopped_undo::plan_undo(ctx, spec, settings, undo, aside),
        Way::Running => running::plan_undo(ctx, spec, settings, undo, aside),
    }
}

/// Puts it back; what is replaced by that is set aside in turn. The caller holds the source's lock.
pub(super) fn undo(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &CassandraSettings,
    plan: &UndoPlan,
    (undo, aside): (&UndoRecord, &AsideTables),
    wait: Waiting,
) -> Result<Outcome, Error> {
    let _lock = settled(ctx, &spec.name, settings, ("undo a restore of", of(aside.cassandra)), wait)?;
    match aside.cassandra {
        Way::Stopped => stopped_undo::undo(ctx, spec, settings, plan, undo, aside),
        Way::Running => running::undo(ctx, spec, settings, undo, aside),
    }
}
