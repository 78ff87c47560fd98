//! One part of what is stored: its objects, each read and compared with its name.

use std::cell::RefCell;
use std::path::PathBuf;

use bytes::Bytes;

use super::LEVEL;
use crate::format::check::{Check, Known, Verdict};
use crate::format::digest::Digest;
use crate::format::key::{Key, NodeKey};
use crate::format::limits::PACK_MAX;
use crate::ops::ahead::Ahead;
use crate::ops::budget::checking_threads;
use crate::ops::damage::Problem;
use crate::ops::error::chain;
use crate::ops::node::Remote;
use crate::ops::{Context, Error};
use crate::repository::Request;
use crate::sys::ordered;
use crate::sys::spool;

/// Packs that travel while others are compared.
const AHEAD: usize = 1;

/// Memory for the names of a part; what is more goes to the disk. That of 60 TiB of packs fits.
const NAMES: usize = 1 << 20;

/// What was found in a part.
#[derive(Default)]
pub(super) struct Found {
    pub(super) objects: u64,
    pub(super) bytes: u64,
    /// Why an object could not be read, which says nothing of its bytes: then the part was not.
    pub(super) unread: Option<String>,
    /// What is not sound and was not known to be, and what is sound again.
    pub(super) verdicts: Vec<Check>,
}

/// Reads parts.
pub(super) struct Reader<'a> {
    pub(super) ctx: &'a Context,
    pub(super) remote: &'a Remote,
    /// What is known not to be sound.
    pub(super) known: &'a Known,
    /// Where temporary files lie.
    pub(super) work: PathBuf,
}

impl Reader<'_> {
    /// Reads the part of this number; `None` when something else had to be done before its end.
    pub(super) fn read(&self, number: u8, gives_way: &mut dyn FnMut() -> bool) -> Result<Option<Found>, Error> {
        let ctx = self.ctx;
        let names = self.list(number)?;
        if names.is_empty() {
            return Ok(Some(Found::default()));
        }
        let (mut names, mut gave_way) = (names.read(), false);
        let mut ahead = Ahead::new(&self.remote.store, AHEAD);
        let threads = checking_threads(ctx, self.remote.marker.encryption);
        let (mut found, unread) = (Found::default(), RefCell::new(None));
        ordered::run(
            threads,
            threads,
            &mut || {
                ctx.stop.check()?;
                gave_way |= gives_way();
                // The part does not count as read any more, so the rest of it can wait for the next time.
                if gave_way || unread.borrow().is_some() {
                    return Ok(None);
                }
                match ahead.next(&mut || Ok(names.next()?.map(request))) {
                    // One object that is not given out, such as one in an archive: the credential is good for the others.
                    Err(Error::Repository(error)) if error.is_denied() && !error.is_unreachable() => {
                        *unread.borrow_mut() = Some(chain(&error));
                        Ok(None)
                    }
                    next => next,
                }
            },
            &|| (),
            &|(), (key, answer): (String, Result<Bytes, Problem>)| {
                let checked = answer.and_then(|stored| match name_of(&key) {
                    Some(name) if Digest::of(&stored) == name => Ok(stored.len() as u64),
                    _ => Err(Problem::damaged("its bytes do not match its name")),
                });
                (key, checked)
            },
            &mut |(key, checked)| {
                if let Some(why) = self.take(key, checked, &mut found) {
                    *unread.borrow_mut() = Some(why);
                }
                Ok::<_, Error>(())
            },
        )?;
        found.unread = unread.into_inner();
        Ok((!gave_way).then_some(found))
    }

    /// The packs and file lists of a part. What lists of packs say is compared with the manifests by every quick verification.
    fn list(&self, number: u8) -> Result<spool::Spool, Error> {
        let mut names = spool::Writer::new(&self.work, NAMES);
        for folder in ["packs", "files"] {
            self.remote.each_object(self.ctx, &format!("{}/{folder}/{number:02x}/", self.ctx.node), &mut |object| {
                if name_of(&object.key).is_some() {
                    names.push(&[&object.size.to_be_bytes(), object.key.as_bytes()].concat())?;
                }
                Ok(())
            })?;
        }
        Ok(names.finish()?)
    }

    /// Notes what was found of an object; gives why it could not be read, if so.
    fn take(&self, object: String, checked: Result<u64, Problem>, found: &mut Found) -> Option<String> {
        let time = self.ctx.clock.now();
        let known = self.known.get(&object);
        let verdict = match checked {
            Ok(bytes) => {
                found.objects += 1;
                found.bytes += bytes;
                self.ctx.meter.add_bytes(bytes);
                // What was found inside it is as wrong as before.
                if known.is_none_or(|known| known.level > LEVEL) {
                    return None;
                }
                Check { object, verdict: Verdict::Sound, level: LEVEL, time, problem: None, superseded: false }
            }
            // It was deleted since it was listed; whether that may be, a quick verification tells.
            Err(problem) if problem.verdict == Some(Verdict::Missing) => return None,
            Err(problem) => {
                let Some(verdict) = problem.verdict else { return Some(format!("{object}: {}", problem.text)) };
                if known.is_some_and(|known| known.verdict == verdict && known.level >= LEVEL) {
                    return None;
                }
                Check { object, verdict, level: LEVEL, time, problem: Some(problem.text), superseded: false }
            }
        };
        found.verdicts.push(verdict);
        None
    }
}

/// The digest in the name of a pack or a file list.
fn name_of(key: &str) -> Option<Digest> {
    match Key::parse(key)? {
        Key::Of(_, NodeKey::Pack { name, .. } | NodeKey::FileList { name, .. }) => Some(name),
        _ => None,
    }
}

fn request(record: &[u8]) -> (String, Request) {
    let (size, key) = record.split_first_chunk().expect("a record begins with a size");
    let key = String::from_utf8_lossy(key).into_owned();
    let at_most = u64::from_be_bytes(*size).min(PACK_MAX as u64);
    (key.clone(), Request { key, range: None, at_most })
}
