//! Where the statements of a dump begin and end, by the rules of the vendor's client that will read it.
//!
//! It knows texts in quotes, quoted names, comments of all four kinds, `/*! … */` and what may stand inside it, and `DELIMITER`. It works
//! on slices of any size and keeps no bytes, so its memory does not depend on how long a statement is.

/// How many bytes it must see beyond a place to know what begins there: the longest is a `DELIMITER` of its longest kind.
pub(super) const LOOKAHEAD: usize = 32;

/// How dump programs begin a statement that holds rows.
const INSERT: &[u8] = b"INSERT INTO `";

/// Longest delimiter; the client itself takes 15 bytes.
const DELIMITER_MAX: usize = 15;

/// Longest line of a `DELIMITER` command.
const COMMAND_MAX: usize = 64;

/// What a run of bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// White space outside statements.
    Blank,
    /// A comment outside statements; of a `--` comment with the end of its line.
    Comment,
    /// A `DELIMITER` line.
    Command,
    /// A statement, with its delimiter.
    Statement,
    /// An `INSERT`, with its delimiter; a part ends with each bracket that closes, so that no part holds more than one row.
    Rows,
}

/// A run of bytes at the beginning of what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: Kind,
    /// Its bytes.
    pub(super) length: usize,
    /// Whether the comment, command or statement ends with it; else its next part follows.
    pub(super) ends: bool,
    /// Whether the last byte closes a bracket that was not inside another: of a row, or of a list of columns.
    pub(super) is_closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between statements.
    Between,
    /// In a comment between statements that ends with its line.
    Line,
    /// In a comment between statements that ends with `*/`.
    Block,
    /// In a `DELIMITER` line.
    Command,
    /// In a statement.
    Inside,
    /// In a comment in a statement that ends with its line.
    InsideLine,
    /// In a comment in a statement that ends with `*/`.
    InsideBlock,
    /// In a text or name in these quotes.
    Quoted(u8),
}

/// How quotes and backslashes are read, which depends on the `sql_mode` in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mode {
    /// `ANSI_QUOTES`: double quotes are for names, in which a backslash means itself.
    pub(super) ansi_quotes: bool,
    /// `NO_BACKSLASH_ESCAPES`: a backslash means itself everywhere.
    pub(super) no_backslash_escapes: bool,
}

/// Reads a dump, run by run.
#[derive(Debug)]
pub(super) struct Lexer {
    state: State,
    delimiter: Vec<u8>,
    command: Vec<u8>,
    /// Whether an `INSERT` is told row by row.
    by_rows: bool,
    /// In an `INSERT` that is, how many brackets are open.
    brackets: Option<u32>,
    /// How quotes are read; whoever sees the statements sets it.
    pub(super) mode: Mode,
}

impl Lexer {
    pub(super) fn new() -> Self {
        let (delimiter, mode) = (b";".to_vec(), Mode::default());
        Self { state: State::Between, delimiter, command: Vec::new(), by_rows: true, brackets: None, mode }
    }

    /// One for which an `INSERT` is a statement like any other: no part is of [`Kind::Rows`].
    pub(super) fn without_rows() -> Self {
        Self { by_rows: false, ..Self::new() }
    }

    /// The delimiter in force.
    pub(super) fn delimiter(&self) -> &[u8] {
        &self.delimiter
    }

    /// Whether a statement or a comment has begun and not ended.
    pub(super) fn is_inside(&self) -> bool {
        self.state != State::Between
    }

    /// Whether a statement has begun and not ended.
    pub(super) fn is_in_statement(&self) -> bool {
        !matches!(self.state, State::Between | State::Line | State::Block | State::Command)
    }

