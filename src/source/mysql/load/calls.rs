//! Which stored functions the views of a dump call, and which it makes: a view that calls one which is nowhere is made by no server, and dumps of
//! old scripts hold no functions.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::mysql::lexer::Mode;
use crate::source::mysql::object::ObjectKind;
use crate::source::mysql::tokens::{Token, Tokens};

/// Most functions that are remembered as called, and as made.
const FUNCTIONS_MAX: usize = 20_000;

/// What the views of one dump call, and what it makes.
#[derive(Debug, Default)]
pub struct Calls {
    /// Each function by its names, the last one its own, and the first view that calls it.
    called: BTreeMap<Vec<String>, String>,
    /// The functions, and the packages, that the dump makes, in small letters: a server compares them so.
    makes: BTreeSet<String>,
    /// Whether it makes more than are remembered.
    is_cut: bool,
}

impl Calls {
    /// Something that the dump makes.
    pub(super) fn comes(&mut self, kind: ObjectKind, name: &str) {
        if matches!(kind, ObjectKind::Function | ObjectKind::Package) {
            self.is_cut |= self.makes.len() == FUNCTIONS_MAX;
            if !self.is_cut {
                self.makes.insert(name.to_lowercase());
            }
        }
    }

    /// What a view selects, as servers write it: they put the names of stored functions in quotes, and those of their own in none.
    pub(super) fn add(&mut self, view: &str, body: &str, mode: Mode) {
        let mut tokens = Tokens::new(body.as_bytes(), mode);
        let mut is_after_bracket = false;
        while let Some(token) = tokens.next() {
            let was_after_bracket = std::mem::replace(&mut is_after_bracket, token == Token::Sign(b')'));
            let Token::Name(first, _) = token else { continue };
            let mut names = vec![first];
            while tokens.takes(b'.') {
                match tokens.next() {
                    Some(Token::Name(name, _) | Token::Word(_, name)) => names.push(name),
                    _ => break,
                }
            }
            // A name after a bracket is that of a table in brackets, which may have a list of columns.
            let at = tokens.place().end;
            if !was_after_bracket && tokens.takes(b'(') && !is_of_with(&body.as_bytes()[at..], mode) && self.called.len() < FUNCTIONS_MAX {
                self.called.entry(names).or_insert_with(|| view.to_owned());
            }
        }
    }

    /// Each function that is called, by its names, and the first view that calls it.
    pub(in crate::source::mysql) fn called(&self) -> impl Iterator<Item = (&[String], &str)> {
        self.called.iter().map(|(names, view)| (&names[..], view.as_str()))
    }

    /// Whether the dump makes a function or a package of this name, or may do so.
    pub(in crate::source::mysql) fn may_make(&self, name: &str) -> bool {
        self.is_cut || self.makes.contains(&name.to_lowercase())
    }
}

/// Whether brackets that begin here hold the columns of a table after `WITH`: then `AS` and a bracket follow them.
fn is_of_with(text: &[u8], mode: Mode) -> bool {
    let mut tokens = Tokens::new(text, mode);
    let mut depth = 0;
    while let Some(token) = tokens.next() {
        match token {
            Token::Sign(b'(') => depth += 1,
            Token::Sign(b')') if depth == 1 => return tokens.word().as_deref() == Some("AS") && tokens.takes(b'('),
            Token::Sign(b')') => depth -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(body: &str) -> Vec<String> {
        let mut calls = Calls::default();
        calls.add("v", body, Mode::default());
        calls.called().map(|(names, _)| names.join(".")).collect()
    }

    #[test]
    fn stored_functions_are_told_from_whatever_else_has_a_bracket_after_its_name() {
        assert_eq!(called("select `f`(`t`.`a`) AS `x`,`e`.`g`() AS `y`,concat(`t`.`b`) AS `z` from `t`"), ["e.g", "f"]);
        assert_eq!(called("select sum(`e`.`f`(`f`(1) + 1)) AS `x` from `t` where `h 1`(2) > 1 and `t`.`a` in (1,2)"), ["e.f", "f", "h 1"]);
        assert_eq!(called("select `e`.`pack`.`f1`(1) AS `(`"), ["e.pack.f1"]);
        for text in [
            "select `t`.`a` AS `f` from (`t` join `u` on(`t`.`a` = `u`.`a`))",
            "with recursive `n`(`i`, `j`) as (select 1,2 union all select `n`.`i` + 1,2 from `n`) select `n`.`i` AS `i` from `n`",
            "select `d`.`x` AS `x` from (select 1) `d` (`x`)",
            "select `t`.`a` AS `a` from `t` use index (`k`)",
            "select 'f`(' AS `a`, \"`g`(\" AS `b`",
            "select `t`.`a` AS `a` from `t` where `t`.`a` between (1) and (2)",
        ] {
            assert_eq!(called(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_a_dump_makes_is_known_whatever_the_case_and_beyond_what_is_remembered_it_may_make_anything() {
        let mut calls = Calls::default();
        calls.comes(ObjectKind::Function, "Later");
        calls.comes(ObjectKind::Procedure, "p");
        assert!(calls.may_make("lATER") && !calls.may_make("p"));
        (0..FUNCTIONS_MAX).for_each(|n| calls.comes(ObjectKind::Function, &format!("f{n}")));
        assert!(calls.may_make("p"));
    }
}
