//! Random trees and edits: what is fetched is what was there when the snapshot was taken, whatever came before and after.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use windlass::format::snapshot_id::SnapshotId;
use windlass::ops;
use windlass::ops::fetch::Origin;
use windlass::ops::restore;
use windlass::sys::random::{Random, SeededRandom};

use crate::support::listing::{Listing, assert_same};
use crate::support::node::{Node, tree};
use crate::support::odd::{text, touch};

/// Few names, so that edits meet; they sort differently with and without regard to `/`, and need escapes.
const NAMES: [&[u8]; 9] = [b"a", b"a-", b"a.b", b"b\n", b"\xff\xfe", b"%41", b"\\", b" ", "ü".as_bytes()];

/// Where links point. None leads out of the tree.
const TARGETS: [&[u8]; 4] = [b"a", b".", b"no\nsuch", b"\xfe"];

/// A path in the tree, as indices of [`NAMES`].
type Place = Vec<usize>;

#[derive(Clone, Debug)]
enum Edit {
    /// A new file in place of what is there: its bytes by seed, shrinkable or not, and their number.
    Write(Place, u8, bool, usize),
    /// A file becomes this long: cut, or longer by a hole.
    Resize(Place, u64),
    /// One byte in the middle of a file changes, and nothing else of it: the time is put back.
    Poke(Place),
    /// A few bytes come in at the beginning, so that all others move.
    Insert(Place),
    Remove(Place),
    Move(Place, Place),
    Folder(Place),
    Symlink(Place, usize),
    HardLink(Place, Place),
    Fifo(Place),
    Mode(Place, u32),
    Touch(Place, i64, u32),
    Attribute(Place, Vec<u8>),
}

/// What the node loses before a backup.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Nothing,
    Cache,
    Copies,
    Everything,
}

fn place() -> impl Strategy<Value = Place> {
    prop::collection::vec(0..NAMES.len(), 1..=3)
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 1usize..600, 4000usize..4200, 60_000usize..70_000, Just(1 << 20), (1usize << 20) + 1..3 << 20]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        8 => (place(), 0u8..4, any::<bool>(), length()).prop_map(|(at, seed, shrinks, length)| Edit::Write(at, seed, shrinks, length)),
        2 => (place(), prop_oneof![0u64..10_000, 0u64..4 << 20]).prop_map(|(at, length)| Edit::Resize(at, length)),
        2 => place().prop_map(Edit::Poke),
        1 => place().prop_map(Edit::Insert),
        2 => place().prop_map(Edit::Remove),
        2 => (place(), place()).prop_map(|(from, to)| Edit::Move(from, to)),
        3 => place().prop_map(Edit::Folder),
        1 => (place(), 0..TARGETS.len()).prop_map(|(at, target)| Edit::Symlink(at, target)),
        2 => (place(), place()).prop_map(|(from, to)| Edit::HardLink(from, to)),
        1 => place().prop_map(Edit::Fifo),
        2 => (place(), 0u32..0o10000).prop_map(|(at, mode)| Edit::Mode(at, mode)),
        2 => (place(), -3i64..4_000_000_000, 0u32..1_000_000_000).prop_map(|(at, s, ns)| Edit::Touch(at, s, ns)),
        1 => (place(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(at, value)| Edit::Attribute(at, value)),
    ]
}

fn round() -> impl Strategy<Value = (Vec<Edit>, Loss)> {
    let loss = prop_oneof![5 => Just(Loss::Nothing), 1 => Just(Loss::Cache), 1 => Just(Loss::Copies), 1 => Just(Loss::Everything)];
    (prop::collection::vec(edit(), 0..16), loss)
}

fn full(root: &Path, place: &Place) -> PathBuf {
    place.iter().fold(root.to_owned(), |path, part| path.join(OsStr::from_bytes(NAMES[*part])))
}

fn bytes(seed: u8, shrinks: bool, length: usize) -> Vec<u8> {
    if shrinks {
        return text(length + usize::from(seed)).split_off(usize::from(seed));
    }
    let mut bytes = vec![0; length];
    SeededRandom::new(u64::from(seed)).fill(&mut bytes);
    bytes
}

