//! Files of a snapshot that lie on the filesystem of a data directory already, in the local copy or live: they are linked, not copied, so a
//! rollback takes room and writes for what differs only.
//!
//! Only what Cassandra never writes again is shared ([`Member::is_written_once`]), only from the owner and with the mode that it is to have, and
//! only after all its bytes have been read and found to be those of the snapshot. A folder that a person has named is theirs to write to, so
//! nothing is shared with it.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Stat};

use super::shares::Root;
use crate::format::digest::Digest;
use crate::format::entry::{Entry, Kind, Piece};
use crate::format::line::Line;
use crate::format::path::RelPath;
use crate::ops::Error;
use crate::ops::assemble::Totals;
use crate::ops::data_folder::{DataFolder, Reader};
use crate::ops::lists::Lines;
use crate::source::cassandra::{Member, make_own_folder};
use crate::sys::folder::Folder;
use crate::sys::meter::Meter;
use crate::sys::ordered;
use crate::sys::stop::Stop;
use crate::sys::tree::remove_tree;

/// Where links wait, in the folder that is being filled, until all else is there: no keyspace begins with a dot.
const LINKED: &str = ".linked";

/// Blobs of one job: enough that handing it over costs little, few enough that the cores share the end of the work.
const JOB_BLOBS: usize = 32;

/// A file that may be linked.
struct Near<'a> {
    place: &'a DataFolder,
    path: RelPath,
    is: (u64, u64, i64, i64),
}

/// What a file is as long as nobody writes to it.
fn identity(stat: &Stat) -> (u64, u64, i64, i64) {
    (stat.st_ino, u64::try_from(stat.st_size).unwrap_or_default(), stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or_default())
}

/// Where a file of a snapshot lies with its size and the mode that it is to have; nothing has been read of it.
pub(super) struct Home<'a> {
    pub(super) place: &'a DataFolder,
    stat: Stat,
}

impl Home<'_> {
    /// Whether it lies on this device, and belongs to whom it is to belong.
    pub(super) fn is_for(&self, device: u64, owner: (u32, u32)) -> bool {
        (self.stat.st_dev, (self.stat.st_uid, self.stat.st_gid)) == (device, owner)
    }
}

/// The places where a file of a snapshot lies; none for one that Cassandra writes again.
pub(super) fn homes<'a>(entry: &Entry, places: &[&'a DataFolder]) -> Vec<Home<'a>> {
    let is_shared = entry.kind == Kind::File
        && std::str::from_utf8(entry.path.as_bytes()).is_ok_and(|path| Member::of(path).is_some_and(|member| member.is_written_once));
    let mut homes = Vec::new();
    for place in places.iter().filter(|_| is_shared) {
        let is_alike =
            |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && u64::try_from(stat.st_size) == Ok(entry.size);
        match place.stat(&entry.path).ok().filter(is_alike) {
            Some(stat) if stat.st_mode & 0o7777 == entry.mode => homes.push(Home { place, stat }),
            // Whoever writes the file finds this, and tells of the damage.
            None if place.is_copy() => break,
            _ => {}
        }
    }
    homes
}

/// The first place where a file of a snapshot lies as the data directory on this device is to have it.
fn near<'a>(entry: &Entry, places: &[&'a DataFolder], device: u64) -> Option<Near<'a>> {
    let home = homes(entry, places).into_iter().find(|home| home.is_for(device, (entry.uid, entry.gid)))?;
    Some(Near { place: home.place, path: entry.path.clone(), is: identity(&home.stat) })
}

/// The links in a folder that is being filled.
pub(super) struct Linked {
    path: PathBuf,
    filling: PathBuf,
    folder: Arc<Folder>,
    device: u64,
}

impl Linked {
    /// Makes the place for links in a folder that is being filled.
    pub(super) fn new(root: &Root, filling: &Path) -> Result<Self, Error> {
        let path = filling.join(LINKED);
        make_own_folder(&root.path, &path)?;
        let folder = Arc::new(Folder::open(&path)?);
        let device = folder.stat(b"").map_err(Error::file("look at", &path))?.st_dev;
        Ok(Self { path, filling: filling.to_owned(), folder, device })
    }

