//! Repositories that lie: refused with what and where, and nothing outside the target is touched, nor anything left in it.

mod blobs;
mod entries;
mod manifests;

use std::fs;

use serde_json::{Value, json};
use windlass::format::check::Level;
use windlass::ops::error::chain;
use windlass::ops::fetch::{Options, Origin};
use windlass::ops::{self, Error};

use crate::support::forge::{self, Forge, Packed, file, folder, symlink, with};
use crate::support::listing::Listing;
use crate::support::node::Node;

/// A node with an empty repository, and a folder where a target lies beside what must not be touched.
fn node() -> Node {
    let node = Node::with_folder();
    fs::create_dir_all(node.path("place/outside")).unwrap();
    fs::write(node.path("place/outside/secret"), b"untouched").unwrap();
    fs::create_dir(node.path("place/empty")).unwrap();
    node
}

fn fetch(node: &Node, to: &str) -> Result<ops::fetch::Outcome, Error> {
    let options = Options { to: node.path("place").join(to), from: vec![Origin::Repository], ..Options::default() };
    ops::fetch::run(&node.context(), &format!("tree/{}", forge::ID).parse().unwrap(), &options)
}

/// Fetching into a new and into an empty folder is refused, the message holds `words`, and the place is as it was.
fn refused(node: &Node, case: &str, words: &[&str]) {
    let place = || Listing::of(&node.path("place")).without(&["mtime"]);
    let before = place();
    for to in ["new", "empty"] {
        let Err(error) = fetch(node, to) else { panic!("{case}: it was fetched into {to}") };
        let said = chain(&error);
        for word in words {
            assert!(said.contains(word), "{case}: `{said}` does not say `{word}`");
        }
        assert_eq!(place().differences(&before), "", "{case}");
    }
    let found = verified(node);
    for key in words.iter().filter(|word| word.starts_with("node-1/")) {
        assert!(found.contains(key), "{case}: a verification names {found}, not {key}");
    }
}

/// All that a full verification has to say.
fn verified(node: &Node) -> String {
    let options = ops::verify::Options { level: Level::Full, snapshots: Vec::new(), node: None };
    match ops::verify::run(&node.context(), &options) {
        Ok(found) => format!("{:?} {:?}", found.damage, found.unexpected),
        Err(error) => chain(&error),
    }
}

/// A snapshot of these lines is refused, with the key of its list.
fn lines_are_refused(case: &str, lines: &[Value], why: &str) {
    let node = node();
    let mut forge = Forge::new(&node);
    let list = forge.lines(lines);
    forge.commit();
    refused(&node, case, &[&list, why]);
}

fn text_of(lines: &[Value]) -> Vec<u8> {
    lines.iter().flat_map(forge::text).collect()
}

/// A frame that asks for a window of 16 MiB.
fn wide(plain: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.set_parameter(zstd::zstd_safe::CParameter::WindowLog(18)).unwrap();
    encoder.set_pledged_src_size(Some(plain.len() as u64)).unwrap();
    encoder.write_all(plain).unwrap();
    let mut stored = encoder.finish().unwrap();
    assert_eq!(stored[4] & 0x20, 0, "the frame has a window byte");
    stored[5] = 14 << 3;
    stored
}

#[test]
fn a_repository_that_was_made_by_hand_is_read() {
    let node = node();
    let mut forge = Forge::new(&node);
    let bytes = crate::support::odd::text(100_000);
    let packed = Packed::of(&[b"small", &bytes]);
    let pack = forge.pack(&packed.bytes);
    let large = [packed.piece(pack, 1), json!({"hole": "4096"}), packed.piece(pack, 0)];
    // What a later version adds is not known here, and does no harm.
    let lines = [with(folder(""), "later", json!({"deep": [1]})), file("large", 104_101, &large), symlink("link", "large")];
    forge.lines(&lines);
    forge.facts();
    let body = forge.body();
    forge.manifest(&body, &forge::document(&with(forge.head(&body), "signature", json!("x"))));
    assert_eq!(verified(&node), "[] []");
    fetch(&node, "new").unwrap();
    let found = fs::read(node.path("place/new/large")).unwrap();
    assert_eq!(found, [&bytes[..], &[0; 4096], b"small"].concat());
    assert_eq!(fs::read_link(node.path("place/new/link")).unwrap().to_str(), Some("large"));
}
