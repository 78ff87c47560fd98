//! The real program, killed in each step of a restore of a Cassandra node and of its undo: the next command settles it, and the node runs with
//! the rows that it had or with those of the snapshot.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::cassandra_restore_stopped::Bench;
use crate::support::kill::{Chance, kill};
use crate::support::program::{Run, text};
use crate::support::servers::cassandra::spec::Version;

/// How often a step is struck until a kill has come in it.
const ATTEMPTS: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verb {
    Restore,
    Undo,
}

use Verb::{Restore, Undo};

/// Where a kill is to come: the phase that the run is in, and the stage that `node.json` names then.
type Aim = (Verb, &'static str, &'static str);

/// Every phase of a restore, and of its undo those that tell the two apart.
const ON_5_0: [Aim; 9] = [
    (Restore, "fetching", "staging"),
    (Restore, "draining", "stopping"),
    (Restore, "stopping", "stopping"),
    (Restore, "placing", "out"),
    (Restore, "starting", "starting"),
    (Undo, "undoing", "staging"),
    (Undo, "starting", "starting"),
    (Restore, "checking", "starting"),
    (Undo, "checking", "ending"),
];

/// Every phase of an undo; the restores between them are struck where those of the other node are not.
const ON_4_1: [Aim; 8] = [
    (Restore, "checking", "ending"),
    (Undo, "undoing", "staging"),
    (Undo, "draining", "stopping"),
    (Undo, "stopping", "stopping"),
    (Undo, "placing", "out"),
    (Undo, "starting", "starting"),
    (Restore, "placing", "in"),
    (Undo, "checking", "starting"),
];

/// Longest that a kill waits once its step has begun: what takes a few milliseconds is struck at once.
fn longest(phase: &str) -> Duration {
    match phase {
        "fetching" => Duration::from_millis(40),
        "draining" | "stopping" | "starting" => Duration::from_millis(400),
        _ => Duration::ZERO,
    }
}

struct Struck {
    bench: Bench,
    then: Vec<String>,
    now: Vec<String>,
    /// The snapshot, by its name.
    name: String,
    chance: Chance,
    /// Whether the keyspace holds the snapshot.
    is_restored: bool,
}

impl Struck {
    fn new(version: Version) -> Self {
        let bench = Bench::small(version);
        let then = bench.dump("small");
        bench.backup();
        let id = bench.machine.json(&["list"], 0)["snapshots"][0]["id"].clone();
        bench.run(&["DELETE FROM small.t WHERE id = 2", "INSERT INTO small.t (id, v) VALUES (3, 'since')"]);
        let now = bench.dump("small");
        Self { bench, then, now, name: format!("homestead/{}", text(&id)), chance: Chance::new(), is_restored: false }
    }

    fn words(&self, verb: Verb) -> Vec<&str> {
        match verb {
            Restore => vec!["restore", &self.name, "--yes", "-v"],
            Undo => vec!["restore", "homestead", "--undo", "--yes"],
        }
    }

    fn document(&self) -> PathBuf {
        self.bench.machine.path("local/.windlass/restore/homestead/node.json")
    }

    /// How far `node.json` says that it has come, while there is one.
    fn stage(&self) -> Option<String> {
        let document: Value = serde_json::from_slice(&std::fs::read(self.document()).ok()?).unwrap();
        Some(text(&document["stage"]))
    }

    /// What the keyspace is to hold.
    fn wanted(&self, is_restored: bool) -> &[String] {
        if is_restored { &self.then } else { &self.now }
    }

    /// Carries out what nothing breaks off.
    fn comes_through(&mut self, verb: Verb) {
        self.bench.machine.run(&self.words(verb)).expect(0);
        self.is_restored = verb == Restore;
        assert_eq!(self.bench.dump("small"), self.wanted(self.is_restored), "{verb:?}");
    }

