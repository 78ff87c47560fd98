//! A repository's life on a real server of each make: backups, a full verification, a fetch, forget and prune, and backups again.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use windlass::format::check::Level;
use windlass::format::key::{Key, NodeKey};
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::event::Event;
use windlass::ops::{forget, prune, verify};
use windlass::repository::Repository;
use windlass::sys::clock::FixedClock;
use windlass::sys::stop::Stop;
use windlass::sys::tree::remove_tree;

use crate::prune::last;
use crate::support::node::{Node, START};
use crate::support::program::Machine;
use crate::support::servers::{ACCESS_KEY, Make, REGION, SECRET_KEY, Server};
use crate::support::tree::{Picture, assert_same, fill, picture};

/// Longer than the steps in which S3 tells time.
const STEP: Duration = Duration::from_millis(1_100);

fn sound(node: &Node, snapshots: u64) {
    let options = verify::Options { level: Level::Full, snapshots: Vec::new(), node: None };
    let outcome = verify::run(&node.context(), &options).unwrap();
    assert!(outcome.damage.is_empty() && outcome.unexpected.is_empty(), "{outcome:#?}");
    assert_eq!((outcome.snapshots, outcome.checked.level, outcome.lowered), (snapshots, Level::Full, None));
}

/// Lives on a new repository; gives the warnings that `init` had.
pub fn life(repository: Repository) -> Vec<String> {
    let node = Node::over(repository, Arc::new(FixedClock::at(START.parse().unwrap())), Stop::new());
    let tree = node.path("tree");
    fill(&tree);
    node.init();
    let told = std::mem::take(&mut *node.events.lock().unwrap());
    let warnings = told.into_iter().filter_map(|event| if let Event::Warning { message, .. } = event { Some(message) } else { None });
    let mut taken = vec![(node.backup(), picture(&tree))];
    // What only the second one holds becomes waste with it.
    fs::write(tree.join("only in the second"), vec![1; 100_000]).unwrap();
    taken.push((node.backup(), picture(&tree)));
    fs::remove_file(tree.join("only in the second")).unwrap();
    taken.push((node.backup(), picture(&tree)));
    sound(&node, 3);

    // Local copies are lost.
    for copy in node.copies() {
        remove_tree(&node.path(format!("local/tree/{copy}"))).unwrap();
    }
    let comes_back = |(id, wanted): &(SnapshotId, Picture)| assert_same(wanted, &picture(&node.fetch(*id).unwrap()));
    taken[..2].iter().for_each(comes_back);

    let gone = taken.remove(1).0;
    let ctx = node.context();
    let plan = forget::plan(&ctx, &format!("tree/{gone}").parse().unwrap(), &forget::Options::default()).unwrap();
    forget::run(&ctx, &plan, None).unwrap();
    std::thread::sleep(STEP);
    taken.push((node.backup(), picture(&tree)));
    let plan = prune::plan(&ctx, &last(2)).unwrap();
    let outcome = prune::run(&ctx, &last(2), &plan).unwrap();
    let removed: Vec<_> = outcome.removed.iter().map(|removed| removed.id).collect();
    assert_eq!(removed, [taken.remove(0).0]);
    assert!(outcome.marked.objects > 0 && outcome.deleted.objects == 0 && outcome.denied.is_none(), "{outcome:#?}");
    sound(&node, 2);
    taken[1..].iter().for_each(comes_back);
    let told = node.events.lock().unwrap().iter().filter(|event| matches!(event, Event::Warning { .. } | Event::Damage { .. })).count();
    assert_eq!(told, 0, "{:#?}", node.events.lock().unwrap());
    warnings.collect()
}

#[test]
fn a_repository_lives_on_versitygw() {
    assert_eq!(life(Server::running(Make::Versitygw, false).repository()), [""; 0]);
}

#[test]
fn a_repository_lives_on_minio_with_versions() {
    assert_eq!(life(Server::running(Make::Minio, true).versioned()), [""; 0]);
}

#[test]
fn a_repository_lives_on_radosgw() {
    assert_eq!(life(Server::running(Make::Radosgw, true).repository()), [""; 0]);
}

#[test]
fn a_repository_lives_on_s3proxy() {
    assert_eq!(life(Server::running(Make::S3proxy, true).repository()), [""; 0]);
}

/// Where a bucket keeps versions radosgw 16 takes every create, and what it keeps tells whether anything was ever written over.
#[test]
fn on_radosgw_with_versions_init_warns_and_nothing_is_written_over() {
    let server = Server::running(Make::Radosgw, false);
    let bucket = server.versioned_bucket();
    let warnings = life(server.open(&bucket));
    assert!(
        warnings.len() == 1 && warnings[0].contains("lets objects be written over") && warnings[0].contains("versions"),
        "{warnings:?}"
    );

    let answer = server.ask("GET", &format!("/{bucket}?versions="), "");
    assert!(answer.status == 200 && answer.text.contains("<IsTruncated>false"), "{}", answer.text);
    let mut versions = BTreeMap::<Key, usize>::new();
    for version in answer.text.split("<Version>").skip(1) {
        let key = version.split_once("<Key>some/prefix/").unwrap().1.split_once("</Key>").unwrap().0;
        *versions.entry(Key::parse(key).unwrap_or_else(|| panic!("{key}"))).or_default() += 1;
    }
    let twice: Vec<&Key> = versions.iter().filter(|(_, count)| **count > 1).map(|(key, _)| key).collect();
    // The first key of the probe is written over on purpose.
    assert!(twice.len() == 1 && matches!(twice[0], Key::Probe(_)), "{twice:?}");
    let heads = versions.keys().filter(|key| matches!(key, Key::Of(_, NodeKey::Head(..)))).count();
    assert_eq!(heads, 4, "removed ones are kept as versions");
}

#[test]
fn the_program_says_of_a_store_that_lets_objects_be_written_over_what_that_means() {
    let (server, machine) = (Server::running(Make::Radosgw, false), Machine::new());
    let place = format!("url = \"s3://{}/a\"\nendpoint = \"{}\"\nregion = \"{REGION}\"", server.versioned_bucket(), server.endpoint);
    let key = format!("access_key_id = \"{ACCESS_KEY}\"\nsecret_access_key = \"{SECRET_KEY}\"");
    machine.configure(&format!("{place}\nallow_http = true\n{key}"), "");
    let run = machine.run(&["init"]);
    run.expect(0);
    assert!(run.stderr.contains("warning: this store lets objects be written over (a create over an object was accepted"), "{run:#?}");
    assert!(run.stdout.contains("create-only writes") && run.stdout.contains("ignored"), "{run:#?}");
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    machine.run(&["verify", "--full"]).expect(0);
}
