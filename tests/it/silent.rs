//! A store that is there and never answers.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::support::program::{Machine, text};

/// A store that takes connections and never says a word. Gives its endpoint and how often it was asked.
fn silent() -> (String, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // Lives until the test process ends.
    std::thread::spawn(move || {
        let mut open = Vec::new();
        while let Ok((connection, _)) = listener.accept() {
            count.fetch_add(1, Ordering::Relaxed);
            open.push(connection);
        }
    });
    (endpoint, asked)
}

#[test]
fn a_store_that_never_answers_keeps_nobody_from_what_lies_here() {
    let machine = Machine::initialised();
    machine.write("a", b"1");
    machine.run(&["backup", "tree"]).expect(0);
    let name = format!("tree/{}", machine.listed()[0].0);
    let (endpoint, asked) = silent();
    machine.configure(
        &format!(
            "url = \"s3://bucket/some\"\nendpoint = \"{endpoint}\"\nallow_http = true\nregion = \"here\"\naccess_key_id = \"k\"\nsecret_access_key = \"s\""
        ),
        "",
    );
    machine.write("a", b"changed");
    let to = machine.path("to");
    for command in [
        &["cat", &name, "a"][..],
        &["diff", &name, &name],
        &["fetch", &name, "--to", to.to_str().unwrap()],
        &["restore", &name, "--from", "local", "--yes"],
        &["restore", &name[..14], "--from", "local", "--dry-run"],
    ] {
        machine.run(command).expect(0);
        assert_eq!(asked.load(Ordering::Relaxed), 0, "{command:?}");
    }
    assert_eq!(fs::read(machine.path("tree/a")).unwrap(), b"1");
    // What needs both tiers gives the store some time, but not all the time of a run that ships.
    let started = std::time::Instant::now();
    let list = machine.json(&["list"], 3);
    assert!(started.elapsed() < std::time::Duration::from_secs(25), "{:?}", started.elapsed());
    assert!(asked.load(Ordering::Relaxed) > 0);
    assert!(text(&list["unreachable"]).contains("10 s"), "{list:#}");
    assert_eq!((list["snapshots"].as_array().unwrap().len(), &list["snapshots"][0]["where"]), (1, &json!("local")));
}
