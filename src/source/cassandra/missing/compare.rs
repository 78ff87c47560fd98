//! The snapshot's schema compared with the node's: what is the same, what is missing, what differs, what only the node has.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::schema::TableId;
use super::definition::{Body, Definition, Definitions, Element};
use super::differences::{Difference, between};
use super::piece::pieces;
use super::shape::Table;
use crate::source::Error;

/// Most things that a refusal names.
const NAMED_MAX: usize = 5;

/// What of a snapshot is to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All keyspaces.
    All,
    /// One keyspace.
    Keyspace(String),
    /// One table of a keyspace, with what it needs and what belongs to it: its types, its indexes, its views.
    Table(String, String),
}

/// How something stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The node has it as the snapshot has it.
    Equal,
    /// The node does not have it.
    Missing,
    /// The node has begun to make it, and some of its statements are still to come.
    Unfinished,
    /// The node has it otherwise.
    Differs(Vec<Difference>),
    /// Only the node has it.
    OnlyLive,
}

/// Something that the snapshot or the node has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// What it is.
    pub element: Element,
    /// Its keyspace.
    pub keyspace: String,
    /// Its name; of a keyspace the same once more.
    pub name: String,
    /// Of an index or a view, the table that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Its id in the snapshot, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<TableId>,
    /// Its id on the node, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_id: Option<TableId>,
    /// How it stands.
    pub standing: Standing,
    /// What is still to be said to make it, in order.
    #[serde(skip)]
    pub statements: Vec<String>,
}

impl Compared {
    /// Its name for a person: `table ks.t`.
    pub fn told(&self) -> String {
        match self.element {
            Element::Keyspace => format!("keyspace {}", self.name),
            element => format!("{element} {}.{}", self.keyspace, self.name),
        }
    }

    /// Whether it has files of its own.
    pub fn has_files(&self) -> bool {
        matches!(self.element, Element::Table | Element::View)
    }
}

/// What a comparison has found: all that the snapshot has, in the order in which it is made, then what only the node has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// One after the other.
    pub compared: Vec<Compared>,
    /// Beginnings of statements of the snapshot that make something of which nobody here knows what it is. They are not carried out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

impl Comparison {
    /// Compares what of a snapshot is to come with what the node has.
    ///
    /// # Errors
    /// [`Error::Refused`] for a keyspace or table that the snapshot does not have, and for a view alone.
    pub fn of(recorded: &Definitions, live: &Definitions, part: &Part) -> Result<Self, Error> {
        let mut found = Self { compared: Vec::new(), unknown: recorded.unknown.clone() };
        for keyspace in keyspaces(recorded, part)? {
            let wanted = wanted(recorded, keyspace, part)?;
            let no_keyspace = live.find(keyspace, Element::Keyspace, keyspace).is_none();
            for definition in recorded.keyspaces.get(keyspace).into_iter().flatten().filter(|one| wanted.has(one)) {
                let there = if no_keyspace { None } else { live.find(keyspace, definition.element, &definition.name) };
                found.compared.push(compared(keyspace, definition, there));
            }
        }
        for (keyspace, definitions) in &live.keyspaces {
            let is_only_live = |one: &&Definition| recorded.find(keyspace, one.element, &one.name).is_none();
            for definition in definitions.iter().filter(is_only_live).filter(|one| belongs(keyspace, one, part)) {
                found.compared.push(only_live(keyspace, definition));
            }
        }
        Ok(found)
    }

    /// What has to be made, in order.
    pub fn missing(&self) -> impl Iterator<Item = &Compared> {
        self.compared.iter().filter(|one| matches!(one.standing, Standing::Missing | Standing::Unfinished))
    }

    /// What only the node has.
    pub fn only_live(&self) -> impl Iterator<Item = &Compared> {
        self.compared.iter().filter(|one| one.standing == Standing::OnlyLive)
    }

    /// What differs, and in what.
    pub fn differing(&self) -> impl Iterator<Item = (&Compared, &[Difference])> {
        self.compared.iter().filter_map(|one| match &one.standing {
            Standing::Differs(differences) => Some((one, &differences[..])),
            _ => None,
        })
    }

    /// Why files of the snapshot cannot be read with the definitions of the node, if so.
    pub fn unreadable(&self) -> Option<String> {
        let told = |(one, differences): (&Compared, &[Difference])| {
            let whats: Vec<&str> = differences.iter().filter(|one| one.is_unreadable).map(|one| one.what.as_str()).collect();
            (!whats.is_empty()).then(|| format!("{}: {}", one.told(), whats.join(", ")))
        };
        let mut all: Vec<String> = self.differing().filter_map(told).collect();
        if all.is_empty() {
            return None;
        }
        let more = all.len().saturating_sub(NAMED_MAX);
        all.truncate(NAMED_MAX);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        Some(format!("{}{more}", all.join("; ")))
    }
}

