//! What the agent answers over HTTP: metrics that Prometheus' own parsers read and the page describes, how things stand, and a run for who has the
//! token.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::http::{Answer, ask, free_port, get, names, parsed, send, value};
use crate::support::program::{Machine, Run, finish, until};

/// What is asked for with a token.
const TOKEN: &str = "hunter2-hunter2-hunter2";

/// What of the page depends on what an agent has not done yet when it has shipped once.
const LATER: [&str; 5] = [
    "windlass_verified_ratio",
    "windlass_oldest_unverified_timestamp_seconds",
    "windlass_verification_success_timestamp_seconds",
    "windlass_damaged_objects",
    "windlass_agent_busy_seconds",
];

/// A machine whose agent answers here.
fn machine(more: &str) -> (Machine, SocketAddr) {
    let at = free_port();
    let agent = format!("[agent]\nlisten = \"{at}\"\n{more}");
    let machine = Machine::initialised().configured(&agent);
    machine.write("a", "some bytes");
    (machine, at)
}

fn started(machine: &Machine, at: SocketAddr) -> Child {
    let agent = machine.start(&["agent"]);
    until("the agent is ready", || get(at, "/readyz").is_some_and(|answer| answer.status == 200));
    agent
}

fn stopped(agent: Child) -> Run {
    kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
    let run = finish(agent);
    run.expect(143);
    run
}

fn shipped(machine: &Machine) -> usize {
    machine.listed().iter().filter(|(_, place)| place == "both").count()
}

fn metrics(at: SocketAddr, accept: &str) -> Answer {
    let answer = ask(at, "GET", "/metrics", &[&format!("Accept: {accept}")]).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The metrics that the page describes.
fn described() -> BTreeSet<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/METRICS.md")).unwrap();
    let names = page.lines().filter_map(|line| line.strip_prefix("| `windlass_")?.split('`').next());
    names.map(|name| format!("windlass_{name}")).collect()
}

#[test]
fn a_scrape_is_read_by_the_parsers_of_prometheus_and_is_what_the_page_says() {
    let (machine, at) = machine("schedule = \"00:00\"\n[retention]\nlast = 7\n");
    let agent = started(&machine, at);
    let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4";
    // Once it has looked how things stand after its shipment.
    until("the shipment is among the metrics", || {
        let body = metrics(at, accept).body;
        ["windlass_unshipped_copies{source=\"tree\"} 0", "windlass_prune_success_timestamp_seconds "].iter().all(|line| body.contains(line))
    });
    let (open, old) = (metrics(at, accept), metrics(at, "text/plain"));
    assert_eq!(open.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(old.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let samples = parsed(&open.body, &open.headers["content-type"]);
    assert_eq!(names(&samples), names(&parsed(&old.body, &old.headers["content-type"])));
    // Prometheus may well read the new text as if it were the old one.
    assert_eq!(names(&samples), names(&parsed(&open.body, "text/plain")));

    let tree = [("source", "tree")];
    let of = |name: &str| value(&samples, name, &tree).unwrap_or_else(|| panic!("{name}: {samples:#?}"));
    let stage = |name: &str, stage: &str| value(&samples, name, &[("source", "tree"), ("stage", stage)]).unwrap();
    let status = machine.json(&["status"], 0);
    let status = &status["sources"][0];
    let at_id = |key: &str| status[key].as_str().unwrap().parse::<windlass::format::snapshot_id::SnapshotId>().unwrap();
    for (tier, key) in [("local", "snapshot"), ("shipped", "shipped")] {
        let told = value(&samples, "windlass_snapshot_timestamp_seconds", &[("source", "tree"), ("tier", tier)]).unwrap();
        assert_eq!((told * 1000.0).round() as i64, at_id(key).to_timestamp().as_millisecond(), "{tier}");
    }
    let next: jiff::Timestamp = status["next_run"].as_str().unwrap().parse().unwrap();
    assert_eq!(of("windlass_next_run_timestamp_seconds") as i64, next.as_second());
    assert_eq!((of("windlass_snapshot_files"), of("windlass_snapshot_size_bytes"), of("windlass_read_bytes_total")), (1.0, 10.0, 10.0));
    assert_eq!((of("windlass_local_copies"), of("windlass_unshipped_copies"), of("windlass_late")), (1.0, 0.0, 0.0));
    assert_eq!(of("windlass_shipped_bytes_total") + of("windlass_reused_bytes_total"), of("windlass_snapshot_stored_bytes"));
    assert_eq!((stage("windlass_steps_total", "snapshot"), stage("windlass_steps_failed_total", "shipment")), (1.0, 0.0));
    assert!(stage("windlass_step_duration_seconds", "snapshot") > 0.0);
    assert!(value(&samples, "windlass_repository_transferred_bytes_total", &[]).unwrap() > 0.0);
    assert_eq!(value(&samples, "windlass_healthy", &[]), Some(1.0));
    stopped(agent);

    let there: BTreeSet<String> = names(&samples).into_iter().chain(LATER.map(str::to_owned)).collect();
    assert_eq!(there, described(), "docs/METRICS.md describes what there is");
    let labels: BTreeSet<&str> = samples.iter().flat_map(|sample| sample.1.keys().map(String::as_str)).collect();
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), ["source", "stage", "tier"]);
}

