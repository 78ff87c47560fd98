//! A snapshot that is in the repository already, written again under its next number because some of what it needs is damaged there.
//!
//! What can be relied on is referred to; only what is missing is packed anew. The journal is shared with ordinary shipments and left to the
//! next of them: it makes a broken run go on, and tells that shipment what lies there. The cache is not touched.

use std::collections::BTreeMap;
use std::time::Duration;

use super::commit::{Committed, Manifest, closed};
use super::journal::{Journal, Record, Stored};
pub(crate) use super::known::Found;
use super::known::Known;
use super::listing::{KnownLists, Listing};
use super::one::{ATTEMPTS, beside, forget_unreliable};
use super::packing::Packing;
use super::presence::Object;
use crate::archive::{self, Supply};
use crate::format::body::Role;
use crate::format::digest::Digest;
use crate::format::head::Head;
use crate::format::limits::{FILE_LIST_MAX, PACK_LIST_MAX, PACK_MAX};
use crate::format::path::RelPath;
use crate::ops::cache::{Cache, CachedPack, Parent};
use crate::ops::catalogue::Catalogue;
use crate::ops::copies::Record as CopyRecord;
use crate::ops::lists::Lines;
use crate::ops::node::Remote;
use crate::ops::{Context, Error, budget};

/// Opens lines anew.
pub(crate) type OpenLines<'a> = Box<dyn Fn() -> Result<Box<dyn Lines>, Error> + 'a>;

/// The files of a snapshot, or its facts.
pub(crate) struct Facet<'a> {
    /// All lines.
    pub(crate) lines: OpenLines<'a>,
    /// Those lines of the shipped snapshot that are readable: they say where blobs lie.
    pub(crate) located: OpenLines<'a>,
}

/// A snapshot that is to be written again.
pub(crate) struct Again<'a> {
    /// What it is.
    pub(crate) record: &'a CopyRecord,
    /// How old it may get before its successor is late.
    pub(crate) objective: Duration,
    /// zstd level of new packs.
    pub(crate) level: i32,
    /// Its files.
    pub(crate) files: Facet<'a>,
    /// Its facts.
    pub(crate) facts: Facet<'a>,
    /// The one blob of its facts: path, digest, length.
    pub(crate) fact: (RelPath, Digest, u32),
    /// Packs that its located lines name, with their stored sizes.
    pub(crate) packs: &'a BTreeMap<Digest, u64>,
    /// Its sound file lists, by the digests of their plain texts.
    pub(crate) lists: &'a KnownLists,
    /// Places of other blobs.
    pub(crate) found: &'a Found,
    /// The bytes of blobs that lie nowhere else.
    pub(crate) supply: &'a dyn Supply,
    /// The highest number that is used.
    pub(crate) used: u32,
}

/// Writes a snapshot again; everything that was stored for it is read back before its head is written. The caller holds the shipping lock.
///
/// # Errors
/// As a shipment; [`archive::Error::Mismatch`] and [`archive::Error::Supply`] when the supply has not what it should have.
pub(crate) fn ship_again(ctx: &Context, remote: &Remote, catalogue: &Catalogue, again: &Again<'_>) -> Result<Head, Error> {
    for attempt in 1..=ATTEMPTS {
        let (record, objective) = (again.record, again.objective);
        let manifest = Manifest { ctx, remote, record, objective, catalogue, n: again.used + attempt, added: 0 };
        if let Committed::Done(head) = attempt_to(manifest, again)? {
            return Ok(*head);
        }
    }
    let name = format!("{}/{}", again.record.source, again.record.id);
    Err(Error::Refused(format!(
        "what {name} needs vanishes from the repository, or is found to be damaged, while it is healed: run it again"
    )))
}

