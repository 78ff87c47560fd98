//! Where the node keeps its tables: `<data directory>/<keyspace>/<table>-<id>/`, with `snapshots/<tag>/` inside.
//!
//! With several data directories a table has a folder in each, and a snapshot of it in each that holds one of its SSTables; the two documents
//! of a snapshot lie in one of them, each in whichever had room (`Directories.getDirectoryForNewSSTables`).

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::component::{Component, DATA, is_plain};
use super::node_config::NodeConfig;
use super::schema::{Keyspace, Schema, Table};
use crate::source::Error;

/// The folder with the snapshots of a table.
pub(super) const SNAPSHOTS: &str = "snapshots";

/// The data directories of a node.
pub(super) struct Folders {
    roots: Vec<PathBuf>,
    /// What to say of where they come from.
    origin: String,
}

impl Folders {
    /// The data directories that a node's configuration names, each once.
    ///
    /// # Errors
    /// [`Error::NodeConfig`] when one is not there; [`Error::File`].
    pub(super) fn of(config: &NodeConfig) -> Result<Self, Error> {
        let (mut roots, mut seen) = (Vec::new(), BTreeSet::new());
        for root in config.all_data_directories() {
            let stat = match fs::metadata(root) {
                Err(cause) if cause.kind() == ErrorKind::NotFound => {
                    let why = format!("{} of its data directories is not there: is this the configuration of the node?", root.display());
                    return Err(Error::NodeConfig { path: config.path.clone(), line: None, why });
                }
                stat => stat.map_err(Error::file("look at", root))?,
            };
            if seen.insert((stat.dev(), stat.ino())) {
                roots.push(root.to_owned());
            }
        }
        let is_assumed = if config.assumed.contains(&"data_file_directories") { "assumed, for they are not in" } else { "from" };
        Ok(Self { roots, origin: format!("{is_assumed} {}", config.path.display()) })
    }

    /// Those of the data directories that are there: the node makes them when it is first started.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn present(config: &NodeConfig) -> Result<Self, Error> {
        let mut there = config.clone();
        let is_there = |root: &Path| root.try_exists().map_err(Error::file("look at", root));
        there.data_directories = Vec::new();
        for root in &config.data_directories {
            if is_there(root)? {
                there.data_directories.push(root.clone());
            }
        }
        if let Some(local) = &config.local_system_data_directory
            && !is_there(local)?
        {
            there.local_system_data_directory = None;
        }
        Self::of(&there)
    }

    /// The data directories.
    pub(super) fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// The data directories, for a person.
    pub(super) fn told(&self) -> String {
        let roots = self.roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(", ");
        format!("{roots} ({})", self.origin)
    }

    /// The folders of a table that are there. The folder of a keyspace or table may be a symbolic link: some move a table that way.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn of_table(&self, keyspace: &str, table: &Table) -> Result<Vec<PathBuf>, Error> {
        self.existing(|root| root.join(keyspace).join(table.folder()), |path| fs::metadata(path))
    }

    /// The folders of a table's snapshot that are there.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn of_snapshot(&self, keyspace: &str, table: &Table, tag: &str) -> Result<Vec<PathBuf>, Error> {
        let folder = |root: &Path| root.join(keyspace).join(table.folder()).join(SNAPSHOTS).join(tag);
        self.existing(folder, |path| fs::symlink_metadata(path))
    }

    fn existing(&self, path: impl Fn(&Path) -> PathBuf, look: impl Fn(&Path) -> io::Result<Metadata>) -> Result<Vec<PathBuf>, Error> {
        let mut found = Vec::new();
        for root in &self.roots {
            let path = path(root);
            match look(&path) {
                Ok(stat) if stat.is_dir() => found.push(path),
                Ok(_) => return Err(Error::WrongKind { path, wanted: "a folder" }),
                Err(cause) if cause.kind() == ErrorKind::NotFound => {}
                Err(cause) => return Err(Error::file("look at", path)(cause)),
            }
        }
        Ok(found)
    }

    /// Hands over every folder of a table of a keyspace, also those of tables that are dropped, with its name.
    ///
    /// # Errors
    /// [`Error::File`]; those of `each`.
    pub(super) fn each_table(&self, keyspace: &str, mut each: impl FnMut(&str, &Path) -> Result<(), Error>) -> Result<(), Error> {
        for root in &self.roots {
            for entry in entries(&root.join(keyspace))? {
                let (path, name) = (entry.path(), entry.file_name());
                if let (true, Some(name)) = (path.is_dir(), name.to_str()) {
                    each(name, &path)?;
                }
            }
        }
        Ok(())
    }

    /// Whether any folder of these keyspaces has a snapshot of this name.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn has_tag(&self, keyspaces: &[String], tag: &str) -> Result<bool, Error> {
        let mut has = false;
        for keyspace in keyspaces {
            self.each_table(keyspace, |_, path| {
                has |= path.join(SNAPSHOTS).join(tag).is_dir();
                Ok(())
            })?;
        }
        Ok(has)
    }
}

