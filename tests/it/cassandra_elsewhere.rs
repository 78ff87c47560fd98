//! Local copies on another filesystem than the node's data: what the copy before holds is not copied again, each copy stays whole by itself, and
//! room is asked for what has to be copied.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use windlass::ops::spec::SourceKind;

use crate::cassandra::{Case, files_below};
use crate::support::node::{Disk, Node, spec};
use crate::support::program::Machine;
use crate::support::servers::cassandra::spec::Version;

/// The components that Cassandra never writes again.
const WRITTEN_ONCE: [&str; 6] = ["Data.db", "Index.db", "Partitions.db", "Rows.db", "CompressionInfo.db", "Digest.crc32"];

/// The files of a copy by their path below its data.
fn files(copy: &Path) -> BTreeMap<PathBuf, fs::Metadata> {
    let data = copy.join("data");
    let files = files_below(&data).into_iter();
    files.map(|path| (path.strip_prefix(&data).unwrap().to_owned(), fs::metadata(&path).unwrap())).collect()
}

fn is_written_once(path: &Path) -> bool {
    WRITTEN_ONCE.iter().any(|component| path.to_str().unwrap().ends_with(&format!("-{component}")))
}

/// The files that two copies share.
fn shared(one: &Path, other: &Path) -> Vec<PathBuf> {
    let other = files(other);
    files(one)
        .into_iter()
        .filter(|(path, stat)| other.get(path).is_some_and(|other| other.ino() == stat.ino()))
        .map(|(path, _)| path)
        .collect()
}

fn rows(case: &Case) -> Vec<String> {
    case.server.cql().dump(&case.keyspace)
}

fn source(status: &Value) -> Value {
    status["sources"].as_array().unwrap().iter().find(|source| source["source"] == "homestead").unwrap().clone()
}

#[test]
fn the_second_night_copies_what_is_new_and_its_copy_outlives_the_first() {
    for version in Version::ALL {
        let case = Case::with_tables_on(version, Machine::in_memory());
        let live = fs::metadata(&case.server.home).unwrap().dev();
        assert_ne!(fs::metadata(case.machine.path("")).unwrap().dev(), live, "the copies lie on another filesystem");
        case.backup();
        case.insert(90..95);
        let then = rows(&case);
        let second = case.machine.json(&["snapshot", "homestead"], 0);
        let copies = case.copies();
        let (before, now) = (files(&copies[0]), files(&copies[1]));
        let mut copied = 0;
        for (path, stat) in &now {
            let is_new = !before.contains_key(path);
            assert_eq!(before.get(path).is_some_and(|before| before.ino() == stat.ino()), !is_new && is_written_once(path), "{path:?}");
            copied += if is_new || !is_written_once(path) { stat.len() } else { 0 };
        }
        let new: Vec<_> = now.keys().filter(|path| !before.contains_key(*path) && path.to_str().unwrap().ends_with("-Data.db")).collect();
        assert_eq!(new.len(), 1, "{new:?}");
        assert_eq!(second["snapshots"][0]["read_bytes"], copied, "what is linked is not read again: {second:#}");
        let shipped = case.machine.json(&["ship", "homestead"], 0);
        assert!(shipped["snapshots"][0]["added_bytes"].as_u64().unwrap() < 2 * copied, "{shipped:#}");
        let each: BTreeMap<u64, u64> = before.values().chain(now.values()).map(|stat| (stat.ino(), stat.len())).collect();
        let status = case.machine.json(&["status"], 7);
        assert_eq!(source(&status)["held_bytes"], each.values().sum::<u64>(), "each file once: {status:#}");

        assert_eq!(case.tags(), [""; 0]);

        case.server.cql().run(&format!("DELETE FROM {}.impi WHERE id = 7", case.keyspace));
        let id = |copy: &Path| copy.file_name().unwrap().to_str().unwrap().to_owned();
        case.machine.run(&["forget", &format!("homestead/{}", id(&copies[0])), "--local", "--yes"]).expect(0);
        case.machine.run(&["verify", "--full"]).expect(0);
        let name = format!("homestead/{}", id(&copies[1]));
        case.machine.run(&["restore", &name, "--running", "--from", "local", "--yes"]).expect(0);
        assert_eq!(rows(&case), then);
    }
}

#[test]
fn damage_of_a_copy_is_handed_on_to_none_that_is_taken_after_it_was_found() {
    let case = Case::with_tables_on(Version::V41, Machine::in_memory());
    case.backup();
    case.backup();
    let copies = case.copies();
    let damaged = shared(&copies[0], &copies[1]).into_iter().find(|path| path.to_str().unwrap().ends_with("-Data.db")).unwrap();
    let path = copies[0].join("data").join(&damaged);
    // As a disk does it: the time of writing stays.
    let (mut bytes, times) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(times).unwrap();

    let told = case.machine.run(&["verify", "--full"]);
    told.expect(4);
    for copy in &copies {
        let file = copy.join("data").join(&damaged);
        assert!(told.said().contains(file.to_str().unwrap()), "the file is one, and each copy that has it is told: {told:#?}");
    }
    case.backup();
    let third = case.copies().remove(2);
    for copy in &copies {
        assert_eq!(shared(copy, &third), [""; 0].map(PathBuf::from), "all of it comes from the node once more");
    }
    case.machine.run(&["heal"]).expect(0);
    case.machine.run(&["verify", "--full"]).expect(0);
    let rows_of = |copy: &Path| fs::read(copy.join("data").join(&damaged)).unwrap();
    assert!(case.copies().iter().all(|copy| rows_of(copy) == rows_of(&third)));
    case.backup();
    let last = case.copies();
    assert!(shared(&last[2], &last[3]).contains(&damaged), "what is sound is shared again");
}

