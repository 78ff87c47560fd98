//! The second pass: packs are read in the order of the plan, frames decoded, and blobs written whose digest matches.

use std::collections::VecDeque;

use bytes::Bytes;

use super::lacks::Lacks;
use super::planner::Planned;
use super::readers::Readers;
use super::reads::{Read, Reads};
use super::record::{Want, Why};
use super::{Assembly, Store};
use crate::archive::{FrameDecoder, member};
use crate::format::digest::Digest;
use crate::ops::Error;
use crate::ops::budget;
use crate::ops::damage::settle;
use crate::ops::opened_packs::CLOSED;
use crate::repository::{Downloads, Request};
use crate::sys::ordered;
use crate::sys::sorter::Sorted;

/// Most requests under way: enough to hide the latency of a far store when only small ranges are read.
const REQUESTS_MAX: usize = 16;

/// Most bytes that travel at once, unless one pack is larger: enough to keep a line busy, and reached by a snapshot of any size, so that
/// memory does not grow with it. What was received is held besides, and the pack before until its last frames are written.
const TRAVELLING_MAX: u64 = 8 << 20;

/// Blobs of one job: a frame that very many files need is decoded once for so many of them.
const JOB_BLOBS: usize = 1024;

/// Bytes of one frame, and what is wanted from it.
struct Job {
    /// The stored frame, or why it could not be had.
    frame: Result<Bytes, Why>,
    wants: Vec<Want>,
}

/// Fetches and writes everything that is planned, and notes what is lacking; gives the number of bytes that were downloaded.
pub(super) fn download(assembly: &Assembly<'_>, store: &Store, planned: Planned, lacks: &mut Lacks) -> Result<u64, Error> {
    let ctx = assembly.ctx;
    let mut feed = Feed::new(assembly, store, planned)?;
    let threads = budget::assembling_threads(ctx, store.remote.marker.encryption);
    ordered::run(
        threads,
        threads * 2,
        &mut || feed.next_job(),
        &|| (FrameDecoder::new(), Readers::new(&assembly.places.after, assembly.findings)),
        &|(decoder, readers), job| write_blobs(assembly, store, decoder, readers, job),
        &mut |lacking: Result<Vec<(Want, Why)>, Error>| lacking?.iter().try_for_each(|(want, why)| lacks.push(want, why)),
    )?;
    feed.finish()
}

fn write_blobs(
    assembly: &Assembly<'_>,
    store: &Store,
    decoder: &mut FrameDecoder,
    readers: &mut Readers<'_>,
    job: Job,
) -> Result<Vec<(Want, Why)>, Error> {
    let mut lacking = Vec::new();
    let plain = match &job.frame {
        Ok(stored) => decoder.decode(stored).map_err(|cause| Why::damaged(cause.to_string())),
        Err(why) => Err(why.clone()),
    };
    for want in job.wants {
        let at = want.at.expect("what is read from a pack has a place");
        let found = match &plain {
            Ok(plain) => member(plain, at.offset, want.length, &want.digest).map_err(|cause| Why::damaged(cause.to_string())),
            Err(why) => Err(why.clone()),
        };
        let bytes = match &found {
            Ok(bytes) => *bytes,
            Err(why) => {
                assembly.findings.add(store.pack_key(&at.pack), why.text.as_ref());
                match readers.read(&want) {
                    Some(bytes) => bytes,
                    None => {
                        lacking.push((want, why.clone()));
                        continue;
                    }
                }
            }
        };
        assembly.put(&want, bytes)?;
        assembly.ctx.meter.add_bytes(u64::from(want.length));
    }
    Ok(lacking)
}

/// Makes the jobs: keeps requests under way and cuts their answers into frames.
struct Feed<'a> {
    assembly: &'a Assembly<'a>,
    store: &'a Store,
    reads: Reads,
    blobs: Sorted,
    /// The next blob, with the ordinal of its pack.
    ahead: Option<(u64, Want)>,
    downloads: Downloads,
    sent: VecDeque<Read>,
    travelling: u64,
    answer: Option<(Read, Result<Bytes, Why>)>,
    downloaded: u64,
}

impl<'a> Feed<'a> {
    fn new(assembly: &'a Assembly<'a>, store: &'a Store, planned: Planned) -> Result<Self, Error> {
        let mut feed = Self {
            assembly,
            store,
            reads: Reads::new(planned.frames, store.remote.marker.encryption)?,
            blobs: planned.blobs,
            ahead: None,
            downloads: store.remote.store.downloads(REQUESTS_MAX),
            sent: VecDeque::new(),
            travelling: 0,
            answer: None,
            downloaded: 0,
        };
        feed.advance()?;
        Ok(feed)
    }

