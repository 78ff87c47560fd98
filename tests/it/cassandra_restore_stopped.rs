//! A Cassandra node holds a snapshot again, stopped and started by the program: row by row what it was, and what was there instead comes back
//! by an undo.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cassandra::{configuration, files_below};
use crate::cassandra_restore_stopped_beside::{Beside, KEEPS_CHANGES};
use crate::support::program::{Machine, Run, text, until};
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::cql::quoted;
use crate::support::servers::cassandra::spec::{Spec, Version};

/// The keyspace that is backed up.
pub const KEYSPACE: &str = "Everything";

/// Another one of the same node, which is not.
const OTHER: &str = "other";

/// A server of the test's own that the program may stop and start, and a machine that backs it up.
pub struct Bench {
    pub server: Cassandra,
    pub machine: Machine,
}

impl Bench {
    /// With a keyspace that has everything in it, and another one, of which the node keeps what changes.
    pub fn filled(spec: &Spec) -> Self {
        let bench = Self::new(&Spec { more: KEEPS_CHANGES.into(), ..spec.clone() }, KEYSPACE);
        bench.server.fill(KEYSPACE);
        bench.run(&["CREATE TABLE other.t (id int PRIMARY KEY, v text) WITH cdc = true"]);
        bench
    }

    /// With a keyspace of two small tables.
    pub fn small(version: Version) -> Self {
        Self::small_of(&Spec { bti: false, ..Spec::new(version) })
    }

    /// The same on a server that is to be so.
    pub fn small_of(spec: &Spec) -> Self {
        let bench = Self::new(spec, "small");
        bench.run(&[
            "CREATE KEYSPACE small WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
            "CREATE TABLE small.t (id int PRIMARY KEY, v text)",
            "CREATE TABLE small.u (id int PRIMARY KEY, v text)",
            "INSERT INTO small.t (id, v) VALUES (1, 'then')",
            "INSERT INTO small.t (id, v) VALUES (2, 'deleted since')",
            "INSERT INTO small.u (id, v) VALUES (1, 'then')",
        ]);
        bench
    }

    fn new(spec: &Spec, keyspace: &str) -> Self {
        let server = Cassandra::start_new(spec);
        let machine = Machine::new();
        let bench = Self { server, machine };
        bench.configure(keyspace, &bench.server.command("stop"), &bench.server.command("start"));
        bench.machine.run(&["init"]).expect(0);
        bench.run(&["CREATE KEYSPACE other WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"]);
        bench
    }

    /// Writes the configuration, with these commands.
    pub fn configure(&self, keyspace: &str, stop: &[String], start: &[String]) {
        let words = |words: &[String]| serde_json::to_string(words).unwrap();
        let more = format!("stop = {}\nstart = {}\n", words(stop), words(start));
        self.machine.configure_again(&(configuration(&self.server, "homestead", &[keyspace]) + &more));
    }

    pub fn run(&self, statements: &[&str]) {
        let cql = self.server.cql();
        statements.iter().for_each(|statement| cql.run(statement));
    }

    pub fn backup(&self) {
        self.machine.run(&["backup", "homestead"]).expect(0);
    }

    pub fn restore(&self, more: &[&str]) -> Run {
        self.machine.run(&[&["restore", "homestead", "--yes"], more].concat())
    }

    pub fn dump(&self, keyspace: &str) -> Vec<String> {
        self.server.cql().dump(keyspace)
    }

    /// The folders of ours that hold something.
    pub fn ours(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for data in self.server.spec.directories(&self.server.home) {
            for entry in fs::read_dir(data.join(".windlass/backups/homestead")).into_iter().flatten() {
                found.push(entry.unwrap().path());
            }
        }
        found.sort();
        found
    }

    /// The files of the newest local copy of a keyspace that Cassandra writes once.
    fn copied(&self, keyspace: &str) -> Vec<Once> {
        let copies = fs::read_dir(self.machine.path("local/homestead")).unwrap().map(|entry| entry.unwrap().path());
        written_once(&copies.max().expect("there is a copy").join("data").join(keyspace))
    }

    /// Those of the live tables.
    fn live(&self, keyspace: &str) -> Vec<Once> {
        let below = self.server.spec.directories(&self.server.home).into_iter().map(|data| data.join(keyspace));
        below.filter(|below| below.is_dir()).flat_map(|below| written_once(&below)).collect()
    }

    /// How many of its files the newest local copy shares with the live tables.
    fn shared_with_the_copy(&self, keyspace: &str) -> usize {
        let live: BTreeSet<u64> = self.live(keyspace).iter().map(|file| file.inode).collect();
        self.copied(keyspace).iter().filter(|file| live.contains(&file.inode)).count()
    }

