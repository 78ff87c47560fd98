//! What nobody needs any more and is to be removed: remembered until it is.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::aside::Aside;
use super::memory::{read, remove, write};
use crate::format::limits::FORMAT_VERSION;
use crate::ops::Error;
use crate::source::mysql::{Holds, OwedKey, Pair, is_of_what_comes};

/// The document of it.
pub(crate) const LEFTOVERS: &str = "leftovers.json";

/// What is to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leftovers {
    format: u32,
    /// Databases of servers.
    pub(crate) databases: Vec<Leftover>,
    /// Files of this node, and folders.
    pub(crate) files: Vec<PathBuf>,
    /// Foreign keys that are still to be made or dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) keys: Vec<LeftKey>,
}

/// A foreign key that is still to be made or dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftKey {
    /// The server that it is on.
    pub(crate) server: String,
    /// Which, and what is to become of it.
    #[serde(flatten)]
    pub(crate) owed: OwedKey,
    /// The statement for it, so that a person finds it here.
    pub(crate) statement: String,
}

impl LeftKey {
    /// One of this server.
    pub(crate) fn new(server: &str, owed: OwedKey) -> Self {
        Self { server: server.to_owned(), statement: owed.statement(), owed }
    }

    /// Whether it is to be made for a table that goes with an exchange.
    pub(crate) fn is_of(&self, server: &str, pair: &Pair) -> bool {
        // One that points elsewhere is there, and goes along as it is.
        let is_missing = !self.owed.is_to_go && self.owed.turn.is_none();
        self.server == server && is_missing && self.owed.database == pair.live && pair.going.contains(&self.owed.key.table)
    }

    /// Whether it is of a table that goes with an exchange, and is still to be turned.
    pub(crate) fn is_turned_of(&self, server: &str, pair: &Pair) -> bool {
        let is_to_turn = self.owed.turn.as_ref().is_some_and(|turn| !turn.is_held);
        self.server == server && is_to_turn && self.owed.database == pair.live && pair.going.contains(&self.owed.key.table)
    }
}

/// A database that is to be removed, or is left for a person to remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leftover {
    /// Its name.
    pub(crate) database: String,
    /// The server that it is on: one of the same name elsewhere is another. Empty where nobody has noted it.
    pub(crate) server: String,
    /// Whether it is left alone if it holds something.
    pub(crate) if_empty: bool,
    /// The mark that it bears if it is ours, and then goes with all that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mark: Option<String>,
    /// The tables that go; whatever else it holds is somebody's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tables: Vec<String>,
    /// Whether what it holds may have been written to, so that only a person removes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_written: bool,
}

impl Leftover {
    /// What of it is to go.
    pub(crate) fn holds(&self) -> Holds<'_> {
        match &self.mark {
            _ if self.is_written => Holds::Written,
            _ if self.if_empty => Holds::Nothing,
            Some(mark) => Holds::Marked(mark),
            None => Holds::Tables(&self.tables),
        }
    }

    /// The same, once what was to go is gone and somebody else's is left.
    pub(crate) fn emptied(self) -> Self {
        Self { if_empty: true, mark: None, tables: Vec::new(), ..self }
    }
}

impl Default for Leftovers {
    fn default() -> Self {
        Self { format: FORMAT_VERSION, databases: Vec::new(), files: Vec::new(), keys: Vec::new() }
    }
}

impl Leftovers {
    /// Files and folders of this node alone.
    pub(crate) fn of_files(files: Vec<PathBuf>) -> Self {
        Self { files, ..Self::default() }
    }

