//! Source facts: a folder with one file, `facts.json`, on its way into the repository and back.

use super::cat::{Part, ShippedFile};
use super::catalogue::Shipped;
use super::damage::MISSING;
use super::elsewhere::{self, Tiers};
use super::entries::Entries;
use super::lists::{Lines, ShippedLines};
use super::node::Remote;
use super::work::work_folder;
use super::{Context, Error, size};
use crate::format::body::{Body, Role};
use crate::format::digest::Digest;
use crate::format::entry::{Entry, Kind, Piece};
use crate::format::limits::BLOB_MAX;
use crate::format::line::Line;
use crate::format::path::RelPath;

/// The name of the file with the facts.
pub(crate) const FACTS: &str = "facts.json";

/// The key of what the configuration said of the source.
pub(crate) const CONFIGURATION: &str = "configuration";

/// The facts of a snapshot, as they are stored. Nothing in them changes from day to day, so they are stored once.
pub(crate) struct Facts {
    /// The text.
    pub(crate) text: Vec<u8>,
    /// Its digest.
    pub(crate) digest: Digest,
}

impl Facts {
    /// The facts as text.
    pub(crate) fn new(facts: &serde_json::Value) -> Result<Self, Error> {
        let mut text = serde_json::to_vec_pretty(facts).expect("facts are plain JSON");
        text.push(b'\n');
        if text.len() > BLOB_MAX {
            return Err(Error::Refused(format!(
                "the facts of the source take {}, and {} are allowed",
                size::in_words(text.len() as u64),
                size::in_words(BLOB_MAX as u64)
            )));
        }
        Ok(Self { digest: Digest::of(&text), text })
    }

    /// The path of the file.
    pub(crate) fn path() -> RelPath {
        RelPath::new(FACTS).expect("a plain name")
    }

    /// Its length.
    pub(crate) fn length(&self) -> u32 {
        u32::try_from(self.text.len()).expect("at most one blob")
    }

    /// Whether these lines are those of these facts.
    pub(crate) fn are_those_of(&self, lines: &mut dyn Lines) -> Result<bool, Error> {
        let mut same = false;
        while let Some(line) = lines.next_line()? {
            same |= matches!(line.content(), [Piece::Blob { digest, .. }] if *digest == self.digest);
        }
        Ok(same)
    }

    /// The lines of the folder.
    pub(crate) fn lines(&self) -> FactLines {
        let folder = Entry { mode: 0o700, ..Entry::new(RelPath::root(), Kind::Directory) };
        let piece = Piece::Blob { digest: self.digest, length: self.length(), at: None };
        let file = Entry { mode: 0o600, size: self.text.len() as u64, content: vec![piece], ..Entry::new(Self::path(), Kind::File) };
        FactLines(vec![folder, file].into_iter())
    }
}

/// The lines of [`Facts`].
pub(crate) struct FactLines(std::vec::IntoIter<Entry>);

impl Lines for FactLines {
    fn next_line(&mut self) -> Result<Option<Line>, Error> {
        Ok(self.0.next().map(Line::Entry))
    }
}

/// Reads `facts.json` of a shipped snapshot; when its pack is damaged, from wherever else it lies, if that is worth a `search` of all lists.
pub(crate) fn shipped_facts(
    ctx: &Context,
    remote: &Remote,
    shipped: &Shipped,
    body: &Body,
    search: bool,
) -> Result<serde_json::Value, Error> {
    remote.keys.check_readable(&shipped.head)?;
    let node = &shipped.head.node;
    let path = RelPath::new(FACTS).expect("a plain name");
    let name = format!("{FACTS} of {}/{}", shipped.head.source, shipped.head.id);
    let mut entries = Entries::new(Box::new(ShippedLines::open(remote, node, body, Role::Facts)));
    let entry = entries.find(&path)?.ok_or_else(|| Error::damaged(&name, MISSING))?;
    if entry.size > BLOB_MAX as u64 {
        return Err(Error::damaged(&name, format!("it has {} bytes, {BLOB_MAX} are allowed", entry.size)));
    }
    let mut file = ShippedFile::open(remote, node, entries, &entry, 0);
    let mut text = Vec::new();
    while let Some(part) = file.next_part()? {
        match part {
            Part::Bytes(bytes) => text.extend_from_slice(bytes),
            Part::Damaged { error, .. } if !search => return Err(error),
            Part::Damaged { digest, error, .. } => {
                let tiers = Tiers { copies: ctx.local.is_some(), repository: Some(node.clone()) };
                text.extend(elsewhere::one(ctx, &tiers, &work_folder(ctx)?, &digest)?.ok_or(error)?);
            }
            Part::Hole(_) => return Err(Error::damaged(&name, "it has a hole")),
        }
    }
    serde_json::from_slice(&text).map_err(|cause| Error::unreadable(&name)(cause.into()))
}
