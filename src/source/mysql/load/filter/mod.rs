//! What of a dump goes to the client, and how.
//!
//! Statements come in parts from the lexer and go out on lines of their own, so that the line that the client complains of is one
//! statement. Comments, and what belongs to another part, stay behind. Rows go through as they come; of everything else the whole statement
//! is looked at first.

mod history;
mod rows;

use std::mem::take;

use self::history::History;
use super::act::{Act, Name, declares_use};
use super::bodies::Bodies;
use super::defaults::Around;
use super::known::Known;
use super::seen::Seen;
use super::timed::{self, Timed};
use super::trail::{Trail, newlines};
use super::turns::{Edits, Notes, Turns};
use super::{Kept, Loading, Part, default_sets, stand_in};
use crate::source::Error;
use crate::source::mysql::connection::literal;
use crate::source::mysql::inventory::SORT_BUDGET;
use crate::source::mysql::lexer::{self, Kind, Lexer, Mode};
use crate::source::mysql::object::{Object, ObjectKind, quoted};
use crate::source::mysql::settings::COMPLETED;
use crate::source::mysql::statement::{HEAD_MAX, Statement};
use crate::source::mysql::tokens::Placed;
use crate::source::mysql::twice::Unchecked;
use crate::source::mysql::unwrap::Unwrapping;
use crate::sys::sorter::Sorter;

/// Longest statement without rows: a table of 8,192 partitions, each with a comment of 1,024 characters, is one of 8 MiB.
const HELD_MAX: usize = 16 << 20;

/// Longest comment that is looked at.
const COMMENT_MAX: usize = 4 << 10;

/// How the session is set up: checks that the server which was dumped has made already are not made again, and a pause in what it is given
/// (the bytes may come from afar) does not end it. A commit ends no session and begins no transaction, whatever the server's default is.
const SET_UP: &str = "SET autocommit=0, completion_type=0, unique_checks=0, foreign_key_checks=0, wait_timeout=604800 \
    /*M!100101 , max_statement_time=0 */ \
    /*M!100300 , idle_transaction_timeout=0, idle_write_transaction_timeout=0, idle_readonly_transaction_timeout=0 */;";

/// Takes the parts of a dump.
pub(super) struct Filter<'a> {
    part: Part,
    table: Option<&'a str>,
    pub(super) around: Around,
    /// What is there already; `None` where that is no matter.
    kept: Option<&'a Kept>,
    /// Events that have stayed behind; `None` where they come.
    events_left: Option<u64>,
    turns: Turns<'a>,
    pub(super) trail: Trail,
    /// The statement, comment or command that is under way.
    held: Vec<u8>,
    /// Rows are under way, and whether they are given to the client.
    rows: Option<bool>,
    /// The line of the file that is under way, from 1.
    line: u64,
    /// The line that what is held began in.
    begun: u64,
    /// The table whose rows were given last.
    filled: Option<String>,
    /// Bytes of the statement with rows that is under way.
    filling: u64,
    /// Tables that compute something of their values.
    computing: std::collections::BTreeSet<String>,
    history: History,
    /// Bytes of rows since the last commit.
    uncommitted: u64,
    /// What the client is to be given next; whoever calls takes it away.
    pub(super) out: Vec<u8>,
    pub(super) statements: u64,
    found: Sorter,
    creations: u64,
    undeclared: u64,
    is_complete: bool,
    has_views: bool,
    has_checks: bool,
    bodies: Bodies,
    timed: Timed,
}