    /// The files with rows that the node has, by their path below a data directory, with filesystem and size.
    fn rows_live(&self) -> BTreeMap<PathBuf, (u64, u64)> {
        let mut found = BTreeMap::new();
        for data in self.server.spec.directories(&self.server.home) {
            let tables = fs::read_dir(data.join(KEYSPACE)).into_iter().flatten().map(|entry| entry.unwrap().path());
            let files = tables.flat_map(|table| fs::read_dir(table).unwrap().map(|entry| entry.unwrap().path()));
            for path in files.filter(|path| path.to_str().unwrap().ends_with("-Data.db")) {
                let stat = fs::metadata(&path).unwrap();
                found.insert(path.strip_prefix(&data).unwrap().to_owned(), (stat.dev(), stat.len()));
            }
        }
        found
    }

    pub fn plan(&self, more: &[&str]) -> Value {
        self.machine.json(&[&["restore", "homestead", "--dry-run"], more].concat(), 0)["plan"].clone()
    }
}

/// A file that Cassandra writes once.
struct Once {
    path: PathBuf,
    inode: u64,
    bytes: u64,
}

/// How the names of such files end.
const ONCE: [&str; 6] = ["-Data.db", "-Index.db", "-Partitions.db", "-Rows.db", "-CompressionInfo.db", "-Digest.crc32"];

/// All of them below a folder, without what the node keeps for others.
fn written_once(folder: &Path) -> Vec<Once> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let (name, stat) = (path.file_name().unwrap().to_str().unwrap(), path.metadata().unwrap());
        // Indexes with SSTables of their own are built anew.
        if stat.is_dir() && name != "snapshots" && name != "backups" && !name.starts_with('.') {
            found.extend(written_once(&path));
        } else if ONCE.iter().any(|end| name.ends_with(end)) {
            found.push(Once { inode: stat.ino(), bytes: stat.len(), path });
        }
    }
    found
}

/// What a plan says that no restore brings back.
const NEVER: [&str; 3] = [
    "tables of `system` and `system_schema`: they are what the node knows of itself (tokens, peers, schema)",
    "commit log, hints, saved caches: they are of another state, and would bring back or repeat writes",
    "roles and grants, unless `system_auth` is among the keyspaces; triggers: they are code in a folder of the node",
];

/// What a test does to a keyspace with everything in it: rows go, rows come, a table is emptied and another made.
fn change(bench: &Bench) {
    let name = quoted(KEYSPACE);
    let statements = [
        "DELETE FROM KEYSPACE.users WHERE id = 1",
        "INSERT INTO KEYSPACE.users (id, email, city, score) VALUES (99, 'late@example.com', 'Ely', 1)",
        "UPDATE KEYSPACE.users SET city = 'Wells' WHERE id = 2",
        "TRUNCATE KEYSPACE.scalars",
        "INSERT INTO KEYSPACE.empty (id, v) VALUES (1, 'was empty')",
        "UPDATE KEYSPACE.counters SET hits = hits + 100 WHERE id = 'a' AND day = '2026-01-01'",
        "DELETE FROM KEYSPACE.wide WHERE p = 'one'",
        "CREATE TABLE KEYSPACE.later (id int PRIMARY KEY, v text)",
        "INSERT INTO KEYSPACE.later (id, v) VALUES (1, 'of a table that came later')",
    ];
    let statements: Vec<String> = statements.iter().map(|statement| statement.replace("KEYSPACE", &name)).collect();
    bench.run(&statements.iter().map(String::as_str).collect::<Vec<_>>());
}

/// The rows of a keyspace and what it answers.
type Picture = (Vec<String>, Vec<String>);

/// That of the keyspace, without the table that came later.
fn picture(bench: &Bench) -> Picture {
    let mut rows = bench.dump(KEYSPACE);
    rows.retain(|line| line != "table later");
    (rows, bench.server.answers_of(KEYSPACE))
}

/// A node, what was restored, and what it holds again after the undo.
type Came = (Bench, Picture, Picture);

