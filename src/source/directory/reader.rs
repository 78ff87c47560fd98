//! Reading one file of a living tree into the copy, so that what is kept was true at one moment.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, SeekFrom, Stat};
use rustix::io::Errno;

use super::copy::{Bringing, CopySettings};
use super::links::Inode;
use super::metadata::{self, file_type};
use super::owners::Owners;
use super::taker::Content;
use super::walk::open_root;
use super::xattrs;
use crate::format::entry::{Entry, Kind, Xattr};
use crate::format::path::RelPath;
use crate::source::{Error, Problem};
use crate::sys::clock::Clock;
use crate::sys::folder::Folder;
use crate::sys::meter::Meter;
use crate::sys::stop::Stop;

/// Bytes read at a time: large enough that system calls do not count, small enough for a buffer per thread.
const READ: usize = 256 << 10;

/// How often a file is read when it changes each time: a file that is written once in a while is caught, a log that never rests is not
/// waited for.
const ATTEMPTS: usize = 3;

/// What one thread needs to copy files.
pub(super) struct Reader<'a> {
    source: Folder,
    pub(super) data: Folder,
    settings: &'a CopySettings<'a>,
    buffer: Vec<u8>,
    owners: Owners,
    stop: &'a Stop,
    meter: &'a Meter,
    clock: &'a dyn Clock,
}

/// What became of a file.
#[expect(clippy::large_enum_variant, reason = "it is handed on at once, and nearly always the larger")]
pub(super) enum Outcome<C> {
    /// It is in the copy.
    Copied {
        entry: Entry,
        content: C,
        /// The file that was read, which may not be the one that the walk saw.
        inode: Inode,
        /// What of it is not as it should be.
        problem: Option<Problem>,
    },
    /// It is not in the copy.
    Lost(Problem),
}

/// How reading failed: on the source's side it is that file's problem, on the copy's side it is everyone's.
enum Failure {
    Source(io::Error),
    Fatal(Error),
}

impl<'a> Reader<'a> {
    /// A reader from the tree `root` into the folder of `settings`.
    pub(super) fn new(
        root: &Path,
        settings: &'a CopySettings<'a>,
        stop: &'a Stop,
        meter: &'a Meter,
        clock: &'a dyn Clock,
    ) -> Result<Self, Error> {
        let (source, copy) = (open_root(root)?, Folder::open(settings.data)?);
        Ok(Self { source, data: copy, settings, buffer: vec![0; READ], owners: Owners::default(), stop, meter, clock })
    }

