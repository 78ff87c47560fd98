//! The second pass of a shipment: file lists that say where every blob lies.

use std::collections::{BTreeMap, BTreeSet};

use super::journal::{Journal, Record};
use super::known::Known;
use super::presence::Object;
use crate::archive::{self, SealedList};
use crate::format::body::{ListRef, Role};
use crate::format::digest::Digest;
use crate::format::entry::Piece;
use crate::format::file_list::Gatherer;
use crate::format::line::Line;
use crate::format::pack_list::{self, PackRef};
use crate::ops::cache::{self, CachedPack};
use crate::ops::lists::{Beside, Lines};
use crate::ops::{Context, Error};
use crate::repository::Uploads;

/// File lists that lie in the repository, by the digest of their plain text.
pub(crate) type KnownLists = BTreeMap<Digest, ListRef>;

/// What an upload of this pass was: a list with its plain digest, or the pack list beside one.
pub(super) type Sent = Option<(Digest, ListRef)>;

/// Writes the file lists of one snapshot; lists that the repository has already are used again.
pub(super) struct Listing<'p, 'k> {
    ctx: &'p Context,
    known: &'p mut Known<'k>,
    lists: &'p KnownLists,
    uploads: &'p mut Uploads<Sent>,
    journal: &'p mut Journal,
    cache: Option<&'p mut cache::Writer>,
    /// The lists written so far.
    pub(super) body_lists: Vec<ListRef>,
    /// The packs that they refer to.
    pub(super) packs: BTreeMap<Digest, CachedPack>,
}

impl<'p, 'k> Listing<'p, 'k> {
    /// Nothing is written yet; `cache` takes the lists as the index of the next shipment, where this is to be one.
    pub(super) fn new(
        ctx: &'p Context,
        known: &'p mut Known<'k>,
        lists: &'p KnownLists,
        uploads: &'p mut Uploads<Sent>,
        journal: &'p mut Journal,
        cache: Option<&'p mut cache::Writer>,
    ) -> Self {
        Self { ctx, known, lists, uploads, journal, cache, body_lists: Vec::new(), packs: BTreeMap::new() }
    }

    /// Takes all lines of one role.
    pub(super) fn role(&mut self, role: Role, lines: &mut dyn Lines, mut beside: Option<Beside>) -> Result<(), Error> {
        let mut gatherer = Gatherer::new();
        let mut packs = BTreeSet::new();
        while let Some(mut line) = lines.next_line()? {
            self.ctx.stop.check()?;
            let known = match &mut beside {
                Some(beside) => beside.find(&line)?,
                None => None,
            };
            if let Line::Entry(entry) = &mut line {
                entry.identity = None;
            }
            let used = self.locate(&mut line, known.as_ref())?;
            if let Some(plain) = gatherer.push(&line).map_err(Error::unreadable(line.path()))? {
                self.list(role, &plain, std::mem::take(&mut packs))?;
            }
            packs.extend(used);
        }
        match gatherer.finish() {
            Some(plain) => self.list(role, &plain, packs),
            None => Ok(()),
        }
    }

    /// Waits until every list is accepted.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        let accepted = self.uploads.drain()?;
        self.accept(accepted)
    }

    /// Writes into a line where its blobs lie; gives the packs.
    fn locate(&mut self, line: &mut Line, beside: Option<&Line>) -> Result<BTreeSet<Digest>, Error> {
        let mut used = BTreeSet::new();
        let path = line.path().clone();
        for (n, piece) in line.content_mut().iter_mut().enumerate() {
            let Piece::Blob { digest, length, at } = piece else { continue };
            let place = match self.known.beside(digest, beside.and_then(|line| line.content().get(n))) {
                Some(place) => Some(place),
                None => self.known.location(digest)?,
            };
            let place = place.ok_or_else(|| Error::Refused(format!("`{path}`: a blob was not stored although it was planned")))?;
            *at = Some(place);
            let pack = self.packs.entry(place.pack).or_insert_with(|| CachedPack {
                live: 0,
                ..*self.known.pack(&place.pack).expect("a location is only given for a pack that can be used")
            });
            pack.live += u64::from(*length);
            used.insert(place.pack);
        }
        Ok(used)
    }

    fn list(&mut self, role: Role, plain: &[u8], packs: BTreeSet<Digest>) -> Result<(), Error> {
        let digest = Digest::of(plain);
        let list = match self.lists.get(&digest) {
            Some(known) => ListRef { role, ..*known },
            None => self.send(role, plain, digest, &packs)?,
        };
        if let Some(cache) = &mut self.cache {
            cache.list(plain, list)?;
        }
        self.body_lists.push(list);
        Ok(())
    }

    fn send(&mut self, role: Role, plain: &[u8], digest: Digest, packs: &BTreeSet<Digest>) -> Result<ListRef, Error> {
        let refs: Vec<PackRef> = packs.iter().map(|pack| PackRef { pack: *pack, stored: self.packs[pack].stored }).collect();
        let packs = pack_list::write(&refs);
        let SealedList { name, bytes } = archive::seal_list(plain, self.ctx.keys.recipients(), &*self.ctx.random)?;
        let list =
            ListRef { role, list: name, stored: bytes.len() as u64, packs_sha256: Digest::of(&packs), packs_length: packs.len() as u64 };
        // The pack list goes first: whoever sees the list can then read what it needs.
        for (object, bytes, sent) in [(Object::PackList(name), packs.into(), None), (Object::List(name), bytes, Some((digest, list)))] {
            let accepted = self.uploads.push(object.key(self.ctx), bytes, sent)?;
            self.accept(accepted)?;
        }
        Ok(list)
    }

    fn accept(&mut self, accepted: Vec<Sent>) -> Result<(), Error> {
        for (plain, list) in accepted.into_iter().flatten() {
            self.journal.add(&Record::List(plain, list))?;
        }
        Ok(())
    }
}
