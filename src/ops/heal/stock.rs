//! What the repository holds of a node, and what of that can be relied on: one listing, the marks, and the verdicts, looked at once more.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;

use crate::archive::{ListReader, check_pack};
use crate::format::body::ListRef;
use crate::format::check::{Check, Known, Level, Verdict};
use crate::format::digest::Digest;
use crate::format::limits::{FILE_LIST_MAX, PACK_LIST_MAX, PACK_MAX};
use crate::format::marker::Encryption;
use crate::format::pack_list::{self, PackRef};
use crate::ops::damage::{Problem, settle};
use crate::ops::error::chain;
use crate::ops::node::Remote;
use crate::ops::ship::{Object, Presence};
use crate::ops::verify::{INSIDE, PLACE_NOT_HELD};
use crate::ops::{Context, Error, verify};
use crate::sys::table::Table;

/// What lies there. Sizes and times lie in a table on disk, 48 bytes for each object.
pub(super) struct Stock<'a> {
    ctx: &'a Context,
    remote: &'a Remote,
    listed: Table,
    presence: Presence,
    /// What verifications have recorded.
    pub(super) known: Known,
    /// Objects of `known` that were looked at again: what is wrong with them now.
    again: BTreeMap<String, Option<String>>,
    /// What was found, to be recorded.
    found: Vec<Check>,
}

impl<'a> Stock<'a> {
    /// Lists packs and file lists, and reads marks and verdicts.
    pub(super) fn read(ctx: &'a Context, remote: &'a Remote, work: &Path) -> Result<Self, Error> {
        let mut listed = Table::new(work, 16)?;
        for folder in ["packs", "files"] {
            remote.each_object(ctx, &format!("{}/{folder}/", ctx.node), &mut |object| {
                // In whole seconds, rounded down: what was stored in the second of a mark counts as older than it.
                let value = [object.size.to_be_bytes(), object.modified.as_second().to_be_bytes()].concat();
                Ok(listed.put(Digest::of(object.key.as_bytes()).as_bytes(), &value)?)
            })?;
        }
        let known = verify::known(ctx, remote, &ctx.node)?;
        let presence = Presence::of(ctx, remote, work, &known)?;
        Ok(Self { ctx, remote, listed, presence, known, again: BTreeMap::new(), found: Vec::new() })
    }

    /// The stored size of an object that is listed.
    pub(super) fn size(&self, object: Object) -> Result<Option<u64>, Error> {
        Ok(self.listed(object)?.map(|(size, _)| size))
    }

    /// The same with the time at which it was stored.
    fn listed(&self, object: Object) -> Result<Option<(u64, Timestamp)>, Error> {
        let mut value = [0; 16];
        let is_there = self.listed.get(Digest::of(self.key(object).as_bytes()).as_bytes(), &mut value)?;
        let [size, time] = [0, 8].map(|at| *value[at..].first_chunk().expect("eight bytes"));
        let time = Timestamp::from_second(i64::from_be_bytes(time)).unwrap_or(Timestamp::MIN);
        Ok(is_there.then(|| (u64::from_be_bytes(size), time)))
    }

    fn key(&self, object: Object) -> String {
        let objects = self.remote.objects(&self.ctx.node);
        match object {
            Object::Pack(name) => objects.pack(name),
            Object::List(name) => objects.file_list(name),
            Object::PackList(name) => objects.pack_list(name),
        }
        .to_string()
    }

    /// What is wrong with a pack or a file list that should have this size. What was known to be damaged is read once more: it may have
    /// been put back.
    pub(super) fn problem(&mut self, object: Object, size: u64) -> Result<Option<String>, Error> {
        match self.size(object)? {
            None => return Ok(Some(crate::ops::damage::MISSING.to_owned())),
            Some(found) if found != size => return Ok(Some(format!("it has {found} bytes and should have {size}"))),
            Some(_) => {}
        }
        let key = self.key(object);
        let Some(check) = self.known.get(&key).cloned() else { return Ok(None) };
        if let Some(problem) = self.again.get(&key) {
            return Ok(problem.clone());
        }
        let problem = self.look_again(object, &key, &check)?;
        if problem.is_none() {
            self.is_sound(&key);
        }
        self.again.insert(key, problem.clone());
        Ok(problem)
    }

    /// Whether something new may refer to a pack: it is there, sound, and not marked for deletion. Gives its stored size.
    pub(super) fn usable_pack(&mut self, pack: Digest) -> Result<Option<u64>, Error> {
        let object = Object::Pack(pack);
        let Some((size, stored)) = self.listed(object)? else { return Ok(None) };
        let usable = self.problem(object, size)?.is_none() && !self.presence.is_marked(&object, stored)?;
        Ok(usable.then_some(size))
    }

