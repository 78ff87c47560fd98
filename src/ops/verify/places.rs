//! Compares where file lists say that blobs lie with what packs hold.
//!
//! Both are far too many for memory: they are sorted on disk and walked side by side.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::needs::Named;
use super::report::Report;
use crate::format::digest::Digest;
use crate::format::entry::Location;
use crate::format::key::Objects;
use crate::ops::Error;
use crate::ops::damage::Problem;
use crate::sys;
use crate::sys::sorter::Sorter;

/// Memory of the sorter; about 75,000 places fit, more go to the disk.
const SORT_BUDGET: usize = 8 << 20;

/// How the words end that are said of a list which names a blob where a sound pack does not hold it.
pub(crate) const PLACE_NOT_HELD: &str = "which does not hold it there";

/// Length of what says where a blob lies: pack, kind, frame offset, frame length, offset, digest, length.
const PLACE: usize = 32 + 1 + 8 + 4 + 4 + 32 + 4;

/// Kinds of records, in the order in which they are met: that a pack was proven, then places in it.
const PROVEN: u8 = 0;
const BLOB: u8 = 1;

/// Who tells of a place: the pack itself comes before the lists that name it.
const HELD: u8 = 0;
const NAMED: u8 = 1;

/// Places of blobs, as told by lists and as found in packs. Packs may be added from several threads.
pub(super) struct Places {
    sorter: Mutex<Sorter>,
    last: Vec<u8>,
}

fn place(at: &Location, digest: &Digest, length: u32) -> Vec<u8> {
    let mut record = Vec::with_capacity(PLACE + 80);
    record.extend_from_slice(at.pack.as_bytes());
    record.push(BLOB);
    record.extend_from_slice(&at.frame_offset.to_be_bytes());
    record.extend_from_slice(&at.frame_length.to_be_bytes());
    record.extend_from_slice(&at.offset.to_be_bytes());
    record.extend_from_slice(digest.as_bytes());
    record.extend_from_slice(&length.to_be_bytes());
    record
}

impl Places {
    pub(super) fn new(work: &Path) -> Self {
        Self { sorter: Mutex::new(Sorter::new(work, SORT_BUDGET)), last: Vec::new() }
    }

    /// A list names a blob.
    pub(super) fn named(&mut self, at: &Location, digest: &Digest, length: u32, list: &Named) -> Result<(), Error> {
        let mut record = place(at, digest, length);
        record.push(NAMED);
        record.extend_from_slice(list.name.as_bytes());
        record.extend_from_slice(list.snapshot.as_bytes());
        // Files of many equal blobs name the same one over and over.
        if record != self.last {
            self.push(&record)?;
            self.last = record;
        }
        Ok(())
    }

    /// A pack holds a blob.
    pub(super) fn held(&self, at: &Location, digest: &Digest, length: u32) -> Result<(), sys::Error> {
        let mut record = place(at, digest, length);
        record.push(HELD);
        self.push(&record)
    }

    /// A pack was read to its end and all in it is what it says.
    pub(super) fn proven(&self, pack: &Digest) -> Result<(), sys::Error> {
        self.push(&[&pack.as_bytes()[..], &[PROVEN]].concat())
    }

    fn push(&self, record: &[u8]) -> Result<(), sys::Error> {
        self.sorter.lock().unwrap_or_else(PoisonError::into_inner).push(record)
    }

    /// Reports lists that name what a proven pack does not hold. What is named in other packs is damaged with those.
    pub(super) fn compare(self, objects: &Objects, report: &mut Report) -> Result<(), Error> {
        let mut sorted = self.sorter.into_inner().unwrap_or_else(PoisonError::into_inner).sorted()?;
        let (mut proven, mut held) = ([0; 32], Vec::new());
        while let Some(record) = sorted.next()? {
            let pack = record.first_chunk::<32>().expect("a record begins with a pack");
            if record.len() < PLACE {
                proven = *pack;
                continue;
            }
            let (place, told) = record.split_at(PLACE);
            let (by, list) = told.split_first().expect("a record says who tells of the place");
            if *by == HELD {
                place.clone_into(&mut held);
            } else if proven == *pack && held != place {
                let (list, snapshot) = list.split_first_chunk::<32>().expect("a record has the name of its list");
                let key = objects.file_list(Digest::from_bytes(*list)).to_string();
                let pack = objects.pack(Digest::from_bytes(*pack));
                let text = format!("it says that a blob lies in {pack}, {PLACE_NOT_HELD}");
                report.fault(key, Some(&String::from_utf8_lossy(snapshot)), Problem::inside(text));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::check::Level;
    use crate::format::marker::Encryption;

    #[test]
    fn a_list_that_names_what_a_sound_pack_does_not_hold_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let [sound, damaged, blob] = [b"sound", b"wrong", b"bytes"].map(|text| Digest::of(text));
        let at = |pack, offset| Location { pack, frame_offset: 24, frame_length: 90, offset };
        let list = |text: &[u8]| Named { name: Digest::of(text), stored: 1, snapshot: "s/1".into() };
        let mut places = Places::new(folder.path());
        places.named(&at(sound, 512), &blob, 5, &list(b"right")).unwrap();
        places.named(&at(sound, 512), &blob, 6, &list(b"another length")).unwrap();
        places.named(&at(sound, 1024), &blob, 5, &list(b"another place")).unwrap();
        places.named(&at(sound, 512), &sound, 5, &list(b"another digest")).unwrap();
        places.named(&at(damaged, 512), &blob, 5, &list(b"told of with its pack")).unwrap();
        places.held(&at(sound, 512), &blob, 5).unwrap();
        places.proven(&sound).unwrap();
        let mut report = Report::new(Level::Full);
        let objects = Objects { node: "n".parse().unwrap(), encryption: Encryption::None };
        places.compare(&objects, &mut report).unwrap();
        let expected: std::collections::BTreeSet<String> = ["another length", "another place", "another digest"]
            .map(|text| objects.file_list(Digest::of(text.as_bytes())).to_string())
            .into();
        assert!(report.faults.keys().eq(&expected), "{:?}", report.faults);
    }
}
