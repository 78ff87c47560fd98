//! Loading a dump with the vendor's client.
//!
//! The file is read as a stream, statement by statement. `act` tells what a statement does, `filter` whether it belongs to the part that is
//! loaded, `turns` what must be other in it for this database and this server (`known`, `collation`, `default_sets`, `timestamps`, `wishes`), and `defaults` what is
//! set around triggers of a single table. What is left goes to the client's standard input. When the client complains of a line that it was
//! given, `trail` knows which line of the file that is, and `failure` says it. What the server changes in rows that it takes is heard by `changes`.

mod act;
mod bodies;
mod calls;
mod changes;
mod client;
mod collation;
mod default_sets;
mod defaults;
mod extract;
mod failure;
mod filter;
mod known;
mod seen;
mod stand_in;
mod timed;
mod timestamps;
mod trail;
mod turns;
mod vanish;
mod window;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

pub use self::calls::Calls;
use self::changes::Changes;
use self::client::Client;
pub use self::defaults::Defaults;
pub(super) use self::extract::without_rows;
pub use self::failure::Unmade;
pub(super) use self::failure::is_of_client;
use self::failure::{failure, unmade};
use self::filter::Filter;
use self::known::Known;
use self::seen::Seen;
pub(super) use self::stand_in::COLUMN as STAND_IN;
pub use self::timed::{Timed, TimedEvent};
use self::window::Window;
use super::connection::{Connection, is_gone};
use super::lexer::Lexer;
use super::object::{Object, ObjectKind};
use super::option_file::{Login, OptionFile};
use super::program::Program;
use super::settings::Settings;
use crate::source::Error;
use crate::sys::sorter::Sorter;
use crate::sys::stop::Stop;

/// What of a dump is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Tables with their rows, and sequences: what can be moved into another database later.
    Tables,
    /// Triggers, events, routines, and what stands in for views: views of other databases can be made of it.
    Forms,
    /// Views, in place of what stands in for them, and so that each can be written through: without `WITH CHECK OPTION`.
    Views,
    /// Those views that have `WITH CHECK OPTION`, with it.
    Checks,
    /// All of it, in the order of the file.
    All,
}

impl Part {
    fn has_tables(self) -> bool {
        matches!(self, Self::Tables | Self::All)
    }

    fn has_forms(self) -> bool {
        matches!(self, Self::Forms | Self::All)
    }
}

/// What to load, and into what.
#[derive(Clone, Debug)]
pub struct Loading<'a> {
    /// The server, the account, and the words of the client.
    pub settings: &'a Settings,
    /// The database to load into; it is there.
    pub database: &'a str,
    /// The name that the database had when it was dumped.
    pub original: &'a str,
    /// What is loaded.
    pub part: Part,
    /// Only this table, its rows and its triggers. Sequences do not come with it; where its columns take numbers from one, they go on naming
    /// that of the original database.
    pub table: Option<&'a str>,
    /// Where one table comes into a database that goes on having its own default character set; `None` where it takes that of the dump.
    pub defaults: Option<Defaults>,
    /// Whether events stay behind: in a copy they would do once more what those of the live database do.
    pub without_events: bool,
    /// What is there already and stays as it is; `None` where everything of the part is made, and what is in the way dropped.
    pub kept: Option<&'a Kept>,
    /// A statement that the client is given before all others.
    pub first: Option<&'a str>,
    /// The `sql_mode` that the session begins with; names that the server does not know are left out. `None` = the server's own.
    pub sql_mode: Option<&'a str>,
    /// `user@host`, and which account stands for it now, of the same form; a role is without `@`.
    pub definers: &'a BTreeMap<String, String>,
    /// A folder that nobody else can enter: the option file with the password is there while the client runs.
    pub folder: &'a Path,
    /// For nameless temporary files.
    pub work: &'a Path,
}

/// What a database has already of what a dump makes.
#[derive(Debug, Default)]
pub struct Kept {
    /// Keys of views, triggers, events and routines, as objects of database 0.
    pub there: BTreeSet<Vec<u8>>,
    /// Views among them that are made anew all the same.
    pub again: BTreeSet<String>,
}

