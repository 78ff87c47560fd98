//! What stands in for a view until all tables are there.
//!
//! Programs up to those of MySQL 5.6 make a table of it, and drop it again just before the view. Here it is a view with these columns, as
//! later programs write it, so that the view can take its place, and nothing has to be dropped.

use crate::source::mysql::lexer::Mode;
use crate::source::mysql::object::ObjectKind;
use crate::source::mysql::tokens::{Token, Tokens};

/// A view with the columns of the table that this statement makes; `None` where that cannot be told.
pub(super) fn as_view(statement: &[u8], mode: Mode, delimiter: &[u8]) -> Option<Vec<u8>> {
    let mut tokens = Tokens::new(statement, mode);
    while tokens.word()? != ObjectKind::Table.words() {}
    tokens.pass(&["IF", "NOT", "EXISTS"]);
    tokens.name()?;
    let mut name = tokens.place();
    if tokens.takes(b'.') {
        tokens.name()?;
        name = tokens.place();
    }
    if !tokens.takes(b'(') {
        return None;
    }
    let mut view = [b"CREATE VIEW ", &statement[name], b" AS SELECT"].concat();
    let (mut depth, mut is_first) = (1, true);
    tokens.name()?;
    loop {
        view.extend_from_slice(if is_first { b" 1 AS " } else { b", 1 AS " });
        view.extend_from_slice(&statement[tokens.place()]);
        is_first = false;
        // The rest of this column: its type may have parentheses.
        loop {
            match tokens.next()? {
                Token::Sign(b'(') => depth += 1,
                Token::Sign(b')') if depth == 1 => {
                    view.extend_from_slice(b" ");
                    view.extend_from_slice(delimiter);
                    return Some(view);
                }
                Token::Sign(b')') => depth -= 1,
                Token::Sign(b',') if depth == 1 => break,
                _ => {}
            }
        }
        tokens.name()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_stands_in_becomes_a_view_with_its_columns() {
        let of = |text: &str| as_view(text.as_bytes(), Mode::default(), b";").map(|view| String::from_utf8(view).unwrap());
        let table =
            "/*!50001 CREATE TABLE `ellis`.`a``v` (\n  `x,(` decimal(10,2) NOT NULL,\n  `y` enum(')',','),\n  z int\n) ENGINE=MyISAM */;";
        assert_eq!(of(table).unwrap(), "CREATE VIEW `a``v` AS SELECT 1 AS `x,(`, 1 AS `y`, 1 AS z ;");
        assert_eq!(of("/*!50001 CREATE TABLE IF NOT EXISTS v (a int) */;").unwrap(), "CREATE VIEW v AS SELECT 1 AS a ;");
        for text in ["/*!50001 CREATE TABLE `v` */;", "/*!50001 CREATE TABLE `v` () */;", "/*!50001 CREATE TABLE `v` (`a` int", "CREATE"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
