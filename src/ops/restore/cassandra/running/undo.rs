//! Putting back what tables held before a restore.

use super::super::checks::look_at_node_of;
use super::super::node_plan::{NodePlan, emptied};
use super::check_room;
use super::sides::asides;
use crate::ops::restore::{Outcome, UndoPlan};
use crate::ops::spec::{CassandraSettings, SourceSpec};
use crate::ops::undo::cassandra::aside::{asides_of, fills, set_aside};
use crate::ops::undo::cassandra::running::Filling;
use crate::ops::undo::cassandra::{Ground, Manner, PendingImport, check_since, indexes_of};
use crate::ops::undo::{AsideTables, Placed, UndoRecord, Way, site};
use crate::ops::{Context, Error};
use crate::source::cassandra::{Keyspace, Looked, Schema, data_directories, live_size, peers};

/// Most tables that are named as where something is put back.
const NAMED: usize = 3;

/// Plans to put back what lies aside.
pub(in super::super) fn plan_undo(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &CassandraSettings,
    undo: &UndoRecord,
    aside: &AsideTables,
) -> Result<UndoPlan, Error> {
    if aside.is_gone() {
        return Err(Error::Absent(format!(
            "nothing can be put back for `{}`: {}, where the restore of {} had set it aside, is gone",
            spec.name,
            aside.told(),
            undo.snapshot
        )));
    }
    let ground = Ground::new(ctx, settings)?;
    let looked = look_at_node_of(aside, ctx, settings, &ground)?;
    check_since(&looked, aside)?;
    let live = live(&looked, aside)?;
    let size = live_size(&ground.config, &live, &ctx.local()?.dir, None, &ctx.stop)?;
    Ok(UndoPlan {
        source: spec.name.clone(),
        target: told_target(settings, aside),
        aside: Some(aside.told()),
        snapshot: Some(undo.snapshot),
        time: undo.time,
        redo: undo.undone,
        node: Some(NodePlan {
            way: Way::Running,
            is_up: true,
            version: looked.facts.version,
            cluster_name: looked.facts.cluster_name,
            host_id: looked.facts.host_id,
            live_tables: aside.tables.len() as u64,
            live_files: size.files,
            live_bytes: size.bytes,
            empties: emptied(aside),
            ..NodePlan::default()
        }),
        undrained: false,
        record: undo.clone(),
    })
}

/// Puts it back; what the tables hold now lies aside afterwards. The caller holds the source's lock.
pub(in super::super) fn undo(
    ctx: &Context,
    spec: &SourceSpec,
    settings: &CassandraSettings,
    undo: &UndoRecord,
    aside: &AsideTables,
) -> Result<Outcome, Error> {
    let (ground, folder, work) = (Ground::new(ctx, settings)?, site::folder(ctx, spec)?, ctx.state()?.work()?);
    let looked = look_at_node_of(aside, ctx, settings, &ground)?;
    let others = peers(settings, &ground.config, &ctx.stop)?;
    if others > 0 {
        return Err(Error::Refused(format!(
            "the node knows {others} others of its cluster by now, and tables are emptied on all of them at once; nothing was changed"
        )));
    }
    check_since(&looked, aside)?;
    let live = live(&looked, aside)?;
    check_room(ctx, &ground, &vec![0; data_directories(&ground.config)?.len()])?;
    let asides = asides(ctx, spec, data_directories(&ground.config)?.into_iter());
    let outgoing = asides.iter().map(|aside| aside.place.clone()).collect();
    let mut pending = PendingImport::new(Manner::PutBack, undo.snapshot, aside.host_id.clone(), aside.places.clone(), outgoing);
    pending.write(pending.stage, &folder)?;
    let filling = Filling { ctx, spec, settings, folder: &folder, ground: &ground, work: &work };
    pending.tables = fills(aside);
    let replaced = set_aside(&filling, &live, &asides, false, &aside.host_id)
        .and_then(|replaced| Ok(AsideTables { indexes: indexes_of(&looked, &replaced)?, ..replaced }));
    let replaced = match replaced {
        Ok(replaced) => replaced,
        Err(error) => return Err(filling.give_up_after(&pending, error)),
    };
    pending.back = fills(&replaced);
    let undone = undo.turned(Placed::Cassandra(replaced), ctx.clock.now());
    pending.undo = Some(undone.clone());
    filling.carry_out(&mut pending)?;
    Ok(Outcome::of_undo(spec, &undone, asides_of(&pending)))
}

/// The tables that lie aside, as they are on the node now: all of them must be there.
fn live(looked: &Looked, aside: &AsideTables) -> Result<Schema, Error> {
    let mut live = Schema { keyspaces: Vec::new() };
    for name in aside.keyspaces() {
        let mut keyspace = Keyspace { name: name.clone(), tables: Vec::new() };
        for table in aside.tables.iter().filter(|table| table.keyspace == name) {
            let there = looked.schema.keyspaces.iter().filter(|there| there.name == name).flat_map(|there| &there.tables);
            let Some(found) = there.into_iter().find(|there| there.id == table.id) else {
                return Err(Error::Refused(format!(
                    "{name}.{} was dropped since, or made anew, and what it held cannot be put back into another one: make it with the id {} (CREATE \
                     TABLE or MATERIALIZED VIEW … WITH ID = …), or copy what you need from where it lies aside ({}); nothing was changed",
                    table.name,
                    table.id.with_dashes(),
                    aside.told()
                )));
            };
            keyspace.tables.push(found.clone());
        }
        keyspace.tables.sort_by(|a, b| a.name.cmp(&b.name));
        live.keyspaces.push(keyspace);
    }
    Ok(live)
}

/// Where it is put back, for a person: a single table or a few by their names.
fn told_target(settings: &CassandraSettings, aside: &AsideTables) -> String {
    let names: Vec<String> = aside.tables.iter().map(|table| format!("`{}.{}`", table.keyspace, table.name)).collect();
    if names.len() > NAMED {
        return format!("tables of {} of the Cassandra of {}", aside.keyspaces().join(", "), settings.config_file.display());
    }
    format!("{} of the Cassandra of {}", names.join(", "), settings.config_file.display())
}
