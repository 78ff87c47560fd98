//! Every harm to every kind of object: what a verification, a fetch and the next backup make of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use windlass::format::check::Level;
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::{self, Error};

use crate::support::forge::rewritten;
use crate::support::listing::{Listing, assert_same};
use crate::support::node::Node;
use crate::support::odd::text;

pub(super) const HARMS: [&str; 7] = ["delete", "truncate", "empty", "flip", "append", "swap", "oversize"];

/// More bytes than any object may have; on the disk it is a hole.
pub(super) const OVERSIZE: u64 = (64 << 20) + 1;

/// What becomes of each harm (columns) to each kind of object (rows), in three signs:
///
/// - `q`: a quick verification finds it; `-`: only a full one does;
/// - `=`: a fetch on another machine gives the right tree all the same; `~`: it gives every file that is whole, and names the damage and
///   the others; `!`: it gives nothing and names the damage; `?`: it says that there is no such snapshot, or no repository;
/// - `+`: the next backup stores what is damaged anew, and its snapshot is sound; `!`: it is refused until a person has mended the object.
const TABLE: [(&str, [&str; 7]); 7] = [
    ("marker", ["q?!", "q!!", "q!!", "q!!", "q!!", "q!!", "q!!"]),
    // It has no like to change places with, so it does with a head.
    ("node file", ["q=!", "q=!", "q=!", "q=!", "q=!", "q!!", "q=!"]),
    ("head", ["q?+", "q!+", "q!+", "q!+", "q!+", "q!+", "q!+"]),
    ("body", ["q!+", "q!+", "q!+", "q!+", "q!+", "q!+", "q!+"]),
    ("file list", ["q!+", "q!+", "q!+", "-!+", "q!+", "q!+", "q!+"]),
    ("pack list", ["q=+", "q=+", "q=+", "q=+", "q=+", "q=+", "q=+"]),
    // With both packs swapped, no file at all is whole.
    ("pack", ["q~+", "q~+", "q~+", "-~+", "q=+", "q!+", "q=+"]),
];

/// A node with two shipped snapshots that share a pack.
pub(super) struct Sound {
    pub(super) node: Node,
    pub(super) first: SnapshotId,
    pub(super) second: SnapshotId,
    pub(super) listing: Listing,
}

impl Sound {
    pub(super) fn new(encrypted: bool) -> Self {
        let node = if encrypted { Node::encrypted() } else { Node::with_folder() };
        node.write("kept", text(200_000));
        node.write("folder/b", b"b");
        node.write("changing", b"first");
        node.init();
        let first = node.backup();
        node.write("changing", text(5000));
        node.write("new", b"second");
        let second = node.backup();
        let listing = Listing::of(&node.path("tree"));
        copy(&node, "", "saved");
        Self { node, first, second, listing }
    }

    /// Undoes everything since.
    pub(super) fn put_back(&mut self) {
        copy(&self.node, "saved", "");
        self.node.repository = self.node.open(&format!("file://{}", self.node.path("bucket").display()));
    }

    /// The object of this kind that the second snapshot needs, and one that it can change places with.
    pub(super) fn objects(&self, kind: &str) -> (String, String) {
        let head = |id| format!("node-1/manifests/tree/{id}.1.json");
        let body = |id| format!("node-1/manifests/tree/{id}.1.body.jsonl");
        // The list of files comes first in a body.
        let list = |id| {
            let body = fs::read_to_string(self.node.path("bucket").join(body(id))).unwrap();
            let line: serde_json::Value = serde_json::from_str(body.lines().next().unwrap()).unwrap();
            let name = line["list"].as_str().unwrap().to_owned();
            format!("node-1/files/{}/{name}", &name[..2])
        };
        match kind {
            "marker" => ("windlass.json".into(), "node-1/node.1.json".into()),
            "node file" => ("node-1/node.1.json".into(), head(self.second)),
            "head" => (head(self.second), head(self.first)),
            "body" => (body(self.second), body(self.first)),
            "file list" => {
                let ending = if self.node.identity.is_some() { "jsonl.zst.age" } else { "jsonl.zst" };
                (format!("{}.{ending}", list(self.second)), format!("{}.{ending}", list(self.first)))
            }
            "pack list" => (format!("{}.packs.jsonl", list(self.second)), format!("{}.packs.jsonl", list(self.first))),
            _ => {
                let mut packs = self.node.objects("node-1/packs/");
                packs.sort_by_key(|key| fs::metadata(self.node.path("bucket").join(key)).unwrap().len());
                (packs.pop().unwrap(), packs.pop().unwrap())
            }
        }
    }

