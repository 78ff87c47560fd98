//! A MariaDB server from Debian's packages, with TLS for whoever asks for it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::kept::Kept;
use super::mysql_question;
use crate::support::authority;

/// The password of the accounts that tests make; in quotes it would end a careless option file.
pub const PASSWORD: &str = "hunter2 \"#'\\ö";

/// What a system has of asynchronous reads and writes is bounded, and many servers run side by side in the tests.
const NO_AIO: &str = "--innodb-use-native-aio=0";

/// A server that has more tables than this closes those that nobody uses, and knows of them no more when they were written to. What is shared by
/// all tests has a great many.
pub(super) const MANY_TABLES: &str = "--table-definition-cache=40000";

/// A running server.
#[derive(Debug)]
pub struct MariaDb {
    pub socket: PathBuf,
    pub port: u16,
    /// The certificate of its authority.
    pub ca_file: PathBuf,
    /// The process of the server itself.
    folder: PathBuf,
    _process: Kept,
}

static RUNNING: OnceLock<MariaDb> = OnceLock::new();
static NAMES: AtomicU32 = AtomicU32::new(0);

impl MariaDb {
    /// The server that tests share, started if it is not running yet. Each makes databases and accounts of its own in it.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub fn running() -> &'static Self {
        RUNNING.get_or_init(|| Self::start(&[]))
    }

    /// A server of the test's own, with more options.
    pub fn start(options: &[&str]) -> Self {
        Self::start_as(&|folder, port| command(folder, port, options))
    }

    fn start_as(command: &dyn Fn(&Path, u16) -> Command) -> Self {
        Self::of(Kept::start("MariaDB", &[0], &|folder, [port, _]| command(folder, port)))
    }

    /// A server of any make whose folder has `socket` and `pid` in it, and `certificates/` where it speaks TLS.
    pub(super) fn of(process: Kept) -> Self {
        let folder = process.folder.clone();
        let server = Self {
            socket: folder.join("socket"),
            port: process.ports[0],
            ca_file: folder.join("certificates/ca.pem"),
            folder,
            _process: process,
        };
        // Its port answers a moment before its socket does.
        server.wait();
        server
    }

    /// A server of the test's own that is started again whenever it ends, as a service is.
    pub fn service(options: &[&str]) -> Self {
        Self::start_as(&|folder, port| {
            let server = command(folder, port, options);
            let mut again = Command::new("bash");
            again.args(["-c", "while :; do \"$@\"; sleep 0.2; done", "service"]);
            again.arg(server.get_program()).args(server.get_args());
            again
        })
    }

    /// A server of the test's own whose data lie on a small disk, which nobody else sees; an ordinary user may mount it too.
    pub fn on_a_disk_of(size: &str, options: &[&str]) -> Self {
        Self::start_as(&|folder, port| {
            let server = command(folder, port, options);
            let data = folder.join("data").display().to_string();
            let script =
                "set -e; mv DATA DATA.kept; mkdir DATA; mount -t tmpfs -o size=SIZE none DATA; cp -a DATA.kept/. DATA; exec \"$@\"";
            let mut small = Command::new("unshare");
            small.args(["--map-root-user", "--mount", "bash", "-c", &script.replace("DATA", &data).replace("SIZE", size), "small"]);
            // There it is root in any case.
            small.arg(server.get_program()).args(server.get_args()).arg("--user=root");
            small
        })
    }

    /// Waits until it answers.
    pub fn wait(&self) {
        crate::support::program::until("the server is back", || {
            self.client().args(["-e", "SELECT 1"]).output().is_ok_and(|output| output.status.success())
        });
    }

    /// A name that no other test uses.
    pub fn name(&self) -> String {
        format!("base_{}", NAMES.fetch_add(1, Ordering::Relaxed))
    }

    /// A new, empty database.
    pub fn database(&self) -> String {
        let name = self.name();
        self.sql(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        name
    }

    /// A new account that proves itself in this way, with these rights; `SECRET` and `ACCOUNT` stand for its password and its name.
    pub fn account(&self, by: &str, rights: &str) -> String {
        let name = format!("account_{}", NAMES.fetch_add(1, Ordering::Relaxed));
        let password = PASSWORD.replace('\\', "\\\\").replace('\'', "''");
        let by = by.replace("SECRET", &format!("'{password}'"));
        self.sql(&format!("CREATE USER {name}@'%' IDENTIFIED {by}; {}", rights.replace("ACCOUNT", &format!("{name}@'%'"))));
        name
    }

    /// The client as the server's administrator.
    pub fn client(&self) -> Command {
        self.client_of(&["mariadb".into()])
    }

    /// The same with the client of another make, which is called by these words.
    fn client_of(&self, words: &[String]) -> Command {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        // With TLS each of the thousands of clients would read all authorities of the machine, which takes longer than all else that it does.
        command.args([
            "--no-defaults",
            "--skip-ssl",
            "--comments",
            "--default-character-set=utf8mb4",
            "-uroot",
            "--max-allowed-packet=1G",
            "-S",
        ]);
        command.arg(&self.socket);
        command
    }

    /// Runs statements as the administrator.
    ///
    /// # Panics
    /// When the server refuses one.
    pub fn sql(&self, statements: &str) {
        self.load(None, statements.as_bytes());
    }

    /// Runs statements, maybe in a database.
    pub fn load(&self, database: Option<&str>, statements: &[u8]) {
        self.load_by(&["mariadb".into()], database, statements);
    }

    /// The same by the client of another make, which is called by these words.
    pub fn load_by(&self, words: &[String], database: Option<&str>, statements: &[u8]) {
        let mut command = self.client_of(words);
        command.args(database).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("the tests need the program {words:?}: {error}"));
        // When it ends early, how it ended tells why.
        let _ = child.stdin.take().unwrap().write_all(statements);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What a question gives: rows as lines, columns with tabs between.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn ask(&self, database: Option<&str>, question: &str) -> String {
        mysql_question::ask(&self.socket, database, question).unwrap_or_else(|error| panic!("{question}: {error}"))
    }

    /// Everything that a database is made of, and the checksum of every table.
    pub fn everything(&self, database: &str) -> Vec<String> {
        let ask = |question: &str| self.ask(Some(database), question);
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        let lists = [
            ("TABLE", "TABLES WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')", "table_name"),
            ("VIEW", "TABLES WHERE table_schema = DATABASE() AND table_type = 'VIEW'", "table_name"),
            ("SEQUENCE", "TABLES WHERE table_schema = DATABASE() AND table_type = 'SEQUENCE'", "table_name"),
            ("TRIGGER", "TRIGGERS WHERE trigger_schema = DATABASE()", "trigger_name"),
            ("EVENT", "EVENTS WHERE event_schema = DATABASE()", "event_name"),
            ("PROCEDURE", "ROUTINES WHERE routine_schema = DATABASE() AND routine_type = 'PROCEDURE'", "routine_name"),
            ("FUNCTION", "ROUTINES WHERE routine_schema = DATABASE() AND routine_type = 'FUNCTION'", "routine_name"),
            ("PACKAGE", "ROUTINES WHERE routine_schema = DATABASE() AND routine_type = 'PACKAGE'", "routine_name"),
            ("PACKAGE BODY", "ROUTINES WHERE routine_schema = DATABASE() AND routine_type = 'PACKAGE BODY'", "routine_name"),
        ];
        let mut all = Vec::new();
        for (kind, from, column) in lists {
            // In hexadecimal, because names may hold anything.
            let names = ask(&format!("SELECT HEX({column}) FROM information_schema.{from} ORDER BY {column}"));
            for name in names.lines().map(unhex) {
                let created = ask(&format!("SHOW CREATE {kind} {}", quoted(&name)));
                // The last column of a trigger is when it was made.
                let created = if kind == "TRIGGER" { created.rsplit_once('\t').unwrap().0.to_owned() } else { created };
                all.push(format!("{kind} {created}"));
                if kind == "TABLE" {
                    all.push(format!("rows of {name}: {}", self.rows(database, &name)));
                }
                if kind == "SEQUENCE" {
                    all.push(format!("next of {name}: {}", ask(&format!("SELECT next_not_cached_value FROM {}", quoted(&name)))));
                }
            }
        }
        all
    }

    /// What stands for the rows of a table: the checksum that the server makes of them, and of MySQL, whose checksum of JSON and geometry is
    /// another one each time, the rows themselves in order.
    fn rows(&self, database: &str, table: &str) -> String {
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        if self.ask(None, "SELECT VERSION()").contains("MariaDB") {
            let sum = self.ask(Some(database), &format!("CHECKSUM TABLE {} EXTENDED", quoted(table)));
            return sum.rsplit_once('\t').unwrap().1.to_owned();
        }
        let of_table =
            format!("table_schema = DATABASE() AND HEX(table_name) = HEX('{}')", table.replace('\\', "\\\\").replace('\'', "''"));
        let columns = format!("SELECT HEX(column_name) FROM information_schema.COLUMNS WHERE {of_table} ORDER BY ordinal_position");
        let columns = self.ask(Some(database), &columns);
        let columns: Vec<String> = columns.lines().map(|name| format!("HEX(CONCAT({}))", quoted(&unhex(name)))).collect();
        let rows = self.ask(Some(database), &format!("SELECT {} FROM {}", columns.join(", "), quoted(table)));
        let mut rows: Vec<&str> = rows.lines().collect();
        rows.sort_unstable();
        rows.join("\n")
    }

    /// Kills the server as a power cut would.
    pub fn kill(&self) {
        let id = fs::read_to_string(self.folder.join("pid")).unwrap().trim().parse().unwrap();
        crate::support::program::send(id, rustix::process::Signal::KILL);
    }

    /// What stands in a configuration for a source with these databases, reached by the socket as the administrator.
    pub fn configuration(&self, source: &str, databases: &[&str]) -> String {
        format!("[mysql.{source}]\ndatabases = {databases:?}\nsocket = \"{}\"\nuser = \"root\"\n", self.socket.display())
    }

    /// The same over TCP as this account, whose password is in a file.
    pub fn over_tcp(&self, source: &str, databases: &[&str], account: &str, folder: &Path) -> String {
        let file = folder.join("password");
        fs::write(&file, PASSWORD).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let (port, file) = (self.port, file.display());
        format!(
            "[mysql.{source}]\ndatabases = {databases:?}\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"{account}\"\npassword_file = \"{file}\"\n"
        )
    }
}

