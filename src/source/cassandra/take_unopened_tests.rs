//! SSTables on the disk that are not in the snapshot: told when the node has passed over them, and nothing said of those on their way.

use std::time::Duration;

use super::*;

impl Node {
    /// A node whose table has an SSTable more than its snapshot will, written an hour ago; its file with rows.
    fn with_unopened(index: &str) -> (Self, PathBuf) {
        let node = Self::simple();
        let folder = node.live(0, "ks/users").join(index);
        fs::create_dir_all(&folder).unwrap();
        let data = folder.join("nb-7-big-Data.db");
        fs::write(&data, "rows").unwrap();
        let file = fs::File::options().write(true).open(&data).unwrap();
        file.set_modified(file.metadata().unwrap().modified().unwrap() - Duration::from_secs(3600)).unwrap();
        (node, data)
    }

    /// Writes the log of a transaction that names the SSTable.
    fn log(&self, line: &str) -> PathBuf {
        let path = self.live(0, "ks/users").join("nb_txn_compaction_9e3f5cd0-e984-11f0-a7f6-5d5e5ba3d8b6.log");
        fs::write(&path, format!("{line}\n")).unwrap();
        path
    }

    /// Has something done when the snapshot is there.
    fn then(&self, act: &str) {
        let script = fs::read_to_string(self.path("nodetool")).unwrap();
        fs::write(self.path("nodetool"), format!("{script}[ $command = snapshot ] && {act}\nexit 0\n")).unwrap();
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.take().unwrap().problems.iter().map(|problem| problem.kind).collect()
    }
}

#[test]
fn an_sstable_that_the_node_has_passed_over_is_told_by_its_name_once_for_a_table() {
    let (node, data) = Node::with_unopened("");
    let more = data.with_file_name("nb-8-big-Data.db");
    fs::copy(&data, &more).unwrap();
    let times = fs::metadata(&data).unwrap().modified().unwrap();
    fs::File::options().write(true).open(&more).unwrap().set_modified(times).unwrap();
    let taken = node.take().unwrap();
    assert_eq!((taken.problems.len(), taken.problems[0].kind), (1, Problem::NOT_OPEN), "{:?}", taken.problems);
    assert!(taken.problems[0].path.to_escaped().ends_with("/nb-7-big-Data.db"), "{:?}", taken.problems);
    let detail = &taken.problems[0].detail;
    assert!(detail.contains("/data0/ks/users-") && detail.ends_with("as are 1 more of this table"), "{detail}");
    assert_eq!(taken.tables[0].sstables, 1, "the copy is kept");
}

#[test]
fn an_sstable_of_an_index_counts_as_long_as_the_index_is_there() {
    let (mut node, _) = Node::with_unopened(".by_name");
    assert_eq!(node.kinds(), [""; 0], "the index was dropped");
    node.clear().unwrap();
    fs::remove_dir_all(node.path("copy")).unwrap();
    fs::create_dir(node.path("copy")).unwrap();
    node.schema.keyspaces[0].tables[0].indexes.push("by_name".into());
    let taken = node.take().unwrap();
    assert!(taken.problems[0].path.to_escaped().ends_with("/.by_name/nb-7-big-Data.db"), "{:?}", taken.problems);
}

#[test]
fn what_a_transaction_makes_or_has_given_up_is_on_its_way() {
    for record in ["ADD", "REMOVE"] {
        let (node, data) = Node::with_unopened("");
        let stem = data.to_str().unwrap().strip_suffix("Data.db").unwrap().to_owned();
        node.log(&format!("{record}:[{stem},1700000000000,8][2493503833]"));
        assert_eq!(node.kinds(), [""; 0], "{record}");
    }
    // The folder of the node may have another name where the node runs, as in a container; and the last line may be cut.
    let (node, _) = Node::with_unopened(".by_name");
    let mut schema = node.schema.clone();
    schema.keyspaces[0].tables[0].indexes.push("by_name".into());
    let node = Node { schema, ..node };
    node.log("ADD:[/elsewhere/ks/users/.by_name/nb-7-big");
    assert_eq!(node.kinds(), [""; 0]);
}

#[test]
fn a_transaction_that_comes_to_its_end_while_the_snapshot_is_taken_raises_no_alarm() {
    // What it has made is there from now on, and was not yet open when the snapshot came.
    let (node, data) = Node::with_unopened("");
    let log = node.log(&format!("ADD:[{},0,8][1]", data.to_str().unwrap().strip_suffix("Data.db").unwrap()));
    node.then(&format!("rm {}", log.display()));
    assert_eq!(node.kinds(), [""; 0]);
    // What it has given up is removed a moment later.
    let (node, data) = Node::with_unopened("");
    node.then(&format!("(sleep 1; rm {}) >/dev/null 2>&1 &", data.display()));
    assert_eq!(node.kinds(), [""; 0]);
}

#[test]
fn what_is_young_or_empty_or_has_another_name_is_no_sstable_that_was_passed_over() {
    let node = Node::simple();
    fs::write(node.live(0, "ks/users").join("nb-7-big-Data.db"), "streamed in a moment ago").unwrap();
    assert_eq!(node.kinds(), [""; 0]);
    let (node, data) = Node::with_unopened("");
    let file = fs::File::options().write(true).open(&data).unwrap();
    let then = file.metadata().unwrap().modified().unwrap();
    file.set_len(0).unwrap();
    file.set_modified(then).unwrap();
    assert_eq!(node.kinds(), [""; 0]);
    for name in ["nb-7-big-Data.db.tmp", "tmp-nb-7-big-Data.db", "backup-of-Data.db"] {
        let (node, data) = Node::with_unopened("");
        fs::rename(&data, data.with_file_name(name)).unwrap();
        assert_eq!(node.kinds(), [""; 0], "{name}");
    }
}
