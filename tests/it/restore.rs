//! Restoring: the source holds the snapshot again, and one command puts back what was there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use windlass::format::snapshot_id::SnapshotId;
use windlass::ops::origin::Origin;
use windlass::ops::restore::{self, Options, Outcome};
use windlass::ops::spec::SourceKind;
use windlass::ops::{self, Error};
use windlass::source::sqlite;

use crate::support::node::{Node, tree};

fn restore(node: &Node, id: SnapshotId, options: &Options) -> Result<Outcome, Error> {
    node.clock.advance(Duration::from_secs(1));
    let plan = restore::plan(&node.context(), &format!("tree/{id}").parse().unwrap(), options)?;
    restore::run(&node.context(), &plan, None)
}

fn undo(node: &Node) -> Outcome {
    let plan = restore::plan_undo(&node.context(), &tree()).unwrap();
    restore::undo(&node.context(), &plan, None).unwrap()
}

/// Names and contents below a folder, hidden files included.
fn contents(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                all.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// A node whose tree has changed since its one snapshot.
fn changed() -> (Node, SnapshotId) {
    let node = Node::new();
    node.write("a", "old");
    node.write("b/c", "same");
    let id = node.init().backup();
    node.write("a", "new");
    node.write("stranger", "written since");
    (node, id)
}

const OLD: &[(&str, &str)] = &[("a", "old"), ("b/c", "same")];
const NEW: &[(&str, &str)] = &[("a", "new"), ("b/c", "same"), ("stranger", "written since")];

#[test]
fn a_restore_brings_the_snapshot_back_and_undo_the_state_before_and_redo_again() {
    let (node, id) = changed();
    let outcome = restore(&node, id, &Options::default()).unwrap();
    assert_eq!(contents(&node.path("tree")), pairs(OLD));
    assert_eq!((outcome.id, outcome.files, outcome.downloaded_bytes), (Some(id), 2, 0));
    assert_eq!(contents(Path::new(&outcome.aside.unwrap())), pairs(NEW));
    assert_eq!(undo(&node).id, None);
    assert_eq!(contents(&node.path("tree")), pairs(NEW));
    assert_eq!(undo(&node).id, Some(id));
    assert_eq!(contents(&node.path("tree")), pairs(OLD));
}

#[test]
fn a_restore_into_nothing_says_that_its_undo_leaves_nothing() {
    let (node, id) = changed();
    fs::remove_dir_all(node.path("tree")).unwrap();
    restore(&node, id, &Options::default()).unwrap();
    let plan = restore::plan_undo(&node.context(), &tree()).unwrap();
    assert_eq!(plan.aside, None);
    // Nothing was set aside, so the next plan has nothing to lose either.
    let again = restore::plan(&node.context(), &format!("tree/{id}").parse().unwrap(), &Options::default()).unwrap();
    assert!(again.warnings.is_empty(), "{again:?}");
    undo(&node);
    assert!(!node.path("tree").exists());
    undo(&node);
    assert_eq!(contents(&node.path("tree")), pairs(OLD));
}

#[test]
fn a_restore_from_the_repository_alone_brings_the_same() {
    let (node, id) = changed();
    fs::remove_dir_all(node.path("local/tree")).unwrap();
    fs::remove_dir_all(node.path("tree")).unwrap();
    let outcome = restore(&node, id, &Options::default()).unwrap();
    assert!(outcome.downloaded_bytes > 0 && outcome.aside.is_none());
    assert_eq!(contents(&node.path("tree")), pairs(OLD));
    undo(&node);
    assert!(!node.path("tree").exists(), "there was nothing before");
}

#[test]
fn a_damaged_local_copy_is_passed_over_for_the_repository() {
    let (node, id) = changed();
    fs::write(node.path("local/tree").join(id.to_string()).join("data/a"), "rot").unwrap();
    restore(&node, id, &Options::default()).unwrap();
    assert_eq!(contents(&node.path("tree")), pairs(OLD));
}

#[test]
fn damage_everywhere_leaves_the_source_untouched() {
    let (node, id) = changed();
    fs::write(node.path("local/tree").join(id.to_string()).join("data/a"), "rot").unwrap();
    let options = Options { from: vec![Origin::Local], ..Default::default() };
    let error = restore(&node, id, &options).unwrap_err();
    assert!(error.is_damage(), "{error}");
    assert_eq!(contents(&node.path("tree")), pairs(NEW));
    let beside: Vec<_> = fs::read_dir(node.temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!beside.iter().any(|name| name.to_string_lossy().contains("windlass-")), "{beside:?}");
}

#[test]
fn excluded_paths_survive_a_restore_and_its_undo() {
    let mut node = Node::new();
    node.exclude = vec!["*.tmp".into()];
    node.write("a", "old");
    node.write("live.tmp", "1");
    let id = node.init().backup();
    node.write("a", "new");
    node.write("live.tmp", "2");
    restore(&node, id, &Options::default()).unwrap();
    assert_eq!(contents(&node.path("tree")), pairs(&[("a", "old"), ("live.tmp", "2")]));
    undo(&node);
    assert_eq!(contents(&node.path("tree")), pairs(&[("a", "new"), ("live.tmp", "2")]));
}

#[test]
fn one_undo_is_kept_until_the_next_successful_restore() {
    let (node, first) = changed();
    let second = node.backup();
    let aside = restore(&node, first, &Options::default()).unwrap().aside.unwrap();
    fs::write(node.path("local/tree").join(second.to_string()).join("data/a"), "rot").unwrap();
    let broken = Options { from: vec![Origin::Local], ..Default::default() };
    restore(&node, second, &broken).unwrap_err();
    assert_eq!(contents(Path::new(&aside)), pairs(NEW), "a restore that failed costs no undo");
    restore(&node, second, &Options::default()).unwrap();
    assert_eq!(contents(Path::new(&aside)), pairs(OLD));
    undo(&node);
    assert_eq!(contents(&node.path("tree")), pairs(OLD));
}

#[test]
fn after_a_month_without_a_snapshot_a_restore_takes_the_place_of_the_one_before() {
    let (node, id) = changed();
    let aside = restore(&node, id, &Options::default()).unwrap().aside.unwrap();
    node.clock.advance(Duration::from_secs(30 * 86_400));
    restore(&node, id, &Options::default()).unwrap();
    assert!(Path::new(&aside).exists(), "it holds what the one before had brought");
}

#[test]
fn an_undo_is_shown_by_list_and_goes_after_its_time() {
    let (node, id) = changed();
    let aside = restore(&node, id, &Options::default()).unwrap().aside.unwrap();
    let view = ops::snapshots::View::read(&node.context(), None, None).unwrap();
    assert_eq!((view.undo.len(), view.rows.len()), (1, 1), "it is not counted as a copy");
    for _ in 0..6 {
        node.clock.advance(Duration::from_secs(86_400));
        node.backup();
        assert!(Path::new(&aside).exists());
    }
    node.clock.advance(Duration::from_secs(36 * 3600));
    node.backup();
    assert!(!Path::new(&aside).exists());
    assert!(matches!(restore::plan_undo(&node.context(), &tree()), Err(Error::Absent(_))));
}

#[test]
fn what_an_undo_sets_aside_is_kept_as_long_as_what_a_restore_does() {
    let (node, id) = changed();
    let aside = restore(&node, id, &Options::default()).unwrap().aside.unwrap();
    node.clock.advance(Duration::from_secs(6 * 86_400));
    undo(&node);
    node.clock.advance(Duration::from_secs(2 * 86_400));
    node.backup();
    assert!(Path::new(&aside).exists(), "it is two days old");
    for _ in 0..6 {
        node.clock.advance(Duration::from_secs(86_400));
        node.backup();
    }
    assert!(!Path::new(&aside).exists());
}

#[test]
fn an_undo_outlives_a_clock_that_is_wrong_once_and_goes_when_it_says_the_same_hours_later() {
    const HOUR: u64 = 3600;
    let (node, id) = changed();
    let aside = restore(&node, id, &Options::default()).unwrap().aside.unwrap();
    let snapshot = |hours: u64| {
        node.clock.advance(Duration::from_secs(hours * HOUR));
        node.backup();
        Path::new(&aside).exists()
    };
    // Nothing was done for weeks, or so the clock says.
    assert!(snapshot(30 * 24), "it is said for the first time");
    assert!(snapshot(5), "a snapshot of that same clock does not speak for it");
    assert!(!snapshot(1));
}

#[test]
fn a_restore_and_an_undo_are_refused_when_another_has_come_between_plan_and_run() {
    let (node, first) = changed();
    let second = node.backup();
    node.clock.advance(Duration::from_secs(1));
    let plan = restore::plan(&node.context(), &format!("tree/{first}").parse().unwrap(), &Options::default()).unwrap();
    let aside = restore(&node, second, &Options::default()).unwrap().aside.unwrap();
    let refused = restore::run(&node.context(), &plan, None).unwrap_err();
    assert!(matches!(&refused, Error::Refused(why) if why.contains("plan again")), "{refused}");
    assert_eq!(contents(Path::new(&aside)), pairs(NEW), "nobody has said that this undo may go");
    let plan = restore::plan_undo(&node.context(), &tree()).unwrap();
    restore(&node, first, &Options::default()).unwrap();
    let refused = restore::undo(&node.context(), &plan, None).unwrap_err();
    assert!(matches!(&refused, Error::Refused(why) if why.contains("plan again")), "{refused}");
    assert_eq!(contents(&node.path("tree")), pairs(OLD));
}

#[test]
fn a_snapshot_taken_after_a_restore_does_not_hold_what_was_set_aside() {
    let (node, id) = changed();
    restore(&node, id, &Options::default()).unwrap();
    let next = node.backup();
    assert_eq!(contents(&node.fetch(next).unwrap()), pairs(OLD));
}

#[test]
fn a_restore_of_another_nodes_snapshot_says_so_and_works() {
    let (node, id) = changed();
    let mut other = Node::over(node.repository.clone(), node.clock.clone(), node.stop.clone());
    other.name = "node-2".into();
    other.write("a", "other");
    other.init();
    let options = Options { node: Some("node-1".parse().unwrap()), ..Default::default() };
    restore(&other, id, &options).unwrap();
    assert_eq!(contents(&other.path("tree")), pairs(OLD));
}

#[test]
fn what_has_come_into_being_since_the_plan_is_not_taken_for_the_restore() {
    let (node, id) = changed();
    fs::remove_dir_all(node.path("tree")).unwrap();
    let plan = restore::plan(&node.context(), &format!("tree/{id}").parse().unwrap(), &Options::default()).unwrap();
    // Somebody is faster, while files are being fetched.
    let tree_path = node.path("tree");
    let ctx = node.context_that_tells(move |event| {
        if matches!(event, ops::event::Event::Phase { phase: "placing", .. }) {
            fs::create_dir(&tree_path).unwrap();
            fs::write(tree_path.join("mine"), "not to be touched").unwrap();
        }
    });
    restore::run(&ctx, &plan, None).unwrap_err();
    assert_eq!(contents(&node.path("tree")), pairs(&[("mine", "not to be touched")]));
    assert!(matches!(restore::plan_undo(&node.context(), &tree()), Err(Error::Absent(_))));
    node.backup();
    assert_eq!(contents(&node.path("tree")), pairs(&[("mine", "not to be touched")]));
}

#[test]
fn local_copies_inside_the_source_stay_where_they_are() {
    let mut node = Node::new();
    let root = node.temp.path().to_owned();
    node.sources[0].kind = SourceKind::Directory { path: root, exclude: Vec::new(), cross_filesystems: false };
    node.write("a", "old");
    let id = node.init().backup();
    node.write("a", "new");
    restore(&node, id, &Options::default()).unwrap();
    assert_eq!(contents(&node.path("tree")), pairs(&[("a", "old")]));
    assert_eq!(node.copies(), [id], "the copies are where the configuration says");
    undo(&node);
    assert_eq!(contents(&node.path("tree")), pairs(&[("a", "new")]));
    assert_eq!(node.copies(), [id]);
}

#[test]
fn a_database_whose_name_is_escaped_in_text_comes_back() {
    let mut node = Node::new();
    let path = node.path("a%b.db");
    node.sources[0].kind = SourceKind::Sqlite { path: path.clone() };
    let run = |statements: &str| sqlite::script(&path, statements.into(), &node.stop).unwrap();
    run("CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('old');");
    let id = node.init().backup();
    run("UPDATE t SET a = 'new'");
    restore(&node, id, &Options::default()).unwrap();
    assert_eq!(sqlite::rows(&path, "SELECT a FROM t", &node.stop).unwrap(), ["old"]);
}

#[test]
fn a_dry_run_of_a_snapshot_lets_an_old_undo_be() {
    let (node, id) = changed();
    let aside = restore(&node, id, &Options::default()).unwrap().aside.unwrap();
    node.clock.advance(Duration::from_secs(8 * 86_400));
    ops::snapshot::run(&node.context(), &tree(), &ops::snapshot::Options { dry_run: true, ..Default::default() }).unwrap();
    assert!(Path::new(&aside).exists());
}

#[test]
fn an_undo_may_be_kept_for_longer_than_time_goes() {
    let (mut node, id) = changed();
    node.undo_for = Duration::MAX;
    let aside = restore(&node, id, &Options::default()).unwrap().aside.unwrap();
    node.backup();
    assert!(Path::new(&aside).exists());
}

#[test]
fn what_lies_aside_and_is_not_remembered_is_never_removed() {
    let (node, id) = changed();
    let aside = restore(&node, id, &Options::default()).unwrap().aside.unwrap();
    // The state is lost, as after a change of `local.dir`.
    fs::remove_dir_all(node.path("local/.windlass/restore")).unwrap();
    let error = restore(&node, id, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("does not remember"), "{error}");
    assert_eq!(contents(Path::new(&aside)), pairs(NEW));
    assert_eq!(contents(&node.path("tree")), pairs(OLD));
}
