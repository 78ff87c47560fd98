//! What is not ours, and what the tables take.

use super::*;
use crate::source::cassandra::live_size::{LiveSize, live_size};

fn snapshot(node: &Node, tag: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = node.live(0, "ks/users").join("snapshots").join(tag);
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

#[test]
fn snapshots_of_others_are_told_by_kind_and_by_what_only_they_hold() {
    let node = Node::simple();
    let medusa = snapshot(&node, "medusa-1", &[("nb-0-big-Data.db", "12345")]);
    fs::hard_link(node.live(0, "ks/users").join("nb-1-big-Data.db"), medusa.join("nb-1-big-Data.db")).unwrap();
    fs::create_dir(medusa.join(".by_name")).unwrap();
    fs::write(medusa.join(".by_name/nb-0-big-Data.db"), "67").unwrap();
    snapshot(&node, "truncated-1700000000000-users", &[("nb-0-big-Data.db", "123")]);
    snapshot(&node, "20251123T000000123Z", &[("nb-0-big-Data.db", "1")]);
    snapshot(&node, "repair-a", &[("ephemeral.snapshot", "")]);
    snapshot(&node, "repair-b", &[("manifest.json", "{\"files\":[],\"ephemeral\":true}")]);
    snapshot(&node, "broken", &[("manifest.json", "{")]);
    // Of a table that is gone.
    fs::create_dir_all(node.path(&format!("data0/ks/gone-{}/snapshots/dropped-1700000000000-gone", "8".repeat(32)))).unwrap();
    // As ScyllaDB names one before TRUNCATE, and as a person may.
    snapshot(&node, "1550133010687-users", &[("me-1-big-Data.db", "1234567")]);
    snapshot(&node, "1550133010687-other", &[("me-1-big-Data.db", "12345678")]);
    let foreign = node.take().unwrap().foreign;
    assert_eq!((foreign.others.folders, foreign.others.bytes), (4, 5 + 2 + 1 + 1 + 8));
    assert_eq!((foreign.auto.folders, foreign.auto.bytes), (3, 3 + 7));
    assert_eq!((foreign.ephemeral.folders, foreign.ephemeral.bytes), (2, 29));
    assert!(foreign.auto.example.is_some_and(|example| example.contains("-17000000") || example == "1550133010687-users"));
    node.clear().unwrap();
    assert_eq!(names(&node.live(0, "ks/users").join("snapshots")).len(), 8, "only ours was cleared");
}

#[test]
fn what_cannot_be_looked_at_is_told_and_keeps_no_snapshot_from_being_taken() {
    let node = Node::simple();
    snapshot(&node, "medusa-1", &[("nb-0-big-Data.db", "12345")]);
    // Also for root, whom no mode keeps out.
    let gone = node.path(&format!("data0/ks/gone-{}", "8".repeat(32)));
    fs::create_dir(&gone).unwrap();
    fs::write(gone.join("snapshots"), "").unwrap();
    let foreign = node.take().unwrap().foreign;
    assert_eq!((foreign.others.folders, foreign.others.bytes, foreign.unseen.folders), (1, 5, 1));
    let (path, why) = foreign.unseen.example.unwrap();
    assert!(path == gone.join("snapshots").display().to_string() && why.contains("Not a directory"), "{path}: {why}");
}

#[test]
fn what_the_tables_take_is_counted_without_snapshots_and_backups() {
    let node = varied();
    snapshot_of_everything(&node);
    let config = NodeConfig::read(&node.settings.config_file).unwrap();
    let size = live_size(&config, &node.schema, &node.path("copy"), None, &Stop::new()).unwrap();
    assert_eq!((size.files, size.unlinkable_bytes, size.unlinkable), (7 + 9 + 9 + 8 + 9, 0, None));
    assert_eq!(names(&node.path("copy")).len(), 0, "nothing is left of the trial");
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let other = live_size(&config, &node.schema, elsewhere.path(), None, &Stop::new()).unwrap();
    assert_eq!(other, LiveSize { unlinkable_bytes: size.bytes, unlinkable: Some(node.path("data0")), ..size });
}

fn snapshot_of_everything(node: &Node) {
    let backups = node.live(0, "ks/users").join("backups");
    fs::create_dir(&backups).unwrap();
    fs::write(backups.join("nb-1-big-Data.db"), "123").unwrap();
    node.take().unwrap();
    fs::remove_dir_all(node.path("copy")).unwrap();
    fs::create_dir(node.path("copy")).unwrap();
}

#[test]
fn a_directory_that_is_named_twice_counts_once_and_a_table_may_be_moved_behind_a_link() {
    let node = Node::simple();
    let live = node.live(0, "ks/users");
    fs::rename(&live, node.path("moved")).unwrap();
    std::os::unix::fs::symlink(node.path("moved"), &live).unwrap();
    let data = node.path("data0").display().to_string();
    let yaml = format!("partitioner: Murmur3Partitioner\ndata_file_directories: [{data}, {data}/]\n");
    fs::write(&node.settings.config_file, yaml).unwrap();
    let script = fs::read_to_string(node.path("nodetool")).unwrap();
    let below = node.made(0, "ks/users");
    let linked = script
        .replace("snapshot) ", &format!("snapshot) cp -al {} {}/snapshots && exit 0; ", below.parent().unwrap().display(), live.display()));
    fs::write(node.path("nodetool"), linked).unwrap();
    assert_eq!(node.take().unwrap().tables[0].sstables, 1);
}
