//! Files of a copy that a new one is not to take over unread.

use std::path::{Path, PathBuf};

use crate::format::digest::Digest;
use crate::format::line::Line;
use crate::ops::copies::Copy;
use crate::ops::lists::Lines;
use crate::ops::{Context, Error};
use crate::source;
use crate::sys::table::Table;

/// What of a copy was not as it should be when it was made, though all of its bytes are what was copied then: an SSTable whose checksum was
/// another one, a file that changed while it was read. There it stays out of the new copy, which takes the file from the node once more.
///
/// What was found of a whole copy since then is known beside it, and such a copy is not shared with at all.
pub(super) struct Doubtful {
    /// The folder with the copy's data.
    pub(super) data: PathBuf,
    /// Digests of the paths.
    paths: Table,
}

impl Doubtful {
    /// Reads the lines of a copy; the table lies in `work`.
    pub(super) fn of(ctx: &Context, copy: &Copy, work: &Path) -> Result<Self, Error> {
        let (mut lines, mut paths) = (copy.lines()?, Table::new(work, 0)?);
        while let Some(line) = lines.next_line()? {
            ctx.stop.check()?;
            // One without an identity was made anew from the repository, and is read again whatever it is.
            if let Line::Entry(entry) = line
                && entry.identity.is_some_and(|identity| !identity.trusted)
            {
                paths.put(Digest::of(entry.path.as_bytes()).as_bytes(), &[])?;
            }
        }
        Ok(Self { data: copy.data(), paths })
    }

    /// Whether a file is one of them.
    pub(super) fn has(&self, path: &str) -> Result<bool, source::Error> {
        Ok(self.paths.get(Digest::of(path.as_bytes()).as_bytes(), &mut [])?)
    }
}
