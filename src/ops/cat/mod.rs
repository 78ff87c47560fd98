//! `cat`: one file of a snapshot to an output.

mod rest;
mod shipped;

use std::io::Write;

use super::assemble::{Findings, copy_lines, shipped_lines};
use super::catalogue::Shipped;
use super::copies::Copy;
use super::damage::Damage;
use super::data_folder::{DataFolder, Reader, problem_of};
use super::entries::{Entries, kind_in_words};
use super::error::chain;
use super::name::SnapshotName;
use super::node::Remote;
use super::snapshots::Found;
use super::standing::Standing;
use super::{Context, Error};
use crate::format::entry::{Entry, Kind, Piece};
use crate::format::escape::escape;
use crate::format::names::NodeName;
use crate::format::path::RelPath;
pub(crate) use shipped::{Part, ShippedFile};

/// Zero bytes that are written at a time for a hole.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// What was written.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How many bytes.
    pub bytes: u64,
    /// What was found to be damaged on the way. All bytes that were written are sound: they came from another place.
    pub damage: Vec<Damage>,
}

/// Writes the bytes of one file; each blob is written after its digest has matched.
///
/// They come from the local copy as long as its bytes are intact, then from the repository, then from wherever else they lie sound.
///
/// # Errors
/// [`Error::Absent`] when there is no such file; [`Error::Refused`] when it is no file; [`Error::Damaged`] when bytes are found nowhere: what
/// was written before is right; [`Error::Unasked`] and [`Error::Unread`] when they may lie where nobody could look.
pub fn run(ctx: &Context, name: &SnapshotName, node: Option<&NodeName>, path: &RelPath, out: &mut dyn Write) -> Result<Outcome, Error> {
    let findings = Findings::default();
    let mut out = Output { ctx, out, written: 0 };
    // As long as the local copy is intact, no store is asked.
    let near = Found::near(ctx, node, name)?;
    let from_copy = near.is_none();
    if let Some(found) = near {
        let _held = found.local.as_ref().map(|copy| copy.hold(ctx)).transpose()?;
        if write_nearest(&mut out, &found, path, true, &findings)? {
            return Ok(Outcome { bytes: out.written, damage: Vec::new() });
        }
    }
    let found = Found::look_up(ctx, node, name)?;
    let snapshot = found.name();
    let _held = found.local.as_ref().map(|copy| copy.hold(ctx)).transpose()?;
    let standing = Standing::of(&found);
    let source = found.source.clone();
    let written = standing.judge(match write_nearest(&mut out, &found, path, from_copy, &findings) {
        Ok(true) => Ok(()),
        Ok(false) => rest::write(&mut out, found, path, &findings),
        Err(error) => Err(error),
    });
    if let Err(error) = written {
        let text = chain(&error);
        for (object, problem) in findings.take().into_iter().filter(|(object, _)| !text.contains(object)) {
            ctx.warn(Some(&source), format!("{object}: {problem}"));
        }
        return Err(error);
    }
    let damage =
        findings.take().into_iter().map(|(object, problem)| Damage { object, snapshot: Some(snapshot.clone()), problem }).collect();
    Ok(Outcome { bytes: out.written, damage })
}

/// Writes as much as the local copy (where it is to be read: `from_copy`) and then the repository have intact; true when that is all.
fn write_nearest(out: &mut Output<'_>, found: &Found, path: &RelPath, from_copy: bool, findings: &Findings) -> Result<bool, Error> {
    let mut size = None;
    if let Some(copy) = found.local.as_ref().filter(|_| from_copy) {
        let opened = find(path, &|| Ok(Entries::new(Box::new(copy_lines(copy)?))));
        if let Some((entries, entry)) = findings.unless_damaged(opened)? {
            size = Some(entry.size);
            if findings.unless_damaged(write_local(out, copy, entries, &entry))?.is_some() {
                return Ok(true);
            }
        }
        findings.note(out.ctx, copy);
    }
    let Some((remote, shipped)) = &found.shipped else { return Ok(false) };
    if found.local.is_some()
        && let Err(error) = remote.keys.check_readable(&shipped.head)
    {
        // Other copies may have the bytes, which takes no identity.
        return if error.is_stopped() { Err(error) } else { Ok(false) };
    }
    let opened = find(path, &|| Ok(Entries::new(shipped_lines(remote, shipped)?)));
    let Some((entries, entry)) = findings.unless_damaged(opened)? else { return Ok(false) };
    if size.is_some_and(|size| size != entry.size) {
        return Err(Error::damaged(format!("`{path}`"), "the local copy and the repository disagree about its size"));
    }
    write_shipped(out, remote, shipped, found.local.as_ref(), (entries, &entry), findings)
}