fn unhex(text: &str) -> String {
    let bytes: Vec<u8> = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

/// What every server gets whose user is root: it must be told that this is meant.
pub(super) fn user() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() { &["--user=root"] } else { &[] }
}

/// Where it listens and what it keeps in its folder.
pub(super) fn places(folder: &Path, port: u16) -> Vec<String> {
    let mut words = vec![
        format!("--datadir={}", folder.join("data").display()),
        format!("--socket={}", folder.join("socket").display()),
        format!("--pid-file={}", folder.join("pid").display()),
        format!("--tmpdir={}", folder.display()),
        format!("--port={port}"),
    ];
    // What a test loses in a power cut is of no value.
    let more = ["--bind-address=127.0.0.1", NO_AIO, "--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--skip-name-resolve"];
    words.extend(more.map(str::to_owned));
    words
}

/// The certificates that are in its folder.
pub(super) fn certificates(folder: &Path) -> Vec<String> {
    let certificates = folder.join("certificates");
    fs::create_dir(&certificates).unwrap();
    authority::issue(&certificates);
    let files = [("ssl-ca", "ca.pem"), ("ssl-cert", "public.crt"), ("ssl-key", "private.key")];
    files.map(|(option, file)| format!("--{option}={}", certificates.join(file).display())).into()
}

/// How it is started, once its own tables are there.
fn command(folder: &Path, port: u16, options: &[&str]) -> Command {
    let mut install = Command::new("mariadb-install-db");
    install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]).args(user());
    // A server that starts removes what others have for the moment in the same folder.
    install.arg(format!("--datadir={}", folder.join("data").display())).arg(format!("--tmpdir={}", folder.display())).arg(NO_AIO);
    let installed = install.output().expect("mariadb-install-db cannot be started: install Debian's mariadb-server, as tests/run does");
    let said = [&installed.stdout[..], &installed.stderr].concat();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&said));
    let mut command = Command::new("/usr/sbin/mariadbd");
    command.arg("--no-defaults").args(user()).args(places(folder, port)).args(certificates(folder));
    command.args(["--plugin-load-add=auth_ed25519", "--max-allowed-packet=16M", "--log-bin=log", "--server-id=1"]);
    command.args(["--innodb-buffer-pool-size=256M", MANY_TABLES]).args(options);
    command
}
