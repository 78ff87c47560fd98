//! Healing: what lies sound anywhere is sound again in every tier, nothing gets worse, and what is lost is named.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use windlass::format::check::Level;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops;
use windlass::ops::heal::{Options, Outcome};
use windlass::ops::snapshots::{Place, View};

use crate::damage::{HARMS, Sound};
use crate::support::dying::{Death, Dying};
use crate::support::listing::{Listing, assert_same};
use crate::support::node::Node;
use crate::support::odd::text;
use crate::support::tree::noise;

pub fn heal(node: &Node) -> Outcome {
    ops::heal::run(&node.context(), &Options::default()).unwrap()
}

pub fn verify(node: &Node, level: Level) -> ops::verify::Outcome {
    ops::verify::run(&node.context(), &ops::verify::Options { level, snapshots: Vec::new(), node: None }).unwrap()
}

pub fn assert_sound(node: &Node, what: &str) {
    let outcome = verify(node, Level::Full);
    assert!(outcome.damage.is_empty(), "{what}: {:?}", outcome.damage);
}

fn prune(node: &Node) -> Result<ops::prune::Outcome, ops::Error> {
    let (ctx, options) = (node.context(), ops::prune::Options::default());
    ops::prune::plan(&ctx, &options).and_then(|plan| ops::prune::run(&ctx, &options, &plan))
}

pub fn lose_copies(node: &Node) {
    fs::remove_dir_all(node.path("local/tree")).unwrap();
}

pub fn spoil(path: PathBuf) {
    let bytes: Vec<u8> = fs::read(&path).unwrap().iter().map(|byte| byte ^ 0x5A).collect();
    fs::write(path, bytes).unwrap();
}

pub fn packs(node: &Node) -> Vec<PathBuf> {
    node.objects("node-1/packs/").iter().map(|key| node.path("bucket").join(key)).collect()
}

fn number_of(node: &Node, id: SnapshotId) -> usize {
    node.objects("node-1/manifests/tree/").iter().filter(|key| key.contains(&id.to_string()) && !key.ends_with("body.jsonl")).count()
}

/// What a verification and then healing make of each harm (columns) to each kind of object (rows), first where the local copies are there,
/// then where there are none: `=` all is sound again; `!` it is named as what cannot be healed; `p` a person has to mend it.
const TABLE: [(&str, [&str; 7]); 7] = [
    // Without a marker there is no repository to heal, which is an error of its own.
    ("marker", ["pp", "pp", "pp", "pp", "pp", "pp", "pp"]),
    ("node file", ["pp", "pp", "pp", "pp", "pp", "pp", "pp"]),
    ("head", ["==", "==", "==", "==", "==", "==", "=="]),
    ("body", ["=!", "=!", "=!", "=!", "=!", "=!", "=!"]),
    ("file list", ["=!", "=!", "=!", "=!", "=!", "=!", "=!"]),
    ("pack list", ["==", "==", "==", "==", "==", "==", "=="]),
    // The bytes of a pack that was appended to are all there.
    ("pack", ["=!", "=!", "=!", "=!", "==", "=!", "=="]),
];

