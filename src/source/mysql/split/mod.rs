//! The one stream of the dump program becomes a file for each database, which the plain client takes into any database.
//!
//! What comes before the first database and after the last one begins and ends every file. A database comes twice, because the program
//! writes views when all tables of all databases are there; both parts go into its file, the second one begins with the second comment
//! `-- Current Database`. What names the database itself becomes a comment, so that a file can be loaded beside the database it was
//! taken of, and never into it by accident. Positions of the binary log, which no two dumps share, are taken out and go into the facts. The line
//! of MariaDB's sandbox mode is left out: clients from before it take its `\-` for a command that they do not know, and stop there.

mod orders;
mod places;
mod rows;

use std::path::Path;

pub(super) use self::orders::Orders;
use self::rows::Insert;
use crate::source::Error;
use crate::source::mysql::generated::Generated;
use crate::source::mysql::inventory::SORT_BUDGET;
use crate::source::mysql::lexer::{Kind, LOOKAHEAD, Lexer, Part, is_never_run};
use crate::source::mysql::object::{Object, ObjectKind, quoted};
use crate::source::mysql::rows::Rows;
use crate::source::mysql::settings::COMPLETED;
use crate::source::mysql::statement::{HEAD_MAX, Statement};
use crate::source::mysql::twice::{Twice, Unchecked};
use crate::source::mysql::unwrap::Unwrapping;
use crate::sys::sorter::Sorter;

/// What comes before the first database and after the last one: some dozen short statements.
const FRAME_MAX: usize = 64 << 10;

/// Longest comment between statements that is looked at as a whole.
const COMMENT_MAX: usize = 4 << 10;

/// What the comment that begins a database says before its name.
const CURRENT: &[u8] = b"-- Current Database: ";

/// Where the bytes of each database go.
pub trait Sink {
    /// Why it does not take them.
    type Error: From<Error>;

    /// More bytes of the file of this database, by its place among those of the source.
    ///
    /// # Errors
    /// Its own.
    fn write(&mut self, database: usize, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// What was seen while the dump went by.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether the program's closing line came, and nothing after it.
    pub(super) is_complete: bool,
    /// Bytes of the longest statement.
    pub(super) longest: u64,
    /// File and offset of the binary log at the instant of the dump.
    pub(super) position: Option<(String, u64)>,
    /// MariaDB's GTID at that instant.
    pub(super) gtid: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Header,
    Database(usize),
    Footer,
}

/// Takes the dump in pieces of any size.
pub(super) struct Splitter<'a, S> {
    databases: &'a [String],
    sink: &'a mut S,
    lexer: Lexer,
    /// Bytes that were given and are not understood yet.
    rest: Vec<u8>,
    place: Place,
    header: Vec<u8>,
    footer: Vec<u8>,
    begun: Vec<bool>,
    /// Blanks and empty comments that belong to what comes next.
    waiting: Vec<u8>,
    comment: Vec<u8>,
    /// Whether the comment that is under way is too long to mean anything.
    is_long: bool,
    head: Vec<u8>,
    /// How the statement that is under way is written, once its beginning has told what it is.
    writing: Option<Writing>,
    length: u64,
    found: Sorter,
    seen: Seen,
    /// The database that a comment has announced and no statement has named yet.
    announced: Option<usize>,
    /// The views of the database that is under way, while they come.
    twice: Option<Twice>,
    /// Where statements with rows end.
    rows: Rows,
    insert: Insert,
    /// Rewrites values of generated columns, where the dump program writes what the server does not take.
    generated: Option<Generated>,
    orders: Orders,
    /// Whether the end of the line is written already that the program writes after a statement.
    has_ended_line: bool,
    work: &'a Path,
}

enum Writing {
    AsItIs,
    Unwrapped(Unwrapping),
    Unchecked(Unchecked),
    /// In the comment that stands for it all has been said.
    Not,
}

