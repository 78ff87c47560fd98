//! The real program, killed in every phase of a restore and of its undo: the source holds what it held before or the snapshot, whole, and
//! the next command settles what was left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::kill::{Chance, kill};
use crate::support::program::Machine;
use crate::support::tree::{fill, noise, picture};

/// Kills that must land in each phase.
const KILLS: usize = 5;

/// Runs that may end or go too far before the kill hits; more say that the phase cannot be met.
const ATTEMPTS: u64 = 60;

/// A file that the source's patterns leave out: it stays as it is whatever is restored.
const EXCLUDED: &str = "live.log";

/// A source with one snapshot, and what the live source holds besides.
struct Bench {
    machine: Machine,
    source: &'static str,
    /// What it looked like when the snapshot was taken.
    then: String,
    /// What it looks like at the beginning of each round.
    now: String,
}

impl Bench {
    fn directory() -> Self {
        let machine = Machine::new().configured(&format!("exclude = [\"{EXCLUDED}\"]\n"));
        fill(&machine.path("tree"));
        Self::of(machine, "tree", |machine| {
            machine.write("names/a", b"changed since");
            machine.write("large", noise(1, 3 << 20));
            fs::remove_dir_all(machine.path("tree/many")).unwrap();
            machine.write(EXCLUDED, b"kept");
        })
    }

    fn database() -> Self {
        let machine = Machine::new();
        let path = machine.path("db/billing.db");
        fs::create_dir(machine.path("db")).unwrap();
        let machine = machine.configured(&format!("[sqlite.billing]\npath = \"{}\"\n", path.display()));
        let sql = "PRAGMA journal_mode = wal; CREATE TABLE t (line); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
                   WHERE i < 20000) INSERT INTO t SELECT hex(randomblob(100)) FROM n;";
        sqlite(&path, sql);
        Self::of(machine, "billing", move |_| drop(sqlite(&path, "DELETE FROM t WHERE rowid % 2; INSERT INTO t VALUES ('since then')")))
    }

    fn of(machine: Machine, source: &'static str, edit: impl FnOnce(&Machine)) -> Self {
        machine.run(&["init"]).expect(0);
        machine.run(&["backup", source]).expect(0);
        let mut bench = Self { machine, source, then: String::new(), now: String::new() };
        bench.then = bench.look();
        edit(&bench.machine);
        bench.now = bench.look();
        assert_ne!(bench.then, bench.now);
        bench
    }

    /// What the live source holds, in full.
    fn look(&self) -> String {
        match self.source {
            "tree" => look_at_tree(&self.machine.path("tree")),
            _ => sqlite(&self.machine.path("db/billing.db"), ".dump"),
        }
    }

    /// What lies aside, in full.
    fn look_aside(&self) -> String {
        match self.source {
            "tree" => look_at_tree(&self.machine.path(".tree.windlass-undo")),
            _ => sqlite(&self.machine.path("db/.billing.db.windlass-undo"), ".dump"),
        }
    }

    fn run(&self, arguments: &[&str]) {
        self.machine.run(&[arguments, &["--yes"]].concat()).expect(0);
    }

    /// Kills a restore or an undo; gives whether it hit the phase that was aimed at.
    fn strike(&self, arguments: &[&str], phase: &str, delay: Duration) -> bool {
        let arguments = [arguments, &["--yes"]].concat();
        kill(&self.machine, &arguments, phase, delay, &mut || true).was_in(phase)
    }

    /// The next command settles what the kill has left; afterwards the source is one of the two, and gives which.
    fn settled(&self) -> bool {
        self.machine.run(&["list"]).expect(0);
        self.machine.run(&["snapshot", self.source]).expect(0);
        let found = self.look();
        assert!(found == self.then || found == self.now, "neither what it was nor the snapshot: {}", lines_that_differ(&found, &self.now));
        if self.source == "tree" {
            assert_eq!(fs::read(self.machine.path("tree").join(EXCLUDED)).unwrap(), b"kept");
        }
        let beside: Vec<PathBuf> = fs::read_dir(self.machine.path(if self.source == "tree" { "" } else { "db" }))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains("windlass-staging") || path.to_string_lossy().contains("earlier"))
            .collect();
        assert!(beside.is_empty(), "{beside:?}");
        found == self.then
    }
}