fn comes_back(spec: &Spec) -> Came {
    let bench = Bench::filled(spec);
    let then = picture(&bench);
    bench.backup();
    let taken = bench.rows_live();
    change(&bench);
    let now = picture(&bench);
    assert_ne!(then, now);
    // In the commit log of the node alone.
    bench.run(&["INSERT INTO other.t (id, v) VALUES (1, 'not flushed')"]);
    let other = bench.dump(OTHER);
    let beside = Beside::planted(&bench);

    let before = bench.rows_live();
    assert_eq!(bench.plan(&[])["estimate_seconds"], 61, "nothing was measured yet");
    // As a restore before this one has measured it.
    fs::write(bench.machine.path("local/.windlass/restore-rate-cassandra.json"), "{\"bytes_per_second\":1000}").unwrap();
    let plan = bench.plan(&[]);
    assert_eq!(plan["node"]["way"], "stopped", "{plan:#}");
    assert!(plan["warnings"].to_string().contains(&beside.told()), "{plan:#}");
    assert_eq!(plan["node"]["version"], spec.version.number(), "{plan:#}");
    assert_eq!(plan["node"]["empties"], serde_json::json!(["Everything.later"]), "{plan:#}");
    assert_eq!(plan["node"]["never"], serde_json::json!(NEVER), "{plan:#}");
    let tables = bench.server.cql().tables(KEYSPACE).len();
    assert_eq!((&plan["node"]["live_tables"], &plan["download_bytes"]), (&tables.into(), &0.into()), "{plan:#}");
    assert!(plan["node"]["live_bytes"].as_u64().unwrap() > 0, "{plan:#}");
    assert_eq!(plan["estimate_seconds"], plan["bytes"].as_u64().unwrap().div_ceil(1000), "{plan:#}");
    let copied = bench.copied(KEYSPACE);
    let bytes: u64 = copied.iter().map(|file| file.bytes).sum();
    let is_one_filesystem = spec.last_directory.is_none();
    if is_one_filesystem {
        assert_eq!(plan["node"]["linked_bytes"], bytes, "all that Cassandra writes once lies here: {plan:#}");
    }

    let run = bench.restore(&[]);
    run.expect(0);
    // What has levels is compacted as soon as the node is started, and a view is made anew.
    let stays = |path: &Path| !["/wide-", "/users_by_email-"].iter().any(|name| path.to_str().unwrap().contains(name));
    let live: BTreeSet<u64> = bench.live(KEYSPACE).iter().map(|file| file.inode).collect();
    let lacks = copied.iter().filter(|file| is_one_filesystem && stays(&file.path) && !live.contains(&file.inode));
    let lacks: Vec<&Path> = lacks.map(|file| &*file.path).collect();
    assert_eq!(lacks, [""; 0].map(Path::new), "what lies here is linked and not copied");
    assert_eq!(picture(&bench), then, "{run:#?}");
    let after = bench.rows_live();
    let stayed: Vec<_> = taken.iter().filter(|(path, at)| stays(path) && before.get(*path) == Some(*at)).collect();
    assert!(!stayed.is_empty() && stayed.iter().all(|(path, at)| after.get(*path) == Some(*at)), "{stayed:?} {after:?}");
    let filesystems: BTreeSet<u64> = stayed.iter().map(|(_, (device, _))| *device).collect();
    assert_eq!(filesystems.len(), 1 + usize::from(spec.last_directory.is_some()), "each stays on its filesystem: {stayed:?}");
    assert_eq!(bench.dump(OTHER), other, "another keyspace keeps what it had not written out yet");
    let aside = beside.has_gone(&bench);
    assert_eq!(bench.ours().len(), spec.data_directories, "{:?}", bench.ours());
    bench.server.nodetool(&["listsnapshots"]);
    let listed = bench.machine.json(&["list"], 0);
    assert_eq!(listed["undo"].as_array().map(Vec::len), Some(1), "{listed:#}");

    bench.restore(&["--undo"]).expect(0);
    assert_eq!(picture(&bench), now, "the undo brings the newer state back");
    assert!(bench.dump(KEYSPACE).iter().any(|line| line.contains("came later")));
    aside.is_back(&bench);
    assert_eq!(bench.dump(OTHER), other);
    (bench, then, now)
}

/// Undoing an undo is a redo.
fn comes_back_by_a_redo((bench, then, _): &Came) {
    bench.restore(&["--undo"]).expect(0);
    assert_eq!(&picture(bench), then);
}

/// The same of a node that has ended without a word.
fn comes_back_after_a_kill((bench, _, now): &Came) {
    bench.backup();
    // As a power cut: what is in the commit log alone comes up again with the node, and goes with the restore.
    change_again(bench);
    bench.server.kill();
    let run = bench.restore(&[]);
    run.expect(0);
    assert!(run.stderr.contains("the node is down and is started first"), "{run:#?}");
    // A node that reads its commit log keeps what this changes in views as batches, for later.
    bench.server.nodetool(&["replaybatchlog"]);
    assert_eq!(&picture(bench), now, "nothing is owed to views any more");
    assert!(bench.dump(OTHER).iter().any(|line| line.contains("after the kill")), "{:?}", bench.dump(OTHER));
    assert_eq!(bench.ours().len(), bench.server.spec.data_directories, "the undo before it is gone: {:?}", bench.ours());
}

