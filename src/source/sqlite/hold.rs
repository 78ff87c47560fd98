//! Holding a live database still, so that it can be taken away whole.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::connection::{Access, Connection, busy};
use super::sidecars;
use super::take::check_header;
use super::users::other_user;
use crate::source::Error;
use crate::source::placement::crash;
use crate::source::placement::record::Record;
use crate::sys::stop::Stop;

/// How long to wait for others to let go: a statement that just ends is waited for, a program that runs is not.
const PATIENCE: Duration = Duration::from_secs(2);

/// An exclusive lock on a database, held until it is dropped.
pub(super) enum Hold {
    /// SQLite's own, on a database whose log has been written back and removed.
    Sound { _connection: Connection },
    /// The kernel's, on a file that SQLite cannot open. It excludes every lock that SQLite would take.
    Damaged { _file: File },
}

impl Hold {
    /// Locks the database `path` and writes its log back into it; says in the record, before it does, whether there was one.
    ///
    /// # Errors
    /// [`Error::Busy`] when anyone has it open.
    pub(super) fn take(path: &Path, record: &mut Record, journal: &Path) -> Result<Self, Error> {
        // SQLite would remove a log beside a file that it does not take for a database; here it is kept with it.
        let taken = match check_header(path) {
            Ok(()) => Self::take_sound(path, record, journal),
            Err(error) => Err(error),
        };
        match taken {
            Err(Error::WrongKind { .. } | Error::Refused { .. } | Error::Sql { .. }) => {
                record.was_wal = false;
                Self::take_damaged(path)
            }
            other => other,
        }
        .and_then(|hold| if other_user(path).is_some() { Err(busy(path.to_owned(), None)) } else { Ok(hold) })
    }

    fn take_sound(path: &Path, record: &mut Record, journal: &Path) -> Result<Self, Error> {
        let mut connection = Connection::open(path, Access::Write, PATIENCE, &Stop::new())?;
        let mode: String = connection.value("read the journal mode of", "PRAGMA journal_mode")?;
        if mode.eq_ignore_ascii_case("wal") {
            record.was_wal = true;
            record.write(journal)?;
            // This needs the database to itself, writes the log back and removes it with its index. Closing a database that is in WAL mode
            // would remove a log by its name, which by then may be the new database's.
            let mode: String = connection.value("write back the log of", "PRAGMA journal_mode = DELETE")?;
            if mode.eq_ignore_ascii_case("wal") {
                return Err(busy(path.to_owned(), None));
            }
            crash::point();
        }
        connection.run("lock", "BEGIN EXCLUSIVE")?;
        // Between the two, somebody may have come and gone.
        let mode: String = connection.value("read the journal mode of", "PRAGMA journal_mode")?;
        if mode.eq_ignore_ascii_case("wal") || !sidecars::beside(path)?.iter().all(|ending| ending == "-journal") {
            return Err(busy(path.to_owned(), None));
        }
        Ok(Self::Sound { _connection: connection })
    }

    fn take_damaged(path: &Path) -> Result<Self, Error> {
        let file = File::options().read(true).write(true).open(path).map_err(Error::file("open", path))?;
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self::Damaged { _file: file }),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Err(busy(path.to_owned(), None)),
            Err(cause) => Err(Error::file("lock", path)(cause)),
        }
    }
}

/// Gives a database that had a log one again. Where that does not work it is none the worse: whoever uses it next may ask for one.
pub(super) fn give_back_log(path: &Path) -> Result<(), Error> {
    match use_log(path, &Stop::new()) {
        Err(Error::Busy { .. } | Error::Sql { .. } | Error::WrongKind { .. } | Error::Refused { .. }) => Ok(()),
        other => other,
    }
}

/// Makes a database that nobody uses commit through a write-ahead log from now on.
pub(super) fn use_log(path: &Path, stop: &Stop) -> Result<(), Error> {
    let mut connection = Connection::open(path, Access::Write, PATIENCE, stop)?;
    let mode: String = connection.value("set the journal mode of", "PRAGMA journal_mode = WAL")?;
    connection.close()?;
    if mode.eq_ignore_ascii_case("wal") {
        return Ok(());
    }
    Err(Error::Refused { why: format!("{} cannot have a write-ahead log", path.display()) })
}
