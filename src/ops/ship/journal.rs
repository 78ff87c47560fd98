//! The journal: what the repository has accepted since the last manifest, so that a broken run goes on and does not begin anew.
//!
//! One file per repository and source, appended to and flushed after each accepted object. A record is its length (four bytes,
//! little-endian), its SHA-256, and its text. A torn last record, as a power cut leaves it, is cut off; everything after a damaged one too.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::known::{Accepted, decode, encode};
use crate::format::body::ListRef;
use crate::format::digest::Digest;
use crate::format::names::SourceName;
use crate::ops::node::Remote;
use crate::ops::{Context, Error};

/// Most bytes of one record: a pack of 65,536 blobs takes 6 MiB.
const RECORD_MAX: u32 = 16 << 20;

/// What the journal records.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// A pack was accepted.
    Pack(Accepted),
    /// A file list was accepted, whose plain text has this digest.
    List(Digest, ListRef),
    /// To whom everything after this is sealed, until the next one; before the first one to nobody.
    Recipients(Vec<String>),
}

/// The journal of one source for one repository.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// What was added since it was opened, where somebody wants to know.
    heard: Option<Vec<Stored>>,
}

/// An object that this run has stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stored {
    /// A pack.
    Pack(Digest),
    /// A file list with its pack list.
    List(ListRef),
}

