//! SSTables that lie in the folders of tables, and that the node does not have open.
//!
//! A snapshot is of what the node has open, and so is its manifest. At its start a node passes over an SSTable that it cannot open, and with
//! `disk_failure_policy: best_effort` it gives up all of a data directory after one error: their rows are on the disk and in no snapshot.
//!
//! Much else lies there for good reasons. What was there before the snapshot, is not in it and is there still was mostly compacted away, and
//! waits for whoever reads it; the log of that transaction (`*_txn_*.log`, `LogTransaction` of Cassandra) lies beside it until it is removed. What
//! a compaction or a stream was writing when the snapshot came is in such a log too, and may be open a moment later.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::component::{Component, DATA, is_index_folder};
use super::folders::{Folders, SNAPSHOTS, key, listing, tables};
use super::listing::SORT_MEMORY;
use super::schema::{Schema, Table};
use super::table::{Few, taken_at};
use crate::source::{Error, Problem};
use crate::sys::sorter::{Sorted, Sorter};
use crate::sys::stop::Stop;

/// How often those that are in question are looked at again, and how long it is waited before each look: what has gone by then was on its way out.
const LOOKS: u32 = 10;
const TICK: Duration = Duration::from_millis(500);

/// How long before the end of the snapshot an SSTable must have been written, in seconds: one that was streamed in is opened once its indexes are
/// built, which takes minutes. What is passed over because of that is told by the next snapshot.
const YOUNG_SECONDS: i64 = 15 * 60;

/// Most SSTables that are in question at once, because they are held in memory. Of more the rest is told once these are mended.
const QUESTIONED_MAX: usize = 4096;

/// Most that is read of a log of a transaction: it has a line of some hundred bytes for each SSTable.
const LOG_MAX: u64 = 64 << 20;

/// What lay in the folders of the tables before a snapshot.
pub(super) struct Lying<'a> {
    folders: &'a Folders,
    schema: &'a Schema,
    /// The files with rows, as `<key of the table>/[.<index>/]<name>`, NUL, and which data directory it is in.
    files: Sorted,
    /// Those of transactions that were under way.
    under_way: BTreeSet<String>,
}

/// An SSTable that the snapshot does not have.
struct Questioned {
    /// The folder of its table below a data directory.
    key: String,
    /// Its path below that.
    below: String,
    root: PathBuf,
}

impl<'a> Lying<'a> {
    /// Looks before the snapshot.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::System`]; [`Error::Stopped`].
    pub(super) fn look(folders: &'a Folders, schema: &'a Schema, work: &Path, stop: &Stop) -> Result<Self, Error> {
        let (mut names, mut under_way) = (Sorter::new(work, SORT_MEMORY), BTreeSet::new());
        for (keyspace, table) in tables(schema) {
            let key = key(keyspace, table);
            for (at, root) in folders.roots().iter().enumerate() {
                let at = u16::try_from(at).map_err(|_| Error::Refused { why: "a node has at most 65,535 data directories".into() })?;
                for index in live_folders(table) {
                    for entry in listing(&root.join(&key).join(&index))? {
                        stop.check()?;
                        let name = entry?.file_name();
                        let Some(name) = name.to_str().filter(|name| is_data(name)) else { continue };
                        names.push(&[key.as_bytes(), b"/", index.as_bytes(), name.as_bytes(), &[0], &at.to_be_bytes()].concat())?;
                    }
                }
            }
            // After the files: what has come into a folder was in a log before.
            under_way.append(&mut in_transactions(folders, &key, table)?);
        }
        Ok(Self { folders, schema, files: names.sorted()?, under_way })
    }

    /// What of it is neither in the snapshot of this name nor on its way out: one problem for each table.
    ///
    /// # Errors
    /// As [`Lying::look`].
    pub(super) fn left_out(mut self, tag: &str, stop: &Stop) -> Result<Vec<Problem>, Error> {
        let mut questioned = self.questioned(tag, stop)?;
        for look in 0..LOOKS {
            if look > 0 {
                std::thread::sleep(TICK);
            }
            stop.check()?;
            self.still_there(&mut questioned)?;
            if questioned.is_empty() {
                return Ok(Vec::new());
            }
        }
        told(questioned)
    }

    /// Those that the snapshot does not have.
    fn questioned(&mut self, tag: &str, stop: &Stop) -> Result<Vec<Questioned>, Error> {
        let mut found = Vec::new();
        while let Some(record) = self.files.next()? {
            stop.check()?;
            let (path, at) = record.split_at(record.len() - 2);
            let path = String::from_utf8_lossy(&path[..path.len() - 1]).into_owned();
            let root = &self.folders.roots()[usize::from(u16::from_be_bytes([at[0], at[1]]))];
            let slash = path.match_indices('/').nth(1).map_or(path.len(), |(at, _)| at);
            let (key, below) = (path[..slash].to_owned(), path[slash + 1..].to_owned());
            if root.join(&key).join(SNAPSHOTS).join(tag).join(&below).exists() || self.under_way.contains(stem(&path)) {
                continue;
            }
            if self.is_whole_and_old(root, &key, &below, tag)? && found.len() < QUESTIONED_MAX {
                found.push(Questioned { key, below, root: root.clone() });
            }
        }
        Ok(found)
    }