    /// Links what can be linked. What cannot, or has other bytes, is not there afterwards and no error.
    pub(super) fn link(
        &self,
        mut lines: Box<dyn Lines>,
        places: &[&DataFolder],
        threads: usize,
        stop: &Stop,
        meter: &Meter,
    ) -> Result<Totals, Error> {
        let mut cutting = Cutting::default();
        let (mut totals, mut is_sound) = (Totals::default(), true);
        ordered::run(
            threads,
            threads * 2,
            &mut || {
                stop.check()?;
                cutting.next_job(&mut *lines, places, self.device)
            },
            &|| (places.iter().map(|place| Reader::new(place)).collect::<Vec<_>>(), Vec::new()),
            &|(readers, buffer), job: Job<'_>| {
                let reader = readers.iter_mut().find(|reader| std::ptr::eq(reader.place(), job.file.place));
                let is_sound = reader.is_some_and(|reader| job.blobs.iter().all(|blob| blob.is_in(reader, &job.file.path, buffer)));
                (job, is_sound)
            },
            &mut |(job, matched)| {
                is_sound = matched && (is_sound || job.begins);
                if job.ends && is_sound && self.put(&job.file)? {
                    totals.files += 1;
                    totals.bytes += job.file.is.1;
                    meter.add_bytes(job.file.is.1);
                }
                Ok::<_, Error>(())
            },
        )?;
        Ok(totals)
    }

    /// Links a file, unless it cannot be linked or is another by now than the one that was read; gives whether it did.
    fn put(&self, file: &Near<'_>) -> Result<bool, Error> {
        let path = file.path.as_bytes();
        if self.try_link(file).is_err() {
            return Ok(false);
        }
        if self.folder.stat(path).is_ok_and(|stat| identity(&stat) == file.is) {
            return Ok(true);
        }
        // Nobody has read what this is.
        let place = || self.path.join(OsStr::from_bytes(path));
        self.folder.remove_file(path).map_err(|cause| Error::file("remove", &place())(cause))?;
        Ok(false)
    }

    fn try_link(&self, file: &Near<'_>) -> io::Result<()> {
        let path = file.path.as_bytes();
        let parents = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at]);
        for parent in parents {
            match self.folder.make_directory(parent, 0o700) {
                Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause),
                _ => {}
            }
        }
        let (parent, name) = self.folder.parent_of(path)?;
        file.place.link(&file.path, &*parent, name)
    }

    /// The lines of what is not linked.
    pub(super) fn rest_of(&self, lines: Box<dyn Lines>) -> Rest {
        Rest { lines, linked: self.folder.clone(), keeps: true }
    }

    /// Gives the links their places, when the folders above them are there.
    pub(super) fn settle(self, lines: &mut dyn Lines) -> Result<(), Error> {
        while let Some(line) = lines.next_line()? {
            let Line::Entry(entry) = line else { continue };
            if has(&self.folder, &entry) {
                let below = Path::new(OsStr::from_bytes(entry.path.as_bytes()));
                let (from, to) = (self.path.join(below), self.filling.join(below));
                std::fs::rename(&from, &to).map_err(Error::file("rename", &from))?;
            }
        }
        remove_tree(&self.path)?;
        Ok(crate::sys::tree::sync_filesystem(&self.filling)?)
    }
}

fn has(linked: &Folder, entry: &Entry) -> bool {
    entry.kind == Kind::File && linked.stat(entry.path.as_bytes()).is_ok()
}

/// The lines of a snapshot without those of linked files.
pub(super) struct Rest {
    lines: Box<dyn Lines>,
    linked: Arc<Folder>,
    keeps: bool,
}

impl Lines for Rest {
    fn next_line(&mut self) -> Result<Option<Line>, Error> {
        loop {
            let Some(line) = self.lines.next_line()? else { return Ok(None) };
            if let Line::Entry(entry) = &line {
                self.keeps = !has(&self.linked, entry);
            }
            if self.keeps {
                return Ok(Some(line));
            }
        }
    }

    fn stored_as(&self) -> Option<&RelPath> {
        self.lines.stored_as()
    }
}

/// A part of a file that is to be looked at.
struct Blob {
    offset: u64,
    length: u32,
    digest: Digest,
}

impl Blob {
    fn is_in(&self, reader: &mut Reader<'_>, path: &RelPath, buffer: &mut Vec<u8>) -> bool {
        buffer.resize(self.length as usize, 0);
        matches!(reader.read(path, self.offset, buffer, &self.digest), Ok(true))
    }
}

/// Some blobs of one file. With a file of more than one job, the first `begins` and the last `ends` it.
struct Job<'a> {
    file: Arc<Near<'a>>,
    blobs: Vec<Blob>,
    begins: bool,
    ends: bool,
}

/// Cuts lines into jobs.
#[derive(Default)]
struct Cutting<'a> {
    /// The file that the lines are in the middle of, and how far.
    current: Option<(Arc<Near<'a>>, u64)>,
    jobs: VecDeque<Job<'a>>,
}

impl<'a> Cutting<'a> {
    fn next_job(&mut self, lines: &mut dyn Lines, places: &[&'a DataFolder], device: u64) -> Result<Option<Job<'a>>, Error> {
        while self.jobs.is_empty() {
            let Some(line) = lines.next_line()? else { break };
            if let Line::Entry(entry) = &line {
                self.current = near(entry, places, device).map(|file| (Arc::new(file), 0));
            }
            self.cut(line.content());
        }
        Ok(self.jobs.pop_front())
    }

    /// Makes jobs of a part of the current file. One with a hole is left to be written: no digest says that nothing is there.
    fn cut(&mut self, content: &[Piece]) {
        if content.iter().any(|piece| !matches!(piece, Piece::Blob { .. })) {
            self.current = None;
        }
        let Some((file, offset)) = &mut self.current else { return };
        // An empty file has no piece and is one job all the same.
        let mut pieces = content.iter().peekable();
        while pieces.peek().is_some() || *offset == file.is.1 {
            let begins = *offset == 0;
            let mut blobs = Vec::new();
            for piece in pieces.by_ref().take(JOB_BLOBS) {
                if let Piece::Blob { digest, length, .. } = *piece {
                    blobs.push(Blob { offset: *offset, length, digest });
                }
                *offset += piece.length();
            }
            let ends = *offset == file.is.1;
            self.jobs.push_back(Job { file: file.clone(), blobs, begins, ends });
            if ends {
                self.current = None;
                return;
            }
        }
    }
}

#[cfg(test)]
#[path = "linked_tests.rs"]
mod tests;
