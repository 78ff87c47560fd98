//! Loading dumps, whole and in parts, into a real MariaDB server by the vendor's client.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use windlass::source::Error;
use windlass::source::mysql::{Address, Loaded, Loading, Part, Settings, Sink, load, take};
use windlass::sys::stop::Stop;

use crate::support::servers::mariadb::MariaDb;

const EVERYTHING: &str = include_str!("support/everything.sql");

/// One file in memory.
#[derive(Default)]
struct File(Vec<u8>);

impl Sink for File {
    type Error = Error;

    fn write(&mut self, _: usize, bytes: &[u8]) -> Result<(), Error> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

fn settings(server: &MariaDb, base: &str) -> Settings {
    Settings { address: Some(Address::Socket(server.socket.clone())), user: Some("root".into()), ..Settings::new(vec![base.to_owned()]) }
}

/// A dump as Windlass takes it.
fn dump(server: &MariaDb, base: &str) -> String {
    let (folder, mut file) = (tempfile::tempdir().unwrap(), File::default());
    take(&settings(server, base), folder.path(), folder.path(), true, &Stop::new(), &mut file).unwrap();
    String::from_utf8(file.0).unwrap()
}

/// A dump as an operator takes it.
fn plain_dump(server: &MariaDb, words: &[&str]) -> String {
    let mut command = Command::new("mariadb-dump");
    command.args(["--no-defaults", "-uroot", "--routines", "--events", "-S"]).arg(&server.socket).args(words);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How a dump of `original` is loaded into `into`.
#[derive(Clone)]
struct Case<'a> {
    server: &'a MariaDb,
    original: &'a str,
    into: &'a str,
    part: Part,
    table: Option<&'a str>,
    sql_mode: Option<&'a str>,
    definers: BTreeMap<String, String>,
    client: Option<Vec<String>>,
    stop: Stop,
}

impl<'a> Case<'a> {
    fn new(server: &'a MariaDb, original: &'a str, into: &'a str, part: Part) -> Self {
        let (definers, stop) = (BTreeMap::new(), Stop::new());
        Self { server, original, into, part, table: None, sql_mode: None, definers, client: None, stop }
    }

    fn load(&self, dump: &mut dyn Read) -> Result<Loaded, Error> {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { client: self.client.clone(), ..settings(self.server, self.original) };
        let loading = Loading {
            kept: None,
            defaults: None,
            first: None,
            without_events: false,
            settings: &settings,
            database: self.into,
            original: self.original,
            part: self.part,
            table: self.table,
            sql_mode: self.sql_mode,
            definers: &self.definers,
            folder: folder.path(),
            work: folder.path(),
        };
        let mut metered = 0;
        let loaded = load(&loading, dump, &mut |more| metered += more, &self.stop);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the option file is gone");
        if let Ok(loaded) = &loaded {
            assert_eq!(loaded.bytes, metered);
        }
        loaded
    }

