//! What lies beside the snapshots: removal records, pins, marks, verdicts. None of them, however it is harmed, keeps a node from backing up or
//! lets prune take what is needed, and verify names what can be seen: that one of them is gone cannot.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use windlass::format::check::Level;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops;

use crate::damage::OVERSIZE;
use crate::heal::{assert_sound, heal, lose_copies, packs, spoil, verify};
use crate::prune::last;
use crate::support::node::Node;
use crate::support::sectors::{go_bad, with_bad_sectors};
use crate::support::tree::noise;

/// As those to other objects; what is unreadable is so for good, while the rest of the store works.
const HARMS: [&str; 8] = ["delete", "truncate", "empty", "flip", "append", "swap", "oversize", "unreadable"];

/// What becomes of each harm (columns) to each kind of record (rows), in four signs:
///
/// - `v`: a full verification names it; `-`: it cannot, because nothing tells;
/// - `+`: the next backup is made, and is sound;
/// - `+`: prune goes on and keeps what it should; `!`: it deletes nothing and names the object;
/// - `p`: heal names it as what a person has to mend; `=`: there is nothing to mend; `u`: it names a snapshot that it cannot write again.
const TABLE: [(&str, [&str; 8]); 4] = [
    // Without its record, a snapshot whose head is gone is one that is lost.
    ("removal record", ["-+!u", "v++p", "v++p", "v++p", "v++p", "v++p", "v++p", "v++="]),
    // One that cannot be read counts as pinned.
    ("pin", ["-++=", "v++p", "v++p", "v++p", "v++p", "v++p", "v++p", "v++="]),
    // Marks have no digest of their own: another valid mark in its place says as much as it would itself.
    ("mark", ["-++=", "v+!p", "v+!p", "v+!p", "v+!p", "-++=", "v+!p", "v+!="]),
    ("check", ["-++=", "v++p", "v++p", "v++p", "v++p", "-++=", "v++p", "v++="]),
];

/// A node with two of each kind of record.
struct Recorded {
    node: Node,
    removed: [SnapshotId; 2],
    pinned: [SnapshotId; 2],
    encrypted: bool,
}

fn prune(node: &Node, keep: u32) -> Result<ops::prune::Outcome, ops::Error> {
    let (ctx, options) = (node.context(), last(keep));
    ops::prune::plan(&ctx, &options).and_then(|plan| ops::prune::run(&ctx, &options, &plan))
}

fn forget(node: &Node, id: SnapshotId) {
    let options = ops::forget::Options { local: false, ..Default::default() };
    let plan = ops::forget::plan(&node.context(), &format!("tree/{id}").parse().unwrap(), &options).unwrap();
    ops::forget::run(&node.context(), &plan, None).unwrap();
}

impl Recorded {
    fn new(encrypted: bool) -> Self {
        let mut node = if encrypted { Node::encrypted() } else { Node::with_folder() };
        node.repository = with_bad_sectors(&node);
        node.write("kept", noise(1, 70_000));
        node.init();
        let [first, second, third, fourth] = [2, 3, 4, 5].map(|seed| {
            node.write("changing", noise(seed, 60_000));
            node.backup()
        });
        for id in [third, fourth] {
            ops::pins::set(&node.context(), None, &format!("tree/{id}").parse().unwrap(), true, "an audit", false).unwrap();
        }
        for (id, seed) in [(first, 6), (second, 7)] {
            forget(&node, id);
            node.write("changing", noise(seed, 60_000));
            node.backup();
            // What is waste now is marked.
            prune(&node, 100).unwrap();
            // A finding, and that it was put back.
            let newest = packs(&node).into_iter().max_by_key(|pack| fs::metadata(pack).unwrap().modified().unwrap()).unwrap();
            spoil(newest.clone());
            assert_eq!(verify(&node, Level::Full).damage.len(), 1);
            spoil(newest);
            node.clock.advance(Duration::from_secs(1));
            assert_sound(&node, "put back");
        }
        Self { node, removed: [first, second], pinned: [third, fourth], encrypted }
    }

    /// The second record of this kind, and the first, which it can change places with.
    fn objects(&self, kind: &str) -> [String; 2] {
        let keys = match kind {
            "removal record" => self.removed.map(|id| format!("node-1/removed/tree/{id}.json")).to_vec(),
            "pin" => self.pinned.map(|id| format!("node-1/pins/tree/{id}.1.json")).to_vec(),
            "mark" => self.node.objects("node-1/prune/"),
            _ => self.node.objects("node-1/checks/"),
        };
        assert!(keys.len() >= 2, "{kind}: {keys:?}");
        [keys[1].clone(), keys[0].clone()]
    }