impl<'a, S: Sink> Splitter<'a, S> {
    /// For these databases, in statements of at most `limit` bytes where they hold several rows; `work` is for temporary files.
    pub(super) fn new(databases: &'a [String], sink: &'a mut S, limit: u64, work: &'a Path) -> Self {
        Self {
            databases,
            sink,
            lexer: Lexer::new(),
            rest: Vec::new(),
            place: Place::Header,
            header: Vec::new(),
            footer: Vec::new(),
            begun: vec![false; databases.len()],
            waiting: Vec::new(),
            comment: Vec::new(),
            is_long: false,
            head: Vec::new(),
            writing: None,
            length: 0,
            found: Sorter::new(work, SORT_BUDGET),
            seen: Seen::default(),
            announced: None,
            twice: None,
            rows: Rows::new(limit),
            insert: Insert::default(),
            generated: None,
            orders: Orders::default(),
            has_ended_line: false,
            work,
        }
    }

    /// Values of generated columns become `DEFAULT`, where this `is_needed`.
    pub(super) fn with_defaults(self, is_needed: bool) -> Self {
        Self { generated: is_needed.then(Generated::default), ..self }
    }

    /// Triggers are written so that they act in these orders.
    pub(super) fn with_orders(self, orders: Orders) -> Self {
        Self { orders, ..self }
    }

