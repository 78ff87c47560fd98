//! One file of the repository, in order, with frames travelling ahead.

use std::collections::VecDeque;

use crate::archive::{FrameDecoder, member};
use crate::format::digest::Digest;
use crate::format::entry::{Entry, Location, Piece};
use crate::format::key::Objects;
use crate::format::marker::Encryption;
use crate::format::names::NodeName;
use crate::ops::Error;
use crate::ops::damage::settle;
use crate::ops::entries::Entries;
use crate::ops::node::Remote;
use crate::ops::opened_packs::OpenedPacks;
use crate::repository::{Downloads, Request};

/// Frames that travel at once, each of at most about 4 MiB: enough to fill a line of some latency.
const FRAMES_AHEAD: usize = 6;

/// Pieces that are looked at ahead of the one that is read; a file of many equal blobs stays within it.
const PIECES_AHEAD: usize = 4096;

/// The next part of a file.
pub(crate) enum Part<'a> {
    /// This many zero bytes.
    Hole(u64),
    /// Bytes whose digest matched.
    Bytes(&'a [u8]),
    /// A blob that the repository does not hold intact.
    Damaged {
        /// Its digest.
        digest: Digest,
        /// Its length.
        length: u32,
        /// What is wrong.
        error: Error,
    },
}

/// Reads the content of one file.
pub(crate) struct ShippedFile {
    objects: Objects,
    entries: Entries,
    name: String,
    /// Pieces that were read from the lines, and how many of them were looked at for frames to request.
    pieces: VecDeque<Piece>,
    looked_at: usize,
    complete: bool,
    /// Bytes that are to be passed over.
    skip: u64,
    downloads: Downloads,
    /// The frames that were requested, in order; the last one stays for comparison.
    requested: VecDeque<Frame>,
    last_requested: Option<Frame>,
    /// Packs of an encrypted repository.
    opened: OpenedPacks,
    decoder: FrameDecoder,
    plain: Vec<u8>,
    present: Option<(Frame, Option<String>)>,
}

/// A frame: its pack, where it begins, its stored length.
type Frame = (Digest, u64, u32);

fn frame_of(at: &Location) -> Frame {
    (at.pack, at.frame_offset, at.frame_length)
}

impl ShippedFile {
    /// The content of `entry` from byte `from` on, which must be where a piece begins. `entries` stand behind the entry.
    pub(crate) fn open(remote: &Remote, node: &NodeName, entries: Entries, entry: &Entry, from: u64) -> Self {
        Self {
            objects: remote.objects(node),
            entries,
            name: format!("`{}`", entry.path),
            pieces: entry.content.iter().copied().collect(),
            looked_at: 0,
            complete: false,
            skip: from,
            downloads: remote.store.downloads(FRAMES_AHEAD),
            requested: VecDeque::new(),
            last_requested: None,
            opened: OpenedPacks::new(remote, node),
            decoder: FrameDecoder::new(),
            plain: Vec::new(),
            present: None,
        }
    }

    /// The next part, or `None` at the end.
    ///
    /// # Errors
    /// What reading the lines gives, and the store as a whole. Damage of a pack is a [`Part::Damaged`].
    pub(crate) fn next_part(&mut self) -> Result<Option<Part<'_>>, Error> {
        while self.skip > 0 {
            self.read_ahead()?;
            let Some(piece) = self.pieces.pop_front() else { return Ok(None) };
            self.skip = self
                .skip
                .checked_sub(piece.length())
                .ok_or_else(|| Error::damaged(&self.name, "the local copy and the repository disagree about its pieces"))?;
        }
        self.read_ahead()?;
        self.request()?;
        let Some(piece) = self.pieces.pop_front() else { return Ok(None) };
        self.looked_at = self.looked_at.saturating_sub(1);
        let (digest, length, at) = match piece {
            Piece::Hole { length } => return Ok(Some(Part::Hole(length))),
            Piece::Blob { at: None, .. } => return Err(Error::damaged(&self.name, "a blob that lies in no pack")),
            Piece::Blob { digest, length, at: Some(at) } => (digest, length, at),
        };
        self.make_present(frame_of(&at))?;
        let problem = match &self.present {
            Some((_, None)) => match member(&self.plain, at.offset, length, &digest) {
                Ok(bytes) => return Ok(Some(Part::Bytes(bytes))),
                Err(cause) => cause.to_string(),
            },
            Some((_, Some(problem))) => problem.clone(),
            None => "its frame was not fetched".to_owned(),
        };
        let pack = self.objects.pack(at.pack);
        let error = Error::damaged(pack, format!("{problem}; {} needs it", self.name));
        Ok(Some(Part::Damaged { digest, length, error }))
    }

    fn read_ahead(&mut self) -> Result<(), Error> {
        while !self.complete && self.pieces.len() < PIECES_AHEAD {
            match self.entries.more()? {
                Some(more) => self.pieces.extend(more),
                None => self.complete = true,
            }
        }
        Ok(())
    }

    fn request(&mut self) -> Result<(), Error> {
        // An encrypted pack opens from its beginning, so it is read whole, when its first frame is wanted.
        let ranged = self.objects.encryption == Encryption::None;
        while ranged
            && self.requested.len() < FRAMES_AHEAD
            && let Some(piece) = self.pieces.get(self.looked_at)
        {
            self.looked_at += 1;
            let Piece::Blob { at: Some(at), .. } = piece else { continue };
            let frame = frame_of(at);
            if self.last_requested == Some(frame) {
                continue;
            }
            let key = self.objects.pack(at.pack).to_string();
            let range = at.frame_offset..at.frame_offset + u64::from(at.frame_length);
            if range.is_empty() {
                return Err(Error::damaged(&self.name, "its file list says that it lies in a frame of no bytes"));
            }
            self.downloads.request(Request { key, range: Some(range), at_most: u64::from(at.frame_length) });
            self.requested.push_back(frame);
            self.last_requested = Some(frame);
        }
        Ok(())
    }

    /// Decodes the frame that was requested for this piece, unless it is the one at hand.
    fn make_present(&mut self, frame: Frame) -> Result<(), Error> {
        if self.present.as_ref().is_some_and(|(present, _)| *present == frame) {
            return Ok(());
        }
        let stored = if self.objects.encryption == Encryption::Age {
            self.opened.frame(&frame.0, frame.1, frame.2)?
        } else if self.requested.front() == Some(&frame) {
            self.requested.pop_front();
            match self.downloads.next().map(settle).transpose()? {
                Some(answer) => answer.map_err(|problem| problem.text),
                None => Err("its frame was not fetched".to_owned()),
            }
        } else {
            return Ok(());
        };
        let problem = match stored {
            Ok(stored) => match self.decoder.decode(&stored) {
                Ok(plain) => {
                    self.plain.clear();
                    self.plain.extend_from_slice(plain);
                    None
                }
                Err(cause) => Some(cause.to_string()),
            },
            Err(problem) => Some(problem),
        };
        self.present = Some((frame, problem));
        Ok(())
    }
}
