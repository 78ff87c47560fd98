//! A local copy whose record is damaged or gone: it is fetched again where the repository has it, and goes when a person says so.

use std::fs;
use std::path::PathBuf;

use windlass::format::check::Level;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops;
use windlass::ops::copies::{Copies, Record};
use windlass::ops::forget;

use crate::heal::{assert_sound, heal, verify};
use crate::support::dying::{Death, Dying};
use crate::support::node::{Node, tree};
use crate::support::program::Machine;
use crate::support::tree::noise;

const HARMS: [&str; 5] = ["gone", "empty", "cut", "other bytes", "of another snapshot"];

fn folder(node: &Node, id: SnapshotId) -> PathBuf {
    node.path(format!("local/tree/{id}"))
}

/// Two shipped snapshots with copies.
fn two(node: &Node) -> [SnapshotId; 2] {
    node.write("kept", noise(1, 300_000));
    node.write("changing", b"first");
    node.init();
    let first = node.backup();
    node.write("changing", b"second");
    [first, node.backup()]
}

fn harm(node: &Node, id: SnapshotId, other: SnapshotId, harm: &str) {
    let record = folder(node, id).join("snapshot.json");
    let text = fs::read(&record).unwrap();
    match harm {
        "gone" => fs::remove_file(record).unwrap(),
        "empty" => fs::write(record, b"").unwrap(),
        "cut" => fs::write(record, &text[..text.len() / 2]).unwrap(),
        "other bytes" => fs::write(record, noise(7, text.len())).unwrap(),
        _ => drop(fs::copy(folder(node, other).join("snapshot.json"), record).unwrap()),
    }
}

fn record(node: &Node, id: SnapshotId) -> Record {
    Copies::read(&node.context(), &tree()).unwrap().find(id).unwrap().record.clone()
}

