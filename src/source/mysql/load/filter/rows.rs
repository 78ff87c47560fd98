//! The rows of a dump, which go to the client as they come.

use super::Filter;
use crate::source::Error;
use crate::source::mysql::lexer::{Lexer, Mode};
use crate::source::mysql::load::act::Name;
use crate::source::mysql::load::changes::{CUT_OFF, mark};
use crate::source::mysql::load::turns::Edits;
use crate::source::mysql::tokens::{Token, Tokens};

/// Bytes of rows in one transaction, so that what the server keeps to take one back (undo, the cache of its binary log, temporary files)
/// does not grow with the table, and small statements share a write to the disk. Larger ones made MariaDB 10.11 slower: the first
/// transaction of an empty table is a bulk load, which sorts (400 MiB in one transaction took the server twice the processor time).
const COMMIT_EVERY: u64 = 8 << 20;

/// Lets a day that its month does not have be as it is, instead of making nothing of it; and not where the table computes something of its values,
/// which would come to something else then. An empty name among the modes is none.
const DAYS_AS_THEY_ARE: &[u8] = b"SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',ALLOW_INVALID_DATES') ";
const DAYS_AS_THEY_ARE_NOT: &[u8] = b"SET SESSION sql_mode = REPLACE(@@SESSION.sql_mode, 'ALLOW_INVALID_DATES', '') ";

/// Bytes that a row takes at least: a statement that is shorter than so many for each warning that is kept has all of its warnings told.
const ROW_MIN: u64 = 4;

/// Whether the definition of a table computes something of its values: a generated column, an index of an expression, a check.
pub(super) fn computes(definition: &[u8], mode: Mode) -> bool {
    let (mut tokens, mut before) = (Tokens::new(definition, mode), None);
    while let Some(token) = tokens.next() {
        match (&before, &token) {
            (_, Token::Word(word, _)) if matches!(word.as_str(), "GENERATED" | "CHECK") => return true,
            (Some(Token::Word(word, _)), Token::Sign(b'(')) if word == "AS" => return true,
            (Some(Token::Sign(b'(')), Token::Sign(b'(')) => return true,
            _ => {}
        }
        before = Some(token);
    }
    false
}

impl Filter<'_> {
    pub(super) fn begin_rows(&mut self, head: &[u8], name: &Name, ends: bool, lexer: &Lexer) -> Result<(), Error> {
        let mut edits = Edits::default();
        self.turns.home(name, &mut edits).map_err(|why| self.refused(why))?;
        let is_given = self.takes_table(name);
        if is_given {
            self.history.check(self.turns.known.release).map_err(|why| self.refused(why))?;
            if self.filled.as_ref() != Some(&name.name) {
                self.filled = Some(name.name.clone());
                self.trail.begin();
                self.put(&mark(self.begun, &name.name, lexer.delimiter()));
                let days = if self.computing.contains(&name.name) { DAYS_AS_THEY_ARE_NOT } else { DAYS_AS_THEY_ARE };
                self.trail.begin();
                self.put(&[days, lexer.delimiter(), b"\n"].concat());
            }
            self.trail.begin();
            self.statements += 1;
        }
        self.rows = Some(is_given);
        self.go_on(&edits.of(head), is_given);
        if ends {
            self.end_rows(lexer);
        }
        Ok(())
    }

    pub(super) fn go_on(&mut self, bytes: &[u8], is_given: bool) {
        if is_given {
            self.uncommitted += bytes.len() as u64;
            self.filling += bytes.len() as u64;
            self.put(bytes);
        }
    }

    pub(super) fn end_rows(&mut self, lexer: &Lexer) {
        let bytes = std::mem::take(&mut self.filling);
        if self.rows.take() == Some(true) {
            self.put(b"\n");
            if bytes >= self.turns.known.wishes.warnings() * ROW_MIN {
                self.trail.begin();
                self.put(&[CUT_OFF, lexer.delimiter(), b"\n"].concat());
            }
            if self.uncommitted >= COMMIT_EVERY {
                self.commit(lexer);
            }
        }
    }

    /// What this may fail by lies in the rows before, so it is told of them.
    pub(super) fn commit(&mut self, lexer: &Lexer) {
        self.uncommitted = 0;
        self.trail.begin();
        self.put(&[b"COMMIT ", lexer.delimiter(), b"\n"].concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_computes_something_of_its_values_is_told_from_others() {
        for (definition, wanted) in [
            ("CREATE TABLE `t` (`id` int(11) NOT NULL, `as` date COMMENT 'CHECK AS (x)', KEY `check` (`id`,`as`))", false),
            ("CREATE TABLE `t` (`a` date, `b` date GENERATED ALWAYS AS (`a`) STORED)", true),
            ("CREATE TABLE `t` (`a` date, `b` date AS (`a`) VIRTUAL)", true),
            ("CREATE TABLE `t` (`a` date, KEY `k` ((cast(`a` as char(10)))))", true),
            ("CREATE TABLE `t` (`a` date CHECK (`a` > 5))", true),
            ("CREATE TABLE `t` (`a` date) PARTITION BY RANGE (to_days(`a`)) (PARTITION p VALUES LESS THAN (5))", false),
        ] {
            assert_eq!(computes(definition.as_bytes(), Mode::default()), wanted, "{definition}");
        }
    }
}
