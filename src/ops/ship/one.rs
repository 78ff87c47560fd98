//! One snapshot, from its local copy into the repository.

use std::collections::BTreeMap;

use super::commit::{Committed, Manifest, closed};
use super::journal::{Journal, Record};
use super::known::Known;
use super::listing::{KnownLists, Listing};
use super::numbers::UsedNumbers;
use super::packing::{CopySupply, Packing, local_damage};
use super::presence::{Object, Presence};
use crate::archive;
use crate::format::body::{Body, ListRef, Role};
use crate::format::digest::Digest;
use crate::format::head::Head;
use crate::ops::cache::{Cache, CachedPack, Parent};
use crate::ops::catalogue::Catalogue;
use crate::ops::copies::Copy;
use crate::ops::facts::Facts;
use crate::ops::lists::{Beside, Lines};
use crate::ops::node::Remote;
use crate::ops::spec::SourceSpec;
use crate::ops::{Context, Error, budget};

/// How often a manifest is tried when objects that it names vanish meanwhile. Prune deletes days after it marks, so once is enough in
/// honest use; more says that somebody else deletes there.
pub(super) const ATTEMPTS: u32 = 3;

/// Ships one snapshot.
pub(super) fn ship(ctx: &Context, remote: &Remote, spec: &SourceSpec, copy: &Copy, catalogue: &Catalogue) -> Result<Head, Error> {
    let numbers = UsedNumbers::of(ctx, remote, &spec.name)?;
    let used = catalogue.highest_number(&(spec.name.clone(), copy.id())).max(numbers.highest(copy.id())?);
    for attempt in 1..=ATTEMPTS {
        let manifest = Manifest { ctx, remote, record: &copy.record, objective: spec.objective, catalogue, n: used + attempt, added: 0 };
        if let Committed::Done(head) = attempt_to(manifest, spec, copy)? {
            return Ok(*head);
        }
        ctx.warn(Some(&spec.name), "objects that the new manifest names have vanished from the repository; they are stored anew");
    }
    Err(Error::Refused(format!(
        "objects of {}/{} vanish from the repository as fast as they are stored: another program deletes there. The snapshot was not \
         committed",
        spec.name,
        copy.id()
    )))
}

fn attempt_to(mut manifest: Manifest<'_>, spec: &SourceSpec, copy: &Copy) -> Result<Committed, Error> {
    let (ctx, remote) = (manifest.ctx, manifest.remote);
    let cache = Cache::of(ctx, remote, &spec.name)?;
    // What is sealed to others than today's recipients counts as not there.
    let parent = cache.parent()?.filter(|parent| parent.index.recipients == ctx.keys.recipients().texts());
    let facts = Facts::new(&copy.record.facts)?;

    let usable = parent.iter().flat_map(|parent| &parent.index.packs).filter(|pack| !pack.is_mostly_waste());
    let mut known = Known::new(ctx, parent.as_ref(), usable.map(|pack| (pack.pack, *pack)).collect())?;
    let mut lists: KnownLists = parent.as_ref().map(Parent::lists).unwrap_or_default();
    let mut journal = Journal::open(ctx, remote, &spec.name, &mut |record| {
        match record {
            Record::Pack(pack) => known.accept(&pack)?,
            Record::List(plain, list) => {
                lists.insert(plain, list);
            }
            Record::Recipients(_) => {}
        }
        Ok(())
    })?;
    forget_unreliable(ctx, remote, &mut known, &mut lists)?;
    if let Some(body) = same_again(copy, &facts, parent.as_ref(), &known, &lists)? {
        let parent = parent.expect("it is the same again as the parent");
        ctx.phase(&spec.name, Some(copy.id()), "committing");
        let committed = manifest.commit(&body, parent.index.packs.iter().map(|pack| (pack.pack, pack.stored)))?;
        if let Committed::Done(_) = committed {
            cache.carry_over(parent, copy.id())?;
            journal.finish()?;
        }
        return Ok(committed);
    }

    ctx.phase(&spec.name, Some(copy.id()), "packing");
    ctx.meter.set_total(copy.record.bytes);
    pack(ctx, remote, spec, copy, parent.as_ref(), &facts, &mut known, &mut journal)?;

    ctx.phase(&spec.name, Some(copy.id()), "lists");
    let mut writer = cache.begin(copy.id())?;
    let mut uploads = remote.store.uploads(budget::LISTS_IN_FLIGHT);
    let mut listing = Listing::new(ctx, &mut known, &lists, &mut uploads, &mut journal, Some(&mut writer));
    listing.role(Role::Files, &mut copy.lines()?, beside(parent.as_ref().map(Parent::lines))?)?;
    listing.role(Role::Facts, &mut facts.lines(), beside(parent.as_ref().map(Parent::facts))?)?;
    listing.finish()?;
    let (lists, packs) = (listing.body_lists, listing.packs);
    let body = closed(lists, packs.len() as u64, packs.values().map(|pack| pack.stored).sum(), &copy.record);

    ctx.phase(&spec.name, Some(copy.id()), "committing");
    ctx.stop.check()?;
    manifest.added = added(&body, &packs, parent.as_ref());
    let committed = manifest.commit(&body, packs.values().map(|pack| (pack.pack, pack.stored)))?;
    if let Committed::Done(_) = committed {
        writer.finish(packs.into_values().collect(), copy.record.lines_sha256, ctx.keys.recipients().texts())?;
        journal.finish()?;
    }
    Ok(committed)
}

