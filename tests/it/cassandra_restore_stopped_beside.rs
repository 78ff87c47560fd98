//! What a node keeps beside its tables, while they change places with those of a snapshot: hints and change data go aside and come back with an
//! undo; saved caches go.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cassandra_restore_stopped::Bench;

/// A line of `cassandra.yaml` that has a node keep what changes in tables that ask for it, for somebody who reads it.
pub const KEEPS_CHANGES: &str = "cdc_enabled: true";

/// A node of the cluster that this one has never met, so that it keeps the hints for it.
const UNKNOWN: u128 = 0x0123_4567_89ab_4def_8123_4567_89ab_cdef;

/// When the hints were written, in milliseconds.
const WRITTEN: u64 = 1_790_000_000_000;

/// Files by their names.
type Files = BTreeMap<String, Vec<u8>>;

/// Hints and change data of a node.
pub struct Beside {
    hints: Files,
    changes: Files,
}

impl Beside {
    /// Puts files into the folders of a node that runs, as an earlier run of it might have left them; change data of its own is there already.
    pub fn planted(bench: &Bench) -> Self {
        let id = uuid(UNKNOWN);
        let hints = Files::from([(format!("{id}-{WRITTEN}-2.hints"), hints_header()), (format!("{id}-{WRITTEN}-2.crc32"), b"0".to_vec())]);
        let name = "CommitLog-7-1790000000000";
        let changes =
            [(format!("{name}.log"), b"changes of an earlier run".to_vec()), (format!("{name}_cdc.idx"), b"25\nCOMPLETED".to_vec())];
        let beside = Self { hints, changes: changes.into() };
        for (folder, files) in [("hints", &beside.hints), ("cdc_raw", &beside.changes)] {
            files.iter().for_each(|(name, bytes)| fs::write(bench.server.home.join(folder).join(name), bytes).unwrap());
        }
        plant_caches(bench);
        beside
    }

    /// What a plan says of the hints; how much change data there is grows meanwhile.
    pub fn told(&self) -> String {
        format!("{} B of hints for other nodes and ", self.hints.values().map(Vec::len).sum::<usize>())
    }

    /// None of it is where the node would read it: caches are gone, and the rest lies aside, which is given, that of the node's own with it.
    pub fn has_gone(&self, bench: &Bench) -> Self {
        let aside = Self { hints: aside_of(bench, "hints"), changes: aside_of(bench, "cdc_raw") };
        assert_eq!(aside.hints, self.hints);
        assert!(self.changes.iter().all(|(name, bytes)| aside.changes.get(name) == Some(bytes)), "{:?}", aside.changes.keys());
        let own = aside.changes.keys().filter(|name| name.ends_with(".log") && !self.changes.contains_key(*name));
        assert!(own.count() > 0, "a table of the node asks for it: {:?}", aside.changes.keys());
        for (folder, gone) in [("hints", &aside.hints), ("cdc_raw", &aside.changes)] {
            let live = files_of(&bench.server.home.join(folder));
            assert!(gone.keys().all(|name| !live.contains_key(name)), "{folder}: {:?}", live.keys());
        }
        caches_are_gone(bench);
        // For what is put back these are of another state too.
        plant_caches(bench);
        aside
    }

    /// It lies where the node reads it, as it was.
    pub fn is_back(&self, bench: &Bench) {
        for (folder, came) in [("hints", &self.hints), ("cdc_raw", &self.changes)] {
            let live = files_of(&bench.server.home.join(folder));
            let lacks: Vec<&String> = came.iter().filter(|(name, bytes)| live.get(*name) != Some(bytes)).map(|(name, _)| name).collect();
            assert_eq!(lacks, [""; 0], "{folder} has {:?}", live.keys());
        }
        caches_are_gone(bench);
    }
}

fn caches(bench: &Bench) -> [PathBuf; 2] {
    ["KeyCache-f.db", "CounterCache-f.db"].map(|name| bench.server.home.join("saved_caches").join(name))
}

fn plant_caches(bench: &Bench) {
    caches(bench).iter().for_each(|path| fs::write(path, "of another state").unwrap());
}

fn caches_are_gone(bench: &Bench) {
    assert!(caches(bench).iter().all(|path| !path.exists()), "{:?}", files_of(&bench.server.home.join("saved_caches")).keys());
}

fn files_of(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// What lies aside of a folder: the node counts what is below its folder of change data, so that of this lies with the commit log.
fn aside_of(bench: &Bench, folder: &str) -> Files {
    let place = if folder == "cdc_raw" { "commitlog" } else { folder };
    let below = fs::read_dir(bench.server.home.join(place).join(".windlass-undo/homestead")).unwrap().map(|entry| entry.unwrap());
    let places: Vec<PathBuf> =
        below.filter(|entry| entry.file_name().to_str().unwrap().starts_with(&format!("{folder}-"))).map(|entry| entry.path()).collect();
    assert_eq!(places.len(), 1, "{places:?}");
    files_of(&places[0])
}

fn uuid(id: u128) -> String {
    let digits = format!("{id:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// A file of hints that holds none yet: what the server reads when it starts. It takes the halves of a long number in the other order for its sum.
fn hints_header() -> Vec<u8> {
    let mut sum = crc32fast::Hasher::new();
    let mut bytes = 2_u32.to_be_bytes().to_vec();
    sum.update(&bytes);
    for number in [WRITTEN.to_be_bytes(), UNKNOWN.to_be_bytes()[..8].try_into().unwrap(), UNKNOWN.to_be_bytes()[8..].try_into().unwrap()] {
        bytes.extend(number);
        sum.update(&number[4..]);
        sum.update(&number[..4]);
    }
    let settings = b"{}";
    let length = u32::try_from(settings.len()).unwrap().to_be_bytes();
    bytes.extend(length);
    sum.update(&length);
    bytes.extend(sum.clone().finalize().to_be_bytes());
    bytes.extend(settings);
    sum.update(settings);
    bytes.extend(sum.finalize().to_be_bytes());
    bytes
}
