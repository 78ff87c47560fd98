//! How much room the removal of a copy would make.

use std::io;

use crate::format::entry::Kind;
use crate::format::line::Line;
use crate::ops::copies::Copy;
use crate::ops::lists::Lines;
use crate::ops::{Context, Error};
use crate::sys::folder::Folder;

/// Bytes of a block as `stat` counts them, whatever the filesystem's own are.
const BLOCK: u64 = 512;

/// Bytes that are free once the copy is gone: of its files those that no other copy shares. Of a copy whose list cannot be read nobody
/// knows; then it is taken to be enough.
///
/// # Errors
/// What the file system gives.
pub(super) fn freed_by(ctx: &Context, copy: &Copy) -> Result<u64, Error> {
    match counted(ctx, copy) {
        Err(error) if error.is_damage() => Ok(u64::MAX),
        counted => counted,
    }
}

fn counted(ctx: &Context, copy: &Copy) -> Result<u64, Error> {
    let (mut lines, data, mut freed) = (copy.lines()?, Folder::open(&copy.data())?, 0u64);
    while let Some(line) = lines.next_line()? {
        ctx.stop.check()?;
        let Line::Entry(entry) = line else { continue };
        if entry.kind != Kind::File {
            continue;
        }
        match data.stat(entry.path.as_bytes()) {
            // A file with holes takes less than its length, and a compressed one too.
            Ok(stat) if stat.st_nlink == 1 => freed = freed.saturating_add(entry.size.min(stat.st_blocks.unsigned_abs() * BLOCK)),
            Ok(_) => {}
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(Error::file("look at the files of", &copy.dir)(cause)),
        }
    }
    Ok(freed)
}
