//! Tables that others have taken the place of while a dump was made.

use std::collections::BTreeMap;

use super::inventory::Named;
use super::object::Object;
use super::outside::problem;
use crate::source::Problem;

/// Most tables that are told one by one: each is kept with the snapshot.
const TOLD_MAX: usize = 1_000;

/// The first of them by name; the others are counted.
#[derive(Default)]
pub(super) struct Others {
    named: Named,
    problems: Vec<Problem>,
    /// How many more of a database there are.
    beyond: BTreeMap<u16, u64>,
}

impl Others {
    pub(super) fn add(&mut self, table: &Object, databases: &[String]) {
        self.named.add(&table.key(), databases);
        if self.problems.len() == TOLD_MAX {
            *self.beyond.entry(table.database).or_default() += 1;
            return;
        }
        let detail = "it was emptied, built anew or exchanged for another table while the dump was made, two times in a row: the snapshot may have \
                      none of its rows, or too few; keep TRUNCATE, OPTIMIZE, ALTER TABLE … FORCE, RENAME TABLE and EXCHANGE PARTITION away from it \
                      while a snapshot is taken";
        self.problems.extend(problem(Problem::EXCHANGED, &databases[usize::from(table.database)], &table.name, detail.to_owned()));
    }

    /// What happened to them, as a sentence without its end; `None` when there are none.
    pub(super) fn told(&mut self) -> Option<String> {
        let named = std::mem::take(&mut self.named).text()?;
        Some(format!(
            "{named} was emptied, built anew or exchanged for another table (TRUNCATE, OPTIMIZE, ALTER TABLE … FORCE, RENAME, EXCHANGE PARTITION)"
        ))
    }

    /// What is to be told of a snapshot that is kept all the same.
    pub(super) fn problems(mut self, databases: &[String]) -> Vec<Problem> {
        for (database, count) in self.beyond {
            let detail = format!("{count} more of its tables were emptied, built anew or exchanged for others while the dump was made");
            self.problems.extend(problem(Problem::EXCHANGED, &databases[usize::from(database)], "*", detail));
        }
        self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mysql::object::ObjectKind;

    #[test]
    fn tables_beyond_those_that_are_told_one_by_one_are_counted_with_their_database() {
        let databases = ["x".to_owned(), "y".to_owned()];
        let mut others = Others::default();
        assert_eq!(others.told(), None);
        for (database, count) in [(0, TOLD_MAX), (1, 3)] {
            (0..count).for_each(|n| others.add(&Object { database, kind: ObjectKind::Table, name: format!("t{n}") }, &databases));
        }
        let told = others.told().unwrap();
        assert!(told.contains("`x`.`t0`") && told.contains(&format!("{} more was emptied", TOLD_MAX + 3 - 10)), "{told}");
        let problems = others.problems(&databases);
        let last = problems.last().unwrap();
        assert_eq!((problems.len(), last.path.to_string(), last.kind), (TOLD_MAX + 1, "y/*".to_owned(), Problem::EXCHANGED));
        assert!(last.detail.starts_with("3 more of its tables"), "{}", last.detail);
    }
}
