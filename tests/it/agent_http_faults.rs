//! What the agent answers over HTTP while something is wrong with it or with who asks: it answers all the same, and no backup waits for that.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::process::{Pid, Signal, kill_process};
use windlass::agent::schedule::Schedule;
use windlass::agent::{self, Host, Settings, http};
use windlass::ops::event::Event;
use windlass::sys::clock::{Clock, FixedClock};
use windlass::sys::secret::Secret;

use crate::support::http::{ask, free_port, get, parsed, send, value};
use crate::support::node::Node;
use crate::support::program::{Machine, finish, until};

const TOKEN: &str = "hunter2-hunter2-hunter2";

/// A clock that moves only when the test moves it, and on which the agent really sleeps, if not for long.
struct Held(Arc<FixedClock>);

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl Clock for Held {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration.min(Duration::from_millis(5)));
    }

    fn zone(&self) -> TimeZone {
        TimeZone::UTC
    }
}

/// Runs an agent that backs `node` up every midnight and answers at this address, as long as `meanwhile` takes. `tell` hears what it tells, on its
/// own thread.
fn beside_an_agent(node: &Node, at: SocketAddr, tell: impl Fn(&Event) + Send + Sync + 'static, meanwhile: impl FnOnce()) {
    let ctx = node.context_under(Arc::new(Held(node.clock.clone())), tell);
    let midnight = Schedule::new(vec!["00:00".parse().unwrap()], TimeZone::UTC, Duration::ZERO);
    let http = Some(http::Settings { listen: at, token: Some(Secret::new(TOKEN)) });
    let settings = Settings { schedules: vec![("tree".parse().unwrap(), midnight)], http, ..Settings::default() };
    std::thread::scope(|scope| {
        let agent = scope.spawn(|| agent::run(&ctx, &settings, &Host::alone()));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        node.stop.request(15);
        assert!(agent.join().unwrap().is_err_and(|error| error.is_stopped()));
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn node() -> Node {
    let node = Node::with_folder();
    node.write("a", "bytes");
    node.init();
    node.clock.set("2026-11-23T12:00:00Z".parse().unwrap());
    node
}

#[test]
fn a_run_that_hangs_is_told_by_health_and_nothing_else_stops_answering() {
    let (node, at) = (node(), free_port());
    // Whoever hears that files are copied holds the run until the test lets it go.
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let held = move |event: &Event| {
        if matches!(event, Event::Phase { phase: "copying", .. }) {
            let _ = wait.lock().unwrap().recv_timeout(Duration::from_secs(120));
        }
    };
    beside_an_agent(&node, at, held, || {
        let went = go;
        until("the run hangs", || get(at, "/healthz").is_some_and(|answer| answer.body.contains("copying")));
        let healthz = || get(at, "/healthz").unwrap();
        assert_eq!(healthz().body, "alive: snapshot of tree (copying), since 2026-11-23T12:00:00Z\n");
        node.clock.advance(Duration::from_secs(359 * 60));
        assert_eq!(healthz().status, 200);
        node.clock.advance(Duration::from_secs(60));
        let hangs = healthz();
        let told = "hangs: nothing has moved for 360 min; snapshot of tree (copying), since 2026-11-23T12:00:00Z\n";
        assert_eq!((hangs.status, hangs.body.as_str()), (503, told));
        // It has its schedule all the same; and a run of it needs not be asked for.
        assert_eq!(get(at, "/readyz").unwrap().status, 200);
        let asked = ask(at, "POST", "/api/run/tree", &[&format!("Authorization: Bearer {TOKEN}")]).unwrap();
        assert_eq!((asked.status, asked.json()["error"].as_str().unwrap().contains("goes on: snapshot of tree")), (409, true), "{asked:?}");
        let metrics = get(at, "/metrics").unwrap();
        let samples = parsed(&metrics.body, &metrics.headers["content-type"]);
        assert_eq!(value(&samples, "windlass_agent_busy_seconds", &[("stage", "snapshot")]), Some(21_600.0));
        assert_eq!(value(&samples, "windlass_agent_still_seconds", &[]), Some(21_600.0));
        assert_eq!(get(at, "/api/status").unwrap().json()["sources"][0]["snapshot"], serde_json::Value::Null);
        drop(went);
        until("it is alive again", || healthz().status == 200);
    });
}

#[test]
fn what_is_away_or_not_set_is_said_by_readiness_and_no_reason_to_restart() {
    let (node, at) = (node(), free_port());
    let (local, disk) = (node.path("local"), node.path("disk"));
    std::fs::rename(&local, &disk).unwrap();
    std::fs::create_dir(&local).unwrap();
    let bearer = format!("Authorization: Bearer {TOKEN}");
    beside_an_agent(
        &node,
        at,
        |_| (),
        || {
            until("it says why", || get(at, "/readyz").is_some_and(|answer| answer.body.contains("is its disk mounted?")));
            assert_eq!((get(at, "/readyz").unwrap().status, get(at, "/healthz").unwrap().status), (503, 200));
            let asked = ask(at, "POST", "/api/run/tree", &[&bearer]).unwrap();
            assert_eq!((asked.status, asked.json()["error"].as_str().unwrap().contains("is its disk mounted?")), (503, true), "{asked:?}");
            // The clock was never set, and the disk comes.
            node.clock.set("1970-01-01T00:10:00Z".parse().unwrap());
            std::fs::remove_dir(&local).unwrap();
            std::fs::rename(&disk, &local).unwrap();
            until("the clock is all that is wrong", || {
                node.clock.advance(Duration::from_secs(60));
                get(at, "/readyz").unwrap().body.contains("it is not set yet")
            });
            assert_eq!(ask(at, "POST", "/api/run/tree", &[&bearer]).unwrap().status, 503);
            node.clock.set("2026-11-23T12:00:00Z".parse().unwrap());
            assert_eq!((get(at, "/readyz").unwrap().status, get(at, "/readyz").unwrap().body.as_str()), (200, "ready\n"));
        },
    );
}

#[test]
fn a_run_that_failed_is_made_up_for_by_the_one_that_is_asked_for() {
    let (node, at) = (node(), free_port());
    let (tree, away) = (node.path("tree"), node.path("away"));
    std::fs::rename(&tree, &away).unwrap();
    let (taken, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (takes, fails) = (taken.clone(), failed.clone());
    let hears = move |event: &Event| match event {
        Event::SnapshotTaken { .. } => drop(takes.fetch_add(1, Ordering::SeqCst)),
        Event::Warning { message, .. } if message.starts_with("no snapshot was taken") => drop(fails.fetch_add(1, Ordering::SeqCst)),
        _ => {}
    };
    let bearer = format!("Authorization: Bearer {TOKEN}");
    beside_an_agent(&node, at, hears, || {
        let count = |of: &AtomicUsize| of.load(Ordering::SeqCst);
        let ask_now =
            || until("it is asked for", || ask(at, "POST", "/api/run/tree", &[&bearer]).is_some_and(|answer| answer.status == 202));
        until("the run that is due fails", || count(&failed) == 1);
        // Somebody repairs the source and does not wait for the next try; the one that failed is not made as well.
        std::fs::rename(&away, &tree).unwrap();
        ask_now();
        until("what was asked for is taken", || count(&taken) == 1);
        for _ in 0..20 {
            node.clock.advance(Duration::from_secs(600));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(count(&taken), 1);
        // One that fails while nothing is due is told, and not tried again.
        std::fs::rename(&tree, &away).unwrap();
        ask_now();
        until("what was asked for fails", || count(&failed) == 2);
        for _ in 0..20 {
            node.clock.advance(Duration::from_secs(600));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!((count(&taken), count(&failed)), (1, 2));
        let metrics = get(at, "/metrics").unwrap();
        let samples = parsed(&metrics.body, &metrics.headers["content-type"]);
        let of = |name: &str| value(&samples, name, &[("source", "tree"), ("stage", "snapshot")]);
        assert_eq!(
            (of("windlass_steps_total"), of("windlass_steps_failed_total"), of("windlass_failed_in_a_row")),
            (Some(3.0), Some(2.0), Some(1.0))
        );
    });
}

#[test]
fn a_bucket_that_takes_requests_and_never_answers_keeps_nobody_waiting() {
    let (at, bucket) = (free_port(), TcpListener::bind("127.0.0.1:0").unwrap());
    let machine = Machine::initialised();
    let repository = format!(
        "url = \"s3://b/p\"\nendpoint = \"http://{}\"\nregion = \"us-east-1\"\nallow_http = true\naccess_key_id = \"me\"\n\
         secret_access_key = \"hunter2\"\n",
        bucket.local_addr().unwrap()
    );
    machine.configure(&repository, &format!("[agent]\nlisten = \"{at}\"\n"));
    let agent = machine.start(&["agent"]);
    until("it ships", || get(at, "/healthz").is_some_and(|answer| answer.body.contains("shipment of tree")));
    let since = Instant::now();
    let status = get(at, "/api/status").unwrap();
    assert!(since.elapsed() < Duration::from_secs(28), "{:?}", since.elapsed());
    let (document, text) = (status.json(), &status.body);
    assert!(status.status == 200 && document["healthy"] == false && document["sources"][0]["copies"] == 1, "{text}");
    assert!(text.contains("the repository cannot be read") && !text.contains("hunter2"), "{text}");
    let since = Instant::now();
    assert_eq!((get(at, "/metrics").unwrap().status, get(at, "/healthz").unwrap().status), (200, 200));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
    let run = finish(agent);
    run.expect(143);
    assert!(!run.said().contains("hunter2"), "{run:#?}");
}

#[test]
fn a_port_that_is_taken_is_told_and_keeps_no_backup_from_being_made() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let machine = Machine::initialised().configured(&format!("[agent]\nlisten = \"{at}\"\n"));
    let agent = machine.start(&["agent"]);
    until("the first snapshot is shipped", || machine.listed().iter().any(|(_, place)| place == "both"));
    // And it is tried again: within half a minute once the port is free.
    drop(taken);
    until("it answers", || get(at, "/readyz").is_some_and(|answer| answer.status == 200));
    kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
    let run = finish(agent);
    run.expect(143);
    let told = format!("warning: nothing is answered over HTTP: {at} cannot be listened on (");
    assert_eq!(run.stderr.matches(&told).count(), 1, "{run:#?}");
}

#[test]
fn a_connection_that_is_open_keeps_the_agent_neither_from_stopping_nor_from_answering_others() {
    let at = free_port();
    let machine = Machine::initialised().configured(&format!("schedule = \"never\"\n[agent]\nlisten = \"{at}\"\n"));
    let agent = machine.start(&["agent"]);
    until("it is ready", || get(at, "/readyz").is_some_and(|answer| answer.status == 200));
    // One that says nothing, and one that stops in the middle of its request.
    let silent = TcpStream::connect(at).unwrap();
    let mut half = TcpStream::connect(at).unwrap();
    half.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").unwrap();
    assert_eq!(get(at, "/healthz").unwrap().status, 200);
    let since = Instant::now();
    kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
    finish(agent).expect(143);
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    drop((silent, half));
}

#[test]
fn what_somebody_else_decides_has_a_limit() {
    let at = free_port();
    let machine = Machine::initialised().configured(&format!("schedule = \"never\"\n[agent]\nlisten = \"{at}\"\n"));
    let agent = machine.start(&["agent"]);
    until("it is ready", || get(at, "/readyz").is_some_and(|answer| answer.status == 200));
    let long = send(at, format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(64 << 10)).as_bytes()).unwrap();
    assert!(!long.contains("200 OK"), "{long}");
    let longer = send(at, format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(64 << 10)).as_bytes()).unwrap();
    assert!(!longer.contains("200 OK") && longer.len() < 1000, "{longer}");
    assert!(send(at, b"\x16\x03\x01\x02\x00\x01\x00").unwrap().contains("400 Bad Request"), "TLS is not spoken here");
    // More connections than are served at once, none of which says anything: they go when their time is up, and who waits comes on.
    let mut silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(at).unwrap()).collect();
    let since = Instant::now();
    assert_eq!(get(at, "/healthz").unwrap().status, 200);
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    silent[0].set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut nothing = Vec::new();
    let _ = silent[0].read_to_end(&mut nothing);
    assert!(!String::from_utf8(nothing).unwrap().contains("200 OK"));
    kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
    finish(agent).expect(143);
}
