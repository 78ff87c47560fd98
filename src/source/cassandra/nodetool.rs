//! Telling the node what to do: `nodetool`, which speaks JMX.
//!
//! Its exit code is necessary and never enough: a wrapper may lose it, and a snapshot of nothing ends well too. What it says is kept up to a
//! bound; what it did is looked for on the disk by whoever asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::import::Counts;
use super::settings::{Jmx, Settings};
use crate::source::Error;
use crate::sys;
use crate::sys::child::{Child, Ended};
use crate::sys::environment::{Environment, SystemEnvironment};
use crate::sys::file::write_new_private;
use crate::sys::stop::Stop;

/// How long a snapshot may take: every memtable of the keyspaces is written out first, and links may be slowed down
/// (`snapshot_links_per_second`). Nothing is said meanwhile.
const SNAPSHOT_TIME: Duration = Duration::from_secs(2 * 3600);

/// Most keyspaces that are written out one by one, each by a start of `nodetool`; of more the whole node is.
const FLUSHED_EACH: usize = 4;

/// How long the removal of a snapshot may take: one unlink for each file.
const CLEAR_TIME: Duration = Duration::from_secs(30 * 60);

/// How long an import of one table may say nothing: the index of every SSTable is read, and indexes of the table that have files of their own
/// are built over all rows before it comes back.
const IMPORT_TIME: Duration = Duration::from_secs(6 * 3600);

/// How long a question may take, or a switch be turned.
const SHORT_TIME: Duration = Duration::from_secs(5 * 60);

/// How often a question is asked at most, where something [has vanished](vanished): each time another table must have gone in that instant, or the
/// node, which takes CQL a moment earlier, is not ready yet for JMX.
const ASKED_MAX: usize = 12;

/// How long it is waited in between; `nodetool` itself takes a second or two.
const ASKED_TICK: Duration = Duration::from_millis(300);

/// Most names of tables that one command is given, so that its words stay below what the system takes.
const TABLES_MAX: usize = 200;

/// Longest that one word of a command becomes: the system takes 128 KiB (`MAX_ARG_STRLEN` of Linux).
const WORD_MAX: usize = 100 << 10;

/// What is kept of its standard output: its beginning.
const ANSWER_MAX: usize = 16 << 10;

/// Longest that a line of what it said becomes in an error.
const TOLD_MAX: usize = 400;

/// The folder's name for the password, while it runs.
const PASSWORD_FILE: &str = "nodetool.pw";

/// `nodetool` of one node.
pub(super) struct Nodetool<'a> {
    jmx: &'a Jmx,
    node: String,
    folder: &'a Path,
    stop: &'a Stop,
}

impl<'a> Nodetool<'a> {
    /// `folder` is one that nobody else can enter, and that is cleared after a kill: the password is there while the program runs.
    pub(super) fn new(settings: &'a Settings, folder: &'a Path, stop: &'a Stop) -> Self {
        Self { jmx: &settings.jmx, node: settings.place(), folder, stop }
    }

    /// Has a snapshot taken of these keyspaces, all in one. Whatever was written before this is called is in it.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what it said; [`Error::Stopped`].
    pub(super) fn snapshot(&self, tag: &str, keyspaces: &[String]) -> Result<(), Error> {
        self.flush(keyspaces)?;
        self.run("take a snapshot of", &tagged("snapshot", tag, keyspaces), SNAPSHOT_TIME).map(drop)
    }

    /// Has what is in memory of these keyspaces written out, and waits for what is being written out already.
    ///
    /// A snapshot does that by itself, but for one thing: where a memtable is being written out and nothing has come into the next one yet, it
    /// takes the table for clean, does not wait, and lacks all that the first one held (`ColumnFamilyStore.snapshot`; seen on 5.0.9). A flush
    /// waits for it.
    fn flush(&self, keyspaces: &[String]) -> Result<(), Error> {
        const WHAT: &str = "write out what is in memory of";
        // It takes one keyspace or all of the node.
        if keyspaces.len() > FLUSHED_EACH {
            return self.run(WHAT, &["flush".to_owned()], SNAPSHOT_TIME).map(drop);
        }
        keyspaces.iter().try_for_each(|keyspace| self.run(WHAT, &["flush", "--", keyspace].map(str::to_owned), SNAPSHOT_TIME).map(drop))
    }

