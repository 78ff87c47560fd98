//! Frames of packs that may hold wanted blobs.

use std::collections::VecDeque;

use super::finder::Finder;
use super::lists::from_record;
use crate::archive::{FrameDecoder, member};
use crate::format::digest::Digest;
use crate::format::entry::Location;
use crate::format::key::Objects;
use crate::format::marker::Encryption;
use crate::format::names::NodeName;
use crate::ops::Error;
use crate::ops::damage::{Problem, settle};
use crate::ops::node::Remote;
use crate::ops::opened_packs::OpenedPacks;
use crate::repository::{Downloads, Request};
use crate::sys::sorter::Sorted;

/// Frames that travel at once, each of at most about 4 MiB: enough to fill a line of some latency.
const FRAMES_AHEAD: usize = 4;

/// Blobs that are taken from one answer: no sound frame holds more than 4,096, and a list that lies must not fill the memory.
const FRAME_BLOBS: usize = 4096;

/// A frame that was asked for, and what is wanted from it.
struct Frame {
    first: Location,
    blobs: Vec<(Location, u32, Digest)>,
}

/// Downloads the frames of these places, in their order, and hands on what is sound in them.
pub(super) fn read(finder: &mut Finder<'_>, remote: &Remote, node: &NodeName, places: Sorted) -> Result<(), Error> {
    let mut frames = Frames { places, ahead: None };
    frames.advance()?;
    if remote.marker.encryption == Encryption::Age {
        return read_sealed(finder, remote, node, frames);
    }
    let objects = remote.objects(node);
    let mut downloads = remote.store.downloads(FRAMES_AHEAD);
    let (mut decoder, mut sent) = (FrameDecoder::new(), VecDeque::new());
    while !finder.is_done() {
        finder.ctx.stop.check()?;
        while sent.len() < FRAMES_AHEAD
            && let Some(frame) = frames.next(finder)?
        {
            request(&mut downloads, &objects, &frame.first);
            sent.push_back(frame);
        }
        let (Some(frame), Some(answer)) = (sent.pop_front(), downloads.next()) else { break };
        let key = objects.pack(frame.first.pack).to_string();
        let stored = match settle(answer) {
            Ok(stored) => stored,
            Err(error) => {
                finder.miss(&key, error)?;
                continue;
            }
        };
        finder.count(stored.as_ref().map_or(0, bytes::Bytes::len));
        if let Err(problem @ Problem { verdict: None, .. }) = &stored {
            finder.note_unasked(&key, &problem.text);
        }
        let stored = stored.map_err(|problem| problem.text);
        let plain = stored.and_then(|stored| decoder.decode(&stored).map_err(|cause| cause.to_string()));
        take_blobs(finder, &frame, &key, plain)?;
    }
    Ok(())
}

/// The same of an encrypted repository; places come pack by pack.
fn read_sealed(finder: &mut Finder<'_>, remote: &Remote, node: &NodeName, mut frames: Frames) -> Result<(), Error> {
    let (objects, mut packs, mut decoder) = (remote.objects(node), OpenedPacks::new(remote, node), FrameDecoder::new());
    while !finder.is_done()
        && let Some(frame) = frames.next(finder)?
    {
        finder.ctx.stop.check()?;
        let key = objects.pack(frame.first.pack).to_string();
        let stored = match packs.frame(&frame.first.pack, frame.first.frame_offset, frame.first.frame_length) {
            Ok(stored) => stored,
            Err(error) => {
                finder.miss(&key, error)?;
                continue;
            }
        };
        finder.count(packs.take_downloaded());
        let plain = stored.and_then(|stored| decoder.decode(&stored).map_err(|cause| cause.to_string()));
        take_blobs(finder, &frame, &key, plain)?;
    }
    Ok(())
}

fn request(downloads: &mut Downloads, objects: &Objects, at: &Location) {
    let key = objects.pack(at.pack).to_string();
    let range = at.frame_offset..at.frame_offset.saturating_add(u64::from(at.frame_length));
    downloads.request(Request { key, range: Some(range), at_most: u64::from(at.frame_length) });
}

fn take_blobs(finder: &mut Finder<'_>, frame: &Frame, key: &str, plain: Result<&[u8], String>) -> Result<(), Error> {
    let mut problem = plain.as_ref().err().cloned();
    for (at, length, digest) in &frame.blobs {
        let found = plain.as_ref().ok().map(|plain| member(plain, at.offset, *length, digest));
        match found {
            // Another frame may have had it meanwhile.
            Some(Ok(bytes)) if finder.wanted.is_open(digest)? => finder.hand_on(digest, bytes, Some(at), key)?,
            Some(Ok(_)) => {}
            Some(Err(cause)) => {
                finder.wanted.give_up(digest, at)?;
                problem.get_or_insert_with(|| cause.to_string());
            }
            None => finder.wanted.give_up(digest, at)?,
        }
    }
    if let Some(problem) = problem {
        finder.pass_over(key, &problem);
    }
    Ok(())
}

/// Groups places by frame.
struct Frames {
    places: Sorted,
    ahead: Option<(Location, u32, Digest)>,
}

impl Frames {
    /// The next frame with blobs that are still wanted and were not looked for there.
    fn next(&mut self, finder: &Finder<'_>) -> Result<Option<Frame>, Error> {
        let mut frame: Option<Frame> = None;
        while let Some((at, length, digest)) = self.ahead {
            if let Some(frame) = &frame
                && (frame.blobs.len() == FRAME_BLOBS || !is_same_frame(&frame.first, &at))
            {
                break;
            }
            self.advance()?;
            let is_new = frame.as_ref().is_none_or(|frame| frame.blobs.last() != Some(&(at, length, digest)));
            if is_new && at.frame_length > 0 && finder.wanted.is_open(&digest)? && !finder.wanted.was_tried(&digest, &at)? {
                frame.get_or_insert_with(|| Frame { first: at, blobs: Vec::new() }).blobs.push((at, length, digest));
            }
        }
        Ok(frame)
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.ahead = self.places.next()?.map(from_record);
        Ok(())
    }
}

fn is_same_frame(a: &Location, b: &Location) -> bool {
    (a.pack, a.frame_offset, a.frame_length) == (b.pack, b.frame_offset, b.frame_length)
}
