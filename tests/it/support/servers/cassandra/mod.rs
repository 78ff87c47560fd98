//! Cassandra 4.1 and 5.0 from `tests/servers/install`, each server one node on an address of its own.
//!
//! [`spec`] is what one is to be, [`cql`] how tests speak with it; what it runs by are the scripts in `tests/servers/cassandra`, which
//! the program under test can be given too.

pub mod cql;
mod everything;
mod rows;
pub mod spec;
mod tools;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use self::cql::Cql;
use self::spec::{JMX_ACCOUNT, Places, Spec, Version};
use super::kept::START;
use crate::support::program::send;

/// How often a new server is started with other ports: another process may take one between its choice and its use.
const TRIES: u32 = 5;

/// Ports to choose from: above those of services, and below those that Linux gives to connections, one of which could take the port of
/// a server while that is stopped.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// How often it is looked whether a server that does not answer yet is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Longest part of a log that a failure shows.
const LOG_SHOWN: usize = 3000;

static RUNNING: [OnceLock<Cassandra>; 2] = [const { OnceLock::new() }; 2];
static NAMES: AtomicU32 = AtomicU32::new(0);

/// A server. It ends when this is dropped, or this process ends.
#[derive(Debug)]
pub struct Cassandra {
    pub spec: Spec,
    /// Its folder: `conf/cassandra.yaml`, `bin/` with its scripts, `log/server`, `pid` while it runs, and its data.
    pub home: PathBuf,
    places: Places,
    keeper: Child,
    /// Closed by the kernel when this process ends, which the keeper waits for.
    alive: Option<ChildStdin>,
}

impl Drop for Cassandra {
    fn drop(&mut self) {
        self.alive.take();
        let _ended = self.keeper.wait();
    }
}

