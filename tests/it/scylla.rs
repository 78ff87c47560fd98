//! ScyllaDB as a source: its API is the tests' own, its files are a test's, and a Cassandra answers its CQL, because no ScyllaDB can be had here.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::cassandra::configuration;
use crate::support::program::{Machine, Run, finish, send, until};
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::spec::Version;
use crate::support::servers::scylla::{Fault, Scylla};

/// Components of an SSTable as ScyllaDB writes it; the second kind is that of its newest releases.
const COMPONENTS: [&[&str]; 2] = [
    &["Data.db", "Index.db", "Summary.db", "Filter.db", "Statistics.db", "CompressionInfo.db", "Digest.crc32", "Scylla.db", "TOC.txt"],
    &["Data.db", "Partitions.db", "Rows.db", "Filter.db", "Statistics.db", "CompressionInfo.db", "Digest.crc32", "Scylla.db", "TOC.txt"],
];

const ID: &str = "3gw7_0ndy_3wlq829wcsddgwha1n";

/// A node, and a machine that backs it up.
struct Case {
    scylla: Scylla,
    keyspace: String,
    machine: Machine,
    cql: String,
}

impl Case {
    /// With a table of rows, an empty one, and a view of the first.
    fn new(is_newest: bool) -> Self {
        let server = Cassandra::running(Version::V41);
        let (keyspace, cql, machine) = (server.name(), server.cql(), Machine::new());
        cql.run(&format!("CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"));
        cql.run(&format!("CREATE TABLE {keyspace}.users (id int PRIMARY KEY, name text)"));
        cql.run(&format!("CREATE TABLE {keyspace}.empty (id int PRIMARY KEY)"));
        cql.run(&format!(
            "CREATE MATERIALIZED VIEW {keyspace}.by_name AS SELECT * FROM {keyspace}.users WHERE name IS NOT NULL AND id IS NOT NULL PRIMARY KEY (name, id)"
        ));
        let data = machine.path("scylla/data");
        for table in ["users", "empty", "by_name"] {
            let folder = &server.folders_of(&keyspace, table)[0];
            fs::create_dir_all(data.join(&keyspace).join(folder.file_name().unwrap()).join("upload")).unwrap();
        }
        fs::write(machine.path("scylla.yaml"), format!("workdir: {}\napi_port: 10000\n", machine.path("scylla").display())).unwrap();
        let host_id = cql.lines("SELECT host_id FROM system.local").remove(0);
        let scylla = Scylla::start(&data, &host_id, is_newest);
        let case = Self { scylla, keyspace, machine, cql: server.cql_address().to_string() };
        case.configure(&case.scylla.address.to_string());
        case.machine.run(&["init"]).expect(0);
        case.sstable("users", if is_newest { "ms" } else { "me" }, ID, is_newest);
        case.sstable("by_name", "me", ID, false);
        case
    }

    fn configure(&self, api: &str) {
        let (config, keyspace, cql) = (self.machine.path("scylla.yaml"), &self.keyspace, &self.cql);
        self.machine.configure_again(&format!(
            "[cassandra.homestead]\nengine = \"scylla\"\napi = \"http://{api}\"\nkeyspaces = [\"{keyspace}\"]\nconfig_file = \"{}\"\ncql = \"{cql}\"\n",
            config.display()
        ));
    }

    fn folder(&self, table: &str) -> PathBuf {
        let below = fs::read_dir(self.machine.path("scylla/data").join(&self.keyspace)).unwrap().map(|entry| entry.unwrap().path());
        below.into_iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{table}-"))).unwrap()
    }

    /// Puts an SSTable into the folder of a table.
    fn sstable(&self, table: &str, version: &str, id: &str, is_newest: bool) {
        let rows = format!("rows of {table} {id}").repeat(100);
        let components = COMPONENTS[usize::from(is_newest)];
        for component in components {
            let text = match *component {
                "Data.db" => rows.clone(),
                "TOC.txt" => components.join("\n") + "\n",
                "Digest.crc32" => crc32fast::hash(rows.as_bytes()).to_string(),
                "Rows.db" => String::new(),
                other => format!("{other} of {table} {id}"),
            };
            fs::write(self.folder(table).join(format!("{version}-{id}-big-{component}")), text).unwrap();
        }
    }

    /// Tags that the node has, of any table.
    fn tags(&self) -> Vec<String> {
        let snapshots = ["users", "empty", "by_name"].map(|table| self.folder(table).join("snapshots"));
        let mut tags: Vec<String> = snapshots.iter().flat_map(|folder| files(folder)).map(|(name, _)| name).collect();
        tags.sort();
        tags.dedup();
        tags
    }