impl<'a> Filter<'a> {
    /// With the statements that set up the session.
    pub(super) fn new(loading: &Loading<'a>, known: Known, lexer: &mut Lexer) -> Self {
        let turns = Turns {
            original: loading.original,
            database: loading.database,
            definers: loading.definers,
            known,
            notes: Notes::default(),
            found: std::collections::BTreeSet::new(),
        };
        let mut filter = Self {
            part: loading.part,
            table: loading.table,
            around: Around::new(loading),
            kept: loading.kept,
            events_left: loading.without_events.then_some(0),
            turns,
            trail: Trail::default(),
            held: Vec::new(),
            rows: None,
            line: 1,
            begun: 1,
            filled: None,
            filling: 0,
            computing: std::collections::BTreeSet::new(),
            history: History::default(),
            uncommitted: 0,
            out: Vec::new(),
            statements: 0,
            found: Sorter::new(loading.work, SORT_BUDGET),
            creations: 0,
            undeclared: 0,
            is_complete: false,
            has_views: false,
            has_checks: false,
            bodies: Bodies::default(),
            timed: Timed::new(),
        };
        // What the server has each session begin with (`init_connect`) may have gone into another database than the one that the client was told.
        filter.own(format!("USE {};", quoted(loading.database)).as_bytes());
        if let Some(first) = loading.first {
            filter.own(first.as_bytes());
        }
        let (timestamps, wishes) = (filter.turns.known.timestamps.set_up(), filter.turns.known.wishes.clone());
        filter.own(format!("{SET_UP}{timestamps}{}", wishes.set_up()).as_bytes());
        wishes.notes().iter().filter(|_| loading.part.has_tables()).for_each(|note| filter.turns.notes.add((*note).to_owned()));
        if let Some(modes) = loading.sql_mode {
            let set = format!("SET SESSION sql_mode = {};", literal(&filter.turns.modes(modes)));
            if let Statement::Mode(mode) = Statement::of(set.as_bytes(), Mode::default()) {
                lexer.mode = mode;
            }
            filter.own(set.as_bytes());
        }
        filter
    }

    /// Takes a part that the lexer has told.
    ///
    /// # Errors
    /// [`Error::Load`] for what is not to be loaded; those of the sorter.
    pub(super) fn part(&mut self, part: lexer::Part, bytes: &[u8], lexer: &mut Lexer) -> Result<(), Error> {
        if self.held.is_empty() && self.rows.is_none() {
            self.begun = self.line;
        }
        self.line += newlines(bytes);
        match part.kind {
            Kind::Blank => {}
            Kind::Comment => self.comment(bytes, part.ends),
            Kind::Command => {
                self.is_complete = false;
                self.held.extend_from_slice(bytes);
                if part.ends {
                    let command = take(&mut self.held);
                    self.trail.at(self.begun, &command);
                    self.give(command.trim_ascii());
                }
            }
            Kind::Statement | Kind::Rows => return self.statement(bytes, part.ends, lexer),
        }
        Ok(())
    }

    fn comment(&mut self, bytes: &[u8], ends: bool) {
        let free = COMMENT_MAX.saturating_sub(self.held.len());
        self.held.extend_from_slice(&bytes[..bytes.len().min(free)]);
        if ends {
            let comment = take(&mut self.held);
            self.history.comment(&comment);
            self.is_complete = comment.starts_with(COMPLETED.as_bytes());
        }
    }

    fn statement(&mut self, bytes: &[u8], ends: bool, lexer: &mut Lexer) -> Result<(), Error> {
        self.is_complete = false;
        if let Some(is_given) = self.rows {
            self.go_on(bytes, is_given);
            if ends {
                self.end_rows(lexer);
            }
            return Ok(());
        }
        self.held.extend_from_slice(bytes);
        if !ends && (self.held.len() < HEAD_MAX || !Act::is_of_rows(&self.held, lexer.mode)) {
            if self.held.len() > HELD_MAX {
                self.trail.at(self.begun, &self.held[..HEAD_MAX]);
                return Err(self.refused(format!("it is longer than {HELD_MAX} bytes, and no statement without rows is that long")));
            }
            return Ok(());
        }
        let statement = take(&mut self.held);
        self.trail.at(self.begun, &statement[..statement.len().min(HEAD_MAX)]);
        let act = Act::of(&statement, lexer.mode);
        if let Act::Rows(name) = act {
            return self.begin_rows(&statement, &name, ends, lexer);
        }
        self.act(act, statement, lexer)
    }