/// The keyspaces that are meant.
fn keyspaces<'a>(recorded: &'a Definitions, part: &'a Part) -> Result<Vec<&'a String>, Error> {
    match part {
        Part::All => Ok(recorded.keyspaces.keys().collect()),
        Part::Keyspace(name) | Part::Table(name, _) if recorded.keyspaces.contains_key(name) => Ok(vec![name]),
        Part::Keyspace(name) | Part::Table(name, _) => {
            let has = recorded.keyspaces.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            Err(Error::Absent { why: format!("the snapshot has no keyspace `{name}`; it has {has}") })
        }
    }
}

/// What of a keyspace's definitions is to come.
enum Wanted {
    All,
    /// Of one table: itself, and the types that it is made of.
    Of {
        table: String,
        types: BTreeSet<String>,
    },
}

impl Wanted {
    fn has(&self, definition: &Definition) -> bool {
        let Self::Of { table, types } = self else { return true };
        match &definition.body {
            Body::Keyspace(_) => true,
            Body::Table(_) => definition.name == *table,
            Body::Index(of, _) => of == table,
            Body::View(view) => view.base == *table,
            Body::Type(_) => types.contains(&definition.name),
            Body::Other(_) => false,
        }
    }
}

fn wanted(recorded: &Definitions, keyspace: &str, part: &Part) -> Result<Wanted, Error> {
    let Part::Table(_, name) = part else { return Ok(Wanted::All) };
    if let Some(Definition { body: Body::View(view), .. }) = recorded.find(keyspace, Element::View, name) {
        let why = format!("`{keyspace}.{name}` is a view: restore `{keyspace}.{}`, and its views come with it", view.base);
        return Err(Error::Refused { why });
    }
    let Some(Definition { body: Body::Table(table), .. }) = recorded.find(keyspace, Element::Table, name) else {
        return Err(Error::Absent { why: format!("the snapshot has no table `{name}` in `{keyspace}`") });
    };
    Ok(Wanted::Of { table: name.clone(), types: types(recorded, keyspace, table) })
}

/// The types that the columns of a table are made of, and those that these are made of.
fn types(recorded: &Definitions, keyspace: &str, table: &Table) -> BTreeSet<String> {
    let names = |of: &str| pieces(of).iter().filter_map(super::piece::Piece::name).collect::<Vec<_>>();
    let mut open: Vec<String> = table.created.columns.values().flat_map(|column| names(&column.of)).collect();
    open.extend(table.shape().columns.values().flat_map(|column| names(&column.of)));
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        if let Some(Definition { body: Body::Type(fields), .. }) = recorded.find(keyspace, Element::Type, &name)
            && found.insert(name)
        {
            open.extend(fields.iter().flat_map(|(_, of)| names(of)));
        }
    }
    found
}

/// Whether something that only the node has lies where the snapshot's files go.
fn belongs(keyspace: &str, definition: &Definition, part: &Part) -> bool {
    match part {
        Part::All => true,
        Part::Keyspace(name) => name == keyspace,
        Part::Table(name, table) => {
            name == keyspace
                && match &definition.body {
                    Body::Index(of, _) => of == table,
                    Body::View(view) => view.base == *table,
                    _ => false,
                }
        }
    }
}

fn compared(keyspace: &str, recorded: &Definition, live: Option<&Definition>) -> Compared {
    let (standing, statements) = match live {
        None => (Standing::Missing, recorded.statements.clone()),
        Some(live) if live.body == recorded.body => (Standing::Equal, Vec::new()),
        Some(live) => match still_to_come(recorded, live) {
            Some(statements) => (Standing::Unfinished, statements),
            None => match between(recorded, live) {
                differences if differences.is_empty() => (Standing::Equal, Vec::new()),
                differences => (Standing::Differs(differences), Vec::new()),
            },
        },
    };
    Compared { live_id: live.and_then(id), standing, statements, ..of(keyspace, recorded) }
}

fn only_live(keyspace: &str, live: &Definition) -> Compared {
    Compared { id: None, live_id: id(live), standing: Standing::OnlyLive, ..of(keyspace, live) }
}

fn of(keyspace: &str, definition: &Definition) -> Compared {
    let of = match &definition.body {
        Body::Index(table, _) => Some(table.clone()),
        Body::View(view) => Some(view.base.clone()),
        _ => None,
    };
    Compared {
        element: definition.element,
        keyspace: keyspace.to_owned(),
        name: definition.name.clone(),
        of,
        id: id(definition),
        live_id: None,
        standing: Standing::Equal,
        statements: Vec::new(),
    }
}

fn id(definition: &Definition) -> Option<TableId> {
    match &definition.body {
        Body::Table(table) => table.id.clone(),
        Body::View(view) => view.id.clone(),
        _ => None,
    }
}

/// What is still to be said of a table of which a part of its statements has been carried out: it has the snapshot's id, and is what it is
/// after some of them.
fn still_to_come(recorded: &Definition, live: &Definition) -> Option<Vec<String>> {
    let (Body::Table(recorded_table), Body::Table(live_table)) = (&recorded.body, &live.body) else { return None };
    if recorded_table.id.is_none() || recorded_table.id != live_table.id {
        return None;
    }
    let now = live_table.shape();
    let done = (0..recorded_table.changes.len()).find(|changes| recorded_table.after(*changes) == now)?;
    // The first statement makes the table, and each change has one.
    Some(recorded.statements[done + 1..].to_vec())
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
