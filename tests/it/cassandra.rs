//! Cassandra as a source of the program: what is taken is what the server had, what was there is not read again, and what others keep is
//! left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::program::{Machine, text};
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::cql::quoted;
use crate::support::servers::cassandra::spec::{Spec, Version};

/// `[cassandra.NAME]` for a server.
pub fn configuration(server: &Cassandra, name: &str, keyspaces: &[&str]) -> String {
    let words = |words: &[String]| serde_json::to_string(words).unwrap();
    format!(
        "[cassandra.{name}]\nkeyspaces = {}\nconfig_file = \"{}\"\ncql = \"{}\"\njmx = \"{}\"\nnodetool = {}\n",
        serde_json::to_string(keyspaces).unwrap(),
        server.config_file().display(),
        server.cql_address(),
        server.jmx_address(),
        words(&server.command("nodetool")),
    )
}

/// A server with a keyspace of the test's own, and a machine that backs it up.
pub struct Case {
    pub server: &'static Cassandra,
    pub keyspace: String,
    pub machine: Machine,
}

impl Case {
    fn new(version: Version, machine: Machine) -> Self {
        let server = Cassandra::running(version);
        let keyspace = server.name();
        let machine = machine.configured(&configuration(server, "homestead", &[&keyspace]));
        machine.run(&["init"]).expect(0);
        Self { server, keyspace, machine }
    }

    /// With a table of two SSTables, one table without rows, and one whose name has capitals.
    pub fn with_tables(version: Version) -> Self {
        Self::with_tables_on(version, Machine::new())
    }

    /// The same, backed up to this machine.
    pub fn with_tables_on(version: Version, machine: Machine) -> Self {
        let case = Self::new(version, machine);
        let (cql, keyspace) = (case.server.cql(), &case.keyspace);
        cql.run(&format!("CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"));
        for table in ["impi", "empty", "\"MixedCase\""] {
            cql.run(&format!("CREATE TABLE {keyspace}.{table} (id int PRIMARY KEY, value text)"));
        }
        cql.run(&format!("INSERT INTO {keyspace}.\"MixedCase\" (id, value) VALUES (1, 'one')"));
        case.insert(1..50);
        case.insert(50..90);
        case
    }

    /// Rows that go into an SSTable of their own.
    pub fn insert(&self, ids: std::ops::Range<i32>) {
        let cql = self.server.cql();
        for id in ids {
            cql.run(&format!("INSERT INTO {}.impi (id, value) VALUES ({id}, 'sip:{id}@example.com')", self.keyspace));
        }
        self.server.nodetool(&["flush", &self.keyspace]);
    }

    pub fn backup(&self) -> Value {
        self.machine.json(&["backup", "homestead"], 0)
    }

    pub fn copies(&self) -> Vec<PathBuf> {
        let below = fs::read_dir(self.machine.path("local/homestead")).into_iter().flatten();
        let mut copies: Vec<PathBuf> = below.map(|entry| entry.unwrap().path()).collect();
        copies.sort();
        copies
    }

    /// The files of the newest copy below this table's folder.
    fn files_of(&self, table: &str) -> BTreeMap<String, PathBuf> {
        let data = self.copies().last().unwrap().join("data").join(&self.keyspace);
        let folders = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap());
        let mut of_table = folders.filter(|entry| text(&entry.file_name().to_str().into()).starts_with(&format!("{table}-")));
        let folder = of_table.next().unwrap_or_else(|| panic!("{table} has no folder in {}", data.display())).path();
        assert!(of_table.next().is_none());
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
            .collect()
    }

    /// Tags that the server keeps of this keyspace.
    pub fn tags(&self) -> Vec<String> {
        let listed = self.server.nodetool(&["listsnapshots"]);
        let mut tags: Vec<String> = listed
            .lines()
            .filter(|line| line.contains(&self.keyspace))
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .collect();
        tags.sort();
        tags.dedup();
        tags
    }
}

/// A server with everything gives it away and gets it back with its own tools.
fn everything_comes_back(spec: &Spec) {
    let server = Cassandra::start_new(spec);
    let keyspace = "Everything";
    server.fill(keyspace);
    let machine = Machine::new().configured(&configuration(&server, "all", &[keyspace]));
    machine.run(&["init"]).expect(0);
    let cql = server.cql();
    let before = (cql.dump(keyspace), cql.described(keyspace));
    let outcome = machine.run(&["backup", "all"]);
    outcome.expect(0);
    assert!(!server.nodetool(&["listsnapshots"]).contains(keyspace), "the node keeps nothing of ours");
    machine.run(&["verify", "--full"]).expect(0);
    fs::rename(machine.path("local/all"), machine.path("lost")).unwrap();

    machine.run(&["fetch", "all/latest", "--to", machine.path("fetched").to_str().unwrap()]).expect(0);
    let fetched = machine.path("fetched").join(keyspace);
    assert!(fs::read_to_string(fetched.join("schema.cql")).unwrap().contains("CREATE KEYSPACE"));
    for table in cql.tables(keyspace) {
        if !cql.columns(&format!("SELECT * FROM {}.{} LIMIT 1", quoted(keyspace), quoted(&table))).is_empty() {
            let _ = cql.try_rows(&format!("TRUNCATE {}.{}", quoted(keyspace), quoted(&table)));
        }
    }
    assert_ne!(cql.dump(keyspace), before.0, "the tables are empty now");
    for folder in fs::read_dir(&fetched).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let table = folder.file_name().unwrap().to_str().unwrap().rsplit_once('-').unwrap().0.to_owned();
        server.nodetool(&["import", "--copy-data", keyspace, &table, folder.to_str().unwrap()]);
    }
    assert_eq!((cql.dump(keyspace), cql.described(keyspace)), before);
}