/// The file at a path, or the one that a hard link there stands for; with the entries positioned behind its first line.
fn find(path: &RelPath, open: &dyn Fn() -> Result<Entries, Error>) -> Result<(Entries, Entry), Error> {
    let absent = || Error::Absent(format!("there is no `{path}` in the snapshot"));
    let mut entries = open()?;
    let mut entry = entries.find(path)?.ok_or_else(absent)?;
    if let Some(first) = &entry.link {
        entries = open()?;
        let gone = || Error::damaged(format!("`{path}`"), format!("it links to `{first}`, which the snapshot does not hold"));
        entry = entries.find(first)?.ok_or_else(gone)?;
    }
    match (entry.kind, &entry.target) {
        (Kind::File, _) => Ok((entries, entry)),
        (_, Some(target)) => Err(Error::Refused(format!("`{path}` is a symbolic link to `{}`", escape(target)))),
        (kind, None) => Err(Error::Refused(format!("`{path}` is {}", kind_in_words(kind)))),
    }
}

/// Where verified bytes go.
struct Output<'a> {
    ctx: &'a Context,
    out: &'a mut dyn Write,
    written: u64,
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.ctx.stop.check()?;
        self.out.write_all(bytes).map_err(Error::file("write to", "the output"))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn write_hole(&mut self, mut length: u64) -> Result<(), Error> {
        while length > 0 {
            let part = length.min(ZEROS.len() as u64);
            self.write(&ZEROS[..usize::try_from(part).expect("at most 64 KiB")])?;
            length -= part;
        }
        Ok(())
    }
}

/// Writes as much as the local copy has intact; damage is an error.
fn write_local(out: &mut Output<'_>, copy: &Copy, mut entries: Entries, entry: &Entry) -> Result<(), Error> {
    let data = DataFolder::of_copy(&copy.data()).map_err(|cause| Error::damaged(copy.data().display(), super::error::chain(&cause)))?;
    let (mut reader, mut buffer) = (Reader::new(&data), Vec::new());
    let mut content = Some(entry.content.clone());
    while let Some(pieces) = content {
        for piece in pieces {
            match piece {
                Piece::Hole { length } => out.write_hole(length)?,
                Piece::Blob { digest, length, .. } => {
                    buffer.resize(length as usize, 0);
                    match reader.read(&entry.path, out.written, &mut buffer, &digest) {
                        Ok(true) => out.write(&buffer)?,
                        outcome => return Err(Error::damaged(data.name_of(&entry.path), problem_of(outcome))),
                    }
                }
            }
        }
        content = entries.more()?;
    }
    Ok(())
}

/// Writes the rest of a file from the repository; for what is damaged there, the local copy is asked once more. True when that is all.
fn write_shipped(
    out: &mut Output<'_>,
    remote: &Remote,
    shipped: &Shipped,
    copy: Option<&Copy>,
    (entries, entry): (Entries, &Entry),
    findings: &Findings,
) -> Result<bool, Error> {
    let data = copy.and_then(|copy| DataFolder::of_copy(&copy.data()).ok());
    let mut spare = data.as_ref().map(Reader::new);
    let mut file = ShippedFile::open(remote, &shipped.head.node, entries, entry, out.written);
    let mut buffer = Vec::new();
    while let Some(part) = file.next_part()? {
        match part {
            Part::Hole(length) => out.write_hole(length)?,
            Part::Bytes(bytes) => out.write(bytes)?,
            Part::Damaged { digest, length, error } => {
                findings.unless_damaged(Err::<(), _>(error))?;
                buffer.resize(length as usize, 0);
                match spare.as_mut().map(|spare| spare.read(&entry.path, out.written, &mut buffer, &digest)) {
                    Some(Ok(true)) => out.write(&buffer)?,
                    _ => return Ok(false),
                }
            }
        }
    }
    if out.written == entry.size {
        Ok(true)
    } else {
        Err(Error::damaged(format!("`{}`", entry.path), format!("its content ends at byte {} of {}", out.written, entry.size)))
    }
}