/// Whatever the node does to the files that it has got, which are those of the local copies, these stay as they are.
fn rewritten(bench: &Bench) {
    assert!(bench.shared_with_the_copy(KEYSPACE) > 0);
    let copies = || -> BTreeMap<PathBuf, Vec<u8>> {
        let files = files_below(&bench.machine.path("local/homestead")).into_iter();
        files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    };
    let before = copies();
    // Each of these writes everything anew.
    bench.server.nodetool(&["scrub", "--no-snapshot", KEYSPACE]);
    bench.server.nodetool(&["upgradesstables", "-a", KEYSPACE]);
    bench.server.nodetool(&["compact", KEYSPACE]);
    bench.server.nodetool(&["garbagecollect", KEYSPACE]);
    until("the node has files of its own", || bench.shared_with_the_copy(KEYSPACE) == 0);
    assert!(copies() == before, "no byte of a local copy has changed");
    bench.machine.run(&["verify", "--full"]).expect(0);
}

fn change_again(bench: &Bench) {
    let name = quoted(KEYSPACE);
    bench.run(&[
        &format!("DELETE FROM {name}.users WHERE id = 3"),
        &format!("INSERT INTO {name}.users (id, email, city, score) VALUES (77, 'killed@example.com', 'Ely', 1)"),
        "INSERT INTO other.t (id, v) VALUES (2, 'after the kill')",
    ]);
}

#[test]
fn a_node_of_4_1_with_data_directories_on_two_filesystems_holds_a_snapshot_again() {
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    let last_directory = Some(other.path().join("data"));
    let came = comes_back(&Spec { data_directories: 2, last_directory, system_apart: true, num_tokens: 16, ..Spec::new(Version::V41) });
    comes_back_after_a_kill(&came);
    rewritten(&came.0);
}

#[test]
fn a_node_of_5_0_holds_a_snapshot_again() {
    // Over several data directories it takes no SAI index of vectors.
    let spec = Spec { system_apart: true, num_tokens: 16, ..Spec::new(Version::V50) };
    comes_back_after_a_kill(&comes_back(&spec));
}

#[test]
fn a_node_of_5_0_in_the_older_format_holds_a_snapshot_again() {
    comes_back_by_a_redo(&comes_back(&Spec { bti: false, ..Spec::new(Version::V50) }));
}

/// Without a local copy, what the node has live as it was is put together from that: it is linked, and none of it travels.
fn comes_back_from_what_is_live(bench: &Bench) {
    let then = bench.dump("small");
    bench.backup();
    fs::remove_dir_all(bench.machine.path("local/homestead")).unwrap();
    let live = || bench.live("small").iter().map(|file| (file.path.clone(), file.inode)).collect::<BTreeMap<_, _>>();
    let (before, bytes) = (live(), bench.live("small").iter().map(|file| file.bytes).sum::<u64>());
    bench.run(&["DELETE FROM small.t WHERE id = 2"]);
    let plan = bench.plan(&[]);
    assert_eq!(plan["node"]["linked_bytes"], bytes, "{plan:#}");
    assert_eq!(plan["download_bytes"], 0, "{plan:#}");
    let run = bench.machine.run(&["--json", "restore", "homestead", "--yes"]);
    run.expect(0);
    assert_eq!(run.document()["outcome"]["downloaded_bytes"], 0, "{run:#?}");
    assert_eq!((bench.dump("small"), live()), (then, before));
}

#[test]
fn what_is_live_does_not_travel_and_what_lies_aside_goes_after_its_time_and_is_told_until_then() {
    let bench = Bench::small(Version::V50);
    comes_back_from_what_is_live(&bench);
    let listed = bench.machine.json(&["list"], 0);
    assert!(text(&listed["undo"][0]["aside"]).contains(".windlass/backups/homestead/aside-"), "{listed:#}");
    let text = fs::read_to_string(bench.machine.path("windlass.toml")).unwrap();
    fs::write(bench.machine.path("windlass.toml"), text.replace("[local]\n", "[local]\nundo_for = \"1s\"\n")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let run = bench.machine.run(&["snapshot", "homestead"]);
    run.expect(0);
    assert!(run.stderr.contains("was kept long enough and is gone"), "{run:#?}");
    assert_eq!(bench.ours(), [""; 0].map(PathBuf::from));
    bench.restore(&["--undo"]).expect(6);
}
