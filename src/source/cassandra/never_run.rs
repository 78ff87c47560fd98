//! Whether a node has ever run on its directories, and whether they are those of a new machine.

use std::fs::DirEntry;
use std::path::PathBuf;
use std::time::SystemTime;

use super::folders::{Folders, data_files, entries};
use super::layout::table_of;
use super::node_config::NodeConfig;
use crate::source::Error;

/// How the name of a segment of the commit log begins.
const SEGMENT: &str = "CommitLog-";

/// Whether a node has ever run on these directories: then it has written down what it is (`system.local`), or that is in its commit log still,
/// and there are folders of its own tables. Directories that are not there hold nothing.
///
/// # Errors
/// [`Error::File`].
pub fn has_ever_run(config: &NodeConfig) -> Result<bool, Error> {
    let (mut is_saved, mut has_tables) = (false, false);
    Folders::present(config)?.each_table("system", |name, path| {
        has_tables |= table_of(name).is_some();
        is_saved |= name.starts_with("local-") && data_files(path)?.next().transpose()?.is_some();
        Ok(())
    })?;
    Ok(is_saved || (has_tables && entries(&config.commitlog_directory)?.iter().any(is_segment)))
}

/// What lies in the directories of a node that has never run and can only be another one's: rows, or writes that would be read at its first start.
/// Most often a disk with the rest is not mounted. Where a first start has been tried (`tried_from`), segments of the commit log that came since are
/// its own: Cassandra makes one before it looks whether it can start at all (`CassandraDaemon.setup`, 4.1 and 5.0).
///
/// # Errors
/// [`Error::File`].
pub fn remains(config: &NodeConfig, tried_from: Option<SystemTime>) -> Result<Option<PathBuf>, Error> {
    let folders = Folders::present(config)?;
    for root in folders.roots() {
        for keyspace in entries(root)?.iter().filter(|entry| entry.path().is_dir()) {
            // What begins with a dot is ours, or nobody's that the node would look at.
            let name = keyspace.file_name();
            let Some(keyspace) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let mut found = None;
            folders.each_table(keyspace, |table, path| {
                if found.is_none() && table_of(table).is_some() {
                    found = data_files(path)?.next().transpose()?.map(|file| file.path());
                }
                Ok(())
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    let is_hint = |entry: &DirEntry| entry.path().extension().is_some_and(|end| end == "hints");
    let of = |folder, is_one: &dyn Fn(&DirEntry) -> bool| -> Result<Option<PathBuf>, Error> {
        Ok(entries(folder)?.iter().find(|entry| is_one(entry)).map(DirEntry::path))
    };
    let is_foreign = |entry: &DirEntry| is_segment(entry) && !tried_from.is_some_and(|from| came_after(entry, from));
    Ok(match of(&config.commitlog_directory, &is_foreign)? {
        None => of(&config.cdc_raw_directory, &is_segment)?.or(of(&config.hints_directory, &is_hint)?),
        found => found,
    })
}

/// All directories that a node keeps something in, in the order of `cassandra.yaml`'s own comments.
pub fn all_directories(config: &NodeConfig) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = config.all_data_directories().map(PathBuf::from).collect();
    all.extend(
        [&config.commitlog_directory, &config.cdc_raw_directory, &config.saved_caches_directory, &config.hints_directory]
            .map(PathBuf::clone),
    );
    all
}

fn is_segment(entry: &DirEntry) -> bool {
    entry.file_name().to_str().is_some_and(|name| name.starts_with(SEGMENT) && name.ends_with(".log"))
}

/// What cannot be looked at counts as older.
fn came_after(entry: &DirEntry, from: SystemTime) -> bool {
    entry.metadata().and_then(|stat| stat.modified()).is_ok_and(|time| time >= from)
}

#[cfg(test)]
#[path = "never_run_tests.rs"]
mod tests;
