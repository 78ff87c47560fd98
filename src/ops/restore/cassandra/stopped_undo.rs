//! Putting back, with the node stopped, what a restore has set aside.

use super::checks::look_at_node_of;
use super::down::be_up;
use super::exchange::{aside_of, of_aside};
use super::node_plan::NodePlan;
use super::stopped::stop_and_exchange;
use super::survey::roots;
use crate::ops::restore::{Manner, Options, Outcome, UndoPlan};
use crate::ops::spec::{CassandraSettings, SourceSpec};
use crate::ops::undo::cassandra::stopped::Site;
use crate::ops::undo::cassandra::{Ground, PendingStopped, Stage, check_since};
use crate::ops::undo::{AsideTables, Placed, UndoRecord, site};
use crate::ops::{Context, Error};
use crate::source::cassandra::{Change, Expected, Looked, check_places};

/// Plans to put back what lies aside.
pub(super) fn plan_undo(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &CassandraSettings,
    undo: &UndoRecord,
    aside: &AsideTables,
) -> Result<UndoPlan, Error> {
    check_there(spec, undo, aside)?;
    let ground = Ground::new(ctx, settings)?;
    let control = ground.control(ctx, settings, &ctx.stop);
    control.check_commands()?;
    let mut node = NodePlan { is_up: control.is_up()?, live_tables: aside.tables.len() as u64, ..NodePlan::default() };
    if node.is_up {
        check_places(settings, &ground.config, true, &ctx.stop)?;
        let looked = look_at_node_of(aside, ctx, settings, &ground)?;
        check_tables(aside, Some(&looked))?;
        check_since(&looked, aside)?;
        (node.version, node.cluster_name, node.host_id) = (looked.facts.version, looked.facts.cluster_name, looked.facts.host_id);
    }
    Ok(UndoPlan {
        source: spec.name.clone(),
        target: format!("{} of the Cassandra of {}", aside.keyspaces().join(", "), settings.config_file.display()),
        aside: Some(aside.told()),
        snapshot: Some(undo.snapshot),
        time: undo.time,
        redo: undo.undone,
        node: Some(node),
        undrained: false,
        record: undo.clone(),
    })
}

/// Puts it back; what is replaced by that is set aside in turn. The caller holds the source's lock.
pub(super) fn undo(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &CassandraSettings,
    plan: &UndoPlan,
    undo: &UndoRecord,
    aside: &AsideTables,
) -> Result<Outcome, Error> {
    check_there(spec, undo, aside)?;
    let ground = Ground::new(ctx, settings)?;
    let folder = site::folder(ctx, spec)?;
    let site = Site { ctx, spec, settings, folder: &folder, ground: &ground };
    let control = ground.control(ctx, settings, &ctx.stop);
    let options = Options { manner: Manner { undrained: plan.undrained, ..Manner::default() }, ..Options::default() };
    let looked = match be_up(ctx, spec, &control, &options)? {
        true => Some(look_at_node_of(aside, ctx, settings, &ground)?),
        false => None,
    };
    check_places(settings, &ground.config, looked.is_some(), &ctx.stop)?;
    looked.iter().try_for_each(|looked| check_since(looked, aside))?;
    let (changes, expected) = check_tables(aside, looked.as_ref())?;
    let exchange = of_aside(ctx, &spec.name, &ground.config, &roots(ctx, &ground.config)?, aside, changes)?;
    exchange.check()?;
    let mut now_aside = aside_of(&exchange, &expected, looked.as_ref(), &ground.config, false)?;
    if let Some(looked) = &looked {
        now_aside.unbuilt = control.unbuilt(&looked.schema)?;
    }
    let undone = undo.turned(Placed::Cassandra(now_aside), ctx.clock.now());
    let mut pending = PendingStopped::new(exchange, expected, undone, true);
    // What was set aside half built is built to its end.
    (pending.unindexed, pending.anew) = (aside.unbuilt.indexes.clone(), aside.unbuilt.views.clone());
    pending.write(Stage::Staging, &folder)?;
    if let Some(looked) = &looked {
        pending.exchange.leave_indexes_out(&looked.schema)?;
    }
    let notes = stop_and_exchange(&site, &mut pending, &control, plan.undrained)?;
    let Placed::Cassandra(lies_aside) = &pending.undo.placement else { unreachable!("it was made a few lines above") };
    Ok(Outcome { notes, ..Outcome::of_undo(spec, &pending.undo, Some(lies_aside.told())) })
}

fn check_there(spec: &SourceSpec, undo: &UndoRecord, aside: &AsideTables) -> Result<(), Error> {
    match aside.places.iter().find(|place| !place.is_dir()) {
        Some(gone) => Err(Error::Absent(format!(
            "nothing can be put back for `{}`: {}, where the restore of {} had set files aside, is gone",
            spec.name,
            gone.display(),
            undo.snapshot
        ))),
        None => Ok(()),
    }
}

/// What changes places, and what the node must have afterwards: each table under the id that it has now.
fn check_tables(aside: &AsideTables, looked: Option<&Looked>) -> Result<(Vec<Change>, Vec<Expected>), Error> {
    let (mut changes, mut expected) = (Vec::new(), Vec::new());
    for table in &aside.tables {
        if let Some(looked) = looked {
            let mut keyspaces = looked.schema.keyspaces.iter().filter(|keyspace| keyspace.name == table.keyspace);
            let known = keyspaces.find_map(|keyspace| keyspace.tables.iter().find(|known| known.name == table.name));
            if known.is_none_or(|known| known.id != table.id) {
                let name = format!("{}.{}", table.keyspace, table.name);
                let what = if known.is_some() { "was made anew since" } else { "was dropped since" };
                return Err(Error::Refused(format!(
                    "{name} {what}, so that its files would be those of another table: make it with the id {} (CREATE TABLE or MATERIALIZED VIEW … WITH ID = …) or \
                     copy what you need from where it lies aside ({}); nothing was changed",
                    table.id.with_dashes(),
                    aside.told()
                )));
            }
        }
        changes.push(Change { keyspace: table.keyspace.clone(), live: table.folder.clone(), incoming: Some(table.folder.clone()) });
        expected.push(Expected {
            keyspace: table.keyspace.clone(),
            name: table.name.clone(),
            id: table.id.clone(),
            has_rows: table.has_rows,
        });
    }
    Ok((changes, expected))
}
