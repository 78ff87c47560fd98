//! Taking a dump, and proving that it is whole.

use std::path::Path;

use super::connection::{Connection, literal};
use super::facts::{About, Facts, data_bytes};
use super::history::History;
use super::invalid::{self, InvalidView};
use super::inventory::Inventory;
use super::lossy;
use super::narrowed;
use super::object::quoted;
use super::option_file::{Login, OptionFile};
use super::others::Others;
use super::outside::Outside;
use super::program::{Program, environment, statement_limit};
use super::release::Release;
use super::rights::Rights;
use super::settings::{DATABASES_MAX, Settings};
use super::silence::{SILENCE, Silence};
use super::split::{Orders, Seen, Sink, Splitter};
use super::table_ids::TableIds;
use crate::format::path::RelPath;
use crate::source::{Error, Problem};
use crate::sys::child::{Child, Ended};
use crate::sys::sorter::Sorter;
use crate::sys::stop::Stop;

/// How much of the dump is read at once.
const READ: usize = 256 << 10;

/// The most that any server, of any version and however it is set up, takes in one packet.
const PACKET_MAX: u64 = 1 << 30;

/// What the server says when a table was changed under a transaction that is older than the change.
const TABLE_MOVED: [&str; 2] = ["1412", "Table definition has changed"];

/// What the program says when it cannot enter a database.
const NOT_ENTERED: &str = "when selecting the database";

/// What a dump is, beside its bytes.
#[derive(Debug)]
pub struct Taken {
    /// Facts of the server and the databases.
    pub facts: Facts,
    /// What is in the dump, but not as it should be.
    pub problems: Vec<Problem>,
    /// What the dump program said on its standard error although it went well; usually nothing.
    pub said: String,
}

/// What the databases would take, as the server estimates it; nothing is read but that.
///
/// # Errors
/// As [`take`].
pub fn size(settings: &Settings, stop: &Stop) -> Result<u64, Error> {
    Program::find(settings, stop)?;
    let login = Login::of(settings)?;
    let mut connection = Connection::open(&login, stop)?;
    check_databases(&mut connection, settings, &login)?;
    data_bytes(&mut connection, &settings.databases)
}

/// Has the vendor's program dump all databases of the source in one transaction, and gives each one's bytes to `sink` as they come.
///
/// `folder` is one that nobody else can enter: the option file with the password is there while the program runs. `work` is for nameless
/// temporary files. What was given to the sink is a dump only when this returns without an error: the program has ended well and said so
/// with its last line, everything that the server lists is in it, no definition has changed since before it began, and no other table has taken
/// the name of one. That last one is a problem of the dump when `is_last`, because whoever empties a table every few minutes would have no
/// snapshot at all.
///
/// # Errors
/// [`Error::Server`] and [`Error::Refused`] before anything is read; [`Error::Moved`], when another try may do; [`Error::Dump`];
/// [`Error::Stopped`]; those of the sink.
pub fn take<S: Sink>(settings: &Settings, folder: &Path, work: &Path, is_last: bool, stop: &Stop, sink: &mut S) -> Result<Taken, S::Error> {
    let mut dumping = Dumping::begin(settings, folder, work, stop)?;
    let mut outside = Outside::find(&mut dumping.connection, settings, &dumping.rights, &dumping.login, stop)?;
    let history = if outside.has_history {
        History::find(&mut dumping.connection, settings, dumping.program.knows_history())?
    } else {
        History::default()
    };
    let Ran { seen, ended, mut others, .. } = dumping.run(history.option, true, sink)?;
    if let Some(what) = others.told().filter(|_| !is_last) {
        return Err(Error::Moved { what }.into());
    }
    outside.release()?;
    let mut problems = outside.problems;
    problems.extend(others.problems(&settings.databases));
    problems.extend(dumping.left_out.iter().filter_map(|view| view.problem(&settings.databases)));
    problems.extend(too_long(settings, &seen));
    problems.extend(history.problems);
    problems.extend(lossy::find(&dumping.login, &settings.databases, stop)?);
    let facts = dumping.about.facts(&mut dumping.connection, settings, &dumping.program.version, &seen)?;
    Ok(Taken { facts, problems, said: ended.said })
}

