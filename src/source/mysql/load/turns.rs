//! What is turned in a statement on its way: names of the database, accounts, collations, modes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::act::Name;
use super::known::Known;
use super::{timestamps, vanish};
use crate::source::mysql::lexer::Mode;
use crate::source::mysql::object::{ObjectKind, quoted};
use crate::source::mysql::tokens::{Token, Tokens};

/// Most accounts that are collected, and most notes that are made: more would not help a person.
const TOLD_MAX: usize = 1000;

/// Most things that a note names.
const NAMED: usize = 5;

/// The modes under which a server refuses a table of an engine that it does not have, instead of giving it another one, and puts all files of a table
/// into its own directory, from which alone it can move them.
const OF_TABLES: [&str; 2] = ["NO_ENGINE_SUBSTITUTION", "NO_DIR_IN_CREATE"];

/// Where the header of a dump keeps the mode that it found.
const OLD_MODE: &str = "@OLD_SQL_MODE";

/// What is told once each, in the order in which it came up, and of what.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<Note>);

#[derive(Debug)]
struct Note {
    text: String,
    /// The first things that it is told of, and how many more there are.
    of: Vec<String>,
    more: u64,
}

impl Notes {
    pub(super) fn add(&mut self, note: String) {
        if self.0.len() < TOLD_MAX && !self.0.iter().any(|other| other.text == note) {
            self.0.push(Note { text: note, of: Vec::new(), more: 0 });
        }
    }

    /// The same of one thing after another; a thing comes once, or several times in a row.
    pub(super) fn add_of(&mut self, note: String, of: &str) {
        let has_room = self.0.len() < TOLD_MAX;
        match self.0.iter_mut().find(|other| other.text == note) {
            Some(other) if other.of.last().is_some_and(|last| last == of) => {}
            Some(other) if other.of.len() < NAMED => other.of.push(of.to_owned()),
            Some(other) => other.more += 1,
            None if has_room => self.0.push(Note { text: note, of: vec![of.to_owned()], more: 0 }),
            None => {}
        }
    }

    /// All of them, as sentences.
    pub(super) fn told(self) -> Vec<String> {
        let told = |note: Note| match (note.of.join(", "), note.more) {
            (of, _) if of.is_empty() => note.text,
            (of, 0) => format!("{} ({of})", note.text),
            (of, more) => format!("{} ({of} and {more} more)", note.text),
        };
        self.0.into_iter().map(told).collect()
    }
}

/// Pieces of a statement and what is to stand there instead; they do not overlap.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// That this text is to stand at this place as well.
    pub(super) fn insert(&mut self, at: usize, text: String) {
        self.0.push((at..at, text));
    }

    /// That this text is to stand in place of what is there.
    pub(super) fn replace(&mut self, place: Range<usize>, text: String) {
        self.0.push((place, text));
    }

    /// The statement as it is to be.
    pub(super) fn of(mut self, statement: &[u8]) -> Vec<u8> {
        self.0.sort_by_key(|(place, _)| place.start);
        let (mut edited, mut at) = (Vec::with_capacity(statement.len() + 64), 0);
        for (place, text) in self.0 {
            edited.extend_from_slice(&statement[at..place.start]);
            edited.extend_from_slice(text.as_bytes());
            at = place.end;
        }
        edited.extend_from_slice(&statement[at..]);
        edited
    }
}

/// What statements are turned by.
pub(super) struct Turns<'a> {
    pub(super) original: &'a str,
    pub(super) database: &'a str,
    pub(super) definers: &'a BTreeMap<String, String>,
    pub(super) known: Known,
    pub(super) notes: Notes,
    /// The accounts that definitions name now.
    pub(super) found: BTreeSet<String>,
}