    /// How many tables have a snapshot that is whole.
    fn made(&self) -> usize {
        let snapshots = ["users", "empty", "by_name"].map(|table| files(&self.folder(table).join("snapshots")));
        snapshots.iter().flatten().filter(|(_, path)| path.join("manifest.json").exists()).count()
    }

    /// Folders of complete copies.
    fn copies(&self) -> Vec<PathBuf> {
        files(&self.machine.path("local/homestead")).into_values().filter(|path| path.join("snapshot.json").exists()).collect()
    }

    fn backup(&self) -> Run {
        self.machine.run(&["-v", "backup", "homestead"])
    }

    /// A backup that fails and says this; nothing is left of it.
    #[track_caller]
    fn fails(&self, says: &[&str]) {
        let run = self.backup();
        run.expect(1);
        for says in says {
            assert!(run.stderr.contains(says), "{says}: {}", run.stderr);
        }
        assert_eq!(self.tags(), ["sm_20260101000000UTC"]);
    }
}

/// What lies in a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path())).collect()
}

/// Somebody else's snapshot.
fn of_others(case: &Case) -> PathBuf {
    let folder = case.folder("users").join("snapshots/sm_20260101000000UTC");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("me-1-big-Data.db"), "what only they hold").unwrap();
    folder
}

#[test]
fn a_snapshot_is_taken_over_the_api_shipped_and_fetched_as_it_was() {
    let case = Case::new(false);
    let others = of_others(&case);
    let run = case.backup();
    run.expect(0);
    assert!(run.stderr.contains("sm_20260101000000UTC"), "others' snapshots are told: {}", run.stderr);
    let id = case.copies()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let keyspace = &case.keyspace;
    assert_eq!(case.scylla.asked(), [format!("POST {id} {keyspace}"), format!("DELETE {id} {keyspace}")]);
    assert!(others.join("me-1-big-Data.db").exists() && case.tags() == ["sm_20260101000000UTC"]);
    let record: serde_json::Value = serde_json::from_slice(&fs::read(case.copies()[0].join("snapshot.json")).unwrap()).unwrap();
    let facts = &record["facts"];
    assert_eq!((&facts["engine"], &facts["version"]), (&"scylla".into(), &"2025.3.1-0.20250907.2bbf3cf669bb".into()));
    assert_eq!(facts["tokens"], serde_json::json!(["-4611686018427387905", "9", "77"]));

    fs::rename(case.machine.path("local/homestead"), case.machine.path("lost")).unwrap();
    case.machine.run(&["verify", "--full"]).expect(0);
    let target = case.machine.path("fetched");
    case.machine.run(&["fetch", "homestead/latest", "--to", target.to_str().unwrap()]).expect(0);
    assert!(fs::read_to_string(target.join(keyspace).join("schema.cql")).unwrap().contains(&format!("CREATE KEYSPACE {keyspace}")));
    for table in ["users", "by_name", "empty"] {
        let folder = case.folder(table);
        let fetched = target.join(keyspace).join(folder.file_name().unwrap());
        let live: Vec<PathBuf> = files(&folder).into_values().filter(|path| path.is_file()).collect();
        assert_eq!(files(&fetched).len(), live.len() + 1, "all of it, and schema.cql");
        for path in live {
            assert_eq!(fs::read(&path).unwrap(), fs::read(fetched.join(path.file_name().unwrap())).unwrap(), "{}", path.display());
        }
    }

    fs::rename(case.machine.path("lost"), case.machine.path("local/homestead")).unwrap();
    let refused = case.machine.run(&["restore", "homestead", "--yes"]);
    refused.expect(1);
    for says in [&format!("homestead/{id} is of ScyllaDB"), "windlass fetch", "`upload`", "nodetool refresh", "nothing was changed"] {
        assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
    }
    case.machine.run(&["restore", "homestead", "--dry-run"]).expect(1);
    assert!(case.scylla.asked().is_empty());
    // Also where the source has become one of Cassandra.
    let cassandra = configuration(Cassandra::running(Version::V41), "homestead", &[keyspace]);
    case.machine.configure_again(&cassandra);
    let refused = case.machine.run(&["restore", "homestead", "--dry-run"]);
    refused.expect(1);
    assert!(refused.stderr.contains(&format!("homestead/{id} is of ScyllaDB")), "{}", refused.stderr);

    // What the node compacts away stays in the copy, and `status` says how much that is.
    let held = || case.machine.json(&["status"], 7)["sources"].as_array().unwrap().iter().find_map(|source| source["held_bytes"].as_u64());
    let before = held().unwrap();
    let mut given_up = 0;
    for (name, path) in files(&case.folder("users")).into_iter().filter(|(_, path)| path.is_file()) {
        // A list of components is a file of the copy's own from the beginning.
        given_up += if name.ends_with("TOC.txt") { 0 } else { fs::metadata(&path).unwrap().len() };
        fs::remove_file(path).unwrap();
    }
    assert_eq!(held().unwrap(), before + given_up);
    let text = case.machine.run(&["status"]);
    assert!(text.stdout.contains("homestead: ") && text.stdout.contains("held by its local copies alone"), "{}", text.stdout);
}