impl Cassandra {
    /// The server of this version that tests share, started if it is not running yet. Each makes keyspaces of its own in it, and none stops it.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub fn running(version: Version) -> &'static Self {
        RUNNING[version as usize].get_or_init(|| Self::start_new(&Spec::new(version)))
    }

    /// A server of the test's own, which answers.
    pub fn start_new(spec: &Spec) -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            let server = Self::prepare(spec);
            match server.try_start() {
                Ok(()) => return server,
                Err(log) if log.contains("in use") => said = log,
                Err(log) => panic!("Cassandra does not start: {log}"),
            }
        }
        panic!("Cassandra does not start: {said}")
    }

    /// A server that is configured and was never started: the machine that a node is to be brought back on.
    pub fn prepare(spec: &Spec) -> Self {
        let home = match &spec.folder {
            Some(folder) => folder.clone(),
            None => tempfile::Builder::new().prefix("windlass-server-").tempdir().unwrap().keep(),
        };
        let places = places();
        spec.write(&home, &places);
        // What outlives this process has a nodetool of its own.
        if spec.folder.is_none() {
            fs::write(home.join("tools"), tools::port(spec.version).to_string()).unwrap();
        }
        let mut keeper = Command::new(home.join("bin/keep"));
        keeper.arg(if spec.folder.is_some() { "lasting" } else { "temporary" });
        std::os::unix::process::CommandExt::process_group(&mut keeper, 0);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keeper = keeper.spawn().unwrap_or_else(|error| panic!("bash cannot be started: {error}"));
        let alive = keeper.stdin.take();
        Self { spec: spec.clone(), home, places, keeper, alive }
    }

    /// Starts it again and returns when it answers.
    ///
    /// # Panics
    /// When it does not within [`START`].
    pub fn start(&self) {
        self.try_start().unwrap_or_else(|log| panic!("Cassandra does not start: {log}"));
    }

    fn try_start(&self) -> Result<(), String> {
        self.script("start");
        self.answers()
    }

    /// Waits until it answers, whoever has started it.
    ///
    /// # Panics
    /// When it ends, or does not answer within [`START`].
    pub fn wait(&self) {
        self.answers().unwrap_or_else(|log| panic!("Cassandra does not start: {log}"));
    }

    fn answers(&self) -> Result<(), String> {
        let since = Instant::now();
        let mut looked = since;
        while TcpStream::connect(self.cql_address()).is_err() {
            let log = || tail(&self.home.join("log/server"));
            // Looking takes a tenth of what a start takes, if it is done each time.
            if looked.elapsed() > LOOK_EVERY {
                if self.pid().is_none() {
                    return Err(log());
                }
                looked = Instant::now();
            }
            assert!(since.elapsed() < START, "no answer of {} within {} seconds: {}", self.cql_address(), START.as_secs(), log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Stops it as a service manager does; it writes its tables first.
    pub fn stop(&self) {
        self.script("stop");
    }

    /// Kills it as a power cut would.
    pub fn kill(&self) {
        let pid = self.pid().expect("it runs");
        send(pid, Signal::KILL);
        crate::support::program::until("the server has ended", || self.pid().is_none());
    }

    /// Stops it, starts it again and returns when it answers.
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        let script = "source \"$1/bin/running\"; running";
        let output = Command::new("bash").args(["-c", script, "bash"]).arg(&self.home).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().ok()
    }

    fn script(&self, name: &str) {
        let output = Command::new(self.home.join("bin").join(name)).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The words of a command: `start`, `stop` or `nodetool`, as a configuration takes them.
    pub fn command(&self, name: &str) -> Vec<String> {
        vec![self.home.join("bin").join(name).to_str().unwrap().to_owned()]
    }

    /// The words that tell nodetool which server, and who asks.
    pub fn jmx_words(&self) -> Vec<String> {
        let mut words = vec!["-h".into(), "127.0.0.1".into(), "-p".into(), self.places.jmx.to_string()];
        if self.spec.jmx_password {
            let file = self.home.join("conf/jmx.password").to_str().unwrap().to_owned();
            words.extend(["-u".into(), JMX_ACCOUNT[0].into(), "-pwf".into(), file]);
        }
        words
    }

    /// What nodetool says, and how it ends.
    pub fn nodetool_output(&self, words: &[&str]) -> Output {
        Command::new(self.home.join("bin/nodetool")).args(self.jmx_words()).args(words).output().unwrap()
    }

    /// What nodetool says.
    ///
    /// # Panics
    /// When it fails.
    pub fn nodetool(&self, words: &[&str]) -> String {
        let output = self.nodetool_output(words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "nodetool {words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// A connection as the administrator.
    pub fn cql(&self) -> Cql {
        Cql::connect(self)
    }

    /// A connection as another account, by its name and password; or why there is none.
    pub fn cql_as(&self, account: [&str; 2]) -> Result<Cql, String> {
        Cql::connect_as(self, account)
    }

    /// Where CQL answers.
    pub fn cql_address(&self) -> SocketAddr {
        (self.places.address, self.places.cql).into()
    }

    /// Where JMX answers.
    pub fn jmx_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.places.jmx).into()
    }

    /// Its `cassandra.yaml`.
    pub fn config_file(&self) -> PathBuf {
        self.home.join("conf/cassandra.yaml")
    }

    /// The certificate of its authority, where it speaks TLS.
    pub fn ca_file(&self) -> PathBuf {
        self.home.join("conf/ca.pem")
    }

    /// The file with account and password of JMX, where it asks.
    pub fn jmx_password_file(&self) -> PathBuf {
        self.home.join("conf/jmx.password")
    }

    /// The folders of a table, one in each data directory.
    pub fn folders_of(&self, keyspace: &str, table: &str) -> Vec<PathBuf> {
        let below = self.spec.directories(&self.home).into_iter().filter_map(|data| fs::read_dir(data.join(keyspace)).ok());
        let all = below.flatten().map(|entry| entry.unwrap().path());
        let named = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().rsplit_once('-').is_some_and(|(name, _)| name == table);
        all.filter(named).collect()
    }

    /// A name for a keyspace that no other test uses.
    pub fn name(&self) -> String {
        format!("space_{}", NAMES.fetch_add(1, Ordering::Relaxed))
    }
}

/// An address of this process's own, and ports that nothing listens on now.
fn places() -> Places {
    static SERVERS: AtomicU32 = AtomicU32::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    let [.., number] = (SERVERS.fetch_add(1, Ordering::Relaxed) % 254 + 1).to_be_bytes();
    // 127.0.x.x is left to those who write addresses down.
    let address = Ipv4Addr::new(127, 64 + high % 128, low, number);
    let port = free_port;
    Places { address, cql: port(address), storage: port(address), ssl_storage: port(address), jmx: port(Ipv4Addr::LOCALHOST) }
}

fn free_port(address: Ipv4Addr) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    for _ in 0..count {
        // Processes that run at the same time begin far from each other, whose ids are neighbours.
        let at = (std::process::id().wrapping_mul(7919) % count + NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(at).unwrap();
        if TcpListener::bind((address, port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {address} is free")
}

/// The end of a log.
fn tail(path: &Path) -> String {
    let log = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_SHOWN)..]).into_owned()
}