    /// Takes more bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), S::Error> {
        // What was left over is short; only the beginning of the new bytes joins it, so that the rest need not be copied.
        let mut bytes = bytes;
        while !self.rest.is_empty() && !bytes.is_empty() {
            let joined = bytes.len().min(2 * LOOKAHEAD);
            let before = self.rest.len();
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend_from_slice(&bytes[..joined]);
            let done = self.take(&rest, false)?;
            if done >= before {
                bytes = &bytes[done - before..];
            } else {
                self.rest = rest.split_off(done);
                bytes = &bytes[joined..];
            }
        }
        let done = self.take(bytes, false)?;
        self.rest.extend_from_slice(&bytes[done..]);
        Ok(())
    }

    /// Ends every file; gives what was seen and the objects that were found.
    pub(super) fn finish(mut self) -> Result<(Seen, Sorter), S::Error> {
        let rest = std::mem::take(&mut self.rest);
        self.take(&rest, true)?;
        self.close()?;
        if self.lexer.is_inside() {
            self.seen.is_complete = false;
        }
        self.flush_waiting()?;
        if self.place != Place::Footer {
            self.seen.is_complete = false;
        }
        let footer = std::mem::take(&mut self.footer);
        for (database, begun) in self.begun.iter().enumerate() {
            if *begun {
                self.sink.write(database, &footer)?;
            }
        }
        Ok((self.seen, self.found))
    }

    /// Works through a piece; gives how much of it was understood.
    fn take(&mut self, bytes: &[u8], last: bool) -> Result<usize, S::Error> {
        let mut at = 0;
        while let Some(part) = self.lexer.next(&bytes[at..], last).map_err(|why| unclear(&why))? {
            let end = at + part.length;
            self.part(part, &bytes[at..end])?;
            at = end;
        }
        Ok(at)
    }

    fn part(&mut self, part: Part, bytes: &[u8]) -> Result<(), S::Error> {
        match part.kind {
            // What is left of the line of the sandbox mode.
            Kind::Blank if self.place == Place::Header && self.header.is_empty() && self.waiting.is_empty() => Ok(()),
            Kind::Blank if self.waiting.len() < COMMENT_MAX => {
                let is_written = std::mem::take(&mut self.has_ended_line);
                self.waiting.extend_from_slice(bytes.strip_prefix(b"\n").filter(|_| is_written).unwrap_or(bytes));
                Ok(())
            }
            Kind::Blank | Kind::Command => {
                self.close()?;
                self.flush_waiting()?;
                self.emit(bytes)
            }
            Kind::Comment => {
                self.close()?;
                self.comment(bytes, part.ends)
            }
            Kind::Statement => {
                self.close()?;
                self.statement(bytes, part.ends)
            }
            Kind::Rows => self.insert(part, bytes),
        }
    }

    fn comment(&mut self, bytes: &[u8], ends: bool) -> Result<(), S::Error> {
        self.comment.extend_from_slice(bytes);
        if !ends && !self.is_long && self.comment.len() < COMMENT_MAX {
            return Ok(());
        }
        let comment = std::mem::take(&mut self.comment);
        if std::mem::replace(&mut self.is_long, !ends) || !ends {
            self.seen.is_complete = false;
            self.flush_waiting()?;
            return self.emit(&comment);
        }
        let text = comment.trim_ascii();
        if text == b"--" && self.waiting.len() < COMMENT_MAX {
            self.waiting.extend_from_slice(&comment);
            return Ok(());
        }
        if self.place == Place::Header && is_never_run(text) {
            return Ok(());
        }
        self.seen.is_complete = text.starts_with(COMPLETED.as_bytes());
        if let Some(Statement::Use(name)) = text.strip_prefix(CURRENT).map(named) {
            let database = self.database(&name)?;
            self.announced = Some(database);
            self.enter(database)?;
        } else if let Some(replaced) = self.position(text) {
            self.flush_waiting()?;
            return self.emit(replaced);
        }
        self.flush_waiting()?;
        self.emit(&comment)
    }

    /// Notes a position of the binary log; gives what stands in its place.
    fn position(&mut self, text: &[u8]) -> Option<&'static [u8]> {
        let text = std::str::from_utf8(text).ok()?;
        if let Some(set) = text.strip_prefix("-- CHANGE MASTER TO ") {
            let file = set.split_once("MASTER_LOG_FILE='")?.1.split_once('\'')?.0;
            let offset = set.split_once("MASTER_LOG_POS=")?.1.trim_end_matches(';').parse().ok()?;
            self.seen.position = Some((file.to_owned(), offset));
        } else {
            let gtid = text.strip_prefix("-- SET GLOBAL gtid_slave_pos='")?.split_once('\'')?.0;
            self.seen.gtid = Some(gtid.to_owned());
        }
        Some(b"-- (in the facts of the snapshot)\n")
    }

    fn statement(&mut self, bytes: &[u8], ends: bool) -> Result<(), S::Error> {
        self.length += bytes.len() as u64;
        if self.writing.is_none() {
            self.head.extend_from_slice(bytes);
            if !ends && self.head.len() < HEAD_MAX {
                return Ok(());
            }
            let head = std::mem::take(&mut self.head);
            self.seen.is_complete = false;
            self.writing = Some(self.begin_statement(&head, ends)?);
        } else {
            self.go_on(bytes)?;
        }
        if ends {
            if let Some(generated) = &mut self.generated {
                generated.end();
            }
            match self.writing.take() {
                Some(Writing::Unwrapped(unwrapping)) => {
                    let end = unwrapping.end(self.lexer.delimiter());
                    self.emit(&end)?;
                }
                Some(Writing::Unchecked(unchecked)) => {
                    let (end, had_option) = unchecked.end(self.lexer.delimiter());
                    self.emit_once(&end)?;
                    if let Some(twice) = &mut self.twice {
                        twice.is_needed |= had_option;
                    }
                }
                _ => {}
            }
            self.seen.longest = self.seen.longest.max(std::mem::take(&mut self.length));
        }
        Ok(())
    }

    /// Looks at the beginning of a statement and writes what is to be written of it.
    fn begin_statement(&mut self, head: &[u8], ends: bool) -> Result<Writing, S::Error> {
        let statement = Statement::of(head, self.lexer.mode);
        match statement {
            Statement::Use(ref name) | Statement::CreateDatabase(ref name) => {
                let database = self.database(name)?;
                if !ends || self.announced.is_some_and(|announced| announced != database) {
                    return Err(unclear(&format!("{} comes where another database is under way", quoted(name))).into());
                }
                // The comment of a name with an end of line in it does not give that name.
                if self.announced.is_none() && self.place != Place::Database(database) {
                    self.enter(database)?;
                }
                self.announced = matches!(statement, Statement::CreateDatabase(_)).then_some(database);
                self.flush_waiting()?;
                // A name may hold an end of line, after which it would be no comment any more.
                if !head.contains(&b'\n') && !head.contains(&b'\r') {
                    self.emit(b"-- ")?;
                    self.emit(head)?;
                    // The end of its line may go into another file.
                    self.emit(b"\n")?;
                }
                return Ok(Writing::Not);
            }
            Statement::AlterDatabase(_, at) => {
                self.flush_waiting()?;
                self.emit(&head[..at.start])?;
                self.emit(&head[at.end..])?;
                return Ok(Writing::AsItIs);
            }
            Statement::Create { kind, name, wrapped } => {
                let Place::Database(database) = self.place else {
                    return Err(unclear(&format!("{kind} {} belongs to no database", quoted(&name))).into());
                };
                let placed = if kind == ObjectKind::Trigger {
                    self.orders.placed(database, &name, head, self.lexer.mode).map_err(|why| unclear(&why))?
                } else {
                    None
                };
                let head = placed.as_deref().unwrap_or(head);
                let object = Object { database: u16::try_from(database).expect("databases are few"), kind, name };
                self.found.push(&object.key()).map_err(Error::from)?;
                if kind == ObjectKind::Table {
                    self.begin_table(head);
                }
                if kind == ObjectKind::View && self.twice.is_some() {
                    self.flush_waiting()?;
                    let mut unchecked = Unchecked::default();
                    let begin = unchecked.push(head);
                    self.emit_once(&begin)?;
                    self.keep(head)?;
                    return Ok(Writing::Unchecked(unchecked));
                }
                self.flush_waiting()?;
                if wrapped && Unwrapping::is_for(kind) {
                    let mut unwrapping = Unwrapping::new();
                    let begin = unwrapping.begin(head);
                    self.emit(&begin)?;
                    return Ok(Writing::Unwrapped(unwrapping));
                }
                self.emit(head)?;
                return Ok(Writing::AsItIs);
            }
            Statement::Mode(mode) => self.lexer.mode = mode,
            Statement::End => {
                self.leave()?;
                self.place = Place::Footer;
            }
            Statement::Other => {}
        }
        self.flush_waiting()?;
        self.emit(head)?;
        Ok(Writing::AsItIs)
    }

    fn go_on(&mut self, bytes: &[u8]) -> Result<(), S::Error> {
        match &mut self.writing {
            Some(Writing::Unwrapped(unwrapping)) => {
                let some = unwrapping.push(bytes);
                self.emit(&some)
            }
            Some(Writing::Unchecked(unchecked)) => {
                let some = unchecked.push(bytes);
                self.emit_once(&some)?;
                self.keep(bytes)
            }
            Some(Writing::Not) => Ok(()),
            _ => {
                if let Some(generated) = &mut self.generated {
                    generated.define(bytes, !self.lexer.mode.no_backslash_escapes);
                }
                self.emit(bytes)
            }
        }
    }

    fn begin_table(&mut self, head: &[u8]) {
        if let Some(generated) = &mut self.generated {
            generated.begin();
            generated.define(head, !self.lexer.mode.no_backslash_escapes);
        }
    }

    fn database(&self, name: &str) -> Result<usize, Error> {
        let place = self.databases.iter().position(|database| database == name);
        place.ok_or_else(|| unclear(&format!("it holds the database {}, which was not asked for", quoted(name))))
    }
}

/// The name in quotes that a comment gives; `Other` when there is none.
fn named(name: &[u8]) -> Statement {
    Statement::of(&[b"USE ", name].concat(), crate::source::mysql::lexer::Mode::default())
}

fn unclear(why: &str) -> Error {
    Error::Dump { why: format!("what the dump program writes cannot be understood: {why}") }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
