//! Work for the threads: some neighbours of the walk at a time, because handing over a single small file costs as much as copying it.

use super::copy::{Bringing, CopySettings};
use super::links::Inode;
use super::metadata::{is_same_link, is_unchanged};
use super::reader::{Outcome, Reader, within};
use super::share::Sharing;
use super::taker::{Content, Taker};
use super::walk::{Found, FoundEntry, Walk};
use crate::format::entry::{Entry, Kind};
use crate::source::Error;
use crate::sys::folder::Folder;

/// Most entries of a batch.
const ENTRIES: usize = 32;

/// Bytes of files and of paths at which a batch is closed, so that large files go to different threads.
const BYTES: u64 = 1 << 20;

/// What is to be done with one find.
pub(super) enum Step {
    /// Nothing: it is handed on.
    Pass(Found),
    /// A hard link is handed on too, but may turn into a file if the first of its names is lost.
    Link(FoundEntry),
    /// A file to be copied.
    Copy(FoundEntry),
    /// A file that is still the one the previous copy was made from.
    Share { now: FoundEntry, previous: Box<Entry> },
}

/// What was done.
pub(super) enum Done<C> {
    /// As in [`Step`].
    Pass(Found),
    /// As in [`Step`].
    Link(FoundEntry),
    /// Shared with the previous copy.
    Shared(Entry),
    /// Copied or lost; with the file that the walk saw, if it has several names.
    Read(Outcome<C>, Option<Inode>),
}

/// The next batch; empty at the end. Directories are made in `data` at once, so that files find their place.
pub(super) fn plan<C, T: Taker<C> + ?Sized>(
    walk: &mut Walk,
    data: &Folder,
    settings: &CopySettings<'_>,
    taker: &mut T,
) -> Result<Vec<Step>, T::Error> {
    let mut steps = Vec::new();
    let mut bytes = 0;
    while steps.len() < ENTRIES && bytes < BYTES {
        let Some(found) = walk.next()? else { break };
        let Found::Entry(found) = found else {
            steps.push(Step::Pass(found));
            continue;
        };
        let path = &found.entry.path;
        bytes += found.entry.size + 2 * path.as_bytes().len() as u64 + found.entry.xattrs.iter().map(|x| x.value.len() as u64).sum::<u64>();
        steps.push(match found.entry.kind {
            Kind::Directory => {
                if settings.bringing == Bringing::Copy && !path.is_root() {
                    data.make_directory(path.as_bytes(), 0o700).map_err(Error::file("make the directory", within(settings.data, path)))?;
                }
                Step::Pass(Found::Entry(found))
            }
            Kind::HardLink => Step::Link(found),
            Kind::File => match if settings.previous.is_some() { taker.previous(path)? } else { None } {
                Some(previous) if is_known(settings.bringing, &previous, &found.entry) => {
                    Step::Share { now: found, previous: Box::new(previous) }
                }
                _ => Step::Copy(found),
            },
            Kind::Symlink | Kind::Fifo => Step::Pass(Found::Entry(found)),
        });
    }
    Ok(steps)
}

fn is_known(bringing: Bringing, previous: &Entry, found: &Entry) -> bool {
    match bringing {
        Bringing::Copy => is_unchanged(previous, found),
        Bringing::Links => is_same_link(previous, found),
    }
}

/// Does what a batch says.
pub(super) fn work<C: Content>(
    reader: &mut Reader<'_>,
    sharing: Option<(&Sharing, &Folder)>,
    content: &(dyn Fn(u64) -> C + Sync),
    steps: Vec<Step>,
) -> Result<Vec<Done<C>>, Error> {
    steps
        .into_iter()
        .map(|step| {
            Ok(match step {
                Step::Pass(found) => Done::Pass(found),
                Step::Link(found) => Done::Link(found),
                Step::Copy(found) => Done::Read(reader.copy(&found.entry.path, content)?, found.shared),
                Step::Share { now, previous } => {
                    let is_shared = match sharing {
                        Some((sharing, folder)) => sharing.share(folder, &reader.data, &now.entry.path, now.entry.size)?,
                        None => false,
                    };
                    if is_shared {
                        // The attributes are those of then: changing them would have moved the ctime that was compared.
                        Done::Shared(Entry { xattrs: previous.xattrs, identity: previous.identity, ..now.entry })
                    } else {
                        Done::Read(reader.copy(&now.entry.path, content)?, now.shared)
                    }
                }
            })
        })
        .collect()
}