    /// Does the harm; times stay as they were, as they do when a disk fails.
    fn harm(&self, harm: &str, object: &str, other: &str) {
        let [path, other]: [PathBuf; 2] = [object, other].map(|key| self.node.path("bucket").join(key));
        let times = [&path, &other].map(|path| fs::metadata(path).unwrap().modified().unwrap());
        let (bytes, others) = (fs::read(&path).unwrap(), fs::read(&other).unwrap());
        let middle = bytes.len() / 2;
        match harm {
            "delete" => return fs::remove_file(path).unwrap(),
            "truncate" => fs::write(&path, &bytes[..middle]).unwrap(),
            "empty" => fs::write(&path, b"").unwrap(),
            "flip" => fs::write(&path, flipped(&bytes)).unwrap(),
            "append" => fs::write(&path, [&bytes[..], b"more"].concat()).unwrap(),
            "oversize" => fs::File::options().write(true).open(&path).unwrap().set_len(OVERSIZE).unwrap(),
            "unreadable" => return go_bad(&path),
            _ => {
                fs::write(&path, others).unwrap();
                fs::write(&other, bytes).unwrap();
            }
        }
        for (path, time) in [&path, &other].into_iter().zip(times) {
            fs::File::open(path).unwrap().set_modified(time).unwrap();
        }
    }
}

/// With a bit turned that makes it another text: of a mark, one in the name of a field.
fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[3] ^= 4;
    bytes
}

fn cell(recorded: &Recorded, kind: &str, harm: &str) -> String {
    let node = &recorded.node;
    let [object, other] = recorded.objects(kind);
    recorded.harm(harm, &object, &other);
    let what = format!("{kind}, {harm}, encrypted: {}", recorded.encrypted);
    let before = node.objects("");

    let named: Vec<String> = verify(node, Level::Full).damage.into_iter().map(|damage| damage.object).collect();
    let verified = if named.contains(&object) { 'v' } else { '-' };

    node.write("changing", noise(9, 60_000));
    let id = node.backup();
    let found = verify_one(node, id);
    assert!(found.is_empty(), "{what}: the new snapshot is sound: {found:?}");
    node.fetch(id).unwrap();

    let pruned = match prune(node, 1) {
        Ok(_) => '+',
        Err(error) => {
            let said = ops::error::chain(&error);
            assert!(said.contains(&object) || harm == "delete", "{what}: {said}");
            '!'
        }
    };
    // Whatever became of its pin, what is pinned with a sound one stays; and one whose pin is damaged stays, too.
    let heads = node.objects("node-1/manifests/");
    let is_there = |id: SnapshotId| heads.iter().any(|key| key.contains(&id.to_string()));
    assert!(is_there(recorded.pinned[0]) && (is_there(recorded.pinned[1]) || (kind, harm) == ("pin", "delete")), "{what}");
    assert!(recorded.removed.iter().all(|id| !is_there(*id)), "{what}: what was removed stays so");

    let outcome = heal(node);
    let healed = match (&outcome.by_hand[..], &outcome.unhealed[..]) {
        ([], []) => '=',
        ([], [lost]) => {
            assert_eq!((kind, harm, lost.id), ("removal record", "delete", recorded.removed[1]), "{what}: {lost:?}");
            // Said once more that it was removed, it is in nobody's way.
            forget(node, lost.id);
            prune(node, 100).unwrap();
            'u'
        }
        (by_hand, unhealed) => {
            assert!(unhealed.is_empty(), "{what}: {unhealed:?}");
            assert!(by_hand.iter().any(|one| one.object == object), "{what}: {by_hand:?}");
            'p'
        }
    };
    assert!(before.iter().filter(|key| key.contains("/packs/")).count() > 3, "{what}");
    [verified, '+', pruned, healed].iter().collect()
}

fn verify_one(node: &Node, id: SnapshotId) -> Vec<ops::verify::Damage> {
    let snapshots = vec![format!("tree/{id}").parse().unwrap()];
    let outcome = ops::verify::run(&node.context(), &ops::verify::Options { level: Level::Full, snapshots, node: None }).unwrap();
    outcome.damage.into_iter().filter(|damage| damage.snapshot.is_some()).collect()
}

