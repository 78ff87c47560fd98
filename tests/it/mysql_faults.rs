//! What goes wrong with a MySQL source leaves a clear error, no copy, nothing shipped, and the copies before.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use windlass::ops::spec::{Address, MysqlSettings, SourceKind};

use crate::support::node::{Disk, Node, spec};
use crate::support::program::{Machine, Run, finish, send, until};
use crate::support::restored::Holder;
use crate::support::servers::mariadb::{MariaDb, PASSWORD};

/// A machine with one good snapshot of a database that is large enough to be in the middle of.
struct Case {
    machine: Machine,
    base: String,
    configuration: String,
    /// The objects of the repository, as that snapshot has left them.
    stored: Vec<String>,
}

impl Case {
    fn new(server: &MariaDb) -> Self {
        let base = server.database();
        server.load(Some(&base), b"CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1);");
        let configuration = server.configuration("ellis", &[&base]);
        let machine = Machine::new().configured(&configuration);
        machine.run(&["init"]).expect(0);
        machine.run(&["backup", "ellis"]).expect(0);
        let stored = stored(&machine);
        Self { machine, base, configuration, stored }
    }

    /// Enough rows that a dump takes a second or more under a slow reader.
    fn grow(&self, server: &MariaDb) {
        server.load(
            Some(&self.base),
            b"CREATE TABLE big (id INT PRIMARY KEY, pad TEXT); \
            INSERT INTO big SELECT seq, REPEAT(MD5(seq), 64) FROM seq_1_to_40000;",
        );
    }

    /// The same with other words for the dump program.
    fn with_dump(self, script: &str) -> Self {
        let program = self.machine.script("dump.sh", script);
        let machine = self.machine.configured(&format!("{}dump = [\"{}\"]\n", self.configuration, program.display()));
        Self { machine, ..self }
    }

    /// Nothing is left of a run that failed: one copy, shipped; no half one; no option file; and no object that was not there before.
    fn check_untouched(&self) {
        let listed = self.machine.json(&["list"], 0);
        let rows = listed["snapshots"].as_array().unwrap();
        assert_eq!((rows.len(), &rows[0]["where"]), (1, &"both".into()), "{listed:#}");
        let copies = fs::read_dir(self.machine.path("local/ellis")).unwrap().count();
        assert_eq!(copies, 1, "nothing half done is left");
        assert_eq!(files_below(&self.machine.path("local/.windlass/work")), Vec::<String>::new());
        assert_eq!(stored(&self.machine), self.stored, "nothing is shipped");
    }

    /// A run after those that failed is as good as ever.
    fn check_next_run(&self) {
        self.machine.configure_again(&self.configuration);
        self.machine.run(&["backup", "ellis"]).expect(0);
        let listed = self.machine.json(&["list"], 0);
        let rows = listed["snapshots"].as_array().unwrap();
        assert!(rows.len() == 2 && rows.iter().all(|row| row["where"] == "both"), "{listed:#}");
    }

    fn fails(&self, because: &str) -> Run {
        let run = self.machine.run(&["backup", "ellis"]);
        run.expect(1);
        assert!(run.stderr.contains(because), "{because}: {run:#?}");
        self.check_untouched();
        run
    }
}

/// The objects of a machine's repository.
fn stored(machine: &Machine) -> Vec<String> {
    let mut files = files_below(&machine.path("bucket"));
    files.sort();
    files
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap()) {
        if entry.path().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path().display().to_string());
        }
    }
    files
}

#[test]
fn a_dump_waits_for_a_table_that_somebody_has_locked_and_not_for_ever() {
    let server = MariaDb::running();
    let Case { machine, base, configuration, stored } = Case::new(server);
    let machine = machine.configured(&format!("{configuration}lock_wait = \"2s\"\n"));
    let lock = format!("LOCK TABLES {base}.a WRITE");
    let holder = Holder::by(server, &base, &lock);
    let case = Case { machine, base: base.clone(), configuration: configuration.clone(), stored };
    let run = case.fails("it has waited for a lock that somebody else holds, with `");
    assert!(run.stderr.contains("`a`") && run.stderr.contains("`lock_wait`"), "the statement names the table: {run:#?}");
    holder.lets_go();
    // Who lets go in time is waited for.
    let machine = case.machine.configured(&configuration);
    let holder = Holder::by(server, &base, &lock);
    let run = std::thread::scope(|scope| {
        let backup = scope.spawn(|| machine.run(&["backup", "ellis"]));
        let waits = format!("SELECT id FROM information_schema.PROCESSLIST WHERE db = '{base}' AND state LIKE 'Waiting for table%'");
        until("the dump waits", || !server.ask(None, &waits).is_empty());
        holder.lets_go();
        backup.join().unwrap()
    });
    run.expect(0);
}

