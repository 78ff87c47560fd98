//! A machine whose database is restored, killed in the middle of it, and looked at afterwards.

use std::fs;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::between::Between;
use super::program::{Machine, Run, finish, send, until};
use super::servers::mariadb::MariaDb;

/// What is in the database: a table with one row, and a view of it.
pub const CONTENT: &str = "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT id FROM t;";

/// A machine with a snapshot of its source `ellis`.
pub fn snapshotted(configuration: &str) -> Machine {
    let machine = Machine::in_memory().configured(configuration);
    machine.run(&["init"]).expect(0);
    machine.run(&["snapshot", "ellis"]).expect(0);
    machine
}

/// A new database with something in it.
pub fn filled(server: &MariaDb) -> String {
    let base = server.database();
    server.load(Some(&base), CONTENT.as_bytes());
    base
}

/// Such a database, and a machine with a snapshot of it.
pub fn prepared(server: &MariaDb) -> (String, Machine) {
    let base = filled(server);
    let machine = snapshotted(&server.configuration("ellis", &[&base]));
    (base, machine)
}

/// The databases beside one.
pub fn beside(server: &MariaDb, base: &str) -> Vec<String> {
    let sql = format!("SELECT schema_name FROM information_schema.SCHEMATA WHERE schema_name LIKE '{base}\\_windlass\\_%'");
    server.ask(None, &sql).lines().map(str::to_owned).collect()
}

/// How many rows the table of a database has.
pub fn count(server: &MariaDb, database: &str) -> String {
    server.ask(None, &format!("SELECT COUNT(*) FROM {database}.t"))
}

/// An undo that is older than it is kept.
pub fn grow_old(machine: &Machine) {
    let configuration = fs::read_to_string(machine.path("windlass.toml")).unwrap();
    fs::write(machine.path("windlass.toml"), configuration.replace("[local]", "[local]\nundo_for = \"1s\"")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
}

/// An undo is kept as long as is usual again, however slow the machine is.
pub fn keep_long(machine: &Machine) {
    let configuration = fs::read_to_string(machine.path("windlass.toml")).unwrap();
    fs::write(machine.path("windlass.toml"), configuration.replace("undo_for = \"1s\"", "undo_for = \"7d\"")).unwrap();
}

/// The run went well, and warned with these words.
pub fn warned(run: &Run, words: &[&str]) {
    run.expect(0);
    assert!(words.iter().all(|word| run.stderr.contains(word)), "{words:?}: {run:#?}");
}

/// A document that the machine keeps of the restores of `ellis`.
pub fn document(machine: &Machine, name: &str) -> std::path::PathBuf {
    machine.path(format!("local/.windlass/restore/ellis/{name}"))
}

/// The program is killed by the first program that it starts for this work.
pub fn killed_by(machine: &Machine, configuration: &str, program: &str, arguments: &[&str]) {
    let (client, own) = if program == "client" { ("mariadb", "client") } else { ("mariadb-dump", "dump") };
    let script = machine.script("killer.sh", &format!("[ \"$1\" = --version ] && exec {client} --version\nkill -KILL $PPID"));
    machine.configure_again(&format!("{configuration}{own} = [\"{}\"]\n", script.display()));
    assert_eq!(machine.run(arguments).code, None, "{arguments:?} was killed");
    machine.configure_again(configuration);
}

/// The program is killed once the server has carried out the first statement with this text, and before the program knows.
pub fn killed_after(server: &MariaDb, machine: &Machine, configuration: &str, text: &str, arguments: &[&str]) {
    let process = AtomicU32::new(0);
    let kill = || {
        until("the program has a number", || process.load(Ordering::SeqCst) != 0);
        send(process.load(Ordering::SeqCst), rustix::process::Signal::KILL);
    };
    let between = Between::start(&server.socket, &machine.path("between"), text, &kill).once_answered();
    let socket = |path: &std::path::Path| path.display().to_string();
    machine.configure_again(&configuration.replace(&socket(&server.socket), &socket(&between.socket)));
    let work = || {
        let child = machine.start(arguments);
        process.store(child.id(), Ordering::SeqCst);
        finish(child)
    };
    let killed = std::thread::scope(|scope| between.serve(scope, work));
    machine.configure_again(configuration);
    assert_eq!(killed.code, None, "{killed:#?}");
}

/// A restore is killed as soon as its tables have moved.
pub fn killed_moved(server: &MariaDb, machine: &Machine, configuration: &str) {
    killed_after(server, machine, configuration, "RENAME TABLE ", &["restore", "ellis", "--yes"]);
}

/// A restore is killed once its tables have moved and definitions are made.
pub fn killed_late(machine: &Machine, configuration: &str) {
    let count = machine.path("count");
    let _ = fs::remove_file(&count);
    let text = "echo >>COUNT; [ \"$(wc -l <COUNT)\" = 2 ] && kill -KILL $PPID && exit 9; exec mariadb \"$@\"";
    machine.configure_again(&format!("{configuration}{}", machine.client(&text.replace("COUNT", &count.display().to_string()))));
    assert_eq!(machine.run(&["restore", "ellis", "--yes"]).code, None);
    machine.configure_again(configuration);
}

/// The statements that the program sends itself while it does this, each with its number among all that it sends and its beginning.
pub fn sent(machine: &Machine, arguments: &[&str]) -> Vec<(usize, String)> {
    let log = machine.path("sent.log");
    let mut child = machine.traced(&["-e", "trace=sendto", "-s", "40"], &log, arguments);
    assert!(child.wait().unwrap().success());
    let log = fs::read_to_string(log).unwrap();
    let of = |line: &str| line.split(' ').next().unwrap().to_owned();
    // Those of the first thread, which sends first; others, and the vendor's programs, are not traced when it is killed.
    let own = of(log.lines().next().unwrap());
    let sent = log.lines().filter(|line| of(line) == own && line.contains("sendto("));
    sent.enumerate().map(|(at, line)| (at + 1, line.to_owned())).collect()
}

/// Somebody who holds the table of a database in a transaction.
pub struct Holder<'a> {
    server: &'a MariaDb,
    client: Child,
    /// Asks for the connection's number.
    question: String,
}

impl<'a> Holder<'a> {
    pub fn of(server: &'a MariaDb, database: &str) -> Self {
        Self::by(server, database, &format!("SELECT * FROM {database}.t"))
    }

    /// By this statement.
    pub fn by(server: &'a MariaDb, database: &str, statement: &str) -> Self {
        let mut client = server.client();
        client.args(["-e", &format!("START TRANSACTION; {statement}; SELECT SLEEP(100) AS held_{database}")]);
        let client = client.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let question = format!("SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE 'SELECT SLEEP(100) AS held_{database}%'");
        until("somebody holds a table", || !server.ask(None, &question).is_empty());
        Self { server, client, question }
    }

    pub fn lets_go(mut self) {
        self.server.sql(&format!("KILL {}", self.server.ask(None, &self.question)));
        self.client.wait().unwrap();
    }
}
