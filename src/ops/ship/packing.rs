//! The first pass of a shipment: every blob that the repository does not have goes into a pack.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::FileExt;

use super::journal::{Journal, Record};
use super::known::{Accepted, Known};
use super::presence::Object;
use crate::archive::{self, FrameGatherer, Member, PackPlan, SealedPack, Supply};
use crate::format::digest::Digest;
use crate::format::entry::Piece;
use crate::format::line::Line;
use crate::format::path::RelPath;
use crate::ops::copies::DATA;
use crate::ops::lists::{Beside, Lines};
use crate::ops::{Context, Error};
use crate::repository::Uploads;
use crate::sys::folder::Folder;

/// Where the bytes of members come from: the data of the local copy, and the facts, which are in memory.
pub(crate) struct CopySupply {
    data: Folder,
    facts: Vec<u8>,
    facts_digest: Digest,
}

impl CopySupply {
    /// The bytes of a local copy with this data folder and these facts.
    pub(crate) fn new(data: &std::path::Path, facts: Vec<u8>) -> Result<Self, Error> {
        Ok(Self { data: Folder::open(data)?, facts_digest: Digest::of(&facts), facts })
    }
}

impl Supply for CopySupply {
    fn read(&self, member: &Member, buffer: &mut [u8]) -> io::Result<()> {
        if member.digest == self.facts_digest && member.length as usize == self.facts.len() {
            buffer.copy_from_slice(&self.facts);
            return Ok(());
        }
        self.data.open_file(member.path.as_bytes())?.read_exact_at(buffer, member.offset)
    }
}

/// The plan of the packs: lines of the local copy beside those of the parent, then the facts.
pub(super) struct Packing<'p, 'k> {
    pub(super) ctx: &'p Context,
    /// Lines of the local copy.
    pub(super) lines: Box<dyn Lines>,
    /// Lines of the parent.
    pub(super) beside: Option<Beside>,
    /// The facts, still to come.
    pub(super) facts: Option<(RelPath, Digest, u32)>,
    pub(super) known: &'p mut Known<'k>,
    pub(super) uploads: &'p mut Uploads<Accepted>,
    pub(super) journal: &'p mut Journal,
    gatherer: FrameGatherer,
    ready: VecDeque<Vec<Member>>,
    offset: u64,
    ended: bool,
}

impl<'p, 'k> Packing<'p, 'k> {
    pub(super) fn new(
        ctx: &'p Context,
        lines: Box<dyn Lines>,
        beside: Option<Beside>,
        facts: Option<(RelPath, Digest, u32)>,
        known: &'p mut Known<'k>,
        uploads: &'p mut Uploads<Accepted>,
        journal: &'p mut Journal,
    ) -> Self {
        Self {
            ctx,
            lines,
            beside,
            facts,
            known,
            uploads,
            journal,
            gatherer: FrameGatherer::new(),
            ready: VecDeque::new(),
            offset: 0,
            ended: false,
        }
    }

    /// Waits until every pack is accepted.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        let accepted = self.uploads.drain()?;
        self.accept(accepted)
    }

    /// After a failure: what the repository has accepted all the same is recorded, so that the next run need not send it again.
    pub(super) fn salvage(&mut self) {
        // The queue tells its own failure once before it gives what was accepted. The failure that led here is what matters; what cannot
        // be recorded is sent again.
        for _ in 0..2 {
            if let Ok(accepted) = self.uploads.drain() {
                let _ = self.accept(accepted);
            }
        }
    }

    fn accept(&mut self, accepted: Vec<Accepted>) -> Result<(), Error> {
        for pack in accepted {
            self.known.accept(&pack)?;
            self.journal.add(&Record::Pack(pack))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line) -> Result<(), Error> {
        let beside = match &mut self.beside {
            Some(beside) => beside.find(line)?,
            None => None,
        };
        if let Line::Entry(_) = line {
            self.offset = 0;
        }
        for (at, piece) in line.content().iter().enumerate() {
            if let Piece::Blob { digest, length, .. } = piece {
                let known = self.known.beside(digest, beside.as_ref().and_then(|line| line.content().get(at)));
                if known.is_none() && self.known.reserve(digest)? {
                    self.gather(Member { path: line.path().clone(), offset: self.offset, length: *length, digest: *digest });
                } else {
                    self.ctx.meter.add_bytes(u64::from(*length));
                }
            }
            self.offset += piece.length();
        }
        Ok(())
    }

    fn gather(&mut self, member: Member) {
        let full = self.gatherer.push(member);
        self.ready.extend(full);
    }

    fn end(&mut self) -> Result<(), Error> {
        self.ended = true;
        if let Some((path, digest, length)) = self.facts.take()
            && self.known.reserve(&digest)?
        {
            self.gather(Member { path, offset: 0, length, digest });
        }
        self.ready.extend(std::mem::take(&mut self.gatherer).finish());
        Ok(())
    }
}

impl PackPlan for Packing<'_, '_> {
    type Error = Error;

    fn next_frame(&mut self) -> Result<Option<Vec<Member>>, Error> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(Some(frame));
            }
            if self.ended {
                return Ok(None);
            }
            self.ctx.stop.check()?;
            match self.lines.next_line()? {
                Some(line) => self.line(&line)?,
                None => self.end()?,
            }
        }
    }

    fn sealed(&mut self, pack: SealedPack) -> Result<(), Error> {
        let (bytes, pack) = Accepted::of(pack);
        let accepted = self.uploads.push(Object::Pack(pack.name).key(self.ctx), bytes, pack)?;
        self.accept(accepted)
    }
}

/// Bytes that are missing or others while packing mean that the local copy is no longer what it was when it was made.
pub(crate) fn local_damage(error: Error, copy: &std::path::Path) -> Error {
    let (path, problem) = match error {
        Error::Archive(archive::Error::Mismatch { path }) => (path, "its bytes are not those that were recorded".to_owned()),
        Error::Archive(archive::Error::Supply { path, cause }) if is_lost(&cause) => (path, format!("it cannot be read: {cause}")),
        other => return other,
    };
    Error::damaged(copy.join(DATA).join(path.to_string()).display(), format!("{problem}; take a new snapshot"))
}

/// Whether bytes that were there are gone, rather than out of reach for the moment.
fn is_lost(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
        || cause.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}