fn cell(sound: &Sound, kind: &str, harm: &str, with_copies: bool) -> char {
    let (object, other) = sound.objects(kind);
    if !with_copies {
        lose_copies(&sound.node);
    }
    sound.harm(harm, &object, &other);
    sound.verify(Level::Full, None);
    let before = sound.node.objects("");
    let outcome = match ops::heal::run(&sound.node.context(), &Options::default()) {
        Ok(outcome) => outcome,
        Err(error) => {
            assert!(kind == "marker" || kind == "node file", "{kind}, {harm}: {}", ops::error::chain(&error));
            return 'p';
        }
    };
    let after = sound.node.objects("");
    assert!(before.iter().all(|key| after.contains(key)), "{kind}, {harm}: nothing is removed");
    if !outcome.by_hand.is_empty() {
        assert_eq!(outcome.by_hand[0].object, object);
        return 'p';
    }
    if !outcome.unhealed.is_empty() {
        let named = outcome.unhealed.iter().flat_map(|unhealed| &unhealed.damage).any(|ill| ill.object == object);
        assert!(named, "{kind}, {harm}: {outcome:?}");
        return '!';
    }
    assert!(!outcome.healed.is_empty(), "{kind}, {harm}: {outcome:?}");
    assert_sound(&sound.node, &format!("{kind}, {harm}"));
    // What a higher number supersedes no longer stands in the way of deleting.
    let pruned = prune(&sound.node);
    assert!(pruned.is_ok(), "{kind}, {harm}: {pruned:?}");
    // What the old head said of the bytes is what the new one says, and another machine gets the very same tree.
    assert_eq!(sound.fetch(sound.second, &sound.listing, &[]), '=', "{kind}, {harm}");
    assert!(
        ops::fetch::run(
            &sound.node.context(),
            &format!("tree/{}", sound.first).parse().unwrap(),
            &ops::fetch::Options {
                to: sound.node.path(format!("first-{kind}-{harm}-{with_copies}")),
                from: vec![ops::origin::Origin::Repository],
                ..Default::default()
            }
        )
        .unwrap()
        .damage
        .is_empty()
    );
    let again = heal(&sound.node);
    assert!(again.healed.is_empty() && again.unhealed.is_empty(), "{kind}, {harm}: {again:?}");
    let status = ops::status::run(&sound.node.context()).unwrap();
    assert!(status.wrong.is_empty(), "{kind}, {harm}: {:?}", status.wrong);
    '='
}

/// In a plain and in an encrypted repository.
fn row(kind: &str) {
    [false, true].into_iter().for_each(|encrypted| row_of(kind, Sound::new(encrypted)));
}

fn row_of(kind: &str, mut sound: Sound) {
    let found: Vec<String> = HARMS
        .iter()
        .map(|harm| {
            [true, false]
                .iter()
                .map(|with_copies| {
                    let cell = cell(&sound, kind, harm, *with_copies);
                    sound.put_back();
                    cell
                })
                .collect()
        })
        .collect();
    let (_, mut expected) = *TABLE.iter().find(|(name, _)| *name == kind).unwrap();
    let encrypted = sound.node.identity.is_some();
    if encrypted && kind == "pack" {
        // An age file to which something was appended does not open, so it is as good as gone.
        (expected[4], expected[6]) = ("=!", "=!");
    }
    assert_eq!(found, expected, "{kind}, encrypted: {encrypted}: {HARMS:?}");
}

#[test]
fn a_harmed_marker_is_for_a_person_to_mend() {
    row("marker");
}

#[test]
fn a_harmed_node_file_is_for_a_person_to_mend() {
    row("node file");
}

#[test]
fn a_harmed_head_is_healed() {
    row("head");
}

#[test]
fn a_harmed_body_is_healed() {
    row("body");
}

#[test]
fn a_harmed_file_list_is_healed() {
    row("file list");
}

#[test]
fn a_harmed_pack_list_is_healed() {
    row("pack list");
}

#[test]
fn a_harmed_pack_is_healed() {
    row("pack");
}

/// A node with three shipped snapshots, of which the files are in the local copies of the last alone.
fn three() -> (Node, [SnapshotId; 3]) {
    let node = Node::with_folder();
    node.write("large", noise(1, 3 << 20));
    node.write("small", b"small");
    node.init();
    let first = node.backup();
    node.write("second", noise(2, 300_000));
    let second = node.backup();
    node.write("third", b"third");
    let third = node.backup();
    (node, [first, second, third])
}

#[test]
fn a_snapshot_without_a_copy_is_healed_from_the_copies_and_packs_of_others() {
    let (node, [first, second, third]) = three();
    let tree = Listing::of(&node.path("tree"));
    [first, second].iter().for_each(|id| fs::remove_dir_all(node.path(format!("local/tree/{id}"))).unwrap());
    let before = packs(&node);
    spoil(before.iter().max_by_key(|pack| fs::metadata(pack).unwrap().len()).unwrap().clone());
    verify(&node, Level::Full);
    let outcome = heal(&node);
    assert!(outcome.unhealed.is_empty() && outcome.healed.len() == 3, "{outcome:?}");
    // The bytes were stored anew once, for all three.
    assert_eq!(packs(&node).len(), before.len() + 1);
    assert_sound(&node, "healed");
    lose_copies(&node);
    assert_same(&tree, &Listing::of(&node.fetch(third).unwrap()));
    node.fetch(first).unwrap();
    node.fetch(second).unwrap();
}

