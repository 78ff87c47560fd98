//! Putting a database back: plan, place, undo.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::hold::{Hold, give_back_log, use_log};
use super::sidecars;
use super::take::check_header;
use crate::format::path::COMPONENT_MAX;
use crate::source::Error;
use crate::source::directory::OWN_NAMES;
use crate::source::directory::attributes::Attributes;
use crate::source::placement::record::Record;
use crate::source::placement::swap::{Names, State, inode, rename_new};
use crate::source::placement::{self, Operation, crash, escaped};
use crate::sys::file::sync_folder;
use crate::sys::stop::Stop;

/// How a database is put back. Made by [`plan`]; kept by the caller as long as the undo is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The source's name.
    pub source: String,
    /// The live database, as an absolute path without symbolic links.
    #[serde(with = "escaped")]
    pub target: PathBuf,
    /// Where the caller puts the new database, complete and verified, before [`place`]: beside the target.
    #[serde(with = "escaped")]
    pub staged: PathBuf,
    /// Where the database that is not live lies after [`place`] or [`undo`]; must be free before [`place`]. The files that a database
    /// too damaged to be opened had beside it lie beside it there, too.
    #[serde(with = "escaped")]
    pub aside: PathBuf,
    /// There was no target when this was planned: undoing leaves none.
    pub fresh: bool,
}

/// Finds out where things go. Changes nothing.
///
/// # Errors
/// [`Error::WrongKind`] when something else than a file is there; [`Error::Refused`] when its name is too long; [`Error::File`].
pub fn plan(source: &str, path: &Path) -> Result<Placement, Error> {
    let (target, fresh) = match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(Error::WrongKind { path: path.to_owned(), wanted: "a file" }),
        Ok(_) => (path.canonicalize().map_err(Error::file("find", path))?, false),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => (std::path::absolute(path).map_err(Error::file("find", path))?, true),
        Err(cause) => return Err(Error::file("look at", path)(cause)),
    };
    let refused = || Error::Refused { why: format!("the name of {} is too long to restore to", target.display()) };
    let beside = |ending: &[u8]| {
        let name = [b".", target.file_name().unwrap_or_default().as_bytes(), ending].concat();
        // The files that SQLite keeps beside a database have names that are up to eight bytes longer.
        (name.len() + 8 <= COMPONENT_MAX).then(|| target.with_file_name(OsString::from_vec(name))).ok_or_else(refused)
    };
    let [staging, undo] = OWN_NAMES;
    let (staged, aside) = (beside(staging)?, beside(undo)?);
    Ok(Placement { source: source.to_owned(), target, staged, aside, fresh })
}

/// Puts the staged database in the target's place, with the owner, mode and attributes of the one that was there, which lies aside
/// afterwards.
///
/// `journal_mode` is that of the snapshot's facts: with `wal`, the new database has a write-ahead log from its first moment. While names
/// are exchanged the old database is locked exclusively, its log is written back into it, and nothing of it lies beside the target any more.
///
/// # Errors
/// [`Error::Busy`] when anyone has the database open; [`Error::Refused`], [`Error::NotThere`], [`Error::WrongKind`], [`Error::Stopped`]:
/// nothing was changed. Any other, while the journal is gone: nothing was changed; while it is there:
/// [`recover`](crate::source::placement::recover) has to finish it.
pub fn place(placement: &Placement, journal_mode: &str, journal: &Path, stop: &Stop) -> Result<(), Error> {
    let Placement { target, staged, aside, .. } = placement;
    check_header(staged)?;
    if inode(aside)?.is_some() {
        return Err(Error::Refused { why: format!("{} still holds what an earlier restore has set aside", aside.display()) });
    }
    if let Some(stray) = sidecars::beside(aside)?.first() {
        return Err(Error::Refused { why: format!("{} is in the way", sidecars::path(aside, stray).display()) });
    }
    if placement.fresh && inode(target)?.is_some() {
        return Err(Error::Refused { why: format!("{} has come into being since the restore was planned", target.display()) });
    }
    if journal_mode.eq_ignore_ascii_case("wal") {
        use_log(staged, stop)?;
    }
    dress(target, staged)?;
    stop.check()?;
    run(placement, Operation::Place, journal)
}

/// Puts back what lies aside; what is live lies aside afterwards. Undoing an undo is a redo.
///
/// # Errors
/// As [`place`].
pub fn undo(placement: &Placement, journal: &Path) -> Result<(), Error> {
    let Placement { target, staged, aside, fresh, .. } = placement;
    if inode(aside)?.is_none() && !(*fresh && inode(target)?.is_some()) {
        return Err(Error::NotThere { path: aside.clone() });
    }
    if inode(staged)?.is_some() {
        return Err(Error::Refused { why: format!("{} is in the way", staged.display()) });
    }
    run(placement, Operation::Undo, journal)
}

