//! Putting a tree back: plan, place, undo.

pub(in crate::source) mod attributes;
mod carry;
mod merge;
mod mounts;
mod plan;

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Directory, Exclude};
use crate::format::path::RelPath;
use crate::source::placement::crash;
use crate::source::placement::record::{Record, Step};
use crate::source::placement::swap::{Names, State, inode, rename_new};
use crate::source::placement::{self, Operation};
use crate::source::{Error, placement::escaped};
use crate::sys::stop::Stop;
use crate::sys::tree::{remove_tree, sync_filesystem};
use attributes::Times;
use carry::Carry;
use merge::Merge;
pub use plan::plan;

/// How a tree is put back. Made by [`plan`]; kept by the caller as long as the undo is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The source's name.
    pub source: String,
    /// The live tree, as an absolute path without symbolic links.
    #[serde(with = "escaped")]
    pub target: PathBuf,
    /// Where the caller puts the new tree, complete and verified, before [`place`]. On the target's filesystem.
    #[serde(with = "escaped")]
    pub staged: PathBuf,
    /// Where the tree that is not live lies after [`place`] or [`undo`]; must be free before [`place`].
    #[serde(with = "escaped")]
    pub aside: PathBuf,
    /// How the two change places.
    pub way: Way,
    /// There was no target when this was planned: undoing leaves none.
    pub fresh: bool,
    /// Patterns of what stays where it is, whichever tree is live.
    pub exclude: Vec<String>,
    /// What is mounted inside the target, and the folder with the journal where that is inside, by relative path: stays where it is too.
    /// Only with [`Way::Entries`].
    pub mounts: Vec<RelPath>,
}

/// How two trees change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// As a whole, by one exchange of names; then what is excluded is carried over.
    Whole,
    /// Entry by entry, because the root is a mount point, something inside has to stay, or the parent cannot be written. While this
    /// runs the tree is partly there; after a kill [`recover`](crate::source::placement::recover) finishes it.
    Entries,
}

/// What else happened while two trees changed places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// Excluded files and folders that were carried over to the tree that is live now.
    pub carried: u64,
    /// Excluded paths, at most 100, that could not be carried over and lie with the tree that was set aside.
    pub left: Vec<String>,
}

/// Puts the staged tree in the target's place; what was there lies aside afterwards, whole, but for what is excluded, which stays live.
///
/// What the patterns exclude is removed from the staged tree first: it is not the restore's. The journal's folder also holds temporary
/// files. Runs under the source's lock, and with whatever uses the tree stopped.
///
/// # Errors
/// [`Error::Refused`], [`Error::NotThere`] and [`Error::Stopped`]: nothing was changed. Any other, while the journal is gone: nothing was
/// changed; while it is there: [`recover`](crate::source::placement::recover) has to finish it.
pub fn place(placement: &Placement, journal: &Path, stop: &Stop) -> Result<Placed, Error> {
    if inode(&placement.staged)?.is_none() {
        return Err(Error::NotThere { path: placement.staged.clone() });
    }
    if inode(&placement.aside)?.is_some() {
        return Err(Error::Refused { why: format!("{} still holds what an earlier restore has set aside", placement.aside.display()) });
    }
    if placement.fresh && inode(&placement.target)?.is_some() {
        return Err(Error::Refused { why: format!("{} has come into being since the restore was planned", placement.target.display()) });
    }
    let work = folder_of(journal);
    let prepared = Prepared::new(placement, &placement.staged, work, stop)?;
    carry::remove_excluded(&placement.staged, &prepared.exclude, work, stop)?;
    sync_filesystem(&placement.staged)?;
    stop.check()?;
    let record = prepared.record(Operation::Place)?;
    record.begin(journal)?;
    prepared.or_take_back(&record, journal, || {
        rename_new(&placement.staged, &placement.aside)?;
        crash::point();
        prepared.change_places(record.clone(), journal)
    })
}

/// Puts back what lies aside; what is live lies aside afterwards. Undoing an undo is a redo.
///
/// # Errors
/// As [`place`].
pub fn undo(placement: &Placement, journal: &Path) -> Result<Placed, Error> {
    if inode(&placement.aside)?.is_none() && !(placement.fresh && inode(&placement.target)?.is_some()) {
        return Err(Error::NotThere { path: placement.aside.clone() });
    }
    if inode(&placement.staged)?.is_some() {
        return Err(Error::Refused { why: format!("{} is in the way", placement.staged.display()) });
    }
    let prepared = Prepared::new(placement, &placement.aside, folder_of(journal), &Stop::new())?;
    let record = prepared.record(Operation::Undo)?;
    record.begin(journal)?;
    prepared.or_take_back(&record, journal, || prepared.change_places(record.clone(), journal))
}

/// Finishes what a journal tells of, or takes it back; true when it was finished.
pub(in crate::source) fn recover(placement: &Placement, record: &Record, journal: &Path) -> Result<bool, Error> {
    let exclude = Exclude::new(&placement.exclude)?;
    Prepared { placement, exclude, work: folder_of(journal) }.recover(record.clone(), journal)
}

/// A placement whose conditions were looked at.
struct Prepared<'a> {
    placement: &'a Placement,
    exclude: Exclude,
    work: &'a Path,
}

impl<'a> Prepared<'a> {
    /// Looks whether the target is still what the plan was made for, and whether `incoming` fits into it.
    fn new(placement: &'a Placement, incoming: &Path, work: &'a Path, stop: &Stop) -> Result<Self, Error> {
        let exclude = Exclude::new(&placement.exclude)?;
        if inode(&placement.target)?.is_some() {
            plan::check_mounts(placement, incoming)?;
            carry::check(&placement.target, &exclude, work, stop)?;
        }
        Ok(Self { placement, exclude, work })
    }

