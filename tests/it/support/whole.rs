//! Whether every snapshot that a repository lists has all that it needs, found out with nothing of the program's but the format.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use windlass::format::body::Body;
use windlass::format::head::Head;
use windlass::format::key::{Key, NodeKey};
use windlass::format::names::SourceName;
use windlass::format::pack_list;
use windlass::format::snapshot_id::SnapshotId;
use windlass::repository::Repository;

/// Fails unless each object that a listed snapshot needs is there at its size; gives the snapshots.
pub fn check(repository: &Repository, after: &str) -> Vec<(SourceName, SnapshotId)> {
    let mut keys = BTreeMap::new();
    let listed = repository.list("", &mut |object| {
        keys.insert(object.key, object.size);
        ControlFlow::Continue(())
    });
    listed.unwrap();
    let mut snapshots = Vec::new();
    for key in keys.keys() {
        let Some(Key::Of(node, NodeKey::Head(source, id, n))) = Key::parse(key) else { continue };
        let is_there = |key: NodeKey, size: u64| {
            let key = key.of(&node).to_string();
            assert_eq!(keys.get(&key), Some(&size), "{after}: {key} is needed");
            repository.get(&key, 64 << 20).unwrap()
        };
        let head = Head::from_text(&repository.get(key, 4096).unwrap()).unwrap();
        let sealed = !head.recipients.is_empty();
        let body = is_there(NodeKey::Body(source.clone(), id, n), head.body.length);
        for list in Body::from_text(&body).unwrap().lists {
            is_there(NodeKey::FileList { name: list.list, sealed }, list.stored);
            let packs = is_there(NodeKey::PackList(list.list), list.packs_length);
            for pack in pack_list::read(&packs).unwrap() {
                is_there(NodeKey::Pack { name: pack.pack, sealed }, pack.stored);
            }
        }
        snapshots.push((source, id));
    }
    snapshots
}
