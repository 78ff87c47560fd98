//! Local copies: the snapshots on the node's own disk, and which of them stay.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::state::STATE_FOLDER;
use super::{Error, lists};
use crate::format::FormatError;
use crate::format::digest::Digest;
use crate::format::head::{Head, ProblemCount};
use crate::format::limits::FORMAT_VERSION;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::sys::lock::Lock;
use crate::sys::tree::remove_tree;

/// The document that makes a local copy complete, written last.
pub const RECORD: &str = "snapshot.json";
/// The entries of a local copy.
pub const LINES: &str = "files.jsonl.zst";
/// The folder with the data of a local copy.
pub const DATA: &str = "data";
/// What was found to be wrong with a copy's bytes since it was made.
pub const DAMAGED: &str = "damaged.json";
/// When every byte of a copy was last read again and was right.
pub const CHECKED: &str = "checked.json";
/// The ending of a copy that is being made or removed.
pub const PARTIAL: &str = ".partial";

/// An id this far ahead of the clock was made by a clock that was wrong: it is no floor for new ids and never `latest`.
pub const FUTURE: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// `snapshot.json`: what a local copy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this document; the same number as the repository format.
    pub format: u32,
    /// The node that took it.
    pub node: NodeName,
    /// The source.
    pub source: SourceName,
    /// The source's kind.
    pub kind: String,
    /// The snapshot's id.
    pub id: SnapshotId,
    /// Civil date on the node at that instant.
    pub local_date: jiff::civil::Date,
    /// Program and version that took it.
    pub agent: String,
    /// Regular files and hard links.
    pub files: u64,
    /// Entries of every kind.
    pub entries: u64,
    /// Bytes of all files, holes included.
    pub bytes: u64,
    /// What went wrong while it was taken.
    pub problems: Vec<ProblemCount>,
    /// SHA-256 of `files.jsonl.zst` as it lies there.
    pub lines_sha256: Digest,
    /// What a fresh node needs to know of the source; shipped as `facts.json`.
    pub facts: serde_json::Value,
}

impl Record {
    /// What the head of a shipped snapshot and its source facts say of it; its lines are not known.
    pub(super) fn of_shipped(head: &Head, entries: u64, facts: serde_json::Value) -> Self {
        Self {
            format: FORMAT_VERSION,
            node: head.node.clone(),
            source: head.source.clone(),
            kind: head.kind.clone(),
            id: head.id,
            local_date: head.local_date,
            agent: head.agent.clone(),
            files: head.files,
            entries,
            bytes: head.bytes,
            problems: head.problems.clone(),
            lines_sha256: Digest::of(b""),
            facts,
        }
    }
}

/// A complete local copy.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Its folder.
    pub dir: PathBuf,
    /// What it is.
    pub record: Record,
    /// What was found to be wrong with its bytes, when somebody looked.
    pub damage: Option<KnownDamage>,
}

/// `checked.json` of a local copy.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Checked {
    /// When that look began.
    time: Timestamp,
}

/// `damaged.json` of a local copy: what was found of its bytes after it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDamage {
    /// When it was found.
    pub time: Timestamp,
    /// The first thing that was found.
    pub problem: String,
}

impl Copy {
    /// Its id.
    pub fn id(&self) -> SnapshotId {
        self.record.id
    }

    /// The folder with its data.
    pub fn data(&self) -> PathBuf {
        self.dir.join(DATA)
    }

    /// Whether nothing went wrong while it was taken, and nothing has been found to be wrong with it since.
    pub fn is_sound(&self) -> bool {
        self.record.problems.is_empty() && self.damage.is_none()
    }

    /// Remembers that its bytes are not what they were, so that it does not count as sound and no new copy shares its files.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn note_damage(&self, ctx: &Context, problem: impl Into<String>) -> Result<(), Error> {
        let damage = KnownDamage { time: ctx.clock.now(), problem: problem.into() };
        let text = serde_json::to_vec(&damage).expect("plain JSON");
        Ok(crate::sys::file::replace(&self.dir.join(DAMAGED), &text)?)
    }

    /// Forgets damage that was noted: every byte has been read since, and is right.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn note_sound(&self) -> Result<(), Error> {
        let path = self.dir.join(DAMAGED);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path)(cause)),
            _ => Ok(()),
        }
    }

    /// Remembers that all of its bytes were read from then on, and were right.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn note_checked(&self, time: Timestamp) -> Result<(), Error> {
        let text = serde_json::to_vec(&Checked { time }).expect("plain JSON");
        Ok(crate::sys::file::replace(&self.dir.join(CHECKED), &text)?)
    }

    /// When that was; `None` where nobody knows.
    pub fn checked(&self) -> Option<Timestamp> {
        let text = fs::read(self.dir.join(CHECKED)).ok()?;
        serde_json::from_slice::<Checked>(&text).ok().map(|checked| checked.time)
    }

    /// Its entries, in path order; the file is compared with its SHA-256 first.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn lines(&self) -> Result<lists::LocalLines, Error> {
        lists::LocalLines::open(&self.dir.join(LINES), &self.record.lines_sha256)
    }

    /// Keeps it from being removed while it is read.
    ///
    /// # Errors
    /// [`Error::Absent`] when it has just been removed.
    pub fn hold(&self, ctx: &Context) -> Result<Lock, Error> {
        let lock = Lock::shared(&ctx.state()?.copy_lock(&self.record.source, self.id())?)?;
        if !self.dir.join(RECORD).exists() {
            return Err(Error::Absent(format!("the local copy {}/{} has just been removed", self.record.source, self.id())));
        }
        Ok(lock)
    }
}