    fn act(&mut self, act: Act, statement: Vec<u8>, lexer: &mut Lexer) -> Result<(), Error> {
        let mode = lexer.mode;
        let given = match act {
            Act::Session => {
                let mut edits = Edits::default();
                self.history.set(&statement);
                self.turns.settings(&statement, mode, &mut edits);
                self.turns.collations(&statement, mode, &mut edits).map_err(|why| self.refused(why))?;
                if let Statement::Mode(next) = Statement::of(&statement, mode) {
                    lexer.mode = next;
                }
                Ok(Some(edits.of(&statement)))
            }
            Act::Server(what) => {
                self.turns.notes.add(format!("what concerns {what} was left out: it is no part of a database"));
                Ok(None)
            }
            Act::Database(name) => self.turns.check(&name).map(|()| {
                let (original, database) = (quoted(self.turns.original), quoted(self.turns.database));
                self.turns.notes.add(format!("what makes and enters {original} was left out: its contents go into {database}"));
                None
            }),
            Act::AlterDatabase(named) => self.alter_database(named, &statement, lexer),
            Act::Table { name, makes } => return self.table(&name, makes, &statement, mode),
            Act::Define { kind, name, on, wrapped } => return self.define(kind, (name, on), wrapped, statement, lexer),
            Act::StandIn { name, is_table } => self.stand_in(&name, is_table, &statement, lexer),
            // Views take the place of what is there.
            Act::DropView(name) => self.turns.home(&name, &mut Edits::default()).map(|()| None),
            Act::Prepare(name) => {
                let mut edits = Edits::default();
                let home = self.turns.home(&name, &mut edits);
                // What is there stays, and nothing else is in the way.
                let is_given = self.part.has_forms() && self.table.is_none() && self.kept.is_none();
                home.map(|()| is_given.then(|| edits.of(&statement)))
            }
            // Nobody else is in a database that is being loaded; and a table whose rows take numbers from a sequence cannot be filled while it
            // alone is locked.
            Act::Lock => Ok(None),
            Act::Rows(_) | Act::Unknown => Err("this is no statement that dump programs write: run it by hand if it is meant".to_owned()),
        };
        if let Some(given) = given.map_err(|why| self.refused(why))? {
            self.give(&given);
        }
        Ok(())
    }

    fn stand_in(&self, name: &Name, is_table: bool, statement: &[u8], lexer: &Lexer) -> Result<Option<Vec<u8>>, String> {
        let mut edits = Edits::default();
        self.turns.home(name, &mut edits)?;
        let is_there = self.kept.is_some_and(|kept| kept.has(ObjectKind::View, &name.name));
        if !self.part.has_forms() || self.table.is_some() || is_there {
            return Ok(None);
        }
        if !is_table {
            if let Some((at, column)) = stand_in::mark(statement, lexer.mode, lexer.delimiter()) {
                edits.insert(at, column);
            }
            return Ok(Some(edits.of(statement)));
        }
        let view = stand_in::as_view(statement, lexer.mode, lexer.delimiter());
        view.map(Some).ok_or_else(|| "the columns of what stands in for a view cannot be understood".to_owned())
    }

    fn alter_database(&mut self, named: Option<Placed>, statement: &[u8], lexer: &Lexer) -> Result<Option<Vec<u8>>, String> {
        let mut edits = Edits::default();
        if let Some((name, place)) = named {
            self.turns.database(&name, place, &mut edits)?;
        }
        if !self.part.has_forms() {
            return Ok(None);
        }
        self.turns.collations(statement, lexer.mode, &mut edits)?;
        Ok(self.around.take(edits.of(statement), lexer.delimiter()))
    }

