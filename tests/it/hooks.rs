//! An operator's commands around the runs of a source: what they are told, and what becomes of a run when one fails or hangs.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::Signal;

use crate::support::program::{Machine, finish, send, until};

/// A script that writes down what it is told, a line for each call with its variables in the order of their names, and then does something.
fn hook(machine: &Machine, name: &str, then: &str) -> String {
    let calls = machine.path("calls");
    // In one write, so that somebody who looks sees all of it.
    let text = format!("line=$(env -0 | sort -z | tr '\\n\\0' ' \\t'); echo \"$line\" >>{}\n{then}", calls.display());
    format!("[\"{}\", \"an argument\"]", machine.script(name, &text).display())
}

/// What the hooks were told, in the order of the calls.
fn calls(machine: &Machine) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(machine.path("calls")).unwrap_or_default();
    let variables = |line: &str| {
        let pairs = line.split('\t').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    text.lines().map(variables).collect()
}

/// Which hooks were called.
fn names(machine: &Machine) -> Vec<String> {
    calls(machine).into_iter().map(|mut call| call.remove("WINDLASS_HOOK").unwrap()).collect()
}

/// A machine whose hooks do this after they have written down what they were told.
fn machine(before: &str, after: &str, failed: &str, more: &str) -> Machine {
    let machine = Machine::initialised();
    let [before, after, failed] =
        [("before", before), ("after", after), ("failed", failed)].map(|(name, then)| format!("{name} = {}", hook(&machine, name, then)));
    machine.configure_again(&format!("hooks = {{ {before}, {after}, {failed}{more} }}\n"));
    machine
}