    pub(super) fn harm(&self, harm: &str, object: &str, other: &str) {
        let (path, other) = (self.node.path("bucket").join(object), self.node.path("bucket").join(other));
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        match harm {
            "delete" => return fs::remove_file(path).unwrap(),
            "oversize" => return fs::File::options().write(true).open(path).unwrap().set_len(OVERSIZE).unwrap(),
            "truncate" => bytes.truncate(middle),
            "empty" => bytes.clear(),
            "flip" => bytes[middle] ^= 4,
            "append" => bytes.extend_from_slice(b"more"),
            _ => {
                let others = fs::read(&other).unwrap();
                fs::write(&other, &bytes).unwrap();
                bytes = others;
            }
        }
        fs::write(path, bytes).unwrap();
    }

    /// Verifies what there is; gives the names of what is damaged, or what the error names.
    pub(super) fn verify(&self, level: Level, snapshot: Option<SnapshotId>) -> Vec<String> {
        let snapshots = snapshot.iter().map(|id| format!("tree/{id}").parse().unwrap()).collect();
        let outcome = ops::verify::run(&self.node.context(), &ops::verify::Options { level, snapshots, node: None }).unwrap();
        outcome.damage.into_iter().map(|damage| damage.object).collect()
    }

    /// As on a machine that has never seen this repository.
    pub(super) fn fetch(&self, id: SnapshotId, expected: &Listing, objects: &[String]) -> char {
        let (repository, identity) = (self.node.repository.clone(), self.node.identity.clone());
        let elsewhere = Node { name: "node-1".into(), repository, identity, ..Node::new() };
        match elsewhere.fetch_what_is_whole(id) {
            Ok((to, fetched)) => {
                let lost: Vec<String> = fetched.lost.iter().map(|lost| lost.path.clone()).collect();
                assert_same(&expected.clone().without_paths(&lost), &Listing::of(&to));
                assert!(fetched.lost.iter().all(|lost| objects.contains(&lost.object)), "{:?}", fetched.lost);
                if lost.is_empty() { '=' } else { '~' }
            }
            Err(error) => {
                let left: Vec<_> = fs::read_dir(elsewhere.temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
                assert!(left.iter().all(|name| name == "tree" || name == "local" || name == "bucket"), "{left:?}");
                let said = ops::error::chain(&error);
                match (error, objects.iter().any(|object| said.contains(object))) {
                    (_, true) => '!',
                    (Error::Absent(_), false) => '?',
                    (error, false) => panic!("{error:?} names none of {objects:?}"),
                }
            }
        }
    }

    /// What becomes of one harm.
    fn cell(&self, kind: &str, harm: &str) -> String {
        let (object, other) = self.objects(kind);
        self.harm(harm, &object, &other);
        // A quick look leaves its verdicts, which the full one must do without.
        let quick = self.verify(Level::Quick, None);
        assert!(quick.is_empty() || quick.contains(&object), "{kind}, {harm}: {quick:?}");
        let _ = fs::remove_dir_all(self.node.path("bucket/node-1/checks"));
        let full = self.verify(Level::Full, None);
        assert!(full.contains(&object), "{kind}, {harm}: a full verification names {object}, not {full:?}");
        assert!(full.iter().all(|name| *name == object || *name == other), "{kind}, {harm}: {full:?}");
        let harmed = [object.clone(), other.clone()];
        let fetched = self.fetch(self.second, &self.listing, &harmed);

        self.node.write("changing", b"third");
        let backup = match self.node.try_backup() {
            Ok(third) => {
                assert_eq!(self.verify(Level::Full, Some(third)), [] as [String; 0], "{kind}, {harm}: the new snapshot is sound");
                let listing = Listing::of(&self.node.path("tree"));
                assert_eq!(self.fetch(third, &listing, &[]), '=');
                '+'
            }
            Err(error) => {
                assert!(ops::error::chain(&error).contains(&object) || harm == "delete", "{kind}, {harm}: {}", ops::error::chain(&error));
                '!'
            }
        };
        let quick = if quick.contains(&object) { 'q' } else { '-' };
        [quick, fetched, backup].iter().collect()
    }

    /// Every cell of one row, in a plain and in an encrypted repository.
    fn row(kind: &str) {
        Self::row_of(kind, Self::new(false));
        Self::row_of(kind, Self::new(true));
    }

    fn row_of(kind: &str, mut sound: Self) {
        let found: Vec<String> = HARMS
            .iter()
            .map(|harm| {
                let cell = sound.cell(kind, harm);
                sound.put_back();
                cell
            })
            .collect();
        let (_, mut expected) = *TABLE.iter().find(|(name, _)| *name == kind).unwrap();
        let encrypted = sound.node.identity.is_some();
        if encrypted && kind == "pack" {
            // An age file to which something was appended does not open.
            (expected[4], expected[6]) = ("q~+", "q~+");
        }
        assert_eq!(found, expected, "{kind}, encrypted: {encrypted}: {HARMS:?}");
    }
}

/// Copies repository and local copies from one folder of the node to another.
fn copy(node: &Node, from: &str, to: &str) {
    let (from, to) = (node.temp.path().join(from), node.temp.path().join(to));
    fs::create_dir_all(&to).unwrap();
    for name in ["bucket", "local"] {
        let gone = |path: &Path| windlass::sys::tree::remove_tree(path).unwrap();
        gone(&to.join(name));
        let status = Command::new("cp").arg("-a").arg(from.join(name)).arg(to.join(name)).status().unwrap();
        assert!(status.success());
    }
}

#[test]
fn a_harmed_marker() {
    Sound::row("marker");
}

#[test]
fn a_harmed_node_file() {
    Sound::row("node file");
}

#[test]
fn a_harmed_head() {
    Sound::row("head");
}

#[test]
fn a_harmed_body() {
    Sound::row("body");
}

#[test]
fn a_harmed_file_list() {
    Sound::row("file list");
}

#[test]
fn a_harmed_pack_list() {
    Sound::row("pack list");
}

#[test]
fn a_harmed_pack() {
    Sound::row("pack");
}

/// It reads like a sound marker; but the manifests know better.
#[test]
fn a_marker_that_names_another_repository_is_found() {
    let sound = Sound::new(false);
    let path = sound.node.path("bucket/windlass.json");
    let marker = fs::read(&path).unwrap();
    fs::write(path, rewritten(&marker, "repository", "00000000-0000-4000-8000-000000000000")).unwrap();
    assert_eq!(sound.verify(Level::Full, None), ["windlass.json"]);
    let heads = [sound.first, sound.second].map(|id| format!("node-1/manifests/tree/{id}.1.json"));
    assert_eq!(sound.fetch(sound.second, &sound.listing, &heads), '!');
}

/// What is taken for the latest without a word would be older than a person thinks.
#[test]
fn the_latest_snapshot_is_not_an_older_one_without_a_word() {
    let sound = Sound::new(false);
    let head = sound.node.path(format!("bucket/node-1/manifests/tree/{}.1.json", sound.second));
    fs::write(head, b"{}").unwrap();
    fs::remove_dir_all(sound.node.path(format!("local/tree/{}", sound.second))).unwrap();
    let to = sound.node.path("latest");
    let options = ops::fetch::Options { to, ..Default::default() };
    let fetched = ops::fetch::run(&sound.node.context(), &"tree/latest".parse().unwrap(), &options).unwrap();
    assert_eq!(fetched.id, sound.first);
    let told = sound.node.events.lock().unwrap().iter().any(|event| match event {
        ops::event::Event::Damage { message, .. } => message.contains(&format!("tree/{} is newer", sound.second)),
        _ => false,
    });
    assert!(told, "{:?}", sound.node.events);
}
