//! The checksum that Cassandra keeps of each `Data.db`, compared with the bytes while they are first read.

use std::fs::File;
use std::io::Read;
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
/// In the order of paths the checksum comes after its file. A file that is known from the copy before has been held against it then.
pub(super) struct Checksums<'a> {
    pub(super) lines: Lines<'a>,
    data: PathBuf,
    /// The last `Data.db` that was read: its path without the component's name, and its CRC-32.
    last: Option<(Vec<u8>, u32)>,
}

impl<'a> Checksums<'a> {
    /// Of the files in the folder `data`.
    pub(super) fn new(lines: Lines<'a>, data: PathBuf) -> Self {
        Self { lines, data, last: None }
    }

    fn check(&mut self, path: &RelPath) -> Result<(), Error> {
        let Some(stem) = path.as_bytes().strip_suffix(DIGEST) else { return Ok(()) };
        let Some((_, found)) = self.last.take_if(|(last, _)| last == stem) else { return Ok(()) };
        let file = self.data.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
        let mut text = String::new();
        let read = File::open(&file).and_then(|file| file.take(DIGEST_MAX).read_to_string(&mut text));
        read.map_err(Error::file("read", &file))?;
        if text.trim().parse() == Ok(found) {
            return Ok(());
        }
        let detail = format!(
            "Cassandra wrote that the CRC-32 of its Data.db is {}, and it is {found}: the file is damaged on the node, and the snapshot holds \
             it as it is. `nodetool verify` tells more; a repair from other replicas, or an older snapshot, has the rows",
            text.trim().escape_default()
        );
        self.lines.problem(Problem { kind: Problem::CHECKSUM, path: path.clone(), detail })
    }
}

impl Taker<Cutting> for Checksums<'_> {
    type Error = Error;

    fn previous(&mut self, path: &RelPath) -> Result<Option<Entry>, Error> {
        self.lines.previous(path)
    }

    fn copied(&mut self, entry: Entry, content: Option<Cutting>) -> Result<(), Error> {
        let path = entry.path.clone();
        if let (Some(stem), Some(crc32)) = (path.as_bytes().strip_suffix(DATA), content.as_ref().and_then(Cutting::crc32)) {
            self.last = Some((stem.to_vec(), crc32));
        }
        self.lines.copied(entry, content)?;
        self.check(&path)
    }

    fn unchanged(&mut self, entry: Entry) -> Result<(), Error> {
        let path = entry.path.clone();
        self.lines.unchanged(entry)?;
        self.check(&path)
    }

    fn problem(&mut self, problem: Problem) -> Result<(), Error> {
        self.lines.problem(problem)
    }
}