    /// Copies a file. It is read again while it changes, at most [`ATTEMPTS`] times in all.
    pub(super) fn copy<C: Content>(&mut self, path: &RelPath, content: &(dyn Fn(u64) -> C + Sync)) -> Result<Outcome<C>, Error> {
        let mut copy: Option<File> = None;
        let mut attempt = 1;
        loop {
            match self.attempt(path, &mut copy, content) {
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::Source(cause)) => {
                    if copy.is_some() {
                        self.forget(path)?;
                    }
                    return Ok(Outcome::Lost(Problem::from_io(path, "read it", &cause)));
                }
                Ok((outcome, is_steady)) if is_steady || attempt == ATTEMPTS => return Ok(outcome),
                Ok(_) => attempt += 1,
            }
        }
    }

    /// Reads the file once. The second part tells whether it was the same before and after.
    fn attempt<C: Content>(
        &mut self,
        path: &RelPath,
        copy: &mut Option<File>,
        content: &(dyn Fn(u64) -> C + Sync),
    ) -> Result<(Outcome<C>, bool), Failure> {
        // The clock is read first: what is written while the file is read must not look settled.
        let now = self.clock.now();
        let (file, before) = self.open(path).map_err(Failure::Source)?;
        let into = match copy {
            None if self.holds_links() => None,
            None => Some(&*copy.insert(self.data.create_file(path.as_bytes(), 0o600).map_err(self.fatal("create", path))?)),
            Some(copy) => {
                copy.set_len(0).map_err(self.fatal("empty", path))?;
                Some(&*copy)
            }
        };
        let mut content = content(metadata::size(&before));
        let size = self.transfer(path, &file, &before, into, &mut content)?;
        let (xattrs, mut problem) = self.xattrs(path, &file);
        let after = rustix::fs::fstat(&file).map_err(|cause| Failure::Source(cause.into()))?;
        let is_same = if self.holds_links() { metadata::is_same_content } else { metadata::is_same };
        let is_steady = is_same(&before, &after) && size == metadata::size(&before);
        let mut entry = metadata::entry(path.clone(), Kind::File, &before, &mut self.owners);
        entry.size = size;
        entry.xattrs = xattrs;
        if let Some(identity) = &mut entry.identity {
            // Where something is missing, the file is read again next time, and the problem reported again.
            identity.trusted = is_steady && problem.is_none() && (self.holds_links() || metadata::is_settled(&before, now));
        }
        if !is_steady {
            let detail = format!("it changed while it was read, {ATTEMPTS} times; the copy may mix old and new bytes");
            problem = Some(Problem { kind: Problem::CHANGED, path: path.clone(), detail });
        }
        let inode = Inode { device: before.st_dev, inode: before.st_ino };
        Ok((Outcome::Copied { entry, content, inode, problem }, is_steady))
    }

    /// Whether there is nothing to be written: what is read is the copy.
    fn holds_links(&self) -> bool {
        self.settings.bringing == Bringing::Links
    }

    fn open(&self, path: &RelPath) -> io::Result<(File, Stat)> {
        let file = self.source.open_file(path.as_bytes())?;
        let stat = rustix::fs::fstat(&file)?;
        if file_type(&stat) != FileType::RegularFile {
            // What the walk saw here has gone, and this is something else.
            return Err(Errno::NOENT.into());
        }
        Ok((file, stat))
    }

    /// Carries bytes and holes over, at most as many as the file had when it was opened; gives how many.
    fn transfer<C: Content>(
        &mut self,
        path: &RelPath,
        file: &File,
        stat: &Stat,
        into: Option<&File>,
        content: &mut C,
    ) -> Result<u64, Failure> {
        let size = metadata::size(stat);
        // A file that takes as many blocks as it has bytes has no holes.
        let sparse = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512) < size;
        let (mut offset, mut has_hole) = (0, false);
        while offset < size {
            let (data, end) = if sparse { extent(file, offset, size) } else { (offset, size) };
            if data > offset {
                content.hole(data - offset);
                has_hole = true;
                offset = data;
            }
            while offset < end {
                self.stop.check().map_err(|stopped| Failure::Fatal(stopped.into()))?;
                let wanted = usize::try_from(end - offset).unwrap_or(READ).min(READ);
                let read = read_at(file, &mut self.buffer[..wanted], offset).map_err(Failure::Source)?;
                if read == 0 {
                    into.map_or(Ok(()), |into| into.set_len(offset)).map_err(self.fatal("write", path))?;
                    return Ok(offset);
                }
                into.map_or(Ok(()), |into| into.write_all_at(&self.buffer[..read], offset)).map_err(self.fatal("write", path))?;
                content.bytes(&self.buffer[..read]);
                offset += read as u64;
                self.meter.add_bytes(read as u64);
            }
        }
        if let Some(into) = into.filter(|_| has_hole) {
            into.set_len(offset).map_err(self.fatal("write", path))?;
        }
        Ok(offset)
    }

    fn xattrs(&self, path: &RelPath, file: &File) -> (Vec<Xattr>, Option<Problem>) {
        match xattrs::of_open(file.as_fd()) {
            Ok(xattrs) => (xattrs, None),
            Err(cause) => (Vec::new(), Some(Problem::from_io(path, "read the extended attributes, which are left out", &cause))),
        }
    }

    /// Removes what was begun in the copy.
    fn forget(&self, path: &RelPath) -> Result<(), Error> {
        let removed = self.data.parent_of(path.as_bytes()).and_then(|(parent, name)| {
            rustix::fs::unlinkat(&*parent, name, rustix::fs::AtFlags::empty())?;
            Ok(())
        });
        removed.map_err(Error::file("remove", within(self.settings.data, path)))
    }

    fn fatal(&self, what: &'static str, path: &RelPath) -> impl FnOnce(io::Error) -> Failure + use<> {
        let path = within(self.settings.data, path);
        move |cause| Failure::Fatal(Error::file(what, path)(cause))
    }
}

/// Where the next data at or after `offset` begins and ends, within `size`.
fn extent(file: &File, offset: u64, size: u64) -> (u64, u64) {
    let data = match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data.min(size),
        // There is none: a hole up to the end.
        Err(Errno::NXIO) => return (size, size),
        Err(_) => return (offset, size),
    };
    match rustix::fs::seek(file, SeekFrom::Hole(data)) {
        Ok(end) if end > data => (data, end.min(size)),
        // A hole that was made under our hands: its zeros are read as data.
        _ => (data, size),
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A path of this machine, for messages.
pub(super) fn within(root: &Path, path: &RelPath) -> PathBuf {
    root.join(std::ffi::OsStr::from_bytes(path.as_bytes()))
}
