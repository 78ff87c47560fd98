//! The real program, killed after each system call with which `heal` changes something of the local copies: the damaged copy is as it was
//! or whole, nothing else is touched, and the next run mends it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::program::Machine;
use crate::support::stepped::{Call, Stepped};
use crate::support::tree::{flip, noise};

/// Every file below a folder with its bytes.
type Contents = BTreeMap<String, Vec<u8>>;

fn contents(folder: &Path) -> Contents {
    let paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let of = |path: &Path| BTreeMap::from([(path.to_str().unwrap().to_owned(), fs::read(path).unwrap())]);
    paths.iter().flat_map(|path| if path.is_dir() { contents(path) } else { of(path) }).collect()
}

/// The calls by which something below a folder is changed.
const CALLS: &str = "openat,linkat,mkdir,mkdirat,renameat2,rename,unlink,unlinkat,ftruncate";

/// A machine with two copies, of which the newer one is damaged over and over.
struct Bench {
    machine: Machine,
    first: String,
    second: String,
    whole: Contents,
}

impl Bench {
    fn new(machine: Machine) -> Self {
        machine.run(&["init"]).expect(0);
        machine.write("kept/a", noise(1, 40_000));
        machine.write("kept/b", b"b");
        machine.write("changed", noise(2, 30_000));
        machine.run(&["backup", "tree"]).expect(0);
        machine.write("changed", noise(3, 30_000));
        machine.write("new/c", b"c");
        machine.run(&["backup", "tree"]).expect(0);
        let ids: Vec<String> = machine.listed().into_iter().map(|(id, _)| id).collect();
        let mut bench = Self { machine, first: ids[0].clone(), second: ids[1].clone(), whole: Contents::new() };
        bench.whole = bench.copy(&bench.second);
        bench
    }

    fn copy(&self, id: &str) -> Contents {
        contents(&self.machine.path(format!("local/tree/{id}/data")))
    }

    /// What must hold after a kill, and after the next run.
    fn is_mended(&self, damaged: &Contents, first: &Contents, stored: &Contents, after: &str) {
        assert!(*first == self.copy(&self.first), "{after}: the other copy is as it was");
        let now = contents(&self.machine.path("bucket"));
        assert!(stored.iter().all(|(key, bytes)| now.get(key) == Some(bytes)), "{after}: every object is as it was");
        let found = self.copy(&self.second);
        assert!(found == *damaged || found == self.whole, "{after}: the copy is neither what it was nor whole");
        let listed = self.machine.json(&["list"], 0);
        assert_eq!(listed["snapshots"].as_array().unwrap().len(), 2, "{after}: {listed}");
        assert!(listed["snapshots"].as_array().unwrap().iter().all(|row| row["where"] != "local"), "{after}: {listed}");
        self.machine.run(&["heal"]).expect(0);
        self.machine.run(&["verify", "--full"]).expect(0);
        assert!(self.whole == self.copy(&self.second), "{after}: the copy is whole again");
        assert!(*first == self.copy(&self.first), "{after}: the other copy is as it was");
    }

    /// What is not a whole copy.
    fn partial(&self) -> Vec<String> {
        let names = fs::read_dir(self.machine.path("local/tree")).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".partial")).collect()
    }
}

/// Changes something of the local copies.
fn is_change(call: &Call) -> bool {
    let reads = call.name == "openat" && !call.text.contains("O_CREAT");
    call.text.contains("/local/tree") && !call.text.contains("= -1 ") && !reads
}

fn heal_is_killed_after_each_change(machine: Machine, harm: &dyn Fn(&Bench)) {
    let bench = Bench::new(machine);
    let mut changes = Vec::new();
    for number in 0.. {
        harm(&bench);
        bench.machine.run(&["verify", "--full"]).expect(4);
        let (damaged, first) = (bench.copy(&bench.second), bench.copy(&bench.first));
        let stored = contents(&bench.machine.path("bucket"));
        let mut heal = Stepped::start(&bench.machine, CALLS, &["heal"]);
        let met: Vec<Call> = (0..=number).map_while(|_| heal.step(&is_change)).collect();
        heal.kill();
        let after = met.last().map_or_else(String::new, |call| format!("{number}: {} {}", call.name, call.text));
        bench.is_mended(&damaged, &first, &stored, &after);
        // The damaged copy may be left beside the whole one, as what a snapshot that is killed leaves is: the next that is made clears it.
        let exchanged = met.iter().any(|call| call.text.contains("RENAME_EXCHANGE"));
        assert!(bench.partial().is_empty() || exchanged, "{after}: {:?}", bench.partial());
        if met.len() <= number {
            changes = met;
            break;
        }
    }
    bench.machine.run(&["backup", "tree"]).expect(0);
    assert!(bench.partial().is_empty());
    assert!(changes.len() > 8 && changes.iter().any(|call| call.text.contains("RENAME_EXCHANGE")), "{changes:?}");
}

#[test]
fn a_heal_of_a_damaged_file_of_a_copy_that_is_killed_anywhere_leaves_the_damaged_or_the_whole_one() {
    heal_is_killed_after_each_change(Machine::in_memory(), &|bench| {
        flip(&bench.machine.path(format!("local/tree/{}/data/changed", bench.second)));
    });
}

#[test]
fn a_heal_of_a_copy_without_its_list_of_files_that_is_killed_anywhere_leaves_the_damaged_or_the_whole_one() {
    heal_is_killed_after_each_change(Machine::in_memory().encrypted(""), &|bench| {
        let copy = bench.machine.path(format!("local/tree/{}", bench.second));
        fs::write(copy.join("files.jsonl.zst"), b"nothing").unwrap();
        fs::remove_file(copy.join("data/changed")).unwrap();
    });
}

#[test]
fn a_heal_of_a_copy_without_its_record_that_is_killed_anywhere_leaves_the_damaged_or_the_whole_one() {
    heal_is_killed_after_each_change(Machine::in_memory(), &|bench| {
        fs::remove_file(bench.machine.path(format!("local/tree/{}/snapshot.json", bench.second))).unwrap();
    });
}
