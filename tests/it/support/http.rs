//! A client of HTTP that sends what it is told, also what no library would, and Prometheus' own parsers for what comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// A port of this machine that was free a moment ago.
pub fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer of HTTP: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers =
            lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends bytes as they are, and gives what comes back until the other side is done; nothing where nobody listens.
pub fn send(at: SocketAddr, request: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // Whoever refuses a request may do so before all of it is there.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Some(String::from_utf8(answer).unwrap())
}

/// One request with these lines in its head; nothing where nobody listens.
pub fn ask(at: SocketAddr, method: &str, path: &str, headers: &[&str]) -> Option<Answer> {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let answer = send(at, format!("{method} {path} HTTP/1.1\r\nHost: {at}\r\n{headers}\r\n").as_bytes())?;
    Some(Answer::read(&answer))
}

pub fn get(at: SocketAddr, path: &str) -> Option<Answer> {
    ask(at, "GET", path, &[])
}

/// One sample: its name, its labels, its value.
pub type Sample = (String, BTreeMap<String, String>, f64);

/// What Prometheus' own parsers read: one of them for each of its two formats, in Python.
pub fn parsed(text: &str, content_type: &str) -> Vec<Sample> {
    const READ: &str = "
import json, sys
text = sys.stdin.read()
if sys.argv[1].startswith('application/openmetrics-text'):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as read
else:
    from prometheus_client.parser import text_string_to_metric_families as read
families = list(read(text))
# Where one text is read as the other one, what is described is a name without its ending.
if 'version' in sys.argv[1]:
    assert len({family.name for family in families}) == len(families)
    assert all(family.documentation and family.type in ('gauge', 'counter') for family in families)
print(json.dumps([[sample.name, sample.labels, sample.value] for family in families for sample in family.samples]))
";
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", READ, content_type]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().expect("the tests need python3 and its package prometheus-client");
    python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let read = python.wait_with_output().unwrap();
    assert!(read.status.success(), "this cannot be read as {content_type}:\n{text}");
    serde_json::from_slice(&read.stdout).unwrap()
}

/// The names of samples.
pub fn names(samples: &[Sample]) -> BTreeSet<String> {
    samples.iter().map(|(name, ..)| name.clone()).collect()
}

/// The value of the one sample of this name that has these labels, if there is one.
pub fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
    let found: Vec<f64> = samples.iter().filter(|sample| sample.0 == name && sample.1 == labels).map(|sample| sample.2).collect();
    assert!(found.len() <= 1, "{name} {labels:?}: {samples:#?}");
    found.first().copied()
}
