//! Columns that are `TIMESTAMP NOT NULL` and have no default: some servers give them one, and the time of each change, which later overwrites rows.
//!
//! What a server writes of a table says every default, so a dump means none where it says none, whatever its server was set to. A session that loads it
//! asks for that; of servers where the setting stands in the option file alone, each such column is told.

use crate::source::Error;
use crate::source::mysql::connection::{Connection, is_answer};
use crate::source::mysql::lexer::Mode;
use crate::source::mysql::tokens::{Token, Tokens};

/// What becomes of such a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Timestamps {
    /// It stays so.
    #[default]
    Plain,
    /// It stays so in a session that asks for it.
    PlainWhenAsked,
    /// It is given a default: the server takes the setting from its option file alone (MariaDB before 10.8.2), or from other accounts.
    Given,
}

/// Asks for it.
const ASK: &str = "SET SESSION explicit_defaults_for_timestamp = 1";

impl Timestamps {
    /// Asks the server.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub(super) fn read(connection: &mut Connection) -> Result<Self, Error> {
        match connection.value("read the settings of", "SELECT @@explicit_defaults_for_timestamp") {
            // One that has no such variable never leaves such a column alone.
            Err(error) if is_answer(&error) => return Ok(Self::Given),
            setting => {
                if setting?.as_deref() != Some("0") {
                    return Ok(Self::Plain);
                }
            }
        }
        match connection.run("try a setting of", ASK) {
            Err(error) if is_answer(&error) => Ok(Self::Given),
            tried => tried.map(|()| Self::PlainWhenAsked),
        }
    }

    /// What a session that loads is set up with, if anything.
    pub(super) fn set_up(self) -> String {
        if self == Self::PlainWhenAsked { format!(" {ASK};") } else { String::new() }
    }

    /// What is to be told of such a column.
    pub(super) fn note(self) -> Option<&'static str> {
        (self == Self::Given).then_some(
            "the server gives a TIMESTAMP NOT NULL without a default one of its own, and to the first of a table the time of each change, because \
             explicit_defaults_for_timestamp is off and this account cannot set it for its session: switch it on in the server's option file and restore \
             once more, or alter these columns",
        )
    }
}

/// The columns of a table that are `TIMESTAMP NOT NULL` and have no default.
pub(super) fn plain(statement: &[u8], mode: Mode) -> Vec<String> {
    let (mut found, mut tokens, mut depth) = (Vec::new(), Tokens::new(statement, mode), 0);
    // The column that is under way, as long as it is one of them.
    let (mut column, mut is_begin, mut is_not_null) = (None, false, false);
    while let Some(token) = tokens.next() {
        if depth == 1 && matches!(token, Token::Sign(b',' | b')')) {
            found.extend(column.take().filter(|_| is_not_null));
        }
        match &token {
            Token::Sign(b'(') => depth += 1,
            Token::Sign(b')') => depth -= 1,
            Token::Name(name, _) if is_begin && tokens.peek_word().as_deref() == Some("TIMESTAMP") => {
                (column, is_not_null) = (Some(name.clone()), false);
            }
            Token::Word(word, _) if depth == 1 => match word.as_str() {
                "NOT" => is_not_null = true,
                "DEFAULT" | "GENERATED" | "AS" => column = None,
                _ => {}
            },
            _ => {}
        }
        is_begin = depth == 1 && matches!(token, Token::Sign(b'(' | b','));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_some_servers_give_a_default_are_those_without_one() {
        let text = b"CREATE TABLE t (`a` timestamp NOT NULL, `b` timestamp(6) NOT NULL COMMENT 'DEFAULT', `c` timestamp NULL DEFAULT NULL, \
                     `d` timestamp NOT NULL DEFAULT current_timestamp(), `timestamp` int NOT NULL, `e` timestamp GENERATED ALWAYS AS (`a`) VIRTUAL, \
                     `f` timestamp NOT NULL, KEY `a` (`timestamp`,`a`)) COMMENT='x'";
        assert_eq!(plain(text, Mode::default()), ["a", "b", "f"]);
    }

    #[test]
    fn only_a_server_that_takes_the_setting_is_asked_and_only_one_that_does_not_is_told_of() {
        assert_eq!(Timestamps::PlainWhenAsked.set_up(), " SET SESSION explicit_defaults_for_timestamp = 1;");
        assert!(Timestamps::Plain.set_up().is_empty() && Timestamps::Given.set_up().is_empty());
        assert!(Timestamps::Given.note().is_some() && Timestamps::Plain.note().is_none() && Timestamps::PlainWhenAsked.note().is_none());
    }
}
