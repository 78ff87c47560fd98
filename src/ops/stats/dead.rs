//! Dead bytes: what lies in packs that snapshots need, and that no file list refers to. They go when the pack goes.
//!
//! Every file list that a manifest names is read once, and where it says that blobs lie is sorted on disk. Frames that nothing refers to are
//! dead whole. A frame that is needed in part is dead in proportion to its plain bytes; how many it has in all only its own header tells,
//! which is read where its last blob in use ends early.

use std::path::PathBuf;

use bytes::Bytes;
use serde::Serialize;

use super::frames::{Frame, Frames, Pack, Reference};
use crate::archive::{FRAME_HEAD, ListReader, frame_length};
use crate::format::digest::Digest;
use crate::format::entry::Piece;
use crate::format::file_list::check_located;
use crate::format::key::NodeKey;
use crate::format::limits::{BLOB_MAX, FRAME_MAX};
use crate::format::line::Line;
use crate::format::marker::Encryption;
use crate::format::names::NodeName;
use crate::ops::ahead::Ahead;
use crate::ops::damage::Problem;
use crate::ops::error::chain;
use crate::ops::inventory::Group;
use crate::ops::node::Remote;
use crate::ops::{Context, Error};
use crate::repository::Request;
use crate::sys::sorter::Sorter;

/// Memory of each of the two sorters that grow with the data; what is more goes to the disk. 80,000 places of blobs fit.
const SORT_BUDGET: usize = 4 << 20;

/// File lists that travel at once, each at most 16 MiB and nearly always far less.
const LISTS_AHEAD: usize = 2;

/// Headers of frames that travel at once.
const HEADS_AHEAD: usize = 8;

/// A frame that is used up to here may be taken for full: the next blob would not have fitted, whatever its size.
const FULL: u64 = (FRAME_MAX - BLOB_MAX) as u64;

/// Why nothing is known where the lists are sealed to others.
const NO_IDENTITY: &str = "the file lists are encrypted, and no identity at hand opens all of them";

/// Dead bytes of a node's packs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dead {
    /// Stored bytes in all.
    pub bytes: u64,
    /// Those in packs that several sources share.
    pub shared: u64,
    /// Whether there may be more: of a frame in an encrypted pack nobody sees the end.
    pub at_least: bool,
}

/// The packs and lists to be looked into.
pub(super) struct Looking {
    work: PathBuf,
    packs: Sorter,
    lists: Sorter,
}

/// Dead bytes in all and by the place of the source, or why they are not known.
pub(super) type Counted = Result<(Dead, Vec<u64>), String>;

impl Looking {
    pub(super) fn new(work: PathBuf) -> Self {
        let (packs, lists) = (Sorter::new(&work, SORT_BUDGET), Sorter::new(&work, SORT_BUDGET));
        Self { work, packs, lists }
    }

    /// Takes an object that is named and there.
    pub(super) fn take(&mut self, group: &Group) -> Result<(), Error> {
        let (Some((first, last)), Some(listed)) = (group.named, group.listed) else { return Ok(()) };
        match group.key() {
            NodeKey::Pack { name, sealed } => {
                let source = (first.source == last.source).then_some(first.source);
                Ok(self.packs.push(&Pack { name, stored: listed.size, sealed, source }.to_bytes())?)
            }
            NodeKey::FileList { name, sealed } => {
                Ok(self.lists.push(&Pack { name, stored: listed.size, sealed, source: None }.to_bytes())?)
            }
            _ => Ok(()),
        }
    }

    /// Reads the lists, and counts.
    pub(super) fn count(self, ctx: &Context, remote: &Remote, node: &NodeName, sources: usize) -> Result<Counted, Error> {
        if remote.marker.encryption == Encryption::Age && remote.keys.identities()?.is_none() {
            return Ok(Err(NO_IDENTITY.into()));
        }
        let mut places = Sorter::new(&self.work, SORT_BUDGET);
        let mut lists = self.lists.sorted()?;
        let mut ahead = Ahead::new(&remote.store, LISTS_AHEAD);
        loop {
            ctx.stop.check()?;
            let mut more = || {
                let list = lists.next()?.map(Pack::from_bytes);
                Ok(list.map(|list| {
                    let key = NodeKey::FileList { name: list.name, sealed: list.sealed }.of(node).to_string();
                    ((list.name, key.clone()), Request { key, range: None, at_most: list.stored })
                }))
            };
            let Some(((name, key), answer)) = ahead.next(&mut more)? else { break };
            if let Err(why) = read_list(remote, &name, &key, answer, &mut places)? {
                // What an unread list refers to would all be taken for dead.
                return Ok(Err(why));
            }
        }
        let frames = Frames::new(self.packs.sorted()?, places.sorted()?);
        Ok(Ok(Tally { dead: Dead::default(), by_source: vec![0; sources] }.of(ctx, remote, node, frames)?))
    }
}

