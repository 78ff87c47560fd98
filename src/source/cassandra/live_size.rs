//! How much the tables take now, and whether a copy can share their files.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::component::is_index_folder;
use super::folders::{Folders, tables};
use super::link::can_link;
use super::node_config::NodeConfig;
use super::schema::Schema;
use crate::source::Error;
use crate::sys::stop::Stop;

/// What the tables of a schema take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveSize {
    /// Bytes of the files in the folders of tables and their indexes, without snapshots and backups. What is in memory comes on top.
    pub bytes: u64,
    /// How many files.
    pub files: u64,
    /// Those of these bytes that a copy would have to take from the disk: they lie where no hard link can be made from.
    pub unlinkable_bytes: u64,
    /// A data directory where that is so.
    pub unlinkable: Option<PathBuf>,
}

/// Looks at the folders of all tables. `folder` is where the copy will be, or one on its filesystem that can be written to: whether links work
/// is tried there, with one file of each data directory.
///
/// # Errors
/// [`Error::NodeConfig`]; [`Error::File`]; [`Error::Stopped`]. What is compacted away meanwhile does not count.
pub fn live_size(config: &NodeConfig, schema: &Schema, folder: &Path, stop: &Stop) -> Result<LiveSize, Error> {
    let folders = Folders::of(config)?;
    let mut size = LiveSize::default();
    for root in folders.roots() {
        let mut here = Counted::default();
        for (keyspace, table) in tables(schema) {
            here.folder(&root.join(&keyspace.name).join(table.folder()), true, stop)?;
        }
        size.bytes += here.bytes;
        size.files += here.files;
        // Without a file there is nothing to try, and nothing that would have to be copied.
        let links = here.example.as_deref().map_or(Ok(true), |example| can_link(example, folder));
        if !links.or_else(gone)? {
            size.unlinkable_bytes += here.bytes;
            size.unlinkable = Some(root.clone());
        }
    }
    Ok(size)
}

/// The file that was tried has just been compacted away: on one filesystem, links are taken to work.
fn gone(error: Error) -> Result<bool, Error> {
    match error {
        Error::File { cause, .. } if cause.kind() == ErrorKind::NotFound => Ok(true),
        error => Err(error),
    }
}

#[derive(Default)]
struct Counted {
    bytes: u64,
    files: u64,
    example: Option<PathBuf>,
}

impl Counted {
    fn folder(&mut self, folder: &Path, is_table: bool, stop: &Stop) -> Result<(), Error> {
        let listing = match fs::read_dir(folder) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
            listing => listing.map_err(Error::file("list", folder))?,
        };
        for entry in listing {
            stop.check()?;
            let entry = entry.map_err(Error::file("list", folder))?;
            let path = entry.path();
            match fs::symlink_metadata(&path) {
                Ok(stat) if stat.is_file() => {
                    self.bytes += stat.size();
                    self.files += 1;
                    self.example.get_or_insert(path);
                }
                Ok(stat) if stat.is_dir() && is_table && entry.file_name().to_str().is_some_and(is_index_folder) => {
                    self.folder(&path, false, stop)?;
                }
                Ok(_) => {}
                Err(cause) if cause.kind() == ErrorKind::NotFound => {}
                Err(cause) => return Err(Error::file("look at", path)(cause)),
            }
        }
        Ok(())
    }
}
