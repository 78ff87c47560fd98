//! `cat`: one file of a snapshot to an output.

mod shipped;

use std::io::Write;

use super::assemble::{DataFolder, Reader, copy_lines, problem_of, shipped_lines};
use super::catalogue::Shipped;
use super::copies::Copy;
use super::entries::{Entries, kind_in_words};
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

/// Writes the bytes of one file; each blob is written after its digest has matched. Gives the number of bytes.
///
/// They come from the local copy as long as its bytes are intact, then from the repository.
///
/// # Errors
/// [`Error::Absent`] when there is no such file; [`Error::Refused`] when it is no file; [`Error::Damaged`].
pub fn run(ctx: &Context, name: &SnapshotName, node: Option<&NodeName>, path: &RelPath, out: &mut dyn Write) -> Result<u64, Error> {
    let found = Found::look_up(ctx, node, name)?;
    Standing::of(&found).judge(write(ctx, found, path, out))
}

fn write(ctx: &Context, found: Found, path: &RelPath, out: &mut dyn Write) -> Result<u64, Error> {
    let _held = found.local.as_ref().map(|copy| copy.hold(ctx)).transpose()?;
    let mut out = Output { ctx, out, written: 0 };
    let mut size = None;
    if let Some(copy) = &found.local {
        match find(path, &|| Ok(Entries::new(Box::new(copy_lines(copy)?)))) {
            Ok((entries, entry)) => {
                size = Some(entry.size);
                match write_local(&mut out, copy, entries, &entry)? {
                    None => return Ok(out.written),
                    Some(damage) if found.shipped.is_none() => return Err(found.unreachable.unwrap_or(damage)),
                    Some(damage) => ctx.warn(Some(&found.source), super::error::chain(&damage)),
                }
            }
            Err(error) if error.is_damage() && found.shipped.is_some() => ctx.warn(Some(&found.source), super::error::chain(&error)),
            Err(error) => return Err(error),
        }
    }
    let Some((remote, shipped)) = &found.shipped else {
        let absent = Error::Absent(format!("{} is not in the repository", found.name()));
        return Err(found.unreachable.unwrap_or(absent));
    };
    let (entries, entry) = find(path, &|| Ok(Entries::new(shipped_lines(remote, shipped)?)))?;
    if size.is_some_and(|size| size != entry.size) {
        return Err(Error::damaged(format!("`{path}`"), "the local copy and the repository disagree about its size"));
    }
    write_shipped(&mut out, remote, shipped, found.local.as_ref(), entries, &entry)?;
    Ok(out.written)
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

/// Writes as much as the local copy has intact; gives what is wrong with the rest, if anything is.
fn write_local(out: &mut Output<'_>, copy: &Copy, mut entries: Entries, entry: &Entry) -> Result<Option<Error>, Error> {
    let data = match DataFolder::of_copy(&copy.data()) {
        Ok(data) => data,
        Err(cause) => return Ok(Some(cause)),
    };
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
                        outcome => return Ok(Some(Error::damaged(data.name_of(&entry.path), problem_of(outcome)))),
                    }
                }
            }
        }
        content = entries.more()?;
    }
    Ok(None)
}

/// Writes the rest of a file from the repository; for what is damaged there, the local copy is asked once more.
fn write_shipped(
    out: &mut Output<'_>,
    remote: &Remote,
    shipped: &Shipped,
    copy: Option<&Copy>,
    entries: Entries,
    entry: &Entry,
) -> Result<(), Error> {
    let data = copy.and_then(|copy| DataFolder::of_copy(&copy.data()).ok());
    let mut spare = data.as_ref().map(Reader::new);
    let mut file = ShippedFile::open(remote, &shipped.head.node, entries, entry, out.written);
    let mut buffer = Vec::new();
    while let Some(part) = file.next_part()? {
        match part {
            Part::Hole(length) => out.write_hole(length)?,
            Part::Bytes(bytes) => out.write(bytes)?,
            Part::Damaged { digest, length, error } => {
                buffer.resize(length as usize, 0);
                match spare.as_mut().map(|spare| spare.read(&entry.path, out.written, &mut buffer, &digest)) {
                    Some(Ok(true)) => out.write(&buffer)?,
                    _ => return Err(error),
                }
            }
        }
    }
    if out.written == entry.size {
        Ok(())
    } else {
        Err(Error::damaged(format!("`{}`", entry.path), format!("its content ends at byte {} of {}", out.written, entry.size)))
    }
}
