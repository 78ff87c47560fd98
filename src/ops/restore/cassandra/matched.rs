//! Tables of a snapshot and those of a node, matched by their names: which files go into which folder.

use super::node_plan::bounded;
use super::survey::Survey;
use crate::ops::Error;
use crate::source::cassandra::missing::{Compared, Comparison, Difference, Element, OF_ANOTHER_ENGINE};
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
    /// [`Error::Refused`] when files could not be read, when views or indexes would answer otherwise than their tables, or when the snapshot
    /// contradicts itself.
    pub(super) fn of(survey: &Survey, comparison: &Comparison) -> Result<Self, Error> {
        if let Some(why) = comparison.unreadable() {
            return Err(Error::Refused(format!(
                "the snapshot's files cannot be read with the definitions that the node has now: {why}; nothing was changed"
            )));
        }
        check_what_answers(comparison)?;
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
                matched.empties.push(format!("{}.{}", compared.keyspace, compared.name));
            }
        }
        matched.makes = bounded(comparison.missing().map(Compared::told).collect());
        let differs = |(one, differences): (&Compared, &[Difference])| format!("{}: {}", one.told(), told(differences));
        matched.differs = bounded(comparison.differing().map(differs).collect());
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

/// Refuses what of the node would answer otherwise than the table that it is of, once that holds the snapshot, and would stay so without a word: a
/// view that nothing comes into, which the node takes for built, and an index that has been made anew since, whose files come by its name.
fn check_what_answers(comparison: &Comparison) -> Result<(), Error> {
    let is_filled = |keyspace: &str, table: &str| {
        comparison.compared.iter().any(|one| one.has_files() && one.keyspace == keyspace && one.name == table && one.id.is_some())
    };
    let is_left_out = |view: &&Compared| view.has_files() && view.of.as_ref().is_some_and(|of| is_filled(&view.keyspace, of));
    if let Some(view) = comparison.only_live().find(is_left_out) {
        return Err(Error::Refused(format!(
            "the {} was made since the snapshot, and rows that come into its table as files do not come into it: drop it, restore, and make it again; \
             nothing was changed",
            view.told()
        )));
    }
    let is_another = |differences: &[Difference]| differences.iter().any(|difference| difference.what != OF_ANOTHER_ENGINE);
    let another = comparison.differing().find(|(one, differences)| one.element == Element::Index && is_another(differences));
    if let Some((index, differences)) = another {
        return Err(Error::Refused(format!(
            "the {} is not the one of the snapshot, whose files would be taken for its own ({}): drop it, and the restore makes it as it was then; \
             nothing was changed",
            index.told(),
            told(differences)
        )));
    }
    Ok(())
}

/// Differences for a person.
fn told(differences: &[Difference]) -> String {
    differences.iter().map(|difference| difference.what.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::cassandra::missing::{Definitions, Part};

    const TABLE: &str = "CREATE TABLE k.t (id int PRIMARY KEY, a text, b text) WITH ID = 01234567-89ab-cdef-0123-456789abcdef;\n";
    const VIEW: &str = "CREATE MATERIALIZED VIEW k.w AS SELECT * FROM k.t WHERE a IS NOT NULL AND id IS NOT NULL PRIMARY KEY (a, id) \
                        WITH ID = 11111111-89ab-cdef-0123-456789abcdef;\n";

    fn definitions(text: &str) -> Definitions {
        let keyspace = "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy'};\n";
        Definitions::read(&[("k".into(), format!("{keyspace}{text}"))]).unwrap()
    }

    fn matched(recorded: &str, live: &str, part: &Part) -> Result<Matched, String> {
        let comparison = Comparison::of(&definitions(recorded), &definitions(live), part).unwrap();
        Matched::of(&Survey::default(), &comparison).map_err(|error| error.to_string())
    }

    #[test]
    fn an_index_that_is_another_under_the_same_name_is_refused_whichever_part_comes() {
        let was = format!("{TABLE}CREATE INDEX by_x ON k.t (a);");
        let sai = |options: &str| format!("{TABLE}CREATE CUSTOM INDEX by_x ON k.t (a) USING 'StorageAttachedIndex'{options};");
        for part in [Part::All, Part::Table("k".into(), "t".into())] {
            for (was, is) in [(&was, &was.replace("(a)", "(b)")), (&sai(""), &sai(" WITH OPTIONS = {'ascii': 'true'}"))] {
                let error = matched(was, is, &part).unwrap_err();
                assert!(error.contains("the index k.by_x is not the one of the snapshot") && error.contains("drop it"), "{error}");
            }
            // The node makes another kind of one whose statement names none, where it is set so.
            matched(&was, &sai(""), &part).unwrap();
            matched(&was, TABLE, &part).unwrap();
            matched(TABLE, &was, &part).unwrap();
        }
    }

    #[test]
    fn a_view_that_came_since_is_refused_where_its_table_is_filled_and_emptied_with_one_that_came_since_too() {
        let live = format!("{TABLE}{VIEW}");
        let error = matched(TABLE, &live, &Part::All).unwrap_err();
        assert!(error.contains("the view k.w was made since the snapshot"), "{error}");
        assert_eq!(matched("", &live, &Part::All).unwrap().empties, ["k.t", "k.w"]);
        matched(&live, &live, &Part::All).unwrap();
    }
}