/// Notes where a list says that blobs lie; the inner error says why it cannot be told.
fn read_list(
    remote: &Remote,
    name: &Digest,
    key: &str,
    answer: Result<Bytes, Problem>,
    places: &mut Sorter,
) -> Result<Result<(), String>, Error> {
    let stored = match answer {
        Ok(stored) if Digest::of(&stored) == *name => stored,
        Ok(_) => return Ok(Err(format!("{key} is damaged: its bytes do not match its name"))),
        Err(problem) => return Ok(Err(format!("{key}: {}", problem.text))),
    };
    let opened = match remote.opened_if_mine(key, stored)? {
        Ok(Some(opened)) => opened,
        Ok(None) => return Ok(Err(NO_IDENTITY.into())),
        Err(problem) => return Ok(Err(format!("{key}: {}", problem.text))),
    };
    let mut list = match ListReader::new(opened) {
        Ok(list) => list,
        Err(cause) => return Ok(Err(format!("{key}: {}", chain(&cause)))),
    };
    loop {
        let located = |line: Line| check_located(&line).map(|()| line);
        let line = match list.next_line().map_err(|cause| chain(&cause)) {
            Ok(None) => return Ok(Ok(())),
            Ok(Some(text)) => Line::from_json(text).and_then(located).map_err(|cause| chain(&cause)),
            Err(problem) => Err(problem),
        };
        match line {
            Ok(line) => {
                for piece in line.content() {
                    if let Piece::Blob { length, at: Some(at), .. } = piece {
                        places.push(&Reference { at: *at, length: *length }.to_bytes())?;
                    }
                }
            }
            Err(problem) => return Ok(Err(format!("{key}: {problem}"))),
        }
    }
}

/// What has been counted.
struct Tally {
    dead: Dead,
    by_source: Vec<u64>,
}

impl Tally {
    fn of(mut self, ctx: &Context, remote: &Remote, node: &NodeName, mut frames: Frames) -> Result<(Dead, Vec<u64>), Error> {
        let mut ahead = Ahead::new(&remote.store, HEADS_AHEAD);
        loop {
            ctx.stop.check()?;
            let next = ahead.next(&mut || self.next_to_ask(node, &mut frames));
            let Some((frame, answer)) = next? else { return Ok((self.dead, self.by_source)) };
            match answer.ok().and_then(|head| frame_length(&head).ok()) {
                Some(plain) => self.add(frame.source, frame.dead_of(plain)),
                None => self.add_part(&frame),
            }
        }
    }

    /// Counts up to the next frame whose header must be read.
    fn next_to_ask(&mut self, node: &NodeName, frames: &mut Frames) -> Result<Option<(Frame, Request)>, Error> {
        while let Some(frame) = frames.next()? {
            if frame.whole {
                self.add(frame.source, frame.length);
            } else if frame.sealed {
                self.add_part(&frame);
            } else if frame.end >= FULL {
                self.add(frame.source, frame.dead_of(frame.end));
            } else {
                let key = NodeKey::Pack { name: frame.pack, sealed: false }.of(node).to_string();
                let range = frame.offset..frame.offset.saturating_add(FRAME_HEAD.min(frame.length));
                return Ok(Some((frame, Request { key, range: Some(range), at_most: FRAME_HEAD })));
            }
        }
        Ok(None)
    }

    /// Counts what lies between the blobs in use; what lies behind the last one nobody sees.
    fn add_part(&mut self, frame: &Frame) {
        self.dead.at_least = true;
        self.add(frame.source, frame.dead_of(frame.end));
    }

    fn add(&mut self, source: Option<u32>, bytes: u64) {
        self.dead.bytes += bytes;
        match source {
            Some(source) => self.by_source[source as usize] += bytes,
            None => self.dead.shared += bytes,
        }
    }
}
