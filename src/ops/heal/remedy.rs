//! Blobs that a damaged snapshot needs and that cannot be read where it says: looked for in sound packs first, then in local copies.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::chart::Chart;
use super::stock::Stock;
use crate::archive::{Member, Supply};
use crate::format::digest::Digest;
use crate::format::entry::{Location, Piece};
use crate::format::line::Line;
use crate::format::marker::Encryption;
use crate::ops::elsewhere::{self, Place, Tiers, Wanted};
use crate::ops::lists::Beside;
use crate::ops::node::Remote;
use crate::ops::ship::Found;
use crate::ops::{Context, Error, size};
use crate::sys::table::{Table, unlinked};

/// Most lost files that are named.
const NAMED: usize = 20;

/// What was looked for, and what was found.
pub(super) struct Remedy {
    wanted: Wanted,
    /// Places in the repository that can be referred to.
    pub(super) found: Found,
    /// Bytes that must be stored anew.
    pub(super) spool: Spool,
    /// Where blobs were found.
    pub(super) places: Vec<Place>,
    /// Plain bytes of the blobs that are looked for.
    bytes: u64,
    work: PathBuf,
    dry_run: bool,
}

/// Files of a snapshot that need blobs which were found nowhere.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// The first of them in path order, escaped.
    pub(super) named: Vec<String>,
    /// How many there are.
    pub(super) files: u64,
    /// Whether the facts of the source are lost, too.
    pub(super) facts: bool,
}

impl Lost {
    /// Whether anything is.
    pub(super) fn is_any(&self) -> bool {
        self.files > 0 || self.facts
    }
}

impl Remedy {
    /// Nothing is looked for yet.
    pub(super) fn new(work: &Path, dry_run: bool) -> Result<Self, Error> {
        Ok(Self {
            wanted: Wanted::new(work)?,
            found: Found::new(work)?,
            spool: Spool::new(work)?,
            places: Vec::new(),
            bytes: 0,
            work: work.to_owned(),
            dry_run,
        })
    }

    /// Takes down where the facts of a snapshot lie, if that can be referred to.
    pub(super) fn know_fact(&mut self, chart: &Chart) -> Result<(), Error> {
        let usable = |at: Location| chart.packs.get(&at.pack).map(|stored| (at, *stored));
        match chart.fact_at.and_then(usable) {
            Some((at, stored)) => self.found.put(&chart.fact.1, &at, stored),
            None => Ok(()),
        }
    }

    /// Adds all blobs of a snapshot that do not lie where new lists may refer to.
    pub(super) fn want(&mut self, ctx: &Context, remote: &Remote, chart: &Chart) -> Result<(), Error> {
        let Self { wanted, bytes, .. } = self;
        each_lacking(ctx, remote, chart, &mut |_, digest, length| {
            let before = wanted.open();
            wanted.add(digest, None)?;
            *bytes += u64::from(length) * (wanted.open() - before);
            Ok(())
        })
    }

    /// Looks for all of them: what lies in sound packs is referred to, and the rest is kept to be packed.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no room to keep it; what the tiers give.
    pub(super) fn search(&mut self, ctx: &Context, remote: &Remote, stock: &mut Stock<'_>) -> Result<(), Error> {
        let room = ctx.space.room(&self.work)?.free;
        if !self.dry_run && self.bytes > room {
            let (take, free) = (size::in_words(self.bytes), size::in_words(room));
            let place = self.work.display();
            return Err(Error::Refused(format!(
                "what is to be stored anew takes up to {take} in {place} for a while, and {free} are free"
            )));
        }
        // An encrypted pack that was found may be sealed to others than today's recipients.
        let may_refer = remote.marker.encryption == Encryption::None;
        for tiers in [Tiers { copies: false, repository: Some(ctx.node.clone()) }, Tiers { copies: true, repository: None }] {
            let Self { wanted, found, spool, dry_run, .. } = self;
            let gains = elsewhere::search(ctx, &tiers, &self.work, wanted, &mut |digest, bytes, at| match at
                .filter(|_| may_refer)
                .map(|at| Ok::<_, Error>((at, stock.usable_pack(at.pack)?)))
                .transpose()?
            {
                Some((at, Some(stored))) => found.put(digest, at, stored),
                _ => spool.put(digest, bytes, *dry_run),
            })?;
            self.places.extend(gains.places);
        }
        Ok(())
    }