#[test]
fn what_the_server_refuses_is_told_with_what_to_do() {
    let server = MariaDb::running();
    let Case { machine, base, configuration, stored } = Case::new(server);
    let account = server.account("BY SECRET", "");
    // Before there is an account that proves itself in another way: the server asks one that it does not know for any of the ways it has.
    let unknown = server.over_tcp("ellis", &[&base], "nobody_of_this_name", machine.temp.path());
    let nobody = Case { machine: machine.configured(&unknown), base: base.clone(), configuration: configuration.clone(), stored };
    nobody.fails("the password is wrong, or there is no such account");
    let Case { machine, stored, .. } = nobody;
    let ed25519 = server.account("VIA ed25519 USING PASSWORD(SECRET)", "");
    let tcp = |account: &str| server.over_tcp("ellis", &[&base], account, machine.temp.path());
    let cases = [
        (configuration.replace(&base, "no_such_base"), "has no database `no_such_base`, or may not see it"),
        (tcp(&account), "has no database"),
        (tcp(&ed25519), "IDENTIFIED VIA mysql_native_password or unix_socket"),
        (configuration.replace("socket\"", "no-socket\""), "is it running, and is this its socket?"),
        (tcp(&account).replace(&format!("port = {}", server.port), "port = 1"), "is it running, and is this its address?"),
        (format!("{configuration}dump = [\"/no/such/dump\"]\n"), "cannot start the program /no/such/dump"),
        (format!("{configuration}dump = [\"/bin/true\"]\n"), "is not a dump program of MySQL or MariaDB"),
    ];
    let mut case = Case { machine, base: base.clone(), configuration, stored };
    for (configuration, because) in cases {
        case.machine = case.machine.configured(&configuration);
        let run = case.fails(because);
        assert!(!run.said().contains(PASSWORD));
    }
    fs::write(case.machine.path("password"), "wrong").unwrap();
    case.machine.configure(&format!("url = \"file://{}\"", case.machine.path("bucket").display()), &{
        let (port, file) = (server.port, case.machine.path("password"));
        format!(
            "[mysql.ellis]\ndatabases = [\"{base}\"]\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"{account}\"\npassword_file = \"{}\"\n",
            file.display()
        )
    });
    case.fails("the password is wrong");
    case.check_next_run();
}

#[test]
fn a_dump_program_that_is_missing_from_the_machine_is_named() {
    let server = MariaDb::running();
    let case = Case::new(server);
    let run = Run::of(case.machine.command(&["snapshot", "ellis"]).env("PATH", "/nonexistent").output().unwrap());
    assert!(run.expect(1).stderr.contains("there is no dump program (mariadb-dump, mysqldump) on this machine"), "{run:#?}");
    case.check_untouched();
}

