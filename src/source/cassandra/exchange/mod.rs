//! Files of a node that is down change places with those of a snapshot.
//!
//! In each data directory, the folder of a table (all of it but `snapshots` and `backups`) goes to a place aside, and then the one that lies
//! ready comes in, each by one rename on one filesystem: a node that is started meanwhile finds all files of a table or none. Files of the commit
//! log and its like go one by one.
//! Whoever calls writes down beforehand what is about to happen, and how far it has come: [`Exchange::set_aside`] can be taken back
//! ([`Exchange::take_back`]) from wherever it was broken off, and [`Exchange::place`] can be repeated until it is finished.
//! What is aside afterwards comes back by the same two steps of [`Exchange::reversed`].

mod folders;
mod moving;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::component::is_index_folder;
use super::folders::{data_files, entries, listing};
use super::layout::table_of;
use super::schema::Schema;
use crate::source::Error;
use crate::source::placement::{crash, escaped};
use crate::sys::tree::remove_tree;

pub use folders::make_own_folder;
use moving::{give_back, holds_something, move_whole, pour, put_in, take_out};

/// What of a table's folder stays where it is: what the node keeps for others.
const STAYS: [&str; 2] = [super::folders::SNAPSHOTS, "backups"];

/// What changes places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The data directories.
    pub roots: Vec<Root>,
    /// The tables.
    pub tables: Vec<Change>,
    /// Folders that hold no tables: commit log, hints, change data.
    pub others: Vec<Other>,
    /// Folders whose files are removed: saved caches, which are of the state that goes.
    pub caches: Vec<PathBuf>,
}

/// A data directory, and where files of it come from and go to; all on one filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The data directory.
    #[serde(with = "escaped")]
    pub data: PathBuf,
    /// Where what comes lies ready, as `<keyspace>/<folder>/…`; there may be nothing.
    #[serde(with = "escaped")]
    pub incoming: PathBuf,
    /// Where what goes will lie, likewise.
    #[serde(with = "escaped")]
    pub outgoing: PathBuf,
}

/// A table that changes places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its keyspace.
    pub keyspace: String,
    /// The name of its live folder, which is that of its folder aside too.
    pub live: String,
    /// The name of the folder that lies ready; another one where the table was made anew since. `None` where nothing comes.
    pub incoming: Option<String>,
}

/// A folder that holds no tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// The folder, in which the node keeps files and no folders.
    pub live: PathBuf,
    /// Where files come from; `None` where none come.
    pub incoming: Option<PathBuf>,
    /// Where its files go; `None` where they stay.
    pub outgoing: Option<PathBuf>,
    /// Names of what comes in, which [`Exchange::note_coming`] has noted: by them it goes back to where it came from.
    #[serde(default)]
    pub coming: Vec<String>,
    /// Where files of these names go instead; `None` on the way there.
    #[serde(default)]
    pub returning: Option<PathBuf>,
}

/// An index with SSTables of its own of which none come along with those of its table: the node takes it for built, and empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unindexed {
    /// The keyspace.
    pub keyspace: String,
    /// The table.
    pub table: String,
    /// The index.
    pub index: String,
}