    /// Has the snapshots of this name removed from these keyspaces; it goes well too where there is none.
    ///
    /// # Errors
    /// As [`Nodetool::snapshot`].
    pub(super) fn clear(&self, tag: &str, keyspaces: &[String]) -> Result<(), Error> {
        self.run("clear a snapshot of", &tagged("clearsnapshot", tag, keyspaces), CLEAR_TIME).map(drop)
    }

    /// Has a snapshot taken of these tables and views: all in one, or, where their names are more than one word of a command can hold, of whole
    /// keyspaces, in which case others of them are in it too.
    ///
    /// # Errors
    /// As [`Nodetool::snapshot`].
    pub(super) fn snapshot_tables(&self, tag: &str, tables: &[(&str, &str)]) -> Result<(), Error> {
        let list = tables.iter().map(|(keyspace, table)| format!("{keyspace}.{table}")).collect::<Vec<_>>().join(",");
        let keyspaces: BTreeSet<&str> = tables.iter().map(|(keyspace, _)| *keyspace).collect();
        let keyspaces: Vec<String> = keyspaces.into_iter().map(str::to_owned).collect();
        if list.len() > WORD_MAX {
            return self.snapshot(tag, &keyspaces);
        }
        self.flush(&keyspaces)?;
        let words = ["snapshot", "-t", tag, "-kt", &list].map(str::to_owned);
        self.run("take a snapshot of", &words, SNAPSHOT_TIME).map(drop)
    }

    /// The id of the node that it speaks to.
    ///
    /// # Errors
    /// As [`Nodetool::snapshot`]; also when it does not tell.
    pub(super) fn host_id(&self) -> Result<String, Error> {
        const WHAT: &str = "ask over JMX for the id of";
        let mut found = None;
        self.lines(WHAT, &["info".to_owned()], SHORT_TIME, &mut |line| {
            // `ID                     : 5d7a…` (`Info`, the same in 4.1 and 5.0).
            if let Some((label, id)) = line.split_once(':')
                && label.trim() == "ID"
            {
                found = Some(id.trim().to_owned());
            }
        })?;
        found.ok_or_else(|| Error::Cassandra { what: WHAT, node: self.node.clone(), why: "`nodetool info` does not tell it".to_owned() })
    }

    /// How long the node waits for a write, milliseconds and above.
    ///
    /// # Errors
    /// As [`Nodetool::snapshot`]; also when it does not tell.
    pub(super) fn write_timeout(&self) -> Result<Duration, Error> {
        const WHAT: &str = "ask for the write timeout of";
        let mut found = None;
        self.lines(WHAT, &["gettimeout", "write"].map(str::to_owned), SHORT_TIME, &mut |line| {
            // `Current timeout for type write: 2000 ms` (`GetTimeout`, the same in 4.1 and 5.0).
            let millis = line.rsplit_once(": ").and_then(|(_, value)| value.trim().strip_suffix(" ms")?.parse().ok());
            found = millis.map(Duration::from_millis).or(found);
        })?;
        found.ok_or_else(|| Error::Cassandra {
            what: WHAT,
            node: self.node.clone(),
            why: "`nodetool gettimeout write` does not tell it".into(),
        })
    }

    /// Has all SSTables in folders taken into a table or view, which keeps what it has. The folders stay as they are, but for what the node
    /// writes anew of each SSTable's statistics.
    ///
    /// That it goes well proves nothing: a folder without SSTables, or with those of a format that the node does not know, is no error to it.
    ///
    /// # Errors
    /// As [`Nodetool::snapshot`].
    pub(super) fn import(&self, keyspace: &str, table: &str, folders: &[PathBuf]) -> Result<(), Error> {
        let head = ["import", "--copy-data", "--", keyspace, table].map(str::to_owned);
        let folders = folders.iter().map(|folder| folder.to_string_lossy().into_owned());
        let words: Vec<String> = head.into_iter().chain(folders).collect();
        self.run("import files into a table of", &words, IMPORT_TIME).map(drop)
    }

