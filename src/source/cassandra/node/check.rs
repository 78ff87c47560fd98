//! Whether a node that was started has taken up what was put in place.

use std::fs::DirEntry;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use scylla::deserialize::row::{ColumnIterator, DeserializeRow};
use scylla::deserialize::{DeserializationError, TypeCheckError};
use scylla::frame::response::result::ColumnSpec;
use serde::{Deserialize, Serialize};

use super::{Control, TICK};
use crate::source::Error;
use crate::source::cassandra::cql::Connection;
use crate::source::cassandra::folders::{Folders, data_files};
use crate::source::cassandra::look::tables;
use crate::source::cassandra::refused;
use crate::source::cassandra::schema::{Kind, Table, TableId};
use crate::source::cassandra::statements::quoted;

/// Most tables whose rows nobody may read that are named.
const NAMED_MAX: usize = 5;

/// How long the node may take to have open what lies in its folders, or to remove what a compaction has replaced.
const TAKEN_UP_TIME: Duration = Duration::from_secs(60);

/// How old a file is that nobody writes to any more: a compaction writes all the while.
const WRITING_TIME: SignedDuration = SignedDuration::from_secs(10);

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
    /// Looks whether each of these tables is there, with its id, has been taken up, and can be read. Gives what a person should know.
    ///
    /// # Errors
    /// [`Error::Cassandra`] naming the table that is not as expected; [`Error::Stopped`].
    pub fn check(&self, expected: &[Expected]) -> Result<Vec<String>, Error> {
        let connection = Connection::open(self.settings, self.config, self.stop)?;
        let (mut keyspace, mut known) = (None, Vec::new());
        for table in expected {
            if keyspace != Some(&table.keyspace) {
                known = tables(&connection, &table.keyspace)?;
                keyspace = Some(&table.keyspace);
            }
            let name = table.told();
            match known.iter().find(|known| known.name == table.name) {
                Some(found) if found.id == table.id => {}
                Some(found) => {
                    return Err(self.failed("check", format!("its table {name} has the id {}, not {}", found.id, table.id)));
                }
                None => return Err(self.failed("check", format!("it has no table {name}"))),
            }
        }
        let filled: Vec<&Expected> = expected.iter().filter(|table| table.has_rows).collect();
        self.check_taken_up(&filled)?;
        let (mut unread, mut silent) = (Vec::new(), Vec::new());
        for table in filled {
            let cql = format!("SELECT * FROM {}.{} LIMIT 1", quoted(&table.keyspace), quoted(&table.name));
            match connection.rows::<AnyRow>("read a row of", &cql) {
                // That there is none proves nothing: all that it holds may have been deleted or have expired.
                Ok(_) => {}
                Err(Error::Cassandra { what, node, why }) => match Answer::of(&why) {
                    Answer::NoRight => unread.push(table.told()),
                    Answer::Readable => {}
                    Answer::None => silent.push(table.told()),
                    Answer::Failure => return Err(Error::Cassandra { what, node, why: format!("{}: {why}", table.told()) }),
                },
                Err(error) => return Err(error),
            }
        }
        let right = "that their rows can be read could not be tried, for the role has no right to SELECT";
        let answer = "that their rows can be read could not be seen, for no answer came, from this node or the others that have the rows";
        Ok(told(right, &unread).into_iter().chain(told(answer, &silent)).collect())
    }

    /// Looks whether the node has all SSTables open of each of these tables that lie in its folders: a row may come from another node, and 5.0
    /// passes over one that it cannot open at its start. What a compaction has replaced lies there for a moment longer.
    fn check_taken_up(&self, tables: &[&Expected]) -> Result<(), Error> {
        let since = self.clock.monotonic();
        while let Some(why) = self.not_taken_up(tables)? {
            if self.clock.monotonic().saturating_sub(since) > TAKEN_UP_TIME {
                return Err(self.failed("check", why));
            }
            self.stop.check()?;
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// What says that it has not, if something does.
    fn not_taken_up(&self, tables: &[&Expected]) -> Result<Option<String>, Error> {
        if tables.is_empty() {
            return Ok(None);
        }
        let folders = Folders::of(self.config)?;
        let mut there = Vec::new();
        for table in tables {
            let mut found = 0;
            for folder in folders.of_table(&table.keyspace, &table.as_table())? {
                for file in data_files(&folder)? {
                    found += u64::from(self.is_complete(&file?));
                }
            }
            there.push(found);
        }
        let names: Vec<(&str, &str)> = tables.iter().map(|table| (table.keyspace.as_str(), table.name.as_str())).collect();
        let counts = self.nodetool().counts(&names)?;
        for (table, there) in tables.iter().zip(there) {
            let name = table.told();
            let open = counts.of(&table.keyspace, &table.name);
            let open = open.ok_or_else(|| self.failed("check", format!("nodetool does not say how many SSTables {name} has")))?;
            if open < there {
                return Ok(Some(format!(
                    "it has {open} SSTables of {name} open, and {there} are there: it has not taken all of them up, and its log (system.log) may say why"
                )));
            }
        }
        Ok(None)
    }

    /// Whether a file was there before the node has begun to write by itself, as a compaction does.
    fn is_complete(&self, file: &DirEntry) -> bool {
        let written = file.metadata().and_then(|stat| stat.modified()).ok().and_then(|time| Timestamp::try_from(time).ok());
        written.is_some_and(|written| self.clock.now().duration_since(written) > WRITING_TIME)
    }
}

impl Expected {
    fn as_table(&self) -> Table {
        let (name, id) = (self.name.clone(), self.id.clone());
        Table { name, id, kind: Kind::Table, base: None, gc_grace_seconds: 0, indexes: Vec::new() }
    }

    fn told(&self) -> String {
        format!("{}.{}", self.keyspace, self.name)
    }
}

/// What it means that no row was given.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// The role may not read the table.
    NoRight,
    /// The files were read.
    Readable,
    /// Nobody has answered, which says nothing of the files.
    None,
    /// The table cannot be read.
    Failure,
}