/// Rows of 128 KiB each, so many MiB of them; the table does not compress.
fn grow(case: &Case, mebibytes: usize) {
    let value = "5a".repeat(128 << 10);
    for id in 0..mebibytes * 8 {
        case.server.cql().run(&format!("INSERT INTO {}.blobs (id, v) VALUES ({id}, 0x{value})", case.keyspace));
    }
}

#[test]
fn room_is_asked_for_before_the_snapshot_and_only_for_what_has_to_be_copied() {
    let case = Case::with_tables_on(Version::V50, Machine::new());
    case.server
        .cql()
        .run(&format!("CREATE TABLE {}.blobs (id int PRIMARY KEY, v blob) WITH compression = {{'enabled': 'false'}}", case.keyspace));
    grow(&case, 6);
    let on = |size: &str, script: &str| case.machine.on_a_disk_of(size, "local", script);
    let once = "windlass backup homestead; code=$?; find local/homestead -mindepth 1; exit $code";
    // What is in the node's memory nobody has counted, and it fills the disk while it is copied. Another test may have had the node write it out.
    let run = on("4m", once);
    let (full, counted) = ("No space left on device", "there is no room for a new copy of `homestead`");
    assert!([full, counted].iter().any(|why| run.expect(1).stderr.contains(why)), "{run:#?}");
    assert_eq!((run.stdout.as_str(), case.tags()), ("", Vec::new()), "nothing is left of it, here or on the node: {run:#?}");
    // It is written out by now, and counted.
    let run = on("4m", once);
    assert!(run.expect(1).stderr.contains(counted), "{run:#?}");
    assert_eq!((run.stdout.as_str(), case.tags()), ("", Vec::new()), "{run:#?}");
    // What a killed run had the node hold takes room that this run lacks, so it goes all the same.
    let left = "20251123T000000123Z";
    let notes = case.machine.path("local/.windlass/tags/homestead");
    fs::create_dir_all(&notes).unwrap();
    fs::write(notes.join(left), "").unwrap();
    case.server.nodetool(&["snapshot", "-t", left, &case.keyspace]);
    assert_eq!(case.tags(), [left]);
    let run = on("4m", once);
    assert!(run.expect(1).stderr.contains(counted), "{run:#?}");
    assert_eq!((run.stdout.as_str(), case.tags()), ("", Vec::new()), "{run:#?}");
    // A file that cannot be written to its end, on a disk with room.
    let run = on("20m", &format!("trap '' XFSZ; ulimit -f 2000; {once}"));
    assert!(run.expect(1).stderr.contains("-Data.db\n  because: File too large"), "{run:#?}");
    assert_eq!((run.stdout.as_str(), case.tags()), ("", Vec::new()), "{run:#?}");
    // There is room for one copy and not for two.
    let nights = "for night in 1 2 3; do windlass backup homestead >&2 || exit 9; done
        windlass snapshot homestead --dry-run >&2 || exit 8
        find local/homestead -name '*-Data.db' -size +1M -printf '%i %n\\n'";
    let run = on("10m", nights);
    run.expect(0);
    let large: BTreeSet<&str> = run.stdout.lines().collect();
    assert_eq!(large.len(), 1, "one file, of all copies: {run:#?}");
    assert!(large.iter().all(|line| line.ends_with(" 3")), "{run:#?}");
}

#[test]
fn a_copy_of_links_asks_for_as_much_room_as_the_keyspaces_have_grown_by() {
    let case = Case::with_tables(Version::V50);
    let mut settings = windlass::ops::spec::CassandraSettings::new(vec![case.keyspace.clone()], case.server.config_file());
    settings.jmx.nodetool = case.server.command("nodetool");
    settings.jmx.host = Some(case.server.jmx_address().ip().to_string());
    settings.jmx.port = case.server.jmx_address().port();
    let mut node = Node::new();
    node.sources.push(spec("homestead", SourceKind::Cassandra(Box::new(settings))));
    let homestead = "homestead".parse().unwrap();
    let take = |node: &Node| {
        node.clock.advance(std::time::Duration::from_secs(60));
        windlass::ops::snapshot::run(&node.context(), &homestead, &windlass::ops::snapshot::Options::default())
    };
    take(&node).unwrap();
    // Much less than the keyspace takes, and nothing of it counts.
    node.space = Arc::new(Disk { folder: node.path("nothing"), whole: 4 << 10 });
    take(&node).unwrap();
    let value = "5a".repeat(64 << 10);
    case.server
        .cql()
        .run(&format!("CREATE TABLE {}.blobs (id int PRIMARY KEY, v blob) WITH compression = {{'enabled': 'false'}}", case.keyspace));
    case.server.cql().run(&format!("INSERT INTO {}.blobs (id, v) VALUES (1, 0x{value})", case.keyspace));
    case.server.nodetool(&["flush", &case.keyspace]);
    let error = take(&node).unwrap_err().to_string();
    assert!(error.contains("there is no room for a new copy of `homestead`"), "{error}");
    assert_eq!((case.tags(), fs::read_dir(node.path("local/homestead")).unwrap().count()), (Vec::new(), 2));
    node.space = Arc::new(Disk { folder: node.path("nothing"), whole: 100 << 10 });
    take(&node).unwrap();
}