#[test]
fn how_things_stand_is_the_document_of_status_also_while_the_bucket_is_away() {
    let (machine, at) = machine("schedule = \"never\"\n");
    machine.run(&["backup", "tree"]).expect(0);
    let agent = started(&machine, at);
    let answer = get(at, "/api/status").unwrap();
    assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, "application/json"), "{answer:?}");
    let steady = |mut document: Value| {
        document["time"] = Value::Null;
        document["free_bytes"] = Value::Null;
        document["sources"][0]["age_seconds"] = Value::Null;
        document
    };
    let of_program = machine.json(&["status"], 0);
    assert_eq!((of_program["schema"].as_str(), &of_program["sources"][0]["next_run"]), (Some("windlass.status/1"), &Value::Null));
    assert_eq!(steady(answer.json()), steady(of_program));
    std::fs::rename(machine.path("bucket"), machine.path("away")).unwrap();
    until("what is wrong is said", || get(at, "/api/status").unwrap().json()["healthy"] == false);
    stopped(agent);
}

#[test]
fn status_says_when_each_source_is_due_whether_an_agent_runs_or_not() {
    let machine = Machine::initialised().configured("schedule = \"04:00\"\ntime_zone = \"Etc/GMT-3\"\njitter = \"10m\"\n");
    machine.run(&["backup", "tree"]).expect(0);
    let status = machine.json(&["status"], 0);
    let next: jiff::Timestamp = status["sources"][0]["next_run"].as_str().unwrap().parse().unwrap();
    let now: jiff::Timestamp = status["time"].as_str().unwrap().parse().unwrap();
    let shown = jiff::tz::TimeZone::UTC.to_datetime(next);
    assert!(shown.hour() == 1 && shown.minute() <= 10 && next > now && next.duration_since(now).as_mins() <= 24 * 60 + 10, "{status}");
    let text = machine.run(&["status"]);
    text.expect(0);
    assert!(text.stdout.contains("NEXT RUN") && text.stdout.contains("  in "), "{text:#?}");
}

#[test]
fn whoever_has_the_token_has_a_source_backed_up_now_and_nobody_else_has() {
    let (machine, at) = machine(&format!("schedule = \"never\"\ntoken = \"{TOKEN}\"\n"));
    let agent = started(&machine, at);
    let run = |source: &str, headers: &[&str]| ask(at, "POST", &format!("/api/run/{source}"), headers).unwrap();
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let wrong = format!("Authorization: Bearer {TOKEN}x");
    let mut said = Vec::new();
    let basic = "Authorization: Basic aHVudGVyMg==";
    for headers in [&[][..], &[wrong.as_str()], &[basic], &["Authorization: Bearer"]] {
        let answer = run("tree", headers);
        assert_eq!((answer.status, answer.headers["www-authenticate"].as_str()), (401, "Bearer realm=\"windlass\""), "{answer:?}");
        said.push(answer.body);
    }
    let unknown = run("forest", &[&bearer]);
    assert_eq!(
        (unknown.status, unknown.json()["error"].as_str().unwrap().ends_with("the configuration has: tree")),
        (404, true),
        "{unknown:?}"
    );
    let fetched = ask(at, "GET", "/api/run/tree", &[&bearer]).unwrap();
    assert_eq!((fetched.status, fetched.headers["allow"].as_str()), (405, "POST"), "{fetched:?}");
    let long = format!("POST /api/run/tree HTTP/1.1\r\nHost: x\r\n{bearer}\r\nContent-Length: 2000\r\n\r\n{}", "x".repeat(2000));
    assert!(send(at, long.as_bytes()).unwrap().starts_with("HTTP/1.1 413 "));
    assert_eq!(shipped(&machine), 0);

    let asked = run("tree", &[&bearer]);
    assert_eq!((asked.status, asked.json()["source"].as_str()), (202, Some("tree")), "{asked:?}");
    until("what was asked for is shipped", || shipped(&machine) == 1);
    for path in ["/metrics", "/healthz", "/readyz", "/api/status", "/nothing"] {
        let answer = get(at, path).unwrap();
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        said.push(answer.body);
    }
    said.extend([unknown.body, fetched.body, asked.body]);
    let ended = stopped(agent);
    for words in ["tree: a run that was asked for begins", "tree: the run that was asked for is done, a snapshot was taken and shipped"] {
        assert!(ended.stderr.contains(words), "{words}: {ended:#?}");
    }
    said.extend([ended.said(), machine.run(&["config", "show"]).said()]);
    assert!(said.iter().all(|text| !text.contains(TOKEN)), "{said:#?}");
}

