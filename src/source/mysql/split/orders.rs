//! The order in which triggers act that a table has of one kind, such as `BEFORE INSERT`. A server has a new one act last; dump programs write
//! them in the order in which they were made (of MySQL 8), and say no other one.

use std::collections::BTreeMap;

use crate::source::Error;
use crate::source::mysql::connection::Connection;
use crate::source::mysql::foreign_keys::Names;
use crate::source::mysql::lexer::Mode;
use crate::source::mysql::object::quoted;
use crate::source::mysql::tokens::{Token, Tokens};

/// Database, table, time and event.
type Kind = (usize, String, String, String);

/// The triggers that share a kind with another one.
#[derive(Debug, Default)]
pub(in crate::source::mysql) struct Orders {
    /// By database and name: of which kind one is, and at which place it acts.
    places: BTreeMap<(usize, String), (Kind, u64)>,
    /// Those that were written, by their places.
    written: BTreeMap<Kind, BTreeMap<u64, String>>,
}

impl Orders {
    /// Asks the server. Those that are alone, as most are, take no memory.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub(in crate::source::mysql) fn read(connection: &mut Connection, databases: &[String]) -> Result<Self, Error> {
        let names = Names::read(connection)?;
        let mut orders = Self::default();
        for (at, database) in databases.iter().enumerate() {
            let mut each = |more: &str, take: &mut dyn FnMut(Kind, u64, String)| {
                let sql = format!(
                    "SELECT event_object_table, action_timing, event_manipulation, action_order, trigger_name FROM information_schema.TRIGGERS \
                     WHERE {}{more}",
                    names.is("trigger_schema", database)
                );
                connection.each("list the triggers of", &sql, &mut |row| {
                    if let Ok([Some(table), Some(time), Some(event), Some(order), Some(name)]) = <[_; 5]>::try_from(row) {
                        take((at, table, time, event), order.parse().unwrap_or(0), name);
                    }
                    Ok(())
                })
            };
            let mut shared = std::collections::BTreeSet::new();
            each(" AND action_order > 1", &mut |kind, _, _| {
                shared.insert(kind);
            })?;
            if !shared.is_empty() {
                each("", &mut |kind, order, name| {
                    if shared.contains(&kind) {
                        orders.places.insert((at, name), (kind, order));
                    }
                })?;
            }
        }
        Ok(orders)
    }

    /// The beginning of a statement that makes a trigger, so that it acts at its place among those that come before it in the dump; `None` where it
    /// does so as it is.
    ///
    /// # Errors
    /// That there is no place in it to say so.
    pub(super) fn placed(&mut self, database: usize, name: &str, head: &[u8], mode: Mode) -> Result<Option<Vec<u8>>, String> {
        let Some((kind, order)) = self.places.get(&(database, name.to_owned())) else { return Ok(None) };
        let written = self.written.entry(kind.clone()).or_default();
        let next = written.range(order..).next().map(|(_, name)| name.clone());
        written.insert(*order, name.to_owned());
        let Some(next) = next else { return Ok(None) };
        let at = after_row(head, mode).ok_or_else(|| format!("the trigger {} acts FOR EACH of something else than a ROW", quoted(name)))?;
        Ok(Some([&head[..at], b" PRECEDES ", quoted(&next).as_bytes(), &head[at..]].concat()))
    }
}

/// Where `FOR EACH ROW` ends.
fn after_row(head: &[u8], mode: Mode) -> Option<usize> {
    let (mut tokens, mut last) = (Tokens::new(head, mode), [String::new(), String::new()]);
    while let Some(token) = tokens.next() {
        let word = if let Token::Word(word, _) = token { word } else { String::new() };
        if word == "ROW" && last == ["FOR", "EACH"] {
            return Some(tokens.place().end);
        }
        last = [std::mem::take(&mut last[1]), word];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> String {
        format!(
            "/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER `{name}` BEFORE INSERT ON `for each row` FOR EACH ROW SET @x = 1 */"
        )
    }

    #[test]
    fn a_trigger_that_comes_after_one_that_it_acts_before_says_so() {
        let kind = |event: &str| (0, "t".to_owned(), "BEFORE".to_owned(), event.to_owned());
        let mut orders = Orders::default();
        for (name, event, order) in [("b", "INSERT", 2), ("c", "INSERT", 4), ("a", "INSERT", 1), ("z", "INSERT", 3), ("u", "UPDATE", 1)] {
            orders.places.insert((0, name.to_owned()), (kind(event), order));
        }
        let mut placed = |database, name: &str| {
            let placed = orders.placed(database, name, text(name).as_bytes(), Mode::default()).unwrap();
            placed.map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let before = |name: &str, next: &str| Some(text(name).replace("EACH ROW SET", &format!("EACH ROW PRECEDES `{next}` SET")));
        assert_eq!((placed(0, "b"), placed(0, "c"), placed(0, "u")), (None, None, None));
        assert_eq!((placed(0, "a"), placed(0, "z")), (before("a", "b"), before("z", "c")));
        assert_eq!((placed(1, "a"), placed(0, "other")), (None, None), "those of other databases, and those that are alone");
        orders.written.get_mut(&kind("INSERT")).unwrap().clear();
        orders.placed(0, "b", b"CREATE TRIGGER b", Mode::default()).unwrap();
        assert!(orders.placed(0, "a", b"CREATE TRIGGER a", Mode::default()).unwrap_err().contains("`a`"));
    }
}
