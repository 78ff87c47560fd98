//! Bytes that are damaged where they should lie, when some of the places that may have them cannot be asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass::format::path::RelPath;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::error::chain;
use windlass::ops::event::Event;
use windlass::ops::origin::Origin;
use windlass::ops::spec::SourceKind;
use windlass::ops::{self, Context, Error};
use windlass::repository::Repository;
use windlass::sys::clock::FixedClock;
use windlass::sys::stop::Stop;

use crate::support::clocked::{Clocked, Gate, Gated};
use crate::support::dying::{Death, Dying};
use crate::support::forge::{self, Forge, Packed, file, folder};
use crate::support::node::{Node, START, identity, spec, tools, tree};
use crate::support::store::Op;

/// Two files whose bytes no other file has.
fn fill(node: &Node) {
    node.write("kept", b"kept");
    node.write("lost", b"bytes that rot");
}

fn copy_of(node: &Node, id: SnapshotId, path: &str) -> PathBuf {
    node.path(format!("local/tree/{id}/data/{path}"))
}

/// Puts other bytes in a file, and leaves those alone that share it.
fn rot(path: &Path) {
    let bytes: Vec<u8> = fs::read(path).unwrap().iter().map(|byte| byte ^ 0x5A).collect();
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Takes a snapshot whose copy has rotted since, and whose bytes lie sound only in the repository, as those of the one before it.
fn rotten_here(node: &Node) -> SnapshotId {
    let first = node.backup();
    let second = node.snapshot();
    fs::remove_dir_all(node.path(format!("local/tree/{first}"))).unwrap();
    rot(&copy_of(node, second, "lost"));
    second
}

fn fetch(node: &Node, ctx: &Context, name: &str, from: &[Origin]) -> Result<ops::fetch::Outcome, Error> {
    windlass::sys::tree::remove_tree(&node.path("to")).unwrap();
    let options = ops::fetch::Options { to: node.path("to"), from: from.to_vec(), ..Default::default() };
    ops::fetch::run(ctx, &name.parse().unwrap(), &options)
}

fn cat(ctx: &Context, id: SnapshotId, path: &str) -> (Vec<u8>, Result<ops::cat::Outcome, Error>) {
    let mut out = Vec::new();
    let outcome = ops::cat::run(ctx, &format!("tree/{id}").parse().unwrap(), None, &RelPath::from_escaped(path).unwrap(), &mut out);
    (out, outcome)
}

fn warnings(node: &Node) -> Vec<String> {
    let events = node.events.lock().unwrap();
    let text = |event: &Event| if let Event::Warning { message, .. } = event { Some(message.clone()) } else { None };
    events.iter().filter_map(text).collect()
}

/// What is whole was given, the file `lost` was not, and the outcome says why its bytes may lie somewhere all the same.
fn gave_the_rest(node: &Node, outcome: &ops::fetch::Outcome) {
    assert_eq!(outcome.lost.iter().map(|lost| lost.path.as_str()).collect::<Vec<_>>(), ["lost"]);
    assert_eq!(fs::read(node.path("to/kept")).unwrap(), b"kept");
    assert!(!outcome.unasked.is_empty(), "{outcome:?}");
}

#[test]
fn an_identity_that_cannot_be_used_hinders_nobody_from_getting_what_is_whole() {
    for is_shipped in [true, false] {
        let mut node = Node::encrypted();
        fill(&node);
        node.init();
        let first = node.backup();
        let id = if is_shipped { first } else { node.snapshot() };
        if !is_shipped {
            fs::remove_dir_all(node.path(format!("local/tree/{first}"))).unwrap();
        }
        rot(&copy_of(&node, id, "lost"));
        node.identity = Some("no identity at all\n".into());
        let outcome = fetch(&node, &node.context(), &format!("tree/{id}"), &[]).unwrap();
        gave_the_rest(&node, &outcome);
    }
}

#[test]
fn an_unreadable_folder_of_copies_hides_no_other_place() {
    let node = Node::with_folder();
    fill(&node);
    node.init();
    let second = rotten_here(&node);
    // A lock that cannot be taken, of a copy that would be looked at first.
    let other = node.snapshot();
    let lock = node.path(format!("local/.windlass/locks/tree@{other}.lock"));
    let _ = fs::remove_file(&lock);
    fs::create_dir_all(&lock).unwrap();
    rot(&copy_of(&node, other, "lost"));
    let outcome = fetch(&node, &node.context(), &format!("tree/{second}"), &[]).unwrap();
    assert_eq!((outcome.lost_files, fs::read(node.path("to/lost")).unwrap()), (0, b"bytes that rot".to_vec()));
}

#[test]
fn a_store_that_dies_while_it_is_searched_takes_nothing_from_anybody() {
    let (node, store) = Dying::node();
    fill(&node);
    node.init();
    let second = rotten_here(&node);
    let (mut given, mut refused) = (0, 0);
    for requests in 0..100 {
        store.die_after(requests, Death::AtRequest);
        let outcome = fetch(&node, &node.context(), &format!("tree/{second}"), &[]);
        let died = store.revive();
        match outcome {
            Ok(outcome) if !died => {
                assert_eq!((outcome.lost_files, fs::read(node.path("to/lost")).unwrap()), (0, b"bytes that rot".to_vec()));
                assert!(given > 0 && refused > 0, "{given} {refused}");
                return;
            }
            Ok(outcome) => {
                given += 1;
                gave_the_rest(&node, &outcome);
            }
            // Without the repository nobody knows whether the snapshot's own packs are sound.
            Err(error) => {
                refused += 1;
                let text = chain(&error);
                assert!(given == 0 && !error.is_damage() && text.contains("data/lost") && text.contains("cannot be reached"), "{text}");
                assert!(!node.path("to").exists());
            }
        }
    }
    panic!("a fetch takes fewer requests");
}

#[test]
fn nothing_is_said_to_be_lost_while_the_store_that_may_have_it_is_silent() {
    let (node, store) = Dying::node();
    fill(&node);
    node.init();
    let id = node.backup();
    rot(&copy_of(&node, id, "lost"));
    store.die_after(0, Death::AtRequest);
    for name in [format!("tree/{id}"), "tree/latest".into()] {
        let error = fetch(&node, &node.context(), &name, &[]).unwrap_err();
        let text = chain(&error);
        assert!(!error.is_damage() && text.contains("data/lost") && text.contains("cannot be reached"), "{text}");
        assert!(!node.path("to").exists());
    }
    let (out, outcome) = cat(&node.context(), id, "lost");
    let text = chain(&outcome.unwrap_err());
    assert!(out.is_empty() && text.contains("data/lost") && text.contains("cannot be reached"), "{text}");
    // Where the repository was not to be asked, it is missed by nobody.
    let outcome = fetch(&node, &node.context(), &format!("tree/{id}"), &[Origin::Local]).unwrap();
    assert_eq!(outcome.lost_files, 1);
}

#[test]
fn a_pack_that_cannot_be_read_is_not_said_to_be_damaged() {
    let node = Node::with_folder();
    fill(&node);
    node.init();
    node.backup();
    let first: Vec<String> = node.objects("node-1/packs/");
    node.write("later", b"later");
    let id = node.backup();
    fs::remove_dir_all(node.path("local")).unwrap();
    for pack in first.iter().map(|key| node.path("bucket").join(key)) {
        fs::remove_file(&pack).unwrap();
        std::os::unix::fs::symlink(&pack, &pack).unwrap();
    }
    let error = fetch(&node, &node.context(), &format!("tree/{id}"), &[]).unwrap_err();
    let text = chain(&error);
    assert!(!error.is_damage() && text.contains("/packs/") && text.contains("cannot be read"), "{text}");
    assert!(!node.path("to").exists());
}

#[test]
fn cat_without_the_identity_takes_damaged_bytes_from_other_copies_as_fetch_does() {
    let mut node = Node::encrypted();
    fill(&node);
    node.init();
    let id = node.backup();
    node.identity = None;
    rot(&copy_of(&node, id, "lost"));
    // Another copy, whose file is its own.
    fs::rename(node.path("tree/lost"), node.path("tree/moved")).unwrap();
    node.snapshot();
    let (out, outcome) = cat(&node.context(), id, "lost");
    let outcome = outcome.unwrap();
    assert_eq!(out, b"bytes that rot");
    assert!(outcome.damage.iter().any(|damage| damage.object.contains("data/lost")), "{:?}", outcome.damage);
    fs::remove_dir_all(node.path("local/tree").join(node.copies().last().unwrap().to_string())).unwrap();
    let (out, outcome) = cat(&node.context(), id, "lost");
    let error = outcome.unwrap_err();
    assert!(out.is_empty() && error.is_damage() && error.to_string().contains("data/lost"), "{error}");
}

#[test]
fn a_pack_that_is_sealed_to_others_than_its_snapshot_says_is_lacking_like_a_damaged_one() {
    let node = Node::encrypted();
    fs::create_dir_all(node.path("bucket")).unwrap();
    let mut forge = Forge::sealed(&node);
    let kept = Packed::of(&[b"kept"]);
    let pack = forge.pack(&kept.bytes);
    let kept = file("kept", 4, &[kept.piece(pack, 0)]);
    let lost = Packed::of(&[b"bytes that rot"]);
    let own = forge.seal_to(vec![identity().1]);
    let pack = forge.pack(&lost.bytes);
    forge.seal_to(own);
    let lost = file("lost", 14, &[lost.piece(pack, 0)]);
    forge.lines(&[folder(""), kept, lost]);
    forge.commit();
    let outcome = fetch(&node, &node.context(), &format!("tree/{}", forge::ID), &[Origin::Repository]).unwrap();
    assert_eq!(outcome.lost.iter().map(|lost| lost.path.as_str()).collect::<Vec<_>>(), ["lost"]);
    assert!(outcome.lost[0].problem.contains("sealed"), "{:?}", outcome.lost);
    assert_eq!(fs::read(node.path("to/kept")).unwrap(), b"kept");
}

#[test]
fn packs_that_are_known_to_be_damaged_are_asked_last() {
    let mut node = Node::with_folder();
    fill(&node);
    for name in ["second", "third"] {
        let kind = SourceKind::Directory { path: node.path("tree"), exclude: Vec::new(), cross_filesystems: false };
        node.sources.push(spec(name, kind));
    }
    node.init();
    let id = node.backup();
    let mut packs = vec![node.objects("node-1/packs/")];
    for name in ["second", "third"] {
        node.clock.advance(std::time::Duration::from_secs(60));
        ops::backup::run(&node.context(), &name.parse().unwrap(), &ops::backup::Options::default()).unwrap();
        let known = packs.concat();
        packs.push(node.objects("node-1/packs/").into_iter().filter(|key| !known.contains(key)).collect());
    }
    fs::remove_dir_all(node.path("local")).unwrap();
    let spoil = |keys: &[String]| keys.iter().for_each(|key| rot(&node.path("bucket").join(key)));
    spoil(&packs[2]);
    let options = ops::verify::Options { level: windlass::format::check::Level::Full, snapshots: Vec::new(), node: None };
    ops::verify::run(&node.context(), &options).unwrap();
    spoil(&packs[0]);
    node.events.lock().unwrap().clear();
    let outcome = fetch(&node, &node.context(), &format!("tree/{id}"), &[]).unwrap();
    assert_eq!(outcome.lost_files, 0);
    assert!(outcome.elsewhere.iter().all(|place| packs[1].contains(&place.place)), "{:?}", outcome.elsewhere);
    let told = warnings(&node);
    assert!(!told.iter().any(|told| packs[2].iter().any(|pack| told.contains(pack))), "the newest was not asked: {told:?}");
}

#[test]
fn a_search_says_what_it_does_and_counts_all_that_travels() {
    let node = Node::with_folder();
    fill(&node);
    node.init();
    let second = rotten_here(&node);
    let ctx = node.context();
    let outcome = fetch(&node, &ctx, &format!("tree/{second}"), &[]).unwrap();
    assert_eq!(ctx.meter.read().phase, "looking elsewhere");
    let lists: u64 = node.objects("node-1/files/").iter().filter(|key| key.ends_with(".zst")).map(|key| size(&node, key)).sum();
    assert!(outcome.downloaded_bytes > lists, "{} of lists, {}", lists, outcome.downloaded_bytes);
}

fn size(node: &Node, key: &str) -> u64 {
    fs::metadata(node.path("bucket").join(key)).unwrap().len()
}

#[test]
fn facts_are_looked_for_elsewhere_only_by_a_restore_that_is_carried_out() {
    let node = Node::with_folder();
    fill(&node);
    node.init();
    let id = node.backup();
    fs::remove_dir_all(node.path("local")).unwrap();
    for pack in node.objects("node-1/packs/") {
        rot(&node.path("bucket").join(pack));
    }
    node.events.lock().unwrap().clear();
    let name = format!("tree/{id}").parse().unwrap();
    let outcome = ops::show::run(&node.context(), &name, None).unwrap();
    assert!(outcome.facts.is_null() && outcome.facts_damage.as_ref().unwrap().contains("/packs/"), "{:?}", outcome.facts_damage);
    let plan = ops::restore::plan(&node.context(), &name, &ops::restore::Options::default()).unwrap();
    assert!(plan.warnings.iter().any(|warning| warning.contains("facts") && warning.contains("/packs/")), "{:?}", plan.warnings);
    let told = warnings(&node);
    assert!(!told.iter().any(|told| told.contains("looking for damaged bytes")), "{told:?}");
}

/// A node and the store of its repository, so that another process can reach that through a gate.
fn gated() -> (Node, Arc<Clocked>) {
    let (clock, stop) = (Arc::new(FixedClock::at(START.parse().unwrap())), Stop::new());
    let store = Clocked::new(clock.clone());
    let repository = Repository::over(store.clone(), "", "memory".into(), tools(clock.clone(), stop.clone()));
    let node = Node::over(repository, clock, stop);
    fill(&node);
    node.init();
    (node, store)
}

/// A verb that works while somebody removes a snapshot from the repository, in the moment before its body is read.
fn meanwhile<T: Send>((node, store): &(Node, Arc<Clocked>), verb: impl Fn(&Context) -> T + Sync) -> T {
    let gate = Gate::new();
    let tools = tools(node.clock.clone(), node.stop.clone());
    let ctx = node.context_over(Repository::over(Gated::around(store.clone(), gate.clone()), "", "memory".into(), tools));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let outcome = verb(&ctx);
            gate.finish();
            outcome
        });
        while let Some((op, key)) = gate.next() {
            if op == Op::Get && key.ends_with(".body.jsonl") {
                node.repository.delete(&key.replace(".body.jsonl", ".json")).unwrap();
                node.repository.delete(&key).unwrap();
                gate.open();
                break;
            }
            gate.step();
        }
        running.join().unwrap()
    })
}

