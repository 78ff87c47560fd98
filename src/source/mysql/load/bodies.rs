//! What the views of a dump select, so that a server can be asked whether the account may, before anything depends on it.

use super::calls::Calls;
use crate::source::mysql::lexer::Mode;
use crate::source::mysql::tokens::{Token, Tokens};

/// Most bytes of them that are kept: a thousand views of some kilobytes. The load itself asks of those beyond.
const BYTES_MAX: usize = 4 << 20;

/// What follows the `SELECT` of a view that checks what is written through it.
const CHECK: &str = "CHECK OPTION";

/// The `SELECT`s of views.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    pub(super) found: Vec<String>,
    /// The functions that all of them call.
    pub(super) calls: Calls,
    bytes: usize,
}

impl Bodies {
    /// That of a statement which makes the view of this name.
    pub(super) fn add(&mut self, view: &str, statement: &[u8], mode: Mode, delimiter: &[u8]) {
        let mut tokens = Tokens::new(statement, mode);
        let mut is_view = false;
        while let Some(token) = tokens.next() {
            match token {
                Token::Word(word, _) if word == "VIEW" => is_view = true,
                Token::Word(word, _) if word == "AS" && is_view => break,
                _ => {}
            }
        }
        let body = String::from_utf8_lossy(&statement[tokens.place().end..]);
        let delimiter = String::from_utf8_lossy(delimiter);
        let mut body = body.trim().trim_end_matches(delimiter.as_ref()).trim().trim_end_matches("*/").trim();
        if body.to_ascii_uppercase().ends_with(CHECK) {
            body = body.to_ascii_uppercase().rfind("WITH ").map_or(body, |at| &body[..at]);
            body = body.trim().trim_end_matches("/*!50002").trim().trim_end_matches("*/");
        }
        self.calls.add(view, body, mode);
        if !body.is_empty() && self.bytes + body.len() <= BYTES_MAX {
            self.bytes += body.len();
            self.found.push(body.trim().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_view_selects_is_found_however_programs_write_it() {
        let mut bodies = Bodies::default();
        for text in [
            "/*!50001 CREATE ALGORITHM=UNDEFINED */ /*!50013 DEFINER=`as`@`%` SQL SECURITY DEFINER */ /*!50001 VIEW `as` AS select 1 AS `a` */;",
            "CREATE VIEW v (a) AS select 1 AS `a`;",
            "/*!50001 VIEW `v` AS select 1 AS `a` */ /*!50002 WITH CASCADED CHECK OPTION */;",
            "/*!50001 VIEW `v` AS select 1 AS `a` WITH LOCAL CHECK OPTION */;",
        ] {
            bodies.add("v", text.as_bytes(), Mode::default(), b";");
        }
        assert_eq!(bodies.found, ["select 1 AS `a`"; 4]);
        bodies.add("v", b"CREATE VIEW v", Mode::default(), b";");
        assert_eq!(bodies.found.len(), 4);
    }
}
