//! A copy of a living tree that holds still: the bytes in a folder, everything else as entries.

use std::cell::RefCell;
use std::path::Path;

use super::Directory;
use super::batch::{self, Done, Step};
use super::links::{First, Inode, Links};
use super::reader::{Outcome, Reader};
use super::share::Sharing;
use super::taker::{Content, Taker};
use super::walk::{Found, FoundEntry, Walk};
use crate::format::path::RelPath;
use crate::source::Error;
use crate::sys::clock::Clock;
use crate::sys::folder::Folder;
use crate::sys::meter::Meter;
use crate::sys::ordered;
use crate::sys::stop::Stop;
use crate::sys::tree::sync_filesystem;

/// How files come into the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bringing {
    /// Their bytes are copied, or shared with the previous copy.
    Copy,
    /// They are there: the copy's folder is the tree itself, which holds nothing but hard links to files that are written once and never
    /// again. They are read only, and not even that where the previous copy has the very same file.
    Links,
}

/// Where a copy goes and how it is made.
#[derive(Clone, Copy, Debug)]
pub struct CopySettings<'a> {
    /// How files come into it.
    pub bringing: Bringing,
    /// A new, empty folder, or the tree itself ([`Bringing::Links`]). It gets directories (mode 0700) and regular files (0600) and nothing
    /// else: all other things live in entries.
    pub data: &'a Path,
    /// The data folder of the previous copy, to share unchanged files with.
    pub previous: Option<&'a Path>,
    /// A folder for what does not fit into memory; it is empty again afterwards.
    pub work: &'a Path,
    /// Threads that read.
    pub threads: usize,
    /// Batches of about 1 MiB of small files, or single large files, that are under way at once. Each thread also holds 256 KiB.
    pub in_flight: usize,
}

/// Copies a tree. When it returns, the bytes survive a power cut.
///
/// # Errors
/// [`Error`], when the root cannot be read, the copy cannot be written or the run was stopped; whatever the taker returns. Then `data`
/// holds a part of the copy, to be removed.
pub fn copy<C: Content, T: Taker<C> + ?Sized>(
    directory: &Directory,
    settings: &CopySettings<'_>,
    stop: &Stop,
    meter: &Meter,
    clock: &dyn Clock,
    content: &(dyn Fn(u64) -> C + Sync),
    taker: &mut T,
) -> Result<(), T::Error> {
    let shop = Shop {
        directory,
        settings,
        stop,
        meter,
        clock,
        content,
        sharing: settings.previous.map(|previous| Sharing::new(previous, settings.bringing)),
    };
    let mut walk = Walk::new(directory, settings.work, stop)?;
    let data = Folder::open(settings.data).map_err(Error::from)?;
    // Jobs are made and results taken on this one thread, never at the same time.
    let taker = RefCell::new(taker);
    let mut next = || {
        let steps = batch::plan(&mut walk, &data, settings, &mut **taker.borrow_mut())?;
        Ok((!steps.is_empty()).then_some(steps))
    };
    let mut receiver = Receiver { moved: None, hands: None, shop: &shop };
    let mut take = |done: Result<Vec<Done<C>>, Error>| done?.into_iter().try_for_each(|one| receiver.take(one, &mut **taker.borrow_mut()));
    let work = |hands: &mut Option<_>, steps| shop.work(hands, steps);
    ordered::run(settings.threads, settings.in_flight, &mut next, &|| None, &work, &mut take)?;
    sync_filesystem(settings.data).map_err(Error::from)?;
    Ok(())
}

/// What all threads share.
struct Shop<'a, C> {
    directory: &'a Directory,
    settings: &'a CopySettings<'a>,
    stop: &'a Stop,
    meter: &'a Meter,
    clock: &'a dyn Clock,
    content: &'a (dyn Fn(u64) -> C + Sync),
    sharing: Option<Sharing>,
}

