//! Whether a node that was started has taken up what was put in place.

use scylla::deserialize::row::{ColumnIterator, DeserializeRow};
use scylla::deserialize::{DeserializationError, TypeCheckError};
use scylla::frame::response::result::ColumnSpec;
use serde::{Deserialize, Serialize};

use super::Control;
use crate::source::Error;
use crate::source::cassandra::cql::Connection;
use crate::source::cassandra::folders::{Folders, data_files};
use crate::source::cassandra::look::tables;
use crate::source::cassandra::nodetool::Nodetool;
use crate::source::cassandra::schema::{Kind, Table, TableId};
use crate::source::cassandra::statements::quoted;

use std::time::Duration;

/// How long the figures of one table may take.
const FIGURES_TIME: Duration = Duration::from_secs(120);

/// Most tables whose rows nobody may read that are named.
const NAMED_MAX: usize = 5;

/// A table that a node must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Its keyspace.
    pub keyspace: String,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: TableId,
    /// Whether it has SSTables, so that the node must have taken them up.
    pub has_rows: bool,
}

/// A row of any columns, which are not looked at.
struct AnyRow;

impl<'frame, 'metadata> DeserializeRow<'frame, 'metadata> for AnyRow {
    fn type_check(_: &[ColumnSpec<'_>]) -> Result<(), TypeCheckError> {
        Ok(())
    }

    fn deserialize(_: ColumnIterator<'frame, 'metadata>) -> Result<Self, DeserializationError> {
        Ok(Self)
    }
}

impl Control<'_> {
    /// Looks whether each of these tables is there, with its id, and can be read. Gives what a person should know.
    ///
    /// # Errors
    /// [`Error::Cassandra`] naming the table that is not as expected; [`Error::Stopped`].
    pub fn check(&self, expected: &[Expected]) -> Result<Vec<String>, Error> {
        let connection = Connection::open(self.settings, self.config, self.stop)?;
        let (mut keyspace, mut known) = (None, Vec::new());
        let mut unread = Vec::new();
        for table in expected {
            if keyspace != Some(&table.keyspace) {
                known = tables(&connection, &table.keyspace)?;
                keyspace = Some(&table.keyspace);
            }
            let name = format!("{}.{}", table.keyspace, table.name);
            match known.iter().find(|known| known.name == table.name) {
                Some(found) if found.id == table.id => {}
                Some(found) => {
                    return Err(self.failed("check", format!("its table {name} has the id {}, not {}", found.id, table.id)));
                }
                None => return Err(self.failed("check", format!("it has no table {name}"))),
            }
            if !table.has_rows {
                continue;
            }
            let cql = format!("SELECT * FROM {}.{} LIMIT 1", quoted(&table.keyspace), quoted(&table.name));
            match connection.rows::<AnyRow>("read a row of", &cql) {
                Ok(rows) if !rows.is_empty() => {}
                // All that it holds may have been deleted or have expired.
                Ok(_) => self.check_taken_up(table, &name)?,
                Err(Error::Cassandra { why, .. }) if super::super::refused::is_no_right(&why) => {
                    self.check_taken_up(table, &name)?;
                    unread.push(name);
                }
                Err(Error::Cassandra { what, node, why }) => {
                    return Err(Error::Cassandra { what, node, why: format!("{name}: {why}") });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(told(&unread))
    }

    /// Looks whether the node has SSTables of a table, of which files lie in its folders.
    fn check_taken_up(&self, table: &Expected, name: &str) -> Result<(), Error> {
        let nodetool = Nodetool::new(self.settings, self.folder, self.stop);
        let answer = nodetool.run("look at the tables of", &["tablestats".into(), "--".into(), name.into()], FIGURES_TIME)?;
        let count = sstables_of(&answer);
        if count.is_none_or(|count| count > 0) {
            return count.map(|_| ()).ok_or_else(|| self.failed("check", format!("nodetool does not say how many SSTables {name} has")));
        }
        let of = Table {
            name: table.name.clone(),
            id: table.id.clone(),
            kind: Kind::Table,
            base: None,
            gc_grace_seconds: 0,
            indexes: Vec::new(),
        };
        for folder in Folders::of(self.config)?.of_table(&table.keyspace, &of)? {
            if let Some(file) = data_files(&folder)?.next().transpose()? {
                let why = format!("it has no SSTable of {name}, and {} is there: it has not taken it up", file.path().display());
                return Err(self.failed("check", why));
            }
        }
        Ok(())
    }
}

fn told(unread: &[String]) -> Vec<String> {
    if unread.is_empty() {
        return Vec::new();
    }
    let names = unread[..unread.len().min(NAMED_MAX)].join(", ");
    let more = if unread.len() > NAMED_MAX { format!(" and {} more", unread.len() - NAMED_MAX) } else { String::new() };
    vec![format!(
        "that their rows can be read could not be tried, for the role has no right to SELECT: {names}{more}; the node has their files"
    )]
}

/// What `nodetool tablestats` says of one table, under whichever name of its heading.
fn sstables_of(answer: &str) -> Option<u64> {
    answer.lines().find_map(|line| line.trim().strip_prefix("SSTable count:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_sstables_is_read() {
        let answer =
            "Total number of tables: 47\n----------------\nKeyspace: k\n\tTable: t\n\t\tSSTable count: 3\n\t\tOld SSTable count: 0\n";
        assert_eq!(sstables_of(answer), Some(3));
        assert_eq!(sstables_of("Keyspace: k"), None);
    }

    #[test]
    fn what_nobody_may_read_is_told_up_to_a_bound() {
        let names: Vec<String> = (0..7).map(|n| format!("k.t{n}")).collect();
        assert!(told(&names)[0].contains("k.t4 and 2 more") && told(&[]).is_empty());
    }
}