    /// The files of a snapshot that need what was found nowhere.
    pub(super) fn lost(&self, ctx: &Context, remote: &Remote, chart: &Chart) -> Result<Lost, Error> {
        let (mut lost, mut last) = (Lost::default(), None);
        lost.facts = !lies_sound(chart) && self.wanted.found(&chart.fact.1)?.is_none();
        each_lacking_of_files(ctx, remote, chart, &mut |path, digest, _| {
            if self.wanted.found(digest)?.is_none() && last.as_ref() != Some(path) {
                lost.files += 1;
                if lost.named.len() < NAMED {
                    lost.named.push(path.to_escaped());
                }
                last = Some(path.clone());
            }
            Ok(())
        })?;
        Ok(lost)
    }

    /// Plain bytes of a snapshot's blobs that must be stored anew.
    pub(super) fn to_store(&self, ctx: &Context, remote: &Remote, chart: &Chart) -> Result<u64, Error> {
        let mut bytes = 0;
        each_lacking(ctx, remote, chart, &mut |_, digest, length| {
            bytes += if self.found.get(digest)?.is_none() { u64::from(length) } else { 0 };
            Ok(())
        })?;
        Ok(bytes)
    }
}

type See<'s> = dyn FnMut(&crate::format::path::RelPath, &Digest, u32) -> Result<(), Error> + 's;

/// Calls `see` with each blob of a snapshot that does not lie in a pack which can be referred to; one that is needed twice comes twice.
pub(super) fn each_lacking(ctx: &Context, remote: &Remote, chart: &Chart, see: &mut See<'_>) -> Result<(), Error> {
    let (path, digest, length) = &chart.fact;
    if !lies_sound(chart) {
        see(path, digest, *length)?;
    }
    each_lacking_of_files(ctx, remote, chart, see)
}

/// Whether the facts lie where they can be referred to.
fn lies_sound(chart: &Chart) -> bool {
    chart.fact_at.is_some_and(|at| chart.packs.contains_key(&at.pack))
}

fn each_lacking_of_files(ctx: &Context, remote: &Remote, chart: &Chart, see: &mut See<'_>) -> Result<(), Error> {
    let usable = |at: &Location| chart.packs.contains_key(&at.pack);
    let files = chart.files(ctx, remote);
    let mut located = Beside::new((files.located)()?);
    let mut lines = (files.lines)()?;
    while let Some(line) = lines.next_line()? {
        ctx.stop.check()?;
        let beside = located.find(&line)?;
        for (n, piece) in line.content().iter().enumerate() {
            let Piece::Blob { digest, length, .. } = piece else { continue };
            let place = beside.as_ref().map(Line::content).and_then(|content| content.get(n));
            let is_there = matches!(place, Some(Piece::Blob { digest: same, at: Some(at), .. }) if same == digest && usable(at));
            if !is_there {
                see(line.path(), digest, *length)?;
            }
        }
    }
    Ok(())
}

/// Bytes of blobs, in an unlinked file.
pub(super) struct Spool {
    file: File,
    /// Where each blob begins.
    index: Table,
    end: u64,
    work: PathBuf,
}

impl Spool {
    fn new(work: &Path) -> Result<Self, Error> {
        Ok(Self { file: unlinked(work)?, index: Table::new(work, 8)?, end: 0, work: work.to_owned() })
    }

    fn put(&mut self, digest: &Digest, bytes: &[u8], only_count: bool) -> Result<(), Error> {
        if !only_count {
            self.file.write_all_at(bytes, self.end).map_err(Error::file("write a temporary file in", &self.work))?;
            self.index.put(digest.as_bytes(), &self.end.to_be_bytes())?;
        }
        self.end += bytes.len() as u64;
        Ok(())
    }
}

impl Supply for Spool {
    fn read(&self, member: &Member, buffer: &mut [u8]) -> io::Result<()> {
        let mut at = [0; 8];
        if !self.index.get(member.digest.as_bytes(), &mut at).map_err(io::Error::other)? {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.file.read_exact_at(buffer, u64::from_be_bytes(at))
    }
}
