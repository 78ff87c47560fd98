//! Reads every pack once: its bytes against its name and, at the full level, every blob in it.

use bytes::Bytes;

use super::needs::{Named, Needs};
use super::places::Places;
use super::report::Report;
use crate::archive::{self, check_pack};
use crate::format::check::Level;
use crate::format::digest::Digest;
use crate::format::entry::Location;
use crate::format::key::Objects;
use crate::format::limits::PACK_MAX;
use crate::format::names::NodeName;
use crate::ops::ahead::Ahead;
use crate::ops::budget::checking_threads;
use crate::ops::damage::Problem;
use crate::ops::error::chain;
use crate::ops::node::Remote;
use crate::ops::{Context, Error};
use crate::repository::Request;
use crate::sys::ordered;
use crate::sys::sorter::Sorted;

/// Packs that travel while others are checked.
const PACKS_AHEAD: usize = 1;

type Fetched = (Named, Result<Bytes, Problem>);

/// Looks at all packs that are needed.
pub(super) fn check(
    ctx: &Context,
    remote: &Remote,
    node: &NodeName,
    needs: &mut Needs,
    places: &Places,
    report: &mut Report,
) -> Result<(), Error> {
    let (mut packs, mut last) = (needs.take_packs().sorted()?, None);
    let mut ahead = Ahead::new(&remote.store, PACKS_AHEAD);
    let objects = remote.objects(node);
    let (threads, level) = (checking_threads(ctx, objects.encryption), report.level);
    ordered::run(
        threads,
        threads,
        &mut || {
            ctx.stop.check()?;
            ahead.next(&mut || next_pack(&mut packs, &mut last, &objects))
        },
        &|| (),
        &|(), (pack, answer): Fetched| (checked(remote, &objects, &pack, answer, level, places), pack),
        &mut |(outcome, pack)| {
            let key = objects.pack(pack.name).to_string();
            match outcome? {
                Ok(Sound { bytes, closed }) => {
                    report.count(bytes);
                    ctx.meter.add_bytes(bytes);
                    if closed {
                        report.is_closed(&key);
                    }
                }
                Err(problem) => report.fault(key, Some(&pack.snapshot), problem),
            }
            Ok(())
        },
    )
}

/// The next pack, each once.
fn next_pack(packs: &mut Sorted, last: &mut Option<Digest>, objects: &Objects) -> Result<Option<(Named, Request)>, Error> {
    while let Some(record) = packs.next()? {
        let pack = Named::from_record(record);
        if last.replace(pack.name) == Some(pack.name) {
            continue;
        }
        let key = objects.pack(pack.name).to_string();
        let at_most = pack.stored.min(PACK_MAX as u64);
        return Ok(Some((pack, Request { key, range: None, at_most })));
    }
    Ok(None)
}

/// A pack in which nothing wrong was found.
struct Sound {
    /// Its stored size.
    bytes: u64,
    /// Whether no identity opens it, so that only its stored bytes are proven.
    closed: bool,
}

fn checked(
    remote: &Remote,
    objects: &Objects,
    pack: &Named,
    answer: Result<Bytes, Problem>,
    level: Level,
    places: &Places,
) -> Result<Result<Sound, Problem>, Error> {
    let stored = match answer {
        Ok(stored) => stored,
        Err(problem) => return Ok(Err(problem)),
    };
    if Digest::of(&stored) != pack.name {
        return Ok(Err(Problem::damaged("its bytes do not match its name")));
    }
    let bytes = stored.len() as u64;
    if level < Level::Full {
        return Ok(Ok(Sound { bytes, closed: false }));
    }
    let stored = match remote.opened_if_mine(&objects.pack(pack.name).to_string(), stored)? {
        Ok(Some(opened)) => opened,
        Ok(None) => return Ok(Ok(Sound { bytes, closed: true })),
        Err(problem) => return Ok(Err(problem)),
    };
    let mut failed = None;
    let outcome = check_pack(&stored, &mut |digest, length, (frame_offset, frame_length), offset| {
        if failed.is_none() {
            failed = places.held(&Location { pack: pack.name, frame_offset, frame_length, offset }, &digest, length).err();
        }
    });
    match (failed, outcome) {
        (Some(error), _) => Err(error.into()),
        (None, Err(archive::Error::Damaged(text))) => Ok(Err(Problem::inside(text))),
        (None, Err(error)) => Ok(Err(Problem::inside(chain(&error)))),
        (None, Ok(())) => {
            places.proven(&pack.name)?;
            Ok(Ok(Sound { bytes, closed: false }))
        }
    }
}