    /// The run at the beginning of `input`; `None` when more is needed to know it. `last`: nothing comes after `input`.
    ///
    /// # Errors
    /// What it does not understand.
    pub(super) fn next(&mut self, input: &[u8], last: bool) -> Result<Option<Part>, String> {
        // Up to here a place and all it takes to judge it are in view.
        let safe = if last { input.len() } else { input.len().saturating_sub(LOOKAHEAD) };
        if safe == 0 {
            return Ok(None);
        }
        Ok(Some(match self.state {
            State::Between => return self.between(input, safe),
            State::Line => self.line(input, safe, last),
            State::Block => self.block(input, safe),
            State::Command => return self.command(input, safe, last).map(Some),
            State::Inside | State::InsideLine | State::InsideBlock | State::Quoted(_) => self.statement(input, safe),
        }))
    }

    fn between(&mut self, input: &[u8], safe: usize) -> Result<Option<Part>, String> {
        let blank = input[..safe].iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(safe);
        if blank > 0 {
            return Ok(Some(Part { kind: Kind::Blank, length: blank, ends: true, is_closed: false }));
        }
        self.state = if input.starts_with(b"--") || input[0] == b'#' {
            State::Line
        } else if is_plain_comment(input) || is_never_run(input) {
            State::Block
        } else if is_command(input) {
            self.command.clear();
            State::Command
        } else {
            self.brackets = (self.by_rows && input.starts_with(INSERT)).then_some(0);
            State::Inside
        };
        // What was just begun has at least one byte in view, so this goes on and does not come back here.
        let last = safe == input.len();
        self.next(input, last)
    }

    fn line(&mut self, input: &[u8], safe: usize, last: bool) -> Part {
        match input[..safe].iter().position(|byte| *byte == b'\n') {
            Some(at) => self.ended(Kind::Comment, at + 1),
            None if last => self.ended(Kind::Comment, safe),
            None => Part { kind: Kind::Comment, length: safe, ends: false, is_closed: false },
        }
    }

    fn block(&mut self, input: &[u8], safe: usize) -> Part {
        match (0..safe).find(|at| input[*at..].starts_with(b"*/")) {
            Some(at) => self.ended(Kind::Comment, at + 2),
            None => Part { kind: Kind::Comment, length: safe, ends: false, is_closed: false },
        }
    }

    fn command(&mut self, input: &[u8], safe: usize, last: bool) -> Result<Part, String> {
        let end = input[..safe].iter().position(|byte| *byte == b'\n');
        let length = end.map_or(safe, |at| at + 1);
        self.command.extend_from_slice(&input[..length]);
        if self.command.len() > COMMAND_MAX {
            return Err("a DELIMITER line is longer than any delimiter".into());
        }
        if end.is_none() && !last {
            return Ok(Part { kind: Kind::Command, length, ends: false, is_closed: false });
        }
        let mut words = self.command.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let delimiter = words.next_back().unwrap_or_default().to_vec();
        if delimiter.len() > DELIMITER_MAX || delimiter.eq_ignore_ascii_case(b"delimiter") {
            return Err("a DELIMITER line has no delimiter that the client takes".into());
        }
        self.delimiter = delimiter;
        Ok(self.ended(Kind::Command, length))
    }

    fn ended(&mut self, kind: Kind, length: usize) -> Part {
        self.state = State::Between;
        Part { kind, length, ends: true, is_closed: false }
    }

    fn statement(&mut self, input: &[u8], safe: usize) -> Part {
        let mut at = 0;
        let kind = if self.brackets.is_some() { Kind::Rows } else { Kind::Statement };
        while at < safe {
            match self.state {
                State::Quoted(quote) => at = self.quoted(quote, input, at, safe),
                State::InsideLine => match input[at..safe].iter().position(|byte| *byte == b'\n') {
                    Some(end) => {
                        self.state = State::Inside;
                        at += end + 1;
                    }
                    None => at = safe,
                },
                State::InsideBlock => match (at..safe).find(|at| input[*at..].starts_with(b"*/")) {
                    Some(end) => {
                        self.state = State::Inside;
                        at = end + 2;
                    }
                    None => at = safe,
                },
                _ => {
                    let begun = at;
                    if let Some(end) = self.plain(input, &mut at, safe) {
                        return self.ended(kind, end);
                    }
                    if self.brackets == Some(0) && at > begun && input[at - 1] == b')' && self.state == State::Inside {
                        return Part { kind, length: at, ends: false, is_closed: true };
                    }
                }
            }
        }
        Part { kind, length: at, ends: false, is_closed: false }
    }