#[test]
fn a_dump_is_believed_only_when_its_exit_its_last_line_and_its_objects_say_so() {
    let server = MariaDb::running();
    let mut case = Case::new(server);
    server.load(
        Some(&case.base),
        b"CREATE VIEW v AS SELECT 1; CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET @a = 1; CREATE SEQUENCE s;
          CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DISABLE DO SET @a = 1; CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;",
    );
    let without = "if [[ $1 = --version ]]; then exec mariadb-dump --version; fi; mariadb-dump \"$1\" --ignore-table=BASE.NAME \"${@:2}\"";
    for (script, because) in [
        ("mariadb-dump \"$@\"; [[ $1 = --version ]] || exit 2", "the dump program has failed: exit code 2"),
        ("mariadb-dump \"$@\"; [[ $1 = --version ]] || kill -KILL $$", "the dump program has failed: killed by signal 9"),
        ("mariadb-dump \"$@\" | grep -v -e '^-- Dump completed'", "its last line is missing"),
        ("mariadb-dump \"$@\" | head -c 1500", "its last line is missing"),
        ("[[ $1 = --version ]] && exec mariadb-dump --version; exit 0", "its last line is missing"),
        ("exec mariadb-dump \"${@/--triggers/--skip-triggers}\"", "it holds no definition of trigger"),
        ("exec mariadb-dump \"${@/--events/--skip-events}\"", "it holds no definition of event"),
        ("exec mariadb-dump \"${@/--routines/--skip-routines}\"", "it holds no definition of function"),
        (&without.replace("NAME", "a"), "it holds no definition of table"),
        (&without.replace("NAME", "v"), "it holds no definition of view"),
        (&without.replace("NAME", "s"), "it holds no definition of sequence"),
        (
            "[[ $1 = --version ]] && exec mariadb-dump --version; echo 'SELECT 1;'; yes 'SELECT 2;' | head -c 1000000",
            "cannot be understood",
        ),
    ] {
        let script = script.replace("BASE", &case.base);
        case = case.with_dump(&script);
        case.fails(because);
    }
    // What no program can dump is left out, and said.
    let configuration = case.configuration.clone();
    case.machine = case.machine.configured(&configuration);
    server.load(Some(&case.base), b"CREATE TABLE gone (id INT); CREATE VIEW broken AS SELECT * FROM gone; DROP TABLE gone;");
    let run = case.machine.run(&["snapshot", "ellis"]);
    assert!(run.expect(3).stderr.contains("broken invalid_view"), "{run:#?}");
}

