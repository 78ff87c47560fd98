//! What a statement of a dump does, as far as that matters: told from its beginning.

use super::lexer::Mode;
use super::object::ObjectKind;
use super::tokens::{Token, Tokens};

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

impl Statement {
    /// What the statement does that begins with these bytes.
    pub(super) fn of(head: &[u8], mode: Mode) -> Self {
        let mut tokens = Tokens::new(head, mode);
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
        let Some((made, is_final)) = tokens.made() else { return Self::Other };
        if matches!(made.as_str(), "DATABASE" | "SCHEMA") {
            return tokens.named().map_or(Self::Other, Self::CreateDatabase);
        }
        let kind = ObjectKind::ALL.into_iter().find(|kind| kind.words() == made);
        let Some(kind) = kind.filter(|kind| *kind != ObjectKind::View || is_final) else { return Self::Other };
        let Some(first) = tokens.named() else { return Self::Other };
        // The name of a trigger stands as its maker has written it, maybe with the database before it.
        let name = if tokens.takes(b'.') { tokens.name().map(|(name, _)| name).unwrap_or(first) } else { first };
        Self::Create { kind, name, wrapped }
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

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
