//! Brings the bytes of a snapshot together in a folder, from wherever they are intact and nearest.
//!
//! Three passes over the lines, none of which holds more in memory when there are more files:
//! [`begin`] makes every entry and writes what folders on this machine have; [`planner`] orders the rest by pack and
//! [`download`] fetches it; [`finish`] makes hard links and gives everything its metadata, directories last.
//! What none of the places gave is looked for elsewhere before the last pass ([`lacks`]); a file whose bytes are not found there either
//! is [`lost`] and is not in the target. No byte is written whose digest has not matched.
//!
//! What goes in is put together by [`open`]: the [`Places`] that bytes may come from, and the lines, whole or a selection ([`select`]).

mod begin;
mod download;
mod findings;
mod finish;
mod lacks;
mod lost;
mod open;
mod planner;
mod readers;
mod reads;
mod record;
mod select;
mod spool;
mod stand_in;

use std::path::Path;
use std::sync::Arc;

pub(crate) use findings::Findings;
pub(crate) use lost::Lost;
pub use lost::LostFile;
pub(crate) use open::{Opened, copy_lines, lines_of, open, shipped_lines};

use super::data_folder::DataFolder;
use super::elsewhere::{Place, Tiers};
use super::lists::Lines;
use super::node::Remote;
use super::{Context, Error};
use crate::archive::Target;
use crate::format::entry::{Kind, Piece};
use crate::format::line::Line;
use crate::format::marker::Encryption;
use crate::format::names::NodeName;
use lacks::Lacks;
use planner::Planner;
use reads::Reads;

/// Opens the lines of a snapshot anew.
pub(crate) type OpenLines<'a> = dyn Fn() -> Result<Box<dyn Lines>, Error> + Sync + 'a;

/// The repository as a place that bytes come from.
pub(crate) struct Store {
    /// The repository.
    pub(crate) remote: Remote,
    /// The node whose part of it is read.
    pub(crate) node: NodeName,
    /// Opens the lines that say where blobs lie; asked only when the lines of the assembly do not.
    pub(crate) located: Box<OpenLines<'static>>,
}

/// Where bytes may come from, best first.
#[derive(Default)]
pub(crate) struct Places {
    /// Folders that are tried before the repository.
    pub(crate) before: Vec<DataFolder>,
    /// The repository.
    pub(crate) store: Option<Store>,
    /// Folders that are tried for what the repository holds only damaged.
    pub(crate) after: Vec<DataFolder>,
    /// Why the repository is none of the places although it has the snapshot: no identity at hand opens it.
    pub(crate) closed: Option<String>,
    /// Why the repository is none of the places although it may have the snapshot: it could not be reached.
    pub(crate) unreachable: Option<Arc<Error>>,
}

/// One snapshot, or part of it, that is being put into a folder.
pub(crate) struct Assembly<'a> {
    /// The world around it.
    pub(crate) ctx: &'a Context,
    /// Opens the lines anew for each pass.
    pub(crate) lines: &'a OpenLines<'a>,
    /// Where bytes may come from.
    pub(crate) places: &'a Places,
    /// Where else to look for what none of the places gives.
    pub(crate) tiers: &'a Tiers,
    /// What to do when bytes are found nowhere.
    pub(crate) gaps: Gaps,
    /// The empty folder that is filled.
    pub(crate) target: &'a Target,
    /// A folder for temporary files.
    pub(crate) work: &'a Path,
    /// Learns of damage.
    pub(crate) findings: &'a Findings,
}

/// What to do when bytes are found nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// Fail: only the whole is of use.
    Refuse,
    /// Leave out the files that need them, and name them; fail only when no file is left.
    LeaveOut,
}

/// What a stream of lines amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Regular files and hard links.
    pub(crate) files: u64,
    /// Bytes of all files, holes included, each hard-linked file once.
    pub(crate) bytes: u64,
    /// The same without holes: what takes space.
    pub(crate) solid: u64,
}