    /// A statement about a table or a sequence.
    fn table(&mut self, name: &Name, makes: Option<ObjectKind>, statement: &[u8], mode: Mode) -> Result<(), Error> {
        let mut edits = Edits::default();
        self.turns.home(name, &mut edits).map_err(|why| self.refused(why))?;
        if !self.takes_table(name) {
            return Ok(());
        }
        self.turns.collations(statement, mode, &mut edits).map_err(|why| self.refused(why))?;
        if let Some(kind) = makes {
            // One table alone goes on using the sequences of its database, which do not come with it.
            if self.table.is_none() {
                let from = name.database.as_ref().map_or(0, |(_, place)| place.end);
                self.turns.qualifiers(statement, mode, from, &mut edits);
            }
            self.find(kind, &name.name)?;
            if rows::computes(statement, mode) {
                self.computing.insert(name.name.clone());
            }
        }
        default_sets::say(statement, mode, &self.turns.known.other_defaults, &mut edits);
        self.turns.vanishing(statement, mode, &quoted(&name.name), makes.is_some());
        self.give(&edits.of(statement));
        Ok(())
    }

    /// A view, trigger, event or routine.
    fn define(
        &mut self,
        kind: ObjectKind,
        (name, on): (Name, Option<Name>),
        wrapped: bool,
        statement: Vec<u8>,
        lexer: &Lexer,
    ) -> Result<(), Error> {
        let of_table = self.table.is_none_or(|table| on.as_ref().is_some_and(|on| on.name == table));
        if !of_table {
            return Ok(());
        }
        if self.part == Part::Tables {
            // What is to be made after the tables is known before them.
            self.turns.definer(&statement, lexer.mode, &mut Edits::default());
            self.count(kind, &statement, lexer.mode);
            self.bodies.calls.comes(kind, &name.name);
            if kind == ObjectKind::View {
                let mut edits = Edits::default();
                self.turns.view(&statement, lexer.mode, name.database.as_ref().map_or(0, |(_, place)| place.end), &mut edits);
                self.bodies.add(&name.name, &edits.of(&statement), lexer.mode, lexer.delimiter());
            }
            return Ok(());
        }
        let statement =
            if kind == ObjectKind::View { self.takes_view(statement, lexer) } else { self.takes_form(kind).then_some(statement) };
        let Some(statement) = statement else { return Ok(()) };
        if wrapped && kind != ObjectKind::View {
            let mut unwrapping = Unwrapping::new();
            let unwrapped = [unwrapping.begin(&statement), unwrapping.end(lexer.delimiter())].concat();
            let Act::Define { name, on, .. } = Act::of(&unwrapped, lexer.mode) else {
                return Err(self.refused("what stands in its versioned comments cannot be understood".into()));
            };
            return self.define(kind, (name, on), false, unwrapped, lexer);
        }
        let (mode, mut edits) = (lexer.mode, Edits::default());
        for name in std::iter::once(&name).chain(&on) {
            self.turns.home(name, &mut edits).map_err(|why| self.refused(why))?;
        }
        if kind == ObjectKind::View {
            let from = name.database.as_ref().map_or(0, |(_, place)| place.end);
            self.turns.view(&statement, mode, from, &mut edits);
            self.turns.replace(&statement, mode, &mut edits);
        }
        self.turns.definer(&statement, mode, &mut edits);
        self.turns.collations(&statement, mode, &mut edits).map_err(|why| self.refused(why))?;
        self.turns.vanishing(&statement, mode, &format!("{kind} {}", quoted(&name.name)), false);
        let edited = edits.of(&statement);
        self.turns.names_original(&edited, mode, &format!("{kind} {}", quoted(&name.name)));
        self.find(kind, &name.name)?;
        let again = if kind == ObjectKind::Event { timed::again(&mut self.timed, &name.name, &edited, lexer) } else { None };
        if self.kept.is_some_and(|kept| kept.stays(kind, &name.name)) {
            return Ok(());
        }
        self.count(kind, &edited, mode);
        self.give_making(kind, &name.name, &edited, lexer.delimiter());
        for step in again.filter(|_| !self.turns.known.keeps_time).iter().flatten() {
            self.own(step);
            self.trail.makes(kind, &name.name);
        }
        Ok(())
    }

