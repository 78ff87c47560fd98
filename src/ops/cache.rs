//! The cache: the file lists of the last shipped snapshot of each source, in plain, as the index for deduplication.
//!
//! Losing it costs one full ship and nothing else. It is keyed by the repository's id and checked against its own SHA-256.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Error;
use super::context::Context;
use super::lists::{Lines, LocalLines, digest_of};
use super::node::Remote;
use crate::archive::LineWriter;
use crate::format::body::ListRef;
use crate::format::digest::Digest;
use crate::format::line::Line;
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::sys::file;

/// zstd level of the cache's lines: they are read at every ship, and their size hardly matters.
const LEVEL: i32 = 1;

/// What the cache knows of the last shipped snapshot, besides its lines.
#[derive(Debug, Serialize, Deserialize)]
pub struct Index {
    /// The snapshot.
    pub id: SnapshotId,
    /// SHA-256 of the file with its lines.
    pub lines_sha256: Digest,
    /// SHA-256 of the file with the lines of its facts.
    pub facts_sha256: Digest,
    /// Each file list: the digest of its plain text, and what it is stored as.
    pub lists: Vec<(Digest, ListRef)>,
    /// Every pack it refers to, ascending by name.
    pub packs: Vec<CachedPack>,
    /// SHA-256 of the lines of the local copy that it was made from: a copy with the same lines is the same snapshot again.
    pub copy_lines_sha256: Digest,
    /// To whom all of its packs and lists are sealed, ascending; empty when not encrypted.
    #[serde(default)]
    pub recipients: Vec<String>,
}

/// What the cache knows of one pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedPack {
    /// The pack's name.
    pub pack: Digest,
    /// Its stored size in bytes.
    pub stored: u64,
    /// Plain bytes of all blobs in it.
    pub plain: u64,
    /// Plain bytes of the blobs that the cached snapshot needs; one that is needed twice counts twice.
    pub live: u64,
}

/// A pack of which less than this share is needed is mostly waste: its content is stored anew, so that it can be pruned.
const LIVE_PERCENT_MIN: u64 = 30;

impl CachedPack {
    /// Whether so little of it is needed that it is better stored anew.
    pub fn is_mostly_waste(&self) -> bool {
        self.live * 100 < self.plain * LIVE_PERCENT_MIN
    }
}

/// The cache of one source for one repository.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
}

/// A cached snapshot that is whole.
#[derive(Debug)]
pub struct Parent {
    folder: PathBuf,
    /// What is known of it.
    pub index: Index,
}

impl Cache {
    /// The cache of this source.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn of(ctx: &Context, remote: &Remote, source: &SourceName) -> Result<Self, Error> {
        Ok(Self { folder: ctx.state()?.folder(&["cache", &remote.marker.repository, source.as_str()])? })
    }

    /// The last shipped snapshot, or `None` when there is none or the cache is damaged.
    ///
    /// # Errors
    /// [`Error::File`] when the folder cannot be read.
    pub fn parent(&self) -> Result<Option<Parent>, Error> {
        let Ok(text) = fs::read(self.folder.join("index.json")) else { return Ok(None) };
        let Ok(sealed) = serde_json::from_slice::<Sealed>(&text) else { return Ok(None) };
        if Digest::of(sealed.index.as_bytes()) != sealed.sha256 {
            return Ok(None);
        }
        let Ok(index) = serde_json::from_str::<Index>(&sealed.index) else { return Ok(None) };
        let parent = Parent { folder: self.folder.clone(), index };
        // Both files are opened once here, so that a damaged cache is noticed before anything is built on it.
        match (parent.lines(), parent.facts()) {
            (Ok(_), Ok(_)) => Ok(Some(parent)),
            _ => Ok(None),
        }
    }

    /// Makes the cached snapshot the cache of a later one that holds the same files.
    ///
    /// # Errors
    /// [`Error::File`]; then the cache before is still in force.
    pub fn carry_over(&self, parent: Parent, id: SnapshotId) -> Result<(), Error> {
        for ending in ["files", "facts"] {
            let (from, to) = (self.folder.join(format!("{}.{ending}", parent.index.id)), self.folder.join(format!("{id}.{ending}")));
            match fs::hard_link(&from, &to) {
                Err(cause) if cause.kind() != std::io::ErrorKind::AlreadyExists => return Err(Error::file("link", from)(cause)),
                _ => {}
            }
        }
        write_index(&self.folder, &Index { id, ..parent.index })?;
        clear(&self.folder, id)
    }

    /// Begins the cache of the snapshot that is being shipped.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn begin(&self, id: SnapshotId) -> Result<Writer, Error> {
        let open = |name: String| -> Result<(PathBuf, LineWriter<BufWriter<File>>), Error> {
            let path = self.folder.join(name);
            let file = fs::OpenOptions::new().write(true).create(true).truncate(true).read(true).mode(0o600).open(&path);
            let file = file.map_err(Error::file("create", &path))?;
            Ok((path, LineWriter::new(BufWriter::new(file), LEVEL)?))
        };
        Ok(Writer {
            folder: self.folder.clone(),
            id,
            lines: open(format!("{id}.files.partial"))?,
            facts: open(format!("{id}.facts.partial"))?,
            lists: Vec::new(),
        })
    }
}