    /// Turns the compaction of tables and views on, or off.
    ///
    /// # Errors
    /// As [`Nodetool::snapshot`].
    pub(super) fn compact_by_itself(&self, on: bool, keyspace: &str, tables: &[&str]) -> Result<(), Error> {
        let (what, command) = if on {
            ("turn on the compaction of", "enableautocompaction")
        } else {
            ("turn off the compaction of", "disableautocompaction")
        };
        for tables in tables.chunks(TABLES_MAX) {
            self.run(what, &about(command, &["--", keyspace], tables), SHORT_TIME)?;
        }
        Ok(())
    }

    /// Those of these tables and views whose compaction is on.
    ///
    /// # Errors
    /// As [`Nodetool::snapshot`]; also when it does not tell of one of them.
    pub(super) fn compacting_by_themselves(&self, keyspace: &str, tables: &[&str]) -> Result<Vec<String>, Error> {
        const WHAT: &str = "ask for the compaction of";
        let mut found = BTreeMap::new();
        for tables in tables.chunks(TABLES_MAX) {
            let words = about("statusautocompaction", &["-a", "--", keyspace], tables);
            self.lines(WHAT, &words, SHORT_TIME, &mut |line| {
                // Keyspace, table, and `running` or `not running`.
                let mut words = line.split_whitespace();
                if words.next() == Some(keyspace)
                    && let (Some(table), Some(status)) = (words.next(), words.next())
                {
                    found.insert(table.to_owned(), status == "running");
                }
            })?;
        }
        let on = |table: &&str| match found.get(*table) {
            Some(on) => Ok(on.then(|| (*table).to_owned())),
            None => Err(Error::Cassandra { what: WHAT, node: self.node.clone(), why: format!("it tells nothing of {keyspace}.{table}") }),
        };
        tables.iter().map(on).filter_map(Result::transpose).collect()
    }

