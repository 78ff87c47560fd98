//! Which folders of a node take part when its files change places.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::shares::Root;
use super::staging::{own_folder, staged_folder};
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::undo::cassandra::indexes_of;
use crate::ops::undo::{AsideOther, AsideTable, AsideTables, Way};
use crate::ops::{Context, Error, size};
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
        // One data directory may lie in another.
        let above = roots.iter().filter(|root| place.starts_with(&root.path));
        let Some(root) = above.max_by_key(|root| root.path.components().count()) else {
            return Err(Error::Refused(format!(
                "{} lies in none of the data directories that {} names now: name the one that it is in; nothing was changed",
                place.display(),
                config.path.display()
            )));
        };
        found.push(cassandra::Root { data: root.path.clone(), incoming: place.clone(), outgoing: aside(&root.path, source, &stamp) });
    }
    // What has come since into a data directory that there was not before goes too.
    let known: Vec<PathBuf> = found.iter().map(|root| root.data.clone()).collect();
    let is_new = |root: &&Root| !known.contains(&root.path);
    found.extend(roots.iter().filter(is_new).map(|root| cassandra::Root {
        data: root.path.clone(),
        incoming: staged_folder(&root.path, source),
        outgoing: aside(&root.path, source, &stamp),
    }));
    check_configured(config, &from.others)?;
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
        let outgoing = Some(beside.join(OURS).join(source.as_str()).join(place));
        others.push(Other { live: live.clone(), incoming, outgoing, coming: Vec::new(), returning: None });
    }
    others
}

/// That what is needed of commit log, hints and change data comes into folders that the node still has: what does not come in is removed.
fn check_configured(config: &NodeConfig, from: &[AsideOther]) -> Result<(), Error> {
    let folders = [&config.commitlog_directory, &config.hints_directory, &config.cdc_raw_directory];
    for other in from.iter().filter(|other| other.is_needed && bytes_of(&other.place) > 0) {
        if !folders.contains(&&other.live) || !other.live.is_dir() {
            return Err(Error::Refused(format!(
                "{} holds what belongs into {}, and {} does not name that folder any more, or it is gone: name it again, or move those files by hand \
                 into the folder that is named now, while the node is down; nothing was changed",
                other.place.display(),
                other.live.display(),
                config.path.display()
            )));
        }
    }
    Ok(())
}

/// What is said of hints and change data that go aside, which are of all keyspaces of the node.
pub(super) fn told_others(config: &NodeConfig) -> Option<String> {
    let (hints, changes) = (bytes_of(&config.hints_directory), bytes_of(&config.cdc_raw_directory));
    (hints + changes > 0).then(|| {
        format!(
            "{} of hints for other nodes and {} of change data, of every keyspace of the node, are set aside with the rest: they come back by --undo \
             alone, and are removed when its time is over",
            size::in_words(hints),
            size::in_words(changes)
        )
    })
}

/// Bytes of the files in a folder; none where it cannot be read.
pub(super) fn bytes_of(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|entry| entry.metadata().map_or(0, |meta| if meta.is_file() { meta.len() } else { 0 })).sum()
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
            sstables: 0,
        });
    }
    let other = |other: &Other| {
        let is_needed = !is_drained || other.live != config.commitlog_directory;
        other.outgoing.clone().map(|place| AsideOther { live: other.live.clone(), place, is_needed })
    };
    let mut aside = AsideTables {
        cassandra: Way::Stopped,
        host_id: looked.map(|looked| looked.facts.host_id.clone()).unwrap_or_default(),
        places: exchange.roots.iter().map(|root| root.outgoing.clone()).collect(),
        tables,
        others: exchange.others.iter().filter_map(other).collect(),
        indexes: BTreeMap::new(),
        unbuilt: Default::default(),
    };
    if let Some(looked) = looked {
        aside.indexes = indexes_of(looked, &aside)?;
    }
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_needed_and_has_no_place_any_more_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = |below: &str| temp.path().join(below);
        let folders = ["data", "commitlog", "elsewhere", "hints", "cdc_raw"];
        folders.iter().for_each(|folder| std::fs::create_dir_all(path(folder)).unwrap());
        let text = format!(
            "partitioner: Murmur3Partitioner\ndata_file_directories: [{}]\ncommitlog_directory: {}\nhints_directory: {}\ncdc_raw_directory: {}\n",
            path("data").display(),
            path("commitlog").display(),
            path("hints").display(),
            path("cdc_raw").display()
        );
        std::fs::write(path("cassandra.yaml"), text).unwrap();
        let config = NodeConfig::read(&path("cassandra.yaml")).unwrap();
        let place = path("elsewhere/.windlass-undo/homestead/commitlog-1");
        std::fs::create_dir_all(&place).unwrap();
        let other = |live: &str, is_needed| [AsideOther { live: path(live), place: place.clone(), is_needed }];
        check_configured(&config, &other("elsewhere", true)).unwrap();
        std::fs::write(place.join("CommitLog-7-1.log"), "writes of other keyspaces").unwrap();
        check_configured(&config, &other("commitlog", true)).unwrap();
        check_configured(&config, &other("elsewhere", false)).unwrap();
        let refused = check_configured(&config, &other("elsewhere", true)).unwrap_err().to_string();
        assert!(refused.contains("commitlog-1") && refused.contains("nothing was changed"), "{refused}");
        std::fs::remove_dir(path("commitlog")).unwrap();
        assert!(check_configured(&config, &other("commitlog", true)).is_err());
        assert_eq!(told_others(&config), None);
        std::fs::write(path("hints/1.hints"), "four").unwrap();
        assert!(told_others(&config).unwrap().starts_with("4 B of hints for other nodes and 0 B of change data"));
    }
}
