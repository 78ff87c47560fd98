//! Character sets of tables and columns that a dump names without a collation.
//!
//! Servers leave out a collation that is the default of its character set, and of Unicode they have not all the same one. Those that leave it out mean
//! the one of old, `utf8mb4_general_ci`: those with another default write it out (MySQL 8 does so for this reason, MariaDB from 10.3.37 and its siblings on
//! writes all of them). Under another one, texts that differ become one and break keys, so it is said wherever this server would take another one.

use std::collections::BTreeSet;

use super::turns::Edits;
use crate::source::Error;
use crate::source::mysql::connection::{Connection, is_answer};
use crate::source::mysql::lexer::Mode;
use crate::source::mysql::tokens::{Token, Tokens};

/// Character sets whose default differs between servers.
const UNICODE: [&str; 7] = ["utf8", "utf8mb3", "utf8mb4", "ucs2", "utf16", "utf16le", "utf32"];

/// The default of old of one of them.
fn of_old(set: &str) -> String {
    format!("{set}_general_ci")
}

/// Those that have another default on this server: MySQL 8 has one for `utf8mb4`, MariaDB from 11.2 on what it is told.
///
/// # Errors
/// [`Error::Server`].
pub(super) fn others(connection: &mut Connection) -> Result<BTreeSet<String>, Error> {
    const WHAT: &str = "ask for the collations of";
    let defaults = connection.column(WHAT, "SELECT collation_name FROM information_schema.COLLATIONS WHERE is_default = 'Yes'")?;
    let told = match connection.value(WHAT, "SELECT @@character_set_collations") {
        Err(error) if is_answer(&error) => String::new(),
        told => told?.unwrap_or_default(),
    };
    Ok(among(&defaults, &told))
}

/// The same of these defaults, and what a server is told besides: `utf8mb4=utf8mb4_uca1400_ai_ci,…`.
fn among(defaults: &[String], told: &str) -> BTreeSet<String> {
    let told = told.split(',').filter_map(|pair| pair.split_once('=')).map(|(set, collation)| (set.trim(), collation.trim()));
    let built = defaults.iter().filter_map(|name| Some((name.split_once('_')?.0, name.as_str())));
    let mut other = BTreeSet::new();
    for (set, collation) in built.chain(told) {
        let set = set.to_lowercase();
        if UNICODE.contains(&set.as_str()) && !collation.eq_ignore_ascii_case(&of_old(&set)) {
            // The character set of three bytes has an old and a new name.
            if set == "utf8mb3" {
                other.insert("utf8".to_owned());
            }
            other.insert(set);
        }
    }
    other
}

/// Says the collation after each of these character sets that is without one in the definition of a table. In deeper brackets are expressions, which
/// take none.
pub(super) fn say(statement: &[u8], mode: Mode, other: &BTreeSet<String>, edits: &mut Edits) {
    if other.is_empty() {
        return;
    }
    let (mut tokens, mut depth) = (Tokens::new(statement, mode), 0);
    while let Some(token) = tokens.next() {
        match token {
            Token::Sign(b'(') => depth += 1,
            Token::Sign(b')') => depth -= 1,
            Token::Word(word, _) if depth <= 1 && matches!(word.as_str(), "CHARSET" | "CHARACTER") => {
                tokens.pass(&["SET"]);
                tokens.takes(b'=');
                let Some(set) = tokens.text().map(|set| set.to_ascii_lowercase()) else { continue };
                let end = tokens.place().end;
                if other.contains(&set) && tokens.peek_word().as_deref() != Some("COLLATE") {
                    edits.insert(end, format!(" COLLATE {}", of_old(&set)));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collation_that_is_meant_is_said_where_a_server_has_another_default() {
        let said = |text: &str, other: &[&str]| {
            let mut edits = Edits::default();
            say(text.as_bytes(), Mode::default(), &other.iter().map(|set| (*set).to_owned()).collect(), &mut edits);
            String::from_utf8(edits.of(text.as_bytes())).unwrap()
        };
        let text = "CREATE TABLE `t` (`a` text CHARACTER SET utf8mb4 NOT NULL COMMENT 'CHARSET utf8mb4', `b` text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, \
                    `c` text CHARACTER SET latin1, `charset` text GENERATED ALWAYS AS (cast(`a` as char charset utf8mb4)) VIRTUAL) ENGINE=InnoDB DEFAULT \
                    CHARSET=utf8mb4 COMMENT='x'";
        let wanted = text
            .replace("utf8mb4 NOT NULL", "utf8mb4 COLLATE utf8mb4_general_ci NOT NULL")
            .replace("CHARSET=utf8mb4", "CHARSET=utf8mb4 COLLATE utf8mb4_general_ci");
        assert_eq!(said(text, &["utf8mb4"]), wanted);
        for (text, other) in
            [(text, &[][..]), (text, &["utf8", "utf8mb3"]), ("CREATE TABLE t (a int) CHARSET=utf8mb4 COLLATE=utf8mb4_bin", &["utf8mb4"])]
        {
            assert_eq!(said(text, other), text);
        }
    }

    #[test]
    fn other_defaults_are_those_that_are_built_in_and_those_that_a_server_is_told() {
        let among = |defaults: &[&str], told: &str| {
            let defaults: Vec<String> = defaults.iter().map(|name| (*name).to_owned()).collect();
            among(&defaults, told).into_iter().collect::<Vec<_>>()
        };
        let old = ["latin1_swedish_ci", "utf8_general_ci", "utf8mb4_general_ci"];
        assert!(among(&old, "").is_empty());
        assert_eq!(among(&["latin1_swedish_ci", "utf8mb3_general_ci", "utf8mb4_0900_ai_ci"], ""), ["utf8mb4"]);
        assert_eq!(among(&old, "utf8mb3=utf8mb3_uca1400_ai_ci, ucs2=ucs2_general_ci"), ["utf8", "utf8mb3"]);
        assert!(among(&old, "latin1=latin1_bin").is_empty());
    }
}