    /// Whether it has rows, and had them for some time when the snapshot came.
    fn is_whole_and_old(&self, root: &Path, key: &str, below: &str, tag: &str) -> Result<bool, Error> {
        let path = root.join(key).join(below);
        let stat = match fs::metadata(&path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(false),
            stat => stat.map_err(Error::file("look at", &path))?,
        };
        let places: Vec<PathBuf> = self.folders.roots().iter().map(|root| root.join(key).join(SNAPSHOTS).join(tag)).collect();
        let (taken, _) = taken_at(&places)?;
        Ok(stat.size() > 0 && stat.mtime() < taken.saturating_sub(YOUNG_SECONDS))
    }

    /// Leaves those that are there and in no log. The logs are read first: one goes only after all that it has given up.
    fn still_there(&self, questioned: &mut Vec<Questioned>) -> Result<(), Error> {
        let mut logs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (keyspace, table) in tables(self.schema) {
            let key = key(keyspace, table);
            if questioned.iter().any(|sstable| sstable.key == key) {
                logs.insert(key.clone(), in_transactions(self.folders, &key, table)?);
            }
        }
        questioned.retain(|sstable| {
            let path = format!("{}/{}", sstable.key, sstable.below);
            let is_in_log = logs.get(&sstable.key).is_some_and(|log| log.contains(stem(&path)));
            !is_in_log && sstable.root.join(path).exists()
        });
        Ok(())
    }
}

/// One problem for each table.
fn told(questioned: Vec<Questioned>) -> Result<Vec<Problem>, Error> {
    let mut of_tables: BTreeMap<String, (PathBuf, Few)> = BTreeMap::new();
    for Questioned { key, below, root } in questioned {
        of_tables.entry(key).or_insert_with(|| (root, Few::default())).1.add(below);
    }
    let mut problems = Vec::new();
    for (key, (root, few)) in of_tables {
        let what = format!(
            "it lies in {}, and the node does not have it open: none of its rows is in the snapshot, nor in any answer of the node; its log \
             (system.log) says why since its last start",
            root.join(&key).display()
        );
        problems.extend(few.problem(Problem::NOT_OPEN, &key, &what)?);
    }
    Ok(problems)
}

/// Where SSTables of a table lie below its folder: in itself, and in those of its indexes. The folder of an index that was dropped may stay.
fn live_folders(table: &Table) -> impl Iterator<Item = String> {
    let of_indexes = table.indexes.iter().map(|index| format!(".{index}")).filter(|name| is_index_folder(name));
    std::iter::once(String::new()).chain(of_indexes.map(|name| name + "/"))
}

fn is_data(name: &str) -> bool {
    Component::parse(name).is_some_and(|component| component.name == DATA)
}

/// What the paths of all files of an SSTable begin with.
fn stem(path: &str) -> &str {
    path.strip_suffix(DATA).map_or(path, |stem| stem.trim_end_matches('-'))
}

/// The SSTables of a table that are in a log of a transaction, as they are named before `-Data.db`: those that it makes, and those that it gives up.
fn in_transactions(folders: &Folders, key: &str, table: &Table) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();
    for root in folders.roots() {
        for index in live_folders(table) {
            for entry in listing(&root.join(key).join(&index))? {
                let entry = entry?;
                if entry.file_name().to_str().is_some_and(is_log) {
                    read_log(&entry.path(), key, &mut found)?;
                }
            }
        }
    }
    Ok(found)
}

/// Whether a file is the log of a transaction: `nb_txn_compaction_<id>.log` (`LogFile`).
fn is_log(name: &str) -> bool {
    name.contains("_txn_") && name.ends_with(".log")
}

/// Reads a log, of which each line is `ADD:[/…/nb-2-big-,0,8][<checksum>]`, or begins with `REMOVE`, `COMMIT` or `ABORT` (`LogRecord`). The last
/// line may be half written, and so is that SSTable.
fn read_log(path: &Path, key: &str, found: &mut BTreeSet<String>) -> Result<(), Error> {
    let file = match File::open(path) {
        // The transaction has just come to its end.
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
        file => file.map_err(Error::file("read", path))?,
    };
    for line in BufReader::new(file.take(LOG_MAX)).split(b'\n') {
        let line = line.map_err(Error::file("read", path))?;
        let line = String::from_utf8_lossy(&line);
        let Some(named) = line.split_once('[').and_then(|(_, rest)| rest.split(',').next()) else { continue };
        let mut parts = named.rsplit('/');
        let name = parts.next().unwrap_or_default().trim_end_matches('-');
        let index = parts.next().filter(|folder| is_index_folder(folder)).map_or(String::new(), |folder| format!("{folder}/"));
        if !name.is_empty() {
            found.insert(format!("{key}/{index}{name}"));
        }
    }
    Ok(())
}
