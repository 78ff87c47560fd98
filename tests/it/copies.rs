//! Four local copies: the promises, and the defects of the scripts that Windlass replaces, each turned into a fact.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::{self, Error};
use windlass::sys::lock::Lock;

use crate::support::node::{Disk, Node, tree};

fn snapshot(node: &Node) -> Result<ops::snapshot::Outcome, Error> {
    node.clock.advance(Duration::from_secs(60));
    ops::snapshot::run(&node.context(), &tree(), &ops::snapshot::Options::default())
}

fn id(text: &str) -> SnapshotId {
    text.parse().unwrap()
}

#[test]
fn after_each_snapshot_the_four_newest_copies_remain() {
    let node = Node::new();
    node.write("a", b"1");
    let ids: Vec<SnapshotId> = (0..6).map(|_| node.snapshot()).collect();
    assert_eq!(node.copies(), ids[2..]);
}

/// Defect 1: pruning before the new backup is known good, so that four failed nights delete every good one.
#[test]
fn failed_snapshots_never_cost_a_good_copy() {
    let node = Node::new();
    node.write("a", b"1");
    let ids: Vec<SnapshotId> = (0..4).map(|_| node.snapshot()).collect();
    fs::rename(node.path("tree"), node.path("elsewhere")).unwrap();
    for _ in 0..5 {
        assert!(snapshot(&node).is_err());
    }
    assert_eq!(node.copies(), ids);
    let left: Vec<_> = fs::read_dir(node.path("local/tree")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "nothing half done stays: {left:?}");
}

/// Defect 2: order by directory mtime, so that touching an old copy makes it the newest.
#[test]
fn touching_an_old_copy_does_not_make_it_newer() {
    let node = Node::new();
    node.write("a", b"1");
    let ids: Vec<SnapshotId> = (0..4).map(|_| node.snapshot()).collect();
    let oldest = fs::File::open(node.path("local/tree").join(ids[0].to_string())).unwrap();
    oldest.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(4_000_000_000)).unwrap();
    let new = node.snapshot();
    assert_eq!(node.copies(), [ids[1], ids[2], ids[3], new]);
}

/// Defect 3: any foreign file counts as a copy and may be removed; odd names break the loop.
#[test]
fn foreign_files_are_never_counted_and_never_touched() {
    let node = Node::new();
    node.write("a", b"1");
    node.snapshot();
    let folder = node.path("local/tree");
    let foreign = ["notes", "*", "a b", "20261123", "20261123T000000123Z.tar", "$(rm -rf x)"];
    for name in foreign {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("kept"), b"x").unwrap();
    }
    // Something with the name of a copy that is not one.
    fs::create_dir(folder.join("20260101T000000000Z")).unwrap();
    let ids: Vec<SnapshotId> = (0..5).map(|_| node.snapshot()).collect();
    assert_eq!(node.copies(), ids[1..]);
    for name in foreign {
        assert!(folder.join(name).join("kept").exists(), "{name}");
    }
    assert!(folder.join("20260101T000000000Z").exists());
    let view = ops::snapshots::View::read(&node.context(), None, None).unwrap();
    assert_eq!(view.strange.len(), foreign.len() + 1, "{:?}", view.strange);
}

/// Defect 4: sixty runs in one night leave four copies of one night. The newest sound copy stays among newer ones with problems.
#[test]
fn four_copies_with_problems_do_not_push_out_the_newest_sound_one() {
    let node = Node::new();
    node.write("a", b"1");
    let sound = node.snapshot();
    rustix_mknod(&node.path("tree/device"));
    let ids: Vec<SnapshotId> = (0..6)
        .map(|_| {
            let outcome = snapshot(&node).unwrap();
            assert_eq!(outcome.problems.len(), 1);
            outcome.id.unwrap()
        })
        .collect();
    assert_eq!(node.copies(), [sound, ids[3], ids[4], ids[5]]);
}

/// Defect 5: names that resolve to a second, so that two runs in one second share a folder and overwrite silently.
#[test]
fn two_snapshots_in_one_instant_are_two_copies() {
    let node = Node::new();
    node.write("a", b"1");
    let run = || ops::snapshot::run(&node.context(), &tree(), &ops::snapshot::Options::default()).unwrap().id.unwrap();
    let (first, second) = (run(), run());
    assert_eq!(second, first.next());
    assert_eq!(node.copies(), [first, second]);
}

