//! The Cassandra servers behind the tests: they keep what they are given, and come back from each end with the same rows.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::spec::{Spec, Version};

/// The keyspace of these tests, a name that must be quoted.
const EVERYTHING: &str = "Everything";

/// A server that has everything and a snapshot of it, with the same rows after it has ended in each of these ways.
fn keeps_everything(spec: &Spec, again: &[fn(&Cassandra)]) -> Cassandra {
    let server = Cassandra::start_new(spec);
    let (number, cluster) = (spec.version.number(), &spec.cluster);
    assert_eq!(server.cql().lines("SELECT release_version, cluster_name FROM system.local"), [format!("{number} | {cluster}")]);
    server.fill(EVERYTHING);
    let before = state(&server);
    let (rows, _, answers) = &before;
    assert!(rows.len() > 40, "{rows:#?}");
    assert!(answers[0].ends_with(": 2 | new@example.com, 4 | four@example.com"), "{answers:#?}");
    server.nodetool(&["snapshot", "-t", "tag", EVERYTHING]);
    for table in server.cql().tables(EVERYTHING) {
        // With several data directories it lies in one of them.
        let folders = server.folders_of(EVERYTHING, &table);
        assert_eq!(folders.len(), spec.data_directories, "{table}");
        assert_eq!(folders.iter().filter(|folder| folder.join("snapshots/tag/manifest.json").is_file()).count(), 1, "{table}");
    }
    for again in again {
        again(&server);
        assert_eq!(state(&server), before);
    }
    server
}

/// Ended as a power cut would end it, and started again.
fn killed(server: &Cassandra) {
    server.kill();
    assert_eq!(server.pid(), None);
    server.start();
}

/// Whether a table has SSTables of this generation and format.
fn has_files(server: &Cassandra, start: &str, end: &str) -> bool {
    let folder = &server.folders_of(EVERYTHING, "wide")[0];
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.into_iter().any(|name| name.starts_with(start) && name.ends_with(end))
}

/// Its rows, what makes it, and what it answers.
fn state(server: &Cassandra) -> (Vec<String>, Vec<String>, Vec<String>) {
    let cql = server.cql();
    let described = cql.described(EVERYTHING).iter().map(|statement| as_kept(statement)).collect();
    (cql.dump(EVERYTHING), described, server.answers_of(EVERYTHING))
}

/// A statement as the server tells it once it has been started again: until then it knows to the microsecond when a column was dropped, and
/// it keeps milliseconds.
fn as_kept(statement: &str) -> String {
    const DROPPED: &str = "USING TIMESTAMP ";
    let mut parts = statement.split(DROPPED);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (micros, rest) = part.split_at(digits);
        kept += &format!("{DROPPED}{}000{rest}", &micros[..micros.len() - 3]);
    }
    kept
}

#[test]
fn what_a_server_forgets_of_a_time_when_it_ends_is_not_compared() {
    let told = |micros| format!("ALTER TABLE a.b DROP c USING TIMESTAMP {micros};\nALTER TABLE a.b ADD c text;");
    assert_eq!(as_kept(&told("1795693988254001")), told("1795693988254000"));
    assert_ne!(as_kept(&told("1795693988255000")), told("1795693988254000"));
}

#[test]
fn version_4_1_keeps_everything() {
    let spec = Spec { data_directories: 2, system_apart: true, num_tokens: 16, ..Spec::new(Version::V41) };
    let server = keeps_everything(&spec, &[killed, Cassandra::restart]);
    assert!(server.home.join("system/system").is_dir());
}

#[test]
fn version_5_0_keeps_everything() {
    let server = keeps_everything(&Spec { cluster: "Bob's cluster".into(), ..Spec::new(Version::V50) }, &[killed]);
    assert!(has_files(&server, "da-", "-bti-Data.db"));
}

#[test]
fn version_5_0_keeps_everything_in_the_older_format_behind_passwords_and_tls() {
    let asks = Spec { password: true, tls: true, jmx_password: true, ..Spec::new(Version::V50) };
    let tokens = vec!["-1".into(), "4000000000000000000".into()];
    let server = keeps_everything(&Spec { bti: false, num_tokens: tokens.len(), tokens, ..asks }, &[Cassandra::restart]);
    assert!(has_files(&server, "nb-", "-big-Data.db"));
    assert_eq!(server.nodetool(&["info", "-T"]).matches("Token  ").count(), 2);
    assert!(server.cql_as(["cassandra", "another"]).is_err());
    assert!(server.jmx_password_file().is_file());
    let unnamed = Command::new(&server.command("nodetool")[0]).args(&server.jmx_words()[..4]).arg("status").output().unwrap();
    assert!(!unnamed.status.success());
}

#[test]
fn a_server_ends_with_what_started_it() {
    let temp = tempfile::tempdir().unwrap();
    let spec = Spec { folder: Some(temp.path().join("server")), ..Spec::new(Version::V41) };
    let server = Cassandra::prepare(&spec);
    let started = Command::new(&server.command("start")[0]).status().unwrap();
    assert!(started.success());
    server.wait();
    let process = format!("/proc/{}", server.pid().unwrap());
    drop(server);
    assert!(
        !fs::exists(&process).unwrap() || fs::read_to_string(format!("{process}/status")).is_ok_and(|status| status.contains("Z (zombie)"))
    );
    assert!(temp.path().join("server/conf/cassandra.yaml").is_file(), "the folder is the test's own");
}

#[test]
fn tests_share_a_server_of_each_version() {
    for version in Version::ALL {
        let server = Cassandra::running(version);
        assert!(TcpStream::connect(server.jmx_address()).is_ok());
        assert!(fs::read_to_string(server.config_file()).unwrap().contains(&server.cql_address().ip().to_string()));
        let (name, other) = (server.name(), server.name());
        assert_ne!(name, other);
        let replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}";
        server.cql().run(&format!("CREATE KEYSPACE {name} WITH replication = {replication}"));
        assert!(server.nodetool(&["status", &name]).contains("UN  "));
        assert!(server.cql().try_rows(&format!("CREATE KEYSPACE {name} WITH replication = {replication}")).is_err());
    }
}