fn names(node: &Node) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(node.path("local/tree")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn forget_local(node: &Node, id: SnapshotId, even_the_last: bool) -> Result<forget::Plan, ops::Error> {
    let options = forget::Options { shipped: false, even_the_last, ..forget::Options::default() };
    forget::plan(&node.context(), &format!("tree/{id}").parse().unwrap(), &options)
}

#[test]
fn a_copy_whose_record_is_damaged_is_fetched_again() {
    for node in [Node::with_folder(), Node::encrypted()] {
        let [first, second] = two(&node);
        let before = record(&node, first);
        for what in HARMS {
            harm(&node, first, second, what);
            fs::remove_file(folder(&node, first).join("data/changing")).unwrap();
            assert_eq!(verify(&node, Level::Full).damage.len(), 1, "{what}");
            let state = names(&node);
            let dry = ops::heal::run(&node.context(), &ops::heal::Options { dry_run: true, ..Default::default() }).unwrap();
            assert_eq!((dry.copies.len(), names(&node)), (1, state), "{what}: {dry:?}");
            let outcome = heal(&node);
            assert!(outcome.unhealed.is_empty() && outcome.postponed.is_empty(), "{what}: {outcome:?}");
            assert_eq!((outcome.copies.len(), outcome.copies[0].id), (1, first), "{what}");
            assert_sound(&node, what);
            // What was shipped is what the copy says again; only where its list of files came from is another matter.
            let healed = record(&node, first);
            assert_eq!(Record { lines_sha256: before.lines_sha256, ..healed }, before, "{what}");
            assert_eq!(fs::read(folder(&node, first).join("data/changing")).unwrap(), b"first");
            assert_eq!(names(&node).len(), 2, "{what}: {:?}", names(&node));
            assert!(ops::status::run(&node.context()).unwrap().wrong.is_empty(), "{what}");
        }
        node.backup();
        assert_sound(&node, "and the next snapshot");
    }
}

#[test]
fn one_copy_alone_can_be_healed_by_its_name() {
    let node = Node::with_folder();
    let [first, second] = two(&node);
    harm(&node, first, second, "gone");
    harm(&node, second, first, "gone");
    let what = vec![format!("tree/{first}").parse().unwrap()];
    let outcome = ops::heal::run(&node.context(), &ops::heal::Options { what, ..Default::default() }).unwrap();
    assert_eq!(outcome.copies.iter().map(|copy| copy.id).collect::<Vec<_>>(), [first]);
    assert_eq!(node.copies(), [first]);
}

#[test]
fn what_the_repository_does_not_hold_is_left_as_it_is_and_named() {
    let node = Node::with_folder();
    let [_, second] = two(&node);
    let third = node.snapshot();
    harm(&node, third, second, "cut");
    let outcome = heal(&node);
    assert!(outcome.copies.is_empty(), "{outcome:?}");
    let [unhealed] = &outcome.unhealed[..] else { panic!("{outcome:?}") };
    assert_eq!((unhealed.id, unhealed.local), (third, true));
    assert!(unhealed.why.contains(&format!("windlass forget tree/{third} --local")), "{}", unhealed.why);
    assert!(folder(&node, third).join("data/kept").exists());
}

#[test]
fn without_the_identity_an_encrypted_one_is_named_and_says_who_can_open_it() {
    let mut node = Node::encrypted();
    let [first, second] = two(&node);
    harm(&node, first, second, "gone");
    let identity = node.identity.take();
    let outcome = heal(&node);
    assert!(outcome.unhealed.len() == 1 && outcome.unhealed[0].why.contains("identity"), "{outcome:?}");
    node.identity = identity;
    assert_eq!(heal(&node).copies.len(), 1);
    assert_sound(&node, "healed");
}

#[test]
fn a_copy_whose_record_is_damaged_goes_when_a_person_says_so() {
    let node = Node::with_folder();
    let [first, second] = two(&node);
    harm(&node, first, second, "cut");
    let plan = forget_local(&node, first, false).unwrap();
    assert_eq!((plan.folder.as_ref(), plan.remove_shipped, plan.shipped), (Some(&folder(&node, first)), false, Some(true)));
    assert!(plan.local_damage.as_ref().unwrap().contains("snapshot.json"), "{plan:?}");
    forget::run(&node.context(), &plan, None).unwrap();
    assert_eq!(names(&node), [second.to_string()]);
    node.fetch(first).unwrap();
    // Where it is nowhere else, and there is no other snapshot, it takes more words.
    let alone = Node::with_folder();
    alone.write("a", b"a");
    alone.init();
    let id = alone.snapshot();
    harm(&alone, id, id, "gone");
    assert!(matches!(forget_local(&alone, id, false), Err(ops::Error::Refused(_))));
    let plan = forget_local(&alone, id, true).unwrap();
    assert_eq!((plan.last_sound, plan.shipped), (true, Some(false)));
    forget::run(&alone.context(), &plan, None).unwrap();
    assert_eq!(names(&alone), [] as [&str; 0]);
}

#[test]
fn what_is_no_copy_of_this_program_is_never_taken_for_one() {
    let node = Node::with_folder();
    let [first, second] = two(&node);
    // Of a later version, a folder that somebody made, and a file.
    let later = fs::read_to_string(folder(&node, first).join("snapshot.json")).unwrap().replace("\"format\": 1", "\"format\": 2");
    fs::write(folder(&node, first).join("snapshot.json"), later).unwrap();
    let (empty, file) = (second.next(), second.next().next());
    fs::create_dir(folder(&node, empty)).unwrap();
    fs::write(folder(&node, empty).join("notes"), b"mine").unwrap();
    fs::write(folder(&node, file), b"mine").unwrap();
    let before = names(&node);
    let outcome = heal(&node);
    assert!(outcome.copies.is_empty(), "{outcome:?}");
    for id in [first, empty, file] {
        let refused = forget_local(&node, id, true);
        assert!(matches!(refused, Err(ops::Error::Absent(_))), "{refused:?}");
    }
    assert_eq!(names(&node), before);
}

#[test]
fn a_new_snapshot_has_an_id_above_that_of_a_copy_whose_record_is_damaged() {
    let node = Node::with_folder();
    let [first, second] = two(&node);
    let third = node.snapshot();
    harm(&node, third, first, "gone");
    // The clock goes back, so that the new id would be the same.
    node.set_clock(&second.to_timestamp().to_string());
    assert!(node.snapshot() > third);
}

#[test]
fn the_program_shows_what_goes_and_asks() {
    let machine = Machine::initialised();
    machine.write("a", b"a");
    machine.run(&["backup", "tree"]).expect(0);
    machine.run(&["backup", "tree"]).expect(0);
    let (id, _) = machine.listed().remove(0);
    let copy = machine.path(format!("local/tree/{id}"));
    fs::write(copy.join("snapshot.json"), b"{").unwrap();
    let said = machine.run(&["status"]).expect(7).said();
    assert!(said.contains(&format!("windlass heal tree/{id}")) && said.contains(&format!("windlass forget tree/{id} --local")), "{said}");
    let name = format!("tree/{id}");
    let asked = machine.run(&["forget", &name, "--local"]);
    asked.expect(2);
    assert!(asked.stderr.contains(copy.to_str().unwrap()) && asked.stderr.contains("snapshot.json is damaged"), "{}", asked.stderr);
    assert!(copy.exists());
    machine.run(&["forget", &name, "--local", "--dry-run"]).expect(0);
    assert!(copy.exists());
    machine.run(&["forget", &name, "--local", "--yes"]).expect(0);
    assert!(!copy.exists());
    machine.run(&["status"]).expect(0);
}

#[test]
fn what_could_not_be_asked_is_never_said_not_to_be_held() {
    let (node, store) = Dying::node();
    let [first, second] = two(&node);
    harm(&node, first, second, "cut");
    for k in 0..200 {
        store.die_after(k, Death::AtRequest);
        let outcome = ops::heal::run(&node.context(), &ops::heal::Options { dry_run: true, ..Default::default() });
        let died = store.revive();
        let whys: Vec<String> = outcome.iter().flat_map(|outcome| &outcome.unhealed).map(|one| one.why.clone()).collect();
        assert!(!whys.iter().any(|why| why.contains("does not hold")), "{k}: {whys:?}");
        if !died {
            assert_eq!(outcome.unwrap().copies.len(), 1);
            return;
        }
    }
    panic!("a dry run takes more than 200 requests");
}

#[test]
fn a_copy_that_was_shipped_and_forgotten_was_not_never_shipped() {
    let mut node = Node::with_folder();
    node.keep = 2;
    let [first, second] = two(&node);
    let options = forget::Options { local: false, ..forget::Options::default() };
    let plan = forget::plan(&node.context(), &format!("tree/{first}").parse().unwrap(), &options).unwrap();
    forget::run(&node.context(), &plan, None).unwrap();
    assert_eq!(node.copies(), [first, second]);
    node.write("changing", b"third");
    let third = node.backup();
    assert_eq!(node.copies(), [second, third]);
    let events = node.events.lock().unwrap();
    let never = |event: &&ops::event::Event| matches!(event, ops::event::Event::Warning { message, .. } if message.contains("never"));
    assert_eq!(events.iter().filter(never).count(), 0, "{events:?}");
}
