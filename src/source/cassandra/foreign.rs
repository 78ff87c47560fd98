//! Snapshots that are not ours: never touched, and told by what only they hold.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Serialize;

use super::folders::{Folders, SNAPSHOTS, entries};
use super::manifest;
use crate::source::Error;
use crate::sys::stop::Stop;

/// What the names of snapshots begin with that the server makes by itself: before TRUNCATE, before DROP, and `scrub` before it begins
/// (`ColumnFamilyStore`, `Keyspace`).
const AUTO: [&str; 3] = ["truncated-", "dropped-", "pre-scrub-"];

/// Whether it is the name of one that ScyllaDB makes by itself before TRUNCATE or DROP: the time in milliseconds, `-`, the table
/// (`docs/dev/sstables-directory-structure.md` of its source). `path` is the snapshot's folder.
fn is_auto_of_scylla(path: &Path, name: &str) -> bool {
    let table = path.ancestors().nth(2).and_then(|table| table.file_name()?.to_str()?.rsplit_once('-'));
    let is_time = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').zip(table).is_some_and(|((time, of), (table, _))| is_time(time) && of == table)
}

/// What the server puts into a snapshot of its own that it removes at its next start, up to 4.1; later its manifest says so.
const EPHEMERAL: &str = "ephemeral.snapshot";

/// Snapshots of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Folders of snapshots: one for each table and data directory.
    pub folders: u64,
    /// Bytes of files that nothing else shares, so that they are free once the snapshot is cleared.
    pub bytes: u64,
    /// The name of one of them.
    pub example: Option<String>,
}

/// Snapshots in the keyspaces of a source that are not ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Foreign {
    /// Those that the server made by itself, before TRUNCATE, DROP or `scrub`.
    pub auto: Held,
    /// Those that the server made for a repair, and removes itself.
    pub ephemeral: Held,
    /// Those of other tools and of people.
    pub others: Held,
    /// Folders that could not be looked at, so that what they hold is in none of these.
    pub unseen: Unseen,
}

/// Folders that could not be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// How many.
    pub folders: u64,
    /// The path of one of them, and why.
    pub example: Option<(String, String)>,
}

impl Foreign {
    /// Looks at all snapshots of these keyspaces but the one of this name, those of tables that are dropped with them.
    ///
    /// # Errors
    /// [`Error::File`] when the folders of tables cannot be listed; [`Error::Stopped`]. What vanishes meanwhile does not count.
    pub(super) fn look(folders: &Folders, keyspaces: &[String], tag: &str, stop: &Stop) -> Result<Self, Error> {
        let mut foreign = Self::default();
        for keyspace in keyspaces {
            folders.each_table(keyspace, |_, table| {
                let snapshots = table.join(SNAPSHOTS);
                for entry in foreign.seen(&snapshots, entries(&snapshots))?.unwrap_or_default() {
                    let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
                    if name == tag || !path.is_dir() {
                        continue;
                    }
                    let Some(bytes) = foreign.seen(&path, own_bytes(&path, stop))? else { continue };
                    let held = foreign.kind(&path, &name);
                    held.folders += 1;
                    held.bytes += bytes;
                    held.example.get_or_insert(name);
                }
                Ok(())
            })?;
        }
        Ok(foreign)
    }

    /// What was found in a folder. One that cannot be looked at, as when somebody has copied it there for his own eyes alone, is noted and no error:
    /// it is nothing of the snapshot that is being taken.
    fn seen<T>(&mut self, folder: &Path, found: Result<T, Error>) -> Result<Option<T>, Error> {
        let Err(Error::File { cause, .. }) = found else { return found.map(Some) };
        self.unseen.folders += 1;
        self.unseen.example.get_or_insert_with(|| (folder.display().to_string(), cause.to_string()));
        Ok(None)
    }

    fn kind(&mut self, path: &Path, name: &str) -> &mut Held {
        if AUTO.iter().any(|auto| name.starts_with(auto)) || is_auto_of_scylla(path, name) {
            return &mut self.auto;
        }
        // A manifest that cannot be read says nothing; then it is somebody else's, which nobody touches either.
        let says_so = || matches!(manifest::read(path, |_| Ok(())), Ok(Some(manifest)) if manifest.is_ephemeral);
        if path.join(EPHEMERAL).exists() || says_so() { &mut self.ephemeral } else { &mut self.others }
    }
}

/// Bytes of the files of a snapshot's folder, and of its indexes', that have no other name.
fn own_bytes(folder: &Path, stop: &Stop) -> Result<u64, Error> {
    let mut bytes = 0;
    let listing = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(0),
        listing => listing.map_err(Error::file("list", folder))?,
    };
    for entry in listing {
        stop.check()?;
        let path = entry.map_err(Error::file("list", folder))?.path();
        match fs::symlink_metadata(&path) {
            // Only folders of indexes lie here, which have none inside.
            Ok(stat) if stat.is_dir() => bytes += own_bytes(&path, stop)?,
            Ok(stat) if stat.nlink() == 1 => bytes += stat.size(),
            Ok(_) => {}
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => return Err(Error::file("look at", path)(cause)),
        }
    }
    Ok(bytes)
}
