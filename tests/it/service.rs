//! The agent as a service: what it tells systemd, what SIGHUP and SIGTERM make of it, and what its lines look like in a journal.

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::agent::has_begun;
use crate::support::program::{Machine, Run, finish, send, until};

/// Far longer than a stop takes, and shorter than the grace period after which the agent would end itself.
const SOON: Duration = Duration::from_secs(30);

/// An agent, what systemd hears of it, and its standard error as it comes.
struct Served<'a> {
    machine: &'a Machine,
    child: Child,
    heard: Arc<Mutex<String>>,
}

/// What comes to a socket, as it comes.
fn listen(path: &Path) -> Arc<Mutex<String>> {
    let socket = UnixDatagram::bind(path).unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let hears = heard.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read) = socket.recv(&mut buffer) {
            hears.lock().unwrap().push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    });
    heard
}

impl<'a> Served<'a> {
    fn start(machine: &'a Machine) -> Self {
        let path = machine.path("notify");
        let heard = listen(&path);
        let mut command = machine.command(&["agent"]);
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000000");
        let log = File::create(machine.path("log")).unwrap();
        Self { machine, child: command.stderr(log).spawn().unwrap(), heard }
    }

    /// All that systemd has heard until now.
    fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }

    fn hears(&self, words: &str) {
        until(words, || self.heard().contains(words));
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.machine.path("log")).unwrap()
    }

    fn says(&self, words: &str) {
        until(words, || self.log().contains(words));
    }

    fn hang_up(&self) {
        send(self.child.id(), Signal::HUP);
    }

    /// Stops it; gives all that it has said.
    fn stop(mut self) -> String {
        stop(&mut self.child);
        self.hears("STOPPING=1");
        self.log()
    }
}

/// Stops an agent with SIGTERM, and sees that it ends soon.
fn stop(agent: &mut Child) {
    let since = Instant::now();
    send(agent.id(), Signal::TERM);
    let status = agent.wait().unwrap();
    assert_eq!(status.code(), Some(143), "{status:?}");
    assert!(since.elapsed() < SOON, "it took {:?}", since.elapsed());
}

/// That the next run of a person finds no lock, and what was begun is made.
fn locks_are_free(machine: &Machine) {
    machine.run(&["snapshot", "tree"]).expect(0);
}

#[test]
fn systemd_hears_that_it_is_ready_what_comes_next_that_it_lives_and_that_it_ends() {
    let machine = Machine::initialised();
    let agent = Served::start(&machine);
    agent.hears("READY=1\nSTATUS=the next run is that of tree at 20");
    agent.hears("STATUS=takes a snapshot of tree\n");
    agent.hears("STATUS=ships tree\n");
    until("it lives", || agent.heard().matches("WATCHDOG=1\n").count() >= 3);
    assert!(!agent.heard().contains("STOPPING"), "{}", agent.heard());
    agent.stop();
    // Whoever only runs a command has nothing told.
    let heard = listen(&machine.path("other"));
    let backup = machine.command(&["backup", "tree"]).env("NOTIFY_SOCKET", machine.path("other")).spawn().unwrap();
    finish(backup).expect(0);
    assert_eq!(*heard.lock().unwrap(), "");
}

#[test]
fn a_service_manager_that_does_not_listen_keeps_the_agent_from_nothing() {
    let machine = Machine::initialised();
    let deaf = UnixDatagram::bind(machine.path("deaf")).unwrap();
    let mut command = machine.command(&["agent"]);
    let mut agent = command.env("NOTIFY_SOCKET", machine.path("deaf")).env("WATCHDOG_USEC", "4000").spawn().unwrap();
    until("its run is over", || machine.listed().iter().any(|(_, place)| place == "both"));
    stop(&mut agent);
    drop(deaf);
}

