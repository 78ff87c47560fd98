//! SSTables that a Cassandra node has on its disk and not open: no snapshot has their rows, and each says so; compactions raise no such alarm.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::cassandra::configuration;
use crate::cassandra_restore_running::Case;
use crate::support::program::Machine;
use crate::support::servers::cassandra::Cassandra;
use crate::support::servers::cassandra::spec::{Spec, Version};

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// The files with this end in the folder of a table.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| name(path).ends_with(end));
    files.sort();
    files
}

/// Makes all SSTables of a folder an hour older: what is young may be on its way.
fn age(folder: &Path) {
    for data in files(folder, "-Data.db") {
        // A compaction of the time before may still remove what it has read.
        let Ok(file) = fs::File::options().write(true).open(&data) else { continue };
        file.set_modified(file.metadata().unwrap().modified().unwrap() - Duration::from_secs(3600)).unwrap();
    }
}

/// An SSTable of the folder once more, under an id that no other has: what a person has copied there. Its files.
fn copied(folder: &Path) -> Vec<PathBuf> {
    let data = files(folder, "-Data.db").remove(0);
    let stem = name(&data).strip_suffix("Data.db").unwrap().to_owned();
    let mut parts: Vec<String> = stem.split('-').map(str::to_owned).collect();
    parts[1] = match parts[1].parse::<u64>() {
        Ok(_) => "987654".into(),
        Err(_) => parts[1].replace('_', "0"),
    };
    let of_it = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| name(path).starts_with(&stem));
    let of_it: Vec<PathBuf> = of_it.collect();
    let copy = |path: &PathBuf| {
        let to = folder.join(name(path).replacen(&stem, &parts.join("-"), 1));
        fs::copy(path, &to).unwrap();
        to
    };
    of_it.iter().map(copy).collect()
}

#[test]
fn an_sstable_that_somebody_has_copied_to_the_others_is_told_each_night_until_it_is_gone() {
    for version in Version::ALL {
        let case = Case::small(version, 1);
        let folder = &case.server.folders_of(&case.keyspaces[0], "t")[0];
        let copies = copied(folder);
        age(folder);
        for _ in 0..2 {
            let run = case.machine.run(&["snapshot", &case.source]);
            let data = copies.iter().find(|path| path.to_str().unwrap().ends_with("-Data.db")).unwrap();
            assert!(run.expect(3).stderr.contains(name(data)), "{run:#?}");
            assert!(run.stderr.contains("not_open") && run.stderr.contains(&folder.display().to_string()), "{run:#?}");
            let shown = case.machine.json(&["show", &format!("{}/latest", case.source)], 0);
            assert_eq!(shown["problems"], json!([{ "kind": "not_open", "count": 1 }]), "{shown:#}");
        }
        copies.iter().for_each(|path| fs::remove_file(path).unwrap());
        case.machine.run(&["snapshot", &case.source]).expect(0);
    }
}

#[test]
fn an_sstable_that_a_node_cannot_open_at_its_start_is_told() {
    let server = Cassandra::start_new(&Spec::new(Version::V50));
    let cql = server.cql();
    cql.run("CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    cql.run("CREATE TABLE k.t (id int PRIMARY KEY, v text)");
    for id in 1..=2 {
        cql.run(&format!("INSERT INTO k.t (id, v) VALUES ({id}, 'v')"));
        server.nodetool(&["flush", "k"]);
    }
    let machine = Machine::new().configured(&configuration(&server, "k", &["k"]));
    machine.run(&["init"]).expect(0);
    let folder = &server.folders_of("k", "t")[0];
    age(folder);
    machine.run(&["snapshot", "k"]).expect(0);
    server.stop();
    let statistics = files(folder, "-Statistics.db").remove(0);
    let mut bytes = fs::read(&statistics).unwrap();
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
    fs::remove_file(&statistics).unwrap();
    fs::write(&statistics, bytes).unwrap();
    server.start();
    assert_eq!(server.cql().lines("SELECT id FROM k.t").len(), 1, "the node answers without these rows, and says nothing");
    let run = machine.run(&["snapshot", "k"]);
    let data = name(&statistics).replace("-Statistics.db", "-Data.db");
    assert!(run.expect(3).stderr.contains(&data) && run.stderr.contains("not_open"), "{run:#?}");
}

#[test]
fn compactions_that_begin_with_the_snapshot_raise_no_alarm() {
    for version in Version::ALL {
        let case = Case::small(version, 1);
        let folder = &case.server.folders_of(&case.keyspaces[0], "t")[0];
        let words = [case.server.command("nodetool"), case.server.jmx_words()].concat().join(" ");
        case.act("*\" snapshot \"*", &format!("{words} compact {} t >/dev/null 2>&1 &", case.keyspaces[0]));
        for round in 0..4 {
            for id in 0..200 {
                case.run(&[&format!("INSERT INTO KEYSPACE.t (id, v) VALUES ({id}, 'round {round}')")]);
            }
            case.server.nodetool(&["flush", &case.keyspaces[0]]);
            age(folder);
            case.machine.run(&["snapshot", &case.source]).expect(0);
        }
    }
}
