//! `diff`: what changed between two snapshots, from their file lists alone.

use std::cmp::Ordering;

use serde::Serialize;

use super::assemble::lines_of;
use super::entries::Entries;
use super::name::SnapshotName;
use super::snapshots::Found;
use super::standing::Standing;
use super::{Context, Error};
use crate::format::entry::{self, Entry, Piece};
use crate::format::names::NodeName;
use crate::format::path::RelPath;
use crate::sys::lock::Lock;

/// What happened to a path from the first snapshot to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only in the second.
    Added,
    /// Only in the first.
    Removed,
    /// Its bytes, its kind or its target differ.
    Changed,
    /// Only mode, owner, times or attributes differ.
    Metadata,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happened.
    pub change: Kind,
    /// To which path, escaped as in file lists.
    pub path: RelPath,
    /// Its size in the first snapshot; `None` when it was not there or is no file.
    pub size_before: Option<u64>,
    /// Its size in the second.
    pub size_after: Option<u64>,
}

/// How much changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Paths only in the second.
    pub added: u64,
    /// Paths only in the first.
    pub removed: u64,
    /// Paths whose content differs.
    pub changed: u64,
    /// Paths of which only metadata differs.
    pub metadata: u64,
}

/// Two snapshots that have been found and can be compared.
pub struct Pair {
    /// The first, as `SOURCE/ID`.
    pub before: String,
    /// The second.
    pub after: String,
    old: Entries,
    new: Entries,
    standing: [Standing; 2],
    /// Keep the local copies from being removed meanwhile.
    _held: [Option<Lock>; 2],
}

impl Pair {
    /// Looks both snapshots up.
    ///
    /// # Errors
    /// [`Error::Absent`]; [`Error::Damaged`].
    pub fn open(ctx: &Context, node: Option<&NodeName>, before: &SnapshotName, after: &SnapshotName) -> Result<Self, Error> {
        let (before, first, held_before, old) = entries_of(ctx, node, before)?;
        let (after, second, held_after, new) = entries_of(ctx, node, after)?;
        Ok(Self { before, after, old, new, standing: [first, second], _held: [held_before, held_after] })
    }

    /// Compares them and calls `visit` with each difference, in path order.
    ///
    /// Content is compared by the digests of its pieces and by holes, so nothing but file lists is read. A hard link is compared by the
    /// path that it shares; what changed in the file is said once, of that path.
    ///
    /// # Errors
    /// [`Error::Damaged`]; what `visit` gives.
    pub fn compare(self, ctx: &Context, visit: &mut dyn FnMut(Change) -> Result<(), Error>) -> Result<Summary, Error> {
        let [first, second] = self.standing;
        first.judge(second.judge(compare(ctx, self.old, self.new, visit)))
    }
}

/// Looks two snapshots up and compares them.
///
/// # Errors
/// As [`Pair::open`] and [`Pair::compare`].
pub fn run(
    ctx: &Context,
    node: Option<&NodeName>,
    before: &SnapshotName,
    after: &SnapshotName,
    visit: &mut dyn FnMut(Change) -> Result<(), Error>,
) -> Result<Summary, Error> {
    Pair::open(ctx, node, before, after)?.compare(ctx, visit)
}

fn entries_of(ctx: &Context, node: Option<&NodeName>, name: &SnapshotName) -> Result<(String, Standing, Option<Lock>, Entries), Error> {
    // A damaged local copy is no reason to give up before the repository was asked.
    let near = Found::near(ctx, node, name)?.filter(|found| found.local.as_ref().is_some_and(|copy| copy.lines().is_ok()));
    let found = near.map_or_else(|| Found::look_up(ctx, node, name), Ok)?;
    let held = found.local.as_ref().map(|copy| copy.hold(ctx)).transpose()?;
    let standing = Standing::of(&found);
    let lines = standing.judge(lines_of(ctx, &found))?;
    Ok((found.name(), standing, held, Entries::new(lines)))
}