    /// Goes on outside quotes and comments until one of them begins; gives the end of the statement when it comes first.
    fn plain(&mut self, input: &[u8], at: &mut usize, safe: usize) -> Option<usize> {
        let (first, by_rows) = (self.delimiter[0], self.brackets.is_some());
        let means = |byte: u8| byte == first || MEANS[usize::from(byte)] || by_rows && matches!(byte, b'(' | b')');
        while let Some(passed) = input[*at..safe].iter().position(|byte| means(*byte)) {
            *at += passed;
            let (byte, rest) = (input[*at], &input[*at..]);
            if byte == first && rest.starts_with(&self.delimiter) {
                return Some(*at + self.delimiter.len());
            }
            let next = match byte {
                b'\'' | b'"' | b'`' => State::Quoted(byte),
                b'#' => State::InsideLine,
                b'-' if is_line_comment(rest) => State::InsideLine,
                b'/' if is_plain_comment(rest) => State::InsideBlock,
                b'(' | b')' if by_rows => {
                    *at += 1;
                    let open = self.brackets.unwrap_or(0);
                    self.brackets = Some(if byte == b'(' { open.saturating_add(1) } else { open.saturating_sub(1) });
                    if byte == b')' && self.brackets == Some(0) {
                        return None;
                    }
                    continue;
                }
                _ => {
                    *at += 1;
                    continue;
                }
            };
            *at += if next == State::InsideBlock { 2 } else { 1 };
            self.state = next;
            return None;
        }
        *at = safe;
        None
    }

    /// Goes on inside quotes; gives where it got to. Doubled quotes end one text and begin another, which comes to the same.
    fn quoted(&mut self, quote: u8, input: &[u8], mut at: usize, safe: usize) -> usize {
        let escapes = quote != b'`' && !self.mode.no_backslash_escapes && !(quote == b'"' && self.mode.ansi_quotes);
        // Where a backslash means itself, it is passed over like any other byte.
        let escape = if escapes { b'\\' } else { quote };
        while let Some(passed) = input.get(at..safe).and_then(|rest| memchr::memchr2(quote, escape, rest)) {
            at += passed;
            if input[at] == quote {
                self.state = State::Inside;
                return at + 1;
            }
            // What is escaped is in view, unless the dump ends here.
            at += 2;
        }
        at.max(safe).min(input.len())
    }
}

/// Bytes that may begin what is not plain, whatever the delimiter is.
const MEANS: [bool; 256] = {
    let mut means = [false; 256];
    let (signs, mut at) = (*b"'\"`#-/", 0);
    while at < signs.len() {
        means[signs[at] as usize] = true;
        at += 1;
    }
    means
};

/// A comment that the server never reads: `/*` without `!` or `M!`.
fn is_plain_comment(input: &[u8]) -> bool {
    input.starts_with(b"/*") && !input.starts_with(b"/*!") && !input.starts_with(b"/*M!")
}

/// A comment for a version that no server will have: the line of MariaDB's sandbox mode, which has no delimiter.
pub(super) fn is_never_run(input: &[u8]) -> bool {
    input.starts_with(b"/*M!999999") || input.starts_with(b"/*!999999")
}

/// `--` with white space after it; without, it is arithmetic.
fn is_line_comment(input: &[u8]) -> bool {
    input.starts_with(b"--") && input.get(2).is_none_or(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
}

fn is_command(input: &[u8]) -> bool {
    let word = b"delimiter";
    input.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word))
        && input.get(word.len()).is_none_or(|byte| byte.is_ascii_whitespace())
}

#[cfg(test)]
#[path = "lexer_tests.rs"]
mod tests;
