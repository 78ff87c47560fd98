//! `status --cluster`: what is late, silent or damaged on any node, told by the repository alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use object_store::memory::InMemory;
use serde_json::{Value, json};
use windlass::format::check::Level;
use windlass::ops;
use windlass::ops::spec::SourceKind;
use windlass::repository::Repository;

use crate::support::clocked::PAUSE;
use crate::support::forge::rewritten;
use crate::support::node::{Node, spec, tools};
use crate::support::program::{Machine, Run, text};
use crate::support::store::{Faulty, Op, Trouble};
use crate::support::tree::noise;

/// A node over a folder whose clock stands some hours before now, as its snapshots will; `tree` has a file.
fn node(hours_ago: i64) -> Node {
    stand(Node::with_folder(), "node-1", hours_ago)
}

/// Another node in the repository of the first.
fn neighbour(first: &Node, name: &str, hours_ago: i64) -> Node {
    let plain = Node::new();
    let repository = plain.open(&format!("file://{}", first.path("bucket").display()));
    stand(Node::over(repository, plain.clock.clone(), plain.stop.clone()), name, hours_ago)
}

fn stand(mut node: Node, name: &str, hours_ago: i64) -> Node {
    name.clone_into(&mut node.name);
    node.clock.set(Timestamp::now() - SignedDuration::from_hours(hours_ago));
    node.write("file", noise(hours_ago.unsigned_abs(), 50_000));
    node.init();
    node
}

/// A second source, `other`, of which it ships a snapshot too.
fn with_other(node: &mut Node) {
    fs::create_dir(node.path("other")).unwrap();
    fs::write(node.path("other/file"), "other").unwrap();
    let kind = SourceKind::Directory { path: node.path("other"), exclude: Vec::new(), cross_filesystems: false };
    node.sources.push(spec("other", kind));
    ops::backup::run(&node.context(), &"other".parse().unwrap(), &ops::backup::Options::default()).unwrap();
}

/// Runs the program on a machine that has nothing but the address of a node's repository.
fn ask(node: &Node, more: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.env_clear().env("PATH", "").arg("--repository").arg(format!("file://{}", node.path("bucket").display()));
    Run::of(command.args(["status", "--cluster"]).args(more).output().unwrap())
}

/// The document that it prints there, when it ends with this code.
fn document(node: &Node, code: i32) -> Value {
    let run = ask(node, &["--json"]);
    run.expect(code);
    assert_eq!(run.stderr, "");
    let document = run.document();
    assert_eq!((&document["schema"], &document["healthy"]), (&json!("windlass.status-cluster/1"), &json!(code == 0)), "{document:#}");
    document
}

/// The only source of the only node.
fn only(document: &Value) -> &Value {
    assert_eq!((document["nodes"].as_array().unwrap().len(), document["nodes"][0]["sources"].as_array().unwrap().len()), (1, 1));
    &document["nodes"][0]["sources"][0]
}

