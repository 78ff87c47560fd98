//! `fetch`: puts the files of a snapshot into an empty folder, verified.

mod destination;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::assemble::{self, Assembled, Assembly, Opened, Totals};
use super::damage::Damage;
use super::name::SnapshotName;
use super::origin::Origin;
use super::snapshots::Found;
use super::standing::Standing;
use super::work::work_folder;
use super::{Context, Error};
use crate::archive::Target;
use crate::format::line::Line;
use crate::format::names::{NodeName, SourceName};
use crate::format::path::RelPath;
use crate::format::snapshot_id::SnapshotId;
use destination::Destination;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The folder; it must be empty or not there yet.
    pub to: PathBuf,
    /// Only these paths and what is below them; empty = all.
    pub paths: Vec<RelPath>,
    /// Where bytes may come from, best first; empty = the local copy, then the repository.
    pub from: Vec<Origin>,
    /// Another node's snapshot.
    pub node: Option<NodeName>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was fetched, or in a dry run what would be.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The source.
    pub source: SourceName,
    /// The snapshot.
    pub id: SnapshotId,
    /// Regular files and hard links.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Bytes that came from the repository.
    pub downloaded_bytes: u64,
    /// What this filesystem or user could not be given (owners, attributes), at most 20 of them.
    pub notes: Vec<String>,
    /// How many such notes there are in all.
    pub noted: u64,
    /// What was found to be damaged on the way. All bytes that were fetched are sound: they came from elsewhere.
    pub damage: Vec<Damage>,
}

/// Most notes in an outcome.
const NOTES: usize = 20;

/// Fetches a snapshot; nothing is in the folder whose digest has not matched.
///
/// A folder that is not there yet appears complete at the end, by a rename. One that is there and empty is filled where it is (it may be
/// a mount, or somebody may stand in it) and holds a file `.windlass-partial-…` until all is verified; a failure empties it again.
///
/// # Errors
/// [`Error::Refused`] when the folder is not empty; [`Error::Damaged`] naming the object when bytes are found in no tier.
pub fn run(ctx: &Context, name: &SnapshotName, options: &Options) -> Result<Outcome, Error> {
    let found = Found::look_up(ctx, options.node.as_ref(), name)?;
    Standing::of(&found).judge(fetch(ctx, found, options))
}

fn fetch(ctx: &Context, found: Found, options: &Options) -> Result<Outcome, Error> {
    let (source, id) = (found.source.clone(), found.id);
    ctx.phase(&source, Some(id), "fetching");
    let work = work_folder(ctx)?;
    Destination::check(&options.to)?;
    let nearest = nearest(&found, &options.from);
    let opened = assemble::open(ctx, found, &options.from, &options.paths, &work)?;
    let (totals, downloaded_bytes, notes, noted) = if options.dry_run {
        let totals = Totals::of(&mut *(opened.lines)()?)?;
        (totals, if nearest { 0 } else { download_size(&opened, &work)? }, Vec::new(), 0)
    } else {
        let destination = Destination::begin(&options.to, &*ctx.random)?;
        let filled = fill(ctx, &opened, &destination, &work);
        let (assembled, notes, noted) = destination.end(filled)?;
        (assembled.totals, assembled.downloaded, notes, noted)
    };
    let snapshot = format!("{source}/{id}");
    let damage = opened.findings.take().into_iter();
    let damage = damage.map(|(object, problem)| Damage { object, snapshot: Some(snapshot.clone()), problem }).collect();
    Ok(Outcome { source, id, files: totals.files, bytes: totals.bytes, downloaded_bytes, notes, noted, damage })
}

/// Whether a local copy is the first place that is asked: then, unless it is damaged, nothing travels.
fn nearest(found: &Found, from: &[Origin]) -> bool {
    let first = from.iter().find(|origin| matches!(origin, Origin::Local | Origin::Repository));
    found.local.is_some() && !matches!(first, Some(Origin::Repository))
}

/// What would be downloaded at most.
fn download_size(opened: &Opened, work: &Path) -> Result<u64, Error> {
    match &opened.places.store {
        Some(_) => assemble::download_size(&mut *(opened.lines)()?, work),
        None => Ok(0),
    }
}

type Filled = (Assembled, Vec<String>, u64);

fn fill(ctx: &Context, opened: &Opened, destination: &Destination, work: &Path) -> Result<Filled, Error> {
    let totals = Totals::of(&mut *(opened.lines)()?)?;
    let free = ctx.space.room(destination.folder())?.free;
    if totals.solid > free {
        let to = destination.folder().display();
        return Err(Error::Refused(format!("{to} has {free} bytes free, and the files take {}", totals.solid)));
    }
    ctx.meter.set_total(totals.solid);
    let target = Target::new(destination.folder(), rustix::process::geteuid().is_root())?;
    let Opened { lines, places, findings, .. } = opened;
    let assembly = Assembly { ctx, lines, places, target: &target, work, findings };
    let assembled = assembly.run()?;
    destination.unmark()?;
    // Taking the mark away has changed the folder's time.
    if let Some(Line::Entry(root)) = (opened.lines)()?.next_line()? {
        target.finish_directory(&root)?;
    }
    let mut notes = target.notes();
    notes.truncate(NOTES);
    Ok((assembled, notes, target.note_count()))
}
