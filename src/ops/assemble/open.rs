//! Puts together what an assembly needs: where bytes may come from, and the lines that say which.

use std::path::Path;
use std::sync::Arc;

use super::select::select;
use super::spool::Spool;
use super::{Findings, OpenLines, Places, Store};
use crate::format::body::Role;
use crate::format::path::RelPath;
use crate::ops::catalogue::Shipped;
use crate::ops::copies::{Copy, LINES};
use crate::ops::damage::MISSING;
use crate::ops::data_folder::DataFolder;
use crate::ops::elsewhere::Tiers;
use crate::ops::error::chain;
use crate::ops::lists::{Lines, ShippedLines, read_body};
use crate::ops::node::Remote;
use crate::ops::origin::Origin;
use crate::ops::snapshots::Found;
use crate::ops::{Context, Error};
use crate::sys::lock::Lock;

/// A snapshot that is ready to be assembled.
pub(crate) struct Opened {
    /// Where its bytes may come from.
    pub(crate) places: Places,
    /// Opens its lines anew: all of them or the selected ones.
    pub(crate) lines: Box<OpenLines<'static>>,
    /// Where else to look for what cannot be read in these.
    pub(crate) tiers: Tiers,
    /// What was found to be damaged already.
    pub(crate) findings: Findings,
    /// The local copy, and what keeps it from being removed meanwhile.
    held: Option<(Copy, Lock)>,
}

impl Opened {
    /// What was found to be damaged until now: object or file, and what is wrong with it. What the local copy has of it is remembered there.
    pub(crate) fn take_findings(&self, ctx: &Context) -> Vec<(String, String)> {
        if let Some((copy, _)) = &self.held {
            self.findings.note(ctx, copy);
        }
        self.findings.take()
    }
}

/// Opens a snapshot, taking bytes from these tiers, best first (none = the local copy, then the repository).
///
/// The lines come from the first tier that has them; those of the repository are fetched whole, so that they are known to be complete and
/// in order before anything is done with them. `paths` selects a part (none = all).
///
/// # Errors
/// [`Error::Absent`] when no named tier has the snapshot, or there is no such path in it; [`Error::Damaged`] when its lists are damaged;
/// what the store gives.
pub(crate) fn open(ctx: &Context, found: Found, from: &[Origin], paths: &[RelPath], work: &Path) -> Result<Opened, Error> {
    let from = if from.is_empty() { &[Origin::Local, Origin::Repository] } else { from };
    let findings = Findings::default();
    let mut places = Places::default();
    let mut held = None;
    let mut tiers = Tiers::among(from, ctx, &found.node);
    if found.unreachable.is_some() {
        // It has just been given up, and is not waited for again.
        tiers.repository = None;
    }
    for origin in from {
        let folder = match (origin, &found.local, &found.shipped) {
            (Origin::Local, Some(copy), _) => {
                held = Some((copy.clone(), copy.hold(ctx)?));
                DataFolder::of_copy(&copy.data()).inspect_err(|cause| findings.add(copy.data().display().to_string(), chain(cause))).ok()
            }
            (Origin::Folder(path), _, _) => Some(DataFolder::of_live_files(path)?),
            (Origin::Repository, local, Some((remote, shipped))) => {
                match remote.keys.check_readable(&shipped.head) {
                    // What is intact in the local copy needs no identity.
                    Err(error) if !error.is_stopped() && local.is_some() && from.first() == Some(&Origin::Local) => {
                        places.closed = Some(chain(&error));
                        continue;
                    }
                    readable => readable?,
                }
                let (remote, node) = (remote.clone(), found.node.clone());
                let located = Box::new({
                    let (remote, shipped) = (remote.clone(), shipped.clone());
                    move || shipped_lines(&remote, &shipped)
                });
                places.store = Some(Store { remote, node, located });
                None
            }
            _ => None,
        };
        if places.store.is_some() { places.after.extend(folder) } else { places.before.extend(folder) }
    }
    let (lines, unreachable) = whole_lines(found, from, &findings, work)?;
    // Where there is no repository yet, nothing lies in it.
    let unreachable = unreachable.filter(|error| from.contains(&Origin::Repository) && !matches!(error, Error::Absent(_)));
    places.unreachable = unreachable.map(Arc::new);
    let lines = if paths.is_empty() { lines } else { open_spool(select(&*lines, paths, work)?) };
    Ok(Opened { places, lines, tiers, findings, held })
}

