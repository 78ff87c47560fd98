//! Ten thousand snapshots in a bucket: what it takes to list them, in requests and in memory.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use object_store::memory::InMemory;
use windlass::format::body::{Body, ListRef, Role};
use windlass::format::digest::Digest;
use windlass::format::head::{BodyRef, Head};
use windlass::format::key::NodeKey;
use windlass::format::names::NodeName;
use windlass::format::pack_list::{self, PackRef};
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::node::Remote;
use windlass::ops::{self, Context};
use windlass::repository::Repository;
use windlass::sys::clock::{Clock, SystemClock};

use crate::memory::{mib, peak_of};
use crate::support::node::{Node, tools, tree};
use crate::support::program::{Machine, text};
use crate::support::store::{Faulty, Op};

const SNAPSHOTS: u32 = 10_000;

/// Manifests of so many snapshots, an hour apart, the newest an hour before `now`, each with these lists; hands on keys and texts.
fn manifests(
    repository: &str,
    snapshots: u32,
    now: Timestamp,
    lists: &dyn Fn(u32) -> Vec<ListRef>,
    store: &mut dyn FnMut(String, Vec<u8>),
) {
    let node: NodeName = "node-1".parse().unwrap();
    let mut previous = None;
    for n in 1..=snapshots {
        let id = SnapshotId::from_timestamp(now - SignedDuration::from_hours(i64::from(snapshots - n) + 1));
        let time = id.to_timestamp();
        let body = Body { lists: lists(n), ..Body::default() }.to_text();
        let head = Head {
            format: 1,
            repository: repository.to_owned(),
            node: node.clone(),
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
            previous,
            newest: BTreeMap::new(),
            recipients: Vec::new(),
            body: BodyRef { length: body.len() as u64, sha256: Digest::of(&body) },
        };
        store(NodeKey::Body(tree(), id, 1).of(&node).to_string(), body);
        store(NodeKey::Head(tree(), id, 1).of(&node).to_string(), head.to_text().unwrap());
        previous = Some(id);
    }
}

/// Stores manifests of snapshots that hold nothing.
fn fill(node: &Node) {
    let repository = Remote::open(&node.context()).unwrap().marker.repository;
    let mut store = |key: String, text: Vec<u8>| node.repository.create(&key, text.into()).unwrap();
    manifests(&repository, SNAPSHOTS, node.clock.now(), &|_| Vec::new(), &mut store);
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
    let list = |ctx: &Context| {
        let view = ops::snapshots::View::read(ctx, None, None).unwrap();
        let ids: Vec<SnapshotId> = view.rows.iter().map(|row| row.unwrap().id).collect();
        assert!(ids.len() == SNAPSHOTS as usize && ids.is_sorted());
    };
    // The marker is read each time.
    assert_eq!(requests(&list), (1, 1 + SNAPSHOTS as usize));
    assert_eq!(requests(&list), (1, 1));
    // More than is sorted in memory, and nothing was made for it; where there is a folder for it, it is used.
    let work = node.path("local/.windlass/work");
    assert!(!work.exists());
    fs::create_dir_all(&work).unwrap();
    assert_eq!(requests(&list), (1, 1));
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0);
    // Its second listing is that of the verdicts; it reads the marker twice, the node file, and that there is no higher one.
    assert_eq!(requests(&|ctx| drop(ops::status::run(ctx).unwrap())), (2, 4));
}

/// What may have changed while it was listed is listed once more, and shown where it belongs.
#[test]
fn a_snapshot_in_doubt_is_asked_for_again_and_stands_in_its_place() {
    let plain = Node::new();
    let store = Faulty::around(Arc::new(InMemory::new()));
    let repository = Repository::over(store.clone(), "", "memory".into(), tools(plain.clock.clone(), plain.stop.clone()));
    let node = Node::in_memory(repository, plain.clock.clone(), plain.stop.clone());
    node.init();
    let marker = Remote::open(&node.context()).unwrap().marker.repository;
    let mut heads = Vec::new();
    manifests(&marker, 3, node.clock.now(), &|_| Vec::new(), &mut |key, text| {
        if key.ends_with(".1.json") {
            heads.push((key.clone(), text.clone()));
        }
        node.repository.create(&key, text.into()).unwrap();
    });
    // A second manifest of the one in the middle, whose body is not there.
    let head = Head { n: 2, ..Head::from_text(&heads[1].1).unwrap() };
    node.repository.create(&heads[1].0.replace(".1.json", ".2.json"), head.to_text().unwrap().into()).unwrap();
    let before = store.count(Op::List);
    let view = ops::snapshots::View::read(&node.context(), None, None).unwrap();
    assert_eq!(store.count(Op::List) - before, 2);
    let rows: Vec<(SnapshotId, Option<u32>)> = view.rows.iter().map(Result::unwrap).map(|row| (row.id, row.manifest)).collect();
    assert!(rows.is_sorted() && rows.len() == 3 && rows.iter().all(|(_, n)| *n == Some(1)), "{rows:?}");
    let found: Vec<&str> = view.findings.iter().map(|finding| finding.object.as_str()).collect();
    assert_eq!(found, [NodeKey::Body(tree(), head.id, 2).of(&node.context().node).to_string()]);
    assert_eq!(ops::status::run(&node.context()).unwrap().sources[0].shipped, Some(rows[2].0));
}

