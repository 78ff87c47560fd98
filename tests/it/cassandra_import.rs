//! What `nodetool import` says is no proof: what it takes in, and what it does not though it says that all went well, is found out.

use std::fs;
use std::path::{Path, PathBuf};

use windlass::source::Error;
use windlass::source::cassandra::import::{Before, Fill, compacting, compaction_off, compaction_on, fill, prove};
use windlass::source::cassandra::{Job, Kind, NodeConfig, Settings};
use windlass::sys::meter::Meter;
use windlass::sys::stop::Stop;

use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::spec::Version;

/// The folder that files lie ready in: called as that of a table, or 5.0 takes nothing from it and says nothing.
const READY: &str = "t-0123456789abcdef0123456789abcdef";

/// A table, and a place with SSTables for it.
struct Case {
    server: &'static Cassandra,
    keyspace: String,
    settings: Settings,
    folder: tempfile::TempDir,
}

impl Case {
    /// With two SSTables of a table, which is emptied then and gets one other row.
    fn new(version: Version) -> Self {
        let server = Cassandra::running(version);
        let keyspace = server.name();
        let cql = server.cql();
        cql.run(&format!("CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"));
        cql.run(&format!("CREATE TABLE {keyspace}.t (id int PRIMARY KEY, v text)"));
        for id in 1..3 {
            cql.run(&format!("INSERT INTO {keyspace}.t (id, v) VALUES ({id}, 'ready')"));
            server.nodetool(&["flush", &keyspace]);
        }
        let mut settings = Settings::new(vec![keyspace.clone()], server.config_file());
        settings.jmx.nodetool = server.command("nodetool");
        settings.jmx.host = Some(server.jmx_address().ip().to_string());
        settings.jmx.port = server.jmx_address().port();
        let folder = tempfile::tempdir_in(&server.home).unwrap();
        for name in ["private", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let case = Self { server, keyspace, settings, folder };
        fs::create_dir_all(case.ready()).unwrap();
        copy(&server.folders_of(&case.keyspace, "t")[0], &case.ready(), "");
        cql.run(&format!("TRUNCATE {}.t", case.keyspace));
        cql.run(&format!("INSERT INTO {}.t (id, v) VALUES (9, 'live')", case.keyspace));
        case
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("place")
    }

    fn ready(&self) -> PathBuf {
        self.place().join(&self.keyspace).join(READY)
    }

    fn rows(&self) -> Vec<String> {
        let mut rows = self.server.cql().lines(&format!("SELECT id, v FROM {}.t", self.keyspace));
        rows.sort();
        rows
    }

    fn with_job<T>(&self, act: impl FnOnce(&Job<'_>, &[Fill]) -> Result<T, Error>) -> Result<T, Error> {
        let config = NodeConfig::read(&self.settings.config_file)?;
        let (private, work) = (self.folder.path().join("private"), self.folder.path().join("work"));
        let (stop, meter) = (Stop::new(), Meter::default());
        let cql = self.server.cql();
        let id = cql.lines(&format!("SELECT id FROM system_schema.tables WHERE keyspace_name = '{}'", self.keyspace));
        let (keyspace, folder) = (self.keyspace.clone(), READY.to_owned());
        let table = Fill { keyspace, name: "t".into(), id: id[0].parse().unwrap(), kind: Kind::Table, folder, at_least: 2 };
        act(
            &Job { settings: &self.settings, config: &config, tag: "", folder: &private, work: &work, stop: &stop, meter: &meter },
            &[table],
        )
    }

    fn fill(&self, before: Before) -> Result<(), Error> {
        self.with_job(|job, tables| {
            let on = compacting(job, tables)?;
            compaction_off(job, &on)?;
            let outcome = fill(job, &[self.place()], tables, before);
            compaction_on(job, &on)?;
            outcome.map(drop)
        })
    }

    fn why(&self, before: Before) -> String {
        self.fill(before).expect_err("it says that all went well").to_string()
    }

    /// The files that lie ready and end like this.
    fn ending(&self, ending: &str) -> Vec<PathBuf> {
        let all = fs::read_dir(self.ready()).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.to_str().unwrap().ends_with(ending)).collect()
    }
}

/// Copies the files of one folder whose names begin like this into another.
fn copy(from: &Path, to: &Path, start: &str) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        if entry.file_name().to_str().unwrap().starts_with(start) {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn takes_in(version: Version) {
    let case = Case::new(version);
    case.fill(Before::Keep).unwrap();
    assert_eq!(case.rows(), ["1 | ready", "2 | ready", "9 | live"]);
    case.server.cql().run(&format!("DELETE FROM {}.t WHERE id = 1", case.keyspace));
    case.fill(Before::Truncate).unwrap();
    assert_eq!(case.rows(), ["1 | ready", "2 | ready"]);
    assert_eq!(case.server.nodetool(&["statusautocompaction", &case.keyspace]).trim(), "running");
    assert_eq!(case.ending("-Data.db").len(), 2, "what lies ready stays");
}

#[test]
fn version_4_1_takes_in_what_lies_ready() {
    takes_in(Version::V41);
}

#[test]
fn version_5_0_takes_in_what_lies_ready() {
    takes_in(Version::V50);
}

#[test]
fn what_does_not_lie_ready_is_missed_before_anything_is_touched() {
    let case = Case::new(Version::V41);
    let digest = case.ending("-Digest.crc32").remove(0);
    fs::rename(&digest, case.folder.path().join("digest")).unwrap();
    assert!(case.why(Before::Truncate).contains("has no Digest.crc32, though its TOC.txt lists it"), "{}", case.why(Before::Truncate));
    fs::rename(case.folder.path().join("digest"), &digest).unwrap();
    fs::rename(case.ready(), case.folder.path().join("taken")).unwrap();
    fs::create_dir(case.ready()).unwrap();
    let why = case.why(Before::Truncate);
    assert!(why.contains(".t, 0 lie ready below") && why.contains("of 2 SSTables"), "{why}");
    assert_eq!(case.rows(), ["9 | live"]);
}

#[test]
fn files_of_a_format_that_the_node_does_not_know_are_noticed() {
    let (old, new) = (Case::new(Version::V41), Case::new(Version::V50));
    fs::remove_dir_all(old.ready()).unwrap();
    fs::create_dir(old.ready()).unwrap();
    copy(&new.ready(), &old.ready(), "da-");
    assert_eq!(old.ending("-bti-Data.db").len(), 2);
    let why = old.why(Before::Keep);
    assert!(why.contains("nodetool says that all went well, and only 0 of 2 SSTables have come into"), "{why}");
    assert_eq!(old.rows(), ["9 | live"]);
}

#[test]
fn a_flipped_byte_is_told_by_the_node() {
    let case = Case::new(Version::V41);
    let data = case.ending("-Data.db").remove(0);
    let mut bytes = fs::read(&data).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&data, bytes).unwrap();
    let why = case.why(Before::Keep);
    assert!(why.contains(&format!("{}.t: ", case.keyspace)) && why.contains("of nodetool"), "{why}");
}

#[test]
fn rows_that_cannot_be_read_are_told_though_the_node_takes_their_files_in() {
    let case = Case::new(Version::V41);
    // As when a byte was changed before the node has written its checksum: the one of the block that it is in tells.
    for data in case.ending("-Data.db") {
        let mut bytes = fs::read(&data).unwrap();
        bytes[0] ^= 1;
        fs::write(&data, &bytes).unwrap();
        let digest = data.to_str().unwrap().replace("-Data.db", "-Digest.crc32");
        fs::write(digest, crc32fast::hash(&bytes).to_string()).unwrap();
    }
    case.server.cql().run(&format!("TRUNCATE {}.t", case.keyspace));
    case.fill(Before::Keep).unwrap();
    let why = case.with_job(prove).unwrap_err().to_string();
    assert!(why.contains("read a row of a table of") && why.contains(&format!("{}.t: ", case.keyspace)), "{why}");
    case.server.cql().run(&format!("TRUNCATE {}.t", case.keyspace));
}

#[test]
fn what_a_table_had_open_before_is_no_proof_that_what_came_is_open() {
    let mut case = Case::new(Version::V41);
    case.server.cql().run(&format!("INSERT INTO {}.t (id, v) VALUES (8, 'live')", case.keyspace));
    case.server.nodetool(&["flush", &case.keyspace]);
    // A node that says the same of its open SSTables before and after: as many as come.
    let real = case.server.command("nodetool");
    let said = format!("Keyspace : {}\n\t\tTable: t\n\t\tSSTable count: 2\n", case.keyspace);
    let script = case.folder.path().join("nodetool");
    fs::write(&script, format!("case \" $* \" in\n*' tablestats '*) printf '{said}'; exit 0 ;;\nesac\nexec {} \"$@\"\n", real[0])).unwrap();
    case.settings.jmx.nodetool = ["bash".to_owned(), script.display().to_string()].into_iter().chain(real[1..].iter().cloned()).collect();
    let why = case.why(Before::Keep);
    assert!(why.contains("2 SSTables have come into its folders beside the 2 that it had open") && why.contains("it has 2 open"), "{why}");
}