impl Exchange {
    /// Looks whether it can be done: each table's folder is on the filesystem of its data directory, no place aside is taken, and no two tables
    /// change the same folder.
    ///
    /// # Errors
    /// [`Error::Refused`]; [`Error::File`].
    pub fn check(&self) -> Result<(), Error> {
        for root in &self.roots {
            if root.outgoing.exists() {
                let why = format!("{} is there already, and nobody remembers what lies in it: move it away", root.outgoing.display());
                return Err(Error::Refused { why });
            }
            let device = device(&root.data)?;
            for table in &self.tables {
                let live = root.live(table);
                if fs::symlink_metadata(&live).is_ok_and(|stat| stat.is_symlink()) {
                    let why = format!("{} is a link, and cannot change places: restore while the node runs (--running)", live.display());
                    return Err(Error::Refused { why });
                }
                if let Some(other) = device_if_there(&live)?
                    && Some(other) != device
                {
                    let why = format!(
                        "{} lies on another filesystem than {}, so that its files cannot change places: restore while the node runs (--running)",
                        live.display(),
                        root.data.display()
                    );
                    return Err(Error::Refused { why });
                }
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        match self.tables.iter().find(|table| !seen.insert((&table.keyspace, &table.live))) {
            Some(table) => Err(Error::Refused { why: format!("two tables would come into {}/{}", table.keyspace, table.live) }),
            None => Ok(()),
        }
    }

    /// Moves what is live aside. Doing it again goes on where it ended.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::System`].
    pub fn set_aside(&self) -> Result<(), Error> {
        for root in &self.roots {
            make_own_folder(&root.data, &root.outgoing)?;
            for table in &self.tables {
                take_out(&root.data, &root.live(table), &root.aside(table))?;
            }
        }
        for other in &self.others {
            if let Some(place) = &other.returning {
                give_back(&other.live, place, &other.coming)?;
            }
            if let Some(aside) = &other.outgoing
                && other.live.is_dir()
            {
                make_own_folder(&other.live, aside)?;
                // What else lies in such a folder is not of the node, and one of them is the place aside itself.
                pour(&other.live, aside, &|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()))?;
            }
        }
        Ok(())
    }

    /// Notes the names of files of commit log, hints and change data that come in, so that they can be told from what the node writes there. To be
    /// asked before [`Exchange::place`], and remembered.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn note_coming(&mut self) -> Result<(), Error> {
        for other in &mut self.others {
            let Some(place) = &other.incoming else { continue };
            // Cassandra's own names are ASCII. Its commit log has a limit of its own, 8 GiB in segments of 32 MiB where nothing else is said.
            other.coming.clear();
            for entry in listing(place)? {
                other.coming.extend(entry?.file_name().into_string().ok());
            }
        }
        Ok(())
    }

    /// Indexes that were live and do not come with a table that has rows. To be asked between [`Exchange::set_aside`] and [`Exchange::place`].
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn unindexed(&self) -> Result<Vec<Unindexed>, Error> {
        let mut found = Vec::new();
        for table in &self.tables {
            let Some(incoming) = &table.incoming else { continue };
            let ready = |root: &Root| root.incoming.join(&table.keyspace).join(incoming);
            let mut has_rows = false;
            for root in &self.roots {
                has_rows |= ready(root).is_dir() && data_files(&ready(root))?.next().transpose()?.is_some();
            }
            let mut indexes = std::collections::BTreeSet::new();
            for root in self.roots.iter().filter(|_| has_rows) {
                for entry in listing(&root.outgoing.join(&table.keyspace).join(&table.live))? {
                    indexes.extend(entry?.file_name().into_string().ok().filter(|name| is_index_folder(name)));
                }
            }
            for folder in indexes {
                let mut comes = false;
                for root in &self.roots {
                    comes |= holds_something(&ready(root).join(&folder), &[])?;
                }
                if let (false, Some((name, _))) = (comes, table_of(&table.live)) {
                    let (keyspace, table) = (table.keyspace.clone(), name.to_owned());
                    found.push(Unindexed { keyspace, table, index: folder[1..].to_owned() });
                }
            }
        }
        Ok(found)
    }

