//! Which line of the file a line is of that the client was given, and what stands there.

use std::collections::VecDeque;

use crate::source::mysql::lexer::Mode;
use crate::source::mysql::object::ObjectKind;
use crate::source::mysql::tokens::{Token, Tokens};

/// How far the client may be behind, in bytes: what the pipe holds, what the client has read ahead, and as much again.
const BEHIND_MAX: u64 = 8 << 20;

/// Most statements that are remembered: 4 MiB of them. Behind more, the line is still known, and the beginning is not.
const STATEMENTS_MAX: usize = 32 << 10;

/// The same where the client may be behind by all of them.
const ALL_MAX: usize = 256 << 10;

/// How much of a statement's beginning is told.
const HEAD: usize = 120;

#[derive(Debug)]
struct Step {
    /// The line that the client was given.
    given: u64,
    /// The line of the file.
    line: u64,
    head: Box<str>,
    /// How many bytes the client had been given when it ended.
    end: u64,
    /// What it makes, where names are kept.
    makes: Option<(ObjectKind, Box<str>)>,
}

/// The last statements that the client was given.
#[derive(Debug, Default)]
pub(super) struct Trail {
    steps: VecDeque<Step>,
    /// Lines that have ended, and bytes.
    lines: u64,
    bytes: u64,
    /// What is under way in the file, whether the client is given it or not.
    now: (u64, Box<str>),
    /// Whether what a statement makes is remembered, at most 256 bytes each: for a client that goes on after errors.
    pub(super) keeps_names: bool,
    /// Whether the client may be behind by all that it is given.
    pub(super) keeps_all: bool,
}

impl Trail {
    /// A statement begins at this line of the file.
    pub(super) fn at(&mut self, line: u64, head: &[u8]) {
        self.now = (line, told(head));
    }

    /// What is under way is given to the client from here on.
    pub(super) fn begin(&mut self) {
        let (line, head) = self.now.clone();
        let forgotten = |step: &Step| !self.keeps_all && step.end + BEHIND_MAX < self.bytes;
        let most = if self.keeps_all { ALL_MAX } else { STATEMENTS_MAX };
        while self.steps.len() >= most || self.steps.len() > 1 && self.steps.front().is_some_and(forgotten) {
            self.steps.pop_front();
        }
        self.steps.push_back(Step { given: self.lines + 1, line, head, end: self.bytes, makes: None });
    }

    /// These bytes are given.
    pub(super) fn give(&mut self, bytes: &[u8]) {
        self.lines += newlines(bytes);
        self.bytes += bytes.len() as u64;
        if let Some(last) = self.steps.back_mut() {
            last.end = self.bytes;
        }
    }

    /// What is given last makes this.
    pub(super) fn makes(&mut self, kind: ObjectKind, name: &str) {
        if let Some(last) = self.steps.back_mut().filter(|_| self.keeps_names) {
            last.makes = Some((kind, name.into()));
        }
    }

    /// What the statement makes that was given with this line, if it makes something and that was remembered.
    pub(super) fn made(&self, given: u64) -> Option<(ObjectKind, String)> {
        let (kind, name) = self.step(given)?.makes.as_ref()?;
        Some((*kind, name.to_string()))
    }

    fn step(&self, given: u64) -> Option<&Step> {
        let after = self.steps.partition_point(|step| step.given <= given);
        after.checked_sub(1).map(|at| &self.steps[at])
    }

    /// Line and beginning of the statement that was given with this line.
    pub(super) fn find(&self, given: u64) -> (u64, String) {
        match self.step(given) {
            Some(step) => (step.line, step.head.to_string()),
            None => (self.steps.front().map_or(0, |step| step.line), "a statement before this line".to_owned()),
        }
    }

    /// Line and beginning of what is under way.
    pub(super) fn now(&self) -> (u64, String) {
        (self.now.0, self.now.1.to_string())
    }
}

/// How many lines end in it.
pub(super) fn newlines(bytes: &[u8]) -> u64 {
    // In short runs, so that the compiler counts many bytes at once.
    let count = |run: &[u8]| run.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>();
    bytes.chunks(255).map(|run| u64::from(count(run))).sum()
}

/// The beginning of a statement for a person: on one line, and without the rows of an `INSERT`.
fn told(head: &[u8]) -> Box<str> {
    let mut tokens = Tokens::new(head, Mode::default());
    let mut end = head.len();
    if let Some(Token::Word(word, _)) = tokens.next()
        && matches!(word.as_str(), "INSERT" | "REPLACE")
    {
        while let Some(token) = tokens.next() {
            let is_of_rows = match token {
                Token::Word(word, _) => matches!(word.as_str(), "VALUES" | "VALUE" | "SELECT" | "SET"),
                Token::Text(_) => true,
                _ => false,
            };
            if is_of_rows {
                end = tokens.place().start;
                break;
            }
        }
    }
    // A character may be cut at the end, which the lossy reading makes one sign of.
    let begin = String::from_utf8_lossy(&head[..end.min(4 * HEAD)]);
    let mut kept: String = begin.chars().take(HEAD).map(|c| if c.is_control() { ' ' } else { c }).collect();
    kept.truncate(kept.trim_end().len());
    if end < head.len() || begin.chars().nth(HEAD).is_some() {
        kept.push_str(" …");
    }
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_given_is_found_again() {
        let mut trail = Trail::default();
        for (line, text) in [(10, "SET a=1;\n"), (12, "CREATE TABLE t (\n a int\n);\n"), (40, "INSERT INTO `t` VALUES (1),\n(2);\n")] {
            trail.at(line, text.as_bytes());
            trail.begin();
            trail.give(text.as_bytes());
        }
        let found: Vec<u64> = (1..=6).map(|given| trail.find(given).0).collect();
        assert_eq!(found, [10, 12, 12, 12, 40, 40]);
        assert_eq!(trail.find(5).1, "INSERT INTO `t` …");
        assert_eq!(trail.find(1).1, "SET a=1;");
        assert_eq!(trail.find(2).1, "CREATE TABLE t (  a int );");
    }

    #[test]
    fn it_does_not_grow_with_the_file_and_keeps_what_the_client_may_be_at() {
        let mut trail = Trail::default();
        let text = vec![b'x'; 1 << 20];
        for line in 1..=100 {
            trail.at(line, &text);
            trail.begin();
            trail.give(&text);
            trail.give(b"\n");
        }
        assert!(trail.steps.len() <= 10 && trail.find(93).0 == 93, "{}", trail.steps.len());
        for line in 101..=100_000 {
            trail.at(line, b"x;");
            trail.begin();
            trail.give(b"x;\n");
        }
        assert!(trail.steps.len() <= STATEMENTS_MAX && trail.find(99_000).0 == 99_000);
        assert_eq!(trail.find(5).1, "a statement before this line");
    }

    #[test]
    fn no_row_is_told() {
        for (head, wanted) in [
            ("INSERT INTO `t` (`a`, `values`) VALUES (1,'secret')", "INSERT INTO `t` (`a`, `values`) …"),
            ("insert into t values (1,'secret')", "insert into t …"),
            ("REPLACE INTO `t`VALUES('secret')", "REPLACE INTO `t` …"),
            ("INSERT INTO t SET a = 'secret'", "INSERT INTO t …"),
            ("SET a = 'text'\n;", "SET a = 'text' ;"),
        ] {
            assert_eq!(&*told(head.as_bytes()), wanted);
        }
        assert!(told("é".repeat(1000).as_bytes()).chars().count() < 130);
        assert_eq!(newlines(&[b'\n'; 1000]), 1000);
    }
}