fn look_at_tree(root: &Path) -> String {
    let picture = picture(root);
    picture.iter().filter(|(path, _)| *path != EXCLUDED).map(|(path, seen)| format!("{path} {seen:?}\n")).collect()
}

fn sqlite(database: &Path, sql: &str) -> String {
    let outcome = Command::new("sqlite3").arg(database).arg(sql).output().expect("the tests need the program sqlite3");
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    String::from_utf8(outcome.stdout).unwrap()
}

fn lines_that_differ(a: &str, b: &str) -> String {
    let other: std::collections::BTreeSet<&str> = b.lines().collect();
    a.lines().filter(|line| !other.contains(line)).take(5).collect::<Vec<_>>().join("\n")
}

/// Kills a restore from the repository in this phase. Each round begins and ends with the source as it is now, not as it was then.
fn restore_is_killed(bench: &Bench, id: &str, phase: &str, spread: u64) {
    let mut chance = Chance::new();
    let (mut landed, mut placed) = (0, 0);
    let restore = ["restore", id, "--from", "repository"];
    for _ in 0..ATTEMPTS {
        let met = bench.strike(&restore, phase, chance.up_to(Duration::from_millis(spread)));
        if met && phase == "fetching" {
            assert_eq!(bench.look(), bench.now, "nothing is touched while files are fetched");
        }
        if bench.settled() {
            placed += 1;
        } else {
            if landed > 0 {
                assert_eq!(bench.look_aside(), bench.then, "the undo of before is kept until a restore has come through");
            }
            bench.run(&restore);
            assert_eq!(bench.look(), bench.then);
        }
        bench.run(&["restore", bench.source, "--undo"]);
        assert_eq!(bench.look(), bench.now, "the undo brings back what was there");
        landed += usize::from(met);
        if landed == KILLS {
            println!("{landed} kills landed in {phase}; {placed} restores came through");
            return;
        }
    }
    panic!("only {landed} of {ATTEMPTS} kills landed in {phase} (seed {})", chance.seed);
}

/// Kills an undo. Each round begins and ends with the source restored.
fn undo_is_killed(bench: &Bench, id: &str) {
    let mut chance = Chance::new();
    bench.run(&["restore", id]);
    let undo = ["restore", bench.source, "--undo"];
    let mut landed = 0;
    for _ in 0..ATTEMPTS {
        let met = bench.strike(&undo, "undoing", chance.up_to(Duration::from_millis(6)));
        if bench.settled() {
            bench.run(&undo);
            assert_eq!(bench.look(), bench.now);
        }
        bench.run(&undo);
        assert_eq!(bench.look(), bench.then, "undoing an undo is a redo");
        landed += usize::from(met);
        if landed == KILLS {
            return;
        }
    }
    panic!("only {landed} of {ATTEMPTS} kills landed in the undo (seed {})", chance.seed);
}

fn id_of(bench: &Bench) -> String {
    let (id, _) = bench.machine.listed().remove(0);
    format!("{}/{id}", bench.source)
}

#[test]
fn a_kill_while_files_are_staged_touches_nothing() {
    let bench = Bench::directory();
    restore_is_killed(&bench, &id_of(&bench), "fetching", 60);
}

#[test]
fn a_kill_while_a_directory_is_put_in_place_leaves_the_one_or_the_other() {
    let bench = Bench::directory();
    restore_is_killed(&bench, &id_of(&bench), "placing", 25);
}

#[test]
fn a_kill_while_a_database_is_put_in_place_leaves_the_one_or_the_other() {
    let bench = Bench::database();
    restore_is_killed(&bench, &id_of(&bench), "placing", 10);
}

#[test]
fn a_kill_while_a_directory_is_undone_leaves_the_one_or_the_other() {
    let bench = Bench::directory();
    undo_is_killed(&bench, &id_of(&bench));
}

#[test]
fn a_kill_while_a_database_is_undone_leaves_the_one_or_the_other() {
    let bench = Bench::database();
    undo_is_killed(&bench, &id_of(&bench));
}