fn row(kind: &str) {
    for encrypted in [false, true] {
        let found: Vec<String> = HARMS.iter().map(|harm| cell(&Recorded::new(encrypted), kind, harm)).collect();
        let (_, expected) = TABLE.iter().find(|(name, _)| *name == kind).unwrap();
        assert_eq!(found, expected, "{kind}, encrypted: {encrypted}: {HARMS:?}");
    }
}

#[test]
fn a_harmed_removal_record() {
    row("removal record");
}

#[test]
fn a_harmed_pin() {
    row("pin");
}

#[test]
fn a_harmed_mark() {
    row("mark");
}

#[test]
fn a_harmed_file_of_verdicts() {
    row("check");
}

/// Nobody knows any more what it marks: so nothing that is as old as it is referred to, and what is stored after it is.
#[test]
fn beside_a_damaged_mark_a_node_stores_everything_anew_once_and_then_what_is_new() {
    let recorded = Recorded::new(false);
    let node = &recorded.node;
    let [object, other] = recorded.objects("mark");
    recorded.harm("truncate", &object, &other);
    let before = packs(node);
    let first = node.backup();
    let stored: Vec<_> = packs(node).into_iter().filter(|pack| !before.contains(pack)).collect();
    assert!(!stored.is_empty(), "all of it was stored anew");
    let body = fs::read_to_string(node.path(format!("bucket/node-1/manifests/tree/{first}.1.body.jsonl"))).unwrap();
    let needed = node.objects("node-1/files/").into_iter().filter(|key| body.contains(&key[14..78]));
    for list in needed.filter(|key| key.ends_with(".packs.jsonl")) {
        let text = fs::read_to_string(node.path("bucket").join(list)).unwrap();
        assert!(before.iter().all(|pack| !text.contains(&pack.file_name().unwrap().to_str().unwrap()[..64])), "{text}");
    }
    node.write("new", b"new");
    node.backup();
    assert!(packs(node).len() <= before.len() + stored.len() + 1, "what was stored after it is relied on");
    // Once it is gone, as `heal` advises, prune goes on.
    assert!(prune(node, 100).is_err());
    fs::remove_file(node.path("bucket").join(object)).unwrap();
    prune(node, 100).unwrap();
    assert_sound(node, "mended");
}

/// Two node files, of which the second counts.
fn adopted() -> Node {
    let mut node = Node::with_folder();
    node.repository = with_bad_sectors(&node);
    node.write("kept", noise(1, 70_000));
    node.init();
    node.backup();
    fs::remove_file(node.path("local/.windlass/node.json")).unwrap();
    ops::init::run(&node.context(), &ops::init::Options { adopt: true, ..Default::default() }).unwrap();
    node.write("changing", noise(2, 60_000));
    node.backup();
    node
}

fn harm_node_file(node: &Node, n: u32, harm: &str) {
    let path = node.path(format!("bucket/node-1/node.{n}.json"));
    match harm {
        "oversize" => fs::File::options().write(true).open(&path).unwrap().set_len(OVERSIZE).unwrap(),
        _ => go_bad(&path),
    }
}

#[test]
fn a_superseded_node_file_that_cannot_be_read_is_in_nobodys_way() {
    for harm in ["oversize", "unreadable"] {
        let node = adopted();
        harm_node_file(&node, 1, harm);
        assert_sound(&node, harm);
        node.write("changing", noise(3, 60_000));
        node.backup();
        assert!(heal(&node).by_hand.is_empty(), "{harm}");
        prune(&node, 1).unwrap();
        assert!(ops::status::run(&node.context()).unwrap().healthy, "{harm}");
    }
}

#[test]
fn a_node_file_that_cannot_be_read_counts_no_longer_once_the_machine_is_adopted_again() {
    for harm in ["oversize", "unreadable"] {
        let node = adopted();
        harm_node_file(&node, 2, harm);
        let refused = [node.try_backup().unwrap_err(), prune(&node, 1).unwrap_err()];
        assert!(refused.iter().all(|error| ops::error::chain(error).contains("node-1/node.2.json")), "{harm}: {refused:?}");
        assert_eq!(heal(&node).by_hand.iter().map(|one| one.object.as_str()).collect::<Vec<_>>(), ["node-1/node.2.json"], "{harm}");
        let again = ops::init::run(&node.context(), &ops::init::Options { adopt: true, ..Default::default() }).unwrap();
        assert_eq!(again.claimed, Some(3), "{harm}");
        node.write("changing", noise(3, 60_000));
        node.backup();
        assert_sound(&node, harm);
        prune(&node, 1).unwrap();
    }
}