/// Defect 6: no lock, so that a manual run and the nightly one interleave.
#[test]
fn a_second_run_on_a_source_is_told_who_holds_it() {
    let node = Node::new();
    node.write("a", b"1");
    let ctx = node.context();
    let held = ops::locks::source(&ctx, &tree(), ops::locks::Task::Snapshot, None).unwrap();
    match snapshot(&node) {
        Err(Error::System(windlass::sys::Error::Locked { holder, .. })) => assert!(holder.contains("snapshot tree"), "{holder}"),
        other => panic!("{other:?}"),
    }
    drop(held);
    snapshot(&node).unwrap();
}

/// Defect 7: a truncated or empty dump still looks like a backup.
#[test]
fn a_copy_without_its_record_or_with_a_damaged_one_does_not_count() {
    let node = Node::new();
    node.write("a", b"1");
    let ids: Vec<SnapshotId> = (0..4).map(|_| node.snapshot()).collect();
    let copy = |id: SnapshotId| node.path("local/tree").join(id.to_string());
    fs::remove_file(copy(ids[3]).join("snapshot.json")).unwrap();
    fs::write(copy(ids[2]).join("snapshot.json"), b"{").unwrap();
    assert_eq!(node.copies(), ids[..2]);
    let new = node.snapshot();
    assert_eq!(node.copies(), [ids[0], ids[1], new], "and nothing was removed for it");
}

/// Defect 15: nothing leaves the node, and nothing says so.
#[test]
fn a_copy_that_was_not_shipped_is_seen_in_status() {
    let node = Node::new();
    node.write("a", b"1");
    node.init().snapshot();
    let status = ops::status::run(&node.context()).unwrap();
    assert!(!status.healthy && status.sources[0].late && status.sources[0].unshipped == Some(1), "{status:?}");
    node.backup();
    let status = ops::status::run(&node.context()).unwrap();
    assert!(status.healthy && status.sources[0].unshipped == Some(0), "{status:?}");
    node.clock.advance(Duration::from_secs(27 * 3600));
    assert!(ops::status::run(&node.context()).unwrap().sources[0].late);
}

#[test]
fn a_clock_that_jumps_back_does_not_make_new_copies_old() {
    let node = Node::new();
    node.write("a", b"1");
    let first = node.snapshot();
    node.set_clock("2026-11-22T12:00:00Z");
    let second = node.snapshot();
    assert_eq!(second, first.next());
    node.set_clock("2026-11-24T00:00:00Z");
    assert_eq!(node.snapshot(), id("20261124T000100000Z"));
}

#[test]
fn an_id_from_the_future_is_no_floor_and_not_latest_and_stays() {
    let node = Node::new();
    node.write("a", b"1");
    node.init();
    node.set_clock("2036-01-01T00:00:00Z");
    let future = node.snapshot();
    node.set_clock("2026-11-23T02:00:00Z");
    let ids: Vec<SnapshotId> = (0..5).map(|_| node.backup()).collect();
    assert!(ids[0] < id("20261123T030000000Z"));
    assert_eq!(node.copies(), ids[1..], "the one from the future does not count");
    assert!(node.path("local/tree").join(future.to_string()).exists());
    let latest = ops::snapshots::Found::look_up(&node.context(), None, &"tree/latest".parse().unwrap()).unwrap();
    assert_eq!(latest.id, ids[4]);
    let status = ops::status::run(&node.context()).unwrap();
    assert!(status.sources[0].wrong.iter().any(|wrong| wrong.contains("from the future")), "{status:?}");
    let plan = ops::forget::plan(&node.context(), &format!("tree/{future}").parse().unwrap(), &ops::forget::Options::default()).unwrap();
    ops::forget::run(&node.context(), &plan, None).unwrap();
    assert!(!node.path("local/tree").join(future.to_string()).exists());
}

#[test]
fn local_copies_inside_a_source_are_not_part_of_it() {
    let mut node = Node::new();
    let root = node.temp.path().to_owned();
    node.sources[0].kind = windlass::ops::spec::SourceKind::Directory { path: root, exclude: Vec::new(), cross_filesystems: false };
    node.write("a", b"1");
    let first = snapshot(&node).unwrap();
    assert_eq!(snapshot(&node).unwrap().files, first.files);
}

