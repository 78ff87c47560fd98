//! The second place to look: what the file lists of all snapshots say of where wanted blobs lie.

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::finder::Finder;
use super::{REPOSITORY, packs};
use crate::archive::ListReader;
use crate::format::body::Body;
use crate::format::check::Known;
use crate::format::digest::Digest;
use crate::format::entry::{Location, Piece};
use crate::format::file_list::check_located;
use crate::format::key::Objects;
use crate::format::limits::FILE_LIST_MAX;
use crate::format::line::Line;
use crate::format::marker::Encryption;
use crate::format::names::NodeName;
use crate::ops::catalogue::{Catalogue, Shipped};
use crate::ops::damage::{Problem, settle};
use crate::ops::error::chain;
use crate::ops::lists::read_body;
use crate::ops::node::Remote;
use crate::ops::standing::Standing;
use crate::ops::{Error, bodies, verify};
use crate::repository::Request;
use crate::sys::sorter::{Sorted, Sorter};
use crate::sys::table::Table;

/// File lists that travel at once, each at most 16 MiB and nearly always far less.
const LISTS_AHEAD: usize = 2;

/// Memory for the sorting of places of one snapshot's blobs, about 9,000 of them; more go to the disk.
const PLACES_BUDGET: usize = 1 << 20;

/// Looks through the snapshots of a node, newest first, and takes what their packs hold; packs that are known to be damaged come last.
/// In an encrypted repository nothing can be found without an identity, and what is sealed to others is not asked for.
pub(super) fn search(finder: &mut Finder<'_>, remote: &Remote, node: &NodeName) -> Result<(), Error> {
    if remote.marker.encryption == Encryption::Age {
        match remote.keys.identities() {
            Ok(Some(_)) => {}
            Ok(None) => {
                finder.note_unasked(REPOSITORY, "it is encrypted, and this run has no identity that opens it");
                return Ok(());
            }
            Err(error) => return finder.miss(REPOSITORY, error),
        }
    }
    let catalogue = match Catalogue::read(finder.ctx, remote, node, None) {
        Ok(catalogue) => catalogue,
        Err(error) => return finder.miss(REPOSITORY, error),
    };
    let known = match verify::known(finder.ctx, remote, node) {
        Ok(known) => known,
        Err(error) if error.is_stopped() || error.is_unreachable() => return finder.miss(REPOSITORY, error),
        // They only say what is to be asked last.
        Err(error) => {
            finder.pass_over("the verdicts of earlier verifications", &chain(&error));
            Known::default()
        }
    };
    let mut snapshots: Vec<&Shipped> = catalogue.snapshots.values().collect();
    snapshots.sort_by_key(|shipped| Reverse(shipped.head.id));
    let objects = remote.objects(node);
    let mut search =
        Search { remote, objects, known, seen: Table::new(&finder.work, 0)?, doubtful: Sorter::new(&finder.work, PLACES_BUDGET) };
    for shipped in snapshots {
        if remote.keys.check_readable(&shipped.head).is_err() {
            finder.note_unasked(&shipped.head_key(), "its snapshot is sealed to recipients whose identities are not at hand");
            continue;
        }
        let places = search.places(finder, shipped)?;
        packs::read(finder, remote, node, places)?;
        if finder.is_done() {
            return Ok(());
        }
    }
    search.beside(finder, node, &catalogue)?;
    if finder.is_done() {
        return Ok(());
    }
    packs::read(finder, remote, node, search.doubtful.sorted()?)
}

struct Search<'a> {
    remote: &'a Remote,
    objects: Objects,
    known: Known,
    /// File lists that were read already: snapshots share most of them.
    seen: Table,
    /// Places in packs that are known to be damaged: other frames of them may be sound.
    doubtful: Sorter,
}

