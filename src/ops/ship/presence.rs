//! Which objects of this node can be relied on: there, at their recorded size, not marked for deletion, not known as damaged.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;

use crate::format::body::ListRef;
use crate::format::check::Known;
use crate::format::digest::Digest;
use crate::format::key::{Key, NodeKey, Objects};
use crate::ops::error::chain;
use crate::ops::node::Remote;
use crate::ops::{Context, Error, marks, verify};
use crate::sys::table::{KEY, Table};

/// A pack, a file list or a pack list of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Object {
    /// A pack.
    Pack(Digest),
    /// A file list.
    List(Digest),
    /// The pack list beside this file list.
    PackList(Digest),
}

impl Object {
    /// Where it lies: a run that ships agrees with the marker about encryption.
    pub(crate) fn key(self, ctx: &Context) -> String {
        let objects = Objects { node: ctx.node.clone(), encryption: ctx.keys.encryption() };
        match self {
            Self::Pack(name) => objects.pack(name),
            Self::List(name) => objects.file_list(name),
            Self::PackList(name) => objects.pack_list(name),
        }
        .to_string()
    }

    pub(crate) fn parse(key: &str) -> Option<Self> {
        match Key::parse(key) {
            Some(Key::Of(_, NodeKey::Pack { name, .. })) => Some(Self::Pack(name)),
            Some(Key::Of(_, NodeKey::FileList { name, .. })) => Some(Self::List(name)),
            Some(Key::Of(_, NodeKey::PackList(name))) => Some(Self::PackList(name)),
            _ => None,
        }
    }

    /// Its key in a table.
    fn slot(self) -> [u8; KEY] {
        let (name, kind) = match self {
            Self::Pack(name) => (name, 0),
            Self::List(name) => (name, 1),
            Self::PackList(name) => (name, 2),
        };
        let mut slot = *name.as_bytes();
        // The names of two objects differ in far more than this, so no two slots are alike.
        slot[KEY - 1] ^= kind;
        slot
    }

    /// A file list and the pack list beside it, with their sizes.
    pub(crate) fn of_list(list: &ListRef) -> [(Self, u64); 2] {
        [(Self::List(list.list), list.stored), (Self::PackList(list.list), list.packs_length)]
    }
}

/// What a writer must not refer to, whatever the listing says: marked for deletion, or known as damaged.
#[derive(Debug)]
pub(crate) struct Presence {
    /// What is marked, in a table on disk: a prune may mark all that a bucket holds.
    marked: Table,
    /// What is known as damaged, as many as the verdicts that were read.
    damaged: HashSet<Object>,
    /// Whatever the store shows as stored at this instant or before may be marked: by a file of marks that cannot be read any more.
    doubtful: Option<Timestamp>,
}

impl Presence {
    /// Reads the marks and the verdicts; the table of marks lies in `work`.
    pub(crate) fn read(ctx: &Context, remote: &Remote, work: &Path) -> Result<Self, Error> {
        Self::of(ctx, remote, work, &verify::known(ctx, remote, &ctx.node)?)
    }

    /// The same of verdicts that have been read.
    pub(crate) fn of(ctx: &Context, remote: &Remote, work: &Path, known: &Known) -> Result<Self, Error> {
        let damaged = known.iter().filter_map(|check| Object::parse(&check.object)).collect();
        let mut presence = Self { marked: Table::new(work, 0)?, damaged, doubtful: None };
        // Where a file of marks vanishes meanwhile, its deletions are done, and what they deleted is missing from the listing that follows.
        for file in marks::list(remote, &ctx.node)? {
            let read = file.read(remote, &mut |mark| Object::parse(&mark.object).map_or(Ok(()), |object| presence.mark(object)));
            match read {
                // It would keep the node from ever shipping again. What it marks was there before it was.
                Err(error) if error.is_of_one_object() => {
                    let what = "nothing is referred to that is as old as these marks; `windlass heal` says what to do";
                    ctx.warn_once(format!("{}; {what}", chain(&error)));
                    presence.doubtful = presence.doubtful.max(Some(file.since));
                }
                read => drop(read?),
            }
        }
        Ok(presence)
    }

    fn mark(&mut self, object: Object) -> Result<(), Error> {
        Ok(self.marked.put(&object.slot(), &[])?)
    }

    /// Whether it is marked for deletion, or may be. `modified`: when it was stored, by the store's clock.
    pub(crate) fn is_marked(&self, object: &Object, modified: Timestamp) -> Result<bool, Error> {
        Ok(self.doubtful.is_some_and(|doubtful| modified <= doubtful) || self.marked.get(&object.slot(), &mut [])?)
    }

    /// Whether nothing new may refer to it.
    fn is_unreliable(&self, object: &Object, modified: Timestamp) -> Result<bool, Error> {
        Ok(self.damaged.contains(object) || self.is_marked(object, modified)?)
    }

    /// Lists the node's packs and file lists, and gives those of `wanted`, each with its size, that cannot be relied on.
    ///
    /// Held in memory are 48 bytes for each wanted object: 3 MiB for a tebibyte of packs.
    pub(super) fn missing(&self, ctx: &Context, remote: &Remote, mut wanted: Vec<(Object, u64)>) -> Result<HashSet<Object>, Error> {
        wanted.sort_unstable();
        let mut seen = vec![false; wanted.len()];
        for folder in ["packs", "files"] {
            if !wanted.iter().any(|(object, _)| (folder == "packs") == matches!(object, Object::Pack(_))) {
                continue;
            }
            remote.each_object(ctx, &format!("{}/{folder}/", ctx.node), &mut |found| {
                if let Some(object) = Object::parse(&found.key)
                    && let Ok(at) = wanted.binary_search(&(object, found.size))
                {
                    seen[at] = !self.is_unreliable(&object, found.modified)?;
                }
                Ok(())
            })?;
        }
        let missing = wanted.iter().zip(&seen).filter(|(_, seen)| !**seen);
        Ok(missing.map(|((object, _), _)| *object).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(folder: &Path) -> Presence {
        Presence { marked: Table::new(folder, 0).unwrap(), damaged: HashSet::new(), doubtful: None }
    }

    fn digest(n: u32) -> Digest {
        Digest::of(&n.to_le_bytes())
    }

    #[test]
    fn marks_lie_on_the_disk_and_each_kind_of_object_has_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut presence = presence(folder.path());
        for n in 0..50_000 {
            presence.mark(Object::Pack(digest(n))).unwrap();
        }
        presence.mark(Object::List(digest(50_000))).unwrap();
        assert_eq!(presence.marked.len(), 50_001);
        let is_marked = |object| presence.is_marked(&object, Timestamp::UNIX_EPOCH).unwrap();
        assert!(is_marked(Object::Pack(digest(49_999))) && is_marked(Object::List(digest(50_000))));
        assert!(!is_marked(Object::Pack(digest(50_000))) && !is_marked(Object::PackList(digest(50_000))));
        assert!(presence.damaged.is_empty(), "nothing else grows");
    }

    #[test]
    fn what_is_as_old_as_marks_that_cannot_be_read_may_be_marked() {
        let folder = tempfile::tempdir().unwrap();
        let presence = Presence { doubtful: Some(Timestamp::UNIX_EPOCH), ..presence(folder.path()) };
        let later = Timestamp::from_second(1).unwrap();
        assert!(presence.is_marked(&Object::Pack(digest(1)), Timestamp::UNIX_EPOCH).unwrap());
        assert!(!presence.is_marked(&Object::Pack(digest(1)), later).unwrap());
    }
}
