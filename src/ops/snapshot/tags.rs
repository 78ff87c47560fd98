//! Snapshots that Cassandra made for us and still keeps: written down before each is asked for, so that a run that was killed leaves nothing
//! behind for good.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use jiff::SignedDuration;

use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::{Context, Error};
use crate::source::cassandra::why_not;
use crate::sys::file;

/// The folder of these notes below the state folder; in it one for each source, and in that a file for each tag, with the names of its keyspaces
/// where these may be dropped before it is cleared.
const FOLDER: &str = "tags";

/// How long a snapshot may still come, table by table, that a run has asked for and does not wait for any more: the node goes on with it, and so
/// does `nodetool` where the run was killed. As long as the longest that is waited for. Until then it is cleared and not forgotten.
const LATE: SignedDuration = SignedDuration::from_hours(2);

/// Whether nothing more of a snapshot with this tag will come.
pub(in crate::ops) fn is_old(ctx: &Context, tag: SnapshotId) -> bool {
    ctx.clock.now().duration_since(tag.to_timestamp()).abs() > LATE
}

/// Writes down that a snapshot of these keyspaces with this tag is about to be asked for; the note is on the disk when this returns. The snapshot
/// outlives its keyspace, when that is dropped.
pub(super) fn note_of(ctx: &Context, source: &SourceName, tag: SnapshotId, keyspaces: &[String]) -> Result<(), Error> {
    let path = ctx.state()?.folder(&[FOLDER, source.as_str()])?.join(tag.to_string());
    // A second try under the same tag may be of other keyspaces.
    let mut all: BTreeSet<String> = keyspaces.iter().cloned().collect();
    if path.exists() {
        all.extend(self::keyspaces(ctx, source, tag)?);
    }
    Ok(file::replace(&path, Vec::from_iter(all).join("\n").as_bytes())?)
}

/// The keyspaces that were written down with a tag; none where none were.
pub(super) fn keyspaces(ctx: &Context, source: &SourceName, tag: SnapshotId) -> Result<Vec<String>, Error> {
    let path = path(ctx, source)?.join(tag.to_string());
    let text = fs::read_to_string(&path).map_err(Error::file("read", path))?;
    // Paths are made of them.
    Ok(text.lines().filter(|name| why_not(name).is_none()).map(str::to_owned).collect())
}

/// Writes down that a snapshot with this tag is about to be asked for, of keyspaces that are looked up when it is cleared.
pub(in crate::ops) fn note(ctx: &Context, source: &SourceName, tag: SnapshotId) -> Result<(), Error> {
    let folder = ctx.state()?.folder(&[FOLDER, source.as_str()])?;
    Ok(file::write_new(&folder.join(tag.to_string()), b"")?)
}

/// Forgets a tag that the node does not keep any more.
pub(in crate::ops) fn forget(ctx: &Context, source: &SourceName, tag: SnapshotId) -> Result<(), Error> {
    let path = path(ctx, source)?.join(tag.to_string());
    match fs::remove_file(&path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path)(cause)),
        _ => Ok(()),
    }
}

/// The tags that were written down and not forgotten, oldest first.
pub(in crate::ops) fn noted(ctx: &Context, source: &SourceName) -> Result<Vec<SnapshotId>, Error> {
    let path = path(ctx, source)?;
    let names = match fs::read_dir(&path) {
        Ok(names) => names,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::file("read the folder", path)(cause)),
    };
    let mut tags = Vec::new();
    for name in names {
        let name = name.map_err(Error::file("read the folder", &path))?.file_name();
        // What else lies there was not written by this program, and names no snapshot of Cassandra.
        tags.extend(name.to_str().and_then(|name| name.parse::<SnapshotId>().ok()));
    }
    tags.sort();
    Ok(tags)
}

fn path(ctx: &Context, source: &SourceName) -> Result<PathBuf, Error> {
    Ok(ctx.state()?.path(&[FOLDER, source.as_str()]))
}