/// As [`take`], without rows: what is left is how everything is defined. Nothing is locked, and no facts are read. Gives the views that stand
/// on what is missing, so that they are not in it, and the list of what is.
///
/// # Errors
/// As [`take`].
pub(super) fn definitions<S: Sink>(
    settings: &Settings,
    folder: &Path,
    work: &Path,
    stop: &Stop,
    sink: &mut S,
) -> Result<(Vec<InvalidView>, Inventory), S::Error> {
    let mut dumping = Dumping::begin(settings, folder, work, stop)?;
    let Ran { inventory, .. } = dumping.run(Some("--no-data"), false, sink)?;
    Ok((dumping.left_out, inventory))
}

/// A dump that is about to be made, by an account that may see all of it.
struct Dumping<'a> {
    settings: &'a Settings,
    folder: &'a Path,
    work: &'a Path,
    stop: &'a Stop,
    program: Program,
    login: Login,
    connection: Connection,
    about: About,
    rights: Rights,
    /// Views at which the program would fail.
    left_out: Vec<InvalidView>,
}

/// What came of a program that has run to its end.
struct Ran {
    seen: Seen,
    ended: Ended,
    /// What was listed before.
    inventory: Inventory,
    others: Others,
}

impl<'a> Dumping<'a> {
    fn begin(settings: &'a Settings, folder: &'a Path, work: &'a Path, stop: &'a Stop) -> Result<Self, Error> {
        let program = Program::find(settings, stop)?;
        let login = Login::of(settings)?;
        let mut connection = Connection::open(&login, stop)?;
        narrowed::check(&mut connection)?;
        check_databases(&mut connection, settings, &login)?;
        let about = About::read(&mut connection)?;
        let release = Release::of(&about.version);
        let rights = Rights::read(&mut connection, release)?;
        rights.check(&settings.databases, &login.told(), release)?;
        let left_out = invalid::find(&mut connection, &settings.databases, work)?;
        Ok(Self { settings, folder, work, stop, program, login, connection, about, rights, left_out })
    }

    /// Runs the program to its end, and proves that all that is listed before is in the dump, and unchanged after it. Where it dumps
    /// rows, it is looked which tables are others after it.
    fn run<S: Sink>(&mut self, option: Option<&str>, has_rows: bool, sink: &mut S) -> Result<Ran, S::Error> {
        let Self { settings, work, .. } = *self;
        let before = Inventory::read(&mut self.connection, &settings.databases, &self.left_out, work)?;
        // After that list, and read again before the other one: a table that comes in between is missed by one of them at least.
        let ids = if has_rows { Some(TableIds::read(&mut self.connection, &settings.databases, work)?) } else { None };
        let orders = Orders::read(&mut self.connection, &settings.databases)?;
        let option_file = OptionFile::create(self.folder, &self.login.option_file(self.program.is_mariadb))?;
        let (path, about) = (option_file.path.to_string_lossy(), &self.about);
        let mut words = self.program.dump(&path, settings, about.is_mariadb && about.has_binary_log, about.packet_limit);
        let options = option.map(str::to_owned).into_iter().chain(self.left_out.iter().map(|view| view.option(&settings.databases)));
        words.splice(self.program.words.len() + 1..self.program.words.len() + 1, options);
        let splitter = Splitter::new(&settings.databases, sink, statement_limit(about.packet_limit), work);
        let splitter = splitter.with_defaults(self.program.is_mariadb && !about.is_mariadb).with_orders(orders);
        let silence = Silence::new(&mut self.connection, &settings.databases, settings.lock_wait);
        let (seen, found, ended) = dump(&words, splitter, silence, self.stop)?;
        drop(option_file);
        let others = match self.look_again(ids) {
            Ok((others, after)) => {
                before.check_unchanged(&after, &settings.databases)?;
                others
            }
            // A server that went away is told by how the dump ended; after a good end it is missed here.
            Err(error) if ended.is_well() || matches!(error, Error::Stopped(_)) => return Err(error.into()),
            Err(_) => Others::default(),
        };
        check_end(&ended, &seen, &settings.databases)?;
        before.check_found(found, &settings.databases)?;
        Ok(Ran { seen, ended, inventory: before, others })
    }

