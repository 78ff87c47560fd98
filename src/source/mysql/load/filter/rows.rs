//! The rows of a dump, which go to the client as they come.

use super::Filter;
use crate::source::Error;
use crate::source::mysql::lexer::Lexer;
use crate::source::mysql::load::act::Name;
use crate::source::mysql::load::changes::mark;
use crate::source::mysql::load::turns::Edits;

/// Bytes of rows in one transaction, so that what the server keeps to take one back (undo, the cache of its binary log, temporary files)
/// does not grow with the table, and small statements share a write to the disk. Larger ones made MariaDB 10.11 slower: the first
/// transaction of an empty table is a bulk load, which sorts (400 MiB in one transaction took the server twice the processor time).
const COMMIT_EVERY: u64 = 8 << 20;

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
            self.put(bytes);
        }
    }

    pub(super) fn end_rows(&mut self, lexer: &Lexer) {
        if self.rows.take() == Some(true) {
            self.put(b"\n");
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