/// What was assembled.
#[derive(Debug, Default)]
pub(crate) struct Assembled {
    /// What the target now holds.
    pub(crate) totals: Totals,
    /// Bytes that came from the repository.
    pub(crate) downloaded: u64,
    /// Places that bytes came from because they could not be read where they should lie.
    pub(crate) elsewhere: Vec<Place>,
    /// Places that may have what is lost and could not be asked, each with the reason.
    pub(crate) unasked: Vec<String>,
    /// What the target should hold and does not.
    pub(crate) lost: Lost,
}

impl Totals {
    fn add(&mut self, line: &Line) {
        self.solid += line.content().iter().filter(|piece| matches!(piece, Piece::Blob { .. })).map(Piece::length).sum::<u64>();
        if let Line::Entry(entry) = line {
            self.files += u64::from(matches!(entry.kind, Kind::File | Kind::HardLink));
            self.bytes += entry.size;
        }
    }

    /// Counts what a stream of lines amounts to.
    ///
    /// # Errors
    /// What reading gives.
    pub(crate) fn of(lines: &mut dyn Lines) -> Result<Self, Error> {
        let mut totals = Self::default();
        while let Some(line) = lines.next_line()? {
            totals.add(&line);
        }
        Ok(totals)
    }
}

impl Assembly<'_> {
    /// Fills the target. When it fails, what is in the target is not to be used: the caller removes it.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming the object or file whose bytes are found nowhere, unless they may be left out; [`Error::Unasked`] and
    /// [`Error::Unread`] when they may lie where nobody could look; [`Error::Stopped`]; what the target and the store give.
    pub(crate) fn run(&self) -> Result<Assembled, Error> {
        let mut planner = Planner::new(self.work)?;
        let mut lacks = Lacks::new(self.work);
        let mut totals = begin::begin(self, &mut planner, &mut lacks)?;
        let mut downloaded = match &self.places.store {
            Some(store) => {
                let planned = planner.finish(store, self.findings, &mut lacks)?;
                download::download(self, store, planned, &mut lacks)?
            }
            None => 0,
        };
        let (gains, mut lost) = lacks.fill(self)?;
        downloaded += gains.downloaded;
        if let Some(why) = self.places.closed.as_ref().filter(|_| lost.none().is_err()) {
            self.ctx.warn(None, format!("the repository was not asked for what is lacking: {why}"));
        }
        lost.known(self.places.unreachable.as_ref())?;
        if self.gaps == Gaps::Refuse {
            lost.none()?;
        }
        finish::finish(self, &mut lost)?;
        if totals.files == lost.files() {
            lost.none()?;
        }
        totals.files -= lost.files();
        totals.bytes -= lost.bytes();
        let unasked = if lost.files() == 0 { Vec::new() } else { gains.unasked };
        Ok(Assembled { totals, downloaded, elsewhere: gains.places, unasked, lost })
    }

    /// Writes what was wanted; its digest has matched.
    fn put(&self, want: &record::Want, bytes: &[u8]) -> Result<(), crate::archive::Error> {
        if want.whole { self.target.write_new(&want.path, bytes) } else { self.target.write(&want.path, want.offset, bytes) }
    }

    /// The pack or the file that should have held these bytes.
    fn object_of(&self, want: &record::Want) -> String {
        let named = |place: &DataFolder| place.name_of(want.stored());
        let file = || self.places.before.first().or(self.places.after.first()).map_or_else(|| format!("`{}`", want.stored()), named);
        match (&self.places.store, &want.at) {
            (Some(store), Some(at)) => store.pack_key(&at.pack),
            _ => file(),
        }
    }
}

/// How many bytes of the repository these lines need at most, which say where blobs lie: as if no folder had any of them.
///
/// # Errors
/// What reading gives.
pub(crate) fn download_size(lines: &mut dyn Lines, encryption: Encryption, work: &Path) -> Result<u64, Error> {
    let mut planner = Planner::new(work)?;
    while let Some(line) = lines.next_line()? {
        for piece in line.content() {
            if let Piece::Blob { at: Some(at), .. } = piece {
                planner.push_frame(at)?;
            }
        }
    }
    let mut reads = Reads::new(planner.frames()?, encryption)?;
    let mut bytes = 0;
    while reads.peek()?.is_some() {
        bytes += reads.take().map_or(0, |read| read.expected);
    }
    Ok(bytes)
}
