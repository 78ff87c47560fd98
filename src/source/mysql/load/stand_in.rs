//! What stands in for a view until all tables are there.
//!
//! Programs up to those of MySQL 5.6 make a table of it, and drop it again just before the view. Here it is a view with these columns, as
//! later programs write it, so that the view can take its place, and nothing has to be dropped.

use crate::source::mysql::lexer::Mode;
use crate::source::mysql::object::{ObjectKind, quoted};
use crate::source::mysql::tokens::{Token, Tokens};

/// A column that what stands in has besides, and no view has: by it what still stands in for something is known on the server. The text of a view
/// names the columns that it takes, so one more of them changes none.
pub(in crate::source::mysql) const COLUMN: &str = "windlass~stand-in";

/// Where that column goes into a statement that makes a stand-in, and how; none where it makes something else than what dump programs write: a
/// view whose columns are all the same value, and nothing else.
pub(super) fn mark(statement: &[u8], mode: Mode, delimiter: &[u8]) -> Option<(usize, String)> {
    let mut tokens = Tokens::new(statement, mode);
    while tokens.word()? != ObjectKind::View.words() {}
    while !matches!(tokens.next()?, Token::Word(word, _) if word == "SELECT") {}
    let at = tokens.place().end;
    loop {
        let is_value = matches!(tokens.word()?.as_str(), "1" | "NULL");
        if !is_value || tokens.word()? != "AS" {
            return None;
        }
        tokens.name()?;
        let end = tokens.place().end;
        if !tokens.takes(b',') {
            let rest = &statement[end..];
            let rest = rest.strip_suffix(delimiter).unwrap_or(rest).trim_ascii();
            return (rest.is_empty() || rest == b"*/").then(|| (at, format!(" 1 AS {},", quoted(COLUMN))));
        }
    }
}

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
    let mut view = [b"CREATE VIEW ", &statement[name], b" AS SELECT 1 AS ", quoted(COLUMN).as_bytes()].concat();
    let mut depth = 1;
    tokens.name()?;
    loop {
        view.extend_from_slice(b", 1 AS ");
        view.extend_from_slice(&statement[tokens.place()]);
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
        assert_eq!(of(table).unwrap(), "CREATE VIEW `a``v` AS SELECT 1 AS `windlass~stand-in`, 1 AS `x,(`, 1 AS `y`, 1 AS z ;");
        assert_eq!(
            of("/*!50001 CREATE TABLE IF NOT EXISTS v (a int) */;").unwrap(),
            "CREATE VIEW v AS SELECT 1 AS `windlass~stand-in`, 1 AS a ;"
        );
        for text in ["/*!50001 CREATE TABLE `v` */;", "/*!50001 CREATE TABLE `v` () */;", "/*!50001 CREATE TABLE `v` (`a` int", "CREATE"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_view_that_stands_in_gets_the_column_by_which_it_is_known_and_another_one_does_not() {
        let of = |text: &str, delimiter: &str| mark(text.as_bytes(), Mode::default(), delimiter.as_bytes());
        for (text, delimiter) in [
            ("/*!50001 CREATE VIEW `v` AS SELECT \n 1 AS `a`,\n 1 AS `b,` */;", ";"),
            ("/*!50001 CREATE VIEW `select` AS SELECT\n NULL AS `a`*/;;", ";;"),
            ("CREATE VIEW `ellis`.`v` AS SELECT 1 AS `a`", ";"),
        ] {
            let (at, column) = of(text, delimiter).unwrap();
            assert_eq!((&text[at - 6..at], column.as_str()), ("SELECT", " 1 AS `windlass~stand-in`,"), "{text}");
        }
        for text in [
            "CREATE VIEW v AS SELECT 1 AS `a` FROM t;",
            "CREATE VIEW v AS SELECT `t`.`a` AS `a` FROM t;",
            "CREATE VIEW v AS SELECT 1 AS `a`, `t`.`b` AS `b` FROM t;",
            "CREATE VIEW v AS SELECT 1 + 1 AS `a`;",
            "CREATE VIEW v AS SELECT 1 AS `a`, ;",
            "CREATE VIEW v",
        ] {
            assert_eq!(of(text, ";"), None, "{text}");
        }
    }
}