#[test]
fn definitions_that_change_while_the_dump_is_made_are_noticed_and_it_is_made_once_more() {
    let server = MariaDb::running();
    let case = Case::new(server);
    server.load(Some(&case.base), b"CREATE TABLE z (id INT);");
    let (socket, base) = (server.socket.display(), case.base.clone());
    let client = format!("mariadb --no-defaults -uroot -S {socket} {base}");
    // At the first dump only, and then at each of them.
    let once = format!(
        "[[ $1 = --version ]] && exec mariadb-dump --version\nmariadb-dump \"$@\" && [ ! -e $0.once ] && touch $0.once && echo 'ALTER TABLE z ADD COLUMN extra INT' | {client}\nexit 0"
    );
    let case = case.with_dump(&once);
    let run = case.machine.run(&["snapshot", "ellis"]);
    assert!(run.expect(0).stderr.contains(&format!("table `{base}`.`z` was made, changed or removed")), "{run:#?}");
    assert!(run.stderr.contains("it is made once more"), "{run:#?}");
    let cat = case.machine.run(&["cat", "ellis/latest", &format!("{base}/db_backup.sql")]);
    assert!(cat.expect(0).stdout.contains("`extra`"));
    let always = format!(
        "[[ $1 = --version ]] && exec mariadb-dump --version\nmariadb-dump \"$@\" && echo \"CREATE OR REPLACE VIEW moving AS SELECT $$ AS a\" | {client}"
    );
    let case = case.with_dump(&always);
    let run = case.machine.run(&["snapshot", "ellis"]);
    assert!(run.expect(1).stderr.contains("so it is of no one instant"), "{run:#?}");
    assert_eq!(case.machine.json(&["list"], 0)["snapshots"].as_array().unwrap().len(), 2);
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_dump_leaves_no_copy() {
    let server = MariaDb::start(&[]);
    let case = Case::new(&server);
    case.grow(&server);
    // Some megabytes are there when it stops reading for a while.
    let case = case.with_dump("[[ $1 = --version ]] && exec mariadb-dump --version\nset -o pipefail\nmariadb-dump \"$@\" | { head -c 20000000; touch $0.middle; sleep 1; cat; }");
    let child = case.machine.start(&["backup", "ellis"]);
    let middle = case.machine.path("dump.sh.middle");
    until("the middle of the dump", || middle.exists());
    server.kill();
    let run = finish(child);
    assert!(run.expect(1).stderr.contains("the dump program has failed"), "{run:#?}");
    case.check_untouched();
}

#[test]
fn a_dump_program_that_is_killed_leaves_no_copy_and_a_stop_ends_it() {
    let server = MariaDb::running();
    let case = Case::new(server);
    case.grow(server);
    let case = case.with_dump("[[ $1 = --version ]] && exec mariadb-dump --version\nset -o pipefail\necho $$ > $0.pid\nmariadb-dump \"$@\" | { head -c 5000000; touch $0.middle; sleep 1000; }");
    let (pid, middle) = (case.machine.path("dump.sh.pid"), case.machine.path("dump.sh.middle"));
    let program = || fs::read_to_string(&pid).unwrap().trim().parse::<u32>().unwrap();
    for stops in [false, true] {
        let child = case.machine.start(&["backup", "ellis"]);
        until("the middle of the dump", || middle.exists());
        if stops {
            send(child.id(), Signal::TERM);
            finish(child).expect(143);
        } else {
            let group = rustix::process::Pid::from_raw(i32::try_from(program()).unwrap()).unwrap();
            rustix::process::kill_process_group(group, Signal::KILL).unwrap();
            let run = finish(child);
            assert!(run.expect(1).stderr.contains("killed by signal 9"), "{run:#?}");
        }
        fs::remove_file(&middle).unwrap();
        case.check_untouched();
        until("the end of the dump program", || {
            fs::read(format!("/proc/{}/cmdline", program())).is_ok_and(|line| line.is_empty())
                || !Path::new(&format!("/proc/{}", program())).exists()
        });
    }
    case.check_next_run();
}

#[test]
fn what_a_killed_run_has_left_of_the_login_goes_with_the_next_run() {
    let server = MariaDb::running();
    let case = Case::new(server);
    let case = case.with_dump(
        "[[ $1 = --version ]] && exec mariadb-dump --version\n[ -e $0.middle ] && exec mariadb-dump \"$@\"\necho $$ > $0.pid; touch $0.middle; sleep 1000",
    );
    let child = case.machine.start(&["backup", "ellis"]);
    until("the dump", || case.machine.path("dump.sh.middle").exists());
    let work = case.machine.path("local/.windlass/work");
    let left = files_below(&work);
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(fs::metadata(&left[0]).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(Path::new(&left[0]).parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    send(child.id(), Signal::KILL);
    let mut child = child;
    child.wait().unwrap();
    // Nobody has ended the program, which waits for nothing.
    let group = fs::read_to_string(case.machine.path("dump.sh.pid")).unwrap().trim().parse().unwrap();
    rustix::process::kill_process_group(rustix::process::Pid::from_raw(group).unwrap(), Signal::KILL).unwrap();
    assert_eq!(files_below(&work).len(), 1, "a kill leaves it");
    case.machine.run(&["backup", "ellis"]).expect(0);
    assert_eq!(files_below(&work), Vec::<String>::new());
}

#[test]
fn a_disk_that_is_full_in_the_middle_or_too_small_from_the_start_leaves_no_copy() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), b"CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1);");
    let mut node = Node::new();
    let settings = MysqlSettings {
        address: Some(Address::Socket(server.socket.clone())),
        user: Some("root".into()),
        ..MysqlSettings::new(vec![base.clone()])
    };
    node.sources.push(spec("ellis", SourceKind::Mysql(Box::new(settings))));
    let ellis = "ellis".parse().unwrap();
    let take = |node: &Node| {
        node.clock.advance(Duration::from_secs(60));
        windlass::ops::snapshot::run(&node.context(), &ellis, &windlass::ops::snapshot::Options::default())
    };
    let disk = |mib: u64| std::sync::Arc::new(Disk { folder: node.path("local"), whole: mib << 20 });
    let (small, middle, large) = (disk(16), disk(32), disk(1 << 10));
    node.space = large;
    take(&node).unwrap();
    // Twenty megabytes, which become forty when they are written in hexadecimal digits; nobody can know that from how much there is.
    server.load(
        Some(&base),
        b"CREATE TABLE big (id INT PRIMARY KEY, bytes LONGBLOB); \
        INSERT INTO big SELECT seq, RANDOM_BYTES(1024) FROM seq_1_to_20000; ANALYZE TABLE big;",
    );
    node.space = small;
    let error = take(&node).unwrap_err().to_string();
    assert!(error.contains("there is no room for a new copy of `ellis`"), "{error}");
    node.space = middle;
    let error = take(&node).unwrap_err().to_string();
    assert!(error.contains("the copy takes more room than there was"), "{error}");
    let copies = fs::read_dir(node.path("local/ellis")).unwrap().count();
    assert_eq!(copies, 1);
}

