//! What is wrong in a configuration file, all of it at once.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// One mistake, where it is and what to do about it. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key with its table, such as `local.keep`; empty where the text is not TOML.
    pub key: String,
    /// What is wrong and what to write.
    pub message: String,
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes {
    /// The file.
    pub file: PathBuf,
    /// All mistakes, in the order of the file; at least one.
    pub all: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.all.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{}:{}: ", self.file.display(), mistake.line, mistake.column)?;
            if !mistake.key.is_empty() {
                write!(f, "{}: ", mistake.key)?;
            }
            f.write_str(&mistake.message)?;
        }
        Ok(())
    }
}

/// Gathers mistakes and warnings while a text is read.
#[derive(Debug)]
pub(super) struct Gatherer<'t> {
    text: &'t str,
    found: RefCell<Vec<Mistake>>,
    warnings: RefCell<Vec<String>>,
    /// Lines that are not TOML: what is found on them besides follows from that.
    broken_lines: RefCell<Vec<usize>>,
}

impl<'t> Gatherer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: RefCell::default(), warnings: RefCell::default(), broken_lines: RefCell::default() }
    }

    /// A mistake at this byte of the text.
    pub(super) fn mistake(&self, at: usize, key: impl Into<String>, message: impl Into<String>) {
        let (line, column) = position(self.text, at);
        if !self.broken_lines.borrow().contains(&line) {
            self.found.borrow_mut().push(Mistake { line, column, key: key.into(), message: message.into() });
        }
    }

    /// Something that must be there and is not. In a text that is not TOML it may be there after all, so then nothing is said.
    pub(super) fn missing(&self, at: usize, key: impl Into<String>, message: impl Into<String>) {
        if self.broken_lines.borrow().is_empty() {
            self.mistake(at, key, message);
        }
    }

    /// A place where the text is not TOML.
    pub(super) fn broken(&self, at: usize, message: &str) {
        self.mistake(at, "", format!("this is not TOML: {message}"));
        self.broken_lines.borrow_mut().push(position(self.text, at).0);
    }

    /// Something to be told that does not make the configuration unusable.
    pub(super) fn warning(&self, message: impl Into<String>) {
        self.warnings.borrow_mut().push(message.into());
    }

    /// The warnings when there are no mistakes.
    pub(super) fn finish(self, file: &Path) -> Result<Vec<String>, Mistakes> {
        let mut all = self.found.into_inner();
        if all.is_empty() {
            return Ok(self.warnings.into_inner());
        }
        all.sort();
        Err(Mistakes { file: file.to_owned(), all })
    }
}

/// Line and column of a byte.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_counted_in_lines_and_characters() {
        let text = "a\nöb\nc";
        assert_eq!((position(text, 0), position(text, 4), position(text, 99)), ((1, 1), (2, 2), (3, 2)));
    }
}