impl Answer {
    fn of(why: &str) -> Self {
        match why {
            _ if refused::is_no_right(why) => Self::NoRight,
            _ if why.contains(TOO_MANY_TOMBSTONES) => Self::Readable,
            _ if refused::is_no_answer(why) => Self::None,
            _ => Self::Failure,
        }
    }
}

/// What a node says of a table that has more deletions than it reads at once (`tombstone_failure_threshold`): the files can be read.
const TOO_MANY_TOMBSTONES: &str = "TOO_MANY_TOMBSTONES";

fn told(why: &str, tables: &[String]) -> Option<String> {
    if tables.is_empty() {
        return None;
    }
    let names = tables[..tables.len().min(NAMED_MAX)].join(", ");
    let more = if tables.len() > NAMED_MAX { format!(" and {} more", tables.len() - NAMED_MAX) } else { String::new() };
    Some(format!("{why}: {names}{more}; the node has their files"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_speaks_of_the_files_speaks_against_them() {
        for (why, is) in [
            ("the role has no right to it (User w has no SELECT permission)", Answer::NoRight),
            ("Operation failed - received 0 responses and 1 failures: READ_TOO_MANY_TOMBSTONES from /127.0.0.1:7000", Answer::Readable),
            ("no answer from those who have the row (Cannot achieve consistency level LOCAL_ONE)", Answer::None),
            ("no answer within 120 seconds", Answer::None),
            ("Operation failed - received 0 responses and 1 failures: UNKNOWN from /127.0.0.1:7000", Answer::Failure),
        ] {
            assert_eq!(Answer::of(why), is, "{why}");
        }
    }

    #[test]
    fn what_nobody_may_read_is_told_up_to_a_bound() {
        let names: Vec<String> = (0..7).map(|n| format!("k.t{n}")).collect();
        assert!(told("why", &names).unwrap().contains("why: k.t0") && told("why", &names).unwrap().contains("k.t4 and 2 more"));
        assert_eq!(told("why", &[]), None);
    }
}
