//! How many SSTables of a table the node has open, as it says itself.

use std::collections::BTreeMap;

/// Reads what `nodetool tablestats` says, line by line (`TableStatsPrinter`, the same in 4.1 and 5.0).
#[derive(Default)]
pub(in super::super) struct Counts {
    keyspace: String,
    /// The table that lines are about; nothing while they are about an index.
    table: Option<String>,
    found: BTreeMap<(String, String), u64>,
}

impl Counts {
    /// Takes a line.
    pub(in super::super) fn line(&mut self, line: &str) {
        let Some((label, value)) = line.trim().split_once(':') else { return };
        let value = value.trim();
        match label.trim_end() {
            "Keyspace" => (self.keyspace, self.table) = (value.to_owned(), None),
            "Table" => self.table = Some(value.to_owned()),
            "Table (index)" => self.table = None,
            "SSTable count" => {
                if let (Some(table), Ok(count)) = (&self.table, value.parse()) {
                    self.found.insert((self.keyspace.clone(), table.clone()), count);
                }
            }
            _ => {}
        }
    }

    /// How many a table has; `None` where nothing was said of it.
    pub(in super::super) fn of(&self, keyspace: &str, table: &str) -> Option<u64> {
        self.found.get(&(keyspace.to_owned(), table.to_owned())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_counted_and_their_indexes_are_not() {
        let said = "Total number of tables: 52\n----------------\nKeyspace : Space\n\tRead Count: 0\n\tPending Flushes: 0\n\t\tTable: users\n\t\tSSTable \
                    count: 3\n\t\tOld SSTable count: 0\n\t\tTable (index): users.users_by_city\n\t\tSSTable count: 9\n\n\t\tTable: Mixed\n\t\tSSTable \
                    count: 0\n----------------\nKeyspace : other\n\t\tTable: users\n\t\tSSTable count: 1\n";
        let mut counts = Counts::default();
        said.lines().for_each(|line| counts.line(line));
        assert_eq!((counts.of("Space", "users"), counts.of("Space", "Mixed"), counts.of("other", "users")), (Some(3), Some(0), Some(1)));
        assert_eq!((counts.of("Space", "users_by_city"), counts.of("other", "Mixed")), (None, None));
    }
}
