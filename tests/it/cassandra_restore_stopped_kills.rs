//! The real program, killed in each step of a restore of a Cassandra node and of its undo: the next command settles it, and the node runs with
//! the rows that it had or with those of the snapshot.

use std::time::Duration;

use crate::cassandra_restore_stopped::Bench;
use crate::support::kill::{Chance, Killed, kill};
use crate::support::program::{Run, text};
use crate::support::servers::cassandra::spec::Version;

/// Steps of an exchange, as `node.json` names them, and the phase of the run that each is in.
const STEPS: [(&str, &str); 5] =
    [("staging", "fetching"), ("stopping", "draining"), ("stopping", "stopping"), ("out", "placing"), ("starting", "starting")];

/// How often a step is struck until a kill has come in time.
const ATTEMPTS: usize = 4;

/// Longest that a kill waits once its step has begun: most steps of a small keyspace take less than a second.
const DELAY: Duration = Duration::from_millis(400);

struct Struck {
    bench: Bench,
    then: Vec<String>,
    now: Vec<String>,
    /// The snapshot, by its name.
    name: String,
    chance: Chance,
}

impl Struck {
    fn new(version: Version) -> Self {
        let bench = Bench::small(version);
        let then = bench.dump("small");
        bench.backup();
        let id = bench.machine.json(&["list"], 0)["snapshots"][0]["id"].clone();
        bench.run(&["DELETE FROM small.t WHERE id = 2", "INSERT INTO small.t (id, v) VALUES (3, 'since')"]);
        let now = bench.dump("small");
        Self { bench, then, now, name: format!("homestead/{}", text(&id)), chance: Chance::new() }
    }

    /// Kills a run in this step, has the next command settle it, and gives whether the keyspace holds the snapshot then.
    fn strike(&mut self, is_undo: bool, (step, phase): (&str, &str)) -> Option<bool> {
        let document = self.bench.machine.path("local/.windlass/restore/homestead/node.json");
        let wanted = format!("\"stage\": \"{step}\"");
        let begun = || std::fs::read_to_string(&document).is_ok_and(|text| text.contains(&wanted));
        // What takes a few milliseconds is struck at once.
        let delay = if step == "out" { Duration::ZERO } else { self.chance.up_to(DELAY) };
        let mut holds = || step == "staging" || step == "out" || begun();
        let name = self.name.clone();
        let arguments = if is_undo { ["restore", "homestead", "--undo", "--yes"] } else { ["restore", &name, "--yes", "-v"] };
        let killed = kill(&self.bench.machine, &arguments, phase, delay, &mut holds);
        let settled = self.bench.machine.run(&["snapshot", "homestead"]);
        settled.expect(0);
        let found = self.bench.dump("small");
        assert!(found == self.then || found == self.now, "{step}, {killed:?}: {found:#?} {settled:#?} (seed {})", self.chance.seed);
        assert!(!document.exists());
        matches!(killed, Killed::In(_)).then_some(found == self.then)
    }
}

#[test]
fn a_kill_in_any_step_of_a_restore_leaves_the_one_or_the_other() {
    let mut struck = Struck::new(Version::V50);
    for step in STEPS {
        let landed = (0..ATTEMPTS).any(|_| {
            let Some(is_restored) = struck.strike(false, step) else { return false };
            if is_restored {
                struck.bench.restore(&["--undo"]).expect(0);
            }
            assert_eq!(struck.bench.dump("small"), struck.now);
            true
        });
        assert!(landed, "no kill came in {step:?}");
    }
    // After all of that a restore and its undo go through, and nothing is left beside.
    struck.bench.machine.run(&["restore", &struck.name, "--yes"]).expect(0);
    assert_eq!(struck.bench.dump("small"), struck.then);
    assert_eq!(struck.bench.ours().len(), 1, "{:?}", struck.bench.ours());
}

#[test]
fn a_kill_in_any_step_of_an_undo_leaves_the_one_or_the_other() {
    let mut struck = Struck::new(Version::V41);
    struck.bench.restore(&[]).expect(0);
    for step in [("out", "placing"), ("starting", "starting")] {
        let landed = (0..ATTEMPTS).any(|_| {
            let Some(is_restored) = struck.strike(true, step) else { return false };
            if !is_restored {
                struck.bench.restore(&["--undo"]).expect(0);
            }
            assert_eq!(struck.bench.dump("small"), struck.then);
            true
        });
        assert!(landed, "no kill came in {step:?}");
    }
    struck.bench.restore(&["--undo"]).expect(0);
    assert_eq!(struck.bench.dump("small"), struck.now);
    assert_eq!(struck.bench.ours().len(), 1, "{:?}", struck.bench.ours());
}

/// Renames of an exchange between two that are struck.
const EVERY: usize = 4;

#[test]
fn a_kill_at_any_rename_and_a_node_that_is_started_meanwhile_leave_the_one_or_the_other() {
    let struck = Struck::new(Version::V50);
    let bench = &struck.bench;
    let mut met = 0;
    for (round, at) in (1..).step_by(EVERY).enumerate() {
        let inject = format!("inject=renameat2:signal=SIGKILL:when={at}");
        let run = bench.machine.alone_under_strace(&["-e", "trace=renameat2", "-e", &inject], &["restore", &struck.name, "--yes"]);
        let is_over = run.code == Some(0);
        if !is_over {
            met += 1;
            assert!(bench.server.pid().is_none(), "the node is down while its files change places: {run:#?}");
            // Every other time the machine starts it at its boot, before anything of ours is run.
            if round % 2 == 1 {
                bench.server.start();
                bench.run(&["INSERT INTO small.u (id, v) VALUES (7, 'meanwhile')"]);
                bench.server.nodetool(&["flush", "small"]);
            }
            let settled = bench.machine.run(&["snapshot", "homestead"]);
            settled.expect(0);
            assert!(settled.stderr.contains("was taken back") || settled.stderr.contains("was finished"), "{settled:#?}");
        }
        let meanwhile = |line: &String| !line.contains("meanwhile");
        let found: Vec<String> = bench.dump("small").into_iter().filter(meanwhile).collect();
        assert!(found == struck.then || found == struck.now, "at rename {at}: {found:#?}");
        if is_over {
            assert!(found == struck.then && met > 2, "{met} kills have hit");
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