    fn next_job(&mut self) -> Result<Option<Job>, Error> {
        loop {
            self.assembly.ctx.stop.check()?;
            if let Some((read, answer)) = &self.answer
                && let Some((ordinal, want)) = &self.ahead
                && let Some(at) = want.at.filter(|at| read.covers(*ordinal, at.frame_offset))
            {
                let start = at.frame_offset - read.range.as_ref().map_or(0, |range| range.start);
                let (ordinal, frame) = (*ordinal, cut(answer, start, at.frame_length));
                return Ok(Some(Job { frame, wants: self.wants_of(ordinal, at.frame_offset, at.frame_length)? }));
            }
            // The frames that were cut from it keep the answer alive for as long as they are worked on.
            self.answer = None;
            if !self.receive()? {
                return Ok(None);
            }
        }
    }

    /// The next blobs, as long as they lie in this frame.
    fn wants_of(&mut self, ordinal: u64, offset: u64, length: u32) -> Result<Vec<Want>, Error> {
        let mut wants = Vec::new();
        while wants.len() < JOB_BLOBS
            && let Some((_, want)) = self
                .ahead
                .take_if(|(of, want)| *of == ordinal && want.at.is_some_and(|at| (at.frame_offset, at.frame_length) == (offset, length)))
        {
            wants.push(want);
            self.advance()?;
        }
        Ok(wants)
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.ahead = self.blobs.next()?.map(Want::from_placed);
        Ok(())
    }

    /// Waits for the next answer; false when all have come.
    fn receive(&mut self) -> Result<bool, Error> {
        while self.sent.len() < REQUESTS_MAX
            && let Some(read) = self.reads.peek()?
            && (self.sent.is_empty() || self.travelling + read.at_most() <= TRAVELLING_MAX)
        {
            let request = Request { key: self.store.pack_key(&read.pack), range: read.range.clone(), at_most: read.at_most() };
            self.downloads.request(request);
            self.travelling += read.at_most();
            self.sent.extend(self.reads.take());
        }
        let (Some(read), Some(answer)) = (self.sent.pop_front(), self.downloads.next()) else { return Ok(false) };
        self.travelling -= read.at_most();
        let mut answer = settle(answer)?.map_err(Why::from);
        if let Ok(bytes) = &answer {
            self.downloaded += bytes.len() as u64;
            if read.range.is_none() && Digest::of(bytes) != read.pack {
                // What is wanted from it may be whole all the same: each blob is compared with its own digest.
                self.assembly.findings.add(self.store.pack_key(&read.pack), "its bytes do not match its name");
            }
        }
        if let Ok(bytes) = answer {
            answer = self.store.opened(&read.pack, bytes)?;
        }
        self.answer = Some((read, answer));
        Ok(true)
    }

    /// Every blob must have been in an answer.
    fn finish(self) -> Result<u64, Error> {
        match self.ahead {
            Some((_, want)) => {
                let pack = want.at.map_or(want.digest, |at| at.pack);
                Err(Error::damaged(self.store.pack_key(&pack), format!("frames that overlap; `{}` needs one", want.path)))
            }
            None => Ok(self.downloaded),
        }
    }
}

fn cut(answer: &Result<Bytes, Why>, start: u64, length: u32) -> Result<Bytes, Why> {
    let bytes = answer.as_ref().map_err(Why::clone)?;
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let end = start.saturating_add(length as usize);
    if end > bytes.len() {
        return Err(Why::damaged(format!("it is cut short: a frame should end at byte {end} of {}", bytes.len())));
    }
    Ok(bytes.slice(start..end))
}

impl Store {
    /// The key of a pack.
    pub(super) fn pack_key(&self, pack: &Digest) -> String {
        self.remote.objects(&self.node).pack(*pack).to_string()
    }

    /// What a pack opens to, or why it does not.
    fn opened(&self, pack: &Digest, stored: Bytes) -> Result<Result<Bytes, Why>, Error> {
        let opened = self.remote.opened_if_mine(&self.pack_key(pack), stored)?;
        // That head and pack disagree about the recipients is the pack's own fault: the others may open.
        Ok(opened.map_err(Why::from).and_then(|opened| opened.ok_or_else(|| Why::damaged(CLOSED))))
    }
}
