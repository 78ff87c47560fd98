//! Where a restore of a source happens: the live thing, the staged one, what lies aside; and the documents that remember it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::ops::directory::directory;
use crate::ops::spec::{SourceKind, SourceSpec};
use crate::ops::{Context, Error};
use crate::source;
use crate::source::placement::Placement;
use crate::sys::tree::remove_tree;

/// Endings of files that SQLite keeps beside a database.
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Finds out how a source can be put back; changes nothing.
pub(crate) fn placement(ctx: &Context, spec: &SourceSpec) -> Result<Placement, Error> {
    Ok(match &spec.kind {
        SourceKind::Directory { .. } => {
            let directory = directory(ctx, spec)?;
            Placement::Directory(source::directory::plan(spec.name.as_str(), &directory, Some(&ctx.local()?.dir))?)
        }
        SourceKind::Sqlite { path } => Placement::Sqlite(source::sqlite::plan(spec.name.as_str(), path)?),
        SourceKind::Mysql(_) | SourceKind::Cassandra(_) => {
            return Err(Error::Refused(format!("`{}` lies in a server, not in files", spec.name)));
        }
    })
}

/// The paths of a placement.
pub(crate) struct Site<'a> {
    /// The live thing.
    pub(crate) target: &'a Path,
    /// Where the new one is put together.
    pub(crate) staged: &'a Path,
    /// Where the one that is not live lies.
    pub(crate) aside: &'a Path,
    /// Whether nothing was live when it was planned.
    pub(crate) fresh: bool,
    /// Whether it is a file rather than a folder.
    is_file: bool,
}

impl<'a> Site<'a> {
    /// The paths of this placement.
    pub(crate) fn of(placement: &'a Placement) -> Self {
        match placement {
            Placement::Directory(p) => Self { target: &p.target, staged: &p.staged, aside: &p.aside, fresh: p.fresh, is_file: false },
            Placement::Sqlite(p) => Self { target: &p.target, staged: &p.staged, aside: &p.aside, fresh: p.fresh, is_file: true },
        }
    }

    /// The folder that files are fetched into: the staged tree itself, or for a single file a folder beside it.
    pub(crate) fn filling(&self) -> PathBuf {
        if self.is_file {
            with_name(self.staged, |name| name.replacen(".windlass-staging", ".fetch.windlass-staging", 1))
        } else {
            self.staged.to_owned()
        }
    }

    /// Where an earlier undo lies until the restore that replaces it is in place. The name is one that no snapshot holds.
    pub(crate) fn earlier(&self) -> PathBuf {
        with_name(self.aside, |name| name.replacen(".windlass-undo", ".earlier.windlass-undo", 1))
    }

    /// Whether something lies aside.
    pub(crate) fn has_aside(&self) -> bool {
        fs::symlink_metadata(self.aside).is_ok()
    }

    /// Whether what an undo, or with `undone` a redo, would put back has been taken away by somebody. Where nothing was live before the
    /// restore, there is nothing to put back.
    pub(crate) fn is_gone(&self, undone: bool) -> bool {
        !self.has_aside() && (undone || !self.fresh)
    }

    /// Removes what was staged.
    pub(crate) fn clear_staged(&self) -> Result<(), Error> {
        remove_tree(&self.filling())?;
        remove_with_sidecars(self.staged)
    }

    /// Sets an earlier undo apart, so that its place is free.
    pub(crate) fn set_earlier_apart(&self) -> Result<(), Error> {
        remove_with_sidecars(&self.earlier())?;
        move_with_sidecars(self.aside, &self.earlier())
    }

    /// Puts an earlier undo back where it was.
    pub(crate) fn put_earlier_back(&self) -> Result<(), Error> {
        move_with_sidecars(&self.earlier(), self.aside)
    }

    /// Removes an earlier undo: a newer one has taken its place.
    pub(crate) fn drop_earlier(&self) -> Result<(), Error> {
        remove_with_sidecars(&self.earlier())
    }

    /// Removes what lies aside.
    pub(crate) fn drop_aside(&self) -> Result<(), Error> {
        remove_with_sidecars(self.aside)
    }
}

/// The inode of what is at a path, if anything is.
pub(crate) fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|found| found.ino())
}

/// The state folder of a source's restores.
pub(crate) fn folder(ctx: &Context, spec: &SourceSpec) -> Result<PathBuf, Error> {
    ctx.state()?.folder(&["restore", spec.name.as_str()])
}

fn with_name(path: &Path, change: impl FnOnce(&str) -> String) -> PathBuf {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let name = path.file_name().unwrap_or_default();
    // Names are bytes; the ending that is replaced is ASCII, so this keeps every byte before it.
    let text: String = name.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    let bytes: Vec<u8> = change(&text).chars().map(|c| u8::try_from(u32::from(c)).expect("each stands for one byte")).collect();
    path.with_file_name(std::ffi::OsString::from_vec(bytes))
}

fn sidecars(path: &Path) -> impl Iterator<Item = PathBuf> {
    SIDECARS
        .map(|ending| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        })
        .into_iter()
}

fn remove_with_sidecars(path: &Path) -> Result<(), Error> {
    for path in sidecars(path).chain([path.to_owned()]) {
        remove_tree(&path)?;
    }
    Ok(())
}

fn move_with_sidecars(from: &Path, to: &Path) -> Result<(), Error> {
    for (from, to) in sidecars(from).zip(sidecars(to)).chain([(from.to_owned(), to.to_owned())]) {
        match fs::rename(&from, to) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(Error::file("move", from)(cause)),
            _ => {}
        }
    }
    Ok(())
}