#[test]
fn what_lies_in_a_sound_pack_is_referred_to_and_not_stored_again() {
    let (node, _) = three();
    let damaged = packs(&node).into_iter().max_by_key(|pack| fs::metadata(pack).unwrap().len()).unwrap();
    spoil(damaged);
    verify(&node, Level::Full);
    // A backup stores what it needs anew; then the older ones need nothing but new lists.
    node.backup();
    lose_copies(&node);
    let before = packs(&node);
    let outcome = heal(&node);
    assert!(outcome.unhealed.is_empty() && outcome.healed.len() == 3, "{outcome:?}");
    assert_eq!(packs(&node), before);
    assert_sound(&node, "healed");
}

#[test]
fn a_healed_number_that_is_damaged_in_turn_is_healed_again() {
    let (node, [first, ..]) = three();
    for n in 2..5 {
        let before = packs(&node);
        let largest = |packs: &[PathBuf]| packs.iter().max_by_key(|pack| fs::metadata(pack).unwrap().modified().unwrap()).unwrap().clone();
        spoil(if n == 2 { before.iter().max_by_key(|pack| fs::metadata(pack).unwrap().len()).unwrap().clone() } else { largest(&before) });
        assert!(!verify(&node, Level::Full).damage.is_empty());
        let outcome = heal(&node);
        assert!(outcome.unhealed.is_empty() && !outcome.healed.is_empty(), "{n}: {outcome:?}");
        let superseded = verify(&node, Level::Full);
        assert!(superseded.damage.is_empty() && !superseded.superseded.is_empty(), "{n}: {superseded:?}");
    }
    assert!(number_of(&node, first) > 2);
    lose_copies(&node);
    node.fetch(first).unwrap();
}

#[test]
fn a_lower_number_stands_in_for_a_damaged_one_and_bytes_come_back_from_its_packs() {
    let (node, [first, ..]) = three();
    let body = |n: u32| node.path(format!("bucket/node-1/manifests/tree/{first}.{n}.body.jsonl"));
    spoil(body(1));
    verify(&node, Level::Full);
    heal(&node);
    // The right bytes again in the first number, and the second one is damaged at the same length.
    spoil(body(1));
    spoil(body(2));
    lose_copies(&node);
    node.fetch(first).unwrap();
    assert!(!verify(&node, Level::Full).damage.is_empty());
    let outcome = heal(&node);
    assert!(outcome.unhealed.is_empty() && outcome.healed.len() == 1 && outcome.healed[0].n == Some(3), "{outcome:?}");
    assert_sound(&node, "healed");
}

#[test]
fn what_is_lost_is_named_and_the_rest_is_left_as_it_was() {
    let node = Node::with_folder();
    (0..30).for_each(|n| node.write(&format!("lost/{n:02}"), noise(n, 3000)));
    node.init();
    let first = node.backup();
    let lost = packs(&node);
    node.write("kept", b"kept");
    node.backup();
    lose_copies(&node);
    lost.iter().for_each(|pack| spoil(pack.clone()));
    verify(&node, Level::Full);
    let before = node.objects("");
    let outcome = heal(&node);
    assert_eq!((outcome.healed.len(), outcome.unhealed.len()), (0, 2), "{outcome:?}");
    let of_first = outcome.unhealed.iter().find(|unhealed| unhealed.id == first).unwrap();
    assert_eq!((of_first.lost_files, of_first.lost.len(), of_first.lost[0].as_str()), (30, 20, "lost/00"));
    assert_eq!(node.objects("node-1/manifests/"), before.iter().filter(|key| key.contains("/manifests/")).cloned().collect::<Vec<_>>());
}

#[test]
fn damage_that_was_put_back_is_seen_and_nothing_is_written_for_it() {
    let (node, _) = three();
    for object in node.objects("node-1/packs/").into_iter().chain(node.objects("node-1/files/")).chain(node.objects("node-1/manifests/")) {
        let path = node.path("bucket").join(&object);
        spoil(path.clone());
        assert!(!verify(&node, Level::Full).damage.is_empty());
        spoil(path);
        let outcome = heal(&node);
        assert_eq!(outcome.sound_again, std::slice::from_ref(&object), "{outcome:?}");
        assert!(outcome.healed.is_empty() && outcome.unhealed.is_empty(), "{object}: {outcome:?}");
        assert!(ops::status::run(&node.context()).unwrap().wrong.is_empty());
    }
    assert!(node.objects("node-1/manifests/").iter().all(|key| key.contains("Z.1.")));
}