/// A node with an old file, which copies share.
fn with_an_old_file() -> Node {
    let node = Node::new();
    node.write("a", vec![7; 3000]);
    let old = fs::File::open(node.path("tree/a")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    node.clock.set(jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap());
    node.init();
    node
}

#[test]
fn damage_that_a_fetch_has_met_does_not_spread_to_the_next_copy() {
    let node = with_an_old_file();
    let first = node.backup();
    let data = |id: SnapshotId| node.path("local/tree").join(id.to_string()).join("data/a");
    let mut bytes = fs::read(data(first)).unwrap();
    bytes[9] ^= 1;
    fs::write(data(first), &bytes).unwrap();
    let to = node.path("fetched");
    let options = ops::fetch::Options { to: to.clone(), ..Default::default() };
    let fetched = ops::fetch::run(&node.context(), &format!("tree/{first}").parse().unwrap(), &options).unwrap();
    assert_eq!((fetched.damage.len(), fetched.lost_files), (1, 0));
    assert_eq!(fs::read(to.join("a")).unwrap(), vec![7; 3000]);
    let status = ops::status::run(&node.context()).unwrap();
    assert!(status.sources[0].wrong.iter().any(|wrong| wrong.contains("damaged")), "{status:?}");
    assert_eq!(fs::read(data(node.backup())).unwrap(), vec![7; 3000], "it was read anew");
}

#[test]
fn damage_that_was_found_in_a_copy_does_not_spread_to_the_next_one() {
    let node = with_an_old_file();
    let (first, second) = (node.backup(), node.backup());
    let data = |id: SnapshotId| node.path("local/tree").join(id.to_string()).join("data/a");
    let mut bytes = fs::read(data(first)).unwrap();
    bytes[9] ^= 1;
    // Both copies share the file, and only one is looked at.
    fs::write(data(first), &bytes).unwrap();
    let options = ops::verify::Options {
        level: windlass::format::check::Level::Full,
        snapshots: vec![format!("tree/{first}").parse().unwrap()],
        node: None,
    };
    assert_eq!(ops::verify::run(&node.context(), &options).unwrap().damage.len(), 1);
    let status = ops::status::run(&node.context()).unwrap();
    assert!(status.sources[0].wrong.iter().any(|wrong| wrong.contains("damaged")), "{status:?}");
    let third = node.backup();
    assert_eq!(fs::read(data(third)).unwrap(), vec![7; 3000], "it was read anew");
    assert_ne!(fs::read(data(second)).unwrap(), vec![7; 3000]);
    assert_eq!(snapshot(&node).unwrap().read_bytes, 0, "and is shared again from then on");
}

#[test]
fn a_disk_that_is_not_mounted_never_pushes_out_the_last_copy_with_files() {
    let node = Node::new();
    node.write("a", b"1");
    let full = node.snapshot();
    fs::remove_file(node.path("tree/a")).unwrap();
    for _ in 0..6 {
        let outcome = snapshot(&node).unwrap();
        assert_eq!(outcome.problems[0].kind, "emptied");
    }
    assert_eq!((node.copies().len(), node.copies()[0]), (4, full));
}

#[test]
fn a_rebuilt_node_whose_clock_is_behind_takes_no_id_below_those_it_has_shipped() {
    let node = Node::new();
    node.write("a", b"1");
    let shipped = node.init().backup();
    fs::remove_dir_all(node.path("local")).unwrap();
    node.set_clock("2026-11-22T23:00:00Z");
    ops::init::run(&node.context(), &ops::init::Options { adopt: true, dry_run: false }).unwrap();
    assert_eq!(node.snapshot(), shipped.next());
}

#[test]
fn a_damaged_copy_takes_no_sound_ones_place() {
    let node = Node::new();
    node.write("a", b"1");
    let ids: Vec<SnapshotId> = (0..4).map(|_| node.snapshot()).collect();
    let copies = ops::copies::Copies::read(&node.context(), &tree()).unwrap();
    copies.find(ids[2]).unwrap().note_damage(&node.context(), "rot").unwrap();
    let new = node.snapshot();
    assert_eq!(node.copies(), [ids[0], ids[1], ids[3], new]);
}

#[test]
fn the_last_copy_whose_bytes_are_sound_is_not_forgotten_unless_that_is_meant() {
    let node = Node::with_folder();
    node.write("a", b"1");
    let id = node.init().backup();
    let pack = node.objects("node-1/packs/").pop().unwrap();
    fs::write(node.path("bucket").join(&pack), b"rot").unwrap();
    let options = ops::verify::Options { level: windlass::format::check::Level::Full, snapshots: Vec::new(), node: None };
    assert_eq!(ops::verify::run(&node.context(), &options).unwrap().damage.len(), 1);
    let name = format!("tree/{id}").parse().unwrap();
    let options = ops::forget::Options { shipped: false, ..Default::default() };
    let refused = ops::forget::plan(&node.context(), &name, &options).unwrap_err();
    assert!(refused.to_string().contains("--even-the-last"), "{refused}");
    let options = ops::forget::Options { even_the_last: true, ..options };
    let plan = ops::forget::plan(&node.context(), &name, &options).unwrap();
    assert!(plan.last_sound && plan.shipped_damage == Some(pack), "{plan:?}");
}

#[test]
fn a_stray_file_among_the_copies_stops_nothing() {
    let node = Node::new();
    node.write("a", b"1");
    node.init().backup();
    fs::write(node.path("local/junk"), b"x").unwrap();
    assert_eq!(ops::snapshots::View::read(&node.context(), None, None).unwrap().rows.len(), 1);
    assert!(ops::status::run(&node.context()).unwrap().healthy);
}

#[test]
fn a_source_that_grows_beyond_the_disk_is_stopped_before_the_disk_is_full() {
    let mut node = Node::new();
    node.write("a", b"1");
    let first = node.snapshot();
    // Far more than was there before, so that the copy begins, and then less than it takes.
    node.space = Arc::new(Disk { folder: node.path("local"), whole: 20 << 20 });
    for n in 0..24 {
        node.write(&format!("b{n}"), vec![n; 1 << 20]);
    }
    let error = snapshot(&node).unwrap_err().to_string();
    assert!(error.contains("must stay free"), "{error}");
    assert_eq!(node.copies(), [first]);
}

#[test]
fn a_repository_whose_disk_is_not_mounted_is_not_made_anew() {
    let mut node = Node::with_folder();
    node.write("a", b"1");
    node.init().backup();
    fs::rename(node.path("bucket"), node.path("unplugged")).unwrap();
    fs::create_dir(node.path("bucket")).unwrap();
    node.repository = node.open(&format!("file://{}", node.path("bucket").display()));
    let error = node.try_backup().unwrap_err().to_string();
    assert!(error.contains("mounted"), "{error}");
    let error = ops::init::run(&node.context(), &ops::init::Options::default()).unwrap_err().to_string();
    assert!(error.contains("mounted"), "{error}");
    assert_eq!(fs::read_dir(node.path("bucket")).unwrap().count(), 0);
}

fn megabyte(node: &Node, n: u8) {
    node.write("a", vec![n; 1 << 20]);
}

#[test]
fn a_disk_that_holds_four_copies_but_not_five_refuses_with_the_numbers() {
    let mut node = Node::new();
    node.space = Arc::new(Disk { folder: node.path("local"), whole: (4 << 20) + (700 << 10) });
    node.init();
    for n in 0..4 {
        megabyte(&node, n);
        node.snapshot();
    }
    megabyte(&node, 4);
    let error = snapshot(&node).unwrap_err().to_string();
    assert!(error.contains("no room") && error.contains("takes up to 1.0 MiB"), "{error}");
    assert_eq!(node.copies().len(), 4);
    // Where not even the spare is free, that is wrong whether or not the failure could be written down.
    let wrong = |node: &Node| ops::status::run(&node.context()).unwrap().wrong.join("\n");
    assert!(!wrong(&node).contains("must stay free"), "{}", wrong(&node));
    node.space = Arc::new(Disk { folder: node.path("local"), whole: 4 << 20 });
    assert!(wrong(&node).contains("0 B are free on the filesystem of") && wrong(&node).contains("must stay free"), "{}", wrong(&node));
}

/// A node with four copies on a disk that does not hold five, and a source that has changed since.
fn on_a_tight_disk() -> (Node, Vec<SnapshotId>) {
    let mut node = Node::new();
    node.space = Arc::new(Disk { folder: node.path("local"), whole: (4 << 20) + (700 << 10) });
    node.tight = true;
    node.init();
    let mut ids = Vec::new();
    for n in 0..4 {
        megabyte(&node, n);
        ids.push(node.snapshot());
    }
    megabyte(&node, 4);
    (node, ids)
}

#[test]
fn a_tight_disk_lets_the_oldest_copy_go_first_once_it_is_shipped() {
    let (node, ids) = on_a_tight_disk();
    let error = snapshot(&node).unwrap_err().to_string();
    assert!(error.contains("not sound in the repository"), "{error}");
    assert_eq!(node.copies(), ids);
    ops::ship::run(&node.context(), &tree(), &ops::ship::Options::default()).unwrap();
    let new = node.snapshot();
    assert_eq!(node.copies(), [ids[1], ids[2], ids[3], new]);
}

#[test]
fn a_dry_run_on_a_tight_disk_says_what_the_run_would_do() {
    let (node, ids) = on_a_tight_disk();
    let dry = |node: &Node| ops::snapshot::run(&node.context(), &tree(), &ops::snapshot::Options { dry_run: true, ..Default::default() });
    let error = dry(&node).unwrap_err().to_string();
    assert!(error.contains("not sound in the repository"), "{error}");
    ops::ship::run(&node.context(), &tree(), &ops::ship::Options::default()).unwrap();
    dry(&node).unwrap();
    node.write("b", vec![5; 1 << 20]);
    for error in [dry(&node).unwrap_err(), snapshot(&node).unwrap_err()] {
        assert!(error.to_string().contains("no room"), "{error}");
    }
    assert_eq!(node.copies(), ids, "the oldest does not go for nothing");
}

#[test]
fn an_unchanged_file_takes_no_room_in_the_next_copy() {
    use std::os::unix::fs::MetadataExt;
    let mut node = Node::new();
    node.write("a", vec![7; 3 << 20]);
    let old = fs::File::open(node.path("tree/a")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    // The change of the inode itself must be two seconds old by the node's clock before it is trusted.
    node.clock.set(jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap());
    node.space = Arc::new(Disk { folder: node.path("local"), whole: 5 << 20 });
    let first = node.snapshot();
    let outcome = snapshot(&node).unwrap();
    assert_eq!(outcome.read_bytes, 0);
    let inode = |id: SnapshotId| fs::metadata(node.path("local/tree").join(id.to_string()).join("data/a")).unwrap().ino();
    assert_eq!(inode(first), inode(outcome.id.unwrap()));
}

#[test]
fn a_copy_that_is_being_read_stays_until_the_reader_is_done() {
    let node = Node::new();
    node.write("a", b"1");
    let first = node.snapshot();
    let ctx = node.context();
    let held = Lock::shared(&ctx.state().unwrap().copy_lock(&tree(), first).unwrap()).unwrap();
    for _ in 0..4 {
        node.snapshot();
    }
    assert_eq!(node.copies().len(), 5);
    drop(held);
    let new = node.snapshot();
    assert_eq!((node.copies().len(), *node.copies().last().unwrap()), (4, new));
}

/// A device: something that a snapshot cannot hold, so that it has a problem. As a user who may not make one, an unreadable file.
pub fn rustix_mknod(path: &std::path::Path) {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    if mknodat(CWD, path, FileType::CharacterDevice, Mode::RUSR, makedev(1, 3)).is_err() {
        use std::os::unix::fs::PermissionsExt;
        fs::write(path, b"x").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
}

#[test]
fn a_copy_that_is_read_from_the_moment_it_is_to_go_stays() {
    let mut node = Node::new();
    node.write("a", b"1");
    let ids: Vec<SnapshotId> = (0..4).map(|_| node.snapshot()).collect();
    node.keep = 2;
    let lock = node.path(format!("local/.windlass/locks/tree@{}.lock", ids[1]));
    let reader = Arc::new(std::sync::Mutex::new(None));
    let ctx = node.context_that_tells({
        let reader = reader.clone();
        move |event| {
            if matches!(event, ops::event::Event::CopyRemoved { .. }) {
                reader.lock().unwrap().get_or_insert_with(|| Lock::shared(&lock).unwrap());
            }
        }
    });
    node.clock.advance(Duration::from_secs(60));
    let outcome = ops::snapshot::run(&ctx, &tree(), &ops::snapshot::Options::default()).unwrap();
    assert_eq!(outcome.removed, [ids[0], ids[2]]);
    assert_eq!(node.copies(), [ids[1], ids[3], outcome.id.unwrap()]);
}
