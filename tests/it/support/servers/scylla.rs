//! ScyllaDB's API as far as a snapshot needs it, of the tests' own: no ScyllaDB can be had here.
//!
//! It is written from ScyllaDB's source (`api/storage_service.cc`, `db/snapshot-ctl.cc`, `docs/dev/object_storage.md`), and makes real folders and
//! hard links of the files that a test has put into its data directory. It is not ScyllaDB, and answers no CQL.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// Most bytes of the head of a request.
const HEAD_MAX: usize = 64 << 10;

/// What goes wrong with the next snapshot, or the next removal of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused, and nothing is done.
    Refused,
    /// One table is done, then it is refused.
    HalfDone,
    /// All is done, and the connection ends without an answer.
    Cut,
    /// The connection ends at once, and all is done a second later.
    Late,
    /// All is done, and no answer comes for as long as somebody waits for it.
    Silent,
    /// Nothing is done, and the connection ends without an answer.
    Lost,
    /// Nothing is done, and all is said to be well.
    Nothing,
    /// All is done but for this table, and all is said to be well.
    Without(&'static str),
    /// What answers is not ScyllaDB.
    Other,
}

/// A server, which goes with the test process.
pub struct Scylla {
    pub address: SocketAddr,
    node: Arc<Node>,
}

struct Node {
    data: PathBuf,
    host_id: String,
    /// Whether its manifests are those of the newest releases.
    is_newest: bool,
    faults: Mutex<VecDeque<(&'static str, Fault)>>,
    asked: Mutex<Vec<String>>,
}

/// A request: method, path, tag, keyspaces.
struct Request {
    method: String,
    path: String,
    tag: String,
    keyspaces: Vec<String>,
}

impl Scylla {
    /// A node with this id and this data directory.
    pub fn start(data: &Path, host_id: &str, is_newest: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (data, host_id) = (data.to_owned(), host_id.to_owned());
        let node = Arc::new(Node { data, host_id, is_newest, faults: Mutex::default(), asked: Mutex::default() });
        let serving = Arc::clone(&node);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        Self { address, node }
    }

    /// The next request of this method goes wrong.
    pub fn fails(&self, method: &'static str, fault: Fault) {
        self.node.faults.lock().unwrap().push_back((method, fault));
    }

    /// The requests that change something since this was asked last, each with its method and what follows `?`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.node.asked.lock().unwrap())
    }
}

impl Node {
    fn serve(&self, mut stream: TcpStream) {
        let Some(request) = read(&mut stream) else { return };
        if request.method != "GET" {
            let line = format!("{} {} {}", request.method, request.tag, request.keyspaces.join(","));
            self.asked.lock().unwrap().push(line);
        }
        let fault = {
            let mut faults = self.faults.lock().unwrap();
            if faults.front().is_some_and(|(method, _)| *method == request.method) {
                faults.pop_front().map(|(_, fault)| fault)
            } else {
                None
            }
        };
        if fault == Some(Fault::Lost) {
            return;
        }
        if fault == Some(Fault::Late) {
            drop(stream);
            std::thread::sleep(Duration::from_secs(1));
            self.take(&request, None);
            return;
        }
        let (status, body) = match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/storage_service/scylla_release_version") => (200, json!("2025.3.1-0.20250907.2bbf3cf669bb")),
            ("GET", "/storage_service/hostid/local") => (200, json!(self.host_id)),
            ("GET", "/storage_service/tokens") => (200, json!(["77", "-4611686018427387905", "9"])),
            ("POST" | "DELETE", "/storage_service/snapshots") if fault == Some(Fault::Refused) => {
                refusal("std::runtime_error (disk is full)")
            }
            ("POST", "/storage_service/snapshots") => self.take(&request, fault),
            ("DELETE", "/storage_service/snapshots") => self.clear(&request),
            _ => (404, json!({ "message": "Not found", "code": 404 })),
        };
        let body = match (fault, body) {
            (Some(Fault::Cut), _) => return,
            (Some(Fault::Silent), _) => {
                let _ended = stream.read(&mut [0]);
                return;
            }
            (Some(Fault::Other), _) => "<html>It works!</html>".to_owned(),
            (_, Value::Null) => String::new(),
            (_, body) => body.to_string(),
        };
        let head =
            format!("HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
    }

