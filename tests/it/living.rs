//! Sources that live while they are taken: files that change or vanish, mounts, a database that is written to.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use windlass::ops::spec::{SourceKind, SourceSpec};

use crate::support::node::{Node, spec};
use crate::support::program::{Machine, text};
use crate::support::tree::noise;

#[test]
fn a_file_that_changes_all_the_while_is_reported_and_makes_the_exit_code_3() {
    let machine = Machine::initialised();
    machine.write("quiet", b"holds still");
    machine.write("busy", noise(1, 4 << 20));
    let done = AtomicBool::new(false);
    let busy = File::options().write(true).open(machine.path("tree/busy")).unwrap();
    let run = thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0u64.. {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                busy.write_all_at(&n.to_le_bytes(), n * 4096 % (4 << 20)).unwrap();
            }
        });
        let run = machine.run(&["--json", "backup", "tree"]);
        done.store(true, Ordering::Relaxed);
        run
    });
    run.expect(3);
    let problems = serde_json::json!([{"kind": "changed", "count": 1}]);
    assert_eq!(run.document()["snapshots"][0]["problems"], problems);
    assert!(run.events().iter().any(|event| event["event"] == "problem" && event["path"] == "busy"), "{run:#?}");
    assert_eq!(machine.json(&["list"], 0)["snapshots"][0]["problems"], problems);
    machine.run(&["fetch", "tree/latest", "--to", machine.path("to").to_str().unwrap()]).expect(0);
    assert_eq!(fs::read(machine.path("to/quiet")).unwrap(), b"holds still");
    assert_eq!(fs::metadata(machine.path("to/busy")).unwrap().len(), 4 << 20);
    // The next run, with the file at rest, is sound again.
    assert_eq!(machine.json(&["backup", "tree"], 0)["snapshots"][0]["problems"], serde_json::json!([]));
}

#[test]
fn a_file_that_vanishes_before_it_is_read_is_reported_and_makes_the_exit_code_3() {
    let machine = Machine::initialised();
    machine.write("stays", b"1");
    machine.write("vanishing-1", b"2");
    // The system says once that the file is gone when it is to be opened, as if it had been removed after it was listed.
    let inject = ["-P", "vanishing-1", "-e", "trace=openat", "-e", "inject=openat:error=ENOENT"];
    let run = machine.under_strace(&inject, &["--json", "backup", "tree"]);
    run.expect(3);
    assert_eq!(run.document()["snapshots"][0]["problems"], serde_json::json!([{"kind": "vanished", "count": 1}]));
    machine.run(&["fetch", "tree/latest", "--to", machine.path("to").to_str().unwrap()]).expect(0);
    assert!(machine.path("to/stays").exists() && !machine.path("to/vanishing-1").exists());
}

#[test]
fn what_is_mounted_below_a_source_is_part_of_it_only_when_asked() {
    let (above, mounted) = a_mount();
    let probe = tempfile::Builder::new().prefix("windlass-mounted-").tempdir_in(&mounted).unwrap();
    fs::write(probe.path().join("inside"), b"1").unwrap();
    let below = probe.path().strip_prefix(&above).unwrap().to_owned();
    // Everything else there is none of the test's business.
    let others = |folder: &Path, keep: &Path| -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let others = names.filter(|path| !keep.starts_with(path));
        others.map(|path| format!("/{}", globbed(path.strip_prefix(&above).unwrap()))).collect()
    };
    let exclude = [others(&above, probe.path()), others(&mounted, probe.path())].concat();
    for cross_filesystems in [false, true] {
        let mut node = Node::with_folder();
        let kind = SourceKind::Directory { path: above.clone(), exclude: exclude.clone(), cross_filesystems };
        node.exclude.clone_from(&exclude);
        node.sources = vec![SourceSpec { ..spec("tree", kind) }];
        node.init();
        let id = node.try_backup().unwrap();
        let fetched = node.fetch(id).unwrap();
        assert_eq!(fetched.join(&below).join("inside").exists(), cross_filesystems);
        assert!(fetched.join(mounted.strip_prefix(&above).unwrap()).is_dir(), "the place of the mount is part of the source");
    }
}