fn compare(
    ctx: &Context,
    mut before: Entries,
    mut after: Entries,
    visit: &mut dyn FnMut(Change) -> Result<(), Error>,
) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    let (mut old, mut new) = (before.next_entry()?, after.next_entry()?);
    loop {
        ctx.stop.check()?;
        let order = match (&old, &new) {
            (None, None) => return Ok(summary),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.path.cmp(&new.path),
        };
        let change = match (order, &old, &new) {
            (Ordering::Less, Some(old), _) => Some((Kind::Removed, &old.path)),
            (Ordering::Greater, _, Some(new)) => Some((Kind::Added, &new.path)),
            (_, Some(old), Some(new)) => {
                let same = is_same_thing(old, new) && is_same_content(&mut before, old, &mut after, new)?;
                let change = if !same { Some(Kind::Changed) } else { (!is_same_metadata(old, new)).then_some(Kind::Metadata) };
                change.map(|change| (change, &new.path))
            }
            _ => None,
        };
        if let Some((change, path)) = change {
            *match change {
                Kind::Added => &mut summary.added,
                Kind::Removed => &mut summary.removed,
                Kind::Changed => &mut summary.changed,
                Kind::Metadata => &mut summary.metadata,
            } += 1;
            let size = |entry: &Option<Entry>, there| entry.as_ref().filter(|e| there && e.kind == entry::Kind::File).map(|e| e.size);
            let (size_before, size_after) = (size(&old, order.is_le()), size(&new, order.is_ge()));
            visit(Change { change, path: path.clone(), size_before, size_after })?;
        }
        if order.is_le() {
            old = before.next_entry()?;
        }
        if order.is_ge() {
            new = after.next_entry()?;
        }
    }
}

fn is_same_thing(old: &Entry, new: &Entry) -> bool {
    (old.kind, old.size, &old.target, &old.link) == (new.kind, new.size, &new.target, &new.link)
}

/// A hard link has the metadata of its file, of which it is said already.
fn is_same_metadata(old: &Entry, new: &Entry) -> bool {
    if new.kind == entry::Kind::HardLink {
        return true;
    }
    let owner = |entry: &Entry| (entry.uid, entry.gid, entry.user.clone(), entry.group.clone());
    let attributes = |entry: &Entry| {
        let mut xattrs = entry.xattrs.clone();
        xattrs.sort();
        xattrs
    };
    (old.mode, old.mtime) == (new.mode, new.mtime) && owner(old) == owner(new) && attributes(old) == attributes(new)
}

/// Whether both files consist of the same pieces. Where they lie in the repository does not matter.
fn is_same_content(before: &mut Entries, old: &Entry, after: &mut Entries, new: &Entry) -> Result<bool, Error> {
    let (mut ours, mut theirs) = (old.content.clone(), new.content.clone());
    loop {
        let common = ours.len().min(theirs.len());
        if !ours.iter().zip(&theirs).all(|(a, b)| is_same_piece(a, b)) {
            return Ok(false);
        }
        ours.drain(..common);
        theirs.drain(..common);
        // The line of one may end sooner than that of the other.
        let ended = [refill(&mut ours, before)?, refill(&mut theirs, after)?];
        match ended {
            [false, false] => {}
            [true, true] => return Ok(true),
            _ => return Ok(false),
        }
    }
}

/// Reads on when there are no pieces left; true when the file has no more.
fn refill(pieces: &mut Vec<Piece>, entries: &mut Entries) -> Result<bool, Error> {
    if pieces.is_empty() {
        match entries.more()? {
            Some(more) => *pieces = more,
            None => return Ok(true),
        }
    }
    Ok(false)
}

fn is_same_piece(a: &Piece, b: &Piece) -> bool {
    match (a, b) {
        (Piece::Blob { digest: a, length: m, .. }, Piece::Blob { digest: b, length: n, .. }) => (a, m) == (b, n),
        (Piece::Hole { length: a }, Piece::Hole { length: b }) => a == b,
        _ => false,
    }
}