    /// How many SSTables the node has open of these tables and views.
    ///
    /// # Errors
    /// As [`Nodetool::snapshot`].
    pub(super) fn counts(&self, tables: &[(&str, &str)]) -> Result<Counts, Error> {
        let mut counts = Counts::default();
        for tables in tables.chunks(TABLES_MAX) {
            let names: Vec<String> = tables.iter().map(|(keyspace, table)| format!("{keyspace}.{table}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let words = about("tablestats", &["--"], &names);
            self.lines("count the SSTables of", &words, SHORT_TIME, &mut |line| counts.line(line))?;
        }
        Ok(counts)
    }

    /// Asks a question, which changes nothing, and hands over what it answers, line by line: from the beginning, if it has to be asked again.
    fn lines(&self, what: &'static str, question: &[String], silence: Duration, each: &mut dyn FnMut(&str)) -> Result<(), Error> {
        let mut asked = 1;
        loop {
            match self.lines_once(what, question, silence, each) {
                Err(Error::Cassandra { why, .. }) if vanished(&why) && asked < ASKED_MAX => {
                    asked += 1;
                    self.stop.check()?;
                    std::thread::sleep(ASKED_TICK);
                }
                outcome => return outcome,
            }
        }
    }

    fn lines_once(&self, what: &'static str, question: &[String], silence: Duration, each: &mut dyn FnMut(&str)) -> Result<(), Error> {
        let mut line = Vec::new();
        self.run_with(what, question, silence, &mut |bytes| {
            for byte in bytes {
                if *byte == b'\n' {
                    each(&String::from_utf8_lossy(&line));
                    line.clear();
                } else if line.len() < ANSWER_MAX {
                    line.push(*byte);
                }
            }
        })?;
        each(&String::from_utf8_lossy(&line));
        Ok(())
    }

    /// Runs a command to its end and gives what it wrote, at most its first 16 KiB. `silence` is how long it may say nothing.
    ///
    /// # Errors
    /// As [`Nodetool::snapshot`].
    pub(super) fn run(&self, what: &'static str, command: &[String], silence: Duration) -> Result<String, Error> {
        self.run_with(what, command, silence, &mut |_| {})
    }

    fn run_with(&self, what: &'static str, command: &[String], silence: Duration, each: &mut dyn FnMut(&[u8])) -> Result<String, Error> {
        let failed = |why| Error::Cassandra { what, node: self.node.clone(), why };
        let password = PasswordFile::create(self.jmx, self.folder).map_err(|error| match error {
            Unusable::Why(why) => failed(why),
            Unusable::System(cause) => Error::System(cause),
        })?;
        let words = self.words(password.as_ref(), command);
        let (answer, ended) = match ask(&words, silence, self.stop, each) {
            Ok(answered) => answered,
            Err(sys::Error::Program { cause, .. }) if cause.kind() == ErrorKind::NotFound => {
                let why = format!("there is no program `{}`: write where it lies, as `nodetool = [\"/path/to/nodetool\"]`", words[0]);
                return Err(failed(why));
            }
            Err(sys::Error::Program { cause, .. }) if cause.kind() == ErrorKind::TimedOut => {
                let program = self.jmx.nodetool.join(" ");
                return Err(failed(format!("`{program}` was ended: {cause}. Is the node busy or stuck? Its log (system.log) tells")));
            }
            Err(error) => return Err(error.into()),
        };
        match complaint(&answer, &ended) {
            Some(why) => Err(failed(why)),
            None => Ok(answer),
        }
    }

    fn words(&self, password: Option<&PasswordFile>, command: &[String]) -> Vec<String> {
        let mut words = self.jmx.nodetool.clone();
        if let Some(host) = &self.jmx.host {
            words.extend(["-h".to_owned(), host.clone()]);
        }
        words.extend(["-p".to_owned(), self.jmx.port.to_string()]);
        if let (Some(user), Some(password)) = (&self.jmx.user, password) {
            words.extend(["-u".to_owned(), user.clone(), "-pwf".to_owned(), password.path.to_string_lossy().into_owned()]);
        }
        words.extend_from_slice(command);
        words
    }
}

/// A command about the snapshots of one name. `--` ends the options, so that no keyspace can be taken for one.
fn tagged(command: &str, tag: &str, keyspaces: &[String]) -> Vec<String> {
    let head = [command, "-t", tag, "--"].map(str::to_owned);
    head.into_iter().chain(keyspaces.iter().cloned()).collect()
}

/// A command about tables.
fn about(command: &str, options: &[&str], tables: &[&str]) -> Vec<String> {
    std::iter::once(&command).chain(options).chain(tables).map(|word| (*word).to_owned()).collect()
}

/// Runs a program to its end: its answer, and how it ended.
fn ask(words: &[String], silence: Duration, stop: &Stop, each: &mut dyn FnMut(&[u8])) -> Result<(String, Ended), sys::Error> {
    let mut child = Child::start(words, &environment(), false, silence, stop)?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match child.read(&mut buffer)? {
            0 => break,
            read => {
                each(&buffer[..read]);
                answer.extend_from_slice(&buffer[..read.min(ANSWER_MAX - answer.len())]);
            }
        }
    }
    let ended = child.finish()?;
    Ok((String::from_utf8_lossy(&answer).into_owned(), ended))
}

/// All that it is told of its environment: what its start script reads to find Java and Cassandra, and what words before it need, such as
/// `docker exec`. What would change the meaning of the words (`JMX_PORT`, options for the Java machine) is left out.
pub(super) fn environment() -> Vec<(&'static str, String)> {
    let names = ["PATH", "HOME", "JAVA_HOME", "CASSANDRA_HOME", "CASSANDRA_CONF", "CASSANDRA_INCLUDE", "DOCKER_HOST", "XDG_RUNTIME_DIR"];
    let mut variables: Vec<(&str, String)> = names.into_iter().filter_map(|name| Some((name, SystemEnvironment.var(name)?))).collect();
    // The password file is read in the locale's encoding.
    variables.push(("LC_ALL", "C.UTF-8".into()));
    variables
}

/// What it complains of, with what to do; `None` when all went well.
///
/// It begins the line of a failure with `error:` or `nodetool:`, on the standard error or, for a mistake in the words, on the standard
/// output (`NodeTool.err`, `NodeTool.badUse`). Such a line is believed whatever the exit code is.
fn complaint(answer: &str, ended: &Ended) -> Option<String> {
    let lines = || ended.said.lines().chain(answer.lines()).map(str::trim).filter(|line| is_telling(line));
    let told = lines().find_map(|line| line.strip_prefix("error:").or_else(|| line.strip_prefix("nodetool:")));
    if ended.is_well() && told.is_none() {
        return None;
    }
    let how = ended.status.code().map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
    let Some(told) = told.or_else(|| lines().next()) else {
        return Some(format!("nodetool ended with {how} and said nothing"));
    };
    let mut why: String = told.trim().chars().take(TOLD_MAX).collect();
    let _ = write!(why, " ({how} of nodetool)");
    if let Some(hint) = hint(told) {
        let _ = write!(why, ": {hint}");
    }
    Some(why)
}

/// Whether it complains of a bean of JMX that is gone, whether the node has only just begun or a table, of whatever keyspace, was dropped between
/// being listed and being asked: `tablestats` asks all tables of the node, also when it is to tell of one. 5.0 says so in words; 4.1 has nothing
/// but the bean's name (`NodeTool.err`; seen on 4.1.10 and 5.0.9).
fn vanished(why: &str) -> bool {
    why.contains("Server is not initialized yet") || why.starts_with("org.apache.cassandra.")
}

/// Whether a line says something to a person: a line of a stack trace, or what the Java machine says about itself, does not.
fn is_telling(line: &str) -> bool {
    let noise = ["at ", "-- StackTrace --", "Picked up ", "WARNING:", "Caused by:", "... ", "See 'nodetool help'"];
    !line.is_empty() && !noise.iter().any(|noise| line.starts_with(noise))
}

/// What to do about what it said, where that is known.
fn hint(told: &str) -> Option<&'static str> {
    let is = |words: &[&str]| words.iter().any(|word| told.contains(word));
    if is(&["Authentication failed", "Credentials required", "Invalid username or password", "Access denied", "SecurityException"]) {
        Some("see `jmx`, its user and its password")
    } else if is(&["Failed to connect", "Connection refused", "ConnectException", "NoRouteToHost", "UnknownHost"]) {
        Some("is Cassandra running, and does its JMX listen where `jmx` says?")
    } else if told.contains("already exists") {
        Some("another run took it; the next one has another name")
    } else {
        None
    }
}