    /// Kills a run where it is aimed at, and has the next command settle it. Gives whether the kill came there.
    fn strike(&mut self, (verb, phase, stage): Aim, delay: Duration) -> bool {
        let mut holds = || self.stage().as_deref() == Some(stage);
        let killed = kill(&self.bench.machine, &self.words(verb), phase, delay, &mut holds);
        let left = self.stage();
        println!("{verb:?} in {phase} at {stage}: {killed:?} at {left:?}");
        let settled = self.bench.machine.run(&["snapshot", "homestead"]);
        settled.expect(0);
        let what = format!("{verb:?} in {phase}: {killed:?}, {left:?} (seed {}) {settled:#?}", self.chance.seed);
        // Up to the moment when the last old file is aside it is taken back.
        let (is_over, how) = match left.as_deref() {
            None => (self.bench.dump("small") == self.wanted(verb == Restore), ""),
            Some("staging" | "stopping" | "out") => (false, "was taken back"),
            Some(_) => (true, "was finished"),
        };
        assert!(settled.stderr.contains(how), "{what}");
        self.is_restored = (verb == Restore) == is_over;
        assert_eq!(self.bench.dump("small"), self.wanted(self.is_restored), "{what}");
        assert_eq!(self.stage(), None, "{what}");
        killed.was_in(phase) && left.as_deref() == Some(stage)
    }

    /// Strikes until a kill has come where it is aimed at, later ones sooner.
    fn is_struck(&mut self, aim: Aim) {
        let (verb, phase, _) = aim;
        let came = (0..ATTEMPTS).any(|attempt| {
            if self.is_restored == (verb == Restore) {
                self.comes_through(if verb == Restore { Undo } else { Restore });
            }
            let most = longest(phase) / 4_u32.pow(attempt);
            let delay = if most.is_zero() { most } else { self.chance.up_to(most) };
            self.strike(aim, delay)
        });
        assert!(came, "no kill came in {aim:?} (seed {})", self.chance.seed);
    }

    /// After all of that both ways go through, and nothing is left beside.
    fn is_sound(&mut self) {
        self.comes_through(if self.is_restored { Undo } else { Restore });
        assert_eq!(self.bench.ours().len(), 1, "{:?}", self.bench.ours());
    }
}

#[test]
fn a_kill_in_any_step_of_a_restore_leaves_the_one_or_the_other() {
    let mut struck = Struck::new(Version::V50);
    ON_5_0.into_iter().for_each(|aim| struck.is_struck(aim));
    struck.is_sound();
}

#[test]
fn a_kill_in_any_step_of_an_undo_leaves_the_one_or_the_other() {
    let mut struck = Struck::new(Version::V41);
    ON_4_1.into_iter().for_each(|aim| struck.is_struck(aim));
    struck.is_sound();
}

/// Renames of an exchange between two that are struck.
const EVERY: usize = 4;

#[test]
fn a_kill_at_any_rename_and_a_node_that_is_started_meanwhile_leave_the_one_or_the_other() {
    let struck = Struck::new(Version::V50);
    let bench = &struck.bench;
    let mut ways = BTreeSet::new();
    for (round, at) in (1..).step_by(EVERY).enumerate() {
        let inject = format!("inject=renameat2:signal=SIGKILL:when={at}");
        let run = bench.machine.alone_under_strace(&["-e", "trace=renameat2", "-e", &inject], &["restore", &struck.name, "--yes"]);
        let is_over = run.code == Some(0);
        if !is_over {
            assert!(bench.server.pid().is_none(), "the node is down while its files change places: {run:#?}");
            // Every other time the machine starts it at its boot, before anything of ours is run.
            if round % 2 == 1 {
                bench.server.start();
                bench.run(&["INSERT INTO small.u (id, v) VALUES (7, 'meanwhile')"]);
                bench.server.nodetool(&["flush", "small"]);
            }
            // Whichever command comes next on the source settles it, and goes on with its own work.
            let next = match round {
                2 => vec!["restore", &struck.name, "--yes"],
                4 => vec!["restore", "homestead", "--undo", "--yes"],
                _ => vec!["snapshot", "homestead"],
            };
            let settled = bench.machine.run(&next);
            assert!(settled.code == Some(0) || (round == 4 && settled.code == Some(6)), "{settled:#?}");
            let way = ["was taken back", "was finished"].into_iter().find(|way| settled.stderr.contains(way));
            ways.insert(way.unwrap_or_else(|| panic!("{settled:#?}")));
        }
        let meanwhile = |line: &String| !line.contains("meanwhile");
        let found: Vec<String> = bench.dump("small").into_iter().filter(meanwhile).collect();
        assert!(found == struck.then || found == struck.now, "at rename {at}: {found:#?}");
        if is_over {
            assert!(found == struck.then && ways.len() == 2, "kills before and after the last old file was aside: {ways:?}");
            return;
        }
        if found == struck.then {
            bench.restore(&["--undo"]).expect(0);
        }
    }
}