fn attempt_to(mut manifest: Manifest<'_>, again: &Again<'_>) -> Result<Committed, Error> {
    let (ctx, remote) = (manifest.ctx, manifest.remote);
    let (source, id) = (&again.record.source, again.record.id);
    let parent = Cache::of(ctx, remote, source)?.parent()?.filter(|parent| parent.index.recipients == ctx.keys.recipients().texts());
    let mut lists: KnownLists = parent.as_ref().map(Parent::lists).unwrap_or_default();
    lists.extend(again.lists.iter().map(|(plain, list)| (*plain, *list)));
    let mut known = Known::new(ctx, parent.as_ref(), usable_packs(parent.as_ref(), again.packs))?;
    known.look_also_in(again.found);
    let mut journal = Journal::open(ctx, remote, source, &mut |record| {
        match record {
            Record::Pack(pack) => known.accept(&pack)?,
            Record::List(plain, list) => drop(lists.insert(plain, list)),
            Record::Recipients(_) => {}
        }
        Ok(())
    })?;
    journal.listen();
    forget_unreliable(ctx, remote, &mut known, &mut lists)?;

    ctx.phase(source, Some(id), "packing");
    pack(ctx, remote, again, &mut known, &mut journal)?;
    ctx.phase(source, Some(id), "lists");
    let mut uploads = remote.store.uploads(budget::LISTS_IN_FLIGHT);
    let mut listing = Listing::new(ctx, &mut known, &lists, &mut uploads, &mut journal, None);
    listing.role(Role::Files, &mut *(again.files.lines)()?, beside(Some((again.files.located)().map(Boxed)))?)?;
    listing.role(Role::Facts, &mut *(again.facts.lines)()?, beside(Some((again.facts.located)().map(Boxed)))?)?;
    listing.finish()?;
    let (body_lists, packs) = (listing.body_lists, listing.packs);
    let body = closed(body_lists, packs.len() as u64, packs.values().map(|pack| pack.stored).sum(), again.record);

    ctx.phase(source, Some(id), "committing");
    manifest.added = read_back(ctx, remote, journal.heard())?;
    manifest.commit(&body, packs.values().map(|pack| (pack.pack, pack.stored)))
}

/// The packs that blobs may be referred to in: those of the parent that are not mostly waste, and the snapshot's own.
fn usable_packs(parent: Option<&Parent>, own: &BTreeMap<Digest, u64>) -> BTreeMap<Digest, CachedPack> {
    let usable = parent.iter().flat_map(|parent| &parent.index.packs).filter(|pack| !pack.is_mostly_waste());
    let mut packs: BTreeMap<Digest, CachedPack> = usable.map(|pack| (pack.pack, *pack)).collect();
    for (pack, stored) in own {
        packs.entry(*pack).or_insert(CachedPack { pack: *pack, stored: *stored, plain: 0, live: 0 });
    }
    packs
}

fn pack(ctx: &Context, remote: &Remote, again: &Again<'_>, known: &mut Known<'_>, journal: &mut Journal) -> Result<(), Error> {
    let settings = budget::packing(ctx, again.level);
    let mut uploads = remote.store.uploads(budget::PACKS_IN_FLIGHT);
    let located = beside(Some((again.files.located)().map(Boxed)))?;
    let lines = (again.files.lines)()?;
    let mut packing = Packing::new(ctx, lines, located, Some(again.fact.clone()), known, &mut uploads, journal);
    let recipients = ctx.keys.recipients();
    let packed = archive::pack(&settings, recipients, &*ctx.random, &ctx.stop, &ctx.meter, again.supply, &mut packing);
    packed.and_then(|()| packing.finish()).inspect_err(|_| packing.salvage())
}

/// Reads what this run has stored and compares it with its digests; gives how many bytes it is.
fn read_back(ctx: &Context, remote: &Remote, stored: &[Stored]) -> Result<u64, Error> {
    let mut bytes = 0;
    let mut same = |object: Object, digest: Digest, at_most: usize| {
        ctx.stop.check()?;
        let key = object.key(ctx);
        let read = remote.store.get(&key, at_most as u64)?;
        bytes += read.len() as u64;
        if Digest::of(&read) == digest {
            return Ok(());
        }
        Err(Error::damaged(key, "the store gives other bytes back than it was given"))
    };
    for object in stored {
        match object {
            Stored::Pack(name) => same(Object::Pack(*name), *name, PACK_MAX)?,
            Stored::List(list) => {
                same(Object::List(list.list), list.list, 2 * FILE_LIST_MAX)?;
                same(Object::PackList(list.list), list.packs_sha256, PACK_LIST_MAX)?;
            }
        }
    }
    Ok(bytes)
}

/// Lines whose kind is known only at run time.
struct Boxed(Box<dyn Lines>);

impl Lines for Boxed {
    fn next_line(&mut self) -> Result<Option<crate::format::line::Line>, Error> {
        self.0.next_line()
    }
}
