//! The part of a snapshot that was asked for by path.
//!
//! A selection holds the named paths, what is below them, and the directories that lead to them.
//! Where a hard link is selected and the first path of its file is not, the first selected link becomes the file (see [`super::stand_in`]).

use std::path::Path;

use super::OpenLines;
use super::spool::{Spool, SpoolWriter};
use super::stand_in::{Dangling, Role, StandIns};
use crate::format::entry::Kind;
use crate::format::line::Line;
use crate::format::path::RelPath;
use crate::ops::Error;

/// The selected lines, in a temporary file in `work`.
///
/// # Errors
/// [`Error::Absent`] naming a path that is not in the snapshot; what reading gives.
pub(super) fn select(open: &OpenLines<'_>, paths: &[RelPath], work: &Path) -> Result<Spool, Error> {
    let mut stand_ins = StandIns::gather(open, find_dangling(open, paths, work)?, work)?;
    let mut spool = SpoolWriter::new(work)?;
    let mut lines = open()?;
    while let Some(line) = lines.next_line()? {
        if !is_selected(&line, paths) {
            continue;
        }
        match line {
            Line::Entry(mut entry) if leads_out(entry.link.as_ref(), paths) => {
                while let Some(role) = stand_ins.take(&entry.path)? {
                    match role {
                        Role::Link(first) => {
                            entry.link = Some(first);
                            spool.write(&Line::Entry(entry.clone()), None)?;
                        }
                        Role::File { line, stored_as } => spool.write(&line, stored_as.as_ref())?,
                    }
                }
            }
            line => spool.write(&line, None)?,
        }
    }
    spool.finish()
}

/// The selected hard links whose first path is not selected.
fn find_dangling(open: &OpenLines<'_>, paths: &[RelPath], work: &Path) -> Result<Dangling, Error> {
    let mut met = vec![false; paths.len()];
    let mut dangling = Dangling::new(work);
    let mut lines = open()?;
    while let Some(line) = lines.next_line()? {
        let Line::Entry(entry) = &line else { continue };
        for (path, met) in paths.iter().zip(&mut met) {
            *met |= entry.path == *path;
        }
        if let Some(first) = &entry.link
            && leads_out(Some(first), paths)
            && is_selected(&line, paths)
        {
            dangling.push(first, &entry.path)?;
        }
    }
    match paths.iter().zip(met).find(|(_, met)| !met) {
        Some((path, _)) => Err(Error::Absent(format!("there is no `{path}` in the snapshot"))),
        None => Ok(dangling),
    }
}

fn leads_out(link: Option<&RelPath>, paths: &[RelPath]) -> bool {
    link.is_some_and(|first| !paths.iter().any(|path| first.is_within(path)))
}

fn is_selected(line: &Line, paths: &[RelPath]) -> bool {
    let path = line.path();
    let leads_there = || matches!(line, Line::Entry(entry) if entry.kind == Kind::Directory) && paths.iter().any(|p| p.is_within(path));
    paths.iter().any(|selected| path.is_within(selected)) || leads_there()
}