/// Finishes what a journal tells of, or takes it back; true when it was finished.
pub(in crate::source) fn recover(placement: &Placement, record: &Record, journal: &Path) -> Result<bool, Error> {
    let Placement { target, staged, .. } = placement;
    match names(placement).state(record.old, record.new)? {
        State::After => finish(placement, record, journal).map(|()| true),
        state @ (State::Before | State::Between) => {
            if state == State::Between {
                rename_new(staged, target)?;
                crash::point();
            }
            take_back(placement, record, journal).map(|()| false)
        }
        State::Unclear => Err(Error::Unclear {
            why: format!("{} is neither what it was nor what it should become", target.display()),
            journal: journal.to_owned(),
        }),
    }
}

fn names(placement: &Placement) -> Names<'_> {
    Names { target: &placement.target, aside: &placement.aside, spare: &placement.staged }
}

fn run(placement: &Placement, operation: Operation, journal: &Path) -> Result<(), Error> {
    let Placement { target, staged, aside, .. } = placement;
    let incoming = if operation == Operation::Place { staged } else { aside };
    let mut record = Record::new(operation, inode(target)?, inode(incoming)?, placement::Placement::Sqlite(placement.clone()));
    if operation == Operation::Undo {
        record.incoming = sidecars::beside(aside)?;
    }
    record.begin(journal)?;
    let outcome = exchange(placement, &mut record, journal);
    match outcome {
        Ok(()) => finish(placement, &record, journal),
        Err(error) => {
            if matches!(names(placement).state(record.old, record.new)?, State::Before | State::Between) {
                recover(placement, &record, journal)?;
            }
            Err(error)
        }
    }
}

/// Everything up to the moment when the new database is live.
fn exchange(placement: &Placement, record: &mut Record, journal: &Path) -> Result<(), Error> {
    let Placement { target, staged, aside, .. } = placement;
    // Held until names are exchanged: nobody can write to the old database any more, nor make a log for it.
    let hold = if record.old.is_some() { Some(Hold::take(target, record, journal)?) } else { None };
    // What still lies beside the target now belongs to a database that is gone or damaged; beside the new one it would destroy it.
    record.outgoing = sidecars::beside(target)?;
    record.write(journal)?;
    if record.operation == Operation::Place {
        rename_new(staged, aside)?;
        crash::point();
    }
    for ending in &record.outgoing {
        rename_new(&sidecars::path(target, ending), &sidecars::path(staged, ending))?;
        crash::point();
    }
    names(placement).sync()?;
    names(placement).exchange(record.old, record.new)?;
    drop(hold);
    Ok(())
}

/// Everything after it. Doing it again goes on where it ended.
fn finish(placement: &Placement, record: &Record, journal: &Path) -> Result<(), Error> {
    let Placement { target, staged, aside, .. } = placement;
    if record.old.is_some() && inode(staged)? == record.old {
        rename_new(staged, aside)?;
        crash::point();
    }
    for (endings, from, to) in [(&record.incoming, aside, target), (&record.outgoing, staged, aside)] {
        for ending in endings {
            let (from, to) = (sidecars::path(from, ending), sidecars::path(to, ending));
            if inode(&from)?.is_some() && inode(&to)?.is_none() {
                rename_new(&from, &to)?;
                crash::point();
            }
        }
    }
    if record.was_wal && record.old.is_some() {
        give_back_log(aside)?;
        crash::point();
    }
    names(placement).sync()?;
    Record::finish(journal)
}

/// The old database is live, or none was: all names become what they were.
fn take_back(placement: &Placement, record: &Record, journal: &Path) -> Result<(), Error> {
    let Placement { target, staged, aside, .. } = placement;
    for ending in &record.outgoing {
        let (from, to) = (sidecars::path(staged, ending), sidecars::path(target, ending));
        if inode(&from)?.is_some() && inode(&to)?.is_none() {
            rename_new(&from, &to)?;
            crash::point();
        }
    }
    if record.operation == Operation::Place && inode(staged)?.is_none() {
        rename_new(aside, staged)?;
        crash::point();
    }
    if record.was_wal {
        give_back_log(target)?;
    }
    names(placement).sync()?;
    Record::finish(journal)
}

/// Gives the staged database what the live one looks like, where there is one, and makes it survive a power cut.
fn dress(target: &Path, staged: &Path) -> Result<(), Error> {
    let file = File::options().read(true).write(true).open(staged).map_err(Error::file("open", staged))?;
    if inode(target)?.is_some() {
        // The live file is looked at through a handle that is open before SQLite takes its locks: closing one later would drop them.
        let live = File::open(target).map_err(Error::file("open", target))?;
        let attributes = Attributes::of(live.as_fd()).map_err(Error::file("look at", target))?;
        attributes.apply(file.as_fd()).map_err(Error::file("give owner and mode to", staged))?;
    }
    file.sync_all().map_err(Error::file("sync", staged))?;
    Ok(sync_folder(staged.parent().unwrap_or(Path::new("/")))?)
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
