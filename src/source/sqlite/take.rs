//! Taking a copy of a live database.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use super::connection::{Access, Connection, needs_writing};
use super::facts::Facts;
use crate::source::Error;
use crate::sys::file::sync_folder;
use crate::sys::stop::Stop;

/// How long a statement waits for writers: longer than any write should take, shorter than an operator's patience.
const PATIENCE: Duration = Duration::from_secs(120);

/// What every database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Findings of the integrity check that are quoted.
const FINDINGS: usize = 3;

/// Copies the live database `path` into the new file `target` (mode 0600), as of one moment, and has SQLite check the copy.
///
/// Others may go on reading and writing. With a write-ahead log nobody waits; with a rollback journal writers wait while the copy is made,
/// as they do for any reader. The copy is a single file, packed, without a log. Indexes, triggers, `user_version` and the like come along.
/// When it returns, the copy survives a power cut; when it fails, there is no `target`.
///
/// # Errors
/// [`Error::NotThere`], [`Error::WrongKind`] and [`Error::Refused`] when `path` holds no database; [`Error::Busy`] when a writer does not
/// let go for 30 seconds; [`Error::Corrupt`] when the copy is not sound; [`Error::Stopped`]; [`Error::Sql`]; [`Error::File`].
pub fn take(path: &Path, target: &Path, stop: &Stop) -> Result<Facts, Error> {
    check_header(path)?;
    // The file is made here, so that nobody else may read it; SQLite accepts an empty one.
    File::options().write(true).create_new(true).mode(0o600).open(target).map_err(Error::file("create", target))?;
    let outcome = copy(path, target, stop);
    if outcome.is_err() {
        // The first failure is the one to tell.
        let _ = std::fs::remove_file(target);
    }
    outcome
}

fn copy(path: &Path, target: &Path, stop: &Stop) -> Result<Facts, Error> {
    let absolute = std::path::absolute(target).map_err(Error::file("find", target))?;
    let Some(text) = absolute.to_str() else {
        return Err(Error::Refused { why: format!("SQLite cannot write to {}, whose name is not UTF-8", target.display()) });
    };
    let mut live = open(path, stop)?;
    let journal_mode = live.value("read the journal mode of", "PRAGMA journal_mode")?;
    live.run_with("copy", "VACUUM INTO ?", text)?;
    live.close()?;
    let facts = check(target, journal_mode, stop)?;
    let file = File::open(target).map_err(Error::file("open", target))?;
    file.sync_all().map_err(Error::file("sync", target))?;
    sync_folder(absolute.parent().unwrap_or(Path::new("/")))?;
    Ok(facts)
}

/// Has SQLite check a database that nobody else uses: every page, every index entry. `journal_mode` goes into the facts.
///
/// # Errors
/// [`Error::Corrupt`] with the first findings; as [`take`].
pub fn check(path: &Path, journal_mode: String, stop: &Stop) -> Result<Facts, Error> {
    check_header(path)?;
    let mut connection = Connection::open(path, Access::Read, PATIENCE, stop)?;
    let findings = connection.column("check", "PRAGMA integrity_check(100)").map_err(|error| match error {
        Error::Sql { cause, path, .. } if cause.as_database_error().is_some() => Error::Corrupt { path, findings: cause.to_string() },
        other => other,
    })?;
    if findings != ["ok"] {
        let findings = findings.into_iter().take(FINDINGS).collect::<Vec<_>>().join("; ");
        return Err(Error::Corrupt { path: path.to_owned(), findings });
    }
    let facts = Facts::read(&mut connection, journal_mode)?;
    connection.close()?;
    Ok(facts)
}

/// Opens a live database to read it; only where SQLite must first recover something, so that it may write.
fn open(path: &Path, stop: &Stop) -> Result<Connection, Error> {
    let attempt = |access| {
        let mut connection = Connection::open(path, access, PATIENCE, stop)?;
        connection.value::<i64>("read", "SELECT count(*) FROM sqlite_schema")?;
        Ok(connection)
    };
    match attempt(Access::Read) {
        Err(error) if needs_writing(&error) => attempt(Access::Write),
        other => other,
    }
}

/// Bytes of a database and of what its write-ahead log may add; nothing but its header is read.
///
/// # Errors
/// [`Error::NotThere`]; [`Error::WrongKind`]; [`Error::Refused`] for an empty file; [`Error::File`].
pub fn size(path: &Path) -> Result<u64, Error> {
    check_header(path)?;
    let database = std::fs::metadata(path).map_err(Error::file("look at", path))?.len();
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    Ok(database + std::fs::metadata(wal).map_or(0, |wal| wal.len()))
}

/// Tells early and clearly what is no database.
pub(super) fn check_header(path: &Path) -> Result<(), Error> {
    let found = match std::fs::metadata(path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Err(Error::NotThere { path: path.to_owned() }),
        other => other.map_err(Error::file("look at", path))?,
    };
    if !found.is_file() {
        return Err(Error::WrongKind { path: path.to_owned(), wanted: "an SQLite database" });
    }
    if found.len() == 0 {
        return Err(Error::Refused { why: format!("{} is empty: a file of 0 bytes is no database worth a snapshot", path.display()) });
    }
    let mut magic = [0; 16];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    match read {
        Ok(()) if magic == *MAGIC => Ok(()),
        Err(cause) if cause.kind() != std::io::ErrorKind::UnexpectedEof => Err(Error::file("read", path)(cause)),
        _ => Err(Error::WrongKind { path: path.to_owned(), wanted: "an SQLite database" }),
    }
}

#[cfg(test)]
#[path = "take_tests.rs"]
pub(super) mod tests;
