//! What nobody needs any more and is to be removed: remembered until it is.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::memory::{read, remove, write};
use crate::format::limits::FORMAT_VERSION;
use crate::ops::Error;

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
}

/// A database that is to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leftover {
    /// Its name.
    pub(crate) database: String,
    /// The server that it is on: one of the same name elsewhere is another. Empty where nobody has noted it.
    pub(crate) server: String,
    /// Whether it is left alone if it holds something.
    pub(crate) if_empty: bool,
}

impl Default for Leftovers {
    fn default() -> Self {
        Self { format: FORMAT_VERSION, databases: Vec::new(), files: Vec::new() }
    }
}

impl Leftovers {
    /// What is to be removed, if anything is.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        read(folder, LEFTOVERS)
    }

    /// Whether this database is to be removed, of whichever server.
    pub(crate) fn has(&self, database: &str) -> bool {
        self.databases.iter().any(|left| left.database == database)
    }

    /// A database that is to go whatever it holds.
    pub(crate) fn database(&mut self, server: &str, database: &str) {
        self.databases.push(Leftover { database: database.to_owned(), server: server.to_owned(), if_empty: false });
    }

    /// A database that is to go if it holds nothing any more.
    pub(crate) fn emptied(&mut self, server: &str, database: &str) {
        self.databases.push(Leftover { database: database.to_owned(), server: server.to_owned(), if_empty: true });
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
        all.keep(folder)
    }

    /// Remembers this alone, or nothing where there is nothing.
    pub(crate) fn keep(&self, folder: &Path) -> Result<(), Error> {
        if self.databases.is_empty() && self.files.is_empty() { remove(folder, LEFTOVERS) } else { write(folder, LEFTOVERS, self) }
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
            left.database("here", name);
            left.emptied("here", "empty");
            left.files.push("/f".into());
            left
        };
        left("one").add(folder.path()).unwrap();
        left("two").add(folder.path()).unwrap();
        let all = Leftovers::read(folder.path()).unwrap().unwrap();
        let names: Vec<&str> = all.databases.iter().map(|left| left.database.as_str()).collect();
        assert_eq!((names, all.files.len()), (vec!["one", "empty", "two"], 1));
        assert!(all.has("two") && all.has("empty") && !all.has("three"));
        Leftovers::default().keep(folder.path()).unwrap();
        assert_eq!(Leftovers::read(folder.path()).unwrap(), None);
    }
}