/// A folder that is a local copy by what lies in it, and whose record is damaged or gone.
#[derive(Clone, Debug)]
pub struct BrokenCopy {
    /// Its folder.
    pub dir: PathBuf,
    /// Its id, which is the folder's name.
    pub id: SnapshotId,
    /// What is wrong with its record.
    pub problem: String,
}

/// The local copies of one source.
#[derive(Debug, Default)]
pub struct Copies {
    /// Complete copies, oldest first.
    pub complete: Vec<Copy>,
    /// Copies whose id is more than a day ahead of the clock; they are in `complete` neither.
    pub future: Vec<Copy>,
    /// Copies whose record is damaged or gone: they count for nothing.
    pub broken: Vec<BrokenCopy>,
    /// Ids of copies that were being made or removed when a run died.
    pub partial: Vec<SnapshotId>,
    /// What lies there and is not ours to touch, or cannot be recognised.
    pub strange: Vec<String>,
}

impl Copies {
    /// Reads the folder of a source.
    ///
    /// # Errors
    /// [`Error::File`] when the folder cannot be read. A folder that is not there holds nothing.
    pub fn read(ctx: &Context, source: &SourceName) -> Result<Self, Error> {
        let folder = ctx.local()?.dir.join(source.as_str());
        let mut copies = Self::default();
        let names = match fs::read_dir(&folder) {
            Ok(names) => names,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(copies),
            Err(cause) => return Err(Error::file("read the folder", folder)(cause)),
        };
        let limit = ctx.clock.now() + FUTURE;
        for name in names {
            let name = name.map_err(Error::file("read the folder", &folder))?.file_name();
            copies.take(source, &folder, &name, limit);
        }
        copies.complete.sort_by_key(Copy::id);
        copies.broken.sort_by_key(|copy| copy.id);
        copies.strange.sort();
        Ok(copies)
    }

    fn take(&mut self, source: &SourceName, folder: &Path, name: &std::ffi::OsStr, limit: Timestamp) {
        let dir = folder.join(name);
        let text = name.to_string_lossy();
        if let Some(id) = text.strip_suffix(PARTIAL).and_then(|stem| stem.parse().ok()) {
            self.partial.push(id);
            return;
        }
        let Ok(id) = text.parse::<SnapshotId>() else {
            return self.strange.push(format!("{}: not a local copy; it is left alone", dir.display()));
        };
        match read_record(&dir, source, id) {
            Ok(record) => {
                let damage = read_damage(&dir);
                let copy = Copy { dir, record, damage };
                if id.to_timestamp() > limit { self.future.push(copy) } else { self.complete.push(copy) }
            }
            Err(Unread::Damaged(problem)) => self.broken.push(BrokenCopy { dir, id, problem }),
            Err(Unread::Strange(why)) => self.strange.push(format!("{}: {why}; it is left alone", dir.display())),
        }
    }

    /// The newest complete copy.
    pub fn latest(&self) -> Option<&Copy> {
        self.complete.last()
    }

    /// The copy of this id, also one from the future.
    pub fn find(&self, id: SnapshotId) -> Option<&Copy> {
        self.complete.iter().chain(&self.future).find(|copy| copy.id() == id)
    }
}

/// The id that a snapshot of this source taken now would have: the instant, but above every id that this node knows of the source.
///
/// Ids from the future are no floor; a clock that has jumped back is: order is by id, never by the time of files.
///
/// # Errors
/// [`Error::File`].
pub fn next_id(ctx: &Context, source: &SourceName) -> Result<SnapshotId, Error> {
    let now = SnapshotId::from_timestamp(ctx.clock.now());
    let limit = SnapshotId::from_timestamp(ctx.clock.now() + FUTURE);
    let copies = Copies::read(ctx, source)?;
    let known = copies.complete.iter().map(Copy::id).chain(copies.broken.iter().map(|copy| copy.id));
    let local = known.chain(copies.partial.iter().copied());
    let shipped = super::catalogue::cached_ids(ctx, source)?;
    let floor = local.chain(shipped).filter(|id| *id <= limit).max();
    Ok(floor.map_or(now, |floor| now.max(floor.next())))
}

/// Why a folder with the name of a copy is none that counts.
enum Unread {
    /// It is one, and its record is damaged or gone.
    Damaged(String),
    /// It is nothing that this program has put there, or that it knows.
    Strange(String),
}

