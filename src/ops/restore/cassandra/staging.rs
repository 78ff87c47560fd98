//! Tables of a snapshot, complete and verified, below the data directories of the node that is to have them.

use std::path::{Path, PathBuf};

use super::linked::Linked;
use super::shares::{OfRoot, Root, Shares, Wanted};
use super::survey::Survey;
use crate::archive::Target;
use crate::format::entry::Entry;
use crate::format::line::Line;
use crate::format::names::SourceName;
use crate::ops::assemble::{self, Assembly, Gaps, Opened, Totals, lines_of};
use crate::ops::budget::file_threads;
use crate::ops::damage::Damage;
use crate::ops::data_folder::DataFolder;
use crate::ops::elsewhere::Place;
use crate::ops::lists::Lines;
use crate::ops::origin::Origin;
use crate::ops::restore::staging::Staged;
use crate::ops::restore::{self, Options};
use crate::ops::snapshots::Found;
use crate::ops::spec::SourceSpec;
use crate::ops::work::work_folder;
use crate::ops::{Context, Error};
use crate::source::cassandra::{Member, make_own_folder};
use crate::sys::tree::remove_tree;

/// The folder of ours in a data directory: Cassandra looks for `<keyspace>/<table>-<id>` by name, and no keyspace has a dot in its name. At its
/// start it looks at all files and folders below its data directories, and does not come up where it may not read one; it leaves out folders
/// named `backups` (`StartupChecks`, `checkSSTablesFormat`), and while files come they are ours.
const OURS: &str = ".windlass/backups";

/// What is put together.
const STAGED: &str = "staged";

/// The folder of a source in a data directory.
pub(super) fn own_folder(root: &Path, source: &SourceName) -> PathBuf {
    root.join(OURS).join(source.as_str())
}

/// Where tables are put together in a data directory.
pub(super) fn staged_folder(root: &Path, source: &SourceName) -> PathBuf {
    own_folder(root, source).join(STAGED)
}

/// Puts the files of wanted tables together in [`staged_folder`] of each data directory, which is emptied first; each has
/// `<keyspace>/<table>-<id>/…` of all wanted tables, as they are called in the snapshot. Nearest verified bytes win: the local copy, then live
/// files, then the repository; what lies on the filesystem of the directory already is linked. Without an error all bytes are on the disk.
///
/// # Errors
/// [`Error::Refused`] when they do not fit; [`Error::Damaged`]; [`Error::Stopped`]; what the places give.
pub(super) fn stage(
    ctx: &Context,
    spec: &SourceSpec,
    found: Found,
    options: &Options,
    wanted: &Wanted,
    roots: &[Root],
) -> Result<(Staged, Survey), Error> {
    let work = work_folder(ctx)?;
    let name = found.name();
    for root in roots {
        remove_tree(&staged_folder(&root.path, &spec.name))?;
        // Also where nothing comes: whatever else is put there later must not make it for us alone.
        make_own_folder(&root.path, &own_folder(&root.path, &spec.name))?;
    }
    let opened = assemble::open(ctx, found, &origins(options, roots), &[], &work)?;
    let shares = Shares::of(&mut *(opened.lines)()?, wanted, roots, &shared(&opened.places.before, roots))?;
    let mut survey = Survey::of(&mut *(opened.lines)()?, wanted, &shares)?;
    // From here on what is linked counts, not what may be.
    survey.linked.fill(0);
    ctx.meter.set_total(survey.bytes());
    let work = Work { ctx, spec, name: &name, opened: &opened, wanted, shares: &shares, roots, work: &work };
    let mut staged = Staged::default();
    let linked = (0..roots.len()).map(|at| work.link(at, &mut staged, &mut survey)).collect::<Result<Vec<_>, _>>()?;
    if let Some(why) = survey.lack_of_room(roots) {
        return Err(Error::Refused(format!("{name} does not fit: {why}; nothing was changed")));
    }
    for (at, linked) in linked.into_iter().enumerate() {
        linked.map_or(Ok(()), |linked| work.fill(at, linked, &mut staged))?;
    }
    let damage = opened.take_findings(ctx);
    for (object, problem) in &damage {
        ctx.warn(Some(&spec.name), format!("{object}: {problem}; the bytes were taken from elsewhere"));
    }
    staged.damage = damage.into_iter().map(|(object, problem)| Damage { object, snapshot: Some(name.clone()), problem }).collect();
    Ok((staged, survey))
}

/// What filling the data directories needs.
struct Work<'a> {
    ctx: &'a Context,
    spec: &'a SourceSpec,
    name: &'a str,
    opened: &'a Opened,
    wanted: &'a Wanted,
    shares: &'a Shares,
    roots: &'a [Root],
    work: &'a Path,
}

