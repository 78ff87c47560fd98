//! The manifest: body, a last look at what it names and at whose repository and name it is, head.

use std::time::Duration;

use super::numbers::UsedNumbers;
use super::presence::{Object, Presence};
use crate::format::body::{Body, Counts, ListRef};
use crate::format::digest::Digest;
use crate::format::head::{BodyRef, Head};
use crate::format::key::NodeKey;
use crate::format::limits::{BODY_MAX, FORMAT_VERSION, HEAD_MAX, OTHERS_MAX};
use crate::ops::catalogue::{self, Catalogue};
use crate::ops::copies::Record;
use crate::ops::node::Remote;
use crate::ops::{AGENT, Context, Error, size};

/// What came of an attempt to commit.
pub(super) enum Committed {
    /// The snapshot exists.
    Done(Box<Head>),
    /// Something that the body names has gone meanwhile, was marked or is known as damaged: it must be stored anew.
    Lacking,
}

/// Everything a manifest is made from.
pub(super) struct Manifest<'a> {
    pub(super) ctx: &'a Context,
    pub(super) remote: &'a Remote,
    /// What the snapshot is.
    pub(super) record: &'a Record,
    /// How old it may get before its successor is late.
    pub(super) objective: Duration,
    pub(super) catalogue: &'a Catalogue,
    /// The number of this attempt.
    pub(super) n: u32,
    /// Stored bytes that this snapshot added.
    pub(super) added: u64,
}

/// A body of these lists, which refer to so many packs of so many stored bytes.
pub(super) fn closed(lists: Vec<ListRef>, packs: u64, pack_bytes: u64, record: &Record) -> Body {
    let list_bytes: u64 = lists.iter().map(|list| list.stored + list.packs_length).sum();
    let stored_bytes = list_bytes + pack_bytes;
    Body { lists, counts: Counts { files: record.files, entries: record.entries, bytes: record.bytes, packs, stored_bytes } }
}

impl Manifest<'_> {
    /// Writes body and head.
    pub(super) fn commit(&self, body: &Body, packs: impl Iterator<Item = (Digest, u64)>) -> Result<Committed, Error> {
        let (source, id) = (&self.record.source, self.record.id);
        let text = body.to_text();
        if text.len() > BODY_MAX {
            return Err(Error::Refused(format!(
                "the manifest body would take {}, and {} are allowed",
                size::in_words(text.len() as u64),
                size::in_words(BODY_MAX as u64)
            )));
        }
        let reference = BodyRef { length: text.len() as u64, sha256: Digest::of(&text) };
        UsedNumbers::of(self.ctx, self.remote, source)?.note(id, self.n)?;
        self.put(NodeKey::Body(source.clone(), id, self.n), text, BODY_MAX)?;

        // From here on the body protects what it names; what was deleted or marked before shows now.
        let packs = packs.map(|(name, stored)| (Object::Pack(name), stored));
        let wanted = packs.chain(body.lists.iter().flat_map(Object::of_list)).collect();
        if !Presence::read(self.ctx, self.remote, &self.ctx.state()?.work()?)?.missing(self.ctx, self.remote, wanted)?.is_empty() {
            return Ok(Committed::Lacking);
        }
        self.remote.check_unchanged(self.ctx)?;
        let head = self.head(body, reference);
        let text = head.to_text().map_err(Error::unreadable("the manifest head"))?;
        let key = NodeKey::Head(source.clone(), id, self.n);
        self.put(key.clone(), text.clone(), HEAD_MAX)?;
        catalogue::remember(self.ctx, self.remote, &key.of(&self.ctx.node).to_string(), &text);
        Ok(Committed::Done(Box::new(head)))
    }

    /// Creates an object and reads it back: success is what the store gives again, not what it answered.
    fn put(&self, key: NodeKey, text: Vec<u8>, at_most: usize) -> Result<(), Error> {
        let key = key.of(&self.ctx.node).to_string();
        let text = bytes::Bytes::from(text);
        self.remote.store.create(&key, text.clone())?;
        if self.remote.store.get(&key, at_most as u64)? == text {
            Ok(())
        } else {
            Err(Error::damaged(key, "the store gives other bytes back than it was given"))
        }
    }

    fn head(&self, body: &Body, reference: BodyRef) -> Head {
        let record = self.record;
        let before = self.catalogue.snapshots.keys().filter(|(source, id)| *source == record.source && *id < record.id);
        let mut newest = self.catalogue.newest_of_others(&record.source);
        while newest.len() > OTHERS_MAX {
            // The oldest of them protects least.
            let oldest = newest.iter().min_by_key(|(_, id)| **id).map(|(source, _)| source.clone()).expect("it is not empty");
            newest.remove(&oldest);
        }
        Head {
            format: FORMAT_VERSION,
            repository: self.remote.marker.repository.clone(),
            node: self.ctx.node.clone(),
            source: record.source.clone(),
            kind: record.kind.clone(),
            id: record.id,
            n: self.n,
            agent: AGENT.to_owned(),
            time: record.id.to_timestamp(),
            local_date: record.local_date,
            files: record.files,
            bytes: record.bytes,
            added_bytes: self.added,
            stored_bytes: body.counts.stored_bytes,
            problems: record.problems.clone(),
            objective_seconds: self.objective.as_secs(),
            previous: before.map(|(_, id)| *id).max(),
            newest,
            recipients: self.ctx.keys.recipients().texts().to_vec(),
            body: reference,
        }
    }
}