#[test]
fn an_agent_that_waits_for_its_disk_has_started_and_says_what_it_waits_for() {
    let machine = Machine::initialised();
    std::fs::rename(machine.path("local"), machine.path("disk")).unwrap();
    std::fs::create_dir(machine.path("local")).unwrap();
    let agent = Served::start(&machine);
    agent.hears("READY=1\nSTATUS=nothing is backed up yet: ");
    agent.stop();
}

#[test]
fn a_bad_file_is_refused_with_all_its_mistakes_and_the_old_one_stays_in_force() {
    let machine = Machine::initialised();
    let agent = Served::start(&machine);
    agent.says("a snapshot was taken and shipped");
    machine.configure_again("keap = 3\nschedule = \"25:00\"\n[directory.other]\n");
    agent.hang_up();
    agent.hears("RELOADING=1\nMONOTONIC_USEC=");
    let refused = "warning: the configuration is not reloaded, and the old one stays in force: ";
    until("all mistakes are told", || agent.log().matches(refused).count() == 3);
    for words in ["did you mean `keep`?", "`25:00` is no time of day", "directory.other.path: this is missing"] {
        assert!(agent.log().contains(words), "{words}: {}", agent.log());
    }
    until("it is ready again", || agent.heard().matches("READY=1\n").count() == 2);
    // What it cannot change while it runs.
    for (old, new, key) in [("node-1", "node-2", "`node.name`"), ("/local\"", "/elsewhere\"", "`local.dir`")] {
        machine.configure_again("");
        let text = std::fs::read_to_string(machine.path("windlass.toml")).unwrap();
        std::fs::write(machine.path("windlass.toml"), text.replace(old, new)).unwrap();
        agent.hang_up();
        agent.says(&format!("{refused}{}", format_args!("{key} has changed, which takes a restart")));
    }
    assert!(!machine.path("elsewhere").exists());
    assert!(!agent.log().contains("is in force\n"), "{}", agent.log());
    agent.stop();
}

#[test]
fn a_changed_file_is_in_force_after_a_hang_up_and_what_was_done_by_the_old_one_is_not_done_again() {
    let machine = Machine::initialised();
    let agent = Served::start(&machine);
    agent.says("a snapshot was taken and shipped");
    std::fs::create_dir(machine.path("other")).unwrap();
    std::fs::create_dir(machine.path("elsewhere")).unwrap();
    // Another source, and another repository.
    let url = format!("url = \"file://{}\"", machine.path("elsewhere").display());
    let other = format!("[directory.other]\npath = \"{}\"\n", machine.path("other").display());
    machine.configure(&url, &other);
    machine.run(&["init"]).expect(0);
    agent.hang_up();
    agent.says("the configuration was read again and is in force");
    agent.says("other: the run of ");
    until("all is shipped there", || machine.listed().len() == 2 && machine.listed().iter().all(|(_, place)| place == "both"));
    assert_eq!(agent.log().matches("tree: the run of ").count(), 2, "it began once and was done once: {}", agent.log());
    // A source that is taken out, and one that is left alone.
    machine.configure(&url, "schedule = \"never\"\n");
    agent.hang_up();
    agent.says("tree: the agent leaves it alone");
    agent.hears("STATUS=nothing is due");
    agent.stop();
}

#[test]
fn a_stop_in_the_middle_of_a_snapshot_leaves_no_copy_and_no_lock() {
    let machine = Machine::initialised();
    for n in 0..8 {
        machine.write(&format!("large-{n}"), vec![n; 32 << 20]);
    }
    let mut agent = machine.start(&["agent"]);
    let is_partial = |name: std::ffi::OsString| name.to_string_lossy().ends_with(".partial");
    let folder = machine.path("local/tree");
    until("a copy is being made", || {
        std::fs::read_dir(&folder).is_ok_and(|mut names| names.any(|name| is_partial(name.unwrap().file_name())))
    });
    stop(&mut agent);
    assert_eq!(machine.listed(), []);
    locks_are_free(&machine);
    assert_eq!(machine.listed().len(), 1);
}