impl Search<'_> {
    /// Where wanted blobs lie, as the lists of this snapshot say that no other had.
    fn places(&mut self, finder: &mut Finder<'_>, shipped: &Shipped) -> Result<Sorted, Error> {
        match read_body(self.remote, shipped) {
            Ok(body) => {
                finder.count(usize::try_from(shipped.head.body.length).expect("a body was held in memory"));
                self.places_in(finder, &body, Some(shipped))
            }
            Err(error) => {
                if error.is_stopped() || self.stands(shipped) {
                    finder.miss(&shipped.body_key(), error)?;
                }
                Ok(Sorter::new(&finder.work, PLACES_BUDGET).sorted()?)
            }
        }
    }

    /// The same of a body; `shipped` is its snapshot, if the body is the one that counts.
    fn places_in(&mut self, finder: &mut Finder<'_>, body: &Body, shipped: Option<&Shipped>) -> Result<Sorted, Error> {
        let mut places = Sorter::new(&finder.work, PLACES_BUDGET);
        let mut lists = VecDeque::new();
        for list in &body.lists {
            if !self.seen.get(list.list.as_bytes(), &mut [])? {
                self.seen.put(list.list.as_bytes(), &[])?;
                lists.push_back(list.list);
            }
        }
        let mut downloads = self.remote.store.downloads(LISTS_AHEAD);
        let mut sent = VecDeque::new();
        while !finder.is_done() {
            finder.ctx.stop.check()?;
            while sent.len() < LISTS_AHEAD
                && let Some(list) = lists.pop_front()
            {
                let key = self.objects.file_list(list).to_string();
                downloads.request(Request { key: key.clone(), range: None, at_most: (FILE_LIST_MAX as u64) * 2 });
                sent.push_back((list, key));
            }
            let (Some((list, key)), Some(answer)) = (sent.pop_front(), downloads.next()) else { break };
            let opened = settle(answer).and_then(|answer| match answer {
                Ok(stored) => {
                    finder.count(stored.len());
                    if Digest::of(&stored) == list {
                        self.remote.opened_if_mine(&key, stored)
                    } else {
                        Ok(Err(Problem::damaged("its bytes do not match its name")))
                    }
                }
                Err(problem) => Ok(Err(problem)),
            });
            let opened = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    finder.miss(&key, error)?;
                    continue;
                }
            };
            match opened.map(|plain| plain.map(ListReader::new).transpose()) {
                Ok(Ok(Some(list))) => self.read_list(finder, list, &key, &mut places)?,
                // It is sealed to others.
                Ok(Ok(None)) => {}
                Ok(Err(cause)) => finder.pass_over(&key, &chain(&cause)),
                // What is missing of a snapshot that was removed meanwhile, or of a manifest that does not count, is no damage.
                Err(problem) => {
                    if shipped.is_some_and(|shipped| self.stands(shipped)) {
                        finder.pass_over_object(&key, &problem);
                    }
                }
            }
        }
        Ok(places.sorted()?)
    }

    /// Takes what manifests name that do not count: lower numbers of healed snapshots, and bodies whose heads were lost.
    fn beside(&mut self, finder: &mut Finder<'_>, node: &NodeName, catalogue: &Catalogue) -> Result<(), Error> {
        let listed = match bodies::list(self.remote, node, None) {
            Ok(listed) => listed,
            Err(error) => return finder.miss(REPOSITORY, error),
        };
        let counts = |id: &bodies::BodyId| catalogue.snapshots.get(&(id.0.clone(), id.1)).is_some_and(|shipped| shipped.n() == id.2);
        for id in listed.iter().filter(|id| !counts(id)) {
            match bodies::read(self.remote, node, id) {
                Ok(None) => {}
                Ok(Some(body)) => {
                    let places = self.places_in(finder, &body, None)?;
                    packs::read(finder, self.remote, node, places)?;
                }
                Err(error) => finder.miss(REPOSITORY, error)?,
            }
            if finder.is_done() {
                break;
            }
        }
        Ok(())
    }

    /// Whether the repository still has a snapshot.
    fn stands(&self, shipped: &Shipped) -> bool {
        Standing::of_shipped(self.remote, shipped).check().is_ok()
    }

    fn read_list(&mut self, finder: &mut Finder<'_>, mut list: ListReader, key: &str, places: &mut Sorter) -> Result<(), Error> {
        loop {
            let located = |line: Line| check_located(&line).map(|()| line);
            let line = match list.next_line().map_err(|cause| chain(&cause)) {
                Ok(None) => return Ok(()),
                Ok(Some(text)) => Line::from_json(text).and_then(located).map_err(|cause| chain(&cause)),
                Err(problem) => Err(problem),
            };
            let line = match line {
                Ok(line) => line,
                Err(problem) => {
                    finder.pass_over(key, &problem);
                    return Ok(());
                }
            };
            for piece in line.content() {
                if let Piece::Blob { digest, length, at: Some(at) } = piece
                    && finder.wanted.is_open(digest)?
                    && !finder.wanted.was_tried(digest, at)?
                {
                    let is_doubtful = self.known.get(&self.objects.pack(at.pack).to_string()).is_some();
                    let places = if is_doubtful { &mut self.doubtful } else { &mut *places };
                    places.push(&to_record(at, *length, digest))?;
                }
            }
        }
    }
}

/// A blob at a place; records sort by pack, then by frame.
fn to_record(at: &Location, length: u32, digest: &Digest) -> [u8; 84] {
    let mut record = [0; 84];
    record[..32].copy_from_slice(at.pack.as_bytes());
    record[32..40].copy_from_slice(&at.frame_offset.to_be_bytes());
    record[40..44].copy_from_slice(&at.frame_length.to_be_bytes());
    record[44..48].copy_from_slice(&at.offset.to_be_bytes());
    record[48..52].copy_from_slice(&length.to_be_bytes());
    record[52..].copy_from_slice(digest.as_bytes());
    record
}

/// The place, the length and the digest of a record that [`to_record`] made.
pub(super) fn from_record(record: &[u8]) -> (Location, u32, Digest) {
    let digest = |at: usize| Digest::from_bytes(*record[at..].first_chunk().expect("a record has all its fields"));
    let number = |at: usize| u32::from_be_bytes(*record[at..].first_chunk().expect("a record has all its fields"));
    let frame_offset = u64::from_be_bytes(*record[32..].first_chunk().expect("a record has all its fields"));
    let at = Location { pack: digest(0), frame_offset, frame_length: number(40), offset: number(44) };
    (at, number(48), digest(52))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let at = Location { pack: Digest::of(b"pack"), frame_offset: 1 << 20, frame_length: 77, offset: 512 };
        assert_eq!(from_record(&to_record(&at, 9, &Digest::of(b"blob"))), (at, 9, Digest::of(b"blob")));
    }
}
