//! Receives a directory as it is copied, and writes its lines.

use std::collections::VecDeque;
use std::path::Path;

use super::admission::{LOOK_EVERY, still_room};
use super::pieces::{Cutting, Pieces};
use super::writer::Writer;
use crate::format::entry::{Entry, Kind, Piece};
use crate::format::limits::LINE_MAX;
use crate::format::line::Line;
use crate::format::names::SourceName;
use crate::format::path::RelPath;
use crate::ops::copies::Copy;
use crate::ops::event::Event;
use crate::ops::lists::Beside;
use crate::ops::{Context, Error};
use crate::source::Problem;
use crate::source::directory::Taker;

/// Events for single problems; beyond them only counts are kept, so that a broken disk does not flood a log.
const TOLD: u64 = 100;

/// Tells of problems, up to a bound.
pub(super) struct Told<'a> {
    ctx: &'a Context,
    source: SourceName,
    count: u64,
}

impl<'a> Told<'a> {
    pub(super) fn new(ctx: &'a Context, source: &SourceName) -> Self {
        Self { ctx, source: source.clone(), count: 0 }
    }

    pub(super) fn tell(&mut self, problem: Problem) {
        self.count += 1;
        if self.count <= TOLD {
            self.ctx.tell(Event::Problem {
                source: self.source.clone(),
                kind: problem.kind.to_owned(),
                path: problem.path.to_string(),
                detail: problem.detail,
            });
        }
    }
}

/// Writes the lines of a directory's copy beside those of the copy before.
pub(super) struct Lines<'a> {
    ctx: &'a Context,
    previous: Option<Previous>,
    writer: Writer,
    told: Told<'a>,
    /// Bytes of files that were read.
    pub(super) read_bytes: u64,
    /// Bytes that were copied since the room was looked at.
    unseen: u64,
}

/// The copy before, read beside the new one.
struct Previous {
    /// Read ahead of the copying, for what is unchanged.
    ahead: Beside,
    /// The pieces of what was found there and has not been copied yet; as many as files are under way.
    found: VecDeque<(RelPath, u64, Vec<Piece>)>,
    /// Read once more for files whose pieces take more than one line.
    long: Beside,
}

impl Previous {
    /// Forgets pieces that nobody will ask for any more: their files were copied after all, or are no longer there.
    fn forget_up_to(&mut self, path: &RelPath) {
        while self.found.front().is_some_and(|(found, ..)| found < path) {
            self.found.pop_front();
        }
    }
}

impl<'a> Lines<'a> {
    pub(super) fn new(ctx: &'a Context, source: &SourceName, path: &Path, previous: Option<&Copy>) -> Result<Self, Error> {
        let previous = match previous {
            Some(copy) => Some(Previous {
                ahead: Beside::new(Box::new(copy.lines()?)),
                found: VecDeque::new(),
                long: Beside::new(Box::new(copy.lines()?)),
            }),
            None => None,
        };
        Ok(Self { ctx, previous, writer: Writer::create(path)?, told: Told::new(ctx, source), read_bytes: 0, unseen: 0 })
    }

    pub(super) fn finish(self) -> Writer {
        self.writer
    }

    fn entry(&mut self, entry: Entry, pieces: Pieces) -> Result<(), Error> {
        if Writer::fits(&entry) {
            return self.writer.entry(entry, pieces);
        }
        // Attributes that no line can hold: the file is kept without them, and that is said.
        let detail = format!("its attributes take more than a line of {} bytes; they are not in the snapshot", LINE_MAX);
        let path = entry.path.clone();
        self.writer.entry(Entry { xattrs: Vec::new(), ..entry }, pieces)?;
        self.problem(Problem { kind: Problem::UNREADABLE, path, detail })
    }
}

impl Taker<Cutting> for Lines<'_> {
    type Error = Error;

    fn previous(&mut self, path: &RelPath) -> Result<Option<Entry>, Error> {
        let Some(previous) = &mut self.previous else { return Ok(None) };
        let mut entry = previous.ahead.find_entry(path)?;
        if let Some(entry) = &mut entry {
            previous.found.push_back((path.clone(), entry.size, std::mem::take(&mut entry.content)));
        }
        Ok(entry)
    }

    fn copied(&mut self, mut entry: Entry, content: Option<Cutting>) -> Result<(), Error> {
        let pieces = match content {
            Some(content) => content.finish()?,
            None => Pieces::of(Vec::new()),
        };
        if let Some(previous) = &mut self.previous {
            previous.forget_up_to(&entry.path);
        }
        // What was read is what counts: the size that the system told may have changed since.
        if entry.kind == Kind::File {
            entry.size = pieces.bytes;
        }
        self.read_bytes += pieces.bytes;
        self.unseen += pieces.bytes;
        if self.unseen >= LOOK_EVERY {
            self.unseen = 0;
            still_room(self.ctx)?;
        }
        self.entry(entry, pieces)
    }

    fn unchanged(&mut self, entry: Entry) -> Result<(), Error> {
        let lost = || Error::Refused(format!("`{}` was unchanged and is not in the copy before", entry.path));
        let previous = self.previous.as_mut().ok_or_else(lost)?;
        previous.forget_up_to(&entry.path);
        let (path, size, content) = previous.found.pop_front().filter(|(path, ..)| *path == entry.path).ok_or_else(lost)?;
        let mut seen: u64 = content.iter().map(Piece::length).sum();
        let mut count = content.len() as u64;
        self.entry(Entry { size, ..entry }, Pieces::of(content))?;
        while seen < size {
            let previous = self.previous.as_mut().expect("it was there a moment ago");
            let more = previous.long.find_more(&path, count)?;
            let more = more.ok_or_else(|| Error::damaged(&path, "its pieces in the copy before are incomplete"))?;
            seen += more.content.iter().map(Piece::length).sum::<u64>();
            count += more.content.len() as u64;
            self.writer.line(&Line::More(more))?;
        }
        Ok(())
    }

    fn problem(&mut self, problem: Problem) -> Result<(), Error> {
        self.writer.problem(problem.kind);
        self.told.tell(problem);
        Ok(())
    }
}