    /// What is to be removed, if anything is.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        read(folder, LEFTOVERS)
    }

    /// Whether this database of this server is to be removed.
    pub(crate) fn has(&self, server: &str, database: &str) -> bool {
        self.databases.iter().any(|left| left.server == server && left.database == database)
    }

    /// Whether one that is written down for this database of this server is left for a person.
    pub(crate) fn has_written(&self, server: &str, database: &str) -> bool {
        self.databases.iter().any(|left| left.server == server && left.database == database && left.is_written)
    }

    /// Whether the removal of this undo has begun, so that tables of it may be gone.
    pub(crate) fn takes(&self, aside: &Aside) -> bool {
        let goes = |database: &str| {
            let is_it = |left: &Leftover| left.server == aside.server && left.database == database;
            self.databases.iter().any(|left| is_it(left) && !left.if_empty && !left.is_written)
        };
        aside.databases.iter().any(|one| one.state.exists && goes(&one.state.database))
    }

    /// What was set aside by restores and is being removed, for a person; nothing where there is none.
    pub(crate) fn told_of_aside(&self) -> Option<String> {
        let is_aside = |left: &&Leftover| !left.if_empty && !left.is_written && !is_of_what_comes(&left.database);
        let names: Vec<String> = self.databases.iter().filter(is_aside).map(|left| format!("`{}`", left.database)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// A database of which these tables are to go.
    pub(crate) fn tables(&mut self, server: &str, database: &str, tables: &[String]) {
        self.push(server, Leftover { database: database.to_owned(), tables: tables.to_vec(), ..Leftover::default() });
    }

    /// A database that is to go if it bears this mark: others may have made one of its name since.
    pub(crate) fn marked(&mut self, server: &str, database: &str, mark: &str) {
        self.push(server, Leftover { database: database.to_owned(), mark: Some(mark.to_owned()), ..Leftover::default() });
    }

    /// A database that is to go if it holds nothing any more.
    pub(crate) fn emptied(&mut self, server: &str, database: &str) {
        self.push(server, Leftover { database: database.to_owned(), if_empty: true, ..Leftover::default() });
    }

    /// A database that is left for a person.
    pub(crate) fn written(&mut self, server: &str, database: &str) {
        self.push(server, Leftover { database: database.to_owned(), is_written: true, ..Leftover::default() });
    }

    fn push(&mut self, server: &str, left: Leftover) {
        self.databases.push(Leftover { server: server.to_owned(), ..left });
    }

    /// Whatever is of this name on this server from now on is no leftover.
    pub(crate) fn strike(folder: &Path, server: &str, database: &str) -> Result<(), Error> {
        let Some(mut all) = Self::read(folder)?.filter(|all| all.has(server, database)) else { return Ok(()) };
        all.databases.retain(|left| left.server != server || left.database != database);
        all.keep(folder)
    }

    /// Keys of tables that have gone with an exchange are owed to what lies aside, which remembers them itself.
    pub(crate) fn strike_keys(folder: &Path, server: &str, pairs: &[Pair]) -> Result<(), Error> {
        let Some(mut all) = Self::read(folder)?.filter(|all| !all.keys.is_empty()) else { return Ok(()) };
        all.keys.retain(|left| !pairs.iter().any(|pair| left.is_of(server, pair)));
        all.keep(folder)
    }

    /// Moves a document that cannot be read out of the way, so that nothing is removed by it and nothing is stopped by it. Gives where it lies
    /// then, and why it cannot be read.
    pub(crate) fn set_unreadable_apart(folder: &Path, now: Timestamp) -> Result<Option<(PathBuf, Error)>, Error> {
        match Self::read(folder) {
            Err(why @ Error::Unreadable { .. }) => {
                let (from, to) = (folder.join(LEFTOVERS), folder.join(format!("leftovers.unreadable.{}.json", now.as_millisecond())));
                fs::rename(&from, &to).map_err(Error::file("move", from))?;
                Ok(Some((to, why)))
            }
            read => read.map(|_| None),
        }
    }

    /// Remembers it, besides what earlier work has left and could not be removed yet.
    pub(crate) fn add(self, folder: &Path) -> Result<(), Error> {
        let mut all = Self::read(folder)?.unwrap_or_default();
        for database in self.databases {
            if !all.databases.contains(&database) {
                all.databases.push(database);
            }
        }
        for file in self.files {
            if !all.files.contains(&file) {
                all.files.push(file);
            }
        }
        for key in self.keys {
            all.keys.retain(|left| left.server != key.server || !left.owed.is_same(&key.owed));
            all.keys.push(key);
        }
        all.keep(folder)
    }

    /// Remembers this alone, or nothing where there is nothing.
    pub(crate) fn keep(&self, folder: &Path) -> Result<(), Error> {
        if self.databases.is_empty() && self.files.is_empty() && self.keys.is_empty() {
            remove(folder, LEFTOVERS)
        } else {
            write(folder, LEFTOVERS, self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_removed_is_remembered_beside_what_comes_later() {
        let folder = tempfile::tempdir().unwrap();
        let left = |name: &str| {
            let mut left = Leftovers::default();
            left.tables("here", name, &["t".into()]);
            left.emptied("here", "empty");
            left.files.push("/f".into());
            left
        };
        left("one").add(folder.path()).unwrap();
        left("two").add(folder.path()).unwrap();
        let all = Leftovers::read(folder.path()).unwrap().unwrap();
        let names: Vec<&str> = all.databases.iter().map(|left| left.database.as_str()).collect();
        assert_eq!((names, all.files.len()), (vec!["one", "empty", "two"], 1));
        assert!(all.has("here", "two") && all.has("here", "empty") && !all.has("here", "three"));
        assert!(!all.has("elsewhere", "two"), "one of the same name elsewhere is another");
        Leftovers::strike(folder.path(), "elsewhere", "two").unwrap();
        Leftovers::strike(folder.path(), "here", "one").unwrap();
        let all = Leftovers::read(folder.path()).unwrap().unwrap();
        assert!(all.has("here", "two") && !all.has("here", "one"));
        Leftovers::default().keep(folder.path()).unwrap();
        assert_eq!(Leftovers::read(folder.path()).unwrap(), None);
    }
}
