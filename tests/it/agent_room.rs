//! An agent whose disk is full when it starts: it stays up and says so, loses nothing, and goes on by itself once there is room. The disks are
//! small ones of the kernel's.

use std::fs;

use crate::support::program::{Machine, Run};
use crate::support::tree::noise;

/// A machine with two shipped copies of before midnight, and with something new since that is as large.
fn machine() -> Machine {
    let machine = Machine::initialised().configured("schedule = \"00:00\"\n[agent]\nlisten = \"off\"\n");
    for seed in [0, 1] {
        machine.write("a", noise(seed, 1 << 20));
        machine.run(&["backup", "tree"]).expect(0);
    }
    let agent = machine.path("local/.windlass/agent");
    fs::create_dir_all(&agent).unwrap();
    let run = "{\"runs\":[{\"wall\":\"2026-01-01T00:00:00\",\"instant\":\"2026-01-01T00:00:00Z\"}]}";
    fs::write(agent.join("tree"), run).unwrap();
    machine.write("a", noise(2, 1 << 20));
    machine
}

/// Lets an agent run on a machine whose folder `place` lies on a disk that a file fills, until it has told `told`; does `meanwhile` and makes room;
/// and stops the agent once there are so many snapshots in both tiers. A try that failed comes again after a minute.
fn until_there_is_room(place: &str, told: &str, meanwhile: &str, copies: usize) -> Run {
    let script = format!(
        "within() {{ local end=$((SECONDS + 200)); until eval \"$1\"; do ((SECONDS < end)) || {{ echo \"never: $1\"; break; }}; sleep 0.5; done; }}\n\
         head -c 30M /dev/zero > {place}/filler 2>/dev/null\n\
         \"$program\" --config windlass.toml agent 2> log & agent=$!\n\
         within 'grep -q \"{told}\" log'\n\
         {meanwhile}\n\
         rm {place}/filler\n\
         within '[ $(windlass list | grep -c both) = {copies} ]'\n\
         kill $agent; wait $agent; echo \"the agent ends with $?\"\n\
         windlass verify; echo \"proof ends with $?\"\n\
         cat log"
    );
    let run = machine().on_a_disk_of("12m", place, &script);
    assert!(!run.stdout.contains("never: "), "{run:#?}");
    assert!(run.stdout.contains("the agent ends with 143") && run.stdout.contains("proof ends with 0"), "{run:#?}");
    run
}

#[test]
fn a_full_disk_of_local_copies_is_told_with_numbers_and_the_snapshot_is_taken_once_there_is_room() {
    // What the help of the error says is to work then, above all.
    let forget = "windlass list > full; echo \"the list ends with $?\"\n\
                  windlass forget --local $(grep -om1 'tree/[0-9TZ]*' full) --yes; echo \"forgetting ends with $?\"";
    let run = until_there_is_room("local", "no snapshot was taken; tried again in 1 min", forget, 2);
    for words in ["the list ends with 0", "forgetting ends with 0", "0 B are free", "3 shipped snapshots, 2 local copies"] {
        assert!(run.stdout.contains(words), "{words}: {run:#?}");
    }
}

#[test]
fn a_full_repository_is_told_and_the_copy_is_shipped_once_there_is_room() {
    let look = "windlass list > full; echo \"the list ends with $?\"";
    let run = until_there_is_room("bucket", "its copies lie on this node and are not shipped; tried again in 1 min", look, 3);
    for words in ["the list ends with 0", "No space left on device"] {
        assert!(run.stdout.contains(words), "{words}: {run:#?}");
    }
}