impl Kept {
    /// Whether the statement that makes this is left out.
    fn stays(&self, kind: ObjectKind, name: &str) -> bool {
        self.has(kind, name) && !(kind == ObjectKind::View && self.again.contains(name))
    }

    fn has(&self, kind: ObjectKind, name: &str) -> bool {
        self.there.contains(&Object { database: 0, kind, name: name.to_owned() }.key())
    }
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// Bytes of the file, whether they belonged to the part or not.
    pub bytes: u64,
    /// Statements that were given to the client.
    pub statements: u64,
    /// The keys of all things that were made, as objects of database 0; what was made twice comes twice.
    pub found: Sorter,
    /// The accounts as which views, triggers, events and routines of the dump are to act, whether they belong to the part or not; at most 1,000.
    pub definers: BTreeSet<String>,
    /// How many triggers and functions the dump holds, whether they belong to the part or not.
    pub creations: u64,
    /// How many functions among them do not say how they use data.
    pub undeclared: u64,
    /// What was turned or left out on the way, as sentences without their end, each once; at most 1,000.
    pub notes: Vec<String>,
    /// Whether the file ends with the line that dump programs write last. Some are told not to write it.
    pub is_complete: bool,
    /// Whether the file has views, of whatever part it was.
    pub has_views: bool,
    /// Whether some of them have `WITH CHECK OPTION`.
    pub has_checks: bool,
    /// What they select, where the tables were loaded; at most some megabytes of them.
    pub selects: Vec<String>,
    /// Events that have a last time, at most 10,000.
    pub timed: Timed,
    /// The functions that they call, and those that the dump makes, where the tables were loaded.
    pub calls: Calls,
    /// Statements that the server has refused, where the client goes on after them; as many as fit into what is kept of its words.
    pub unmade: Vec<Unmade>,
}

impl Loaded {
    /// Adds another part of the same file.
    ///
    /// # Errors
    /// Those of the sorter.
    pub(super) fn add(&mut self, later: Self) -> Result<(), Error> {
        let mut found = later.found.sorted()?;
        while let Some(key) = found.next()? {
            self.found.push(key)?;
        }
        self.statements += later.statements;
        self.definers.extend(later.definers);
        self.add_unmade(later.unmade);
        for note in later.notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        Ok(())
    }

    /// Adds what was refused, each thing once: a view with `WITH CHECK OPTION` is made by two statements, and refused twice.
    pub(super) fn add_unmade(&mut self, later: Vec<Unmade>) {
        let is_same = |one: &Unmade, known: &Unmade| known.line == one.line || one.makes.is_some() && known.makes == one.makes;
        for one in later {
            if !self.unmade.iter().any(|known| is_same(&one, known)) {
                self.unmade.push(one);
            }
        }
    }
}

/// Loads a part of a dump with the vendor's client, to the first error. `meter` is told how many more bytes of the file have been read.
///
/// Rows are committed every few MiB and with each table, so what came before an error is there: whoever calls drops the database, or goes
/// on from there.
///
/// # Errors
/// [`Error::Load`] with line and statement, also when the file ends within one; [`Error::Refused`] and [`Error::Server`] before anything
/// is loaded; [`Error::Stopped`], also as that of the system; [`Error::File`] when the dump cannot be read.
pub fn load(loading: &Loading<'_>, dump: &mut dyn Read, meter: &mut dyn FnMut(u64), stop: &Stop) -> Result<Loaded, Error> {
    feed(loading, OnError::End, dump, meter, stop)
}

/// What the client does when the server refuses a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnError {
    /// It ends.
    End,
    /// It goes on with the next one, and what was refused is told in [`Loaded::unmade`], also where that may go well when it is tried again. That
    /// the server is gone is an error all the same.
    GoOn,
}

