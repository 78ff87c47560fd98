//! The part of the splitter that takes rows.

use super::{HEAD_MAX, Sink, Splitter};
use crate::source::mysql::lexer::Part;
use crate::source::mysql::rows::{ROW_MAX, Turn, first_row};

/// More than what stands between two rows.
const BETWEEN_MAX: usize = 8;

/// An `INSERT` as it comes.
#[derive(Debug, Default)]
pub(super) struct Insert {
    /// What comes before its first row, once that is known.
    prefix: Option<Vec<u8>>,
    /// What has come and is not written yet: of one row at most.
    text: Vec<u8>,
    /// Whether what comes is written as it is: the rest of a long row, or all of a statement that is none of those known.
    is_long: bool,
}

impl<S: Sink> Splitter<'_, S> {
    /// Rows, which are written in statements of our own making.
    pub(super) fn insert(&mut self, part: Part, bytes: &[u8]) -> Result<(), S::Error> {
        self.seen.is_complete = false;
        let mut insert = std::mem::take(&mut self.insert);
        match &mut self.generated {
            Some(generated) => generated.rows(bytes, !self.lexer.mode.no_backslash_escapes, &mut insert.text),
            None => insert.text.extend_from_slice(bytes),
        }
        if insert.prefix.is_none() && !insert.is_long {
            match first_row(&insert.text) {
                Some(at) => insert.prefix = Some(insert.text.drain(..at).collect()),
                None if part.ends || insert.text.len() >= HEAD_MAX => {
                    self.close()?;
                    self.flush_waiting()?;
                    insert.is_long = true;
                }
                None => {}
            }
        }
        match &insert.prefix {
            None if insert.is_long => {
                self.emit(&insert.text)?;
                insert.text.clear();
            }
            None => {}
            Some(prefix) if part.is_closed || insert.is_long || insert.text.len() > ROW_MAX + BETWEEN_MAX => {
                insert.is_long = self.row(prefix, &insert.text, part.is_closed, insert.is_long)?;
                insert.text.clear();
            }
            Some(_) => {}
        }
        if !part.ends {
            self.insert = insert;
            return Ok(());
        }
        if let Some(generated) = &mut self.generated {
            generated.end();
        }
        // The buffer is used again; what is left in it is the delimiter.
        insert.text.clear();
        self.insert = Insert { text: insert.text, ..Insert::default() };
        Ok(())
    }

    /// Writes a row, or what has come of a long one; gives whether more of it is to come.
    fn row(&mut self, prefix: &[u8], text: &[u8], is_whole: bool, goes_on: bool) -> Result<bool, S::Error> {
        if goes_on {
            self.length += text.len() as u64;
            self.emit(text)?;
        } else {
            let between = text.iter().take_while(|byte| **byte == b',' || byte.is_ascii_whitespace()).count();
            let row = &text[between..];
            let is_short = is_whole && row.len() <= ROW_MAX;
            // Between two statements of the program there is the end of a line, and anything else ends ours.
            if self.rows.is_open() && (!is_short || !matches!(&self.waiting[..], b"" | b"\n")) {
                self.close()?;
            }
            let ended = self.rows.is_open().then_some(());
            if is_short {
                let before = self.rows.length();
                if self.rows.turn(prefix, row) == Turn::Join {
                    self.waiting.clear();
                    self.emit(b",\n")?;
                    return self.emit(row).map(|()| false);
                }
                if ended.is_some() {
                    self.end_statement(before)?;
                }
            }
            self.flush_waiting()?;
            self.emit(prefix)?;
            self.emit(row)?;
            if is_short {
                return Ok(false);
            }
            self.length = (prefix.len() + row.len()) as u64;
        }
        if is_whole {
            let length = std::mem::take(&mut self.length);
            self.end_statement(length + 1)?;
        }
        Ok(!is_whole)
    }

    /// Ends the statement with rows that is open, if one is.
    pub(super) fn close(&mut self) -> Result<(), S::Error> {
        match self.rows.close() {
            Some(length) => self.end_statement(length),
            None => Ok(()),
        }
    }

    fn end_statement(&mut self, length: u64) -> Result<(), S::Error> {
        self.seen.longest = self.seen.longest.max(length);
        self.emit(b";\n")?;
        if self.waiting.first() == Some(&b'\n') {
            self.waiting.remove(0);
        } else {
            self.has_ended_line = self.waiting.is_empty();
        }
        Ok(())
    }
}
