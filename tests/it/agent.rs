//! The agent as a process: what is due it does at once and once, it stops when it is told, and there is one of it on a node.

use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::program::{Machine, Run, finish, until};

/// Copies and shipped snapshots of `tree`.
fn counts(machine: &Machine) -> (usize, usize) {
    let listed = machine.listed();
    (listed.len(), listed.iter().filter(|(_, place)| place != "local").count())
}

/// Starts the agent, waits until it has begun and something is so, and stops it with a signal.
fn agent_until(machine: &Machine, arguments: &[&str], what: &str, is_so: impl Fn() -> bool) -> Run {
    let agent = machine.start(&[arguments, &["agent"]].concat());
    let pid = Pid::from_child(&agent);
    until("the agent has begun", || has_begun(machine, &agent));
    until(what, is_so);
    kill_process(pid, Signal::TERM).unwrap();
    finish(agent)
}

/// Whether this one has the node's lock for agents.
pub fn has_begun(machine: &Machine, agent: &Child) -> bool {
    let holder = std::fs::read_to_string(machine.path("local/.windlass/locks/@agent.lock"));
    holder.is_ok_and(|holder| holder.contains(&format!("process {},", agent.id())))
}

/// Lets an agent that has begun make what it would make wrongly: a run takes a tenth of that.
fn rested() -> bool {
    std::thread::sleep(Duration::from_secs(2));
    true
}

#[test]
fn what_is_due_is_done_when_the_agent_starts_and_not_again_when_it_starts_once_more() {
    let machine = Machine::initialised();
    std::fs::write(machine.path("tree/a"), "a").unwrap();
    // And it has had the time to say so.
    let is_told = || counts(&machine) == (1, 1) && rested();
    let run = agent_until(&machine, &[], "the first snapshot is shipped", is_told);
    run.expect(143);
    for words in ["tree: the run of 20", "T00:00:00 begins, ", "a snapshot was taken and shipped; the next run is at 20"] {
        assert!(run.stderr.contains(words), "{words}: {run:#?}");
    }
    assert_eq!(run.stdout, "");
    // It looks at what there is to do before it says when it is due next.
    let run = agent_until(&machine, &["--json"], "it has had time to do more", rested);
    run.expect(143);
    let scheduled = run.stderr.lines().find(|line| line.contains("\"event\":\"scheduled\"")).unwrap();
    let scheduled: serde_json::Value = serde_json::from_str(scheduled).unwrap();
    assert!(scheduled["source"] == "tree" && scheduled["next"].as_str().is_some_and(|next| next.starts_with("20")), "{scheduled}");
    assert_eq!(counts(&machine), (1, 1));
}

#[test]
fn a_snapshot_that_a_timer_took_since_midnight_is_as_good_as_the_agents_own_run() {
    let machine = Machine::initialised();
    machine.run(&["backup", "tree"]).expect(0);
    // Midnight must not pass between the two, so the zone is one in which it is noon now.
    let hour = hour();
    let zone = format!("Etc/GMT{:+}", hour - 12);
    machine.configure_again(&format!("time_zone = \"{zone}\"\n"));
    agent_until(&machine, &[], "it has had time to do more", rested).expect(143);
    assert_eq!(counts(&machine).0, 1);
}

/// The hour of the day in UTC.
fn hour() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(since / 3600 % 24).unwrap()
}

#[test]
fn a_second_agent_on_a_node_says_who_the_first_one_is_and_ends() {
    let machine = Machine::initialised().configured("schedule = \"never\"\n");
    let agent = machine.start(&["agent"]);
    let pid = Pid::from_child(&agent);
    until("the agent has begun", || has_begun(&machine, &agent));
    let second = machine.run(&["agent"]);
    second.expect(5);
    assert!(second.stderr.contains(&format!("process {}", agent.id())), "{second:#?}");
    // A person's commands are not kept from their work, and a source that is left alone by the agent is not backed up by it.
    machine.run(&["backup", "tree"]).expect(0);
    kill_process(pid, Signal::KILL).unwrap();
    let first = finish(agent);
    assert!(first.stderr.contains("tree: the agent leaves it alone"), "{first:#?}");
    assert_eq!(counts(&machine), (1, 1));
    // What a kill leaves is no lock.
    agent_until(&machine, &[], "another agent has begun", || true).expect(143);
}

#[test]
fn a_bucket_that_is_away_keeps_no_snapshot_from_being_taken_and_is_told() {
    let machine = Machine::initialised();
    std::fs::rename(machine.path("bucket"), machine.path("away")).unwrap();
    // What was made is noted before it is shipped.
    let is_made = || machine.path("local/.windlass/agent/tree").exists();
    let run = agent_until(&machine, &[], "a copy is there", is_made);
    run.expect(143);
    std::fs::rename(machine.path("away"), machine.path("bucket")).unwrap();
    assert_eq!(counts(&machine), (1, 0), "{run:#?}");
    // The next one ships it first thing.
    let run = agent_until(&machine, &[], "the copy is shipped", || counts(&machine) == (1, 1));
    run.expect(143);
    assert!(!run.stderr.contains("begins"), "{run:#?}");
}

#[test]
fn a_schedule_that_cannot_be_is_named_with_its_place_before_anything_is_done() {
    let machine =
        Machine::initialised().configured("schedule = [\"03:00\", \"25:00\"]\ntime_zone = \"Europe/Atlantis\"\njitter = \"13h\"\n");
    let run = machine.run(&["agent"]);
    run.expect(2);
    for words in ["directory.tree.schedule: `25:00` is no time of day", "directory.tree.time_zone: give a name such as", "give at most 12h"]
    {
        assert!(run.stderr.contains(words), "{words}: {run:#?}");
    }
    machine.configure_again("[agent]\nschedule = \"30 2 * * sun\"\ntime_zone = \"Europe/Berlin\"\njitter = \"10m\"\n");
    let shown = machine.run(&["config", "show"]);
    shown.expect(0);
    for line in ["schedule = \"30 2 * * sun\"", "time_zone = \"Europe/Berlin\"", "jitter = \"10m\""] {
        assert!(shown.stdout.contains(line), "{line}: {shown:#?}");
    }
}

#[test]
fn of_two_machines_with_one_node_name_one_ships_and_the_other_says_why_it_does_not() {
    let (first, second) = (Machine::initialised(), Machine::initialised());
    second.configure(&format!("url = \"file://{}\"", first.path("bucket").display()), "");
    for machine in [&first, &second] {
        machine.write("a", machine.path("").display().to_string());
    }
    let agent = first.start(&["agent"]);
    until("the first one has shipped", || counts(&first) == (1, 1));
    let local = || std::fs::read_dir(second.path("local/tree")).is_ok_and(|copies| copies.count() == 1) && rested();
    let run = agent_until(&second, &[], "the second one has a copy of its own", local);
    run.expect(143);
    assert!(run.stderr.contains("the node name `node-1` belongs to another machine"), "{run:#?}");
    assert!(run.stderr.contains("Give this machine another [node] name"), "{run:#?}");
    kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
    finish(agent).expect(143);
    first.run(&["verify"]).expect(0);
    assert_eq!(counts(&first), (1, 1));
}
