//! The real program, killed in every phase of a backup, plain and encrypted: afterwards there is nothing new or a whole snapshot, older ones
//! are untouched, and the next run succeeds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::kill::{Chance, Killed, kill};
use crate::support::program::Machine;
use crate::support::tree::{Picture, assert_same, noise, picture};

/// Kills that must land in each phase.
const KILLS: usize = 5;

/// The same in an encrypted repository, where only the bytes of packs and lists differ.
const KILLS_ENCRYPTED: usize = 3;

/// Runs that may end or go too far before the kill hits; more say that the phase cannot be met.
const ATTEMPTS: u64 = 60;

/// A phase of a backup, as a kill finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Copying,
    Packing,
    Sending,
    Body,
    Head,
    Retention,
}

/// A machine whose tree changes before each run, and what it was at each snapshot.
struct Bench {
    machine: Machine,
    round: u64,
    /// Ids of snapshots that were complete, with what the tree was.
    complete: BTreeMap<String, Picture>,
}

/// What the repository holds of the new snapshot.
#[derive(Debug, PartialEq, Eq)]
struct Objects {
    packs: usize,
    bodies: usize,
    heads: usize,
}

impl Bench {
    /// Four copies, so that each further run has one to retire.
    fn new(machine: Machine) -> Self {
        machine.run(&["init"]).expect(0);
        for n in 0..150 {
            machine.write(&format!("kept/{}/{n}", n % 7), noise(n, 2_000));
        }
        let mut bench = Self { machine, round: 0, complete: BTreeMap::new() };
        for _ in 0..4 {
            bench.backup();
        }
        bench
    }

    fn tree(&self) -> Picture {
        picture(&self.machine.path("tree"))
    }

    /// Changes some of the tree.
    fn edit(&mut self) {
        self.round += 1;
        for n in 0..3 {
            self.machine.write(&format!("changed/{n}"), noise(self.round * 10 + n, 500_000));
        }
        self.machine.write(&format!("new/{}", self.round), self.round.to_string());
    }

    /// A run that nothing disturbs.
    fn backup(&mut self) {
        self.edit();
        self.machine.run(&["backup", "tree"]).expect(0);
        let (newest, place) = self.machine.listed().pop().unwrap();
        assert_eq!(place, "both");
        self.fetched_as_it_was(&newest, &self.tree());
        self.complete.insert(newest, self.tree());
    }

    fn fetched_as_it_was(&self, id: &str, wanted: &Picture) {
        let to = self.machine.path("fetched");
        self.machine.run(&["fetch", &format!("tree/{id}"), "--to", to.to_str().unwrap()]).expect(0);
        assert_same(wanted, &picture(&to));
        fs::remove_dir_all(to).unwrap();
    }

    fn objects(&self) -> Objects {
        let bucket = self.machine.path("bucket/node-1");
        let manifests = names(&bucket.join("manifests/tree"));
        let bodies = manifests.iter().filter(|name| name.contains(".body.jsonl")).count();
        let packs = names(&bucket.join("packs")).len();
        Objects { packs, bodies, heads: manifests.len() - bodies }
    }

    /// Runs a backup and kills it as close to this phase as chance allows; gives the phase that the kill met.
    fn strike(&mut self, aim: Phase, chance: &mut Chance) -> Option<Phase> {
        self.edit();
        let before = self.objects();
        let seen = || self.objects();
        let (phase, spread) = match aim {
            Phase::Copying => ("copying", 60),
            Phase::Retention => ("retention", 8),
            Phase::Packing => ("packing", 10),
            Phase::Sending => ("packing", 6),
            Phase::Body | Phase::Head => ("committing", 3),
        };
        let killed = kill(&self.machine, &["backup", "tree"], phase, chance.up_to(Duration::from_millis(spread)), &mut || match aim {
            Phase::Sending => seen().packs > before.packs,
            Phase::Body => seen().bodies > before.bodies,
            Phase::Head => seen().heads > before.heads,
            _ => true,
        });
        let Killed::In(last) = killed else { return None };
        let after = self.objects();
        Some(match last.as_str() {
            "copying" => Phase::Copying,
            "retention" => Phase::Retention,
            "packing" if after.packs == before.packs => Phase::Packing,
            "packing" | "lists" => Phase::Sending,
            "committing" if after.heads == before.heads => Phase::Body,
            "committing" => Phase::Head,
            _ => return None,
        })
    }