#[test]
fn a_write_that_fails_in_the_middle_is_told_and_leaves_no_copy() {
    let server = MariaDb::running();
    let case = Case::new(server);
    case.grow(server);
    // The largest file that the program may write is smaller than the dump.
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 20000; exec \"$@\"", "limited", env!("CARGO_BIN_EXE_windlass"), "--config"]);
    let output = command.arg(case.machine.path("windlass.toml")).args(["snapshot", "ellis"]).output().unwrap();
    let run = Run::of(output);
    assert!(run.expect(1).stderr.contains("db_backup.sql\n  because: File too large"), "{run:#?}");
    case.check_untouched();
}

#[test]
fn a_small_disk_that_fills_in_the_middle_of_a_dump_is_told_and_holds_the_copy_before() {
    let server = MariaDb::running();
    let case = Case::new(server);
    // Nine megabytes, which become more than eighteen in hexadecimal digits, onto a disk of sixteen.
    server.load(
        Some(&case.base),
        b"CREATE TABLE big (id INT PRIMARY KEY, bytes LONGBLOB); \
        INSERT INTO big SELECT seq, RANDOM_BYTES(1024) FROM seq_1_to_9000; ANALYZE TABLE big;",
    );
    // The disk is there for this one run alone: nobody else sees it, and an ordinary user may mount it too.
    let script = "set -e; cp -a local kept; mount -t tmpfs -o size=16m none local; cp -a kept/. local; find local -type f | sort >before
        set +e; \"$0\" --config windlass.toml backup ellis; code=$?; find local -type f | sort >after; exit $code";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "bash", "-c", script, env!("CARGO_BIN_EXE_windlass")]);
    let run = Run::of(command.current_dir(case.machine.path("")).output().unwrap());
    assert!(run.expect(1).stderr.contains("No space left on device"), "{run:#?}");
    let files = |name: &str| {
        let text = fs::read_to_string(case.machine.path(name)).unwrap();
        text.lines().filter(|path| path.starts_with("local/ellis/")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!((files("before").len(), files("after")), (3, files("before")), "the copy before, whole, and nothing else");
    case.check_untouched();
}

#[test]
fn an_event_at_which_the_dump_program_would_never_end_is_refused() {
    let server = MariaDb::running();
    let case = Case::new(server);
    server.load(Some(&case.base), b"DELIMITER //\nCREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT ';;'//\n");
    case.fails("go on for ever");
}

#[test]
fn a_database_whose_name_the_dump_program_writes_wrong_is_told_with_what_to_do() {
    let server = MariaDb::running();
    let base = format!("{} it's", server.name());
    server.sql(&format!("CREATE DATABASE `{base}`; CREATE EVENT `{base}`.e ON SCHEDULE EVERY 1 YEAR DO SELECT 1"));
    let machine = Machine::in_memory().configured(&server.configuration("ellis", &[&base]));
    machine.run(&["init"]).expect(0);
    let failed = machine.run(&["snapshot", "ellis"]);
    let says = format!("the dump program itself writes the name of `{base}` wrong when it comes to its events");
    assert!(failed.expect(1).stderr.contains(&says) && failed.stderr.contains("rename the database"), "{failed:#?}");
    server.sql(&format!("DROP EVENT `{base}`.e"));
    machine.run(&["snapshot", "ellis"]).expect(0);
}

#[test]
fn what_the_dump_program_says_although_it_went_well_is_told() {
    let server = MariaDb::running();
    let case = Case::new(server).with_dump("[[ $1 = --version ]] || echo 'Warning: something odd' >&2\nexec mariadb-dump \"$@\"");
    let run = case.machine.run(&["snapshot", "ellis"]);
    assert!(run.expect(0).stderr.contains("the dump program went well and said: Warning: something odd"), "{run:#?}");
}