/// The data directories that tables of a source lie in, each once: without the one of the system's own tables, unless it is one of them.
///
/// # Errors
/// [`Error::NodeConfig`] when one is not there; [`Error::File`].
pub fn data_directories(config: &NodeConfig) -> Result<Vec<PathBuf>, Error> {
    let folders = Folders::of(config)?;
    Ok(folders.roots.into_iter().filter(|root| config.data_directories.contains(root)).collect())
}

/// Looks whether every table of a schema has a folder in a data directory: else the node keeps its tables elsewhere.
///
/// # Errors
/// [`Error::Refused`] naming the table; [`Error::NodeConfig`]; [`Error::File`].
pub fn check_folders(config: &NodeConfig, schema: &Schema) -> Result<(), Error> {
    match Before::look(&Folders::of(config)?, schema) {
        Err(Error::NotWhole { why }) => Err(Error::Refused { why }),
        looked => looked.map(drop),
    }
}

/// Whether a table has SSTables in one of its live folders.
///
/// # Errors
/// [`Error::NodeConfig`]; [`Error::File`].
pub fn has_rows(config: &NodeConfig, keyspace: &str, folder: &str) -> Result<bool, Error> {
    for root in Folders::of(config)?.roots {
        let path = root.join(keyspace).join(folder);
        if path.is_dir() && data_files(&path)?.next().transpose()?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The names of the folders of a keyspace's tables, those of dropped ones with them, each once.
///
/// # Errors
/// [`Error::NodeConfig`]; [`Error::File`].
pub fn table_folders(config: &NodeConfig, keyspace: &str) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    Folders::of(config)?.each_table(keyspace, |name, _| {
        names.insert(name.to_owned());
        Ok(())
    })?;
    Ok(names)
}

/// The tables of a schema as they lie on the disk before a snapshot.
pub(super) struct Before {
    /// Folders of tables that had SSTables, as `<keyspace>/<table>-<id>`.
    had: BTreeSet<String>,
}

impl Before {
    /// Looks at the folder of every table.
    ///
    /// # Errors
    /// [`Error::NotWhole`] when a table has no folder in any data directory: then the server keeps its tables elsewhere;
    /// [`Error::Refused`] for names that no server has; [`Error::File`].
    pub(super) fn look(folders: &Folders, schema: &Schema) -> Result<Self, Error> {
        let mut had = BTreeSet::new();
        for (keyspace, table) in tables(schema) {
            if !is_plain(&keyspace.name) || !is_plain(&table.name) {
                let why = format!("`{}.{}` cannot be the name of a table, and paths are made of it", keyspace.name, table.name);
                return Err(Error::Refused { why });
            }
            let found = folders.of_table(&keyspace.name, table)?;
            if found.is_empty() {
                let (name, told) = (format!("{}.{}", keyspace.name, table.name), folders.told());
                let why = format!("the server has a table {name}, and no folder {} in {told}", table.folder());
                return Err(Error::NotWhole { why: format!("{why}: give the configuration that the server was started with") });
            }
            for folder in found {
                if data_files(&folder)?.next().transpose()?.is_some() {
                    had.insert(key(keyspace, table));
                }
            }
        }
        Ok(Self { had })
    }

    /// Whether a table had SSTables.
    pub(super) fn had(&self, keyspace: &Keyspace, table: &Table) -> bool {
        self.had.contains(&key(keyspace, table))
    }
}

/// A table's folder below a data directory, and below a copy's data.
pub(super) fn key(keyspace: &Keyspace, table: &Table) -> String {
    format!("{}/{}", keyspace.name, table.folder())
}

/// All tables and views of a schema.
pub(super) fn tables(schema: &Schema) -> impl Iterator<Item = (&Keyspace, &Table)> {
    schema.keyspaces.iter().flat_map(|keyspace| keyspace.tables.iter().map(move |table| (keyspace, table)))
}

/// The files with rows that lie in the folder of a table.
pub(super) fn data_files(folder: &Path) -> Result<impl Iterator<Item = Result<DirEntry, Error>>, Error> {
    let is_data = |entry: &DirEntry| entry.file_name().to_str().and_then(Component::parse).is_some_and(|found| found.name == DATA);
    let path = folder.to_owned();
    let listing = fs::read_dir(folder).map_err(Error::file("list", folder))?;
    Ok(listing.map(move |entry| entry.map_err(Error::file("list", &path))).filter(move |entry| entry.as_ref().map_or(true, is_data)))
}

/// The entries of a folder, one at a time; none where there is no such folder.
pub(super) fn listing(folder: &Path) -> Result<impl Iterator<Item = Result<DirEntry, Error>>, Error> {
    let listing = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => None,
        listing => Some(listing.map_err(Error::file("list", folder))?),
    };
    let path = folder.to_owned();
    Ok(listing.into_iter().flatten().map(move |entry| entry.map_err(Error::file("list", &path))))
}

/// What lies in a folder of folders, which are few; nothing where there is none.
pub(super) fn entries(folder: &Path) -> Result<Vec<DirEntry>, Error> {
    match fs::read_dir(folder) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        listing => listing.and_then(Iterator::collect).map_err(Error::file("list", folder)),
    }
}