    /// What must hold after any kill, and before the next run.
    fn nothing_is_lost(&mut self) {
        let listed: BTreeMap<String, String> = self.machine.listed().into_iter().collect();
        for id in self.complete.keys() {
            let place = listed.get(id).unwrap_or_else(|| panic!("{id} has gone: {listed:?}"));
            assert_ne!(place, "local", "{id} has gone from the repository");
        }
        let new: Vec<&String> = listed.keys().filter(|id| !self.complete.contains_key(*id)).collect();
        assert!(new.len() <= 1, "{new:?}");
        self.machine.run(&["verify", "--full"]).expect(0);
        if let Some(id) = new.first() {
            self.fetched_as_it_was(id, &self.tree());
            self.complete.insert((*id).clone(), self.tree());
        }
    }
}

/// Names of all files below a folder.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    // What the program removes meanwhile is not there to be counted.
    let paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths
        .into_iter()
        .flat_map(|path| if path.is_dir() { names(&path) } else { vec![path.file_name().unwrap().to_string_lossy().into_owned()] })
        .collect()
}

fn kills_in(aim: Phase) {
    kills_of(Machine::new(), aim, KILLS);
}

/// The same where what leaves the node is sealed, and the node itself holds the identity.
fn kills_in_encrypted(aim: Phase) {
    let bench = kills_of(Machine::in_memory().encrypted(""), aim, KILLS_ENCRYPTED);
    let stored = names(&bench.machine.path("bucket/node-1"));
    assert!(stored.iter().all(|name| !name.contains(".zst") || name.contains(".zst.age")), "{stored:?}");
}

fn kills_of(machine: Machine, aim: Phase, kills: usize) -> Bench {
    let mut chance = Chance::new();
    let mut bench = Bench::new(machine);
    let oldest = bench.complete.first_key_value().map(|(id, tree)| (id.clone(), tree.clone())).unwrap();
    let mut landed = 0;
    for _ in 0..ATTEMPTS {
        let met = bench.strike(aim, &mut chance);
        bench.nothing_is_lost();
        bench.backup();
        landed += usize::from(met == Some(aim));
        if landed == kills {
            bench.fetched_as_it_was(&oldest.0, &oldest.1);
            let copies = fs::read_dir(bench.machine.path("local/tree")).unwrap().count();
            assert_eq!(copies, 4, "nothing half done is left, and no copy too many");
            return bench;
        }
    }
    panic!("only {landed} of {ATTEMPTS} kills landed in {aim:?} (seed {})", chance.seed);
}

#[test]
fn a_kill_while_copying_loses_nothing() {
    kills_in(Phase::Copying);
}

#[test]
fn a_kill_while_packing_loses_nothing() {
    kills_in(Phase::Packing);
}

#[test]
fn a_kill_while_sending_loses_nothing() {
    kills_in(Phase::Sending);
}

#[test]
fn a_kill_around_the_manifest_body_loses_nothing() {
    kills_in(Phase::Body);
}

#[test]
fn a_kill_around_the_manifest_head_loses_nothing() {
    kills_in(Phase::Head);
}

#[test]
fn a_kill_during_retention_loses_nothing() {
    kills_in(Phase::Retention);
}

#[test]
fn a_kill_while_copying_of_what_is_encrypted_loses_nothing() {
    kills_in_encrypted(Phase::Copying);
}

#[test]
fn a_kill_while_packing_of_what_is_encrypted_loses_nothing() {
    kills_in_encrypted(Phase::Packing);
}

#[test]
fn a_kill_while_sending_of_what_is_encrypted_loses_nothing() {
    kills_in_encrypted(Phase::Sending);
}

#[test]
fn a_kill_around_the_manifest_body_of_what_is_encrypted_loses_nothing() {
    kills_in_encrypted(Phase::Body);
}

#[test]
fn a_kill_around_the_manifest_head_of_what_is_encrypted_loses_nothing() {
    kills_in_encrypted(Phase::Head);
}

#[test]
fn a_kill_during_retention_of_what_is_encrypted_loses_nothing() {
    kills_in_encrypted(Phase::Retention);
}