    /// The folders of the tables of these keyspaces, in order.
    fn tables(&self, keyspaces: &[String]) -> Vec<PathBuf> {
        let mut tables = Vec::new();
        for keyspace in keyspaces {
            tables.extend(fs::read_dir(self.data.join(keyspace)).into_iter().flatten().map(|entry| entry.unwrap().path()));
        }
        tables.sort();
        tables
    }

    fn take(&self, request: &Request, fault: Option<Fault>) -> (u16, Value) {
        let Request { tag, keyspaces, .. } = request;
        if let Some(missing) = keyspaces.iter().find(|name| !self.data.join(name).is_dir()) {
            return refusal(&format!("Can't find a keyspace {missing}"));
        }
        let tables = self.tables(keyspaces);
        if tables.iter().any(|table| table.join("snapshots").join(tag).exists()) {
            return refusal(&format!("Keyspace {}: snapshot {tag} already exists.", keyspaces[0]));
        }
        if matches!(fault, Some(Fault::Nothing | Fault::Other)) {
            return (200, Value::Null);
        }
        for table in tables {
            let name = table.file_name().unwrap().to_str().unwrap();
            if matches!(fault, Some(Fault::Without(without)) if name.starts_with(&format!("{without}-"))) {
                continue;
            }
            self.take_table(&table, tag);
            if fault == Some(Fault::HalfDone) {
                return refusal("seastar::abort_requested_exception (abort requested)");
            }
        }
        (200, Value::Null)
    }

    fn take_table(&self, table: &Path, tag: &str) {
        let snapshot = table.join("snapshots").join(tag);
        fs::create_dir_all(&snapshot).unwrap();
        let mut tocs = Vec::new();
        for entry in fs::read_dir(table).unwrap().map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file()) {
            let name = entry.file_name().into_string().unwrap();
            fs::hard_link(entry.path(), snapshot.join(&name)).unwrap();
            tocs.extend(name.ends_with("-TOC.txt").then_some(name));
        }
        fs::write(snapshot.join("schema.cql"), "CREATE TABLE of this table;\n").unwrap();
        let manifest = if self.is_newest {
            let sstables: Vec<Value> = tocs.iter().map(|toc| json!({ "id": "x", "toc_name": toc, "data_size": 1 })).collect();
            json!({ "manifest": { "version": "1.0", "scope": "node" }, "snapshot": { "name": tag }, "sstables": sstables })
        } else {
            json!({ "files": tocs.iter().map(|toc| toc.replace("TOC.txt", "Data.db")).collect::<Vec<_>>() })
        };
        fs::write(snapshot.join("manifest.json"), manifest.to_string()).unwrap();
    }

    fn clear(&self, request: &Request) -> (u16, Value) {
        assert!(!request.tag.is_empty() && !request.keyspaces.is_empty(), "this would remove what is others'");
        for table in self.tables(&request.keyspaces) {
            let _ = fs::remove_dir_all(table.join("snapshots").join(&request.tag));
        }
        (200, Value::Null)
    }
}

fn refusal(message: &str) -> (u16, Value) {
    (500, json!({ "message": message, "code": 500 }))
}

/// The request of a connection; `None` when it ends before there is one.
fn read(stream: &mut TcpStream) -> Option<Request> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_MAX || stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut words = head.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let value =
        |name: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map_or("", |(_, value)| value);
    let keyspaces = value("kn").split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Some(Request { method, path: path.to_owned(), tag: value("tag").to_owned(), keyspaces })
}
