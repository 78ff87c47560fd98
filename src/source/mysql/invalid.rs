//! Views that stand on what is not there: a server keeps them, and the dump programs fail at them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::connection::{Connection, is_answer, is_invalid_view};
use super::inventory;
use super::object::{Object, ObjectKind, quoted};
use super::outside::problem;
use crate::source::{Error, Problem};

/// Most such views that are left out of a dump: each is an option of the dump program, and they must fit into its command line.
const VIEWS_MAX: usize = 1_000;

/// Longest definition that is kept whole, in bytes; hardly a view has more. It stands in the journal of a restore.
const DEFINITION_MAX: usize = 8 << 10;

/// How much of a definition the problem of a snapshot tells, in bytes: the view is still there to be asked.
const TOLD_BYTES: usize = 300;

/// Most such views that a restore tells with their definitions.
const TOLD_MAX: usize = 100;

/// A view that the server calls invalid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidView {
    /// The place of its database among those that were asked for.
    pub database: u16,
    /// Its name.
    pub name: String,
    /// The statement that made it; one that is longer than 8 KiB is cut and ends with `…`.
    pub definition: String,
}

impl InvalidView {
    /// As a thing among others.
    pub(super) fn object(&self) -> Object {
        Object { database: self.database, kind: ObjectKind::View, name: self.name.clone() }
    }

    /// What the dump program is told, so that it leaves the view out.
    pub(super) fn option(&self, databases: &[String]) -> String {
        format!("--ignore-table={}.{}", databases[usize::from(self.database)], self.name)
    }

    /// What is wrong with a snapshot for it.
    pub(super) fn problem(&self, databases: &[String]) -> Option<Problem> {
        let detail = format!(
            "it refers to tables, columns or functions that are missing, or that its definer may not use: it is not in the snapshot ({})",
            cut(&self.definition, TOLD_BYTES)
        );
        problem(Problem::INVALID_VIEW, &databases[usize::from(self.database)], &self.name, detail)
    }
}

/// Those of these databases, in order. What is asked of each view is what the dump program asks, so that it fails at none of the others;
/// what an account may not do is another answer, and no reason to leave a view out.
///
/// # Errors
/// [`Error::Server`]; [`Error::Refused`] when there are too many.
pub(super) fn find(connection: &mut Connection, databases: &[String], work: &Path) -> Result<Vec<InvalidView>, Error> {
    let mut listed = inventory::list(connection, databases, work)?;
    let mut found = Vec::new();
    while let Some(key) = listed.next()? {
        let Object { database, kind, name } = Object::of_key(key);
        if kind != ObjectKind::View {
            continue;
        }
        let of = &databases[usize::from(database)];
        let asked = connection.run("look at a view of", &format!("SHOW FIELDS FROM {}.{}", quoted(of), quoted(&name)));
        match asked {
            Err(error) if is_invalid_view(&error) => {
                if found.len() == VIEWS_MAX {
                    let why = format!(
                        "more than {VIEWS_MAX} views refer to what is missing, `{of}`.`{name}` among them, and a dump program fails at each: \
                         make what they refer to, or drop them"
                    );
                    return Err(Error::Refused { why });
                }
                if let Some(definition) = definition(connection, of, &name)? {
                    found.push(InvalidView { database, name, definition });
                }
            }
            Err(error) if is_answer(&error) => {}
            asked => asked?,
        }
    }
    Ok(found)
}

/// The statement that makes a view, as it is kept here; `None` when there is none, or it may not be seen.
///
/// # Errors
/// [`Error::Server`] when the server does not answer.
pub(super) fn definition(connection: &mut Connection, database: &str, view: &str) -> Result<Option<String>, Error> {
    match connection.rows("read a definition from", &format!("SHOW CREATE VIEW {}.{}", quoted(database), quoted(view))) {
        Err(error) if is_answer(&error) => Ok(None),
        rows => Ok(rows?.into_iter().next().and_then(|row| row.into_iter().nth(1).flatten()).map(|text| cut(&text, DEFINITION_MAX))),
    }
}

/// What a person must know of those that were in a live database: nothing can make them again.
pub(super) fn notes<'a>(live: &str, views: impl Iterator<Item = &'a InvalidView>) -> Vec<String> {
    let (mut notes, mut more) = (Vec::new(), 0);
    for view in views {
        if notes.len() == TOLD_MAX {
            more += 1;
            continue;
        }
        notes.push(format!(
            "the view {}.{} that was there stands on what was missing, so it cannot be made again, and an undo does not bring it back; it was: \
             {}",
            quoted(live),
            quoted(&view.name),
            view.definition
        ));
    }
    if more > 0 {
        notes.push(format!("{more} more views of {} that were there cannot be made again either", quoted(live)));
    }
    notes
}

/// The beginning of a text that is too long.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::path::RelPath;

    fn view(name: &str, definition: &str) -> InvalidView {
        InvalidView { database: 0, name: name.into(), definition: definition.into() }
    }

    #[test]
    fn a_restore_tells_the_first_of_many_views_and_how_many_more_there_are() {
        let views: Vec<InvalidView> = (0..TOLD_MAX + 2).map(|n| view(&format!("v{n}"), "CREATE VIEW x")).collect();
        let notes = notes("ellis", views.iter());
        assert_eq!(notes.len(), TOLD_MAX + 1);
        assert!(notes[0].starts_with("the view `ellis`.`v0` ") && notes[0].ends_with("it was: CREATE VIEW x"), "{}", notes[0]);
        assert!(notes[TOLD_MAX].starts_with("2 more views of `ellis`"), "{}", notes[TOLD_MAX]);
    }

    #[test]
    fn a_long_definition_is_cut_between_characters() {
        assert_eq!((cut("aé", 3).as_str(), cut("aéb", 2).as_str(), cut("", 0).as_str()), ("aé", "a…", ""));
        let problem = view("a/b", &"ü".repeat(TOLD_BYTES)).problem(&["x".into()]).unwrap();
        assert!(problem.kind == "invalid_view" && problem.path == RelPath::new("x/a%2Fb").unwrap() && problem.detail.ends_with("ü…)"));
    }
}