fn read_record(dir: &Path, source: &SourceName, id: SnapshotId) -> Result<Record, Unread> {
    // A folder that somebody else made has neither of these.
    let is_ours = fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir()) && (dir.join(DATA).is_dir() || dir.join(LINES).is_file());
    let unread = |why: String| if is_ours { Unread::Damaged(why) } else { Unread::Strange(why) };
    let text = fs::read(dir.join(RECORD)).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => unread(format!("without {RECORD}, so not a complete copy")),
        std::io::ErrorKind::PermissionDenied => Unread::Strange(format!("{RECORD} cannot be read: {cause}")),
        _ => unread(format!("{RECORD} cannot be read: {cause}")),
    })?;
    match crate::format::head::check_version(&text) {
        Err(cause @ FormatError::Version(_)) => return Err(Unread::Strange(format!("{RECORD}: {cause}"))),
        Err(cause) => return Err(unread(format!("{RECORD} is damaged: {}", super::error::chain(&cause)))),
        Ok(()) => {}
    }
    let record: Record = serde_json::from_slice(&text).map_err(|cause| unread(format!("{RECORD} is damaged: {cause}")))?;
    if (&record.source, record.id) == (source, id) {
        Ok(record)
    } else {
        Err(unread(format!("{RECORD} is damaged: it says it is {}/{}", record.source, record.id)))
    }
}

/// A note that cannot be read is a note all the same.
fn read_damage(dir: &Path) -> Option<KnownDamage> {
    let text = fs::read(dir.join(DAMAGED)).ok()?;
    let unclear = |_| KnownDamage { time: Timestamp::MAX, problem: format!("{DAMAGED} cannot be read") };
    Some(serde_json::from_slice(&text).unwrap_or_else(unclear))
}

/// Names of sources that have a folder with local copies, configured or not.
///
/// # Errors
/// [`Error::File`].
pub fn sources_with_copies(ctx: &Context) -> Result<Vec<SourceName>, Error> {
    let folder = &ctx.local()?.dir;
    let names = match fs::read_dir(folder) {
        Ok(names) => names,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::file("read the folder", folder)(cause)),
    };
    let mut sources = Vec::new();
    for name in names {
        let entry = name.map_err(Error::file("read the folder", folder))?;
        let name = entry.file_name();
        match name.to_str().and_then(|text| text.parse().ok()) {
            // A file is nobody's folder of copies.
            Some(source) if name != STATE_FOLDER && entry.path().is_dir() => sources.push(source),
            _ => {}
        }
    }
    sources.sort();
    Ok(sources)
}

/// Which copies go: all but the newest sound one and the newest others, `keep` in all.
///
/// `copies` are complete ones, each with whether it is sound and whether it is held (being shipped); held ones stay beyond the number.
pub fn expire(copies: &[(SnapshotId, bool, bool)], keep: usize) -> Vec<SnapshotId> {
    let mut ordered = copies.to_vec();
    ordered.sort_by_key(|copy| std::cmp::Reverse(copy.0));
    let newest_sound = ordered.iter().find(|(_, sound, _)| *sound).map(|copy| copy.0);
    let mut room = keep.max(1) - usize::from(newest_sound.is_some());
    let mut going = Vec::new();
    for (id, _, held) in ordered {
        if Some(id) == newest_sound {
            continue;
        }
        if room > 0 {
            room -= 1;
        } else if !held {
            going.push(id);
        }
    }
    going.reverse();
    going
}

/// Removes a copy, unless somebody reads it.
///
/// It is renamed first, so that a crash leaves a partial one that the next run clears, never half a complete one.
///
/// # Errors
/// [`Error::Refused`] while it is being read; what the file system gives.
pub fn remove(ctx: &Context, copy: &Copy) -> Result<(), Error> {
    remove_folder(ctx, &copy.record.source, copy.id(), &copy.dir)
}

/// The same for a copy whose record cannot be read.
///
/// # Errors
/// As [`remove`].
pub fn remove_broken(ctx: &Context, source: &SourceName, copy: &BrokenCopy) -> Result<(), Error> {
    remove_folder(ctx, source, copy.id, &copy.dir)
}

fn remove_folder(ctx: &Context, source: &SourceName, id: SnapshotId, dir: &Path) -> Result<(), Error> {
    let lock_path = ctx.state()?.copy_lock(source, id)?;
    let Some(_lock) = Lock::try_exclusive_quiet(&lock_path)? else {
        return Err(Error::Refused(format!("the local copy {source}/{id} is being read")));
    };
    let mut gone = dir.to_owned().into_os_string();
    gone.push(PARTIAL);
    fs::rename(dir, &gone).map_err(Error::file("set aside", dir))?;
    remove_tree(Path::new(&gone))?;
    match fs::remove_file(&lock_path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", lock_path)(cause)),
        _ => Ok(()),
    }
}

/// Removes what runs that died have left of this source. The caller holds the source's lock.
///
/// # Errors
/// What the file system gives.
pub fn clear_partial(ctx: &Context, source: &SourceName, copies: &Copies) -> Result<(), Error> {
    for id in &copies.partial {
        remove_tree(&ctx.local()?.dir.join(source.as_str()).join(format!("{id}{PARTIAL}")))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "copies_tests.rs"]
mod tests;
