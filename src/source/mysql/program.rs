//! The vendor's dump program and client: finding them, learning whose they are, and their command lines.

use std::time::Duration;

use crate::source::Error;
use crate::sys;
use crate::sys::child::Child;
use crate::sys::environment::{Environment, SystemEnvironment};
use crate::sys::stop::Stop;

use super::settings::Settings;

/// A kind of program.
struct Tool {
    /// Its names, the one that is looked for first before the other.
    names: [&'static str; 2],
    /// What it is called to a person, and by which key it is configured.
    what: &'static str,
    key: &'static str,
}

const DUMP: Tool = Tool { names: ["mariadb-dump", "mysqldump"], what: "dump program", key: "dump" };
const CLIENT: Tool = Tool { names: ["mariadb", "mysql"], what: "client", key: "client" };

/// How long a program may take to say its version.
const VERSION_TIME: Duration = Duration::from_secs(30);

/// Most of an answer that is read.
const ANSWER_MAX: usize = 4 << 10;

/// Longest statement that is asked for: the most that the dump program can be told, and the packet limit of most servers.
const STATEMENT_MAX: u64 = 16 << 20;

/// Shortest that it can be told.
const STATEMENT_MIN: u64 = 4 << 10;

/// What is left between a statement and the server's limit for a packet, for what the client puts around it.
const STATEMENT_SPARE: u64 = 64 << 10;

/// A program of the vendor that is there.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) words: Vec<String>,
    /// What it says of itself, in one line.
    pub(super) version: String,
    /// Whether it is MariaDB's; else MySQL's.
    pub(super) is_mariadb: bool,
}

impl Program {
    /// The configured dump program, or the one that is found.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none, or it is not one.
    pub(super) fn find(settings: &Settings, stop: &Stop) -> Result<Self, Error> {
        Self::look_for(&DUMP, settings.dump.as_ref(), stop)
    }

    /// The configured client, or the one that is found.
    ///
    /// # Errors
    /// As [`Program::find`].
    pub(super) fn find_client(settings: &Settings, stop: &Stop) -> Result<Self, Error> {
        Self::look_for(&CLIENT, settings.client.as_ref(), stop)
    }

    fn look_for(tool: &Tool, configured: Option<&Vec<String>>, stop: &Stop) -> Result<Self, Error> {
        if let Some(words) = configured {
            return Self::ask(tool, words.clone(), stop);
        }
        for name in tool.names {
            match Self::ask(tool, vec![name.to_owned()], stop) {
                Err(Error::System(sys::Error::Program { cause, .. })) if cause.kind() == std::io::ErrorKind::NotFound => {}
                found => return found,
            }
        }
        let (what, names, key) = (tool.what, tool.names.join(", "), tool.key);
        let why = format!("there is no {what} ({names}) on this machine: install the server's client programs, or say `{key}`");
        Err(Error::Refused { why })
    }

    fn ask(tool: &Tool, words: Vec<String>, stop: &Stop) -> Result<Self, Error> {
        let asked = [&words[..], &["--version".to_owned()]].concat();
        let mut child = Child::start(&asked, &environment(), false, VERSION_TIME, stop)?;
        let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
        loop {
            match child.read(&mut buffer)? {
                0 => break,
                read => answer.extend_from_slice(&buffer[..read.min(ANSWER_MAX - answer.len())]),
            }
        }
        let ended = child.finish()?;
        let version = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().trim().to_owned();
        let is_it = if tool.key == DUMP.key { version.contains("dump") } else { is_client(&version) };
        if !ended.is_well() || !is_it {
            let how = if ended.is_well() { format!("it says `{version}`") } else { ended.how() };
            return Err(Error::Refused { why: format!("`{}` is not a {} of MySQL or MariaDB: {how}", words.join(" "), tool.what) });
        }
        Ok(Self { is_mariadb: version.contains("MariaDB"), words, version })
    }

    /// Whether it can dump the history of system-versioned tables: MariaDB's since 10.11.
    pub(super) fn knows_history(&self) -> bool {
        self.is_mariadb && release(&self.version).is_some_and(|release| release >= (10, 11))
    }

    /// The whole command line for a dump of these databases.
    ///
    /// Only the given option file is read: what an administrator wrote for other dumps (`no-data`, `where`) must not change this one.
    pub(super) fn dump(&self, option_file: &str, settings: &Settings, with_position: bool, packet_limit: u64) -> Vec<String> {
        let statement = statement_limit(packet_limit);
        let mut words = self.words.clone();
        words.push(format!("--defaults-file={option_file}"));
        let options = [
            "--single-transaction",
            "--quick",
            "--skip-lock-tables",
            // A table whose default comes from a sequence cannot be loaded while it alone is locked.
            "--skip-add-locks",
            "--hex-blob",
            "--routines",
            "--triggers",
            "--events",
            "--comments",
            "--skip-dump-date",
            "--no-tablespaces",
            "--tz-utc",
            "--default-character-set=utf8mb4",
            // What one row takes must get through, whatever it is.
            "--max-allowed-packet=1G",
        ];
        words.extend(options.map(str::to_owned));
        words.push(format!("--net-buffer-length={statement}"));
        if settings.order_by_primary {
            words.push("--order-by-primary".into());
        }
        match (self.is_mariadb, with_position) {
            (true, true) => words.push("--master-data=2".into()),
            (true, false) => {}
            (false, _) => {
                words.push("--set-gtid-purged=OFF".into());
                // It came with 8.0. Programs before it would fail at the option, and at a loose one that they do not know they warn each time; they
                // tell their release where the others tell the server's.
                if release(&self.version).is_none() {
                    words.push("--loose-column-statistics=0".into());
                }
            }
        }
        words.push("--databases".into());
        words.push("--".into());
        words.extend(settings.databases.iter().cloned());
        words
    }

