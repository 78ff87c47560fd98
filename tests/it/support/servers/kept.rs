//! A server as a process with an end: it runs under a small shell that waits for the end of the test process, however it comes, then ends
//! the server with all its processes and removes its data.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer for the first time, on a machine that is busy with tests.
pub const START: Duration = Duration::from_secs(120);

/// How often a server is started anew with other ports: another process may take a port between its choice and its use.
const TRIES: u32 = 5;

/// What the log says last when a server ends by itself.
const ENDED: &str = "the server has ended by itself";

/// Ends the server, a process group of its own, and removes its folder once its own standard input ends, which it does with the test process.
/// Interrupts from the terminal are left to the test process. What is being killed may still write for an instant, so removing is repeated.
const KEEPER: &str = r#"
trap '' INT TERM HUP
set -m
log=$1 folder=$2 ended=$3; shift 3
{ "$@"; echo "$ended: $?"; } >"$log" 2>&1 </dev/null &
server=$!
read -r _
kill -KILL -- "-$server"
for ((tries = 0; tries < 100; tries++)); do
    rm -rf -- "$folder" && break
    sleep 0.05
done
"#;

/// A running server. It ends when this is dropped, or this process ends.
#[derive(Debug)]
pub struct Kept {
    /// Its own folder, gone with it.
    pub folder: PathBuf,
    /// Two ports that were free: the server listens on one of them or on both.
    pub ports: [u16; 2],
    keeper: Child,
    /// Closed by the kernel when this process ends, which the keeper waits for.
    alive: Option<ChildStdin>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.alive.take();
        let _ended = self.keeper.wait();
    }
}

impl Kept {
    /// Starts a server by the command that is made for a new folder and two free ports, and waits until it listens on those of
    /// them that `listens` names.
    ///
    /// # Panics
    /// When it does not, with what it said.
    pub fn start(name: &str, listens: &[usize], command: &dyn Fn(&Path, [u16; 2]) -> Command) -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            let server = Self::spawn(command);
            match listens.iter().try_for_each(|at| server.answers(server.ports[*at])) {
                Ok(()) => return server,
                Err(log) => said = log,
            }
        }
        panic!("{name} does not start: {said}")
    }

    fn spawn(command: &dyn Fn(&Path, [u16; 2]) -> Command) -> Self {
        let folder = tempfile::Builder::new().prefix("windlass-server-").tempdir().unwrap().keep();
        let ports = [free_port(), free_port()];
        let server = command(&folder, ports);
        let mut keeper = Command::new("bash");
        keeper.args(["-c", KEEPER, "keeper"]).arg(folder.join("log")).arg(&folder).arg(ENDED);
        keeper.arg(server.get_program()).args(server.get_args());
        keeper.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keeper = keeper.spawn().unwrap_or_else(|error| panic!("bash cannot be started: {error}"));
        let alive = keeper.stdin.take();
        Self { folder, ports, keeper, alive }
    }

    /// Waits until the server listens; with what it said when it ended or never does.
    fn answers(&self, port: u16) -> Result<(), String> {
        let since = Instant::now();
        loop {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(());
            }
            let said = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(since.elapsed() < START, "no answer on port {port} within {} seconds: {said}", START.as_secs());
            if said.contains(ENDED) {
                return Err(said);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A port that nothing listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program that `tests/servers/install` has put into the cache.
///
/// # Panics
/// When it is not there, with the command that gets it.
pub fn installed(name: &str) -> PathBuf {
    in_cache(&Path::new("bin").join(name))
}

/// A file or folder that `tests/servers/install` has put into the cache, by its path there.
///
/// # Panics
/// When it is not there, with the command that gets it.
pub fn in_cache(path: &Path) -> PathBuf {
    let cache = std::env::var_os("WINDLASS_TEST_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/windlass-tests")));
    let found = cache.expect("HOME or WINDLASS_TEST_CACHE is set").join(path);
    assert!(found.exists(), "{} is not there: run tests/servers/install, which gets it", found.display());
    found
}
