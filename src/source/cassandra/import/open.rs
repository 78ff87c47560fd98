//! Whether the node has open what has come: what lies in the folders of a table and is not open is of no use.

use std::path::PathBuf;
use std::time::Duration;

use super::super::cql::{Connection, failed};
use super::super::folders::Folders;
use super::super::nodetool::Nodetool;
use super::fill::Fill;
use super::staged;
use crate::source::Error;

/// How long the node may take to remove files that a compaction, which was under way before, has just made needless: it does so at once.
const OPEN_TIME: Duration = Duration::from_secs(10);

/// How often it is looked at meanwhile; a question to `nodetool` takes a second itself.
const OPEN_TICK: Duration = Duration::from_secs(2);

/// What has come into a table.
pub(super) struct Came<'a> {
    pub(super) table: &'a Fill,
    /// How many SSTables.
    pub(super) count: u64,
    /// How many the node had open before.
    pub(super) had: u64,
}

impl<'a> Came<'a> {
    /// What will have come into tables whose files lie ready in these folders. Where they are `kept`, the node is asked how much it has open.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Cassandra`]; [`Error::Stopped`].
    pub(super) fn of(nodetool: &Nodetool<'_>, tables: &'a [Fill], ready: &[Vec<PathBuf>], kept: bool) -> Result<Vec<Self>, Error> {
        let mut came = Vec::new();
        for (table, ready) in tables.iter().zip(ready) {
            match staged::count(ready)? {
                0 => {}
                count => came.push(Self { table, count, had: 0 }),
            }
        }
        if kept {
            let counts = nodetool.counts(&names(&came))?;
            for one in &mut came {
                // One that it does not tell of it will not tell of afterwards either.
                one.had = counts.of(&one.table.keyspace, &one.table.name).unwrap_or(0);
            }
        }
        Ok(came)
    }

    /// Whether this many are enough, while as many lie in the table's folders. There are fewer than there were with what came where a compaction
    /// has come to its end that was under way before; then all that is left must be open.
    fn is_open(&self, open: u64, files: u64) -> bool {
        open >= self.had + self.count || (open >= self.count && open >= files)
    }
}

/// Proves that the node has opened what has come.
///
/// # Errors
/// [`Error::Cassandra`]; [`Error::File`]; [`Error::Stopped`].
pub(super) fn are_open(connection: &Connection, nodetool: &Nodetool<'_>, folders: &Folders, came: &[Came<'_>]) -> Result<(), Error> {
    let mut left = OPEN_TIME.as_millis() / OPEN_TICK.as_millis();
    loop {
        let counts = nodetool.counts(&names(came))?;
        let mut lacking = None;
        for one in came {
            let Came { table, count, had } = one;
            let open = counts.of(&table.keyspace, &table.name);
            let files = staged::count(&folders.of_table(&table.keyspace, &table.as_table())?)?;
            if !open.is_some_and(|open| one.is_open(open, files)) {
                let open = open.map_or_else(|| "none".to_owned(), |open| open.to_string());
                let besides = if *had == 0 { String::new() } else { format!(" beside the {had} that it had open") };
                lacking.get_or_insert_with(|| {
                    format!(
                        "{}: {count} SSTables have come into its folders{besides}, and the node says that it has {open} open",
                        table.told()
                    )
                });
            }
        }
        let Some(why) = lacking else { return Ok(()) };
        if left == 0 {
            return Err(failed("import files into a table of", connection.node(), why));
        }
        connection.pause(OPEN_TICK)?;
        left -= 1;
    }
}

fn names<'a>(came: &[Came<'a>]) -> Vec<(&'a str, &'a str)> {
    came.iter().map(|one| (one.table.keyspace.as_str(), one.table.name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::schema::Kind;
    use super::*;

    #[test]
    fn what_was_open_before_is_no_proof_that_what_came_is() {
        let id = "0123456789abcdef0123456789abcdef";
        let (keyspace, name, folder) = ("k".to_owned(), "t".to_owned(), format!("t-{id}"));
        let table = Fill { keyspace, name, id: id.parse().unwrap(), kind: Kind::Table, folder, at_least: 2 };
        let is_open = |had: u64, open: u64, files: u64| Came { table: &table, count: 2, had }.is_open(open, files);
        assert!(is_open(0, 2, 2) && is_open(3, 5, 5) && is_open(3, 5, 9));
        assert!(!is_open(3, 3, 5), "the ones from before alone");
        assert!(is_open(3, 3, 3), "the three from before have become one");
        assert!(!is_open(3, 1, 1) && !is_open(0, 1, 1));
    }
}
