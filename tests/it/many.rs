//! Ten thousand snapshots in a bucket: what it takes to list them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use object_store::memory::InMemory;
use windlass::format::body::Body;
use windlass::format::digest::Digest;
use windlass::format::head::{BodyRef, Head};
use windlass::format::key::NodeKey;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::node::Remote;
use windlass::ops::{self, Context};
use windlass::repository::Repository;
use windlass::sys::clock::Clock;

use crate::support::node::{Node, tools, tree};
use crate::support::store::{Faulty, Op};

const SNAPSHOTS: u32 = 10_000;

/// Stores manifests of snapshots that hold nothing, an hour apart, the newest an hour ago.
fn fill(node: &Node) {
    let ctx = node.context();
    let repository = Remote::open(&ctx).unwrap().marker.repository;
    let body = Body::default().to_text();
    for n in 1..=SNAPSHOTS {
        let id = SnapshotId::from_timestamp(node.clock.now() - SignedDuration::from_hours(i64::from(SNAPSHOTS - n) + 1));
        let time = id.to_timestamp();
        let head = Head {
            format: 1,
            repository: repository.clone(),
            node: ctx.node.clone(),
            source: tree(),
            kind: "directory".into(),
            id,
            n: 1,
            agent: "by hand".into(),
            time,
            local_date: jiff::tz::TimeZone::UTC.to_datetime(time).date(),
            files: 0,
            bytes: 0,
            added_bytes: 0,
            stored_bytes: 0,
            problems: Vec::new(),
            objective_seconds: 93_600,
            previous: None,
            newest: BTreeMap::new(),
            recipients: Vec::new(),
            body: BodyRef { length: body.len() as u64, sha256: Digest::of(&body) },
        };
        for (key, text) in [(NodeKey::Body(tree(), id, 1), body.clone()), (NodeKey::Head(tree(), id, 1), head.to_text().unwrap())] {
            node.repository.create(&key.of(&ctx.node).to_string(), text.into()).unwrap();
        }
    }
}

#[test]
fn listing_many_snapshots_takes_one_listing_and_the_heads_that_are_not_cached() {
    let plain = Node::new();
    let store = Faulty::around(Arc::new(InMemory::new()));
    let repository = Repository::over(store.clone(), "", "memory".into(), tools(plain.clock.clone(), plain.stop.clone()));
    let node = Node::in_memory(repository, plain.clock.clone(), plain.stop.clone());
    node.init();
    fill(&node);
    let requests = |work: &dyn Fn(&Context)| {
        let before = [Op::List, Op::Get].map(|op| store.count(op));
        work(&node.context());
        (store.count(Op::List) - before[0], store.count(Op::Get) - before[1])
    };
    let list = |ctx: &Context| assert_eq!(ops::snapshots::View::read(ctx, None, None).unwrap().rows.len(), SNAPSHOTS as usize);
    // The marker is read each time.
    assert_eq!(requests(&list), (1, 1 + SNAPSHOTS as usize));
    assert_eq!(requests(&list), (1, 1));
    // Its second listing is that of the verdicts; it reads the marker twice, the node file, and that there is no higher one.
    assert_eq!(requests(&|ctx| drop(ops::status::run(ctx).unwrap())), (2, 4));
}