impl Turns<'_> {
    /// The name of the database before that of an object. Errors: it is another one.
    pub(super) fn home(&self, name: &Name, edits: &mut Edits) -> Result<(), String> {
        if let Some((database, place)) = &name.database {
            self.database(database, place.clone(), edits)?;
        }
        Ok(())
    }

    /// The database by its name. Errors: it is another one.
    pub(super) fn database(&self, name: &str, place: Range<usize>, edits: &mut Edits) -> Result<(), String> {
        self.check(name)?;
        edits.0.push((place, quoted(self.database)));
        Ok(())
    }

    /// Fails when this is neither the database that was dumped nor the one that it goes into.
    pub(super) fn check(&self, name: &str) -> Result<(), String> {
        if name == self.original || name == self.database {
            return Ok(());
        }
        let (other, original) = (quoted(name), quoted(self.original));
        Err(format!("it is about the database {other}, while this is to be a dump of {original} alone: load that part by hand"))
    }

    /// Every name of the original database that stands in quotes before a dot, wherever in a definition of a table it is.
    pub(super) fn qualifiers(&self, statement: &[u8], mode: Mode, from: usize, edits: &mut Edits) {
        let mut tokens = Tokens::new(statement, mode);
        while let Some(token) = tokens.next() {
            if let Token::Name(name, place) = token
                && name == self.original
                && place.start >= from
                && tokens.takes(b'.')
            {
                edits.0.push((place, quoted(self.database)));
            }
        }
    }

    /// The original database before a table's column or a function in the text of a view: so the server writes a view whose definer is gone,
    /// or may not read the table. A pair of names alone is a table and its column, and a table may be called as its database is.
    pub(super) fn view(&self, statement: &[u8], mode: Mode, from: usize, edits: &mut Edits) {
        let mut tokens = Tokens::new(statement, mode);
        while let Some(token) = tokens.next() {
            let Token::Name(name, place) = token else { continue };
            // As far as names go, they belong together.
            let mut names = 1;
            while tokens.takes(b'.') && tokens.name().is_some() {
                names += 1;
            }
            let is_qualifier = names == 3 || names == 2 && tokens.takes(b'(');
            if name == self.original && place.start >= from && is_qualifier {
                edits.0.push((place, quoted(self.database)));
            }
        }
    }

    /// A view takes the place of what stands in for it.
    pub(super) fn replace(&self, statement: &[u8], mode: Mode, edits: &mut Edits) {
        let mut tokens = Tokens::new(statement, mode);
        tokens.next();
        let end = tokens.place().end;
        if tokens.peek_word().as_deref() != Some("OR") {
            edits.0.push((end..end, " OR REPLACE".to_owned()));
        }
    }

    /// The account after the first `DEFINER`.
    pub(super) fn definer(&mut self, statement: &[u8], mode: Mode, edits: &mut Edits) {
        let mut tokens = Tokens::new(statement, mode);
        loop {
            match tokens.next() {
                Some(Token::Word(word, _)) if word == "DEFINER" && tokens.takes(b'=') => break,
                // It stands before the kind of thing that is made.
                Some(Token::Word(word, _)) if ObjectKind::ALL.iter().any(|kind| kind.words() == word) => return,
                Some(_) => {}
                None => return,
            }
        }
        let Some((user, host, place)) = tokens.account() else { return };
        let account = host.map_or_else(|| user.clone(), |host| format!("{user}@{host}"));
        let mapped = self.definers.get(&account);
        if let Some(mapped) = mapped {
            let written = match mapped.rsplit_once('@') {
                Some((user, host)) => format!("{}@{}", quoted(user), quoted(host)),
                None => quoted(mapped),
            };
            edits.0.push((place, written));
        }
        if self.found.len() < TOLD_MAX {
            self.found.insert(mapped.unwrap_or(&account).clone());
        }
    }

    /// Collations that the server does not know. Errors: it knows none near one of them.
    pub(super) fn collations(&mut self, statement: &[u8], mode: Mode, edits: &mut Edits) -> Result<(), String> {
        let mut tokens = Tokens::new(statement, mode);
        while let Some(token) = tokens.next() {
            if !matches!(token, Token::Word(word, _) if word == "COLLATE" || word == "COLLATION_CONNECTION") {
                continue;
            }
            tokens.takes(b'=');
            let Some(name) = tokens.text() else { continue };
            // Variables, and the words DEFAULT and binary.
            if name.starts_with('@') || !name.contains('_') {
                continue;
            }
            match self.known.collation(&name) {
                None => return Err(format!("the server does not know the collation {name}, nor one near it: load it into another server")),
                Some(near) if near != name => {
                    self.notes.add(format!("the server does not know the collation {name}: {near} is used for it"));
                    edits.0.push((tokens.place(), near));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// What a `SET` sets that the server does not know; and rows and tables are kept as they are or refused.
    pub(super) fn settings(&mut self, statement: &[u8], mode: Mode, edits: &mut Edits) {
        let mut tokens = Tokens::new(statement, mode);
        let mut is_header = false;
        let mut is_mode = false;
        while let Some(token) = tokens.next() {
            match token {
                Token::Word(word, _) => {
                    is_header |= word == OLD_MODE;
                    is_mode = word == "SQL_MODE" || is_mode && word.starts_with('@');
                }
                Token::Text(list) if is_mode => {
                    let mut kept = self.modes(&list);
                    for mode in OF_TABLES.iter().filter(|mode| is_header && !list.contains(*mode)) {
                        kept = if kept.is_empty() { (*mode).to_owned() } else { format!("{kept},{mode}") };
                    }
                    if kept != list {
                        edits.0.push((tokens.place(), format!("'{kept}'")));
                    }
                    is_mode = false;
                }
                _ => {}
            }
        }
    }

    /// A list of modes without those that the server does not know, which are noted.
    pub(super) fn modes(&mut self, list: &str) -> String {
        let (kept, lacking) = self.known.modes(list);
        for mode in lacking {
            self.notes.add(format!("the server does not know the sql_mode {mode}: it is left out"));
        }
        kept
    }

    /// Notes what the server takes and does not keep of a definition; `of` is the table or whatever it defines.
    pub(super) fn vanishing(&mut self, statement: &[u8], mode: Mode, of: &str, is_table: bool) {
        let release = self.known.release;
        for text in vanish::passed_over(statement, mode, release) {
            self.notes.add_of(format!("the server passes over `{text}`, which is for others"), of);
        }
        if is_table {
            for text in vanish::forgotten(statement, mode, release) {
                self.notes.add_of(text.to_owned(), of);
            }
            if let Some(note) = self.known.timestamps.note() {
                for column in timestamps::plain(statement, mode) {
                    self.notes.add_of(note.to_owned(), &format!("{of}.{}", quoted(&column)));
                }
            }
        }
    }

    /// Notes a definition that names the database that it was taken of, while it goes into another one.
    pub(super) fn names_original(&mut self, statement: &[u8], mode: Mode, what: &str) {
        if self.original == self.database {
            return;
        }
        let mut tokens = Tokens::new(statement, mode);
        while let Some(token) = tokens.next() {
            let (Token::Name(name, _) | Token::Word(_, name)) = token else { continue };
            if name == self.original && tokens.takes(b'.') {
                let original = quoted(self.original);
                self.notes.add(format!("the {what} names the database {original} and goes on using that one"));
                return;
            }
        }
    }
}
