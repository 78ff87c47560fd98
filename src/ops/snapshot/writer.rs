//! The lines of a local copy while it is made, and what they add up to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::pieces::Pieces;
use crate::archive::LineWriter;
use crate::format::entry::{Entry, Kind, More};
use crate::format::head::ProblemCount;
use crate::format::limits::{LINE_MAX, PIECES_PER_LINE};
use crate::format::line::Line;
use crate::format::path::RelPath;
use crate::ops::Error;
use crate::ops::lists::digest_of;

/// zstd level of local lines: they are read at every run.
const LEVEL: i32 = 1;

/// What the fields of an entry take on a line besides names and attributes, generously.
const OVERHEAD: usize = 4 << 10;

/// Writes `files.jsonl.zst` of a local copy.
pub(super) struct Writer {
    lines: LineWriter<BufWriter<File>>,
    path: PathBuf,
    /// Regular files and hard links.
    pub(super) files: u64,
    /// Entries of every kind.
    pub(super) entries: u64,
    /// Bytes of all files.
    pub(super) bytes: u64,
    problems: BTreeMap<&'static str, u64>,
}

impl Writer {
    /// Begins the file.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let file = File::options().write(true).read(true).create_new(true).open(path).map_err(Error::file("create", path))?;
        let lines = LineWriter::new(BufWriter::new(file), LEVEL)?;
        Ok(Self { lines, path: path.to_owned(), files: 0, entries: 0, bytes: 0, problems: BTreeMap::new() })
    }

    /// Adds an entry with its pieces, as one line or several.
    pub(super) fn entry(&mut self, mut entry: Entry, mut pieces: Pieces) -> Result<(), Error> {
        self.entries += 1;
        self.files += u64::from(matches!(entry.kind, Kind::File | Kind::HardLink));
        self.bytes += entry.size;
        let path = entry.path.clone();
        entry.content = pieces.take(PIECES_PER_LINE)?;
        let mut written = entry.content.len() as u64;
        self.line(&Line::Entry(entry))?;
        loop {
            let content = pieces.take(PIECES_PER_LINE)?;
            if content.is_empty() {
                return Ok(());
            }
            let first_piece = written;
            written += content.len() as u64;
            self.line(&Line::More(More { path: path.clone(), first_piece, content }))?;
        }
    }

    /// Adds one line as it is.
    pub(super) fn line(&mut self, line: &Line) -> Result<(), Error> {
        let text = line.to_json().map_err(Error::unreadable(line.path()))?;
        Ok(self.lines.write_line(&text)?)
    }

    /// Whether an entry's attributes fit on a line of the format.
    pub(super) fn fits(entry: &Entry) -> bool {
        // In text a byte of a name takes at most three, one of an attribute's value less than two.
        let link = entry.link.as_ref().map_or(0, |link| link.as_bytes().len());
        let names = entry.path.as_bytes().len() + link + entry.target.as_ref().map_or(0, Vec::len);
        let attributes: usize = entry.xattrs.iter().map(|xattr| xattr.name.len() + xattr.value.len() + OVERHEAD).sum();
        let owners = entry.user.iter().chain(&entry.group).map(String::len).sum::<usize>();
        3 * (names + attributes) + 6 * owners + OVERHEAD < LINE_MAX || Line::Entry(entry.clone()).to_json().is_ok()
    }

    /// Counts a problem.
    pub(super) fn problem(&mut self, kind: &'static str) {
        *self.problems.entry(kind).or_default() += 1;
    }

    /// Ends the file, flushed; gives its SHA-256 and the problems.
    pub(super) fn finish(self) -> Result<(crate::format::digest::Digest, Vec<ProblemCount>), Error> {
        let file = self.lines.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).map_err(Error::file("write", &self.path))?;
        let mut file = File::open(&self.path).map_err(Error::file("read", &self.path))?;
        let digest = digest_of(&mut file).map_err(Error::file("read", &self.path))?;
        let problems = self.problems.into_iter().map(|(kind, count)| ProblemCount { kind: kind.to_owned(), count });
        Ok((digest, problems.collect()))
    }
}

/// The path of an entry that stands for a whole single-file source.
pub(super) fn single(name: &str) -> Result<RelPath, Error> {
    RelPath::new(name).map_err(Error::unreadable(name))
}
