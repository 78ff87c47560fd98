//! Frames of encrypted packs. An age file opens from its beginning, so each pack is fetched and opened whole, one at a time.

use bytes::Bytes;

use super::Error;
use super::damage::settle;
use super::node::Remote;
use crate::format::digest::Digest;
use crate::format::key::Objects;
use crate::format::limits::PACK_MAX;
use crate::format::names::NodeName;

/// What is said of a pack that was sealed to others.
pub(crate) const CLOSED: &str = "it is sealed to recipients whose identities are not at hand";

/// The encrypted pack that was opened last.
pub(crate) struct OpenedPacks {
    remote: Remote,
    objects: Objects,
    last: Option<(Digest, Result<Bytes, String>)>,
    downloaded: usize,
}

impl OpenedPacks {
    /// The packs of a node; none is open.
    pub(crate) fn new(remote: &Remote, node: &NodeName) -> Self {
        Self { remote: remote.clone(), objects: remote.objects(node), last: None, downloaded: 0 }
    }

    /// A stored frame of a pack, or why it cannot be had. Asked for pack by pack, each is fetched once.
    ///
    /// # Errors
    /// What concerns the store or the identities as a whole.
    pub(crate) fn frame(&mut self, pack: &Digest, offset: u64, length: u32) -> Result<Result<Bytes, String>, Error> {
        if self.last.as_ref().is_none_or(|(last, _)| last != pack) {
            // The one before goes first, so that there is one at a time.
            self.last = None;
            self.last = Some((*pack, self.open(pack)?));
        }
        let (_, opened) = self.last.as_ref().expect("it was just opened");
        Ok(opened.clone().and_then(|bytes| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let end = start.saturating_add(length as usize);
            if end <= bytes.len() { Ok(bytes.slice(start..end)) } else { Err("it is shorter than a file list says".to_owned()) }
        }))
    }

    /// Bytes that were downloaded since the last call.
    pub(crate) fn take_downloaded(&mut self) -> usize {
        std::mem::take(&mut self.downloaded)
    }

    fn open(&mut self, pack: &Digest) -> Result<Result<Bytes, String>, Error> {
        let key = self.objects.pack(*pack).to_string();
        let stored = match settle(self.remote.store.get(&key, PACK_MAX as u64))? {
            Ok(stored) => stored,
            Err(problem) => return Ok(Err(problem.text)),
        };
        self.downloaded += stored.len();
        if Digest::of(&stored) != *pack {
            return Ok(Err("its bytes do not match its name".to_owned()));
        }
        Ok(match self.remote.opened_if_mine(&key, stored)? {
            Ok(opened) => opened.ok_or_else(|| CLOSED.to_owned()),
            Err(problem) => Err(problem.text),
        })
    }
}