#[test]
fn a_stop_while_a_shipment_waits_for_a_server_that_hangs_leaves_no_lock() {
    let machine = Machine::initialised();
    // It takes connections and requests, and says nothing.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = server.local_addr().unwrap();
    let (asked, is_asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for near in server.incoming() {
            let mut near = near.unwrap();
            near.read_exact(&mut [0; 4]).unwrap();
            kept.push(near);
            let _ = asked.send(());
        }
    });
    let keys = "access_key_id = \"a\"\nsecret_access_key = \"b\"\nregion = \"r\"\nallow_http = true";
    machine.configure(&format!("url = \"s3://bucket\"\nendpoint = \"http://{endpoint}\"\n{keys}"), "");
    let mut agent = machine.start(&["agent"]);
    is_asked.recv_timeout(SOON * 4).unwrap();
    stop(&mut agent);
    machine.configure_again("");
    locks_are_free(&machine);
    machine.run(&["ship", "tree"]).expect(0);
}

#[test]
fn lines_of_a_journal_begin_with_their_priority_and_those_of_any_other_stream_do_not() {
    for arguments in [&["agent"][..], &["--json", "agent"]] {
        let machine = Machine::initialised();
        std::fs::rename(machine.path("bucket"), machine.path("away")).unwrap();
        let path = machine.path("log");
        let log = File::create(&path).unwrap();
        let stat = log.metadata().unwrap();
        let mut command = machine.command(arguments);
        command.env("JOURNAL_STREAM", format!("{}:{}", stat.dev(), stat.ino())).stderr(log);
        let mut agent = command.spawn().unwrap();
        let text = || std::fs::read_to_string(&path).unwrap();
        until("the shipment has failed", || text().contains("are not shipped"));
        until("the run has ended", || text().contains("taken and not shipped") || text().contains("\"event\":\"run_ended\""));
        stop(&mut agent);
        for line in text().lines() {
            let (priority, rest) = (&line[..3], &line[3..]);
            let wanted = match rest {
                rest if rest.starts_with("warning: ") || rest.contains("\"event\":\"warning\"") => "<4>",
                rest if rest.starts_with("error: ") || rest.starts_with("  ") || rest.contains("\"event\":\"error\"") => "<3>",
                rest if rest.contains("\"event\":\"phase\"") => "<7>",
                _ => "<6>",
            };
            assert_eq!(priority, wanted, "{line}");
            let is_json = serde_json::from_str::<serde_json::Value>(rest).is_ok();
            assert_eq!(is_json, arguments[0] == "--json", "{line}");
        }
        assert!(text().contains("<4>") && text().contains("<6>"), "{}", text());
    }
    // The variable is handed on to those whose output leads elsewhere.
    let machine = Machine::initialised();
    let run: Run = finish(machine.command(&["ship", "tree"]).env("JOURNAL_STREAM", "1:2").spawn().unwrap());
    assert!(run.stderr.starts_with("error: "), "there is no copy to ship: {run:#?}");
}

#[test]
fn a_hang_up_before_the_agent_or_of_any_other_command_ends_it_as_ever() {
    let machine = Machine::initialised();
    let (hold, held) = (machine.path("local/.windlass/locks/tree.lock"), machine.start(&["agent"]));
    until("the agent has begun", || has_begun(&machine, &held));
    until("its run is over", || machine.listed().iter().any(|(_, place)| place == "both"));
    send(held.id(), Signal::KILL);
    finish(held);
    // A lock that somebody else holds keeps a command waiting.
    let lock = File::options().write(true).create(true).truncate(false).open(&hold).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    // Whoever runs the tests may have them ignore the signal, and what is ignored is inherited.
    let plain = machine.command(&["snapshot", "tree", "--wait=1h"]);
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal=HUP").arg(plain.get_program()).args(plain.get_args()).stdin(Stdio::null()).stderr(Stdio::null());
    let mut waiting = command.spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    send(waiting.id(), Signal::HUP);
    assert_eq!(waiting.wait().unwrap().signal(), Some(Signal::HUP.as_raw()), "it was ended by the signal");
}
