//! Tables of a snapshot, complete and verified, below the data directories of the node that is to have them.

use std::path::{Path, PathBuf};

use super::shares::{OfRoot, Root, Wanted};
use super::survey::Survey;
use crate::archive::Target;
use crate::format::names::SourceName;
use crate::ops::assemble::{self, Assembly, Gaps, Opened, Totals};
use crate::ops::damage::Damage;
use crate::ops::elsewhere::Place;
use crate::ops::lists::Lines;
use crate::ops::origin::Origin;
use crate::ops::restore::Options;
use crate::ops::restore::staging::Staged;
use crate::ops::snapshots::Found;
use crate::ops::spec::SourceSpec;
use crate::ops::work::work_folder;
use crate::ops::{Context, Error};
use crate::source::cassandra::make_own_folder;
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
/// files, then the repository. Without an error all bytes are on the disk.
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
    let survey = Survey::of(&mut *(opened.lines)()?, wanted, roots)?;
    if let Some(why) = survey.lack_of_room(roots) {
        return Err(Error::Refused(format!("{name} does not fit: {why}; nothing was changed")));
    }
    ctx.meter.set_total(survey.bytes());
    let mut staged = Staged::default();
    for at in 0..roots.len() {
        of_root(ctx, spec, &name, &opened, &(wanted, roots, at), &work, &mut staged)?;
    }
    let damage = opened.take_findings(ctx);
    for (object, problem) in &damage {
        ctx.warn(Some(&spec.name), format!("{object}: {problem}; the bytes were taken from elsewhere"));
    }
    staged.damage = damage.into_iter().map(|(object, problem)| Damage { object, snapshot: Some(name.clone()), problem }).collect();
    Ok((staged, survey))
}

fn of_root(
    ctx: &Context,
    spec: &SourceSpec,
    name: &str,
    opened: &Opened,
    &(wanted, roots, at): &(&Wanted, &[Root], usize),
    work: &Path,
    staged: &mut Staged,
) -> Result<(), Error> {
    let lines = || -> Result<Box<dyn Lines>, Error> { Ok(Box::new(OfRoot::new((opened.lines)()?, wanted, roots, at))) };
    if Totals::of(&mut *lines()?)?.files == 0 && at > 0 {
        return Ok(());
    }
    let filling = staged_folder(&roots[at].path, &spec.name);
    make_own_folder(&roots[at].path, &filling)?;
    let target = Target::new(&filling, rustix::process::geteuid().is_root())?;
    let Opened { places, tiers, findings, .. } = opened;
    let assembled = Assembly { ctx, lines: &lines, places, tiers, gaps: Gaps::Refuse, target: &target, work, findings }.run()?;
    for Place { place, blobs, bytes } in &assembled.elsewhere {
        ctx.warn(Some(&spec.name), format!("{place} had {blobs} pieces ({bytes} bytes) of what was damaged in {name}"));
    }
    staged.files += assembled.totals.files;
    staged.bytes += assembled.totals.bytes;
    staged.downloaded += assembled.downloaded;
    staged.notes.extend(target.notes());
    Ok(())
}

/// The places to ask, with the live files put before the repository: they cost nothing and are believed only if their digest matches.
fn origins(options: &Options, roots: &[Root]) -> Vec<Origin> {
    if !options.from.is_empty() {
        return options.from.clone();
    }
    let live = roots.iter().map(|root| Origin::Folder(root.path.clone()));
    std::iter::once(Origin::Local).chain(live).chain([Origin::Repository]).collect()
}