    /// The whole command line for loading statements from the standard input into a database, to the first error or past every one.
    pub(super) fn load(&self, option_file: &str, database: &str, goes_on: bool) -> Vec<String> {
        let mut words = self.words.clone();
        words.push(format!("--defaults-file={option_file}"));
        let options = [
            // Bytes of rows mean nothing to the client, and its own commands are not taken.
            "--binary-mode",
            "--batch",
            // What the server changes in a row it tells by a warning alone.
            "--show-warnings",
            // Those in bodies of routines and triggers stay.
            "--comments",
            "--default-character-set=utf8mb4",
            "--max-allowed-packet=1G",
            // A session that is set up anew by itself would have lost its settings, and half a transaction.
            "--skip-reconnect",
            // Else it first reads the names of all tables and columns.
            "--skip-auto-rehash",
            "--local-infile=0",
        ];
        words.extend(options.map(str::to_owned));
        if self.is_mariadb {
            // Before the error that counts it would print a statement of any size with all its rows. Older ones do not know this, or do it.
            words.push("--loose-skip-print-query-on-error".into());
        }
        if goes_on {
            words.push("--force".into());
        }
        words.push(format!("--database={database}"));
        words
    }
}

/// Whether this is how a client tells its version: `mysql  Ver 8.0.36 …`, `/usr/bin/mariadb from 11.4.2-MariaDB …`.
fn is_client(version: &str) -> bool {
    let name = version.split_whitespace().next().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    (name.starts_with("mysql") || name.starts_with("mariadb")) && !name.contains("dump") && !name.contains("admin")
}

/// The longest statement that is made of several rows, for a server that takes packets up to this limit.
pub(super) fn statement_limit(packet_limit: u64) -> u64 {
    packet_limit.saturating_sub(STATEMENT_SPARE).clamp(STATEMENT_MIN, STATEMENT_MAX)
}

/// The release of the server that a program came with: its first two numbers after `Distrib` or `from`.
fn release(version: &str) -> Option<(u32, u32)> {
    let at = ["Distrib ", "from "].iter().find_map(|word| Some(version.find(word)? + word.len()))?;
    let mut numbers = version[at..].split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// All that a program of the vendor is told of its environment: where programs lie, and where the person's own files do, for words before it
/// such as `docker exec`. Variables that stand for options (`MYSQL_PWD`, `MYSQL_HOST`) are left out.
pub(super) fn environment() -> Vec<(&'static str, String)> {
    let own = SystemEnvironment;
    let mut variables: Vec<(&str, String)> =
        ["PATH", "HOME", "DOCKER_HOST", "XDG_RUNTIME_DIR"].into_iter().filter_map(|name| Some((name, own.var(name)?))).collect();
    // MySQL's programs read a file of logins even when they are told another option file, unless it is not there.
    variables.push(("MYSQL_TEST_LOGIN_FILE", "/nonexistent/login".into()));
    variables.push(("LC_ALL", "C".into()));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(is_mariadb: bool) -> Program {
        Program { words: vec!["x".into(), "dump".into()], version: String::new(), is_mariadb }
    }

    #[test]
    fn a_statement_fits_into_the_servers_packet() {
        let settings = Settings::new(vec!["--a".into()]);
        for (limit, wanted) in [(16 << 20, (16 << 20) - (64 << 10)), (1 << 30, 16 << 20), (1 << 20, (1 << 20) - (64 << 10)), (1024, 4096)] {
            let words = program(true).dump("/f", &settings, false, limit);
            assert!(words.contains(&format!("--net-buffer-length={wanted}")), "{words:?}");
        }
    }

    #[test]
    fn a_release_is_read_from_old_and_new_texts() {
        for (text, wanted) in [
            ("mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)", Some((10, 11))),
            ("mariadb-dump from 11.4.2-MariaDB, client 10.19 for Linux (x86_64)", Some((11, 4))),
            ("mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)", None),
            ("mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)", Some((5, 7))),
        ] {
            assert_eq!(release(text), wanted);
        }
    }

    #[test]
    fn a_client_is_told_from_other_programs() {
        for version in [
            "mariadb  Ver 15.1 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64) using  EditLine wrapper",
            "/usr/bin/mysql from 11.4.2-MariaDB, client 15.2 for Linux (x86_64)",
            "mysql  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)",
        ] {
            assert!(is_client(version), "{version}");
        }
        for version in
            ["", "mysqldump  Ver 8.0.36 for Linux", "mariadb-dump from 11.4.2-MariaDB", "mysqladmin  Ver 8.0", "psql (PostgreSQL) 15"]
        {
            assert!(!is_client(version), "{version}");
        }
        let words = program(true).load("/f", "--a", false);
        assert_eq!((&words[2], words.last()), (&"--defaults-file=/f".to_owned(), Some(&"--database=--a".to_owned())));
    }

    #[test]
    fn the_option_file_comes_first_and_a_database_is_no_option() {
        let words = program(true).dump("/f", &Settings::new(vec!["--a".into(), "b".into()]), true, 1 << 24);
        assert_eq!(words[..3], ["x", "dump", "--defaults-file=/f"]);
        assert_eq!(words[words.len() - 4..], ["--databases", "--", "--a", "b"]);
        assert!(words.contains(&"--master-data=2".to_owned()) && words.contains(&"--order-by-primary".to_owned()));
        let mysql = program(false).dump("/f", &Settings { order_by_primary: false, ..Settings::new(vec!["b".into()]) }, true, 1 << 24);
        assert!(mysql.contains(&"--set-gtid-purged=OFF".to_owned()) && !mysql.iter().any(|word| word.contains("order-by")));
    }
}
