//! What tables of a node that runs hold is set aside before they are emptied.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::PendingImport;
use super::running::Filling;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::Error;
use crate::ops::error::chain;
use crate::ops::snapshot::tags;
use crate::ops::undo::{AsideTable, AsideTables, Placed, UndoRecord, Way};
use crate::source::cassandra::import::{Aside, Fill, count_ready, safeguard};
use crate::source::cassandra::{Schema, clear, look_at_some};
use crate::sys::stop::Stop;

/// Has the node take a snapshot of these tables and links it into places of the data directories; the node forgets it then.
pub(crate) fn set_aside(
    filling: &Filling<'_>,
    schema: &Schema,
    asides: &[Aside],
    is_all: bool,
    host_id: &str,
) -> Result<AsideTables, Error> {
    let Filling { ctx, spec, settings, ground, .. } = *filling;
    let id = SnapshotId::from_timestamp(ctx.clock.now());
    let tag = id.to_string();
    let keyspaces: Vec<String> = schema.keyspaces.iter().map(|keyspace| keyspace.name.clone()).collect();
    tags::note(ctx, &spec.name, id)?;
    let mut look_again = || {
        let mut now = look_at_some(settings, &ground.config, &keyspaces, &ctx.stop)?.schema;
        if !is_all {
            for (now, was) in now.keyspaces.iter_mut().zip(&schema.keyspaces) {
                now.tables.retain(|table| was.tables.iter().any(|was| was.name == table.name));
            }
        }
        Ok(now)
    };
    let taken = safeguard(&filling.job(&tag, &ctx.stop), schema, asides, is_all, &mut look_again);
    // Also after a stop: what the node holds takes room as long as it holds it.
    match clear(&filling.job(&tag, &Stop::new()), &keyspaces) {
        Ok(()) if taken.is_ok() => tags::forget(ctx, &spec.name, id)?,
        // What was asked for may still come: the next snapshot looks for it.
        Ok(()) => {}
        Err(error) => {
            let name = &spec.name;
            ctx.warn(
                Some(name),
                format!("the node still holds its snapshot {tag}, which the next snapshot of `{name}` clears: {}", chain(&error)),
            );
        }
    }
    let places: Vec<PathBuf> = asides.iter().map(|aside| aside.place.clone()).collect();
    let table = |taken: &crate::source::cassandra::TakenTable| -> Result<AsideTable, Error> {
        let folder = format!("{}-{}", taken.name, taken.id);
        // An index may have files where the table has none any more.
        let sstables = count_ready(&places, &taken.keyspace, &folder)?;
        Ok(AsideTable {
            keyspace: taken.keyspace.clone(),
            name: taken.name.clone(),
            id: taken.id.clone(),
            kind: taken.kind,
            has_rows: sstables > 0,
            sstables,
            folder,
        })
    };
    let tables = taken?.iter().map(table).collect::<Result<_, _>>()?;
    Ok(AsideTables {
        cassandra: Way::Running,
        host_id: host_id.to_owned(),
        places,
        tables,
        others: Vec::new(),
        indexes: BTreeMap::new(),
        unbuilt: Default::default(),
    })
}

/// The tables of what lies aside, as they come back.
pub(crate) fn fills(aside: &AsideTables) -> Vec<Fill> {
    let fill = |table: &AsideTable| Fill {
        keyspace: table.keyspace.clone(),
        name: table.name.clone(),
        id: table.id.clone(),
        kind: table.kind,
        folder: table.folder.clone(),
        at_least: table.sstables.max(u64::from(table.has_rows)),
    };
    aside.tables.iter().map(fill).collect()
}

/// Where what was replaced lies, for a person.
pub(crate) fn asides_of(pending: &PendingImport) -> Option<String> {
    match &pending.undo {
        Some(UndoRecord { placement: Placed::Cassandra(aside), .. }) => Some(aside.told()),
        _ => None,
    }
}
