//! Where blobs already lie: in the parent's packs, in packs of a run that was broken off, in packs of this run.

use std::collections::BTreeMap;
use std::path::Path;

use crate::archive::SealedPack;
use crate::format::digest::Digest;
use crate::format::entry::{Location, Piece};
use crate::ops::cache::{CachedPack, Parent};
use crate::ops::{Context, Error};
use crate::sys::table::Table;

/// Length of a location in the table: pack, frame offset, frame length, offset in the frame.
const WIDTH: usize = 32 + 8 + 4 + 4;

/// The blobs that need not be stored again.
///
/// The parent's blobs enter the table only when the first blob is looked up by digest: an unchanged source looks up none.
pub(super) struct Known<'a> {
    table: Table,
    parent: Option<&'a Parent>,
    loaded: bool,
    packs: BTreeMap<Digest, CachedPack>,
    also: Option<&'a Found>,
}

/// Places of blobs that are known from somewhere else than a parent or a journal: each was read there, and its digest matched.
#[derive(Debug)]
pub(crate) struct Found {
    table: Table,
    /// The packs, with their stored sizes.
    pub(super) packs: BTreeMap<Digest, u64>,
}

impl Found {
    /// None yet; the table lies in `work`.
    pub(crate) fn new(work: &Path) -> Result<Self, Error> {
        Ok(Self { table: Table::new(work, WIDTH)?, packs: BTreeMap::new() })
    }

    /// Adds a place in a pack of this stored size.
    pub(crate) fn put(&mut self, digest: &Digest, at: &Location, stored: u64) -> Result<(), Error> {
        self.packs.insert(at.pack, stored);
        Ok(self.table.put(digest.as_bytes(), &encode(at))?)
    }

    /// Where a blob was found.
    pub(crate) fn get(&self, digest: &Digest) -> Result<Option<Location>, Error> {
        let mut value = [0; WIDTH];
        Ok(self.table.get(digest.as_bytes(), &mut value)?.then(|| decode(&value)))
    }
}

impl<'a> Known<'a> {
    /// What the parent holds in `packs`, the ones of it that can be used.
    pub(super) fn new(ctx: &Context, parent: Option<&'a Parent>, packs: BTreeMap<Digest, CachedPack>) -> Result<Self, Error> {
        Ok(Self { table: Table::new(&ctx.state()?.work()?, WIDTH)?, parent, loaded: false, packs, also: None })
    }

    /// Adds places that were found elsewhere, and their packs.
    pub(super) fn look_also_in(&mut self, found: &'a Found) {
        for (pack, stored) in &found.packs {
            self.packs.entry(*pack).or_insert(CachedPack { pack: *pack, stored: *stored, plain: 0, live: 0 });
        }
        self.also = Some(found);
    }

    /// Forgets a pack that cannot be relied on: what lies there counts as not stored.
    pub(super) fn discard(&mut self, name: &Digest) {
        self.packs.remove(name);
    }

    /// The packs that can be used.
    pub(super) fn packs(&self) -> impl Iterator<Item = &CachedPack> {
        self.packs.values()
    }

    /// The pack, when it can be used.
    pub(super) fn pack(&self, name: &Digest) -> Option<&CachedPack> {
        self.packs.get(name)
    }

    /// Where this blob lies, as the parent's line beside it says, when that pack can be used.
    pub(super) fn beside(&self, digest: &Digest, beside: Option<&Piece>) -> Option<Location> {
        match beside {
            Some(Piece::Blob { digest: known, at: Some(at), .. }) if known == digest && self.packs.contains_key(&at.pack) => Some(*at),
            _ => None,
        }
    }

    /// Where a blob lies, looked up by its digest; `None` also while it is only reserved.
    pub(super) fn location(&mut self, digest: &Digest) -> Result<Option<Location>, Error> {
        Ok(self.look_up(digest)?.filter(|at| at.frame_length != 0))
    }

    /// Whether somebody has to store this blob; the one who asks first has to, and nobody after it.
    pub(super) fn reserve(&mut self, digest: &Digest) -> Result<bool, Error> {
        if self.look_up(digest)?.is_some() {
            return Ok(false);
        }
        // No frame has length 0, so that stands for a blob whose pack is not complete yet.
        self.table.put(digest.as_bytes(), &[0; WIDTH])?;
        Ok(true)
    }

    /// Takes a pack that the repository has accepted.
    pub(super) fn accept(&mut self, pack: &Accepted) -> Result<(), Error> {
        let known = CachedPack { pack: pack.name, stored: pack.stored, plain: pack.plain, live: 0 };
        self.packs.insert(pack.name, known);
        for (digest, _, at) in &pack.blobs {
            self.table.put(digest.as_bytes(), &encode(at))?;
        }
        Ok(())
    }

    fn look_up(&mut self, digest: &Digest) -> Result<Option<Location>, Error> {
        if !self.loaded {
            self.loaded = true;
            self.load()?;
        }
        let mut value = [0; WIDTH];
        let found = self.table.get(digest.as_bytes(), &mut value)?.then(|| decode(&value));
        if let Some(at) = found.filter(|at| at.frame_length == 0 || self.packs.contains_key(&at.pack)) {
            return Ok(Some(at));
        }
        let also = self.also.map_or(Ok(None), |found| found.get(digest))?;
        Ok(also.filter(|at| self.packs.contains_key(&at.pack)))
    }

    fn load(&mut self) -> Result<(), Error> {
        let Some(parent) = self.parent else { return Ok(()) };
        let (table, packs) = (&mut self.table, &self.packs);
        parent.each(&mut |line| {
            for piece in line.content() {
                if let Piece::Blob { digest, at: Some(at), .. } = piece
                    && packs.contains_key(&at.pack)
                {
                    table.put(digest.as_bytes(), &encode(at))?;
                }
            }
            Ok(())
        })
    }
}

/// A pack that lies in the repository, and what it holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// Its name.
    pub(super) name: Digest,
    /// Its stored size in bytes.
    pub(super) stored: u64,
    /// Plain bytes of its blobs.
    pub(super) plain: u64,
    /// Its blobs: digest, length, place.
    pub(super) blobs: Vec<(Digest, u32, Location)>,
}

impl Accepted {
    /// What a sealed pack will be once it is accepted.
    pub(super) fn of(pack: SealedPack) -> (bytes::Bytes, Self) {
        let stored = pack.bytes.len() as u64;
        (pack.bytes, Self { name: pack.name, stored, plain: pack.plain_bytes, blobs: pack.blobs })
    }
}

/// A location as it stands in the table and in the journal.
pub(super) fn encode(at: &Location) -> [u8; WIDTH] {
    let mut bytes = [0; WIDTH];
    bytes[..32].copy_from_slice(at.pack.as_bytes());
    bytes[32..40].copy_from_slice(&at.frame_offset.to_le_bytes());
    bytes[40..44].copy_from_slice(&at.frame_length.to_le_bytes());
    bytes[44..].copy_from_slice(&at.offset.to_le_bytes());
    bytes
}

/// The location that [`encode`] wrote.
pub(super) fn decode(bytes: &[u8; WIDTH]) -> Location {
    let number = |range: std::ops::Range<usize>| u32::from_le_bytes(bytes[range].try_into().expect("four bytes"));
    Location {
        pack: Digest::from_bytes(bytes[..32].try_into().expect("32 bytes")),
        frame_offset: u64::from_le_bytes(bytes[32..40].try_into().expect("eight bytes")),
        frame_length: number(40..44),
        offset: number(44..48),
    }
}