    /// After the dump: the tables that are others, and the list of all there is.
    fn look_again(&mut self, ids: Option<TableIds>) -> Result<(Others, Inventory), Error> {
        let databases = &self.settings.databases;
        let others = match ids {
            Some(ids) => ids.others(&mut self.connection, databases, self.work)?,
            None => Others::default(),
        };
        Ok((others, Inventory::read(&mut self.connection, databases, &self.left_out, self.work)?))
    }
}

/// Runs the program to its end, its output through the splitter.
fn dump<S: Sink>(
    words: &[String],
    mut splitter: Splitter<'_, S>,
    mut silence: Silence<'_>,
    stop: &Stop,
) -> Result<(Seen, Sorter, Ended), S::Error> {
    let mut child = Child::start(words, &environment(), false, SILENCE, stop).map_err(Error::from)?;
    let mut buffer = vec![0; READ];
    loop {
        if !child.speaks_within(silence.pause()).map_err(Error::from)? {
            silence.look()?;
            continue;
        }
        silence.ends();
        match child.read(&mut buffer).map_err(Error::from)? {
            0 => break,
            read => splitter.push(&buffer[..read])?,
        }
    }
    let (seen, found) = splitter.finish()?;
    let ended = child.finish().map_err(Error::from)?;
    Ok((seen, found, ended))
}

/// The program has ended well, and has written the line that it writes last.
fn check_end(ended: &Ended, seen: &Seen, databases: &[String]) -> Result<(), Error> {
    if !ended.is_well() {
        let how = ended.how() + &miswritten(&ended.said, databases);
        if TABLE_MOVED.iter().any(|moved| ended.said.contains(moved)) {
            return Err(Error::Moved { what: format!("a table was altered ({how})") });
        }
        return Err(Error::Dump { why: format!("the dump program has failed: {how}") });
    }
    if !seen.is_complete {
        return Err(Error::Dump {
            why: format!("its last line is missing, though the dump program says that it went well ({})", ended.how()),
        });
    }
    Ok(())
}

/// What is added where the program's own mistake is the cause: it writes quotes and backslashes in the name of a database as in a text when it
/// enters it for its events (MariaDB's from 10.2 to 11.4 do).
fn miswritten(said: &str, databases: &[String]) -> String {
    let database = databases.iter().find(|database| database.contains(['\'', '"', '\\'])).filter(|_| said.contains(NOT_ENTERED));
    database.map_or_else(String::new, |database| {
        format!(
            "; the dump program itself writes the name of {} wrong when it comes to its events, because there are quotes or backslashes in it (those \
             of MariaDB 10.2 to 11.4 all do): rename the database, drop its events, or take it out of `databases`",
            quoted(database)
        )
    })
}

fn check_databases(connection: &mut Connection, settings: &Settings, login: &Login) -> Result<(), Error> {
    if settings.databases.is_empty() || settings.databases.len() > DATABASES_MAX {
        return Err(Error::Refused { why: format!("a source has from 1 to {DATABASES_MAX} databases") });
    }
    for database in &settings.databases {
        let sql = format!("SELECT schema_name FROM information_schema.SCHEMATA WHERE schema_name = {}", literal(database));
        let found = connection.value("look for a database of", &sql)?;
        if found.as_deref() != Some(database) {
            let why = match found {
                Some(found) => format!("the database {} is called {} there: write it that way", quoted(database), quoted(&found)),
                None => format!("{} has no database {}, or may not see it", login.told(), quoted(database)),
            };
            return Err(Error::Refused { why });
        }
    }
    Ok(())
}

/// A statement that no server takes: its row came out by other ways than a statement.
fn too_long(settings: &Settings, seen: &Seen) -> Option<Problem> {
    if seen.longest < PACKET_MAX {
        return None;
    }
    let path = RelPath::new(super::settings::folder_of(&settings.databases[0])).ok()?;
    let detail =
        format!("a statement of {} bytes: no server takes more than {PACKET_MAX} in one, so it cannot be loaded again", seen.longest);
    Some(Problem { kind: Problem::TOO_LONG, path, detail })
}
