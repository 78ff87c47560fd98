//! Which folders of a node take part when its files change places.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::shares::Root;
use super::staging::{own_folder, staged_folder};
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::undo::{AsideOther, AsideTable, AsideTables, Way};
use crate::ops::{Context, Error};
use crate::source::cassandra::{self, Change, Exchange, Expected, Kind, Looked, NodeConfig, Other, has_rows};

/// The folder of ours in those that the node keeps commit log, hints and change data in.
const OURS: &str = ".windlass-undo";

/// An exchange that puts what is staged in place of these tables.
pub(super) fn of_staged(ctx: &Context, source: &SourceName, config: &NodeConfig, roots: &[Root], changes: Vec<Change>) -> Exchange {
    let stamp = SnapshotId::from_timestamp(ctx.clock.now()).to_string();
    let root = |root: &Root| cassandra::Root {
        data: root.path.clone(),
        incoming: staged_folder(&root.path, source),
        outgoing: aside(&root.path, source, &stamp),
    };
    Exchange {
        roots: roots.iter().map(root).collect(),
        tables: changes,
        others: others(config, source, &stamp, &[]),
        caches: vec![config.saved_caches_directory.clone()],
    }
}

/// An exchange that puts what lies aside in place of these tables.
///
/// # Errors
/// [`Error::Refused`] when what lies aside is in none of the node's data directories.
pub(super) fn of_aside(
    ctx: &Context,
    source: &SourceName,
    config: &NodeConfig,
    roots: &[Root],
    from: &AsideTables,
    changes: Vec<Change>,
) -> Result<Exchange, Error> {
    let stamp = SnapshotId::from_timestamp(ctx.clock.now()).to_string();
    let mut found = Vec::new();
    for place in &from.places {
        let Some(root) = roots.iter().find(|root| place.starts_with(&root.path)) else {
            return Err(Error::Refused(format!(
                "{} lies in none of the data directories that {} names now: name the one that it is in; nothing was changed",
                place.display(),
                config.path.display()
            )));
        };
        found.push(cassandra::Root { data: root.path.clone(), incoming: place.clone(), outgoing: aside(&root.path, source, &stamp) });
    }
    // What has come since into a data directory that there was not before goes too.
    let is_new = |root: &&Root| !from.places.iter().any(|place| place.starts_with(&root.path));
    found.extend(roots.iter().filter(is_new).map(|root| cassandra::Root {
        data: root.path.clone(),
        incoming: staged_folder(&root.path, source),
        outgoing: aside(&root.path, source, &stamp),
    }));
    Ok(Exchange {
        roots: found,
        tables: changes,
        others: others(config, source, &stamp, &from.others),
        caches: vec![config.saved_caches_directory.clone()],
    })
}

fn aside(root: &Path, source: &SourceName, stamp: &str) -> PathBuf {
    own_folder(root, source).join(format!("aside-{stamp}"))
}

/// The folders with commit log, hints and change data, and where their files go to and come from.
fn others(config: &NodeConfig, source: &SourceName, stamp: &str, from: &[AsideOther]) -> Vec<Other> {
    let mut others = Vec::new();
    for (live, what) in
        [(&config.commitlog_directory, "commitlog"), (&config.hints_directory, "hints"), (&config.cdc_raw_directory, "cdc_raw")]
    {
        let place = format!("{what}-{stamp}");
        // The node counts what lies below its folder of change data towards the room that this may take.
        let beside =
            if what == "cdc_raw" && is_same_device(live, &config.commitlog_directory) { &config.commitlog_directory } else { live };
        if !live.is_dir() {
            continue;
        }
        let incoming = from.iter().find(|other| other.live == *live && other.is_needed).map(|other| other.place.clone());
        others.push(Other { live: live.clone(), incoming, outgoing: Some(beside.join(OURS).join(source.as_str()).join(place)) });
    }
    others
}

fn is_same_device(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| std::fs::metadata(path).map(|stat| stat.dev()).ok();
    device(one).is_some() && device(one) == device(other)
}

/// What lies aside once an exchange has come through. `is_drained`: the node has written out all of its commit log, which must not be read once
/// more then.
pub(super) fn aside_of(
    exchange: &Exchange,
    expected: &[Expected],
    looked: Option<&Looked>,
    config: &NodeConfig,
    is_drained: bool,
) -> Result<AsideTables, Error> {
    let mut tables = Vec::new();
    for (change, table) in exchange.tables.iter().zip(expected) {
        let keyspaces = looked.iter().flat_map(|looked| &looked.schema.keyspaces).filter(|keyspace| keyspace.name == change.keyspace);
        let kind = keyspaces.flat_map(|keyspace| &keyspace.tables).find(|one| one.name == table.name).map_or(Kind::Table, |one| one.kind);
        tables.push(AsideTable {
            keyspace: change.keyspace.clone(),
            name: table.name.clone(),
            id: table.id.clone(),
            kind,
            folder: change.live.clone(),
            has_rows: has_rows(config, &change.keyspace, &change.live)?,
        });
    }
    let other = |other: &Other| {
        let is_needed = !is_drained || other.live != config.commitlog_directory;
        other.outgoing.clone().map(|place| AsideOther { live: other.live.clone(), place, is_needed })
    };
    Ok(AsideTables {
        cassandra: Way::Stopped,
        host_id: looked.map(|looked| looked.facts.host_id.clone()).unwrap_or_default(),
        places: exchange.roots.iter().map(|root| root.outgoing.clone()).collect(),
        tables,
        others: exchange.others.iter().filter_map(other).collect(),
    })
}