impl Work<'_> {
    fn lines(&self, at: usize) -> Result<Box<dyn Lines>, Error> {
        Ok(Box::new(OfRoot::new((self.opened.lines)()?, self.wanted, self.shares, &self.roots[at], at)))
    }

    /// Links what of a directory's share lies here already; nothing where nothing comes.
    fn link(&self, at: usize, staged: &mut Staged, survey: &mut Survey) -> Result<Option<Linked>, Error> {
        if Totals::of(&mut *self.lines(at)?)?.files == 0 && at > 0 {
            return Ok(None);
        }
        let root = &self.roots[at];
        let filling = staged_folder(&root.path, &self.spec.name);
        make_own_folder(&root.path, &filling)?;
        let linked = Linked::new(root, &filling)?;
        let ctx = self.ctx;
        let totals =
            linked.link(self.lines(at)?, &shared(&self.opened.places.before, self.roots), file_threads(ctx), &ctx.stop, &ctx.meter)?;
        survey.linked[at] = totals.bytes;
        staged.files += totals.files;
        staged.bytes += totals.bytes;
        Ok(Some(linked))
    }

    /// Brings the rest of it together beside what is linked.
    fn fill(&self, at: usize, linked: Linked, staged: &mut Staged) -> Result<(), Error> {
        let Self { ctx, spec, name, work, .. } = *self;
        let lines = || -> Result<Box<dyn Lines>, Error> { Ok(Box::new(linked.rest_of(self.lines(at)?))) };
        let target = Target::new(&staged_folder(&self.roots[at].path, &spec.name), rustix::process::geteuid().is_root())?;
        let Opened { places, tiers, findings, .. } = self.opened;
        let assembled = Assembly { ctx, lines: &lines, places, tiers, gaps: Gaps::Refuse, target: &target, work, findings }.run()?;
        for Place { place, blobs, bytes } in &assembled.elsewhere {
            ctx.warn(Some(&spec.name), format!("{place} had {blobs} pieces ({bytes} bytes) of what was damaged in {name}"));
        }
        staged.files += assembled.totals.files;
        staged.bytes += assembled.totals.bytes;
        staged.downloaded += assembled.downloaded;
        staged.notes.extend(target.notes());
        linked.settle(&mut *self.lines(at)?)
    }
}

/// What would come of a snapshot, with what of each directory's share lies here as it is to be, as far as can be told without reading it.
///
/// # Errors
/// What reading the lines of the snapshot gives.
pub(super) fn survey(ctx: &Context, found: &Found, options: &Options, wanted: &Wanted, roots: &[Root]) -> Result<Survey, Error> {
    let places = at_hand(found, options, roots);
    let shares = Shares::of(&mut *lines_of(ctx, found)?, wanted, roots, &shared(&places, roots))?;
    Survey::of(&mut *lines_of(ctx, found)?, wanted, &shares)
}

/// Bytes that have to travel, as far as can be told without reading: a file that the node has at the place and with the size that it has in the
/// snapshot is taken for the same, which its digest says once it is read.
///
/// # Errors
/// As [`survey`].
pub(super) fn download_size(ctx: &Context, found: &Found, options: &Options, wanted: &Wanted, roots: &[Root]) -> Result<u64, Error> {
    let places = at_hand(found, options, roots);
    let is_there = |entry: &Entry| places.iter().any(|place| place.size_of(&entry.path).is_ok_and(|size| size == entry.size));
    let mut is_far = false;
    restore::staging::download_size(ctx, found, options, &mut |line| {
        if let Line::Entry(entry) = line {
            let path = std::str::from_utf8(entry.path.as_bytes()).ok();
            is_far = path.and_then(Member::of).is_some_and(|member| wanted.takes(&member)) && !is_there(entry);
        }
        is_far
    })
}

/// The places that are asked before the repository. What cannot be opened is told by the restore itself.
fn at_hand(found: &Found, options: &Options, roots: &[Root]) -> Vec<DataFolder> {
    let place = |origin| match (origin, &found.local) {
        (Origin::Local, Some(copy)) => DataFolder::of_copy(&copy.data()).ok(),
        (Origin::Folder(path), _) => DataFolder::of_live_files(&path).ok(),
        _ => None,
    };
    origins(options, roots).into_iter().filter_map(place).collect()
}

/// The places whose files may be shared: the local copy, and what the node has.
fn shared<'a>(places: &'a [DataFolder], roots: &[Root]) -> Vec<&'a DataFolder> {
    places.iter().filter(|place| place.is_copy() || roots.iter().any(|root| root.path == place.path())).collect()
}

/// The places to ask, with the live files put before the repository: they cost nothing and are believed only if their digest matches.
fn origins(options: &Options, roots: &[Root]) -> Vec<Origin> {
    if !options.from.is_empty() {
        return options.from.clone();
    }
    let live = roots.iter().map(|root| Origin::Folder(root.path.clone()));
    std::iter::once(Origin::Local).chain(live).chain([Origin::Repository]).collect()
}