/// A name as a pattern that matches it alone.
fn globbed(path: &Path) -> String {
    let path = path.to_str().expect("names of devices are text");
    path.chars().map(|c| if "*?[]{}\\!".contains(c) { format!("\\{c}") } else { c.to_string() }).collect()
}

/// A folder with a mount directly in it that the tests may write to. Every Linux has `/dev/shm`; containers have others besides.
fn a_mount() -> (PathBuf, PathBuf) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut points: Vec<&str> = mounts.lines().map(|line| line.split(' ').nth(4).unwrap()).collect();
    points.sort_by_key(|point| *point != "/dev/shm");
    for point in points.into_iter().map(Path::new) {
        let Some(above) = point.parent() else { continue };
        let device = |path: &Path| fs::metadata(path).ok().filter(fs::Metadata::is_dir).map(|found| found.dev());
        let differ = matches!((device(above), device(point)), (Some(a), Some(b)) if a != b);
        if differ && tempfile::tempdir_in(point).is_ok() && fs::read_dir(above).is_ok() {
            return (above.to_owned(), point.to_owned());
        }
    }
    panic!("no mount that the tests may write to, not even /dev/shm: {mounts}");
}

/// Moves amounts between two tables and adds lines, for as long as it is let: the sum of both tables never changes.
const WRITER: &str = r#"
for ((n = 0; ; n++)); do
  echo "BEGIN IMMEDIATE; UPDATE a SET amount = amount - $n; UPDATE b SET amount = amount + $n;
        INSERT INTO log (line) VALUES (hex(randomblob(200))); COMMIT;"
done | sqlite3 -cmd '.timeout 10000' "$1"
"#;

struct Writer(Child);

impl Writer {
    fn start(database: &Path) -> Self {
        let mut command = Command::new("bash");
        command.args(["-c", WRITER, "writer"]).arg(database).stdin(Stdio::null()).stdout(Stdio::null());
        Self(std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn().unwrap())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}

fn ask(database: &Path, question: &str) -> String {
    let answer =
        Command::new("sqlite3").arg("-cmd").arg(".timeout 60000").arg(database).arg(question).output().expect("the tests need sqlite3");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_database_that_is_written_to_all_the_while_comes_back_whole_and_of_one_instant() {
    for journal_mode in ["wal", "delete"] {
        let machine = Machine::new();
        let database = machine.path("billing.db");
        let machine = machine.configured(&format!("[sqlite.billing]\npath = \"{}\"\n", database.display()));
        ask(
            &database,
            &format!(
                "PRAGMA journal_mode = {journal_mode}; CREATE TABLE a (amount); CREATE TABLE b (amount);
                 CREATE TABLE log (id INTEGER PRIMARY KEY, line); INSERT INTO a VALUES (1000000); INSERT INTO b VALUES (0);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                 INSERT INTO log (line) SELECT hex(randomblob(100)) FROM n;"
            ),
        );
        machine.run(&["init"]).expect(0);
        let writer = Writer::start(&database);
        let lines = |database: &Path| ask(database, "SELECT count(*) FROM log").parse::<u64>().unwrap();
        let mut before = lines(&database);
        crate::support::program::until("writing", || lines(&database) > before);
        let mut ids = Vec::new();
        for _ in 0..3 {
            before = lines(&database);
            let done = machine.json(&["backup", "billing"], 0);
            assert!(lines(&database) > before, "the database was at rest, which proves nothing");
            ids.push((text(&done["snapshots"][0]["id"]), before));
        }
        drop(writer);
        for (id, at_least) in ids {
            let to = machine.path(&id);
            machine.run(&["fetch", &format!("billing/{id}"), "--to", to.to_str().unwrap()]).expect(0);
            let fetched = to.join("billing.db");
            assert_eq!(ask(&fetched, "PRAGMA integrity_check"), "ok");
            assert_eq!(ask(&fetched, "SELECT a.amount + b.amount FROM a, b"), "1000000");
            assert!(lines(&fetched) >= at_least);
        }
        machine.run(&["verify", "--full"]).expect(0);
    }
}
