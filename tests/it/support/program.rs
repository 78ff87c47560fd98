//! The real program, run as a person or a script runs it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longest any run of a test may take: far more than any does on a slow machine, and short enough to notice one that hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// A machine with a configuration file, whose source `tree` is a folder and whose repository is another.
pub struct Machine {
    pub temp: TempDir,
}

/// How a run ended and what it said.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Machine {
    /// A machine with an empty tree; the repository's folder is there and not a repository yet.
    pub fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    /// The same in memory, where the system has a folder for that: for tests that run the program very often and care for nothing else of
    /// a disk.
    pub fn in_memory() -> Self {
        Self::at(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn at(temp: TempDir) -> Self {
        for folder in ["tree", "bucket"] {
            fs::create_dir(temp.path().join(folder)).unwrap();
        }
        Self { temp }.configured("")
    }

    /// As [`Machine::new`], with a repository.
    pub fn initialised() -> Self {
        let machine = Self::new();
        machine.run(&["init"]).expect(0);
        machine
    }

    /// Writes the configuration anew, and keeps the machine.
    pub fn configure_again(&self, more: &str) {
        self.configure(&format!("url = \"file://{}\"", self.path("bucket").display()), more);
    }

    /// Writes the configuration anew, with more sections.
    pub fn configured(self, more: &str) -> Self {
        self.configure_again(more);
        self
    }

    /// Encrypts to an identity that it makes and holds; for a repository that is not there yet.
    pub fn encrypted(self, more: &str) -> Self {
        let url = format!("url = \"file://{}\"\n", self.path("bucket").display());
        self.encrypted_in(&url, more)
    }

    /// The same in a repository of which the configuration says this.
    pub fn encrypted_in(self, repository: &str, more: &str) -> Self {
        let key = self.path("windlass.key");
        let line = self.run(&["-q", "key", "new", "-o", key.to_str().unwrap()]).stdout;
        self.configure(&format!("{repository}{line}identity_file = \"{}\"\n", key.display()), more);
        self
    }

    /// Writes the configuration with this text in its section of the repository, and more sections.
    pub fn configure(&self, repository: &str, more: &str) {
        let (local, tree) = (self.path("local"), self.path("tree"));
        let text = format!(
            "[node]\nname = \"node-1\"\n[local]\ndir = \"{}\"\n[repository]\n{repository}\n[directory.tree]\npath = \"{}\"\n{more}",
            local.display(),
            tree.display()
        );
        fs::write(self.path("windlass.toml"), text).unwrap();
    }

    /// A path on the machine.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.temp.path().join(below)
    }

    /// A program of the test's own on this machine, for bash.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        path
    }

    /// One that stands in for MySQL's client: it is asked for its version, and else does what the text says; `"$@"` are the arguments. Gives
    /// the line of the configuration.
    pub fn client(&self, text: &str) -> String {
        let path = self.script("client.sh", &format!("[ \"$1\" = --version ] && exec mariadb --version\n{text}"));
        format!("client = [\"{}\"]\n", path.display())
    }

    /// A client that fails when it is used for the second time, which is when tables have moved and definitions are made.
    pub fn client_that_fails_late(&self) -> String {
        let count = self.path("count");
        let text = "echo >>COUNT; [ \"$(wc -l <COUNT)\" = 2 ] && exit 9; exec mariadb \"$@\"";
        self.client(&text.replace("COUNT", &count.display().to_string()))
    }

    /// A client that says, when it is used for the first time, that the server has refused a statement.
    pub fn client_that_is_refused_once(&self) -> String {
        let once = self.path("once").display().to_string();
        self.client(&format!(
            "[ -e {once} ] || {{ touch {once}; echo 'ERROR 1064 (42000) at line 1: no' >&2; exit 1; }}; exec mariadb \"$@\""
        ))
    }

    /// Writes a file of the source `tree`.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path("tree").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The program with these arguments, without a terminal and with nothing but PATH in its environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_as("windlass.toml", arguments)
    }

    /// The same with another configuration file of the machine.
    pub fn command_as(&self, config: &str, arguments: &[&str]) -> Command {
        let mut command = bare(Command::new(env!("CARGO_BIN_EXE_windlass")));
        command.arg("--config").arg(self.path(config)).args(arguments);
        command
    }

    /// The configuration of an administrator's machine that prunes this node's part, in another file: its own name and its own folder.
    pub fn administrated(&self) {
        let node = fs::read_to_string(self.path("windlass.toml")).unwrap();
        let local = |name: &str| self.path(name).display().to_string();
        let admin = node.replace("node-1", "admin").replace(&local("local"), &local("admin"));
        fs::write(self.path("admin.toml"), admin).unwrap();
    }

    /// Runs the program under strace, which looks at its first thread alone, and not at programs that it starts.
    pub fn alone_under_strace(&self, inject: &[&str], arguments: &[&str]) -> Run {
        let mut command = bare(Command::new("strace"));
        command.args(["-qq", "-o", "/dev/null"]).args(inject).arg(env!("CARGO_BIN_EXE_windlass"));
        command.arg("--config").arg(self.path("windlass.toml")).args(arguments);
        Run::of(command.output().expect("the tests need the program strace"))
    }

    /// The program under strace, which makes the system calls fail or kill as `inject` says.
    pub fn under_strace(&self, inject: &[&str], arguments: &[&str]) -> Run {
        let mut command = bare(Command::new("strace"));
        command.args(["-f", "-qq", "-o", "/dev/null"]).args(inject).arg(env!("CARGO_BIN_EXE_windlass"));
        command.arg("--config").arg(self.path("windlass.toml")).args(arguments);
        Run::of(command.output().expect("the tests need the program strace"))
    }

    /// Runs a script that finds the folder `place` on a small disk that nobody else sees, with what lay in it;
    /// `windlass` is the program. An ordinary user may mount it too.
    pub fn on_a_disk_of(&self, size: &str, place: &str, script: &str) -> Run {
        let before = format!(
            "set -e; mkdir -p {place}; rm -rf kept; cp -a {place} kept; mount -t tmpfs -o size={size} none {place}; cp -a kept/. {place}; \
             set +e\nwindlass() {{ \"$program\" --config windlass.toml \"$@\"; }}; program=$0"
        );
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "bash", "-c", &format!("{before}\n{script}"), env!("CARGO_BIN_EXE_windlass")]);
        Run::of(command.current_dir(self.path("")).output().unwrap())
    }

    /// Starts the program under strace with these options of its own, which writes what it sees to a file.
    pub fn traced(&self, options: &[&str], log: &Path, arguments: &[&str]) -> Child {
        let mut command = bare(Command::new("strace"));
        command.args(["-f", "-qq", "-o"]).arg(log).args(options).arg(env!("CARGO_BIN_EXE_windlass"));
        command.arg("--config").arg(self.path("windlass.toml")).args(arguments);
        command.spawn().expect("the tests need the program strace")
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        finish(self.start(arguments))
    }

    /// Starts the program; what it says is kept.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// The document that the program prints with `--json`, when it ends with this code.
    pub fn json(&self, arguments: &[&str], code: i32) -> Value {
        let run = self.run(&[&["--json"], arguments].concat());
        run.expect(code);
        run.document()
    }

    /// Ids of the snapshots of `tree` that `list` shows, with where they are, oldest first.
    pub fn listed(&self) -> Vec<(String, String)> {
        let list = self.json(&["list"], 0);
        let rows = list["snapshots"].as_array().unwrap().iter();
        let mut rows: Vec<_> = rows.map(|row| (text(&row["id"]), text(&row["where"]))).collect();
        rows.sort();
        rows
    }
}

fn bare(mut command: Command) -> Command {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits for the end of a run that was started.
pub fn finish(mut child: Child) -> Run {
    // Both outputs are read while it runs, or it would stand still once one is full.
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).map(|_| text)
    });
    let watch = watch(child.id());
    let mut text = Vec::new();
    stdout.read_to_end(&mut text).unwrap();
    let status = child.wait().unwrap();
    drop(watch);
    Run::of(Output { status, stdout: text, stderr: reader.join().unwrap().unwrap() })
}

/// Ends a run that hangs, so that the test that waits for it fails rather than hangs too. It stands down when the value is dropped.
fn watch(process: u32) -> std::sync::mpsc::Sender<()> {
    let (alive, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            send(process, rustix::process::Signal::ABORT);
        }
    });
    alive
}

/// Sends a signal to a process.
pub fn send(process: u32, signal: rustix::process::Signal) {
    let process = rustix::process::Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    // One that has ended already needs no signal.
    let _ = rustix::process::kill_process(process, signal);
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Run {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails when it ended in another way.
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// What it printed as one JSON document.
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The events that it told, one per line.
    pub fn events(&self) -> Vec<Value> {
        self.stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// Everything it said.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// A JSON text.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
