//! The default character set of the database while triggers of a single table are made.
//!
//! A server keeps with each trigger what the default was when it was made, so a dump changes the default around those that were made under
//! another one. Where one table alone comes, its database keeps the default that it has: it is changed around the triggers that come, and only then.

use super::super::object::{ObjectKind, quoted};
use super::Loading;
use super::filter::Filter;

/// The default of a database, as SQL says it, where a table was dumped and where it is loaded.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Where it was dumped; empty where nobody knows.
    pub dumped: String,
    /// Where it is loaded, and what it has again afterwards.
    pub live: String,
}

/// What is to be set around the next trigger.
pub(super) struct Around {
    /// What sets it back; none where the statements of the dump go through as they stand.
    back: Option<Vec<u8>>,
    /// What sets it; none where the database has the right one.
    set: Option<Vec<u8>>,
}

impl Around {
    pub(super) fn new(loading: &Loading<'_>) -> Self {
        let alter = |words: &str| format!("ALTER DATABASE {}{words} ", quoted(loading.database)).into_bytes();
        let Some(Defaults { dumped, live }) = &loading.defaults else { return Self { back: None, set: None } };
        Self { back: Some(alter(live)), set: (!dumped.is_empty() && dumped != live).then(|| alter(dumped)) }
    }

    /// Takes a statement of the dump that sets the default; gives it back where it is to be run as it stands.
    pub(super) fn take(&mut self, statement: Vec<u8>, delimiter: &[u8]) -> Option<Vec<u8>> {
        if self.back.is_none() {
            return Some(statement);
        }
        self.set = Some(statement.strip_suffix(delimiter).unwrap_or(&statement).to_vec());
        None
    }

    /// What comes before this and after it, if anything does.
    fn of(&self, kind: ObjectKind, delimiter: &[u8]) -> [Option<Vec<u8>>; 2] {
        let (Some(back), Some(set), ObjectKind::Trigger) = (&self.back, &self.set, kind) else { return [None, None] };
        [set, back].map(|statement| Some([statement, delimiter].concat()))
    }
}

impl Filter<'_> {
    /// Gives the client what makes something, with what sets the default for it and back.
    pub(super) fn give_making(&mut self, kind: ObjectKind, name: &str, statement: &[u8], delimiter: &[u8]) {
        let [before, after] = self.around.of(kind, delimiter);
        before.iter().for_each(|statement| self.give(statement));
        self.give(statement);
        self.trail.makes(kind, name);
        after.iter().for_each(|statement| self.give(statement));
    }
}
