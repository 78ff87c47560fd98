//! The definitions of keyspaces, as the statements that make them say.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::super::statements::statements;
use super::piece::{Piece, bracketed, joined, pieces, split};
use super::shape::{Change, Table, View, qualified, without_end};
use crate::source::Error;

/// How much of a statement is told.
const HEAD_MAX: usize = 60;

/// The type of a column that counts.
const COUNTER: &str = "counter";

/// What can be defined in a keyspace, and the keyspace itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Element {
    /// A keyspace.
    Keyspace,
    /// A type of users' own.
    Type,
    /// A function.
    Function,
    /// An aggregate.
    Aggregate,
    /// A table.
    Table,
    /// An index of a table.
    Index,
    /// A materialized view of a table.
    View,
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyspace => "keyspace",
            Self::Type => "type",
            Self::Function => "function",
            Self::Aggregate => "aggregate",
            Self::Table => "table",
            Self::Index => "index",
            Self::View => "view",
        })
    }
}

/// One definition.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) element: Element,
    /// Its name; of functions and aggregates with the types that they take, since several may have one name.
    pub(super) name: String,
    /// The statements that make it, in order.
    pub(super) statements: Vec<String>,
    pub(super) body: Body,
}

/// What a definition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Keyspace(BTreeMap<String, String>),
    /// Fields and their types, in order.
    Type(Vec<(String, String)>),
    Table(Box<Table>),
    View(Box<View>),
    /// The table, and all that follows on it.
    Index(String, String),
    /// All that follows on the name.
    Other(String),
}

/// An index.
#[derive(Clone, Copy, Debug)]
pub struct Index<'a> {
    /// Its keyspace.
    pub keyspace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The table that it is of.
    pub table: &'a str,
    /// What it indexes, and how, in CQL.
    pub what: &'a str,
}

/// The definitions of keyspaces.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    /// Of each keyspace, in the order in which they are made.
    pub(super) keyspaces: BTreeMap<String, Vec<Definition>>,
    /// The beginnings of statements that make something of which nobody here knows what it is.
    pub(super) unknown: Vec<String>,
}

impl Definitions {
    /// Reads the texts that make keyspaces anew: name and CQL of each.
    ///
    /// # Errors
    /// [`Error::Refused`] for a statement about another keyspace, or one of a known kind that cannot be read: nothing is made of a text of
    /// which not all is understood.
    pub fn read(ddl: &[(String, String)]) -> Result<Self, Error> {
        let mut all = Self::default();
        for (keyspace, text) in ddl {
            let mut found: Vec<Definition> = Vec::new();
            for statement in statements(text) {
                let unreadable = || Error::Refused { why: format!("{} of the schema of `{keyspace}` cannot be read", head(statement)) };
                let pieces = pieces(statement);
                if let [alter, table, rest @ ..] = &pieces[..]
                    && alter.is("ALTER")
                    && table.is("TABLE")
                {
                    change(&mut found, keyspace, statement, rest).ok_or_else(unreadable)?;
                } else {
                    match Statement::of(&pieces) {
                        Some(made) => found.push(made.definition(keyspace, statement).ok_or_else(unreadable)?),
                        None => all.unknown.push(head(statement)),
                    }
                }
            }
            all.keyspaces.insert(keyspace.clone(), found);
        }
        Ok(all)
    }

    /// The indexes.
    pub fn indexes(&self) -> impl Iterator<Item = Index<'_>> {
        self.all().filter_map(|(keyspace, one)| match &one.body {
            Body::Index(table, what) => Some(Index { keyspace, name: &one.name, table, what }),
            _ => None,
        })
    }

    /// The tables of counters, by keyspace and name.
    pub fn counters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter_map(|(keyspace, one)| match &one.body {
            Body::Table(table) if table.shape().columns.values().any(|column| column.of == COUNTER) => Some((keyspace, one.name.as_str())),
            _ => None,
        })
    }

    fn all(&self) -> impl Iterator<Item = (&str, &Definition)> {
        self.keyspaces.iter().flat_map(|(keyspace, all)| all.iter().map(move |one| (keyspace.as_str(), one)))
    }

    /// One definition.
    pub(super) fn find(&self, keyspace: &str, element: Element, name: &str) -> Option<&Definition> {
        self.keyspaces.get(keyspace)?.iter().find(|one| one.element == element && one.name == name)
    }
}

/// A statement for a person: its beginning.
pub(super) fn head(statement: &str) -> String {
    let line = statement.lines().next().unwrap_or_default();
    let short: String = line.chars().take(HEAD_MAX).collect();
    let more = if short.len() < statement.trim_end().len() { " …" } else { "" };
    format!("`{short}{more}`")
}