    fn look_again(&self, object: Object, key: &str, check: &Check) -> Result<Option<String>, Error> {
        let told = check.problem.clone().unwrap_or_else(|| check.verdict.word().to_owned());
        let (name, at_most) = match object {
            Object::Pack(name) => (name, PACK_MAX),
            Object::List(name) | Object::PackList(name) => (name, 2 * FILE_LIST_MAX),
        };
        let stored = match settle(self.remote.store.get(key, at_most as u64))? {
            Ok(stored) if Digest::of(&stored) == name => stored,
            Ok(_) => return Ok(Some("its bytes do not match its name".to_owned())),
            Err(problem) => return Ok(Some(problem.text)),
        };
        if check.level < Level::Full {
            return Ok(None);
        }
        // A list whose bytes are right and that says what is wrong was written so: nobody can put it back.
        if matches!(object, Object::List(_)) && (told.ends_with(PLACE_NOT_HELD) || told == INSIDE) {
            return Ok(Some(told));
        }
        match self.remote.opened_if_mine(key, stored)? {
            Ok(Some(plain)) => Ok(self.read_through(object, plain).err()),
            // What was found inside can only be taken back by whoever can look inside.
            Ok(None) => Ok(Some(told)),
            Err(problem) => Ok(Some(problem.text)),
        }
    }

    fn read_through(&self, object: Object, plain: Bytes) -> Result<(), String> {
        if let Object::Pack(_) = object {
            return check_pack(&plain, &mut |_, _, _, _| ()).map_err(|cause| chain(&cause));
        }
        let mut list = ListReader::new(plain).map_err(|cause| chain(&cause))?;
        while let Some(text) = list.next_line().map_err(|cause| chain(&cause))? {
            crate::format::line::Line::from_json(text).map_err(|cause| chain(&cause))?;
        }
        Ok(())
    }

    /// The packs that a file list refers to, as the pack list beside it says, which must be the one that the body names.
    pub(super) fn pack_list(&mut self, list: &ListRef) -> Result<Result<Vec<PackRef>, String>, Error> {
        let key = self.key(Object::PackList(list.list));
        let text = match settle(self.remote.store.get(&key, PACK_LIST_MAX as u64))? {
            Ok(text) => text,
            Err(problem) => return Ok(Err(problem.text)),
        };
        if text.len() as u64 != list.packs_length || Digest::of(&text) != list.packs_sha256 {
            return Ok(Err("its bytes are not those that the manifest names".to_owned()));
        }
        self.is_sound(&key);
        Ok(pack_list::read(&text).map_err(|cause| chain(&cause)))
    }

    /// An object that was read and is right: what was known of it is taken back.
    pub(super) fn is_sound(&mut self, key: &str) {
        if self.known.get(key).is_some() && self.again.insert(key.to_owned(), None).is_none() {
            self.note(key, Verdict::Sound, None);
        }
    }

    /// An object that was read and is not right.
    pub(super) fn is_damaged(&mut self, key: &str, problem: &str) {
        if self.known.get(key).is_none() && self.again.insert(key.to_owned(), Some(problem.to_owned())).is_none() {
            let missing = problem == crate::ops::damage::MISSING;
            // Words that come from inside an object stay out of an encrypted repository.
            let words = Some(problem.to_owned()).filter(|_| self.remote.marker.encryption == Encryption::None);
            self.note(key, if missing { Verdict::Missing } else { Verdict::Damaged }, words);
        }
    }

    fn note(&mut self, key: &str, verdict: Verdict, problem: Option<String>) {
        let time = self.ctx.clock.now();
        let level = self.known.get(key).map_or(Level::Full, |check| check.level);
        self.found.push(Check { object: key.to_owned(), verdict, level, time, problem, superseded: false });
    }

    /// Records what was found, so that nothing that is written relies on what is damaged, or passes over what is not.
    pub(super) fn record(&mut self) {
        verify::record_verdicts(self.ctx, self.remote, &self.ctx.node, &self.found);
        self.found.clear();
    }

    /// Objects that were known to be damaged and are sound.
    pub(super) fn sound_again(&self) -> Vec<String> {
        self.again.iter().filter(|(key, problem)| problem.is_none() && self.known.get(key).is_some()).map(|(key, _)| key.clone()).collect()
    }
}

/// What is wrong with a small object of the manifests; `None` when `read` finds it right.
pub(super) fn problem_of(
    remote: &Remote,
    key: &str,
    at_most: usize,
    read: &dyn Fn(&[u8]) -> Result<(), String>,
) -> Result<Option<String>, Error> {
    Ok(match settle(remote.store.get(key, at_most as u64))? {
        Ok(text) => read(&text).err().or_else(|| Problem::of_one_line(&text).map(|problem| problem.text)),
        Err(problem) => Some(problem.text),
    })
}
