//! Tables whose files lie elsewhere than their server's own (`DATA DIRECTORY`, `INDEX DIRECTORY`).

use super::lexer::Mode;
use super::tokens::{Token, Tokens};

/// Whether the definition of a table, or of one of its partitions, names a place for its files.
pub(super) fn is_placed(definition: &[u8], mode: Mode) -> bool {
    let (mut tokens, mut is_after_what) = (Tokens::new(definition, mode), false);
    while let Some(token) = tokens.next() {
        let word = if let Token::Word(word, _) = token { word } else { String::new() };
        if is_after_what && word == "DIRECTORY" {
            return true;
        }
        is_after_what = matches!(word.as_str(), "DATA" | "INDEX");
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_from_names_and_texts() {
        for (definition, wanted) in [
            ("CREATE TABLE `t` (`id` int) ENGINE=InnoDB DATA DIRECTORY='/x/'", true),
            (
                "CREATE TABLE `t` (`id` int)\n/*!50100 PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (5) DATA DIRECTORY = '/x') */",
                true,
            ),
            ("CREATE TABLE `t` (`id` int) ENGINE=MyISAM INDEX DIRECTORY='/x/'", true),
            ("CREATE TABLE `data` (`directory` int COMMENT 'DATA DIRECTORY', `data` int, KEY `directory` (`data`))", false),
        ] {
            assert_eq!(is_placed(definition.as_bytes(), Mode::default()), wanted, "{definition}");
        }
    }
}