/// Waits until the process whose number is in a file has ended; that somebody has still to take note of that does not matter.
fn ends(machine: &Machine, file: &str) {
    let pid = fs::read_to_string(machine.path(file)).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    until("it has ended", || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")));
}

#[test]
fn hooks_of_a_backup_are_told_of_its_run_and_nothing_else_of_ours() {
    let machine = machine("", "", "", "");
    let mut command = machine.command(&["backup", "tree"]);
    command.env("WINDLASS_SECRET", "hunter2").env("AWS_SECRET_ACCESS_KEY", "hunter2").env("HOME", "/root");
    finish(command.spawn().unwrap()).expect(0);
    let calls = calls(&machine);
    assert_eq!(names(&machine), ["before", "after"]);
    let [before, after] = &calls[..] else { panic!("{calls:#?}") };
    let (id, place) = machine.listed().remove(0);
    assert_eq!(place, "both");
    for call in &calls {
        assert_eq!((call["WINDLASS_NODE"].as_str(), call["WINDLASS_SOURCE"].as_str()), ("node-1", "tree"));
        assert!(call.contains_key("PATH") && call["HOME"] == "/root" && !format!("{call:?}").contains("hunter2"), "{call:#?}");
    }
    assert_eq!((after["WINDLASS_SNAPSHOT"].as_str(), after["WINDLASS_SHIPPED"].as_str()), (id.as_str(), "true"));
    assert!(!before.contains_key("WINDLASS_SNAPSHOT") && !after.contains_key("WINDLASS_ERROR"));
    // What is a person's, and what does nothing, has no hooks.
    machine.run(&["snapshot", "tree"]).expect(0);
    machine.run(&["ship", "tree"]).expect(0);
    machine.run(&["backup", "tree", "--dry-run"]).expect(0);
    assert_eq!(names(&machine).len(), 2);
}

#[test]
fn a_failing_before_hook_stops_the_run_and_the_failed_hook_is_told_why() {
    let machine = machine("for n in 1 2 3 4 5 6 7 8 9; do echo line $n; done; exit 7", "", "exit 9", "");
    let run = machine.run(&["backup", "tree"]);
    run.expect(1);
    for words in ["the hook `before` did not go well, so nothing was begun", "exit code 7", "line 9", "warning: tree: the hook `failed`"] {
        assert!(run.stderr.contains(words), "{words}: {run:#?}");
    }
    assert!(!run.stderr.contains("line 2"), "the last lines are enough: {run:#?}");
    assert_eq!((machine.listed(), names(&machine)), (vec![], vec!["before".to_owned(), "failed".to_owned()]));
    let told = &calls(&machine)[1]["WINDLASS_ERROR"];
    assert!(told.contains("did not go well") && told.contains("exit code 7"), "{told}");
    let status = machine.run(&["status"]);
    assert!(status.said().contains("the hook `before`"), "{status:#?}");
}

#[test]
fn a_hook_that_is_no_program_stops_the_run_and_one_that_hangs_ends_with_all_that_it_has_started() {
    let machine = Machine::initialised().configured("hooks = { before = [\"/nowhere/hook\"] }\n");
    let run = machine.run(&["backup", "tree"]);
    run.expect(1);
    assert!(run.stderr.contains("/nowhere/hook"), "{run:#?}");
    let hangs = format!("sleep 600 & echo $! >{}; wait", machine.path("pid").display());
    machine.configure_again(&format!("hooks = {{ before = {}, timeout = \"1s\" }}\n", hook(&machine, "hangs", &hangs)));
    let run = machine.run(&["backup", "tree"]);
    run.expect(1);
    assert!(run.stderr.contains("it has not ended within 1 seconds, and was ended"), "{run:#?}");
    ends(&machine, "pid");
}

#[test]
fn a_failing_after_hook_is_a_warning_and_a_copy_that_is_not_shipped_is_told_as_that() {
    let machine = machine("", "echo no room for it; exit 1", "", "");
    let run = machine.run(&["backup", "tree"]);
    run.expect(0);
    let words = "warning: tree: the hook `after` did not go well: exit code 1; it said: no room for it";
    assert!(run.stderr.contains(words), "{run:#?}");
    fs::rename(machine.path("bucket"), machine.path("away")).unwrap();
    machine.run(&["backup", "tree"]).expect(3);
    assert_eq!(calls(&machine).last().unwrap()["WINDLASS_SHIPPED"], "false");
    assert_eq!(names(&machine), ["before", "after", "before", "after"]);
}

#[test]
fn the_agent_runs_hooks_tries_again_after_one_that_fails_and_reloads_only_once_its_run_is_through() {
    let hold = |machine: &Machine| format!("while [ ! -e {} ]; do sleep 0.05; done", machine.path("go").display());
    let machine = Machine::initialised();
    let before = hook(&machine, "before", &hold(&machine));
    let after = hook(&machine, "after", "");
    machine.configure_again(&format!("[agent]\nhooks = {{ before = {before}, after = {after} }}\n"));
    let mut command = machine.command(&["agent"]);
    let agent = command.stderr(fs::File::create(machine.path("log")).unwrap()).spawn().unwrap();
    let log = || fs::read_to_string(machine.path("log")).unwrap();
    until("the hook runs", || names(&machine) == ["before"]);
    // Of a source that the agent does not know yet; and one of its own goes before that of all.
    let other = hook(&machine, "other", "echo not today; exit 1");
    let path = machine.path("other-tree");
    fs::create_dir(&path).unwrap();
    let failed = hook(&machine, "failed", "");
    let text = format!(
        "[agent]\nhooks = {{ before = {before}, after = {after}, failed = {failed} }}\n[directory.other]\npath = \"{}\"\nhooks = {{ before = {other} }}\n",
        path.display()
    );
    machine.configure_again(&text);
    send(agent.id(), Signal::HUP);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(!log().contains("was read again"), "{}", log());
    fs::write(machine.path("go"), "").unwrap();
    until("the run is through, and the file was read", || log().contains("was read again"));
    until("the copy of the run is shipped", || log().contains("a snapshot was taken and shipped"));
    until("the other one has failed", || names(&machine).iter().any(|name| name == "failed"));
    until("that is told", || log().contains("other: no snapshot was taken; tried again in 1 min: the hook `before` did not go well"));
    send(agent.id(), Signal::TERM);
    let mut agent = agent;
    assert_eq!(agent.wait().unwrap().code(), Some(143));
    let of_tree: Vec<_> = calls(&machine).into_iter().filter(|call| call["WINDLASS_SOURCE"] == "tree").collect();
    assert_eq!(of_tree.len(), 2, "{of_tree:#?}");
    assert_eq!((of_tree[1]["WINDLASS_HOOK"].as_str(), of_tree[1]["WINDLASS_SHIPPED"].as_str()), ("after", "true"));
    assert!(log().contains("not today"), "{}", log());
}

#[test]
fn a_stop_ends_a_hook_with_all_that_it_has_started_and_what_it_has_stopped_can_be_started_again() {
    let machine = Machine::initialised();
    let hangs = format!("sleep 600 & echo $! >{}; wait", machine.path("pid").display());
    let (before, failed) = (hook(&machine, "before", &hangs), hook(&machine, "failed", ""));
    machine.configure_again(&format!("hooks = {{ before = {before}, failed = {failed} }}\n"));
    for arguments in [&["agent"][..], &["backup", "tree"]] {
        let _ = fs::remove_file(machine.path("calls"));
        let _ = fs::remove_file(machine.path("pid"));
        let run = machine.start(arguments);
        until("the hook hangs", || fs::read_to_string(machine.path("pid")).is_ok_and(|pid| pid.ends_with('\n')));
        send(run.id(), Signal::TERM);
        finish(run).expect(143);
        ends(&machine, "pid");
        assert_eq!(names(&machine), ["before", "failed"], "{arguments:?}");
        assert!(calls(&machine)[1]["WINDLASS_ERROR"].contains("stopped"));
    }
}

#[test]
fn what_cannot_be_a_hook_is_a_mistake_and_what_is_one_is_shown() {
    let machine = Machine::initialised();
    let text = "hooks = { before = [\"\"], after = \"x\", beside = [\"x\"], timeout = \"5h\" }\n[agent]\nhooks = [\"x\"]\n";
    machine.configure_again(text);
    let run = machine.run(&["config", "check"]);
    run.expect(2);
    for words in [
        "directory.tree.hooks.before: this is a program and its arguments",
        "directory.tree.hooks.after: this must be a list of texts",
        "directory.tree.hooks.beside: there is no such key",
        "directory.tree.hooks.timeout: give from 1s to 4h",
        "agent.hooks: this must be a table",
    ] {
        assert!(run.stdout.contains(words), "{words}: {run:#?}");
    }
    machine.configure_again(
        "[agent]\nhooks = { before = [\"a\", \"b\"], after = [\"c\"], timeout = \"1m\" }\n[directory.tree.hooks]\nafter = []\n",
    );
    let shown = machine.run(&["config", "show"]);
    shown.expect(0);
    let shown: toml::Table = shown.stdout.parse().unwrap();
    let hooks = shown["directory"]["tree"]["hooks"].as_table().unwrap();
    assert_eq!(hooks.to_string(), "before = [\"a\", \"b\"]\ntimeout = \"1m\"\n");
}

#[test]
fn what_before_has_stopped_is_started_again_by_the_next_run_when_the_one_between_was_killed() {
    let machine = Machine::initialised();
    machine.write("a", "bytes");
    let (stopped, why, ending) = (machine.path("stopped"), machine.path("why"), machine.path("ending"));
    let hooks = |after: &str| {
        let failed = format!("rm {}; echo \\\"$WINDLASS_ERROR\\\" >> {}", stopped.display(), why.display());
        format!(
            "hooks = {{ before = [\"touch\", \"{}\"], after = [\"sh\", \"-c\", \"{after}\"], failed = [\"sh\", \"-c\", \"{failed}\"] }}\n",
            stopped.display()
        )
    };
    machine.configure_again(&hooks(&format!("touch {}; exec sleep 20", ending.display())));
    let backup = machine.start(&["backup", "tree"]);
    until("its last hook runs", || ending.exists());
    send(backup.id(), Signal::KILL);
    finish(backup);
    assert!(stopped.exists() && !why.exists());
    machine.configure_again(&hooks(&format!("rm {}", stopped.display())));
    let run = machine.run(&["backup", "tree"]);
    assert!(run.expect(0).stderr.contains("the run before this was killed after its hook `before`"), "{run:#?}");
    assert!(fs::read_to_string(&why).unwrap().contains("the run was killed"));
    // A run that came to its end leaves nothing of that behind.
    assert!(!stopped.exists());
    machine.run(&["backup", "tree"]).expect(0);
    assert_eq!(fs::read_to_string(&why).unwrap().lines().count(), 1);
}
