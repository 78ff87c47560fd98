//! The checksum that Cassandra keeps of each `Data.db`, compared with the bytes while they are first read.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::pieces::Cutting;
use super::taker::Lines;
use crate::format::entry::Entry;
use crate::format::path::RelPath;
use crate::ops::Error;
use crate::source::Problem;
use crate::source::directory::Taker;

/// The component with the rows.
const DATA: &[u8] = b"-Data.db";

/// The component that holds its CRC-32 as a decimal number (`DataIntegrityMetadata` of Cassandra).
const DIGEST: &[u8] = b"-Digest.crc32";

/// Most bytes of such a file that are read: ten digits, and a line's end that nobody writes.
const DIGEST_MAX: u64 = 32;

/// Hands on what is copied, and holds each `Data.db` against the checksum beside it.
///
/// A file that is known from the copy before has been held against it then; one that did not match is not trusted, so the next copy reads it
/// again and tells of it again.
pub(super) struct Checksums<'a> {
    pub(super) lines: Lines<'a>,
    data: PathBuf,
}

impl<'a> Checksums<'a> {
    /// Of the files in the folder `data`, where all of them are already.
    pub(super) fn new(lines: Lines<'a>, data: PathBuf) -> Self {
        Self { lines, data }
    }

    /// What is wrong with a `Data.db` of this CRC-32; nothing where there is no checksum beside it.
    fn mismatch(&self, path: &RelPath, found: Option<u32>) -> Result<Option<Problem>, Error> {
        let (Some(stem), Some(found)) = (path.as_bytes().strip_suffix(DATA), found) else { return Ok(None) };
        let digest = RelPath::new([stem, DIGEST].concat()).map_err(Error::unreadable(path))?;
        let file = self.data.join(OsStr::from_bytes(digest.as_bytes()));
        let mut bytes = Vec::new();
        match File::open(&file).and_then(|file| file.take(DIGEST_MAX).read_to_end(&mut bytes)) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(Error::file("read", &file))?,
        };
        let text = String::from_utf8_lossy(&bytes);
        if text.trim().parse() == Ok(found) {
            return Ok(None);
        }
        let detail = format!(
            "Cassandra wrote that the CRC-32 of its Data.db is {}, and it is {found}: the file is damaged on the node, and the snapshot holds \
             it as it is. `nodetool verify` tells more; a repair from other replicas, or an older snapshot, has the rows",
            text.trim().escape_default()
        );
        Ok(Some(Problem { kind: Problem::CHECKSUM, path: digest, detail }))
    }
}

impl Taker<Cutting> for Checksums<'_> {
    type Error = Error;

    fn previous(&mut self, path: &RelPath) -> Result<Option<Entry>, Error> {
        self.lines.previous(path)
    }

    fn copied(&mut self, mut entry: Entry, content: Option<Cutting>) -> Result<(), Error> {
        let problem = self.mismatch(&entry.path, content.as_ref().and_then(Cutting::crc32))?;
        if let (Some(_), Some(identity)) = (&problem, &mut entry.identity) {
            identity.trusted = false;
        }
        self.lines.copied(entry, content)?;
        problem.map_or(Ok(()), |problem| self.lines.problem(problem))
    }

    fn unchanged(&mut self, entry: Entry) -> Result<(), Error> {
        self.lines.unchanged(entry)
    }

    fn problem(&mut self, problem: Problem) -> Result<(), Error> {
        self.lines.problem(problem)
    }
}