    fn fails(&self, dump: &mut dyn Read) -> (u64, String, String) {
        match self.load(dump) {
            Err(Error::Load { line, head, why }) => (line, head, why),
            other => panic!("{other:?}"),
        }
    }
}

/// Kinds and names of what was made, each once.
fn found(loaded: Loaded) -> Vec<(u8, String)> {
    let (mut sorted, mut found) = (loaded.found.sorted().unwrap(), Vec::new());
    while let Some(key) = sorted.next().unwrap() {
        found.push((key[2], String::from_utf8(key[3..].to_vec()).unwrap()));
    }
    found.dedup();
    found
}

fn names(server: &MariaDb, base: &str, from: &str) -> Vec<String> {
    let names = server.ask(None, &format!("SELECT HEX({from} = '{base}'"));
    let unhex = |text: &str| (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    let mut names: Vec<String> = names.lines().map(|name| String::from_utf8(unhex(name)).unwrap()).collect();
    names.sort();
    names
}

const TABLES: &str = "table_name) FROM information_schema.TABLES WHERE table_type <> 'VIEW' AND table_schema";
/// In which order what is no table is loaded.
const DEFINITIONS: [Part; 3] = [Part::Forms, Part::Views, Part::Checks];
const OTHERS: [&str; 4] = [
    "table_name) FROM information_schema.VIEWS WHERE table_schema",
    "trigger_name) FROM information_schema.TRIGGERS WHERE trigger_schema",
    "event_name) FROM information_schema.EVENTS WHERE event_schema",
    "routine_name) FROM information_schema.ROUTINES WHERE routine_schema",
];

#[test]
fn everything_comes_back_in_parts_of_which_the_first_is_tables_alone() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), EVERYTHING.as_bytes());
    let dump_of_base = dump(server, &base);
    let copy = server.database();
    let case = Case { sql_mode: Some("ANSI_QUOTES,NO_BACKSLASH_ESCAPES"), ..Case::new(server, &base, &copy, Part::Tables) };
    let tables = case.load(&mut dump_of_base.as_bytes()).unwrap();
    assert!(tables.is_complete && tables.bytes == dump_of_base.len() as u64);
    // What the other part will ask for is known before it comes.
    assert!(tables.definers.contains("gone@nowhere") && tables.creations > 3);
    assert_eq!(tables.notes, Vec::<String>::new());
    for from in OTHERS {
        assert_eq!(names(server, &copy, from), Vec::<String>::new(), "tables alone");
    }
    let mut made: Vec<String> = found(tables).into_iter().map(|(_, name)| name).collect();
    made.sort();
    assert_eq!(made, names(server, &base, TABLES));

    let mut made = Vec::new();
    for part in DEFINITIONS {
        let definitions = Case { part, ..case.clone() }.load(&mut dump_of_base.as_bytes()).unwrap();
        assert!(definitions.has_views && definitions.has_checks);
        if part != Part::Checks {
            assert!(definitions.definers.contains("gone@nowhere") || definitions.definers.contains("root@localhost"));
        }
        made.extend(found(definitions));
    }
    made.sort();
    made.dedup();
    let others: usize = OTHERS.iter().map(|from| names(server, &base, from).len()).sum();
    assert_eq!(made.len(), others);

    let here = |text: String| text.replace(&copy, &base);
    let everything: Vec<String> = server.everything(&copy).into_iter().map(here).collect();
    assert_eq!(everything, server.everything(&base));
    assert_eq!(here(dump(server, &copy)), dump_of_base);
}

#[test]
fn one_table_comes_alone_with_its_triggers() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(Some(&base), EVERYTHING.as_bytes());
    let dump = dump(server, &base);
    let copy = server.database();
    for (table, triggers) in [("no_key", 2), ("from_sequence", 0), ("od`d \"x\" 'y'.z; -- a", 0), ("a_child", 0)] {
        let case = Case { table: Some(table), ..Case::new(server, &base, &copy, Part::All) };
        assert_eq!(found(case.load(&mut dump.as_bytes()).unwrap()).len(), 1 + triggers, "{table}");
    }
    assert_eq!(names(server, &copy, TABLES), ["a_child", "from_sequence", "no_key", "od`d \"x\" 'y'.z; -- a"]);
    let of = |base: &str| server.ask(Some(base), "SELECT * FROM from_sequence; CHECKSUM TABLE no_key EXTENDED").replace(&copy, base);
    assert_eq!(of(&copy).replace(&copy, &base), of(&base));
}

#[test]
fn a_mistake_is_told_with_its_line_and_the_statements_beginning_and_without_rows() {
    let server = MariaDb::running();
    let into = server.database();
    let case = Case::new(server, "ellis", &into, Part::All);
    let begin = "-- a dump\n\nCREATE TABLE `t` (\n  `a` int,\n  `b` text\n);\n/* a\ncomment */\nINSERT INTO `t` VALUES (1,'one\nrow');\n";
    let rows = format!("(2,'hunter2'),{}(3)", "(4,'hunter2'),\n".repeat(20_000));
    let (line, head, why) =
        case.fails(&mut format!("{begin}\nINSERT INTO `t` VALUES {rows};\nINSERT INTO `t` VALUES (5,'x');\n").as_bytes());
    assert_eq!((line, head.as_str()), (12, "INSERT INTO `t` …"));
    assert!(why.starts_with("ERROR 1136 (21S01): Column count doesn't match") && !why.contains("hunter2"), "{why}");
    let text = Error::Load { line, head, why }.to_string();
    assert!(text.starts_with("the dump cannot be loaded: at line 12, INSERT INTO `t` …: ERROR 1136"), "{text}");

    // The client stops at once although much more is to come, and a key that comes twice is told of its table.
    let into = server.database();
    let many = (0..2000).map(|n| format!("INSERT INTO `t` VALUES ({n});\n")).collect::<String>();
    let text = format!(
        "CREATE TABLE `t` (`a` int PRIMARY KEY);\nINSERT INTO `t` VALUES (77777);\n{many}INSERT INTO `t` VALUES (77777);\nSELEC 1;"
    );
    let (line, head, why) = Case { into: &into, ..case.clone() }.fails(&mut text.replace("SELEC 1;", "").as_bytes());
    assert!(line == 2003 && head.starts_with("INSERT INTO `t`") && why.contains("1062"), "{line} {head} {why}");
    let (line, head, _) = Case { into: &into, ..case.clone() }.fails(&mut "SET a.b=1;\n\nDELIMITER ;;\nCREATE TABLE q (;;\n".as_bytes());
    assert_eq!((line, head.as_str()), (1, "SET a.b=1;"));
    let (line, head, _) = Case { into: &into, ..case }.fails(&mut "SET @b=1;\n\nDELIMITER ;;\nCREATE TABLE q (;;\n".as_bytes());
    assert_eq!((line, head.as_str()), (4, "CREATE TABLE q (;;"));
}