/// The lines of the first of these tiers that has them, and why the repository was not asked; when none of them is a tier with lines, of any.
fn whole_lines(found: Found, from: &[Origin], findings: &Findings, work: &Path) -> Result<(Box<OpenLines<'static>>, Option<Error>), Error> {
    let only_folders = !from.iter().any(|origin| matches!(origin, Origin::Local | Origin::Repository));
    let both = [Origin::Local, Origin::Repository];
    let mut damaged = None;
    for origin in if only_folders { &both } else { from } {
        let lines = match (origin, &found.local, &found.shipped) {
            (Origin::Local, Some(copy), _) => copy_lines(copy).map(|_| {
                let copy = copy.clone();
                Box::new(move || Ok(Box::new(copy_lines(&copy)?) as Box<dyn Lines>)) as Box<OpenLines<'static>>
            }),
            (Origin::Repository, _, Some((remote, shipped))) => {
                shipped_lines(remote, shipped).and_then(|mut lines| Spool::of(&mut *lines, work)).map(open_spool)
            }
            _ => continue,
        };
        match lines {
            Err(error) if error.is_damage() && damaged.is_none() => damaged = Some(error),
            Err(error) if !error.is_damage() && !error.is_stopped() => {
                return Err(match damaged {
                    Some(damaged) => damaged.unasked(error),
                    None => error,
                });
            }
            outcome => {
                if let Some(Error::Damaged { object, problem }) = damaged {
                    findings.add(object, problem);
                }
                return Ok((outcome?, found.unreachable));
            }
        }
    }
    let absent = || Error::Absent(format!("{}/{} is in none of the places that were named", found.source, found.id));
    Err(match (damaged, found.unreachable) {
        (Some(damaged), Some(error)) if !matches!(error, Error::Absent(_)) => damaged.unasked(error),
        (damaged, unreachable) => damaged.or(unreachable).unwrap_or_else(absent),
    })
}

fn open_spool(spool: Spool) -> Box<OpenLines<'static>> {
    Box::new(move || Ok(Box::new(spool.lines()?) as Box<dyn Lines>))
}

/// The lines of a local copy; a file of lines that is gone is damage.
pub(crate) fn copy_lines(copy: &Copy) -> Result<impl Lines + use<>, Error> {
    copy.lines().map_err(|error| match error {
        Error::File { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound => {
            Error::damaged(copy.dir.join(LINES).display(), MISSING)
        }
        other => other,
    })
}

/// The lines of the files of a shipped snapshot.
pub(crate) fn shipped_lines(remote: &Remote, shipped: &Shipped) -> Result<Box<dyn Lines>, Error> {
    remote.keys.check_readable(&shipped.head)?;
    let body = read_body(remote, shipped)?;
    Ok(Box::new(ShippedLines::open(remote, &shipped.head.node, &body, Role::Files)))
}

/// The lines of a snapshot: of its local copy where that is intact, else of the repository.
pub(crate) fn lines_of(ctx: &Context, found: &Found) -> Result<Box<dyn Lines>, Error> {
    let mut damage = None;
    if let Some(copy) = &found.local {
        match copy_lines(copy) {
            Ok(lines) => return Ok(Box::new(lines)),
            Err(error) if error.is_damage() => damage = Some(error),
            Err(error) => return Err(error),
        }
    }
    match (&found.shipped, damage) {
        (Some((remote, shipped)), damage) => {
            if let Some(damage) = damage {
                ctx.warn(Some(&found.source), chain(&damage));
            }
            shipped_lines(remote, shipped)
        }
        (None, Some(damage)) => Err(damage),
        (None, None) => Err(Error::Absent(format!("{} has just been removed", found.name()))),
    }
}
