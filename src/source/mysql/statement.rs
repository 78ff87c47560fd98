//! What a statement of a dump does, as far as that matters: told from its beginning.

use super::lexer::Mode;
use super::object::ObjectKind;

/// How much of a statement must be in view at most: the longest names of user, host and object, each character doubled in quotes, and what
/// stands between them.
pub(super) const HEAD_MAX: usize = 8 << 10;

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// `USE` of this database.
    Use(String),
    /// `CREATE DATABASE` of this one.
    CreateDatabase(String),
    /// `ALTER DATABASE` of this one, and where in the statement its quoted name lies.
    AlterDatabase(String, std::ops::Range<usize>),
    /// Makes an object. `wrapped`: it stands in versioned comments.
    Create { kind: ObjectKind, name: String, wrapped: bool },
    /// Sets `sql_mode`, and with it how what follows is read.
    Mode(Mode),
    /// The first of the statements that end a dump.
    End,
    /// Anything else.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word, in upper case.
    Word(String, String),
    /// A name in quotes.
    Name(String, std::ops::Range<usize>),
    /// A text in quotes.
    Text(String),
    Sign(u8),
}

impl Statement {
    /// What the statement does that begins with these bytes.
    pub(super) fn of(head: &[u8], mode: Mode) -> Self {
        let mut tokens = Tokens { head, at: 0, mode };
        let Some(Token::Word(first, _)) = tokens.next() else { return Self::Other };
        match first.as_str() {
            "USE" => tokens.name().map_or(Self::Other, |(name, _)| Self::Use(name)),
            "CREATE" => Self::of_create(head, tokens),
            "ALTER" => match (tokens.word().as_deref(), tokens.name()) {
                (Some("DATABASE" | "SCHEMA"), Some((name, Some(at)))) => Self::AlterDatabase(name, at),
                _ => Self::Other,
            },
            "SET" => Self::of_set(tokens),
            _ => Self::Other,
        }
    }

    fn of_create(head: &[u8], mut tokens: Tokens<'_>) -> Self {
        let wrapped = head.starts_with(b"/*");
        // The stand-in of a view, which the dump makes before all tables, has neither of these; the view itself has both.
        let mut is_final = false;
        while let Some(token) = tokens.next() {
            let Token::Word(word, _) = token else { continue };
            let kind = match word.as_str() {
                "DATABASE" | "SCHEMA" => {
                    return tokens.named().map_or(Self::Other, Self::CreateDatabase);
                }
                "DEFINER" => {
                    is_final = true;
                    tokens.skip_account();
                    continue;
                }
                "ALGORITHM" => {
                    is_final = true;
                    tokens.next();
                    tokens.next();
                    continue;
                }
                "SECURITY" => {
                    tokens.next();
                    continue;
                }
                "OR" | "REPLACE" | "SQL" | "AGGREGATE" | "TEMPORARY" => continue,
                "PACKAGE" => match tokens.peek_word().as_deref() {
                    Some("BODY") => {
                        tokens.next();
                        ObjectKind::PackageBody
                    }
                    _ => ObjectKind::Package,
                },
                "VIEW" if !is_final => return Self::Other,
                word => match ObjectKind::ALL.into_iter().find(|kind| kind.words() == word) {
                    Some(kind) => kind,
                    None => return Self::Other,
                },
            };
            let Some(first) = tokens.named() else { return Self::Other };
            // The name of a trigger stands as its maker has written it, maybe with the database before it.
            let name = if tokens.takes(b'.') { tokens.name().map(|(name, _)| name).unwrap_or(first) } else { first };
            return Self::Create { kind, name, wrapped };
        }
        Self::Other
    }

    fn of_set(mut tokens: Tokens<'_>) -> Self {
        let mut is_mode = false;
        let mut found = Self::Other;
        let mut sets_zone = false;
        while let Some(token) = tokens.next() {
            match token {
                Token::Word(word, _) if word == "SQL_MODE" => is_mode = true,
                // The dump begins with a statement that keeps the old time zone, and ends with those that bring such things back.
                Token::Word(word, _) if word == "@OLD_TIME_ZONE" && sets_zone => return Self::End,
                Token::Word(word, _) if word == "TIME_ZONE" => sets_zone = true,
                Token::Text(value) if is_mode => {
                    let has = |wanted: &str| value.split(',').any(|flag| flag.trim().eq_ignore_ascii_case(wanted));
                    found = Self::Mode(Mode { ansi_quotes: has("ANSI_QUOTES"), no_backslash_escapes: has("NO_BACKSLASH_ESCAPES") });
                }
                Token::Word(word, _) if is_mode && word.starts_with('@') => found = Self::Mode(Mode::default()),
                _ => {}
            }
        }
        found
    }
}

/// The words of a statement; comments, and the marks around versioned ones, are passed over.
struct Tokens<'h> {
    head: &'h [u8],
    at: usize,
    mode: Mode,
}

impl Tokens<'_> {
    fn next(&mut self) -> Option<Token> {
        self.pass_over();
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

    fn word(&mut self) -> Option<String> {
        match self.next()? {
            Token::Word(word, _) => Some(word),
            _ => None,
        }
    }

    fn peek_word(&mut self) -> Option<String> {
        let at = self.at;
        let word = self.word();
        self.at = at;
        word
    }

    /// Whether this sign is next; then it is passed over.
    fn takes(&mut self, sign: u8) -> bool {
        let at = self.at;
        let takes = self.next() == Some(Token::Sign(sign));
        if !takes {
            self.at = at;
        }
        takes
    }

    /// A name, with or without quotes, and where it lies when it has them.
    fn name(&mut self) -> Option<(String, Option<std::ops::Range<usize>>)> {
        match self.next()? {
            Token::Name(name, at) => Some((name, Some(at))),
            Token::Word(_, word) => Some((word, None)),
            _ => None,
        }
    }

    /// A name after `IF NOT EXISTS`, if that stands there.
    fn named(&mut self) -> Option<String> {
        let at = self.at;
        if [Some("IF"), Some("NOT"), Some("EXISTS")].iter().any(|wanted| self.word().as_deref() != *wanted) {
            self.at = at;
        }
        self.name().map(|(name, _)| name)
    }

    /// `= user@host`, in any of the ways it may be quoted.
    fn skip_account(&mut self) {
        self.takes(b'=');
        self.next();
        // Without quotes the sign is part of the word; with them it stands between, alone or at the beginning of the host.
        let at = self.at;
        match self.next() {
            Some(Token::Word(word, _)) if word == "@" => drop(self.next()),
            Some(Token::Word(word, _)) if word.starts_with('@') => {}
            _ => self.at = at,
        }
    }
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