#[test]
fn a_definer_is_mapped() {
    let server = MariaDb::running();
    let (base, copy) = (server.database(), server.database());
    server.load(Some(&base), b"CREATE TABLE t (a INT); CREATE DEFINER = 'gone'@'nowhere' VIEW v AS SELECT a FROM t;
        CREATE DEFINER = 'gone'@'nowhere' TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 1; CREATE DEFINER = stays@'%' PROCEDURE p() SELECT 1;");
    let definers = [("gone@nowhere".to_owned(), "it's@%".to_owned())].into();
    let loaded = Case { definers, ..Case::new(server, &base, &copy, Part::All) }.load(&mut dump(server, &base).as_bytes()).unwrap();
    assert_eq!(loaded.definers.into_iter().collect::<Vec<_>>(), ["it's@%", "stays@%"]);
    let question = "SELECT definer FROM information_schema.VIEWS WHERE table_schema = DATABASE() UNION ALL \
        SELECT definer FROM information_schema.TRIGGERS WHERE trigger_schema = DATABASE() UNION ALL \
        SELECT definer FROM information_schema.ROUTINES WHERE routine_schema = DATABASE()";
    assert_eq!(server.ask(Some(&copy), question), "it's@%\nit's@%\nstays@%");
}

/// As MySQL 8.0 writes it.
const MYSQL_8: &str = include_str!("support/mysql8.sql");

#[test]
fn a_dump_of_mysql_8_comes_with_notes() {
    let server = MariaDb::running();
    let into = server.database();
    let loaded = Case::new(server, "ellis", &into, Part::All).load(&mut MYSQL_8.as_bytes()).unwrap();
    let told = loaded.notes.join("\n");
    for note in [
        "SQL_LOG_BIN",
        "GTID_PURGED",
        "`ellis` was left out",
        "utf8mb4_0900_ai_ci: ",
        "`/*!80023 INVISIBLE */`",
        "TIME_TRUNCATE_FRACTIONAL",
    ] {
        assert!(told.contains(note), "{note}: {told}");
    }
    assert!(loaded.is_complete);
    assert_eq!(found(loaded).len(), 5);
    let question = "SELECT collation_name FROM information_schema.COLUMNS WHERE table_schema = DATABASE() AND column_name = 'name'";
    let collations = server.ask(Some(&into), question);
    assert!(collations.lines().count() == 2 && collations.lines().all(|name| name == "utf8mb4_uca1400_nopad_ai_ci"), "{collations}");
    assert_eq!(server.ask(Some(&into), "CALL told('Ä'); SELECT name FROM v ORDER BY id"), "1\nÄrger\nzwei\ndrei; 'x'");
    assert_eq!(server.ask(None, "SHOW DATABASES LIKE 'ellis'"), "");
}

#[test]
fn what_an_operator_has_dumped_with_locks_and_with_the_databases_name_comes_too() {
    let server = MariaDb::running();
    let base = server.database();
    server.load(
        Some(&base),
        b"CREATE SEQUENCE s; CREATE TABLE t (id INT PRIMARY KEY DEFAULT NEXTVAL(s), b TEXT) ENGINE = InnoDB;
          CREATE TABLE m (id INT PRIMARY KEY, b TEXT, FULLTEXT KEY (b)) ENGINE = MyISAM; INSERT INTO t (b) VALUES ('a'), ('b'); INSERT INTO m VALUES (1, 'x');
          CREATE VIEW v AS SELECT * FROM t;
          CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DO DELETE FROM t;
          DELIMITER //
          CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW /* it's */ BEGIN /* two ; */ SET NEW.b = CONCAT(NEW.b, '*/'); END//
          CREATE PROCEDURE p() BEGIN /* c */ SELECT 1; END//\n",
    );
    for words in [&[base.as_str()][..], &["--databases", &base], &["--add-drop-database", "--no-autocommit", "--databases", &base]] {
        let copy = server.database();
        let text = plain_dump(server, words);
        assert!(text.contains("LOCK TABLES"));
        for part in [Part::Tables].into_iter().chain(DEFINITIONS) {
            let loaded = Case::new(server, &base, &copy, part).load(&mut text.as_bytes()).unwrap();
            assert_eq!(loaded.notes.len(), usize::from(words.len() > 1), "{:?}", loaded.notes);
        }
        let everything: Vec<String> = server.everything(&copy).into_iter().map(|text| text.replace(&copy, &base)).collect();
        assert_eq!(everything, server.everything(&base));
    }
}

#[test]
fn an_engine_that_the_server_does_not_have_is_not_given_for_another_one() {
    let server = MariaDb::running();
    let into = server.database();
    let text = MYSQL_8.replacen("ENGINE=InnoDB", "ENGINE=RocksDB", 1);
    let (_, head, why) = Case::new(server, "ellis", &into, Part::Tables).fails(&mut text.as_bytes());
    assert!(head.starts_with("CREATE TABLE") && why.contains("RocksDB"), "{head} {why}");
}

/// Rows without end; something happens after some MiB of them.
struct Endless<F>(u64, Option<F>);

impl<F: FnOnce()> Read for Endless<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let begin = b"CREATE TABLE t (a text);\n";
        if self.0 == 0 {
            buffer[..begin.len()].copy_from_slice(begin);
            self.0 = begin.len() as u64;
            return Ok(begin.len());
        }
        if self.0 > 8 << 20
            && let Some(happen) = self.1.take()
        {
            happen();
        }
        let row = format!("INSERT INTO t VALUES ('{}');\n", "x".repeat(4000));
        buffer[..row.len()].copy_from_slice(row.as_bytes());
        self.0 += row.len() as u64;
        Ok(row.len())
    }
}