/// Fills the folder of a repository: each snapshot has a file list of its own, and needs its own pack and the two before.
fn fill_folder(machine: &Machine, snapshots: u32) {
    let marker: serde_json::Value = serde_json::from_slice(&fs::read(machine.path("bucket/windlass.json")).unwrap()).unwrap();
    let write = |key: String, text: Vec<u8>| {
        let path = machine.path("bucket").join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let node: NodeName = "node-1".parse().unwrap();
    let pack = |n: u32| Digest::of(format!("pack {n}").as_bytes());
    for n in 1..=snapshots {
        write(NodeKey::Pack { name: pack(n), sealed: false }.of(&node).to_string(), b"pack".to_vec());
    }
    let lists = |n: u32| {
        let list = Digest::of(format!("list {n}").as_bytes());
        let mut packs: Vec<PackRef> = (n.saturating_sub(2).max(1)..=n).map(|n| PackRef { pack: pack(n), stored: 4 }).collect();
        packs.sort_by_key(|pack| pack.pack);
        let packs = pack_list::write(&packs);
        let (packs_sha256, packs_length) = (Digest::of(&packs), packs.len() as u64);
        write(NodeKey::FileList { name: list, sealed: false }.of(&node).to_string(), b"list".to_vec());
        write(NodeKey::PackList(list).of(&node).to_string(), packs);
        vec![ListRef { role: Role::Files, list, stored: 4, packs_sha256, packs_length }]
    };
    manifests(&text(&marker["repository"]), snapshots, SystemClock::new().now(), &lists, &mut |key, text| write(key, text));
}

/// How many more snapshots the larger repository has.
const MORE: u64 = (SNAPSHOTS - SNAPSHOTS / 10) as u64;

/// How much more memory many times as many snapshots may take where nothing of them stays: noise of the allocator, and the buffers of a sort
/// that spills.
const FLAT: u64 = 2 << 20;

/// What looks at every snapshot, and how many bytes more it may take in all.
///
/// `list` and `status` hold one snapshot at a time: what is listed and the lines that are shown lie sorted on disk. `prune` holds the
/// decision on each snapshot with its reasons, because retention weighs them against each other and nothing is deleted before all are judged;
/// `stats` holds the figures of each, which are its answer. Both hold the manifest heads (about 600 bytes, texts included) and what is listed
/// of each (about 200). Of all else, objects above all, nothing may stay. Their limits are what was measured and a third more, for the noise
/// of the allocator.
const LOOKING: [(&[&str], u64); 6] = [
    (&["list"], FLAT),
    (&["--json", "list"], FLAT),
    (&["status"], FLAT),
    (&["status", "--cluster"], FLAT),
    (&["prune", "--dry-run"], 2700 * MORE),
    (&["stats"], 2200 * MORE),
];

#[test]
fn ten_times_as_many_snapshots_take_no_more_memory_than_what_must_stay_of_them() {
    let peaks = [SNAPSHOTS / 10, SNAPSHOTS].map(|snapshots| {
        let machine = Machine::in_memory().configured("[retention]\nlast = 100000\n");
        machine.run(&["init"]).expect(0);
        fill_folder(&machine, snapshots);
        LOOKING.map(|(looking, _)| {
            let peak = peak_of(machine.start(looking));
            println!("{snapshots} snapshots: {looking:?}: {:.1} MiB", mib(peak));
            peak
        })
    });
    for ((looking, most), (few, many)) in LOOKING.iter().zip(peaks[0].into_iter().zip(peaks[1])) {
        assert!(few > 1 << 20, "the peak of {looking:?} was not seen");
        let more = many.saturating_sub(few);
        println!("{looking:?}: {:.1} MiB more, {} bytes for each snapshot", mib(more), more / MORE);
        assert!(more < *most, "{looking:?} takes {:.1} MiB more for {MORE} more snapshots", mib(more));
    }
}
