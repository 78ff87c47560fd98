//! Events that have a last time: the server drops such a one while it is made, with a note alone, where that time has passed.
//!
//! So its statement is given twice. What the first has not left there the second makes, switched off, while the session takes it to be long ago:
//! it would run at once otherwise, long after its time.

use std::collections::BTreeMap;

use super::turns::Edits;
use crate::source::mysql::lexer::{Lexer, Mode};
use crate::source::mysql::tokens::{Token, Tokens};

/// Most such events that are remembered of a database.
const EVENTS_MAX: usize = 10_000;

/// How much of a statement is remembered.
const TEXT_MAX: usize = 2_000;

/// Sets the time of the session before that of every event.
const LONG_AGO: &str = "SET timestamp = 1";

/// Sets it back.
const NOW: &str = "SET timestamp = DEFAULT";

/// Events that have a last time, by name.
pub type Timed = BTreeMap<String, TimedEvent>;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedEvent {
    /// Whether it is switched on.
    pub is_enabled: bool,
    /// The statement that makes it, or its beginning.
    pub text: String,
}

/// Notes an event that has a last time, and gives the statements that make it once more; nothing where it has none.
pub(super) fn again(timed: &mut Timed, name: &str, statement: &[u8], lexer: &Lexer) -> Option<[Vec<u8>; 3]> {
    let (edits, is_enabled) = turned(statement, lexer.mode)?;
    if timed.len() < EVENTS_MAX {
        let text = String::from_utf8_lossy(statement);
        let text = text.trim_end().trim_end_matches(&*String::from_utf8_lossy(lexer.delimiter())).trim_end();
        timed.insert(name.to_owned(), TimedEvent { is_enabled, text: text.chars().take(TEXT_MAX).collect() });
    }
    let own = |statement: &str| [statement.as_bytes(), lexer.delimiter()].concat();
    Some([own(LONG_AGO), edits.of(statement), own(NOW)])
}

/// What must be other in a statement for it to make a switched off event where none is, and whether it is switched on as it stands.
fn turned(statement: &[u8], mode: Mode) -> Option<(Edits, bool)> {
    let (mut tokens, mut edits) = (Tokens::new(statement, mode), Edits::default());
    while !matches!(tokens.next()?, Token::Word(word, _) if word == "EVENT") {}
    let end = tokens.place().end;
    if tokens.peek_word().as_deref() != Some("IF") {
        edits.insert(end, " IF NOT EXISTS".to_owned());
    }
    let mut has_end = false;
    // Names and texts stand in quotes, so a word is one of the clauses.
    loop {
        let Token::Word(word, _) = tokens.next()? else { continue };
        match word.as_str() {
            "AT" | "ENDS" => has_end = true,
            "ENABLE" | "DISABLE" => {
                if word == "ENABLE" {
                    edits.replace(tokens.place(), "DISABLE".to_owned());
                }
                return has_end.then_some((edits, word == "ENABLE"));
            }
            // Dump programs write every clause; what does not is switched on.
            "DO" | "COMMENT" => {
                edits.insert(tokens.place().start, "DISABLE ".to_owned());
                return has_end.then_some((edits, true));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(statement: &str) -> Option<(String, bool)> {
        let mut timed = Timed::new();
        let [_, again, _] = again(&mut timed, "e", statement.as_bytes(), &Lexer::without_rows())?;
        Some((String::from_utf8(again).unwrap(), timed["e"].is_enabled))
    }

    #[test]
    fn an_event_with_a_last_time_is_made_once_more_and_switched_off() {
        let (again, is_enabled) = of(
            "CREATE DEFINER=`event`@`%` EVENT `at` ON SCHEDULE AT '2030-01-01 00:00:00' ON COMPLETION NOT PRESERVE ENABLE DO SELECT 1 ;;",
        )
        .unwrap();
        let text = "CREATE DEFINER=`event`@`%` EVENT IF NOT EXISTS `at` ON SCHEDULE AT '2030-01-01 00:00:00' ON COMPLETION NOT PRESERVE DISABLE DO SELECT 1 ;;";
        assert_eq!((again.as_str(), is_enabled), (text, true));
        let ends = "CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01' ENDS '2021-01-01' ON COMPLETION PRESERVE DISABLE ON SLAVE COMMENT 'ENABLE' DO CALL at()";
        let (again, is_enabled) = of(ends).unwrap();
        assert_eq!((again, is_enabled), (ends.replace("EVENT", "EVENT IF NOT EXISTS"), false));
        let (again, is_enabled) = of("CREATE EVENT e ON SCHEDULE AT '2030-01-01' COMMENT 'x' DO SELECT 1").unwrap();
        assert_eq!(
            (again.as_str(), is_enabled),
            ("CREATE EVENT IF NOT EXISTS e ON SCHEDULE AT '2030-01-01' DISABLE COMMENT 'x' DO SELECT 1", true)
        );
    }

    #[test]
    fn one_that_goes_on_for_ever_is_made_once() {
        for body in ["SELECT 1", "UPDATE t SET a = 1 WHERE at = 2", "ALTER EVENT x ON SCHEDULE AT '2030-01-01' ENABLE"] {
            let text = format!(
                "CREATE EVENT `ends` ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01' ON COMPLETION NOT PRESERVE ENABLE COMMENT 'AT' DO {body}"
            );
            assert_eq!(of(&text), None);
            assert_eq!(of(&text.replace(" ENABLE COMMENT 'AT'", "")), None);
        }
    }
}