fn wrong(of: &Value) -> String {
    of["wrong"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join("\n")
}

/// The files of a node's repository below a folder.
fn files(node: &Node, below: impl AsRef<Path>) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![node.path("bucket").join(below)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn age(files: &[PathBuf], time: SystemTime) {
    for file in files {
        fs::File::open(file).unwrap().set_modified(time).unwrap();
    }
}

/// The file of the head of a snapshot of `tree`.
fn head(node: &Node, id: impl std::fmt::Display) -> PathBuf {
    node.path(format!("bucket/node-1/manifests/tree/{id}.1.json"))
}

fn verify(node: &Node) -> ops::verify::Outcome {
    ops::verify::run(&node.context(), &ops::verify::Options { level: Level::Full, snapshots: Vec::new(), node: None }).unwrap()
}

#[test]
fn a_node_that_is_late_is_seen_from_a_machine_that_has_only_the_address() {
    let mut first = node(3);
    let id = first.backup();
    with_other(&mut first);
    let mut second = neighbour(&first, "node-2", 3);
    second.sources[0].objective = Duration::from_secs(4 * 3600);
    second.backup();
    document(&first, 0);
    let table = ask(&first, &[]);
    assert!(table.expect(0).stdout.ends_with("all is well\n") && table.stderr.is_empty(), "{table:#?}");
    second.sources[0].objective = Duration::from_secs(3600);
    let late = second.backup();
    let before = files(&first, "");
    let document = document(&first, 7);
    let names = |value: &Value| -> Vec<String> {
        let sources = value["nodes"].as_array().unwrap().iter().flat_map(|node| node["sources"].as_array().unwrap());
        sources.map(|source| format!("{}/{} {}", text(&source["node"]), text(&source["source"]), source["late"])).collect()
    };
    assert_eq!(names(&document), ["node-1/other false", "node-1/tree false", "node-2/tree true"]);
    let tree = &document["nodes"][0]["sources"][1];
    assert_eq!((&tree["snapshot"], &tree["kind"], &tree["bytes"]), (&json!(id), &json!("directory"), &json!(50_000)), "{tree:#}");
    assert_eq!((&tree["objective_seconds"], &tree["verified"], &tree["damaged"]), (&json!(93_600), &Value::Null, &json!([])));
    let seconds = tree["age_seconds"].as_i64().unwrap();
    assert!((10_000..11_000).contains(&seconds) && tree["stored_bytes"].as_u64().unwrap() > 50_000, "{tree:#}");
    let node = &document["nodes"][1];
    assert_eq!((&node["node"], &node["silent"], &node["objective_seconds"]), (&json!("node-2"), &json!(false), &json!(3600)));
    assert!(node["last_seen_seconds"].as_i64().unwrap() < 600, "the store's clock tells, not the node's: {node:#}");
    let told = ask(&first, &[]);
    let row = told.expect(7).stdout.lines().find(|line| line.starts_with("node-2")).unwrap();
    assert!(row.contains(&late.to_string()) && row.contains("  not known  ") && row.ends_with("  late"), "{row}");
    assert_eq!(files(&first, ""), before, "nothing is stored by looking");
}

#[test]
fn a_node_that_has_stored_nothing_for_longer_than_its_objective_is_silent() {
    let node = node(3);
    node.backup();
    let long_ago = SystemTime::now() - PAUSE.unsigned_abs();
    age(&files(&node, "node-1"), long_ago);
    // What others may store in its part does not show that it lives.
    node.put_text("node-1/pins/tree/20261123T000000000Z.1.json", "{}\n");
    let document = document(&node, 7);
    let seen = &document["nodes"][0];
    assert_eq!((&seen["silent"], &only(&document)["late"]), (&json!(true), &json!(false)), "{seen:#}");
    assert!((PAUSE.as_secs()..PAUSE.as_secs() + 600).contains(&seen["last_seen_seconds"].as_i64().unwrap()), "{seen:#}");
    let told = ask(&node, &[]);
    assert!(told.expect(7).stdout.contains("node-1: silent: it last stored something at "), "{told:#?}");
    // A shipment that takes days has stored packs, and no manifest yet.
    age(&files(&node, "node-1/packs")[..1], SystemTime::now());
    assert_eq!(self::document(&node, 0)["nodes"][0]["silent"], json!(false));
}

#[test]
fn a_node_without_a_snapshot_is_shown() {
    let node = node(3);
    neighbour(&node, "node-2", 3).backup();
    let document = document(&node, 7);
    let [empty, full] = [0, 1].map(|n| &document["nodes"][n]);
    assert_eq!((&empty["node"], &empty["sources"], wrong(empty).as_str()), (&json!("node-1"), &json!([]), "there is no snapshot of it"));
    assert!(empty["last_seen"].is_string() && full["wrong"] == json!([]) && full["sources"][0]["late"] == json!(false), "{document:#}");
    // Given up on purpose, it is no reason to wake anybody.
    let left_out = ask(&node, &["--except", "node-1"]);
    assert!(!left_out.expect(0).stdout.contains("node-1 ") && left_out.stderr.is_empty(), "{left_out:#?}");
    let one = ask(&node, &["--except", "node-1", "--except", "node-2/tree", "--except", "node-2/tee"]);
    assert!(one.expect(0).stderr.contains("`--except node-2/tee` leaves nothing out") && one.stderr.lines().count() == 1, "{one:#?}");
    // What is no node's is none.
    fs::create_dir(node.path("bucket/lost-found")).unwrap();
    fs::write(node.path("bucket/lost-found/file"), "x").unwrap();
    assert_eq!(self::document(&node, 7)["nodes"].as_array().unwrap().len(), 2);
}

#[test]
fn a_head_that_cannot_be_read_is_named_and_its_snapshot_does_not_count() {
    let node = node(3);
    let sound = node.backup();
    let damaged = node.backup();
    fs::write(head(&node, damaged), "{\"format\":1}\n").unwrap();
    let document = document(&node, 7);
    let tree = only(&document);
    assert_eq!((&tree["snapshot"], &tree["damaged"], &tree["late"]), (&json!(sound), &json!([damaged]), &json!(false)), "{tree:#}");
    let told = wrong(tree);
    assert!(told.contains(&format!("node-1/manifests/tree/{damaged}.1.json: ")) && told.contains(&format!("its age is that of {sound}")));
    assert!(ask(&node, &[]).expect(7).stdout.lines().any(|line| line.ends_with("  damaged")));
    // The version is looked at before anything else, and what a later program has written is no damage.
    fs::write(head(&node, damaged), "{\"format\":2}\n").unwrap();
    let document = self::document(&node, 7);
    assert_eq!((&only(&document)["damaged"], &only(&document)["snapshot"]), (&json!([]), &json!(sound)));
    // With no other one there is nothing that counts.
    fs::write(head(&node, sound), "x").unwrap();
    fs::write(head(&node, damaged), "x").unwrap();
    let document = self::document(&node, 7);
    let tree = only(&document);
    assert_eq!((&tree["snapshot"], &tree["late"], &tree["kind"]), (&Value::Null, &json!(true), &Value::Null), "{tree:#}");
}

#[test]
fn a_newest_snapshot_that_is_known_to_be_damaged_does_not_count() {
    let mut node = node(3);
    node.sources[0].objective = Duration::from_secs(4 * 3600);
    let sound = node.backup();
    let before = files(&node, "node-1/packs");
    node.clock.advance(Duration::from_secs(3600));
    node.write("more", noise(99, 50_000));
    let damaged = node.backup();
    let pack = files(&node, "node-1/packs").into_iter().find(|pack| !before.contains(pack)).unwrap();
    let bytes = fs::read(&pack).unwrap();
    fs::remove_file(&pack).unwrap();
    assert_eq!(only(&document(&node, 0))["snapshot"], json!(damaged), "nobody has looked yet");
    assert_eq!(verify(&node).damage.len(), 1);
    let document = document(&node, 7);
    let tree = only(&document);
    assert_eq!((&tree["snapshot"], &tree["damaged"], &tree["late"]), (&json!(sound), &json!([damaged]), &json!(false)), "{tree:#}");
    let told = wrong(tree);
    assert!(told.contains(&format!("{damaged} is damaged: node-1/packs/")) && told.contains(" is missing (found "), "{told}");
    assert!(wrong(&document["nodes"][0]).contains("`windlass heal` on the node"), "{document:#}");
    fs::write(&pack, bytes).unwrap();
    assert_eq!(verify(&node).damage.len(), 0);
    self::document(&node, 0);
}

#[test]
fn what_is_recorded_of_a_verification_is_told_and_nothing_else() {
    let node = node(3);
    let id = node.backup();
    let whole = fs::read(head(&node, id)).unwrap();
    fs::write(head(&node, id), "x").unwrap();
    assert_eq!(verify(&node).damage.len(), 1);
    fs::write(head(&node, id), whole).unwrap();
    assert_eq!(only(&document(&node, 7))["damaged"], json!([id]), "it is known to be damaged until somebody has looked again");
    assert_eq!(verify(&node).damage.len(), 0);
    let document = document(&node, 0);
    assert_eq!(only(&document)["verified"]["level"], json!("full"), "{document:#}");
    assert!(ask(&node, &[]).expect(0).stdout.contains("  full, "));
    // Verdicts that cannot be read may have said anything.
    fs::write(files(&node, "node-1/checks").pop().unwrap(), "x").unwrap();
    let document = self::document(&node, 7);
    assert!(wrong(&document["nodes"][0]).contains("the verdicts in it are not known"), "{document:#}");
}

#[test]
fn a_source_that_has_lost_all_its_manifests_is_not_forgotten() {
    let mut node = node(3);
    with_other(&mut node);
    let id = node.backup();
    document(&node, 0);
    fs::remove_dir_all(node.path("bucket/node-1/manifests/other")).unwrap();
    let document = document(&node, 7);
    let other = &document["nodes"][0]["sources"][0];
    assert_eq!((&other["source"], &other["snapshot"], &other["late"]), (&json!("other"), &Value::Null, &json!(true)), "{document:#}");
    assert!(wrong(other).contains(" is missing: other manifests know of it"), "{other:#}");
    let left_out = ask(&node, &["--except", "node-1/other"]);
    assert!(left_out.expect(0).stderr.is_empty(), "{left_out:#?}");
    // What was removed on purpose is nobody's loss.
    let lost = text(&other["wrong"][0]).split([' ', '/']).nth(1).unwrap().to_owned();
    node.put_text(&format!("node-1/removed/other/{lost}.json"), "{}\n");
    assert_eq!(only(&self::document(&node, 0))["snapshot"], json!(id));
}

#[test]
fn problems_of_the_newest_snapshot_and_a_clock_that_was_wrong_are_told() {
    let node = node(3);
    node.backup();
    let odd = node.backup();
    let stored = fs::read(head(&node, odd)).unwrap();
    fs::write(head(&node, odd), rewritten(&stored, "problems", json!([{"kind": "changed", "count": 3}]))).unwrap();
    node.clock.advance(Duration::from_secs(72 * 3600));
    let future = node.backup();
    let document = document(&node, 7);
    let tree = only(&document);
    assert_eq!((&tree["snapshot"], &tree["problems"][0]["kind"]), (&json!(odd), &json!("changed")), "{tree:#}");
    let told = wrong(tree);
    assert!(told.contains("the newest snapshot has 3 changed") && told.contains(&format!("{future} is from the future")), "{told}");
}

#[test]
fn an_encrypted_repository_needs_no_key() {
    let mut node = stand(Node::encrypted(), "node-1", 3);
    let id = node.backup();
    let sound = document(&node, 0);
    assert_eq!(only(&sound)["snapshot"], json!(id));
    node.identity = None;
    let pack = files(&node, "node-1/packs").pop().unwrap();
    fs::write(pack, "x").unwrap();
    assert_eq!(verify(&node).damage.len(), 1);
    let document = document(&node, 7);
    assert_eq!((&only(&document)["snapshot"], &only(&document)["damaged"]), (&Value::Null, &json!([id])));
}

#[test]
fn a_part_without_its_node_file_is_shown_and_one_that_lost_everything_else_too() {
    let node = node(3);
    node.backup();
    let file = node.path("bucket/node-1/node.1.json");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, "x").unwrap();
    assert!(wrong(&document(&node, 7)["nodes"][0]).contains("node-1/node.1.json"));
    fs::write(&file, String::from_utf8(whole).unwrap().replace("node-1", "node-2")).unwrap();
    document(&node, 7);
    fs::remove_file(&file).unwrap();
    assert!(wrong(&document(&node, 7)["nodes"][0]).contains("node-1/node.1.json: it is missing"));
    fs::remove_dir_all(node.path("bucket/node-1/manifests")).unwrap();
    assert!(wrong(&document(&node, 7)["nodes"][0]).contains("there is no snapshot of it"));
}

#[test]
fn without_a_repository_the_exit_code_is_6_and_without_a_node_7() {
    let node = Node::with_folder();
    let none = ask(&node, &[]);
    assert!(none.expect(6).stderr.contains("there is no repository at "), "{none:#?}");
    node.init();
    fs::remove_dir_all(node.path("bucket/node-1")).unwrap();
    assert!(wrong(&document(&node, 7)).contains("knows no node: nothing is backed up"));
    // Whoever leaves a node out that was given up hears it too when the others have vanished.
    let left_out = ask(&node, &["--except", "node-1"]);
    assert!(left_out.expect(7).stdout.contains("knows no node but those that are left out"), "{left_out:#?}");
    fs::remove_dir_all(node.path("bucket")).unwrap();
    ask(&node, &[]).expect(6);
}

#[test]
fn with_a_configuration_all_nodes_are_told_of_and_the_flags_belong_together() {
    let machine = Machine::initialised();
    machine.write("a", "the bytes");
    machine.run(&["backup", "tree"]).expect(0);
    let document = machine.json(&["status", "--cluster"], 0);
    assert_eq!((&document["nodes"][0]["node"], &only(&document)["source"]), (&json!("node-1"), &json!("tree")));
    machine.run(&["status", "--except", "node-1"]).expect(2);
    machine.run(&["status", "--cluster", "--except", "Node"]).expect(2);
    let url = format!("file://{}", machine.path("bucket").display());
    let alone = Command::new(env!("CARGO_BIN_EXE_windlass")).args(["--repository", &url, "status"]).output().unwrap();
    let alone = Run::of(alone);
    assert!(alone.expect(2).stderr.contains("status --cluster"), "{alone:#?}");
}

/// A node over a store in memory that fails on order.
fn over_faulty() -> (Node, Arc<Faulty>) {
    let plain = Node::new();
    let store = Faulty::around(Arc::new(InMemory::new()));
    let repository = Repository::over(store.clone(), "", "memory".into(), tools(plain.clock.clone(), plain.stop.clone()));
    (stand(Node::over(repository, plain.clock.clone(), plain.stop.clone()), "node-1", 0), store)
}

#[test]
fn a_part_that_the_credential_may_not_see_is_shown_as_unknown_and_a_store_that_breaks_is_an_error() {
    let (node, store) = over_faulty();
    node.backup();
    store.next(Op::List, [Trouble::Answer(403, "AccessDenied")]);
    let outcome = ops::cluster::run(&node.context(), &[]).unwrap();
    let wrong = &outcome.nodes[0].wrong;
    assert!(!outcome.healthy && wrong.len() == 1 && wrong[0].starts_with("its part cannot be read"), "{outcome:?}");
    store.next(Op::List, [Trouble::Answer(400, "InvalidRequest")]);
    ops::cluster::run(&node.context(), &[]).unwrap_err();
    assert!(ops::cluster::run(&node.context(), &[]).unwrap().healthy);
}

/// A credential that may do nothing but list and read is enough, and what grows with the snapshots is their heads alone.
#[test]
fn it_asks_for_nothing_but_listings_and_small_objects() {
    let (node, store) = over_faulty();
    for _ in 0..3 {
        node.backup();
    }
    let count = |op| store.count(op);
    let before = [Op::Put, Op::Delete, Op::List, Op::Get].map(count);
    let outcome = ops::cluster::run(&node.context(), &[]).unwrap();
    let after = [Op::Put, Op::Delete, Op::List, Op::Get].map(count);
    let asked: Vec<usize> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    // Manifests, verdicts and coverage; the marker, the node file, that there is no higher one. The heads are kept from the shipments.
    assert_eq!((asked.as_slice(), outcome.healthy), (&[0, 0, 3, 3][..], true), "{outcome:?}");
}
