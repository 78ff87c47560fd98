//! Locks between processes. They are the kernel's (`flock`), so a process that dies, however it dies, holds none.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;

use super::Error;
use super::clock::Clock;
use super::stop::Stop;

/// How often a waiting run looks whether the lock has become free: soon enough for a person, cheap enough for hours.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a lock that is held is left before it is tried once more by who would not wait: [`Lock::holder`] has it for much less.
const LOOKED: Duration = Duration::from_millis(20);

/// How often it is tried once more: several may look, one after the other, and a run that is told of a holder gains nothing by being told sooner.
const LOOKED_MAX: u32 = 5;

/// Tries to take the lock of an open file that lies at this path; gives whether it did.
type Take<'a> = &'a dyn Fn(&File, &Path) -> Result<bool, Error>;

/// A lock that is held until this value is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes a lock that nobody else may hold. `wait` says how long to wait for another holder; `None` = not at all.
    ///
    /// # Errors
    /// [`Error::Locked`] naming the holder; [`Error::Stopped`] while waiting; [`Error::Io`].
    pub fn exclusive(path: &Path, what: &str, clock: &dyn Clock, wait: Option<Duration>, stop: &Stop) -> Result<Self, Error> {
        Self::named(path, what, clock, wait, stop, &try_exclusive)
    }

    /// As [`Lock::exclusive`], but that others who take it this way may hold it too. Of several holders, the last one is named.
    ///
    /// # Errors
    /// As [`Lock::exclusive`].
    pub fn shared_within(path: &Path, what: &str, clock: &dyn Clock, wait: Option<Duration>, stop: &Stop) -> Result<Self, Error> {
        Self::named(path, what, clock, wait, stop, &try_shared)
    }

    fn named(path: &Path, what: &str, clock: &dyn Clock, wait: Option<Duration>, stop: &Stop, take: Take<'_>) -> Result<Self, Error> {
        let mut file = open(path)?;
        take_within(&file, path, clock, wait, stop, take)?;
        let holder = format!("`{what}`, process {}, since {}", std::process::id(), clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"));
        let told = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).and_then(|_| file.write_all(holder.as_bytes()));
        match told {
            // It is held all the same, and whoever is to make room on a full disk needs it.
            Err(cause) if matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {}
            told => told.map_err(Error::io("write", path))?,
        }
        Ok(Self { file })
    }

    /// Takes a lock that other readers may hold too; waits while somebody holds it exclusively, which is for moments only.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn shared(path: &Path) -> Result<Self, Error> {
        loop {
            let file = open(path)?;
            file.lock_shared().map_err(Error::io("lock", path))?;
            if is_at(&file, path)? {
                return Ok(Self { file });
            }
        }
    }

    /// Who holds a lock alone, for a person; `None` when nobody does. To find out, it is held for an instant, as by a reader.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn holder(path: &Path) -> Result<Option<String>, Error> {
        let file = match File::open(path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(Error::io("open the lock", path))?,
        };
        Ok(if try_shared(&file, path)? {
            drop(Self { file });
            None
        } else {
            Some(named_in(path))
        })
    }

    /// Takes a lock that nobody else may hold, or gives `None` when somebody holds it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn try_exclusive_quiet(path: &Path) -> Result<Option<Self>, Error> {
        loop {
            let file = open(path)?;
            if !try_exclusive(&file, path)? {
                return Ok(None);
            }
            if is_at(&file, path)? {
                return Ok(Some(Self { file }));
            }
        }
    }
}

