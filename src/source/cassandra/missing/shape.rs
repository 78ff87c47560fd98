//! What of a table or a view decides whether its files can be read: columns, key, columns that were dropped.

use std::collections::BTreeMap;

use super::super::schema::TableId;
use super::piece::{Piece, bracketed, joined, split};

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// Its type, in CQL.
    pub(super) of: String,
    /// Whether a partition has it once.
    pub(super) is_static: bool,
}

/// The columns that rows are found by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    /// Those of the partition, in order.
    pub(super) partition: Vec<String>,
    /// Those of the order within it, and whether it is a descending one.
    pub(super) clustering: Vec<(String, bool)>,
}

/// A table as it is at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) columns: BTreeMap<String, Column>,
    pub(super) key: Key,
    /// Columns that were dropped, and when: milliseconds since 1970, since a node keeps no more of it when it ends.
    pub(super) dropped: BTreeMap<String, i64>,
    /// Whether it is `WITH COMPACT STORAGE`.
    pub(super) is_compact: bool,
}

/// A change that follows on the statement that makes a table: columns that were dropped, and perhaps added again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A column is dropped, as of this instant.
    Drop(String, i64),
    /// A column is added.
    Add(String, Column),
}

/// A table's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) id: Option<TableId>,
    /// As it is after the statement that makes it.
    pub(super) created: Shape,
    /// What follows on that, one for each further statement.
    pub(super) changes: Vec<Change>,
    /// Its options, each in CQL by its name.
    pub(super) options: BTreeMap<String, String>,
}

impl Table {
    /// As it is after so many of its changes.
    pub(super) fn after(&self, changes: usize) -> Shape {
        let mut shape = self.created.clone();
        for change in &self.changes[..changes] {
            match change {
                Change::Drop(name, at) => {
                    shape.columns.remove(name);
                    shape.dropped.insert(name.clone(), *at);
                }
                Change::Add(name, column) => {
                    shape.columns.insert(name.clone(), column.clone());
                }
            }
        }
        shape
    }

    /// As it is.
    pub(super) fn shape(&self) -> Shape {
        self.after(self.changes.len())
    }

    /// Reads what follows on the table's name in the statement that makes it.
    pub(super) fn read(rest: &[Piece<'_>]) -> Option<Self> {
        let (inside, after) = bracketed(rest)?;
        let mut shape = Shape::default();
        for part in split(inside, true, |piece| piece.text == ",") {
            if part.first()?.is("PRIMARY") && part.get(1)?.is("KEY") {
                shape.key = key(&part[2..])?;
            } else {
                let (name, column, is_key) = column(part)?;
                if is_key {
                    shape.key.partition = vec![name.clone()];
                }
                shape.columns.insert(name, column);
            }
        }
        let mut options = Options::read(after)?;
        options.order(&mut shape.key);
        shape.is_compact = options.is_compact;
        (!shape.key.partition.is_empty()).then(|| Self {
            id: options.id,
            created: shape,
            changes: Vec::new(),
            options: std::mem::take(&mut options.named),
        })
    }
}

impl Change {
    /// Reads what follows on the table's name in a statement that changes it.
    pub(super) fn read(rest: &[Piece<'_>]) -> Option<Self> {
        let rest = without_end(rest);
        if rest.first()?.is("ADD") {
            let (name, column, _) = column(&rest[1..])?;
            return Some(Self::Add(name, column));
        }
        let [drop, name, using, timestamp, at] = rest else { return None };
        let is_drop = drop.is("DROP") && using.is("USING") && timestamp.is("TIMESTAMP");
        let micros: i64 = at.text.parse().ok().filter(|_| is_drop)?;
        Some(Self::Drop(name.name()?, micros / 1000))
    }
}

/// A materialized view's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) id: Option<TableId>,
    /// The table that it is of.
    pub(super) base: String,
    /// The columns that it has, in CQL.
    pub(super) selected: String,
    /// Which rows it has, in CQL.
    pub(super) filter: String,
    pub(super) key: Key,
    pub(super) options: BTreeMap<String, String>,
}

impl View {
    /// Reads what follows on the view's name in the statement that makes it; the table must be in this keyspace.
    pub(super) fn read(keyspace: &str, rest: &[Piece<'_>]) -> Option<Self> {
        let find = |word: &str, from: usize| (from..rest.len()).find(|at| rest[*at].is(word));
        let (from, filter) = (find("FROM", 0)?, find("WHERE", 0)?);
        if !rest.first()?.is("AS") || !rest.get(1)?.is("SELECT") || filter < from {
            return None;
        }
        let (of, base, _) = qualified(&rest[from + 1..filter])?;
        let primary = (filter..rest.len() - 1).find(|at| rest[*at].is("PRIMARY") && rest[at + 1].is("KEY"))?;
        let (inside, after) = bracketed(&rest[primary + 2..])?;
        let mut view = Self {
            id: None,
            base,
            selected: joined(&rest[2..from]),
            filter: joined(&rest[filter + 1..primary]),
            key: key_inside(inside)?,
            options: BTreeMap::new(),
        };
        let options = Options::read(after)?;
        options.order(&mut view.key);
        view.id = options.id;
        view.options = options.named;
        (of == keyspace).then_some(view)
    }
}

/// A name with that of its keyspace, and what follows on it.
pub(super) fn qualified<'p, 'a>(pieces: &'p [Piece<'a>]) -> Option<(String, String, &'p [Piece<'a>])> {
    let [keyspace, dot, name, rest @ ..] = pieces else { return None };
    (dot.text == ".").then_some(())?;
    Some((keyspace.name()?, name.name()?, rest))
}