#[test]
fn a_pin_that_cannot_be_read_is_said_again_by_pinning() {
    for harm in ["oversize", "unreadable"] {
        let recorded = Recorded::new(false);
        let [object, other] = recorded.objects("pin");
        recorded.harm(harm, &object, &other);
        let name = format!("tree/{}", recorded.pinned[1]).parse().unwrap();
        for pinned in [true, false] {
            assert!(ops::pins::set(&recorded.node.context(), None, &name, pinned, "said again", false).is_ok(), "{harm}");
        }
        assert_sound(&recorded.node, harm);
    }
}

#[test]
fn a_mark_that_cannot_be_read_is_named_by_prune_with_what_to_do() {
    for harm in ["truncate", "oversize", "unreadable"] {
        let recorded = Recorded::new(false);
        let [object, other] = recorded.objects("mark");
        recorded.harm(harm, &object, &other);
        let refused = ops::error::chain(&prune(&recorded.node, 1).unwrap_err());
        assert!(refused.contains(&object) && refused.contains("delete this object while no prune runs"), "{harm}: {refused}");
        fs::remove_file(recorded.node.path("bucket").join(object)).unwrap();
        prune(&recorded.node, 1).unwrap();
    }
}

/// The node has no copy of the head any more, as after its state was lost.
#[test]
fn a_head_that_no_read_gives_keeps_a_node_from_nothing() {
    let mut node = Node::with_folder();
    node.repository = with_bad_sectors(&node);
    node.write("kept", noise(1, 70_000));
    node.init();
    let id = node.backup();
    fs::remove_dir_all(node.path("local/.windlass/heads")).unwrap();
    go_bad(&node.path(format!("bucket/node-1/manifests/tree/{id}.1.json")));
    node.write("changing", noise(2, 60_000));
    let next = node.backup();
    assert!(verify_one(&node, next).is_empty());
    // Its copy was there, so it was written again.
    assert!(node.objects("node-1/manifests/").contains(&format!("node-1/manifests/tree/{id}.2.json")));
    let outcome = heal(&node);
    assert!(outcome.unhealed.is_empty() && outcome.by_hand.is_empty(), "{outcome:?}");
    prune(&node, 100).unwrap();
}

#[test]
fn a_damaged_file_of_verdicts_is_told_once_in_a_run() {
    let recorded = Recorded::new(false);
    let [object, other] = recorded.objects("check");
    recorded.harm("truncate", &object, &other);
    let node = &recorded.node;
    // Four shipments in one run.
    for seed in 11..14 {
        node.write("changing", noise(seed, 60_000));
        node.snapshot();
    }
    node.events.lock().unwrap().clear();
    node.backup();
    let told = |event: &&ops::event::Event| matches!(event, ops::event::Event::Warning { message, .. } if message.contains(&object));
    let events = node.events.lock().unwrap();
    assert_eq!(events.iter().filter(told).count(), 1, "{events:?}");
}

#[test]
fn a_marked_pack_is_not_referred_to_though_it_was_found_sound_again() {
    let node = Node::with_folder();
    node.write("kept", noise(1, 300_000));
    node.init();
    node.backup();
    let shared = packs(&node).pop().unwrap();
    node.write("changing", noise(2, 60_000));
    let second = node.backup();
    spoil(shared.clone());
    assert!(!verify(&node, Level::Full).damage.is_empty());
    spoil(shared.clone());
    let key = shared.strip_prefix(node.path("bucket")).unwrap().to_str().unwrap();
    let mark = format!("{{\"object\":\"{key}\",\"stored\":\"{}\"}}\n", fs::metadata(&shared).unwrap().len());
    node.put_text("node-1/prune/20261123T020500000Z-0011223344556677.jsonl", &mark);
    // Its own copy is gone, and so is one of its pack lists: what it lacks comes from the packs alone.
    let body = fs::read_to_string(node.path(format!("bucket/node-1/manifests/tree/{second}.1.body.jsonl"))).unwrap();
    let line: serde_json::Value = serde_json::from_str(body.lines().next().unwrap()).unwrap();
    let list = line["list"].as_str().unwrap();
    fs::remove_file(node.path(format!("bucket/node-1/files/{}/{list}.packs.jsonl", &list[..2]))).unwrap();
    lose_copies(&node);
    let outcome = heal(&node);
    assert_eq!(outcome.healed.iter().map(|healed| healed.id).collect::<Vec<_>>(), [second], "{outcome:?}");
    assert_eq!(packs(&node).iter().filter(|pack| fs::metadata(pack).unwrap().len() > 300_000).count(), 2, "it was stored anew");
}