/// Why no password can be given.
enum Unusable {
    Why(String),
    System(sys::Error),
}

/// The file with user and password, which is there while the program runs, for its owner alone.
struct PasswordFile {
    path: PathBuf,
}

impl PasswordFile {
    /// `None` where there is no login. `nodetool` cuts what it reads at blanks (`NodeTool.readUserPasswordFromFile`), and its start script
    /// the words, so there must be none.
    fn create(jmx: &Jmx, folder: &Path) -> Result<Option<Self>, Unusable> {
        let Some(user) = &jmx.user else { return Ok(None) };
        let Some(password) = &jmx.password else {
            return Err(Unusable::Why(format!("the JMX user {user} has no password: nodetool would ask for it at a terminal")));
        };
        let path = folder.join(PASSWORD_FILE);
        let cut = |text: &str| text.is_empty() || text.contains(char::is_whitespace);
        if cut(user) || cut(password.expose()) {
            return Err(Unusable::Why("nodetool takes no JMX user or password that is empty or holds blanks".to_owned()));
        }
        if cut(&path.to_string_lossy()) {
            let folder = folder.display();
            return Err(Unusable::Why(format!("nodetool takes no password file below a folder with blanks in its name, as {folder} is")));
        }
        let text = format!("{user} {}\n", password.expose());
        write_new_private(&path, text.as_bytes()).map_err(Unusable::System)?;
        Ok(Some(Self { path }))
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        // The folder goes too, and the next run looks for it; so a failure here is made good.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
#[path = "nodetool_tests.rs"]
mod tests;