#[test]
fn a_run_that_was_asked_for_does_not_take_the_place_of_the_next_one() {
    let (machine, at) = machine(&format!("schedule = \"00:00\"\ntoken = \"{TOKEN}\"\n"));
    let agent = started(&machine, at);
    until("the run that was due is shipped", || shipped(&machine) == 1);
    let next = machine.json(&["status"], 0)["sources"][0]["next_run"].clone();
    let bearer = format!("Authorization: Bearer {TOKEN}");
    until("it is asked for", || ask(at, "POST", "/api/run/tree", &[&bearer]).unwrap().status == 202);
    until("what was asked for is shipped", || shipped(&machine) == 2);
    let ended = stopped(agent);
    let next = next.as_str().unwrap();
    assert!(ended.stderr.contains(&format!("taken and shipped; the next run is at {next}")), "{next}: {ended:#?}");
    let runs = std::fs::read_to_string(machine.path("local/.windlass/agent/tree")).unwrap();
    assert_eq!(runs.matches("\"wall\"").count(), 1, "{runs}");
}

#[test]
fn without_a_token_nobody_can_ask_for_a_run_and_is_told_what_to_write() {
    let (machine, at) = machine("schedule = \"never\"\n");
    let agent = started(&machine, at);
    let answer = ask(at, "POST", "/api/run/tree", &["Authorization: Bearer anything"]).unwrap();
    assert_eq!(answer.status, 403);
    assert!(answer.json()["error"].as_str().unwrap().contains("token_file = "), "{answer:?}");
    stopped(agent);
    assert_eq!(machine.listed(), []);
}

#[test]
fn where_it_answers_is_shown_and_what_cannot_be_is_a_mistake() {
    let machine = Machine::initialised();
    let shown = machine.run(&["config", "show"]);
    assert!(shown.stdout.contains("[agent]\nlisten = \"127.0.0.1:7463\"\n"), "{shown:#?}");
    for (written, says) in [
        ("listen = \"localhost\"", "agent.listen: give an address of this machine and a port, such as \"127.0.0.1:7463\""),
        ("listen = \"127.0.0.1:0\"", "agent.listen: give a port"),
        ("token = \"hunter2\"", "agent.token: this can be guessed: give at least 16 characters"),
        ("token = \"hunter2 and hunter2 and hunter2\"", "agent.token: a token travels in a header"),
    ] {
        machine.configure_again(&format!("[agent]\n{written}\n"));
        let run = machine.run(&["agent"]);
        run.expect(2);
        assert!(run.stderr.contains(says) && !run.stderr.contains("hunter2"), "{written}: {run:#?}");
    }
    machine.configure_again("[agent]\nlisten = \"0.0.0.0:7463\"\n");
    let run = machine.run(&["config", "check"]);
    run.expect(0);
    assert!(run.said().contains("whoever reaches 0.0.0.0:7463 reads metrics and status"), "{run:#?}");
    machine.configure_again("[agent]\nlisten = \"off\"\n");
    assert!(machine.run(&["config", "show"]).stdout.contains("listen = \"off\""));
}
