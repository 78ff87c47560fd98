//! Which objects of this node can be relied on: there, at their recorded size, not marked for deletion, not known as damaged.

use std::collections::HashSet;
use std::ops::ControlFlow;

use jiff::Timestamp;

use crate::format::body::ListRef;
use crate::format::digest::Digest;
use crate::format::key::{Key, NodeKey, Objects};
use crate::ops::error::chain;
use crate::ops::node::Remote;
use crate::ops::{Context, Error, marks, verify};

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

    /// A file list and the pack list beside it, with their sizes.
    pub(crate) fn of_list(list: &ListRef) -> [(Self, u64); 2] {
        [(Self::List(list.list), list.stored), (Self::PackList(list.list), list.packs_length)]
    }
}

/// What a writer must not refer to, whatever the listing says: marked for deletion, or known as damaged.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    unreliable: HashSet<Object>,
    /// Whatever the store shows as stored at this instant or before may be marked: by a file of marks that cannot be read any more.
    doubtful: Option<Timestamp>,
}

impl Presence {
    /// Reads the marks and the verdicts.
    pub(crate) fn read(ctx: &Context, remote: &Remote) -> Result<Self, Error> {
        let known = verify::known(ctx, remote, &ctx.node)?;
        let mut unreliable: HashSet<Object> = known.iter().filter_map(|check| Object::parse(&check.object)).collect();
        // Where a file of marks vanishes meanwhile, its deletions are done, and what they deleted is missing from the listing that follows.
        let mut doubtful = None;
        for file in marks::list(remote, &ctx.node)? {
            let read = file.read(remote, &mut |mark| {
                unreliable.extend(Object::parse(&mark.object));
                Ok(())
            });
            match read {
                // It would keep the node from ever shipping again. What it marks was there before it was.
                Err(error) if error.is_damage() => {
                    let what = "nothing is referred to that is as old as these marks; `windlass heal` says what to do";
                    ctx.warn(None, format!("{}; {what}", chain(&error)));
                    doubtful = doubtful.max(Some(file.since));
                }
                read => drop(read?),
            }
        }
        Ok(Self { unreliable, doubtful })
    }

    /// Whether nothing new may refer to it. `modified`: when it was stored, by the store's clock.
    pub(crate) fn is_unreliable(&self, object: &Object, modified: Timestamp) -> bool {
        self.unreliable.contains(object) || self.doubtful.is_some_and(|doubtful| modified <= doubtful)
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
            remote.store.list(&format!("{}/{folder}/", ctx.node), &mut |found| {
                let Some(object) = Object::parse(&found.key) else { return ControlFlow::Continue(()) };
                if let Ok(at) = wanted.binary_search(&(object, found.size)) {
                    seen[at] = !self.is_unreliable(&object, found.modified);
                }
                ControlFlow::Continue(())
            })?;
        }
        let missing = wanted.iter().zip(&seen).filter(|(_, seen)| !**seen);
        Ok(missing.map(|((object, _), _)| *object).collect())
    }
}