/// A statement that changes a table that is made before it.
fn change(found: &mut [Definition], keyspace: &str, statement: &str, rest: &[Piece<'_>]) -> Option<()> {
    let (of, name, rest) = qualified(rest)?;
    let definition = found.iter_mut().find(|one| one.element == Element::Table && one.name == name).filter(|_| of == keyspace)?;
    let Body::Table(table) = &mut definition.body else { return None };
    table.changes.push(Change::read(rest)?);
    definition.statements.push(statement.to_owned());
    Some(())
}

/// A statement that makes something: what, and all that follows on those words.
struct Statement<'p, 'a> {
    element: Element,
    rest: &'p [Piece<'a>],
}

impl<'p, 'a> Statement<'p, 'a> {
    fn of(pieces: &'p [Piece<'a>]) -> Option<Self> {
        let (create, rest) = pieces.split_first()?;
        if !create.is("CREATE") {
            return None;
        }
        let kinds: [(&[&str], Element); 8] = [
            (&["KEYSPACE"], Element::Keyspace),
            (&["TYPE"], Element::Type),
            (&["FUNCTION"], Element::Function),
            (&["AGGREGATE"], Element::Aggregate),
            (&["TABLE"], Element::Table),
            (&["INDEX"], Element::Index),
            (&["CUSTOM", "INDEX"], Element::Index),
            (&["MATERIALIZED", "VIEW"], Element::View),
        ];
        let begins = |words: &[&str]| rest.len() > words.len() && words.iter().zip(rest).all(|(word, piece)| piece.is(word));
        let (words, element) = kinds.into_iter().find(|(words, _)| begins(words))?;
        let rest = &rest[words.len()..];
        let rest = match rest {
            [a, b, c, rest @ ..] if a.is("IF") && b.is("NOT") && c.is("EXISTS") => rest,
            rest => rest,
        };
        Some(Self { element, rest })
    }

    fn definition(&self, keyspace: &str, statement: &str) -> Option<Definition> {
        let element = self.element;
        let definition = |name, body| Some(Definition { element, name, statements: vec![statement.to_owned()], body });
        let rest = without_end(self.rest);
        match element {
            Element::Keyspace => {
                let (name, rest) = rest.split_first()?;
                let name = name.name().filter(|name| name == keyspace)?;
                definition(name, Body::Keyspace(keyspace_options(rest)?))
            }
            Element::Index => {
                let (name, rest) = rest.split_first()?;
                let (on, rest) = rest.split_first()?;
                let (of, table, rest) = qualified(rest).filter(|_| on.is("ON"))?;
                (of == keyspace).then_some(())?;
                definition(name.name()?, Body::Index(table, joined(rest)))
            }
            _ => {
                let (of, name, rest) = qualified(rest)?;
                (of == keyspace).then_some(())?;
                match element {
                    Element::Table => definition(name, Body::Table(Box::new(Table::read(rest)?))),
                    Element::View => definition(name, Body::View(Box::new(View::read(keyspace, rest)?))),
                    Element::Type => definition(name, Body::Type(fields(rest)?)),
                    _ => definition(format!("{name}({})", taken(element, rest)?), Body::Other(joined(rest))),
                }
            }
        }
    }
}

fn keyspace_options(rest: &[Piece<'_>]) -> Option<BTreeMap<String, String>> {
    let (with, rest) = rest.split_first()?;
    if !with.is("WITH") {
        return None;
    }
    let parts = split(rest, false, |piece| piece.is("AND"));
    let option = |part: &&[Piece<'_>]| match part {
        [name, equals, value @ ..] if equals.text == "=" => Some((name.name()?, joined(value))),
        _ => None,
    };
    parts.iter().map(option).collect()
}

fn fields(rest: &[Piece<'_>]) -> Option<Vec<(String, String)>> {
    let (inside, _) = bracketed(rest)?;
    let parts = split(inside, true, |piece| piece.text == ",");
    let field = |part: &&[Piece<'_>]| part.split_first().and_then(|(name, of)| Some((name.name()?, joined(of))));
    parts.iter().map(field).collect()
}

/// The types that a function or an aggregate takes; before each of a function's stands a name.
fn taken(element: Element, rest: &[Piece<'_>]) -> Option<String> {
    let (inside, _) = bracketed(rest)?;
    if inside.is_empty() {
        return Some(String::new());
    }
    let parts = split(inside, true, |piece| piece.text == ",");
    let of = |part: &&[Piece<'_>]| if element == Element::Function { part.get(1..).map(joined) } else { Some(joined(part)) };
    Some(parts.iter().map(of).collect::<Option<Vec<_>>>()?.join(", "))
}

#[cfg(test)]
#[path = "definition_tests.rs"]
mod tests;