    fn record(&self, operation: Operation) -> Result<Record, Error> {
        let placement = self.placement;
        let incoming = if operation == Operation::Place { &placement.staged } else { &placement.aside };
        let (old, new) = (inode(&placement.target)?, inode(incoming)?);
        Ok(Record::new(operation, old, new, placement::Placement::Directory(placement.clone())))
    }

    /// When a step fails before anything has become live, all is put as it was, so that the error is the only thing that happened.
    fn or_take_back(&self, record: &Record, journal: &Path, action: impl FnOnce() -> Result<Placed, Error>) -> Result<Placed, Error> {
        let outcome = action();
        if outcome.is_err()
            && let Ok(Some(now)) = Record::read(journal)
            && now.step == Step::Out
            && (self.placement.way == Way::Entries
                || matches!(self.names().state(record.old, record.new), Ok(State::Before | State::Between)))
        {
            self.recover(now, journal)?;
        }
        outcome
    }

    fn names(&self) -> Names<'a> {
        let Placement { target, aside, staged, .. } = self.placement;
        Names { target, aside, spare: staged }
    }

    fn change_places(&self, mut record: Record, journal: &Path) -> Result<Placed, Error> {
        match self.placement.way {
            Way::Whole => self.names().exchange(record.old, record.new)?,
            Way::Entries => {
                let merge = self.merge();
                merge.make_skeleton(&self.placement.target, &self.placement.staged)?;
                merge.pour(&self.placement.target, &self.placement.staged, true)?;
                self.settle(&mut record, Step::In, journal)?;
                merge.pour(&self.placement.aside, &self.placement.target, true)?;
                self.settle(&mut record, Step::Tidy, journal)?;
            }
        }
        self.tidy(&record, journal)
    }

    /// Makes what was done survive a power cut, then says so.
    fn settle(&self, record: &mut Record, step: Step, journal: &Path) -> Result<(), Error> {
        sync_filesystem(&self.placement.target)?;
        record.advance(step, journal)
    }

    /// What comes after the new tree is in.
    fn tidy(&self, record: &Record, journal: &Path) -> Result<Placed, Error> {
        let Placement { target, aside, staged, .. } = self.placement;
        let has_both = record.old.is_some() && record.new.is_some();
        // Where the old tree lies until the names are as they shall be.
        let out = if inode(staged)?.is_some() { staged } else { aside };
        let placed = if has_both { Carry::new(&self.exclude, self.work).run(out, target)? } else { Placed::default() };
        if out == staged {
            // Entry by entry, these two names are inside the target, whose times are those of the new tree by now.
            let root = if has_both { Some(File::open(target).map_err(Error::file("open", target))?) } else { None };
            let times = root.as_ref().map(Times::of).transpose().map_err(Error::file("look at", target))?;
            if self.placement.way == Way::Entries && inode(aside)?.is_some() {
                self.merge().remove_skeleton(aside)?;
                crash::point();
            }
            rename_new(staged, aside)?;
            if let (Some(root), Some(times)) = (&root, times) {
                times.apply(root).map_err(Error::file("set the times of", target))?;
            }
            crash::point();
        }
        let synced = if record.new.is_some() { target } else { aside };
        sync_filesystem(synced)?;
        Record::finish(journal)?;
        Ok(placed)
    }

    fn merge(&self) -> Merge<'_> {
        Merge { exclude: &self.exclude, mounts: &self.placement.mounts, work: self.work }
    }

    fn recover(&self, mut record: Record, journal: &Path) -> Result<bool, Error> {
        let Placement { target, aside, staged, .. } = self.placement;
        match (self.placement.way, record.step) {
            (Way::Whole, _) => match self.names().state(record.old, record.new)? {
                State::Before => self.take_back(&record, journal).map(|()| false),
                State::Between => {
                    rename_new(staged, target)?;
                    crash::point();
                    self.take_back(&record, journal).map(|()| false)
                }
                State::After => self.tidy(&record, journal).map(|_| true),
                State::Unclear => Err(Error::Unclear {
                    why: format!("{} is neither what it was nor what it should become", target.display()),
                    journal: journal.to_owned(),
                }),
            },
            (Way::Entries, Step::Out) => {
                // Under the spare name lies either the tree that was to come in, untouched, or what has already been taken out.
                if let Some(found) = inode(staged)?
                    && Some(found) != record.new
                {
                    self.merge().pour(staged, target, false)?;
                    self.merge().remove_skeleton(staged)?;
                    crash::point();
                }
                self.take_back(&record, journal).map(|()| false)
            }
            (Way::Entries, step) => {
                if step == Step::In {
                    self.merge().pour(aside, target, true)?;
                    self.settle(&mut record, Step::Tidy, journal)?;
                }
                self.tidy(&record, journal).map(|_| true)
            }
        }
    }

    /// The live tree is the old one; the staged one gets its own name back.
    fn take_back(&self, record: &Record, journal: &Path) -> Result<(), Error> {
        let Placement { aside, staged, .. } = self.placement;
        if record.operation == Operation::Place && inode(staged)?.is_none() {
            rename_new(aside, staged)?;
            crash::point();
        }
        sync_filesystem(staged.parent().unwrap_or(Path::new("/")))?;
        Record::finish(journal)
    }
}

fn folder_of(journal: &Path) -> &Path {
    journal.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The tree at `root`, to be walked for what is excluded.
fn tree(root: &Path, exclude: &Exclude) -> Directory {
    Directory { root: root.to_owned(), exclude: exclude.clone(), cross_filesystems: false }
}

/// Removes a tree that was set aside, or staged and not placed.
///
/// # Errors
/// [`Error::System`].
pub fn discard(path: &Path) -> Result<(), Error> {
    Ok(remove_tree(path)?)
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
