//! The first half of a restore: the snapshot, complete and verified, beside the live thing.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::Options;

use crate::archive::Target;
use crate::format::entry::Kind;
use crate::format::line::Line;
use crate::format::path::RelPath;
use crate::ops::assemble::{self, Assembly, Gaps, Opened};
use crate::ops::damage::Damage;
use crate::ops::elsewhere::Place;
use crate::ops::lists::Lines;
use crate::ops::origin::Origin;
use crate::ops::snapshots::Found;
use crate::ops::spec::{SourceKind, SourceSpec};
use crate::ops::undo::Site;
use crate::ops::work::work_folder;
use crate::ops::{Context, Error, size};
use crate::source;
use crate::sys::tree::remove_tree;

/// What was staged.
#[derive(Default)]
pub(super) struct Staged {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) downloaded: u64,
    pub(super) notes: Vec<String>,
    /// What was found to be damaged, though the bytes came from another place.
    pub(super) damage: Vec<Damage>,
}

/// Which lines of a snapshot are meant.
type Keeps<'a> = &'a mut dyn FnMut(&Line) -> bool;

/// The lines of some files alone.
struct Only<'a> {
    lines: Box<dyn Lines>,
    keeps: Keeps<'a>,
}

impl Lines for Only<'_> {
    fn next_line(&mut self) -> Result<Option<Line>, Error> {
        while let Some(line) = self.lines.next_line()? {
            if (self.keeps)(&line) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}

/// Bytes that would have to be downloaded for these lines at most; 0 when a local copy is at hand.
pub(super) fn download_size(ctx: &Context, found: &Found, options: &Options, keeps: Keeps<'_>) -> Result<u64, Error> {
    let repository_first = options.from.first() == Some(&Origin::Repository);
    match &found.shipped {
        Some((remote, shipped)) if found.local.is_none() || repository_first => {
            let mut lines = Only { lines: assemble::shipped_lines(remote, shipped)?, keeps };
            assemble::download_size(&mut lines, remote.marker.encryption, &work_folder(ctx)?)
        }
        _ => Ok(0),
    }
}

/// Bytes of these files of a snapshot.
pub(super) fn size_of(ctx: &Context, found: &Found, paths: &[RelPath]) -> Result<u64, Error> {
    let mut keeps = |line: &Line| paths.contains(line.path());
    Ok(assemble::Totals::of(&mut Only { lines: assemble::lines_of(ctx, found)?, keeps: &mut keeps })?.bytes)
}

/// Puts the snapshot together beside the live thing. Nearest verified bytes win: the local copy, then live files, then the repository.
pub(super) fn stage(ctx: &Context, found: Found, options: &Options, site: &Site<'_>, spec: &SourceSpec) -> Result<Staged, Error> {
    let work = work_folder(ctx)?;
    let from = origins(options, site, spec);
    let name = found.name();
    let opened = assemble::open(ctx, found, &from, &[], &work)?;
    let filling = site.filling();
    let staged = put_together(ctx, &name, &opened, &filling, spec, &work)?;
    if let SourceKind::Sqlite { .. } = spec.kind {
        single_file(ctx, &filling, site.staged, &mut *(opened.lines)()?)?;
    }
    Ok(staged)
}

/// Puts these files of a snapshot together in a folder of their own, which is emptied first.
pub(super) fn stage_dumps(
    ctx: &Context,
    found: Found,
    options: &Options,
    paths: &[RelPath],
    filling: &Path,
    spec: &SourceSpec,
) -> Result<Staged, Error> {
    let work = work_folder(ctx)?;
    let name = found.name();
    remove_tree(filling)?;
    let opened = assemble::open(ctx, found, &options.from, paths, &work)?;
    put_together(ctx, &name, &opened, filling, spec, &work)
}

fn put_together(ctx: &Context, name: &str, opened: &Opened, filling: &Path, spec: &SourceSpec, work: &Path) -> Result<Staged, Error> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(filling).map_err(Error::file("create the folder", filling))?;
    let totals = assemble::Totals::of(&mut *(opened.lines)()?)?;
    let free = ctx.space.room(filling)?.free;
    if totals.solid > free {
        return Err(Error::Refused(format!(
            "{name} takes {} in {}, and {} are free; nothing was changed",
            size::in_words(totals.solid),
            filling.display(),
            size::in_words(free)
        )));
    }
    ctx.meter.set_total(totals.solid);
    let target = Target::new(filling, rustix::process::geteuid().is_root())?;
    let Opened { lines, places, tiers, findings, .. } = opened;
    let assembled = Assembly { ctx, lines, places, tiers, gaps: Gaps::Refuse, target: &target, work, findings }.run()?;
    let damage = opened.take_findings(ctx);
    for (object, problem) in &damage {
        ctx.warn(Some(&spec.name), format!("{object}: {problem}; the bytes were taken from elsewhere"));
    }
    for Place { place, blobs, bytes } in &assembled.elsewhere {
        ctx.warn(Some(&spec.name), format!("{place} had {blobs} pieces ({bytes} bytes) of what was damaged"));
    }
    let damage = damage.into_iter().map(|(object, problem)| Damage { object, snapshot: Some(name.to_owned()), problem }).collect();
    Ok(Staged { files: totals.files, bytes: totals.bytes, downloaded: assembled.downloaded, notes: target.notes(), damage })
}

/// The places to ask, with the live files put before the repository: they cost nothing and are believed only if their digest matches.
fn origins(options: &Options, site: &Site<'_>, spec: &SourceSpec) -> Vec<Origin> {
    if !options.from.is_empty() {
        return options.from.clone();
    }
    let live = match spec.kind {
        SourceKind::Directory { .. } => Some(site.target),
        SourceKind::Sqlite { .. } => site.target.parent(),
        SourceKind::Mysql(_) | SourceKind::Cassandra(_) => None,
    };
    let live = live.filter(|_| site.target.exists()).map(|live| Origin::Folder(live.to_owned()));
    [Some(Origin::Local), live, Some(Origin::Repository)].into_iter().flatten().collect()
}

/// Moves the one file of a database's snapshot to where the source takes it from, and has the database check it.
fn single_file(ctx: &Context, filling: &Path, staged: &Path, lines: &mut dyn crate::ops::lists::Lines) -> Result<(), Error> {
    let mut name = None;
    while let Some(line) = lines.next_line()? {
        if let Line::Entry(entry) = line
            && entry.kind == Kind::File
        {
            name = Some(entry.path);
        }
    }
    let name = name.ok_or_else(|| Error::Refused("the snapshot holds no database file".into()))?;
    let from = filling.join(std::ffi::OsStr::from_bytes(name.as_bytes()));
    source::sqlite::check(&from, String::new(), &ctx.stop)?;
    fs::rename(&from, staged).map_err(Error::file("move", &from))?;
    Ok(remove_tree(filling)?)
}