impl Journal {
    /// Opens the journal and calls `visit` with each pack and list of the runs before that were broken off, of those which are sealed to
    /// today's recipients. The others stay in it: recipients may be changed back.
    pub(super) fn open(
        ctx: &Context,
        remote: &Remote,
        source: &SourceName,
        visit: &mut dyn FnMut(Record) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let path = ctx.state()?.folder(&["journal", &remote.marker.repository])?.join(format!("{source}.journal"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = file.map_err(Error::file("open the journal", &path))?;
        let (mut sound, own) = (0, ctx.keys.recipients().texts());
        let mut sealed_to: Vec<String> = Vec::new();
        let mut reader = BufReader::new(&mut file);
        while let Some(text) = next_record(&mut reader).map_err(Error::file("read the journal", &path))? {
            let Some(record) = Record::from_text(&text) else { break };
            sound += 36 + text.len() as u64;
            match record {
                Record::Recipients(recipients) => sealed_to = recipients,
                record if sealed_to == own => visit(record)?,
                _ => {}
            }
        }
        file.set_len(sound).and_then(|()| file.seek(SeekFrom::Start(sound))).map_err(Error::file("cut the journal", &path))?;
        let mut journal = Self { path, file, heard: None };
        if sealed_to != own {
            journal.add(&Record::Recipients(own.to_vec()))?;
        }
        Ok(journal)
    }

    /// From now on what is added is kept for [`Journal::heard`]: at most 120 bytes for each object.
    pub(super) fn listen(&mut self) {
        self.heard = Some(Vec::new());
    }

    /// What was added since [`Journal::listen`].
    pub(super) fn heard(&self) -> &[Stored] {
        self.heard.as_deref().unwrap_or_default()
    }

    /// Adds a record and flushes it.
    pub(super) fn add(&mut self, record: &Record) -> Result<(), Error> {
        match (&mut self.heard, record) {
            (Some(heard), Record::Pack(pack)) => heard.push(Stored::Pack(pack.name)),
            (Some(heard), Record::List(_, list)) => heard.push(Stored::List(*list)),
            _ => {}
        }
        let text = record.to_text();
        let mut bytes = Vec::with_capacity(36 + text.len());
        bytes.extend_from_slice(&u32::try_from(text.len()).expect("a record is far below 4 GiB").to_le_bytes());
        bytes.extend_from_slice(Digest::of(&text).as_bytes());
        bytes.extend_from_slice(&text);
        self.file.write_all(&bytes).and_then(|()| self.file.sync_data()).map_err(Error::file("write the journal", &self.path))
    }

    /// Ends it: its snapshot has a manifest, and the cache knows what the journal knew.
    pub(super) fn finish(self) -> Result<(), Error> {
        fs::remove_file(&self.path).map_err(Error::file("remove the journal", &self.path))
    }
}

/// The next whole record; `None` at the end or at a torn one.
fn next_record(reader: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut header = [0; 36];
    let mut text = Vec::new();
    let whole = reader.read_exact(&mut header).and_then(|()| {
        let length = u32::from_le_bytes(*header.first_chunk().expect("36 bytes"));
        if length > RECORD_MAX {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        text.resize(length as usize, 0);
        reader.read_exact(&mut text)
    });
    match whole {
        Ok(()) if header[4..] == *Digest::of(&text).as_bytes() => Ok(Some(text)),
        Ok(()) => Ok(None),
        Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(cause) => Err(cause),
    }
}

#[derive(Serialize, Deserialize)]
struct ListText {
    plain: Digest,
    list: ListRef,
}

/// Bytes of one blob in a record: digest, length, location.
const BLOB: usize = 32 + 4 + 48;

impl Record {
    fn to_text(&self) -> Vec<u8> {
        match self {
            Self::List(plain, list) => {
                let mut text = b"L".to_vec();
                serde_json::to_writer(&mut text, &ListText { plain: *plain, list: *list }).expect("a list reference is plain JSON");
                text
            }
            Self::Recipients(recipients) => {
                let mut text = b"R".to_vec();
                serde_json::to_writer(&mut text, recipients).expect("a list of texts is plain JSON");
                text
            }
            Self::Pack(pack) => {
                let mut text = Vec::with_capacity(49 + pack.blobs.len() * BLOB);
                text.push(b'P');
                text.extend_from_slice(pack.name.as_bytes());
                text.extend_from_slice(&pack.stored.to_le_bytes());
                text.extend_from_slice(&pack.plain.to_le_bytes());
                for (digest, length, at) in &pack.blobs {
                    text.extend_from_slice(digest.as_bytes());
                    text.extend_from_slice(&length.to_le_bytes());
                    text.extend_from_slice(&encode(at));
                }
                text
            }
        }
    }

    fn from_text(text: &[u8]) -> Option<Self> {
        let (kind, rest) = text.split_first()?;
        if *kind == b'L' {
            let text: ListText = serde_json::from_slice(rest).ok()?;
            return Some(Self::List(text.plain, text.list));
        }
        if *kind == b'R' {
            return serde_json::from_slice(rest).ok().map(Self::Recipients);
        }
        if *kind != b'P' || rest.len() < 48 || !(rest.len() - 48).is_multiple_of(BLOB) {
            return None;
        }
        let digest = |bytes: &[u8]| Digest::from_bytes(*bytes.first_chunk().expect("32 bytes"));
        let number = |bytes: &[u8]| u64::from_le_bytes(*bytes.first_chunk().expect("eight bytes"));
        let blobs = rest[48..].chunks_exact(BLOB).map(|blob| {
            let length = u32::from_le_bytes(*blob[32..].first_chunk().expect("four bytes"));
            (digest(blob), length, decode(blob[36..].first_chunk().expect("a location")))
        });
        Some(Self::Pack(Accepted { name: digest(rest), stored: number(&rest[32..]), plain: number(&rest[40..]), blobs: blobs.collect() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::body::Role;
    use crate::format::entry::Location;

    #[test]
    fn records_come_back_and_a_torn_one_does_not() {
        let name = Digest::of(b"pack");
        let at = Location { pack: name, frame_offset: 24, frame_length: 7, offset: 512 };
        let pack = Record::Pack(Accepted { name, stored: 1 << 33, plain: 2, blobs: vec![(Digest::of(b"a"), 9, at); 3] });
        let list = ListRef { role: Role::Files, list: name, stored: 5, packs_sha256: name, packs_length: 6 };
        for record in [pack, Record::List(Digest::of(b"plain"), list), Record::Recipients(vec!["age1x".into(), "age1y".into()])] {
            let text = record.to_text();
            assert_eq!(Record::from_text(&text).unwrap(), record);
            let mut whole = u32::try_from(text.len()).unwrap().to_le_bytes().to_vec();
            whole.extend_from_slice(Digest::of(&text).as_bytes());
            whole.extend_from_slice(&text);
            assert_eq!(next_record(&mut whole.as_slice()).unwrap(), Some(text));
            assert_eq!(next_record(&mut &whole[..whole.len() - 1]).unwrap(), None);
            whole[40] ^= 1;
            assert_eq!(next_record(&mut whole.as_slice()).unwrap(), None);
        }
    }
}
