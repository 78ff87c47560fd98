//! What writes to a folder leave behind when they are killed: files under temporary names, which no listing shows and no later write uses.

use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::path::Path;

use jiff::Timestamp;

use super::core::Core;
use super::error::Error;
use super::fault::Fault;
use crate::format::key::Key;

/// Files under temporary names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remnants {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether they were removed, or only counted.
    pub removed: bool,
}

/// Removes (or counts) those below a folder of the repository that are older than this instant; a bucket has none.
pub(super) fn remove(core: &Core, below: &str, before: Timestamp, dry_run: bool) -> Result<Remnants, Error> {
    let mut remnants = Remnants { removed: !dry_run, ..Remnants::default() };
    let Some(folder) = &core.folder else { return Ok(remnants) };
    let failed = |fault: Fault| fault.into_error(core.at("delete", below), 1);
    core.check_folder().map_err(failed)?;
    let root = folder.path();
    let mut folders = vec![root.join(below)];
    while let Some(folder) = folders.pop() {
        let Some(entries) = unless_gone(fs::read_dir(&folder)).map_err(failed)? else { continue };
        for entry in entries {
            core.patience.stop.check().map_err(|_| Error::Stopped { at: core.at("delete", below) })?;
            let Some(entry) = unless_gone(entry).map_err(failed)? else { continue };
            match unless_gone(entry.file_type()).map_err(failed)? {
                Some(kind) if kind.is_dir() => folders.push(entry.path()),
                Some(kind) if kind.is_file() && is_temporary(root, &entry.path()) => {
                    take(&entry, before, &mut remnants).map_err(failed)?;
                }
                _ => {}
            }
        }
    }
    Ok(remnants)
}

/// Removes or counts one, if it is old enough.
fn take(entry: &DirEntry, before: Timestamp, remnants: &mut Remnants) -> Result<(), Fault> {
    let Some(meta) = unless_gone(entry.metadata())? else { return Ok(()) };
    let modified = meta.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    if modified.is_none_or(|modified| modified >= before) {
        return Ok(());
    }
    if !remnants.removed || unless_gone(fs::remove_file(entry.path()))?.is_some() {
        remnants.files += 1;
        remnants.bytes += meta.len();
    }
    Ok(())
}

/// Whether this is a temporary name of the store: that of an object with `#` and a number behind it. Nothing else is touched.
fn is_temporary(root: &Path, path: &Path) -> bool {
    let name = || path.strip_prefix(root).ok()?.to_str()?.rsplit_once('#');
    name().is_some_and(|(key, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && Key::parse(key).is_some())
}

/// What has gone meanwhile needs nobody's care.
fn unless_gone<T>(outcome: std::io::Result<T>) -> Result<Option<T>, Fault> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Fault::io(cause)),
    }
}