/// The body of a snapshot that holds just what its parent holds, when all of that can be relied on. Nothing of it is read.
fn same_again(copy: &Copy, facts: &Facts, parent: Option<&Parent>, known: &Known<'_>, lists: &KnownLists) -> Result<Option<Body>, Error> {
    let Some(parent) = parent.filter(|parent| parent.index.copy_lines_sha256 == copy.record.lines_sha256) else { return Ok(None) };
    let index = &parent.index;
    let all_there = index.packs.iter().all(|pack| known.pack(&pack.pack).is_some())
        && index.lists.iter().all(|(plain, list)| lists.get(plain).is_some_and(|known| known.list == list.list));
    if !all_there || !facts.are_those_of(&mut parent.facts()?)? {
        return Ok(None);
    }
    let lists: Vec<ListRef> = index.lists.iter().map(|(_, list)| *list).collect();
    let packs = index.packs.iter().map(|pack| pack.stored);
    Ok(Some(closed(lists, index.packs.len() as u64, packs.sum(), &copy.record)))
}

#[expect(clippy::too_many_arguments, reason = "the first pass needs all of a shipment")]
fn pack(
    ctx: &Context,
    remote: &Remote,
    spec: &SourceSpec,
    copy: &Copy,
    parent: Option<&Parent>,
    facts: &Facts,
    known: &mut Known<'_>,
    journal: &mut Journal,
) -> Result<(), Error> {
    let supply = CopySupply::new(&copy.data(), facts.text.clone())?;
    let settings = budget::packing(ctx, spec.level);
    let mut uploads = remote.store.uploads(budget::PACKS_IN_FLIGHT);
    let first = Some((Facts::path(), facts.digest, facts.length()));
    let lines = Box::new(copy.lines()?);
    let mut packing = Packing::new(ctx, lines, beside(parent.map(Parent::lines))?, first, known, &mut uploads, journal);
    let packed = archive::pack(&settings, ctx.keys.recipients(), &*ctx.random, &ctx.stop, &ctx.meter, &supply, &mut packing);
    let packed = packed.and_then(|()| packing.finish());
    packed.map_err(|error| {
        packing.salvage();
        local_damage(error, &copy.dir)
    })
}

/// A stream of the parent's lines, where there is one.
pub(super) fn beside<L: Lines + 'static>(lines: Option<Result<L, Error>>) -> Result<Option<Beside>, Error> {
    Ok(lines.transpose()?.map(|lines| Beside::new(Box::new(lines))))
}

/// Drops what a fresh listing, the marks and the verdicts say cannot be relied on.
pub(super) fn forget_unreliable(ctx: &Context, remote: &Remote, known: &mut Known<'_>, lists: &mut KnownLists) -> Result<(), Error> {
    let packs = known.packs().map(|pack| (Object::Pack(pack.pack), pack.stored));
    let wanted = packs.chain(lists.values().flat_map(Object::of_list)).collect();
    let missing = Presence::read(ctx, remote, &ctx.state()?.work()?)?.missing(ctx, remote, wanted)?;
    for object in &missing {
        if let Object::Pack(name) = object {
            known.discard(name);
        }
    }
    lists.retain(|_, list| !Object::of_list(list).iter().any(|(object, _)| missing.contains(object)));
    Ok(())
}

/// Stored bytes that were not there for the parent.
fn added(body: &Body, packs: &BTreeMap<Digest, CachedPack>, parent: Option<&Parent>) -> u64 {
    let index = parent.map(|parent| &parent.index);
    let old_pack = |pack: &Digest| index.is_some_and(|index| index.packs.binary_search_by_key(pack, |known| known.pack).is_ok());
    let old_list = |list: &Digest| index.is_some_and(|index| index.lists.iter().any(|(_, known)| known.list == *list));
    let packs = packs.values().filter(|pack| !old_pack(&pack.pack)).map(|pack| pack.stored);
    let lists = body.lists.iter().filter(|list| !old_list(&list.list)).map(|list| list.stored + list.packs_length);
    packs.chain(lists).sum()
}