    /// The statement of a view as this part has it, if it does.
    fn takes_view(&mut self, statement: Vec<u8>, lexer: &Lexer) -> Option<Vec<u8>> {
        let mut unchecked = Unchecked::default();
        let begin = unchecked.push(&statement);
        let (end, is_checked) = unchecked.end(lexer.delimiter());
        self.has_views = true;
        self.has_checks |= is_checked;
        match self.part {
            Part::Tables | Part::Forms => None,
            Part::Views => Some([begin, end].concat()),
            Part::Checks => is_checked.then_some(statement),
            Part::All => Some(statement),
        }
    }

    /// Whether a trigger, event or routine is of this part.
    fn takes_form(&mut self, kind: ObjectKind) -> bool {
        match &mut self.events_left {
            Some(left) if kind == ObjectKind::Event && self.part.has_forms() => {
                *left += 1;
                false
            }
            _ => self.part.has_forms(),
        }
    }

    fn takes_table(&self, name: &Name) -> bool {
        self.part.has_tables() && self.table.is_none_or(|table| table == name.name)
    }

    fn find(&mut self, kind: ObjectKind, name: &str) -> Result<(), Error> {
        Ok(self.found.push(&Object { database: 0, kind, name: name.to_owned() }.key())?)
    }

    fn count(&mut self, kind: ObjectKind, statement: &[u8], mode: Mode) {
        self.creations += u64::from(matches!(kind, ObjectKind::Trigger | ObjectKind::Function));
        self.undeclared += u64::from(kind == ObjectKind::Function && !declares_use(statement, mode));
    }

    /// A statement of ours.
    fn own(&mut self, statement: &[u8]) {
        self.trail.at(self.line, statement);
        self.trail.begin();
        self.put(statement);
        self.put(b"\n");
    }

    pub(super) fn give(&mut self, statement: &[u8]) {
        self.trail.begin();
        self.statements += 1;
        self.put(statement);
        self.put(b"\n");
    }

    fn put(&mut self, bytes: &[u8]) {
        self.trail.give(bytes);
        self.out.extend_from_slice(bytes);
    }

    /// That the statement under way is not to be loaded.
    pub(super) fn refused(&self, why: String) -> Error {
        let (line, head) = self.trail.now();
        Error::Load { line, head, why }
    }

    /// The end of the file: the last transaction is committed.
    ///
    /// # Errors
    /// [`Error::Load`] when a statement is under way, which the client would run as far as it has come.
    pub(super) fn end(&mut self, lexer: &Lexer) -> Result<(), Error> {
        if self.rows.is_some() || lexer.is_in_statement() {
            if self.rows.is_none() {
                self.trail.at(self.begun, &self.held[..self.held.len().min(HEAD_MAX)]);
            }
            return Err(self.refused("the file ends in the middle of this statement: it is not whole".into()));
        }
        if lexer.is_inside() {
            self.is_complete = false;
        }
        self.commit(lexer);
        Ok(())
    }

    pub(super) fn seen(self) -> Seen {
        let Self { found, mut turns, creations, undeclared, is_complete, has_views, has_checks, bodies, timed, .. } = self;
        if let Some(left) = self.events_left.filter(|left| *left > 0) {
            let were = if left == 1 { "event was" } else { "events were" };
            let (database, original) = (quoted(turns.database), quoted(turns.original));
            turns.notes.add(format!("{left} {were} left out of {database}: in a copy they would do once more what those of {original} do"));
        }
        Seen {
            found,
            definers: turns.found,
            creations,
            undeclared,
            notes: turns.notes.told(),
            is_complete,
            has_views,
            has_checks,
            bodies,
            timed,
        }
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
