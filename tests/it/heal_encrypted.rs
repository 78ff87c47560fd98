//! Healing an encrypted repository: what lies in a local copy takes no identity, and what is written anew is for today's recipients.

use std::fs;

use windlass::format::check::Level;
use windlass::ops;

use crate::heal::{assert_sound, heal, lose_copies, packs, spoil, verify};
use crate::support::listing::{Listing, assert_same};
use crate::support::node::{Node, identity};
use crate::support::tree::noise;

#[test]
fn an_encrypted_snapshot_is_healed_from_its_copy_and_without_one_needs_the_identity() {
    let mut node = Node::encrypted();
    node.write("large", noise(1, 3 << 20));
    node.init();
    let first = node.backup();
    node.write("later", b"later");
    let second = node.backup();
    let tree = Listing::of(&node.path("tree"));
    let largest = |node: &Node| packs(node).into_iter().max_by_key(|pack| fs::metadata(pack).unwrap().len()).unwrap();
    let identity = node.identity.take();
    spoil(largest(&node));
    assert!(!verify(&node, Level::Full).damage.is_empty());
    let outcome = heal(&node);
    assert!(outcome.unhealed.is_empty() && outcome.healed.len() == 2, "{outcome:?}");
    assert!(verify(&node, Level::Full).damage.is_empty());
    fs::remove_dir_all(node.path(format!("local/tree/{first}"))).unwrap();
    let newest = packs(&node).into_iter().max_by_key(|pack| fs::metadata(pack).unwrap().modified().unwrap()).unwrap();
    spoil(newest);
    verify(&node, Level::Full);
    let outcome = heal(&node);
    assert!(outcome.unhealed.iter().any(|unhealed| unhealed.id == first && unhealed.why.contains("identity")), "{outcome:?}");
    node.identity = identity;
    let outcome = heal(&node);
    assert!(outcome.unhealed.is_empty(), "{outcome:?}");
    assert_sound(&node, "healed");
    lose_copies(&node);
    assert_same(&tree, &Listing::of(&node.fetch(second).unwrap()));
}

#[test]
fn what_is_healed_refers_to_nothing_that_todays_recipients_cannot_open() {
    let mut node = Node::encrypted();
    // More than a pack, so that the facts lie in another one than most of it.
    node.write("large", noise(1, 20 << 20));
    node.init();
    let id = node.backup();
    let (new, recipient) = identity();
    node.identity = Some(format!("{}{new}", node.identity.take().unwrap()));
    node.encrypt_to = vec![recipient];
    spoil(packs(&node).into_iter().max_by_key(|pack| fs::metadata(pack).unwrap().len()).unwrap());
    verify(&node, Level::Full);
    assert_eq!(heal(&node).healed.len(), 1, "from the copy, for the new recipient");
    lose_copies(&node);
    // Without them nothing tells that the facts were stored for the new one too.
    for kept in ["cache", "journal"] {
        fs::remove_dir_all(node.path("local/.windlass").join(kept)).unwrap();
    }
    // The facts of the first number, which is sealed to the old one, are sound still.
    let body = fs::read_to_string(node.path(format!("bucket/node-1/manifests/tree/{id}.2.body.jsonl"))).unwrap();
    let line = body.lines().find(|line| line.contains("\"facts\"")).unwrap();
    let list = serde_json::from_str::<serde_json::Value>(line).unwrap()["list"].as_str().unwrap().to_owned();
    spoil(node.path(format!("bucket/node-1/files/{}/{list}.jsonl.zst.age", &list[..2])));
    verify(&node, Level::Full);
    let outcome = heal(&node);
    assert!(outcome.healed.len() == 1 && outcome.unhealed.is_empty(), "{outcome:?}");
    node.identity = Some(new);
    let shown = ops::show::run(&node.context(), &format!("tree/{id}").parse().unwrap(), None).unwrap();
    assert!(!shown.facts.is_null(), "the new recipient reads the facts too");
    node.fetch(id).unwrap();
}