/// Without the `;` at the end.
pub(super) fn without_end<'p, 'a>(pieces: &'p [Piece<'a>]) -> &'p [Piece<'a>] {
    match pieces {
        [all @ .., last] if last.text == ";" => all,
        all => all,
    }
}

/// A column: its name, what it is, and whether it is the key.
fn column(part: &[Piece<'_>]) -> Option<(String, Column, bool)> {
    let (name, rest) = part.split_first()?;
    // The first piece is of the type, whatever it is called; after it, outside of its brackets, may stand more.
    let mut depth = 0_i32;
    let end = rest.iter().enumerate().position(|(at, piece)| {
        depth += i32::from(piece.text == "<") - i32::from(piece.text == ">");
        at > 0 && depth == 0 && ["STATIC", "PRIMARY", "MASKED"].iter().any(|word| piece.is(word))
    });
    let (of, more) = rest.split_at(end.unwrap_or(rest.len()));
    if of.is_empty() {
        return None;
    }
    let column = Column { of: joined(of), is_static: more.first().is_some_and(|piece| piece.is("STATIC")) };
    Some((name.name()?, column, more.iter().any(|piece| piece.is("PRIMARY"))))
}

/// A key in its brackets.
fn key(pieces: &[Piece<'_>]) -> Option<Key> {
    key_inside(bracketed(pieces)?.0)
}

fn key_inside(inside: &[Piece<'_>]) -> Option<Key> {
    let parts = split(inside, false, |piece| piece.text == ",");
    let (first, rest) = parts.split_first()?;
    let name = |part: &&[Piece<'_>]| match part {
        [name] => name.name(),
        _ => None,
    };
    let partition = match bracketed(first) {
        Some((inside, _)) => split(inside, false, |piece| piece.text == ",").iter().map(name).collect::<Option<Vec<_>>>()?,
        None => vec![name(first)?],
    };
    let clustering = rest.iter().map(|part| Some((name(part)?, false))).collect::<Option<Vec<_>>>()?;
    Some(Key { partition, clustering })
}

/// What stands after `WITH`.
#[derive(Default)]
struct Options {
    id: Option<TableId>,
    is_compact: bool,
    descending: Vec<String>,
    named: BTreeMap<String, String>,
}

impl Options {
    fn read(rest: &[Piece<'_>]) -> Option<Self> {
        let mut options = Self::default();
        let rest = without_end(rest);
        let Some((with, rest)) = rest.split_first() else { return Some(options) };
        if !with.is("WITH") {
            return None;
        }
        for part in split(rest, false, |piece| piece.is("AND")) {
            match part {
                [compact, storage] if compact.is("COMPACT") && storage.is("STORAGE") => options.is_compact = true,
                [clustering, order, by, columns @ ..] if clustering.is("CLUSTERING") && order.is("ORDER") && by.is("BY") => {
                    for column in split(bracketed(columns)?.0, false, |piece| piece.text == ",") {
                        if column.get(1).is_some_and(|word| word.is("DESC")) {
                            options.descending.push(column.first()?.name()?);
                        }
                    }
                }
                [id, equals, value @ ..] if id.is("ID") && equals.text == "=" => {
                    let text: String = value.iter().map(|piece| piece.text).collect();
                    options.id = Some(text.parse().ok()?);
                }
                [name, equals, value @ ..] if equals.text == "=" => {
                    options.named.insert(name.name()?, joined(value));
                }
                _ => return None,
            }
        }
        Some(options)
    }

    fn order(&self, key: &mut Key) {
        for (name, is_descending) in &mut key.clustering {
            *is_descending = self.descending.contains(name);
        }
    }
}
