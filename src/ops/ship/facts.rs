//! Source facts as lines: a folder with one file, `facts.json`.

use crate::format::digest::Digest;
use crate::format::entry::{Entry, Kind, Piece};
use crate::format::limits::BLOB_MAX;
use crate::format::line::Line;
use crate::format::path::RelPath;
use crate::ops::Error;
use crate::ops::lists::Lines;

/// The name of the file with the facts.
pub(crate) const FACTS: &str = "facts.json";

/// The facts of a snapshot, as they are stored. Nothing in them changes from day to day, so they are stored once.
pub(super) struct Facts {
    /// The text.
    pub(super) text: Vec<u8>,
    /// Its digest.
    pub(super) digest: Digest,
}

impl Facts {
    /// The facts as text.
    pub(super) fn new(facts: &serde_json::Value) -> Result<Self, Error> {
        let mut text = serde_json::to_vec_pretty(facts).expect("facts are plain JSON");
        text.push(b'\n');
        if text.len() > BLOB_MAX {
            return Err(Error::Refused(format!("the facts of the source take {} bytes, {BLOB_MAX} are allowed", text.len())));
        }
        Ok(Self { digest: Digest::of(&text), text })
    }

    /// The path of the file.
    pub(super) fn path() -> RelPath {
        RelPath::new(FACTS).expect("a plain name")
    }

    /// Its length.
    pub(super) fn length(&self) -> u32 {
        u32::try_from(self.text.len()).expect("at most one blob")
    }

    /// Whether these lines are those of these facts.
    pub(super) fn are_those_of(&self, lines: &mut dyn Lines) -> Result<bool, Error> {
        let mut same = false;
        while let Some(line) = lines.next_line()? {
            same |= matches!(line.content(), [Piece::Blob { digest, .. }] if *digest == self.digest);
        }
        Ok(same)
    }

    /// The lines of the folder.
    pub(super) fn lines(&self) -> FactLines {
        let folder = Entry { mode: 0o700, ..Entry::new(RelPath::root(), Kind::Directory) };
        let piece = Piece::Blob { digest: self.digest, length: self.length(), at: None };
        let file = Entry { mode: 0o600, size: self.text.len() as u64, content: vec![piece], ..Entry::new(Self::path(), Kind::File) };
        FactLines(vec![folder, file].into_iter())
    }
}

/// The lines of [`Facts`].
pub(super) struct FactLines(std::vec::IntoIter<Entry>);

impl Lines for FactLines {
    fn next_line(&mut self) -> Result<Option<Line>, Error> {
        Ok(self.0.next().map(Line::Entry))
    }
}