#[test]
fn whatever_goes_wrong_with_the_api_is_told_and_leaves_nothing_of_ours() {
    let case = Case::new(true);
    of_others(&case);
    let (api, users) = (&case.scylla, "users");
    api.fails("POST", Fault::Refused);
    case.fails(&["cannot take a snapshot of", "says: std::runtime_error (disk is full) (HTTP 500)"]);
    api.fails("POST", Fault::HalfDone);
    case.fails(&["says: seastar::abort_requested_exception (abort requested) (HTTP 500)"]);
    api.fails("POST", Fault::Nothing);
    case.fails(&["and no snapshot of it lies in"]);
    api.fails("POST", Fault::Without(users));
    case.fails(&[&format!("the server has the table {}.{users}, and no snapshot of it lies in", case.keyspace)]);
    api.fails("POST", Fault::Other);
    case.fails(&["its answer is not as ScyllaDB's (<html>It works!</html>); is this its API (`api`)?"]);
    assert!(case.copies().is_empty(), "{:?}", case.copies());

    case.configure("127.0.0.1:1");
    case.fails(&["nothing listens there; is ScyllaDB up, and is this its API (`api`;"]);
    let other = Scylla::start(&case.machine.path("scylla/data"), "0b4e61a6-0000-4000-8000-000000000000", true);
    case.configure(&other.address.to_string());
    case.fails(&["`cql` leads to the node", "and `api` to 0b4e61a6-0000-4000-8000-000000000000: let both be of one node"]);
    assert!(other.asked().is_empty());

    // The answer is lost, and what was asked for is done: the second request finds the name taken, and the files prove the rest. A view need
    // not be among them.
    case.configure(&case.scylla.address.to_string());
    api.asked();
    api.fails("POST", Fault::Cut);
    case.backup().expect(0);
    assert_eq!(api.asked().len(), 3);
    api.fails("POST", Fault::Without("by_name"));
    case.backup().expect(0);
    let data = case.copies()[1].join("data").join(&case.keyspace).join(case.folder(users).file_name().unwrap());
    let rows = format!("ms-{ID}-big-Data.db");
    assert_eq!(fs::metadata(data.join(&rows)).unwrap().ino(), fs::metadata(case.folder(users).join(&rows)).unwrap().ino());

    // Whoever stops a run does not wait for the answer, and the node is asked to forget what it has made all the same.
    api.asked();
    api.fails("POST", Fault::Silent);
    let run = case.machine.start(&["backup", "homestead"]);
    until("the node has made its snapshot", || case.made() == 3);
    send(run.id(), Signal::TERM);
    let run = finish(run);
    run.expect(143);
    assert_eq!((case.tags(), api.asked().len()), (vec!["sm_20260101000000UTC".to_owned()], 2), "{run:#?}");

    // What could not be cleared, nor a little later, is cleared by the next run.
    api.fails("DELETE", Fault::Refused);
    api.fails("DELETE", Fault::Refused);
    let run = case.backup();
    run.expect(0);
    assert!(run.stderr.contains("the node still holds its snapshot"), "{}", run.stderr);
    assert_eq!(case.tags().len(), 2);
    case.backup().expect(0);
    assert_eq!(case.tags(), ["sm_20260101000000UTC"]);

    // So is what the node has come to after the run that asked for it has given up.
    api.fails("POST", Fault::Late);
    api.fails("POST", Fault::Lost);
    let run = case.backup();
    run.expect(1);
    assert!(run.stderr.contains("the connection has broken ("), "{}", run.stderr);
    until("the node has come to its snapshot", || case.tags().len() == 2);
    case.backup().expect(0);
    assert_eq!(case.tags(), ["sm_20260101000000UTC"]);
}
