//! Lines kept in a nameless temporary file, to be read as often as needed.
//!
//! The lists of a shipped snapshot are fetched once and wait here for the later passes; so does a selection of paths.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::archive::{LineReader, LineWriter};
use crate::format::escape::escape;
use crate::format::line::Line;
use crate::format::path::RelPath;
use crate::ops::Error;
use crate::ops::lists::Lines;
use crate::sys::positioned::Positioned;
use crate::sys::table::unlinked;

/// zstd level of a spool: it is written and read within one run, so speed counts.
const LEVEL: i32 = 1;

/// Begins a line that says under which path the bytes of the next entry are stored; an entry's own line begins with `{`.
const STORED_AS: u8 = b'@';

/// Lines that are complete and in order. Clones read the same file.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    file: Arc<File>,
    folder: PathBuf,
}

/// A spool that is being written.
pub(super) struct SpoolWriter {
    lines: LineWriter<BufWriter<File>>,
    folder: PathBuf,
}

impl Spool {
    /// Keeps all these lines in a temporary file in `work`.
    ///
    /// # Errors
    /// What reading the lines gives; [`Error::Archive`] when the file cannot be written.
    pub(crate) fn of(lines: &mut dyn Lines, work: &Path) -> Result<Self, Error> {
        let mut writer = SpoolWriter::new(work)?;
        while let Some(line) = lines.next_line()? {
            writer.write(&line, None)?;
        }
        writer.finish()
    }

    /// Reads it from the beginning.
    ///
    /// # Errors
    /// [`Error::Archive`].
    pub(crate) fn lines(&self) -> Result<SpoolLines, Error> {
        let reader = LineReader::new(BufReader::new(Positioned::new(self.file.clone())))?;
        Ok(SpoolLines { reader, stored_as: None, folder: self.folder.clone() })
    }
}

impl SpoolWriter {
    pub(super) fn new(work: &Path) -> Result<Self, Error> {
        let lines = LineWriter::new(BufWriter::new(unlinked(work)?), LEVEL)?;
        Ok(Self { lines, folder: work.to_owned() })
    }

    /// Adds a line. `stored_as` goes with an entry and holds for the lines that continue it.
    pub(super) fn write(&mut self, line: &Line, stored_as: Option<&RelPath>) -> Result<(), Error> {
        if let Some(path) = stored_as {
            let mut text = vec![STORED_AS];
            text.extend_from_slice(path.to_escaped().as_bytes());
            self.lines.write_line(&text)?;
        }
        let json = line.to_json().map_err(Error::unreadable(escape(line.path().as_bytes())))?;
        Ok(self.lines.write_line(&json)?)
    }

    pub(super) fn finish(self) -> Result<Spool, Error> {
        let written = Error::file("write a temporary file in", &self.folder);
        let mut file = self.lines.finish()?;
        file.flush().map_err(written)?;
        let written = Error::file("write a temporary file in", &self.folder);
        let file = file.into_inner().map_err(|cause| written(cause.into_error()))?;
        Ok(Spool { file: Arc::new(file), folder: self.folder })
    }
}

/// Reads a spool.
pub(crate) struct SpoolLines {
    reader: LineReader<BufReader<Positioned>>,
    stored_as: Option<RelPath>,
    folder: PathBuf,
}

impl Lines for SpoolLines {
    fn next_line(&mut self) -> Result<Option<Line>, Error> {
        let mut announced = None;
        loop {
            let Some(text) = self.reader.next_line()? else { return Ok(None) };
            let refused = Error::unreadable(format!("a temporary file in {}", self.folder.display()));
            if let Some(path) = text.strip_prefix(&[STORED_AS]) {
                let path = String::from_utf8_lossy(path);
                announced = Some(RelPath::from_escaped(&path).map_err(refused)?);
                continue;
            }
            let line = Line::from_json(text).map_err(refused)?;
            if matches!(line, Line::Entry(_)) {
                self.stored_as = announced;
            }
            return Ok(Some(line));
        }
    }

    fn stored_as(&self) -> Option<&RelPath> {
        self.stored_as.as_ref()
    }
}