#[test]
fn a_server_that_is_killed_is_told_with_how_far_it_got() {
    let server = MariaDb::start(&[]);
    let into = server.database();
    let (line, head, why) = Case::new(&server, "ellis", &into, Part::All).fails(&mut Endless(0, Some(|| server.kill())));
    assert!(line > 1 && head.starts_with("INSERT INTO t") && why.contains("the server went away, after"), "{line} {head} {why}");
}

#[test]
fn a_client_that_is_killed_and_a_run_that_is_stopped_leave_a_session_that_ends() {
    let server = MariaDb::running();
    let into = server.database();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("client");
    let text = "#!/bin/bash\nif [ \"$1\" = --version ]; then exec mariadb --version; fi\nhead -c 3000000 >/dev/null\nkill -9 $$\n";
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let case = Case::new(server, "ellis", &into, Part::All);
    let killed = Case { client: Some(vec![script.display().to_string()]), ..case.clone() };
    let (line, _, why) = killed.fails(&mut Endless(0, Some(|| ())));
    assert!(line > 1 && why.contains("killed by signal 9") && why.contains("bytes of the file"), "{line} {why}");

    let stop = case.stop.clone();
    let error = case.load(&mut Endless(0, Some(|| stop.request(15)))).unwrap_err();
    assert!(matches!(error, Error::Stopped(_)), "{error:?}");
    // Waits for as long as a session holds on to the table.
    server.sql(&format!("SET lock_wait_timeout = 20; DROP DATABASE {into}"));
}

#[test]
fn a_client_that_is_none_is_named() {
    let server = MariaDb::running();
    let into = server.database();
    let case = Case { client: Some(vec!["/bin/true".into()]), ..Case::new(server, "ellis", &into, Part::All) };
    let error = case.load(&mut "".as_bytes()).unwrap_err().to_string();
    assert!(error.contains("`/bin/true` is not a client of MySQL or MariaDB"), "{error}");
}
