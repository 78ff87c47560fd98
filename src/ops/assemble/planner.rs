//! Gathers what no folder on this machine has, and orders it by where it lies in the repository.

use std::path::{Path, PathBuf};

use super::Store;
use super::findings::Findings;
use super::lacks::{Lacks, NOWHERE};
use super::record::{Frame, Want, Why};
use crate::format::digest::Digest;
use crate::format::entry::{Location, Piece};
use crate::format::line::Line;
use crate::ops::Error;
use crate::ops::lists::Lines;
use crate::sys::sorter::{Sorted, Sorter};
use crate::sys::table::Table;

/// Memory for the sorting of wanted blobs, about 25,000 of them; more go to the disk.
const BLOBS_BUDGET: usize = 4 << 20;
/// Memory for the sorting of wanted frames: 17,000 of them, tens of GiB of plain data; more go to the disk.
const FRAMES_BUDGET: usize = 1 << 20;
/// Memory for blobs of which it is not yet known where they lie: normally none, or a damaged file's.
const UNPLACED_BUDGET: usize = 1 << 20;

/// What is to be fetched from the repository.
pub(super) struct Planner {
    /// A number for each pack, in the order in which packs first appear: files are then written nearly in path order.
    ordinals: Table,
    last_pack: Option<(Digest, u64)>,
    last_frame: Option<Frame>,
    blobs: Sorter,
    frames: Sorter,
    unplaced: Option<Sorter>,
    work: PathBuf,
}

/// The plan, in the order of reading.
pub(super) struct Planned {
    /// The wanted frames; the same one may come several times in a row.
    pub(super) frames: Sorted,
    /// The wanted blobs.
    pub(super) blobs: Sorted,
}

impl Planner {
    pub(super) fn new(work: &Path) -> Result<Self, Error> {
        Ok(Self {
            ordinals: Table::new(work, 8)?,
            last_pack: None,
            last_frame: None,
            blobs: Sorter::new(work, BLOBS_BUDGET),
            frames: Sorter::new(work, FRAMES_BUDGET),
            unplaced: None,
            work: work.to_owned(),
        })
    }

    /// Adds a blob that is wanted.
    pub(super) fn push(&mut self, want: &Want) -> Result<(), Error> {
        let Some(at) = want.at else {
            let unplaced = self.unplaced.get_or_insert_with(|| Sorter::new(&self.work, UNPLACED_BUDGET));
            return Ok(unplaced.push(&want.to_unplaced())?);
        };
        if at.frame_length == 0 {
            return Err(Error::damaged(format!("`{}`", want.stored()), "its file list says that it lies in a frame of no bytes"));
        }
        let ordinal = self.push_frame(&at)?;
        Ok(self.blobs.push(&want.to_placed(ordinal))?)
    }

    /// Adds a frame that is wanted; gives the number of its pack.
    pub(super) fn push_frame(&mut self, at: &Location) -> Result<u64, Error> {
        let ordinal = self.ordinal(&at.pack)?;
        let frame = Frame { ordinal, pack: at.pack, offset: at.frame_offset, length: at.frame_length };
        if self.last_frame != Some(frame) {
            self.frames.push(&frame.to_record())?;
            self.last_frame = Some(frame);
        }
        Ok(ordinal)
    }

    /// The wanted frames alone, in order.
    pub(super) fn frames(self) -> Result<Sorted, Error> {
        Ok(self.frames.sorted()?)
    }

    fn ordinal(&mut self, pack: &Digest) -> Result<u64, Error> {
        if let Some((known, ordinal)) = &self.last_pack
            && known == pack
        {
            return Ok(*ordinal);
        }
        let mut value = [0; 8];
        if !self.ordinals.get(pack.as_bytes(), &mut value)? {
            value = self.ordinals.len().to_be_bytes();
            self.ordinals.put(pack.as_bytes(), &value)?;
        }
        let ordinal = u64::from_be_bytes(value);
        self.last_pack = Some((*pack, ordinal));
        Ok(ordinal)
    }

    /// The plan. Where blobs of a local copy are wanted, the file lists in the repository say where they lie; what they do not say, or no
    /// longer can, is lacking.
    pub(super) fn finish(mut self, store: &Store, findings: &Findings, lacks: &mut Lacks) -> Result<Planned, Error> {
        if let Some(unplaced) = self.unplaced.take() {
            let mut unplaced = unplaced.sorted()?;
            let mut pieces = findings.unless_damaged((store.located)())?.map(Pieces::new);
            while let Some(record) = unplaced.next()? {
                let mut want = Want::from_unplaced(record);
                let piece = match &mut pieces {
                    Some(some) => findings.unless_damaged(some.find(&want))?,
                    None => None,
                };
                let Some(piece) = piece else {
                    pieces = None;
                    lacks.push(&want, &Why::damaged(NOWHERE))?;
                    continue;
                };
                want.at = match piece {
                    Some(Piece::Blob { digest, length, at }) if (digest, length) == (want.digest, want.length) => at,
                    _ => None,
                };
                match want.at {
                    Some(_) => self.push(&want)?,
                    None => lacks.push(&want, &Why::damaged(NOWHERE))?,
                }
            }
        }
        Ok(Planned { frames: self.frames.sorted()?, blobs: self.blobs.sorted()? })
    }
}

/// The pieces of all files, in order, each with its place in the file.
struct Pieces {
    lines: Box<dyn Lines>,
    line: Option<Line>,
    piece: usize,
    offset: u64,
}

impl Pieces {
    fn new(lines: Box<dyn Lines>) -> Self {
        Self { lines, line: None, piece: 0, offset: 0 }
    }

    /// The piece at the place of this blob. Blobs must be asked for in order of path and place.
    fn find(&mut self, want: &Want) -> Result<Option<Piece>, Error> {
        loop {
            if let Some(line) = &self.line {
                if line.path() > want.stored() {
                    return Ok(None);
                }
                while line.path() == want.stored()
                    && let Some(piece) = line.content().get(self.piece)
                {
                    match self.offset.cmp(&want.offset) {
                        std::cmp::Ordering::Less => {
                            self.offset += piece.length();
                            self.piece += 1;
                        }
                        // It stays, because a second link may want the same bytes.
                        std::cmp::Ordering::Equal => return Ok(Some(*piece)),
                        std::cmp::Ordering::Greater => return Ok(None),
                    }
                }
            }
            let Some(line) = self.lines.next_line()? else { return Ok(None) };
            if matches!(line, Line::Entry(_)) {
                self.offset = 0;
            }
            self.piece = 0;
            self.line = Some(line);
        }
    }
}