/// Has the node not start with the files of the snapshot: the first start fails, the second does what is said here, all others start it.
fn does_not_start(bench: &Bench, second: &str) {
    let (mark, start) = (bench.machine.path("starts"), bench.server.command("start").remove(0));
    std::fs::write(&mark, "").unwrap();
    let script = format!(
        "echo >>{0}; case $(wc -l <{0}) in 1) echo 'no memory for the heap' >&2; exit 7 ;; 2) {second} ;; esac; exec {start}",
        mark.display()
    );
    let script = bench.machine.script("start.sh", &script);
    bench.configure("small", &bench.server.command("stop"), &[script.to_str().unwrap().to_owned()]);
}

fn count_renames(trace: &[&str]) -> usize {
    trace.iter().filter(|line| line.starts_with("renameat2(")).count()
}

#[test]
fn a_kill_while_the_old_files_are_put_back_leaves_them_in_place_by_the_next_command() {
    let struck = Struck::new(Version::V41);
    let bench = &struck.bench;
    let restore = ["restore", &struck.name, "--yes", "-v"];
    let is_settled = |killed: &Run| {
        let settled = bench.machine.run(&["snapshot", "homestead"]);
        settled.expect(0);
        assert!(settled.stderr.contains("was taken back"), "{killed:#?} {settled:#?}");
        assert_eq!(bench.dump("small"), struck.now, "{killed:#?} {settled:#?}");
    };
    does_not_start(bench, "true");
    // Commands are started between: those that files go by come before the first start, those that they come back by before the second.
    let log = bench.machine.path("trace");
    let whole = bench.machine.alone_under_strace(&["-e", "trace=renameat2,clone3,vfork", "-o", log.to_str().unwrap()], &restore);
    whole.expect(1);
    let trace = std::fs::read_to_string(&log).unwrap();
    let starts = |line: &str| line.contains("CLONE_VFORK") || line.starts_with("vfork");
    let renames =
        trace.lines().collect::<Vec<_>>().split(|line| starts(line)).map(count_renames).filter(|count| *count > 0).collect::<Vec<_>>();
    let [before @ .., back] = &renames[..] else { panic!("{trace}") };
    let (out, back) = (before.iter().sum::<usize>(), *back);
    assert!(out > 6 && back > 6, "{renames:?}: {trace}");
    for at in [1, back - 1] {
        does_not_start(bench, "true");
        let inject = format!("inject=renameat2:signal=SIGKILL:when={}", out + at);
        let killed = bench.machine.alone_under_strace(&["-e", "trace=renameat2", "-e", &inject], &restore);
        assert_eq!(killed.code, None, "{killed:#?}");
        is_settled(&killed);
    }
    // And while the node starts with them.
    does_not_start(bench, "kill -KILL $PPID");
    let killed = bench.machine.run(&restore);
    assert_eq!(killed.code, None, "{killed:#?}");
    is_settled(&killed);
    // Whether the node had taken writes with the files of the snapshot, nobody knows after a kill: they are kept, and nothing else is.
    let ours = bench.ours();
    assert!(ours.iter().all(|kept| kept.to_str().unwrap().ends_with(".written")), "{ours:?}");
}
