//! The words, names, texts and signs of a statement.

use super::lexer::Mode;
use super::object::ObjectKind;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A word, in upper case and as it stands.
    Word(String, String),
    /// A name in quotes.
    Name(String, std::ops::Range<usize>),
    /// A text in quotes.
    Text(String),
    Sign(u8),
}

/// A name, and where it lies.
pub(super) type Placed = (String, std::ops::Range<usize>);

/// The words of a statement; comments, and the marks around versioned ones, are passed over.
pub(super) struct Tokens<'h> {
    head: &'h [u8],
    at: usize,
    begun: usize,
    mode: Mode,
}

impl<'h> Tokens<'h> {
    pub(super) fn new(head: &'h [u8], mode: Mode) -> Self {
        Self { head, at: 0, begun: 0, mode }
    }

    /// Where the last one lies.
    pub(super) fn place(&self) -> std::ops::Range<usize> {
        self.begun..self.at
    }

    /// The next one; none at the end, or where quotes do not end.
    pub(super) fn next(&mut self) -> Option<Token> {
        self.pass_over();
        self.begun = self.at;
        let rest = &self.head[self.at..];
        let first = *rest.first()?;
        let is_name = first == b'`' || first == b'"' && self.mode.ansi_quotes;
        if is_name || matches!(first, b'\'' | b'"') {
            let (text, length) = self.unquoted(rest)?;
            let at = self.at..self.at + length;
            self.at = at.end;
            return Some(if is_name { Token::Name(text, at) } else { Token::Text(text) });
        }
        let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'@') || *byte >= 0x80;
        let length = rest.iter().take_while(|byte| is_of_word(byte)).count();
        if length == 0 {
            self.at += 1;
            return Some(Token::Sign(first));
        }
        self.at += length;
        let word = String::from_utf8_lossy(&rest[..length]).into_owned();
        Some(Token::Word(word.to_uppercase(), word))
    }

    /// White space, comments, and `/*!50003` or `*/` alone.
    fn pass_over(&mut self) {
        loop {
            let rest = &self.head[self.at..];
            let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let skipped = if blank > 0 {
                blank
            } else if rest.starts_with(b"*/") {
                2
            } else if rest.starts_with(b"/*!") || rest.starts_with(b"/*M!") {
                let mark = if rest[2] == b'!' { 3 } else { 4 };
                mark + rest[mark..].iter().take_while(|byte| byte.is_ascii_digit()).count()
            } else if rest.starts_with(b"/*") {
                rest.windows(2).skip(2).position(|pair| pair == b"*/").map_or(rest.len(), |at| at + 4)
            } else if rest.starts_with(b"-- ") || rest.starts_with(b"--\n") || rest.starts_with(b"#") {
                rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1)
            } else {
                return;
            };
            self.at += skipped;
        }
    }

    /// The text in the quotes that `rest` begins with, and how long it is with them; none when they do not end.
    fn unquoted(&self, rest: &[u8]) -> Option<(String, usize)> {
        let quote = rest[0];
        let escapes = quote != b'`' && !self.mode.no_backslash_escapes && !(quote == b'"' && self.mode.ansi_quotes);
        let (mut text, mut at) = (Vec::new(), 1);
        loop {
            let byte = *rest.get(at)?;
            if byte == quote {
                if rest.get(at + 1) != Some(&quote) {
                    return Some((String::from_utf8_lossy(&text).into_owned(), at + 1));
                }
                at += 1;
            } else if byte == b'\\' && escapes {
                at += 1;
            }
            text.push(*rest.get(at)?);
            at += 1;
        }
    }

    pub(super) fn word(&mut self) -> Option<String> {
        match self.next()? {
            Token::Word(word, _) => Some(word),
            _ => None,
        }
    }

    pub(super) fn peek_word(&mut self) -> Option<String> {
        let at = self.at;
        let word = self.word();
        self.at = at;
        word
    }

    /// Whether this sign is next; then it is passed over.
    pub(super) fn takes(&mut self, sign: u8) -> bool {
        let at = self.at;
        let takes = self.next() == Some(Token::Sign(sign));
        if !takes {
            self.at = at;
        }
        takes
    }

    /// A name, with or without quotes, and where it lies when it has them.
    pub(super) fn name(&mut self) -> Option<(String, Option<std::ops::Range<usize>>)> {
        match self.next()? {
            Token::Name(name, at) => Some((name, Some(at))),
            Token::Word(_, word) => Some((word, None)),
            _ => None,
        }
    }

    /// What a `CREATE` makes, in the words that SQL has for it, and whether a definer or an algorithm was said before: the stand-in of a view,
    /// which dumps make before all tables, has neither; the view itself has both.
    pub(super) fn made(&mut self) -> Option<(String, bool)> {
        let mut is_final = false;
        loop {
            let Token::Word(word, _) = self.next()? else { continue };
            match word.as_str() {
                "DEFINER" => {
                    is_final = true;
                    let _ = self.account();
                }
                "ALGORITHM" => {
                    is_final = true;
                    self.takes(b'=');
                    self.next();
                }
                "SECURITY" => drop(self.next()),
                "OR" | "REPLACE" | "SQL" | "AGGREGATE" | "TEMPORARY" => {}
                "PACKAGE" if self.peek_word().as_deref() == Some("BODY") => {
                    self.next();
                    return Some((ObjectKind::PackageBody.words().to_owned(), is_final));
                }
                _ => return Some((word, is_final)),
            }
        }
    }

    /// A name after `IF NOT EXISTS`, if that stands there.
    pub(super) fn named(&mut self) -> Option<String> {
        self.pass(&["IF", "NOT", "EXISTS"]);
        self.name().map(|(name, _)| name)
    }

    /// `= user@host`, in any of the ways it may be quoted: user and host, and where they lie. A role has no host; of `CURRENT_USER` there is
    /// none of all this.
    pub(super) fn account(&mut self) -> Option<(String, Option<String>, std::ops::Range<usize>)> {
        self.takes(b'=');
        let first = self.next()?;
        let begin = self.begun;
        let is_word = matches!(first, Token::Word(..));
        let (Token::Word(_, text) | Token::Name(text, _) | Token::Text(text)) = first else { return None };
        // Without quotes the sign is part of the word; with them it stands between, alone or at the beginning of the host.
        if is_word && let Some((user, host)) = text.split_once('@') {
            let host = if host.is_empty() { self.text()? } else { host.to_owned() };
            return Some((user.to_owned(), Some(host), begin..self.at));
        }
        let at = self.at;
        let host = match self.next() {
            Some(Token::Word(_, word)) if word == "@" => Some(self.text()?),
            Some(Token::Word(_, word)) if word.starts_with('@') => Some(word[1..].to_owned()),
            _ => {
                self.at = at;
                None
            }
        };
        let is_role = host.is_none();
        let account = (text, host, begin..self.at);
        (!(is_word && is_role && account.0.eq_ignore_ascii_case("CURRENT_USER"))).then_some(account)
    }

    /// A word, name or text, as it is without its quotes.
    pub(super) fn text(&mut self) -> Option<String> {
        match self.next()? {
            Token::Word(_, text) | Token::Name(text, _) | Token::Text(text) => Some(text),
            Token::Sign(_) => None,
        }
    }

    /// A name, and before it, with a dot between, maybe that of its database and where that lies.
    pub(super) fn qualified(&mut self) -> Option<(Option<Placed>, String)> {
        let (first, _) = self.name()?;
        let place = self.place();
        if self.takes(b'.') {
            return Some((Some((first, place)), self.name()?.0));
        }
        Some((None, first))
    }

    /// Passes over these words where they stand here, all of them in this order.
    pub(super) fn pass(&mut self, words: &[&str]) {
        let at = self.at;
        if words.iter().any(|wanted| self.word().as_deref() != Some(wanted)) {
            self.at = at;
        }
    }
}