/// The index as text with its SHA-256, so that a flipped byte in it is noticed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    sha256: Digest,
    index: String,
}

impl Parent {
    /// Its lines, in path order, with the locations of all blobs.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn lines(&self) -> Result<LocalLines, Error> {
        LocalLines::open(&self.folder.join(format!("{}.files", self.index.id)), &self.index.lines_sha256)
    }

    /// The lines of its facts.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn facts(&self) -> Result<LocalLines, Error> {
        LocalLines::open(&self.folder.join(format!("{}.facts", self.index.id)), &self.index.facts_sha256)
    }

    /// Calls `visit` with every line, of files and of facts.
    ///
    /// # Errors
    /// What reading or `visit` gives.
    pub fn each(&self, visit: &mut dyn FnMut(Line) -> Result<(), Error>) -> Result<(), Error> {
        for mut lines in [self.lines()?, self.facts()?] {
            while let Some(line) = lines.next_line()? {
                visit(line)?;
            }
        }
        Ok(())
    }

    /// What a file list with this plain digest is stored as.
    pub fn lists(&self) -> BTreeMap<Digest, ListRef> {
        self.index.lists.iter().copied().collect()
    }
}

type PartialLines = (PathBuf, LineWriter<BufWriter<File>>);

/// A cache that is being written.
pub struct Writer {
    folder: PathBuf,
    id: SnapshotId,
    lines: PartialLines,
    facts: PartialLines,
    lists: Vec<(Digest, ListRef)>,
}

impl Writer {
    /// Takes a whole plain file list and what it is stored as.
    ///
    /// # Errors
    /// [`Error::Archive`] when it cannot be written.
    pub fn list(&mut self, plain: &[u8], stored: ListRef) -> Result<(), Error> {
        let lines = match stored.role {
            crate::format::body::Role::Files => &mut self.lines.1,
            crate::format::body::Role::Facts => &mut self.facts.1,
        };
        for line in plain.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            lines.write_line(line)?;
        }
        self.lists.push((Digest::of(plain), stored));
        Ok(())
    }

    /// Makes it the cache, in place of the one before.
    ///
    /// # Errors
    /// [`Error::File`]; then the cache before is still in force or there is none.
    pub fn finish(self, packs: Vec<CachedPack>, copy_lines_sha256: Digest, recipients: &[String]) -> Result<(), Error> {
        let close = |(path, lines): PartialLines| -> Result<(PathBuf, Digest), Error> {
            lines.finish()?.flush().map_err(Error::file("write", &path))?;
            let mut file = File::open(&path).map_err(Error::file("read", &path))?;
            Ok((path.clone(), digest_of(&mut file).map_err(Error::file("read", path))?))
        };
        let (lines_path, lines_sha256) = close(self.lines)?;
        let (facts_path, facts_sha256) = close(self.facts)?;
        for (path, ending) in [(lines_path, "files"), (facts_path, "facts")] {
            fs::rename(&path, self.folder.join(format!("{}.{ending}", self.id))).map_err(Error::file("rename", &path))?;
        }
        let (id, lists, recipients) = (self.id, self.lists, recipients.to_vec());
        write_index(&self.folder, &Index { id, lines_sha256, facts_sha256, lists, packs, copy_lines_sha256, recipients })?;
        clear(&self.folder, self.id)
    }
}

fn write_index(folder: &std::path::Path, index: &Index) -> Result<(), Error> {
    let index = serde_json::to_string(index).expect("the index is plain JSON");
    let sealed = Sealed { sha256: Digest::of(index.as_bytes()), index };
    let text = serde_json::to_vec(&sealed).expect("the index is plain JSON");
    Ok(file::replace_private(&folder.join("index.json"), &text)?)
}

/// Removes what belongs to other snapshots; the cache keeps one.
fn clear(folder: &std::path::Path, keep: SnapshotId) -> Result<(), Error> {
    let keep = keep.to_string();
    for entry in fs::read_dir(folder).map_err(Error::file("read the folder", folder))? {
        let name = entry.map_err(Error::file("read the folder", folder))?.file_name();
        let name = name.to_string_lossy();
        if name != "index.json" && name.split_once('.').is_none_or(|(id, ending)| id != keep || ending.ends_with("partial")) {
            let path = folder.join(&*name);
            fs::remove_file(&path).map_err(Error::file("remove", path))?;
        }
    }
    Ok(())
}