#[test]
fn everything_of_4_1_with_two_data_directories_comes_back() {
    everything_comes_back(&Spec { data_directories: 2, system_apart: true, num_tokens: 16, ..Spec::new(Version::V41) });
}

#[test]
fn everything_of_5_0_comes_back() {
    everything_comes_back(&Spec::new(Version::V50));
}

#[test]
fn everything_of_5_0_in_the_older_format_comes_back() {
    everything_comes_back(&Spec { bti: false, ..Spec::new(Version::V50) });
}

#[test]
fn a_copy_holds_the_node_s_own_files_and_what_was_there_is_neither_read_nor_shipped_again() {
    for version in Version::ALL {
        let case = Case::with_tables(version);
        case.backup();
        let live = &case.server.folders_of(&case.keyspace, "impi")[0];
        let first = case.files_of("impi");
        assert!(first.len() > 10, "two SSTables: {first:?}");
        for (name, path) in first.iter().filter(|(name, _)| name.ends_with(".db")) {
            assert_eq!(fs::metadata(path).unwrap().ino(), fs::metadata(live.join(name)).unwrap().ino(), "{name} is a link");
        }
        assert_eq!(case.files_of("empty").keys().collect::<Vec<_>>(), ["schema.cql"], "an empty table is there, and empty");
        assert!(case.files_of("MixedCase").keys().any(|name| name.ends_with("-Data.db")));

        let inodes = |copy: &Path| -> BTreeSet<u64> { files_below(copy).iter().map(|path| fs::metadata(path).unwrap().ino()).collect() };
        let before = inodes(&case.copies()[0].join("data"));
        case.insert(90..95);
        let second = case.machine.json(&["snapshot", "homestead"], 0);
        let new =
            files_below(&case.copies()[1].join("data")).into_iter().filter(|path| !before.contains(&fs::metadata(path).unwrap().ino()));
        let new: Vec<PathBuf> = new.collect();
        assert_eq!(new.iter().filter(|path| path.to_str().unwrap().ends_with("-Data.db")).count(), 1, "{new:?}");
        let bytes: u64 = new.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert_eq!(second["snapshots"][0]["read_bytes"], bytes, "{second:#}");
        let shipped = case.machine.json(&["ship", "homestead"], 0);
        let added = shipped["snapshots"][0]["added_bytes"].as_u64().unwrap_or_else(|| panic!("{shipped:#}"));
        assert!(added < 2 * bytes, "{shipped:#}");
        assert_eq!(case.tags(), [""; 0]);
        held_bytes_are_those_of_files_that_nobody_else_has(&case);
    }
}

/// Once the node has compacted files away, the copies alone hold them, and `status` says how much that is.
fn held_bytes_are_those_of_files_that_nobody_else_has(case: &Case) {
    // By device and inode, each with its size, its links, and how many of those are in copies.
    let held = || {
        let mut found: BTreeMap<u64, (u64, u64, u64)> = BTreeMap::new();
        for file in case.copies().iter().flat_map(|copy| files_below(&copy.join("data"))) {
            let stat = fs::metadata(file).unwrap();
            found.entry(stat.ino()).or_insert((stat.len(), stat.nlink(), 0)).2 += 1;
        }
        found.values().filter(|(_, links, ours)| links == ours).map(|(bytes, ..)| bytes).sum::<u64>()
    };
    let told = || {
        let status = case.machine.json(&["status"], 7);
        status["sources"].as_array().unwrap().iter().find_map(|source| source["held_bytes"].as_u64()).unwrap()
    };
    let before = held();
    assert_eq!(told(), before);
    let (live, files) = (&case.server.folders_of(&case.keyspace, "impi")[0], case.files_of("impi"));
    case.server.nodetool(&["compact", &case.keyspace, "impi"]);
    crate::support::program::until("the node has removed what it has compacted", || !files.keys().any(|name| live.join(name).exists()));
    let rows = files.iter().filter(|(name, _)| name.ends_with("-Data.db")).map(|(_, path)| fs::metadata(path).unwrap().len()).sum::<u64>();
    assert!(held() >= before + rows);
    assert_eq!(told(), held());
}

pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn snapshots_of_others_stay_and_those_of_a_killed_run_go() {
    let case = Case::with_tables(Version::V50);
    case.server.nodetool(&["snapshot", "-t", "somebody-elses", &case.keyspace]);
    case.server.cql().run(&format!("TRUNCATE {}.\"MixedCase\"", case.keyspace));
    let others = case.tags();
    assert_eq!(others.len(), 2, "{others:?}");

    // A run that was killed after it had told the node to take a snapshot, and before it had links to it.
    let left = "20251123T000000123Z";
    fs::create_dir_all(case.machine.path("local/.windlass/tags/homestead")).unwrap();
    fs::write(case.machine.path("local/.windlass/tags/homestead").join(left), "").unwrap();
    case.server.nodetool(&["snapshot", "-t", left, &case.keyspace]);
    // One that looks like ours, and of which we know nothing: another agent's.
    let another = "20251124T000000123Z";
    case.server.nodetool(&["snapshot", "-t", another, &case.keyspace]);
    let run = case.machine.run(&["--json", "backup", "homestead"]);
    run.expect(0);
    let events = run.events();
    let held = |by: &str| events.iter().any(|event| event["event"] == "foreign" && event["made_by"] == by);
    assert!(held("auto") && held("others") && !held("ephemeral"), "{run:#?}");
    let mut expected = others;
    expected.push(another.to_owned());
    expected.sort();
    assert_eq!(case.tags(), expected, "{run:#?}");
    assert_eq!(fs::read_dir(case.machine.path("local/.windlass/tags/homestead")).unwrap().count(), 0);

    // One that only its owner may list.
    let closed = case.server.folders_of(&case.keyspace, "impi")[0].join("snapshots/somebody-elses");
    let deny = ["-P", closed.to_str().unwrap(), "-e", "trace=openat", "-e", "inject=openat:error=EACCES"];
    let run = case.machine.alone_under_strace(&deny, &["snapshot", "homestead"]);
    run.expect(0);
    assert!(run.stderr.contains(&format!("is not known of {}: Permission denied", closed.display())), "{run:#?}");
    assert_eq!((case.tags(), case.copies().len()), (expected, 2), "{run:#?}");
}

#[test]
fn a_file_that_is_damaged_on_the_node_is_told_each_night_and_kept() {
    let case = Case::with_tables(Version::V41);
    let live = &case.server.folders_of(&case.keyspace, "impi")[0];
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let files = fs::read_dir(live).unwrap().map(|entry| entry.unwrap().path());
    let data = files.into_iter().find(|path| name(path).ends_with("-Data.db")).unwrap();
    let mut bytes = fs::read(&data).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&data, bytes).unwrap();
    // Of the second copy it is a problem as of the first, though what it links to is known by then.
    for _ in 0..2 {
        let run = case.machine.run(&["backup", "homestead"]);
        assert!(run.expect(3).stderr.contains("the file is damaged on the node"), "{run:#?}");
        assert!(run.stderr.contains(&name(&data).replace("-Data.db", "-Digest.crc32")), "{run:#?}");
        let shown = case.machine.json(&["show", "homestead/latest"], 0);
        assert_eq!(shown["problems"], serde_json::json!([{ "kind": "checksum", "count": 1 }]), "{shown:#}");
    }
}

#[test]
fn what_keeps_a_node_from_being_taken_is_told_and_nothing_is_left() {
    let case = Case::with_tables(Version::V50);
    case.backup();
    let (node, keyspace) = (case.server, &case.keyspace);
    let plain = configuration(node, "homestead", &[keyspace]);
    let fails = |configuration: &str, because: &[&str]| {
        case.machine.configure_again(configuration);
        let run = case.machine.run(&["backup", "homestead"]);
        run.expect(1);
        for because in because {
            assert!(run.stderr.contains(because), "{because}: {run:#?}");
        }
        assert_eq!(case.copies().len(), 1, "{run:#?}");
        assert_eq!(case.tags(), [""; 0], "{run:#?}");
    };
    fails(&configuration(node, "homestead", &[keyspace, "nobodys"]), &["nobodys", keyspace]);
    let dead_cql = plain.replace(&node.cql_address().to_string(), "127.0.0.1:1");
    fails(&dead_cql, &["127.0.0.1:1"]);
    let dead_jmx = plain.replace(&node.jmx_address().to_string(), "127.0.0.1:1");
    fails(&dead_jmx, &["nodetool"]);
    let gone = plain.replace("bin/nodetool", "bin/nodetool-that-is-not-there");
    fails(&gone, &["nodetool-that-is-not-there"]);
    // A configuration that is not the one that the server runs by: its data would be looked for where there is none.
    let elsewhere = case.machine.path("cassandra.yaml");
    let yaml = fs::read_to_string(node.config_file()).unwrap();
    fs::create_dir(case.machine.path("empty")).unwrap();
    let data = node.home.join("data").display().to_string();
    fs::write(&elsewhere, yaml.replace(&data, &case.machine.path("empty").display().to_string())).unwrap();
    let wrong = plain.replace(&node.config_file().display().to_string(), &elsewhere.display().to_string());
    fails(&wrong, &[&case.machine.path("empty").display().to_string()]);
    case.machine.configure_again(&plain);
    case.backup();
    assert_eq!(case.copies().len(), 2);
}