/// Carries an edit out; one that meets something else than it needs fails or does nothing.
fn apply(root: &Path, edit: &Edit) -> std::io::Result<()> {
    let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file());
    match edit {
        Edit::Write(at, seed, shrinks, length) => {
            let path = full(root, at);
            let made = fs::create_dir_all(path.parent().unwrap());
            let _ = fs::remove_file(&path);
            made.and_then(|()| fs::write(path, bytes(*seed, *shrinks, *length)))
        }
        Edit::Resize(at, length) if is_file(&full(root, at)) => {
            OpenOptions::new().write(true).open(full(root, at)).and_then(|file| file.set_len(*length))
        }
        Edit::Poke(at) if is_file(&full(root, at)) => poke(&full(root, at)),
        Edit::Insert(at) if is_file(&full(root, at)) => {
            fs::read(full(root, at)).and_then(|bytes| fs::write(full(root, at), [&b"inserted"[..], &bytes].concat()))
        }
        Edit::Remove(at) => fs::remove_file(full(root, at)).or_else(|_| fs::remove_dir_all(full(root, at))),
        Edit::Move(from, to) => fs::rename(full(root, from), full(root, to)),
        Edit::Folder(at) => fs::create_dir_all(full(root, at)),
        Edit::Symlink(at, target) => symlink(OsStr::from_bytes(TARGETS[*target]), full(root, at)),
        Edit::HardLink(from, to) if is_file(&full(root, from)) => fs::hard_link(full(root, from), full(root, to)),
        Edit::Fifo(at) => Ok(rustix::fs::mknodat(CWD, full(root, at), FileType::Fifo, Mode::from_raw_mode(0o600), 0)?),
        Edit::Mode(at, mode) if fs::symlink_metadata(full(root, at)).is_ok_and(|meta| !meta.is_symlink()) => {
            // What its owner cannot read, a backup by its owner cannot either.
            fs::set_permissions(full(root, at), fs::Permissions::from_mode(mode | 0o700))
        }
        Edit::Touch(at, seconds, nanoseconds) if fs::symlink_metadata(full(root, at)).is_ok() => {
            touch(&full(root, at), *seconds, i64::from(*nanoseconds));
            Ok(())
        }
        Edit::Attribute(at, value) if is_file(&full(root, at)) => {
            Ok(rustix::fs::setxattr(full(root, at), "user.windlass", value, XattrFlags::empty())?)
        }
        _ => Ok(()),
    }
}

fn poke(path: &Path) -> Result<(), std::io::Error> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let meta = file.metadata()?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, meta.len() / 2)?;
    file.write_all_at(&[byte[0] ^ 0x40], meta.len() / 2)?;
    file.set_modified(meta.modified()?)
}

fn lose(node: &Node, loss: Loss) {
    let gone: &[&str] = match loss {
        Loss::Nothing => &[],
        Loss::Cache => &["local/.windlass/cache"],
        Loss::Copies => &["local/tree"],
        // The machine is still known by its own id.
        Loss::Everything => &["local/.windlass/cache", "local/.windlass/heads", "local/tree"],
    };
    for folder in gone.iter().map(|folder| node.path(folder)).filter(|folder| folder.exists()) {
        fs::remove_dir_all(folder).unwrap();
    }
}

fn fetch(node: &Node, id: SnapshotId, from: Vec<Origin>) -> Listing {
    let to = node.path("fetched");
    let options = ops::fetch::Options { to: to.clone(), from, ..Default::default() };
    ops::fetch::run(&node.context(), &format!("tree/{id}").parse().unwrap(), &options).unwrap();
    let listing = Listing::of(&to);
    windlass::sys::tree::remove_tree(&to).unwrap();
    listing
}

fn restore(node: &Node, id: SnapshotId) {
    node.clock.advance(Duration::from_secs(1));
    let plan = restore::plan(&node.context(), &format!("tree/{id}").parse().unwrap(), &restore::Options::default()).unwrap();
    restore::run(&node.context(), &plan, None).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        max_shrink_iters: 200,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/it/model.seeds"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_snapshot_comes_back_as_it_was_taken(rounds in prop::collection::vec(round(), 1..5)) {
        let node = Node::new();
        node.init();
        let mut taken: Vec<(SnapshotId, Listing)> = Vec::new();
        for (edits, loss) in &rounds {
            edits.iter().for_each(|edit| drop(apply(&node.path("tree"), edit)));
            lose(&node, *loss);
            let listing = Listing::of(&node.path("tree"));
            let id = node.backup();
            assert_same(&listing, &fetch(&node, id, vec![Origin::Local]));
            taken.push((id, listing));
        }
        for (id, listing) in &taken {
            assert_same(listing, &fetch(&node, *id, vec![Origin::Repository]));
        }
        // Back to the first, forward to the last, and undone once.
        let (first, last) = (&taken[0], &taken[taken.len() - 1]);
        for (id, listing) in [first, last] {
            restore(&node, *id);
            assert_same(listing, &Listing::of(&node.path("tree")));
        }
        let plan = restore::plan_undo(&node.context(), &tree()).unwrap();
        restore::undo(&node.context(), &plan, None).unwrap();
        assert_same(&first.1, &Listing::of(&node.path("tree")));
    }
}
