//! SSTables that an earlier copy of the same source holds already: where the node's files cannot be linked, they are linked from there, so that
//! each is copied once and not every night.
//!
//! A name proves nothing: ids that are numbers restart when a table is emptied, or a node is made anew. So the SSTable has to be in the folder of
//! the same table id, its rows and their checksum of the same size and the same time of writing to the nanosecond (which copying keeps), and the
//! checksum the same in every byte. Only what Cassandra never writes again is taken from there, each file by its own size and time.

use std::cell::OnceCell;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::component::{DATA, DIGEST, WRITTEN_ONCE};
use crate::source::Error;

/// Most bytes of a checksum: ten digits, and some for a line's end.
const DIGEST_MAX: u64 = 32;

/// The rights that a copy keeps of a file.
const RIGHTS: u32 = 0o777;

/// An earlier copy of the source, complete, and nothing known to be wrong with it.
pub struct Earlier<'a> {
    data: &'a Path,
    is_doubtful: &'a dyn Fn(&str) -> Result<bool, Error>,
}

impl<'a> Earlier<'a> {
    /// The copy whose data is in this folder. `is_doubtful` is asked of a path below it before a file is taken from there: whether what was found
    /// when the copy was made keeps it from being relied on.
    pub fn new(data: &'a Path, is_doubtful: &'a dyn Fn(&str) -> Result<bool, Error>) -> Self {
        Self { data, is_doubtful }
    }

    /// The SSTable whose files in `folder`, that of a table or of its snapshot, begin with `name` (after `.<index>/` for one of an index), beside
    /// the one of that name in the folder `table` of the copy.
    pub(super) fn beside(&'a self, table: &'a str, folder: &'a Path, name: &'a str) -> Beside<'a> {
        Beside { earlier: self, table, folder, name, is_same: OnceCell::new() }
    }
}

/// An SSTable of the node, and the one of its name in an earlier copy.
pub(super) struct Beside<'a> {
    earlier: &'a Earlier<'a>,
    table: &'a str,
    folder: &'a Path,
    name: &'a str,
    /// Asked once, and only where a file cannot be linked.
    is_same: OnceCell<bool>,
}

impl Beside<'_> {
    /// Gives a file of the SSTable, by its path below the folder, another name; false where the copy does not have it, or it cannot be linked.
    ///
    /// # Errors
    /// [`Error::File`]; what asking for doubts gives.
    pub(super) fn link(&self, path: &str, to: &Path) -> Result<bool, Error> {
        if self.held(path)?.is_none() {
            return Ok(false);
        }
        // Whatever keeps it from being linked, it can be copied still.
        Ok(fs::hard_link(self.in_copy(path), to).is_ok())
    }

    /// Bytes of the SSTable that the copy has.
    ///
    /// # Errors
    /// As [`Beside::link`].
    pub(super) fn held_bytes(&self) -> Result<u64, Error> {
        let mut bytes = 0;
        for component in WRITTEN_ONCE {
            bytes += self.held(&self.path(component))?.unwrap_or(0);
        }
        Ok(bytes)
    }

    /// The size of a file that is the same in the copy.
    fn held(&self, path: &str) -> Result<Option<u64>, Error> {
        let is_written_once =
            path.strip_prefix(self.name).and_then(|rest| rest.strip_prefix('-')).is_some_and(|component| WRITTEN_ONCE.contains(&component));
        if !is_written_once || !self.is_same()? {
            return Ok(None);
        }
        self.alike(path)
    }

    fn is_same(&self) -> Result<bool, Error> {
        if let Some(known) = self.is_same.get() {
            return Ok(*known);
        }
        let digest = self.path(DIGEST);
        let is_same = self.alike(&self.path(DATA))?.is_some()
            && self.alike(&digest)?.is_some()
            && match (read(&self.folder.join(&digest))?, read(&self.in_copy(&digest))?) {
                (Some(one), Some(other)) => !one.is_empty() && one.len() as u64 <= DIGEST_MAX && one == other,
                _ => false,
            };
        Ok(*self.is_same.get_or_init(|| is_same))
    }

    /// The size of a file that looks the same here and in the copy, and of which nothing is known that speaks against it.
    fn alike(&self, path: &str) -> Result<Option<u64>, Error> {
        let (Some(here), Some(there)) = (look(&self.folder.join(path))?, look(&self.in_copy(path))?) else { return Ok(None) };
        let what = |stat: &Metadata| (stat.size(), stat.mtime(), stat.mtime_nsec(), stat.mode() & RIGHTS);
        let is_alike = here.is_file() && there.is_file() && what(&here) == what(&there);
        Ok((is_alike && !(self.earlier.is_doubtful)(&format!("{}/{path}", self.table))?).then(|| here.size()))
    }

    fn path(&self, component: &str) -> String {
        format!("{}-{component}", self.name)
    }

    fn in_copy(&self, path: &str) -> PathBuf {
        self.earlier.data.join(self.table).join(path)
    }
}

/// What is at a path; nothing where nothing is.
fn look(path: &Path) -> Result<Option<Metadata>, Error> {
    match fs::symlink_metadata(path) {
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        stat => stat.map(Some).map_err(Error::file("look at", path)),
    }
}

/// The bytes of a checksum, and at most one more than it may have; nothing where it is not there any more.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(DIGEST_MAX + 1).read_to_end(&mut bytes)) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(|_| Some(bytes)).map_err(Error::file("read", path)),
    }
}