/// What each thread has of its own.
struct Hands<'a> {
    reader: Reader<'a>,
    previous: Option<Folder>,
}

impl<'a, C: Content> Shop<'a, C> {
    /// The thread's own things, opened when they are first needed, because opening may fail.
    fn open<'h>(&self, hands: &'h mut Option<Hands<'a>>) -> Result<&'h mut Hands<'a>, Error> {
        if hands.is_none() {
            let reader = Reader::new(&self.directory.root, self.settings, self.stop, self.meter, self.clock)?;
            *hands = Some(Hands { reader, previous: self.sharing.as_ref().map(Sharing::open).transpose()? });
        }
        Ok(hands.as_mut().expect("just opened"))
    }

    fn work(&self, hands: &mut Option<Hands<'a>>, steps: Vec<Step>) -> Result<Vec<Done<C>>, Error> {
        let hands = self.open(hands)?;
        batch::work(&mut hands.reader, self.sharing.as_ref().zip(hands.previous.as_ref()), self.content, steps)
    }
}

/// Hands results on, and mends hard links whose first name was lost on the way.
struct Receiver<'a, C> {
    /// Files with several names whose first name does not hold their bytes.
    moved: Option<Links>,
    hands: Option<Hands<'a>>,
    shop: &'a Shop<'a, C>,
}

impl<C: Content> Receiver<'_, C> {
    fn take<T: Taker<C> + ?Sized>(&mut self, done: Done<C>, taker: &mut T) -> Result<(), T::Error> {
        match done {
            Done::Pass(Found::Problem(problem)) => taker.problem(problem),
            Done::Pass(Found::Entry(found)) => taker.copied(found.entry, None),
            Done::Link(found) => self.link(found, taker),
            Done::Shared(entry) => {
                self.shop.meter.add_files(1);
                taker.unchanged(entry)
            }
            Done::Read(outcome, seen) => self.read(outcome, seen, taker),
        }
    }

    fn read<T: Taker<C> + ?Sized>(&mut self, outcome: Outcome<C>, seen: Option<Inode>, taker: &mut T) -> Result<(), T::Error> {
        match outcome {
            Outcome::Lost(problem) => {
                if let Some(seen) = seen {
                    self.moved()?.put(seen, &RelPath::root())?;
                }
                taker.problem(problem)
            }
            Outcome::Copied { entry, content, inode, problem } => {
                // Another file has taken the name since the walk saw it, so the other names do not share these bytes.
                if let Some(seen) = seen.filter(|seen| *seen != inode) {
                    self.moved()?.put(seen, &RelPath::root())?;
                }
                self.shop.meter.add_files(1);
                taker.copied(entry, Some(content))?;
                problem.map_or(Ok(()), |problem| taker.problem(problem))
            }
        }
    }

    fn link<T: Taker<C> + ?Sized>(&mut self, mut found: FoundEntry, taker: &mut T) -> Result<(), T::Error> {
        self.shop.meter.add_files(1);
        let (Some(moved), Some(inode)) = (&self.moved, found.shared) else { return taker.copied(found.entry, None) };
        match moved.get(inode)? {
            First::New => taker.copied(found.entry, None),
            First::Path(path) => {
                found.entry.link = Some(path);
                taker.copied(found.entry, None)
            }
            // This name may still lead to the bytes: then it becomes the first.
            First::Lost => {
                let reader = &mut self.shop.open(&mut self.hands)?.reader;
                let outcome = reader.copy(&found.entry.path, self.shop.content)?;
                if matches!(&outcome, Outcome::Copied { inode: read, .. } if *read == inode) {
                    self.moved()?.put(inode, &found.entry.path)?;
                }
                self.read(outcome, None, taker)
            }
        }
    }

    fn moved(&mut self) -> Result<&mut Links, Error> {
        if self.moved.is_none() {
            self.moved = Some(Links::new(self.shop.settings.work)?);
        }
        Ok(self.moved.as_mut().expect("just made"))
    }
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