    /// Removes, of what lies ready, the folders of indexes that the node, of this schema, does not have: it leaves such a folder alone, and an index
    /// that is made under that name one day would take what lies there for its own.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::System`].
    pub fn leave_indexes_out(&self, schema: &Schema) -> Result<(), Error> {
        for change in &self.tables {
            let keyspace = schema.keyspaces.iter().find(|keyspace| keyspace.name == change.keyspace);
            let mut tables = keyspace.iter().flat_map(|keyspace| &keyspace.tables);
            let (Some(ready), Some(table)) = (&change.incoming, tables.find(|table| table.folder() == change.live)) else { continue };
            for root in &self.roots {
                let folder = root.incoming.join(&change.keyspace).join(ready);
                for entry in entries(&folder)? {
                    let name = entry.file_name();
                    let index = name.to_str().filter(|name| is_index_folder(name)).map(|name| name[1..].to_owned());
                    if index.is_some_and(|index| !table.indexes.contains(&index)) {
                        remove_tree(&folder.join(name))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Moves back what [`Exchange::set_aside`] has moved, of which nothing has come in yet, and removes the places aside.
    ///
    /// # Errors
    /// As [`Exchange::set_aside`]; [`Error::HalfDone`].
    pub fn take_back(&self) -> Result<(), Error> {
        for root in &self.roots {
            for table in &self.tables {
                put_in(&root.data, &root.aside(table), &root.live(table), &root.late(table))?;
            }
        }
        for other in &self.others {
            if let Some(aside) = &other.outgoing {
                pour(aside, &other.live, &|_| true)?;
            }
        }
        remove_all(self.roots.iter().map(|root| &root.outgoing))?;
        remove_all(self.others.iter().filter_map(|other| other.outgoing.as_ref()))
    }

    /// Moves what lies ready to where it is live. Doing it again goes on where it ended.
    ///
    /// # Errors
    /// As [`Exchange::take_back`].
    pub fn place(&self) -> Result<(), Error> {
        for root in &self.roots {
            for table in &self.tables {
                if let Some(folder) = &table.incoming {
                    let ready = root.incoming.join(&table.keyspace).join(folder);
                    put_in(&root.data, &ready, &root.live(table), &root.late(table))?;
                }
            }
        }
        for other in &self.others {
            if let Some(ready) = &other.incoming {
                pour(ready, &other.live, &|_| true)?;
            }
        }
        self.caches.iter().try_for_each(|folder| remove_files(folder))
    }

    /// Places of files that were in the way, because somebody has started the node while its files were changing places. Nothing removes them.
    pub fn late(&self) -> Vec<PathBuf> {
        self.roots.iter().map(|root| beside(&root.outgoing)).filter(|place| place.exists()).collect()
    }

    /// Once it was carried out and reversed: keeps what was live in between, to which somebody may have written, where no later restore puts
    /// its files together. Gives where it lies. What came from one of `but` stays there. Doing it again goes on where it ended.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::System`].
    pub fn keep_written(&self, but: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
        let mut kept = Vec::new();
        for root in self.roots.iter().filter(|root| !but.contains(&root.incoming)) {
            let place = with_suffix(&root.outgoing, ".written");
            if !place.exists() && holds_something(&root.incoming, &[])? {
                move_whole(&root.incoming, &place)?;
            }
            if place.exists() {
                kept.push(place);
            }
        }
        Ok(kept)
    }

    /// The exchange that makes live again what this one has set aside, and puts what is live then where this one's files had lain ready.
    /// What the node has written to its commit log since then stays, unless the node has been `drained` since; what had come into it goes back to
    /// where it came from, as far as the node has not taken it up: there it belongs to what is set aside.
    pub fn reversed(&self, drained: bool) -> Self {
        let root = |root: &Root| Root { data: root.data.clone(), incoming: root.outgoing.clone(), outgoing: root.incoming.clone() };
        let table = |table: &Change| Change { incoming: Some(table.live.clone()), ..table.clone() };
        let other = |other: &Other| {
            let aside = other.outgoing.as_ref().map(|place| beside(place));
            Other {
                live: other.live.clone(),
                incoming: other.outgoing.clone(),
                outgoing: aside.filter(|_| drained),
                coming: other.coming.clone(),
                returning: other.incoming.clone(),
            }
        };
        Self {
            roots: self.roots.iter().map(root).collect(),
            tables: self.tables.iter().map(table).collect(),
            others: self.others.iter().map(other).collect(),
            caches: self.caches.clone(),
        }
    }
}

impl Root {
    fn live(&self, table: &Change) -> PathBuf {
        self.data.join(&table.keyspace).join(&table.live)
    }

    fn aside(&self, table: &Change) -> PathBuf {
        self.outgoing.join(&table.keyspace).join(&table.live)
    }

    /// Where what has come into a table's live folder meanwhile goes.
    fn late(&self, table: &Change) -> PathBuf {
        beside(&self.outgoing).join(&table.keyspace).join(&table.live)
    }
}

fn remove_all<'a>(places: impl Iterator<Item = &'a PathBuf>) -> Result<(), Error> {
    for place in places {
        remove_tree(place)?;
        crash::point();
    }
    Ok(())
}

/// Where what is of no state that is kept goes.
fn beside(place: &Path) -> PathBuf {
    with_suffix(place, ".late")
}

fn with_suffix(place: &Path, suffix: &str) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    place.with_file_name(name)
}

/// Removes the files in a folder.
fn remove_files(folder: &Path) -> Result<(), Error> {
    for entry in listing(folder)? {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| !kind.is_dir()) {
            match fs::remove_file(entry.path()) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(Error::file("remove", entry.path())(cause)),
                _ => crash::point(),
            }
        }
    }
    Ok(())
}

fn device(path: &Path) -> Result<Option<u64>, Error> {
    fs::metadata(path).map(|stat| Some(stat.dev())).map_err(Error::file("look at", path))
}

fn device_if_there(path: &Path) -> Result<Option<u64>, Error> {
    match fs::metadata(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        stat => stat.map(|stat| Some(stat.dev())).map_err(Error::file("look at", path)),
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
