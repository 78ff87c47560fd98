//! Tables of a snapshot and those of a node, matched by their names: which files go into which folder.

use super::node_plan::bounded;
use super::survey::Survey;
use crate::ops::Error;
use crate::source::cassandra::missing::{Compared, Comparison, Difference, Element};
use crate::source::cassandra::{Change, Expected, TableId, table_of};

/// What becomes of each table.
#[derive(Debug, Default)]
pub(super) struct Matched {
    /// What changes places.
    pub(super) changes: Vec<Change>,
    /// What the node must have afterwards.
    pub(super) expected: Vec<Expected>,
    /// What the node lacks and is made.
    pub(super) makes: Vec<String>,
    /// What only the node has.
    pub(super) empties: Vec<String>,
    /// What is defined otherwise, so that files can be read all the same.
    pub(super) differs: Vec<String>,
}

impl Matched {
    /// Matches what comes with what a comparison has found.
    ///
    /// # Errors
    /// [`Error::Refused`] when files could not be read, or the snapshot contradicts itself.
    pub(super) fn of(survey: &Survey, comparison: &Comparison) -> Result<Self, Error> {
        if let Some(why) = comparison.unreadable() {
            return Err(Error::Refused(format!(
                "the snapshot's files cannot be read with the definitions that the node has now: {why}; nothing was changed"
            )));
        }
        let mut matched = Self::default();
        for ((keyspace, folder), coming) in &survey.tables {
            let Some((name, id)) = table_of(folder) else { continue };
            let of_this = |one: &&Compared| one.has_files() && one.keyspace == *keyspace && one.name == name;
            let Some(compared) = comparison.compared.iter().find(of_this).filter(|one| one.id.as_ref() == Some(&id)) else {
                return Err(Error::Refused(format!(
                    "the snapshot has files of {keyspace}/{folder}, and its {keyspace}/schema.cql does not say how that table is made; nothing was \
                     changed"
                )));
            };
            let live = compared.live_id.clone().unwrap_or(id);
            matched.add(keyspace, name, live, Some(folder.clone()), coming.sstables > 0);
        }
        for compared in comparison.only_live().filter(|one| one.has_files()) {
            if let Some(id) = &compared.live_id {
                matched.add(&compared.keyspace, &compared.name, id.clone(), None, false);
                let name = format!("{}.{}", compared.keyspace, compared.name);
                matched.empties.push(match compared.element {
                    // The node takes it for built.
                    Element::View => format!("{name} (a view: drop it and make it anew afterwards, so that it has the rows of its table)"),
                    _ => name,
                });
            }
        }
        matched.makes = bounded(comparison.missing().map(Compared::told).collect());
        let told = |(one, differences): (&Compared, &[Difference])| {
            let whats: Vec<&str> = differences.iter().map(|difference| difference.what.as_str()).collect();
            format!("{}: {}", one.told(), whats.join(", "))
        };
        matched.differs = bounded(comparison.differing().map(told).collect());
        matched.empties = bounded(matched.empties);
        Ok(matched)
    }

    /// The tables of a snapshot as they are, for a node that is down and cannot be asked.
    pub(super) fn unasked(survey: &Survey) -> Self {
        let mut matched = Self::default();
        for ((keyspace, folder), coming) in &survey.tables {
            if let Some((name, id)) = table_of(folder) {
                matched.add(keyspace, name, id, Some(folder.clone()), coming.sstables > 0);
            }
        }
        matched
    }

    /// A table, and the folder that comes for it.
    pub(super) fn add(&mut self, keyspace: &str, name: &str, id: TableId, incoming: Option<String>, has_rows: bool) {
        self.changes.push(Change { keyspace: keyspace.to_owned(), live: format!("{name}-{id}"), incoming });
        self.expected.push(Expected { keyspace: keyspace.to_owned(), name: name.to_owned(), id, has_rows });
    }
}