impl Lock {
    /// Locks a folder itself, so that whoever finds it knows that it is in use; `None` when somebody else holds it, or it has gone.
    ///
    /// # Errors
    /// [`Error::Io`], also where the filesystem cannot lock folders, as some networks' cannot.
    pub fn of_folder(path: &Path) -> Result<Option<Self>, Error> {
        let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits();
        let opened = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path);
        let file = match opened {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(Error::io("open the folder", path))?,
        };
        Ok((try_exclusive(&file, path)? && is_at(&file, path)?).then_some(Self { file }))
    }

    /// Locks a folder that is others' too, beside those who share it or alone, leaving nothing in it; `None` where there is none, or its filesystem
    /// cannot lock folders.
    ///
    /// # Errors
    /// [`Error::Locked`], whose holder has no name; [`Error::Stopped`] while waiting.
    pub fn on_folder(path: &Path, is_shared: bool, clock: &dyn Clock, wait: Option<Duration>, stop: &Stop) -> Result<Option<Self>, Error> {
        let Ok(file) = OpenOptions::new().read(true).custom_flags(OFlags::DIRECTORY.bits().cast_signed()).open(path) else {
            return Ok(None);
        };
        match take_within(&file, path, clock, wait, stop, if is_shared { &try_shared } else { &try_exclusive }) {
            Ok(()) => Ok(Some(Self { file })),
            Err(Error::Io { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Takes a lock, waiting for it as long as is said.
fn take_within(file: &File, path: &Path, clock: &dyn Clock, wait: Option<Duration>, stop: &Stop, take: Take<'_>) -> Result<(), Error> {
    let (started, mut tried) = (clock.monotonic(), 0);
    while !take(file, path)? {
        if wait.map_or(tried >= LOOKED_MAX, |wait| clock.monotonic() - started >= wait) {
            return Err(Error::Locked { path: path.to_owned(), holder: named_in(path) });
        }
        stop.check()?;
        clock.sleep(if wait.is_some() { LOOK_EVERY } else { LOOKED });
        tried += 1;
    }
    Ok(())
}

impl Drop for Lock {
    /// Closing the file is not enough: a child process that is just being started has a copy of the descriptor for a moment.
    fn drop(&mut self) {
        // It can only fail for a file that is not open.
        let _ = self.file.unlock();
    }
}

/// What the last holder of a lock has written into its file.
fn named_in(path: &Path) -> String {
    let holder = fs::read_to_string(path).unwrap_or_default();
    if holder.is_empty() { "a run that has not said its name".into() } else { holder }
}

fn open(path: &Path) -> Result<File, Error> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(Error::io("open the lock", path))
}

/// Whether the file still lies at its path. Its last holder may have removed it between opening and locking; then whoever comes next opens
/// another one, and this lock keeps nobody out.
fn is_at(file: &File, path: &Path) -> Result<bool, Error> {
    let own = file.metadata().map_err(Error::io("look at the lock", path))?;
    match fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (own.dev(), own.ino())),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(Error::io("look at the lock", path)(cause)),
    }
}

fn try_exclusive(file: &File, path: &Path) -> Result<bool, Error> {
    taken(file.try_lock(), path)
}

fn try_shared(file: &File, path: &Path) -> Result<bool, Error> {
    taken(file.try_lock_shared(), path)
}

fn taken(tried: Result<(), TryLockError>, path: &Path) -> Result<bool, Error> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(cause)) => Err(Error::io("lock", path)(cause)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::sys::clock::SystemClock;

    /// A clock by which somebody lets a lock go while others wait, one after the other.
    #[derive(Debug)]
    struct Leaving(Mutex<Vec<Lock>>, SystemClock);

    impl Clock for Leaving {
        fn now(&self) -> Timestamp {
            self.1.now()
        }

        fn monotonic(&self) -> Duration {
            self.1.monotonic()
        }

        fn sleep(&self, _: Duration) {
            self.0.lock().unwrap().pop();
        }

        fn zone(&self) -> TimeZone {
            self.1.zone()
        }
    }

    #[test]
    fn a_second_run_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let (clock, stop) = (SystemClock::new(), Stop::new());
        let held = Lock::exclusive(&path, "snapshot x", &clock, None, &stop).unwrap();
        let error = Lock::exclusive(&path, "ship x", &clock, None, &stop).unwrap_err().to_string();
        assert!(error.contains("`snapshot x`, process "), "{error}");
        assert!(Lock::try_exclusive_quiet(&path).unwrap().is_none());
        drop(held);
        Lock::exclusive(&path, "ship x", &clock, Some(Duration::from_secs(1)), &stop).unwrap();
    }

    #[test]
    fn who_holds_a_lock_is_told_and_looking_takes_it_from_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let (clock, stop) = (SystemClock::new(), Stop::new());
        assert_eq!(Lock::holder(&path).unwrap(), None);
        assert!(!path.exists(), "looking makes nothing");
        let held = Lock::exclusive(&path, "restore x", &clock, None, &stop).unwrap();
        assert!(Lock::holder(&path).unwrap().unwrap().starts_with("`restore x`, process "));
        drop(held);
        assert_eq!(Lock::holder(&path).unwrap(), None);
        // Several look one after the other in the very moment in which a run begins.
        let looking = (0..3).map(|_| Lock::shared(&path).unwrap()).collect();
        let leaving = Leaving(Mutex::new(looking), SystemClock::new());
        Lock::exclusive(&path, "snapshot x", &leaving, None, &stop).unwrap();
    }

    #[test]
    fn a_folder_is_locked_beside_others_or_alone_and_nothing_comes_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let (clock, stop) = (SystemClock::new(), Stop::new());
        let lock = |is_shared| Lock::on_folder(folder.path(), is_shared, &clock, None, &stop);
        let shared = [lock(true).unwrap().unwrap(), lock(true).unwrap().unwrap()];
        assert!(matches!(lock(false), Err(Error::Locked { .. })));
        drop(shared);
        let alone = lock(false).unwrap().unwrap();
        let error = lock(true).unwrap_err().to_string();
        assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
        drop(alone);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(Lock::on_folder(&folder.path().join("none"), true, &clock, None, &stop).unwrap().is_none());
    }

    #[test]
    fn those_who_share_a_lock_keep_out_who_would_have_it_alone_and_are_named_to_him() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let (clock, stop) = (SystemClock::new(), Stop::new());
        let shared = |what: &str| Lock::shared_within(&path, what, &clock, None, &stop);
        let held = [shared("snapshot a").unwrap(), shared("snapshot b").unwrap()];
        let error = Lock::exclusive(&path, "restore c", &clock, None, &stop).unwrap_err().to_string();
        assert!(error.contains("`snapshot b`, process "), "{error}");
        drop(held);
        let alone = Lock::exclusive(&path, "restore c", &clock, None, &stop).unwrap();
        let error = shared("snapshot a").unwrap_err().to_string();
        assert!(error.contains("`restore c`, process "), "{error}");
        drop(alone);
        shared("snapshot a").unwrap();
    }

    /// A program that is just being started holds copies of all descriptors until it closes them.
    #[test]
    fn a_lock_that_was_given_up_is_free_whoever_else_has_its_descriptor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let held = Lock::try_exclusive_quiet(&path).unwrap().unwrap();
        let copy = held.file.try_clone().unwrap();
        drop(held);
        assert!(Lock::try_exclusive_quiet(&path).unwrap().is_some());
        drop(copy);
    }

    #[test]
    fn readers_share_and_keep_a_remover_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let readers = [Lock::shared(&path).unwrap(), Lock::shared(&path).unwrap()];
        assert!(Lock::try_exclusive_quiet(&path).unwrap().is_none());
        drop(readers);
        assert!(Lock::try_exclusive_quiet(&path).unwrap().is_some());
    }

    #[test]
    fn a_lock_whose_file_was_removed_meanwhile_is_taken_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let clock = SystemClock::new();
        let remover = Lock::try_exclusive_quiet(&path).unwrap().unwrap();
        let reader = std::thread::spawn({
            let path = path.clone();
            move || Lock::shared(&path).unwrap()
        });
        // By now it has opened the file and waits.
        clock.sleep(Duration::from_millis(200));
        fs::remove_file(&path).unwrap();
        drop(remover);
        let _reader = reader.join().unwrap();
        assert!(Lock::try_exclusive_quiet(&path).unwrap().is_none(), "the reader keeps the next remover out");
    }

    #[test]
    fn a_lock_ends_with_its_value_whoever_has_inherited_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let held = Lock::try_exclusive_quiet(&path).unwrap().unwrap();
        // As a child process has it between its fork and its own program.
        let _inherited = held.file.try_clone().unwrap();
        drop(held);
        assert!(Lock::try_exclusive_quiet(&path).unwrap().is_some());
    }
}
