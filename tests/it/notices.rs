//! Heartbeats and the webhook of the agent, against a server that hears them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::Value;
use windlass::agent::notices::{Address, Addresses};

use crate::agent_faults::{agent_that_notifies, at, node};
use crate::support::program::{Machine, send, until};

/// What makes an address a secret.
const SECRET: &str = "hunter2-0000-4000-8000-c0ffee000000";

/// A server that writes down what it is asked, and answers with one status.
struct Hearing {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Hearing {
    fn answers(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hearing = Self { address: listener.local_addr().unwrap(), heard: Arc::default() };
        let heard = hearing.heard.clone();
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (near, heard) = (near.unwrap(), heard.clone());
                std::thread::spawn(move || hear(near, status, &heard));
            }
        });
        hearing
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}/{SECRET}", self.address)
    }

    /// What was asked for, without the secret.
    fn asked(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|(line, _)| line.replace(SECRET, "SECRET")).collect()
    }

    fn body(&self, at: usize) -> Value {
        serde_json::from_str(&self.heard.lock().unwrap()[at].1).unwrap()
    }
}

fn hear(near: TcpStream, status: &str, heard: &Mutex<Vec<(String, String)>>) {
    let mut reader = BufReader::new(near.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let line = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    heard.lock().unwrap().push((line, String::from_utf8(body).unwrap()));
    if status.is_empty() {
        // It hangs.
        std::thread::park();
    }
    let mut near = near;
    let _ = write!(near, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

/// An agent whose standard error lies in the file `log`.
fn agent(machine: &Machine) -> Child {
    let log = std::fs::File::create(machine.path("log")).unwrap();
    machine.command(&["-v", "agent"]).stderr(log).spawn().unwrap()
}

/// Ends it; gives what it has said.
fn end(machine: &Machine, mut agent: Child) -> String {
    send(agent.id(), Signal::TERM);
    assert_eq!(agent.wait().unwrap().code(), Some(143));
    std::fs::read_to_string(machine.path("log")).unwrap()
}

#[test]
fn a_heartbeat_hears_when_a_run_begins_and_that_it_has_come_through() {
    let (all, own) = (Hearing::answers("200 OK"), Hearing::answers("200 OK"));
    let machine = Machine::initialised();
    std::fs::write(machine.path("address"), own.url("own")).unwrap();
    std::fs::create_dir(machine.path("other")).unwrap();
    machine.configure_again(&format!(
        "heartbeat_file = \"{}\"\n[directory.other]\npath = \"{}\"\n[agent]\nheartbeat = \"{}?rid=1\"\nwebhook = \"{}\"\n",
        machine.path("address").display(),
        machine.path("other").display(),
        all.url("all"),
        all.url("hook")
    ));
    let shown = machine.run(&["config", "show"]);
    assert!(shown.stdout.contains("heartbeat = \"(secret)\"") && shown.stdout.contains("webhook = \"(secret)\""), "{shown:#?}");
    let agent = agent(&machine);
    until("both are told", || (own.asked().len(), all.asked().len()) == (2, 2));
    let log = end(&machine, agent);
    assert_eq!(own.asked(), ["GET /own/SECRET/start", "GET /own/SECRET"]);
    assert_eq!(all.asked(), ["GET /all/SECRET/start?rid=1", "GET /all/SECRET?rid=1"]);
    assert!(!log.contains(SECRET) && !shown.said().contains(SECRET), "{log}");
}

#[test]
fn a_failure_is_told_to_the_heartbeat_each_time_and_posted_to_the_webhook_once() {
    let hearing = Hearing::answers("204 No Content");
    let mut node = node();
    let addresses = Addresses {
        heartbeats: [("tree".parse().unwrap(), Address::read(&hearing.url("beat")).unwrap())].into(),
        webhook: Some(Address::read(&hearing.url("hook")).unwrap()),
    };
    let (tree, away) = (node.path("tree"), node.path("away"));
    std::fs::rename(&tree, &away).unwrap();
    let did = agent_that_notifies(
        &mut node,
        addresses,
        move |now| {
            if now >= at("2026-11-23T12:10:00Z") && away.exists() {
                std::fs::rename(&away, &tree).unwrap();
            }
            now < at("2026-11-23T14:00:00Z")
        },
        |_, _| (),
    );
    let asked = hearing.asked();
    assert_eq!(asked.first().unwrap(), "GET /beat/SECRET/start");
    assert_eq!(asked[1..3], ["GET /beat/SECRET/fail", "POST /hook/SECRET"]);
    assert_eq!(asked.iter().filter(|line| line.starts_with("POST")).count(), 1, "{asked:#?}");
    assert!(asked.iter().filter(|line| line.ends_with("/fail")).count() >= 2, "{asked:#?}");
    assert_eq!(asked.last().unwrap(), "GET /beat/SECRET");
    assert_eq!(asked.iter().filter(|line| line.ends_with("SECRET") && line.starts_with("GET")).count(), 1, "{asked:#?} {did:#?}");
    let body = hearing.body(2);
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    assert_eq!((text("schema"), text("node")), ("windlass.failure/1".into(), "node-1".into()));
    assert_eq!((text("source"), text("work"), text("run")), ("tree".into(), "snapshot".into(), "2026-11-23T00:00:00".into()));
    assert!(text("time").starts_with("2026-11-23T12:") && text("next_try") > text("time"), "{body}");
    assert!(text("error").contains("tree") && body["snapshot"].is_null(), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 9, "{body}");
}

#[test]
fn a_heartbeat_that_two_sources_share_is_not_well_while_one_of_them_fails() {
    let hearing = Hearing::answers("200 OK");
    let machine = Machine::initialised();
    machine.configure_again(&format!(
        "[agent]\nheartbeat = \"{}\"\n[directory.gone]\npath = \"{}\"\n",
        hearing.url("beat"),
        machine.path("gone").display()
    ));
    let agent = agent(&machine);
    until("one is shipped", || machine.run(&["--json", "list"]).stdout.contains("\"both\""));
    until("the other one is told", || hearing.asked().iter().any(|line| line.ends_with("/fail")));
    std::thread::sleep(std::time::Duration::from_secs(1));
    end(&machine, agent);
    let asked = hearing.asked();
    assert!(asked.iter().all(|line| line.ends_with("/start") || line.ends_with("/fail")), "{asked:#?}");
}

#[test]
fn an_address_that_hangs_or_refuses_delays_no_backup_and_is_told_by_its_host_alone() {
    for (status, says) in
        [("", None), ("404 Not Found", Some("it answers with 404 Not Found")), ("302 Found", Some("it answers with 302 Found: give"))]
    {
        let hearing = Hearing::answers(status);
        let machine = Machine::initialised();
        machine.configure_again(&format!("heartbeat = \"{}\"\n", hearing.url("beat")));
        let agent = agent(&machine);
        until("the backup is through", || machine.listed().iter().any(|(_, place)| place == "both"));
        let heard = hearing.asked();
        if let Some(says) = says {
            let told = || std::fs::read_to_string(machine.path("log")).unwrap();
            let says = format!("warning: tree: the heartbeat at {} could not be told: {says}", hearing.address);
            until("it is told", || told().matches(&says).count() == 2);
            assert_eq!(hearing.asked(), ["GET /beat/SECRET/start", "GET /beat/SECRET"], "what is refused is not asked for again");
        } else {
            assert_eq!(heard, ["GET /beat/SECRET/start"], "it hangs at the first one");
        }
        let log = end(&machine, agent);
        assert!(!log.contains(SECRET), "{log}");
    }
}

#[test]
fn an_address_that_is_none_is_a_mistake_that_does_not_show_it() {
    let machine = Machine::initialised();
    machine.configure_again(&format!("heartbeat = \"{SECRET}\"\nwebhook = \"https://x\"\n[agent]\nwebhook = \"ftp://{SECRET}\"\n"));
    let run = machine.run(&["config", "check"]);
    run.expect(2);
    for words in
        ["directory.tree.heartbeat: this must be an address", "directory.tree.webhook: there is no such key", "agent.webhook: this must be"]
    {
        assert!(run.stdout.contains(words), "{words}: {run:#?}");
    }
    assert!(!run.said().contains(SECRET), "{run:#?}");
}