#[test]
fn a_dry_run_says_what_would_be_done_and_changes_nothing() {
    let (node, [first, ..]) = three();
    fs::remove_dir_all(node.path(format!("local/tree/{first}"))).unwrap();
    let of_first = packs(&node).into_iter().max_by_key(|pack| fs::metadata(pack).unwrap().len()).unwrap();
    spoil(of_first);
    spoil(node.path(format!("local/tree/{}/data/small", node.copies()[0])));
    verify(&node, Level::Full);
    let state = || {
        let output = std::process::Command::new("find")
            .args(["local", "bucket", "-printf", "%p %s %T@ %i\n"])
            .current_dir(node.temp.path())
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let before = state();
    let outcome = ops::heal::run(&node.context(), &Options { dry_run: true, ..Options::default() }).unwrap();
    assert_eq!(before, state());
    // How many copies are damaged depends on how the filesystem lets them share files.
    assert_eq!((outcome.healed.len(), outcome.copies.is_empty(), outcome.unhealed.len()), (3, false, 0), "{outcome:?}");
    assert!(outcome.healed.iter().all(|healed| healed.n.is_none() && healed.bytes_to_store > 3 << 20), "{outcome:?}");
    let named = ops::heal::run(
        &node.context(),
        &Options { dry_run: true, what: vec![format!("tree/{first}").parse().unwrap()], ..Options::default() },
    );
    assert_eq!(named.unwrap().healed.iter().map(|healed| healed.id).collect::<Vec<_>>(), [first]);
}

#[test]
fn a_damaged_copy_is_made_anew_and_shares_what_is_sound_with_the_others_still() {
    let (node, [first, second, third]) = three();
    let data = |id: SnapshotId, name: &str| node.path(format!("local/tree/{id}/data/{name}"));
    let inode = |id, name| fs::metadata(data(id, name)).unwrap().ino();
    let shares = inode(first, "large") == inode(third, "large");
    spoil(data(second, "second"));
    fs::write(data(third, "third"), b"other bytes").unwrap();
    // What a killed run has left.
    fs::create_dir_all(node.path(format!("local/tree/{third}.partial/data"))).unwrap();
    assert!(!verify(&node, Level::Full).damage.is_empty());
    let outcome = heal(&node);
    assert!(outcome.unhealed.is_empty() && outcome.postponed.is_empty(), "{outcome:?}");
    assert!(!outcome.copies.is_empty());
    assert_sound(&node, "healed");
    assert!(verify(&node, Level::Full).damage.is_empty());
    assert_eq!(inode(first, "large") == inode(third, "large"), shares, "what was shared is shared still");
    assert_eq!(fs::read(data(third, "third")).unwrap(), b"third");
    let left: Vec<_> = fs::read_dir(node.path("local/tree")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(ops::status::run(&node.context()).unwrap().healthy);
}

#[test]
fn a_copy_whose_list_of_files_is_damaged_is_made_anew_from_the_repository() {
    let (node, [first, ..]) = three();
    fs::write(node.path(format!("local/tree/{first}/files.jsonl.zst")), b"nothing").unwrap();
    fs::remove_file(node.path(format!("local/tree/{first}/data/large"))).unwrap();
    assert!(!verify(&node, Level::Full).damage.is_empty());
    let outcome = heal(&node);
    assert!(outcome.unhealed.is_empty() && outcome.copies.len() == 1, "{outcome:?}");
    assert_sound(&node, "healed");
    node.backup();
    assert_sound(&node, "and the next snapshot");
}

#[test]
fn a_copy_that_is_read_is_left_for_the_next_run() {
    let (node, [first, ..]) = three();
    fs::remove_file(node.path(format!("local/tree/{first}/data/small"))).unwrap();
    verify(&node, Level::Full);
    let copies = ops::copies::Copies::read(&node.context(), &"tree".parse().unwrap()).unwrap();
    let held = copies.find(first).unwrap().hold(&node.context()).unwrap();
    let outcome = heal(&node);
    assert!(outcome.copies.is_empty() && outcome.postponed.len() == 1, "{outcome:?}");
    drop(held);
    assert_eq!(heal(&node).copies.len(), 1);
    assert_sound(&node, "healed");
}

/// A node and the store that its repository lies in, with two snapshots whose largest pack is gone.
fn dying(with_copies: bool) -> (Node, Arc<Dying>, SnapshotId, Listing) {
    let (node, store) = Dying::node();
    node.write("kept", text(70_000));
    node.write("folder/b", b"b");
    node.init();
    let first = node.backup();
    let listing = Listing::of(&node.path("tree"));
    node.write("new", b"second");
    node.backup();
    let packs = node.objects("node-1/packs/");
    let largest = packs.iter().max_by_key(|key| node.repository.stat(key).unwrap().unwrap().size).unwrap();
    node.repository.delete(largest).unwrap();
    if !with_copies {
        fs::remove_dir_all(node.path(format!("local/tree/{first}"))).unwrap();
    }
    (node, store, first, listing)
}

fn objects(node: &Node) -> BTreeMap<String, bytes::Bytes> {
    node.objects("").into_iter().map(|key| (key.clone(), node.repository.get(&key, 1 << 30).unwrap())).collect()
}

fn shipped(node: &Node) -> Vec<SnapshotId> {
    let view = View::read(&node.context(), None, None).unwrap();
    view.rows.iter().map(Result::unwrap).filter(|row| row.place != Place::Local).map(|row| row.id).collect()
}

fn heal_that_dies_at_any_request(death: Death, with_copies: bool) {
    for k in 0..400 {
        let (node, store, first, listing) = dying(with_copies);
        let (before, listed) = (objects(&node), shipped(&node));
        store.die_after(k, death);
        let outcome = ops::heal::run(&node.context(), &Options::default());
        let died = store.revive();
        assert!(outcome.is_ok() || died, "{death:?} {k}: {outcome:?}");
        let after = objects(&node);
        assert!(before.iter().all(|(key, bytes)| after.get(key) == Some(bytes)), "{death:?} {k}: an object was changed");
        assert_eq!(shipped(&node), listed, "{death:?} {k}");
        let outcome = heal(&node);
        assert!(outcome.unhealed.is_empty(), "{death:?} {k}: {outcome:?}");
        let outcome = verify(&node, Level::Quick);
        assert!(outcome.damage.is_empty(), "{death:?} {k}: {:?}", outcome.damage);
        let fetched = node.fetch(first).unwrap();
        assert_same(&listing, &Listing::of(&fetched));
        assert!(ops::status::run(&node.context()).unwrap().wrong.is_empty(), "{death:?} {k}");
        if !died {
            assert!(k > 3);
            return;
        }
    }
    panic!("healing takes more than 400 requests");
}

#[test]
fn a_heal_from_copies_that_dies_at_any_request_leaves_nothing_worse_and_the_next_one_finishes() {
    heal_that_dies_at_any_request(Death::AtRequest, true);
    heal_that_dies_at_any_request(Death::AfterCreate, true);
}

#[test]
fn a_heal_from_elsewhere_that_dies_at_any_request_leaves_nothing_worse_and_the_next_one_finishes() {
    heal_that_dies_at_any_request(Death::AtRequest, false);
    heal_that_dies_at_any_request(Death::AfterCreate, false);
}

#[test]
fn a_damaged_node_file_no_longer_counts_once_the_machine_is_adopted_again() {
    let (node, _) = three();
    fs::write(node.path("bucket/node-1/node.1.json"), b"{}").unwrap();
    assert_eq!(verify(&node, Level::Quick).damage.len(), 1);
    let refused = ops::init::run(&node.context(), &ops::init::Options::default()).unwrap_err();
    assert!(refused.is_damage(), "{refused}");
    let adopted = ops::init::run(&node.context(), &ops::init::Options { adopt: true, ..Default::default() }).unwrap();
    assert_eq!(adopted.claimed, Some(2));
    node.backup();
    assert_sound(&node, "adopted");
    prune(&node).unwrap();
}
