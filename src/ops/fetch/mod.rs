//! `fetch`: puts the files of a snapshot into an empty folder, verified.

mod destination;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use super::assemble::LostFile;
use super::assemble::{self, Assembled, Assembly, Gaps, Opened, Totals};
use super::damage::Damage;
pub use super::elsewhere::Place;
use super::elsewhere::Tiers;
use super::name::SnapshotName;
use super::origin::Origin;
use super::snapshots::Found;
use super::standing::Standing;
use super::work::work_folder;
use super::{Context, Error, size};
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
    /// What was found to be damaged on the way. All bytes that were fetched are sound: they came from another place.
    pub damage: Vec<Damage>,
    /// Places that bytes came from because neither the snapshot's own copy nor its packs had them sound, at most 20.
    pub elsewhere: Vec<Place>,
    /// Places that could not be asked for what is lost, each with the reason, at most 20: where there are any, what is lost may lie there.
    pub unasked: Vec<String>,
    /// Files that are not in the folder because some of their bytes were found nowhere, at most the first 20 in path order.
    pub lost: Vec<LostFile>,
    /// How many such files there are in all, further names of a file counted.
    pub lost_files: u64,
}

/// Most notes in an outcome.
const NOTES: usize = 20;

/// Fetches a snapshot; nothing is in the folder whose digest has not matched.
///
/// A folder that is not there yet appears complete at the end, by a rename. One that is there and empty is filled where it is (it may be
/// a mount, or somebody may stand in it) and holds a file `.windlass-partial-…` until all is verified; a failure empties it again.
///
/// Bytes that cannot be read where they should lie are taken from wherever else they lie sound ([`super::elsewhere`]). A file of which some
/// lie nowhere is left out and named in the outcome; everything else is put in the folder as always. Where the repository that may have
/// them cannot be reached, nothing is known to be lost, and it is a failure.
///
/// # Errors
/// [`Error::Refused`] when the folder is not empty; [`Error::Damaged`] naming the object when lists are damaged or no file at all is whole;
/// [`Error::Unasked`] and [`Error::Unread`] when damaged bytes may lie sound where nobody could look.
pub fn run(ctx: &Context, name: &SnapshotName, options: &Options) -> Result<Outcome, Error> {
    if options.from.is_empty()
        && let Some(found) = Found::near(ctx, options.node.as_ref(), name)?
    {
        match fetch(ctx, found, options, Gaps::Refuse) {
            // What is damaged here may be intact there.
            Err(error) if error.is_damage() => {}
            outcome => return outcome,
        }
    }
    fetch(ctx, Found::look_up_in(ctx, options.node.as_ref(), name, &options.from)?, options, Gaps::LeaveOut)
}

/// `gaps`: where the whole is wanted, nothing is looked for elsewhere either, so that the caller can name more places first.
fn fetch(ctx: &Context, found: Found, options: &Options, gaps: Gaps) -> Result<Outcome, Error> {
    let (source, id) = (found.source.clone(), found.id);
    let standing = Standing::of(&found);
    ctx.phase(&source, Some(id), "fetching");
    let work = work_folder(ctx)?;
    Destination::check(&options.to)?;
    let nearest = nearest(&found, &options.from);
    let mut opened = standing.judge(assemble::open(ctx, found, &options.from, &options.paths, &work))?;
    if gaps == Gaps::Refuse {
        opened.tiers = Tiers { copies: false, repository: None };
    }
    let (assembled, notes, noted) = if options.dry_run {
        let totals = Totals::of(&mut *(opened.lines)()?)?;
        let downloaded = if nearest { 0 } else { standing.judge(download_size(&opened, &work))? };
        (Assembled { totals, downloaded, ..Assembled::default() }, Vec::new(), 0)
    } else {
        let destination = Destination::begin(&options.to, &*ctx.random)?;
        let filled = standing.judge(fill(ctx, &opened, gaps, &destination, &work));
        // What is found nowhere any more because the snapshot was removed is not lost.
        let filled = filled.and_then(|filled| if filled.0.lost.files() > 0 { standing.check().map(|()| filled) } else { Ok(filled) });
        destination.end(filled)?
    };
    let snapshot = format!("{source}/{id}");
    let damage = opened.take_findings(ctx).into_iter();
    let damage = damage.map(|(object, problem)| Damage { object, snapshot: Some(snapshot.clone()), problem }).collect();
    let Assembled { totals: Totals { files, bytes, .. }, downloaded: downloaded_bytes, elsewhere, unasked, lost } = assembled;
    let lost_files = lost.files();
    Ok(Outcome { source, id, files, bytes, downloaded_bytes, notes, noted, damage, elsewhere, unasked, lost: lost.named(), lost_files })
}

/// Whether a local copy is the first place that is asked: then, unless it is damaged, nothing travels.
fn nearest(found: &Found, from: &[Origin]) -> bool {
    let first = from.iter().find(|origin| matches!(origin, Origin::Local | Origin::Repository));
    found.local.is_some() && !matches!(first, Some(Origin::Repository))
}

/// What would be downloaded at most.
fn download_size(opened: &Opened, work: &Path) -> Result<u64, Error> {
    match &opened.places.store {
        Some(store) => assemble::download_size(&mut *(opened.lines)()?, store.remote.marker.encryption, work),
        None => Ok(0),
    }
}

type Filled = (Assembled, Vec<String>, u64);

fn fill(ctx: &Context, opened: &Opened, gaps: Gaps, destination: &Destination, work: &Path) -> Result<Filled, Error> {
    let totals = Totals::of(&mut *(opened.lines)()?)?;
    let free = ctx.space.room(destination.folder())?.free;
    if totals.solid > free {
        let to = destination.folder().display();
        let (free, take) = (size::in_words(free), size::in_words(totals.solid));
        return Err(Error::Refused(format!("{to} has {free} free, and the files take {take}")));
    }
    ctx.meter.set_total(totals.solid);
    let target = Target::new(destination.folder(), rustix::process::geteuid().is_root())?;
    let Opened { lines, places, tiers, findings, .. } = opened;
    let assembly = Assembly { ctx, lines, places, tiers, gaps, target: &target, work, findings };
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