/// What a verb gives for a snapshot that is removed while it works.
type Verb = fn(&Node, &Context, &str) -> Result<(), Error>;

#[test]
fn a_snapshot_that_is_removed_while_it_is_read_is_gone_and_not_damaged() {
    let verbs: [(&str, Verb); 8] = [
        ("fetch", |node, ctx, name| fetch(node, ctx, name, &[]).map(drop)),
        ("fetch --dry-run", |node, ctx, name| {
            let options = ops::fetch::Options { to: node.path("to"), dry_run: true, ..Default::default() };
            ops::fetch::run(ctx, &name.parse().unwrap(), &options).map(drop)
        }),
        ("cat", |_, ctx, name| {
            ops::cat::run(ctx, &name.parse().unwrap(), None, &RelPath::from_escaped("lost").unwrap(), &mut Vec::new()).map(drop)
        }),
        ("show", |_, ctx, name| ops::show::run(ctx, &name.parse().unwrap(), None).map(drop)),
        ("show --files", |_, ctx, name| ops::show::files(ctx, &name.parse().unwrap(), None, &mut |_| Ok(()))),
        ("diff", |_, ctx, name| ops::diff::run(ctx, None, &name.parse().unwrap(), &name.parse().unwrap(), &mut |_| Ok(())).map(drop)),
        ("plan", |_, ctx, name| ops::restore::plan(ctx, &name.parse().unwrap(), &ops::restore::Options::default()).map(drop)),
        ("restore", |node, ctx, name| {
            let plan = ops::restore::plan(&node.context(), &name.parse().unwrap(), &ops::restore::Options::default()).unwrap();
            ops::restore::run(ctx, &plan, None).map(drop)
        }),
    ];
    for (what, verb) in verbs {
        let world = gated();
        let id = world.0.backup();
        fs::remove_dir_all(world.0.path("local/tree")).unwrap();
        let error = meanwhile(&world, |ctx| verb(&world.0, ctx, &format!("tree/{id}"))).unwrap_err();
        assert!(matches!(error, Error::Absent(_)), "{what}: {error:?}");
    }
}

#[test]
fn a_snapshot_that_is_removed_while_it_is_searched_is_passed_over_without_a_word() {
    let world = gated();
    let node = &world.0;
    let second = rotten_here(node);
    node.events.lock().unwrap().clear();
    let outcome = meanwhile(&world, |ctx| fetch(node, ctx, &format!("tree/{second}"), &[])).unwrap();
    assert_eq!((outcome.lost_files, outcome.unasked.len()), (1, 0), "{outcome:?}");
    assert_eq!(warnings(node), Vec::<String>::new());
    assert!(world.0.objects(&format!("node-1/manifests/{}/", tree())).is_empty());
}