/// As [`load`], with a choice of what an error does.
pub(super) fn feed(
    loading: &Loading<'_>,
    on_error: OnError,
    dump: &mut dyn Read,
    meter: &mut dyn FnMut(u64),
    stop: &Stop,
) -> Result<Loaded, Error> {
    let goes_on = on_error == OnError::GoOn;
    let program = Program::find_client(loading.settings, stop)?;
    let login = Login::of(loading.settings)?;
    let known = Known::read(&mut Connection::open(&login, stop)?)?;
    let option_file = OptionFile::create(loading.folder, &login.option_file(program.is_mariadb))?;
    let words = program.load(&option_file.path.to_string_lossy(), loading.database, goes_on);

    let mut lexer = Lexer::without_rows();
    let mut filter = Filter::new(loading, known, &mut lexer);
    filter.trail.keeps_names = goes_on;
    let changes = Changes::default();
    let mut client = Client::start(loading, &words, &changes, stop)?;
    filter.trail.keeps_all = matches!(client, Client::Waits(..));
    let mut read = 0;
    let is_taken = pump(dump, &mut lexer, &mut filter, &mut |more, out| {
        stop.check()?;
        read += more;
        meter(more);
        let is_taken = client.take(out)?;
        out.clear();
        Ok(is_taken)
    })?;
    let ended = client.finish(&words, stop)?;
    // Whatever its exit code: releases differ in what it is after an error that was gone past.
    let unmade = if goes_on { unmade(&ended, &filter.trail, read) } else { Vec::new() };
    let is_over = ended.is_well() || !unmade.is_empty() && ended.status.code().is_some();
    if !is_taken || !is_over {
        return Err(failure(&ended, &filter.trail, read));
    }
    let more = changes.check(|| Connection::open(&login, stop), loading.database)?;
    let unmade = unmade.into_iter().map(|one| if is_gone(&one.error) { Err(one.error) } else { Ok(one) }).collect::<Result<_, _>>()?;
    let statements = filter.statements;
    let Seen { found, definers, creations, undeclared, mut notes, is_complete, has_views, has_checks, bodies, timed } = filter.seen();
    notes.extend(more);
    Ok(Loaded {
        bytes: read,
        statements,
        found,
        definers,
        creations,
        undeclared,
        notes,
        is_complete,
        has_views,
        has_checks,
        selects: bodies.found,
        calls: bodies.calls,
        timed,
        unmade,
    })
}

/// The keys of all that a part of a dump makes, as objects of database 0; nothing is loaded.
///
/// # Errors
/// As [`load`], of what is refused before the client has it.
pub(super) fn makes(loading: &Loading<'_>, dump: &mut dyn Read, stop: &Stop) -> Result<Sorter, Error> {
    let known = Known::read(&mut Connection::open(&Login::of(loading.settings)?, stop)?)?;
    let mut lexer = Lexer::without_rows();
    let mut filter = Filter::new(loading, known, &mut lexer);
    pump(dump, &mut lexer, &mut filter, &mut |_, out| {
        stop.check()?;
        out.clear();
        Ok(true)
    })?;
    Ok(filter.seen().found)
}

/// The collation that stands for this one on a server; none where it knows nothing near it.
///
/// # Errors
/// [`Error::Server`].
pub(super) fn collation(connection: &mut Connection, name: &str) -> Result<Option<String>, Error> {
    Ok(Known::read(connection)?.collation(name))
}

/// Is told how many bytes were read, and takes what the client is to be given; answers whether more is wanted.
type Take<'t> = &'t mut dyn FnMut(u64, &mut Vec<u8>) -> Result<bool, Error>;

/// Reads the dump to its end through lexer and filter, or until nobody wants more; answers whether it has come to the end.
fn pump(dump: &mut dyn Read, lexer: &mut Lexer, filter: &mut Filter<'_>, take: Take<'_>) -> Result<bool, Error> {
    let mut window = Window::new();
    loop {
        let read = window.read(dump)?;
        let last = read == 0;
        while let Some(part) = lexer.next(window.rest(), last).map_err(|why| filter.refused(why))? {
            filter.part(part, window.tell(part.length), lexer)?;
        }
        if last {
            filter.end(lexer)?;
        }
        if !take(read as u64, &mut filter.out)? {
            return Ok(false);
        }
        if last {
            return Ok(true);
        }
    }
}
