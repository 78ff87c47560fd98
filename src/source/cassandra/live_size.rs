//! How much the tables take now, and whether a copy can share their files.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::component::{Component, is_index_folder};
use super::earlier::Earlier;
use super::folders::{Folders, data_files, entries, key, tables};
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
    /// Those of these bytes that a copy would have to take from the disk: they lie where no hard link can be made from, and the earlier copy does
    /// not have them.
    pub unlinkable_bytes: u64,
    /// A data directory where that is so.
    pub unlinkable: Option<PathBuf>,
}

/// Looks at the folders of all tables. `folder` is where the copy will be, or one on its filesystem that can be written to: whether links work
/// is tried there, with one file of each data directory. Where they do not, what the `earlier` copy has is linked from there.
///
/// # Errors
/// [`Error::NodeConfig`]; [`Error::File`]; [`Error::Stopped`]. What is compacted away meanwhile does not count.
pub fn live_size(
    config: &NodeConfig,
    schema: &Schema,
    folder: &Path,
    earlier: Option<&Earlier<'_>>,
    stop: &Stop,
) -> Result<LiveSize, Error> {
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
            let held = earlier.map_or(Ok(0), |earlier| held_bytes(earlier, root, schema, stop))?;
            size.unlinkable_bytes += here.bytes.saturating_sub(held);
            size.unlinkable = Some(root.clone());
        }
    }
    Ok(size)
}

/// Bytes of the tables in a data directory that an earlier copy has.
fn held_bytes(earlier: &Earlier<'_>, root: &Path, schema: &Schema, stop: &Stop) -> Result<u64, Error> {
    let mut bytes = 0;
    for (keyspace, table) in tables(schema) {
        let key = key(keyspace, table);
        let folder = root.join(&key);
        let mut of_folder = |below: &Path, prefix: &str| {
            for file in data_files(below)? {
                stop.check()?;
                let name = file?.file_name();
                let name = name.to_str().and_then(Component::parse).map(|component| format!("{prefix}{}", component.sstable));
                bytes += name.map_or(Ok(0), |name| earlier.beside(&key, &folder, &name).held_bytes())?;
            }
            Ok::<(), Error>(())
        };
        if !folder.is_dir() {
            continue;
        }
        of_folder(&folder, "")?;
        for entry in entries(&folder)? {
            let (path, name) = (entry.path(), entry.file_name());
            if let Some(name) = name.to_str().filter(|name| is_index_folder(name) && path.is_dir()) {
                of_folder(&path, &format!("{name}/"))?;
            }
        }
    }
    Ok(bytes)
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
