//! What of the old state is there when it is put back: it stays, whoever has made it, because a person may have made what was missing.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::connection::{Connection, is_answer, is_invalid_view};
use super::super::load::{Kept, Unmade};
use super::super::object::{Object, ObjectKind, quoted};
use super::Around;
use super::definitions::{self, create, views_of};
use super::make::View;
use super::state::Pair;
use crate::source::Error;

/// What is there, and which views of it are to be made anew: those that cannot be used, because what they select from is missing and comes, and where
/// views were being made when a run ended, all that were not there before. One that was made on a stand-in looks like any other and cannot be written
/// through.
pub(super) fn read(connection: &mut Connection, around: Around<'_>, pair: &Pair) -> Result<Kept, Error> {
    let there = definitions::there(connection, around, pair)?;
    let mut again = BTreeSet::new();
    if pair.table.is_none() {
        let sound = noted(&marker(pair))?;
        for view in connection.column("list the views of", &views_of(&pair.live))? {
            if sound.as_ref().is_some_and(|sound| !sound.contains(&view)) || is_broken(connection, pair, &view)? {
                again.insert(view);
            }
        }
    }
    Ok(Kept { there, again })
}

/// Looks again once something was made; views that have come since are to be made anew.
pub(super) fn refresh(connection: &mut Connection, around: Around<'_>, pair: &Pair, kept: &mut Kept) -> Result<(), Error> {
    let now = definitions::there(connection, around, pair)?;
    let come = now.difference(&kept.there).map(|key| Object::of_key(key)).filter(|one| one.kind == ObjectKind::View);
    kept.again.extend(come.map(|view| view.name));
    kept.there = now;
    Ok(())
}

fn is_broken(connection: &mut Connection, pair: &Pair, view: &str) -> Result<bool, Error> {
    match connection.run("look at a view of", &format!("SHOW FIELDS FROM {}.{}", quoted(&pair.live), quoted(view))) {
        Err(error) if is_answer(&error) => Ok(is_invalid_view(&error)),
        asked => asked.map(|()| false),
    }
}

/// The file that is there while views of the old state are made: the names of those that are as they should be, as JSON.
fn marker(pair: &Pair) -> PathBuf {
    pair.outgoing.definitions.with_extension("making")
}

/// The views that were as they should be before others were made; `None` where none were being made. A file that a kill has cut says of none that it is.
pub(super) fn noted(marker: &Path) -> Result<Option<BTreeSet<String>>, Error> {
    match std::fs::read(marker) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text).unwrap_or_default())),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::file("read", marker)(cause)),
    }
}

/// Notes that views are about to be made, and which of those that are there are as they should be.
pub(super) fn note(marker: &Path, sound: &BTreeSet<String>) -> Result<(), Error> {
    let (mut file, folder) = create(marker)?;
    let text = serde_json::to_vec(sound).expect("names are text");
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(Error::file("write", marker))?;
    Ok(crate::sys::file::sync_folder(folder)?)
}

/// Notes that none are being made any more.
pub(super) fn forget(marker: &Path) -> Result<(), Error> {
    match std::fs::remove_file(marker) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", marker)(cause)),
        _ => Ok(()),
    }
}

/// Notes that views are about to be made, and which are there and stay.
pub(super) fn begin(pair: &Pair, kept: &Kept) -> Result<(), Error> {
    let path = marker(pair);
    if !pair.outgoing.exists || noted(&path)?.is_some() {
        return Ok(());
    }
    note(&path, &views(&kept.there).filter(|view| !kept.again.contains(view)).collect())
}

/// The views among these keys.
pub(super) fn views(keys: &BTreeSet<Vec<u8>>) -> impl Iterator<Item = String> {
    keys.iter().map(|key| Object::of_key(key)).filter(|one| one.kind == ObjectKind::View).map(|view| view.name)
}

/// Notes that those which are there are as they should be.
pub(super) fn end(pair: &Pair) -> Result<(), Error> {
    forget(&marker(pair))
}

/// Whether every view that is there was made as it should be: those that were refused are not there, and all of them are known.
pub(super) fn is_exact(connection: &mut Connection, unmade: &[(String, Unmade)], dropped: &[View]) -> Result<bool, Error> {
    for (live, one) in unmade {
        match &one.makes {
            Some((ObjectKind::View, view)) if connection.column("list the views of", &views_of(live))?.contains(view) => return Ok(false),
            Some(_) => {}
            None => return Ok(false),
        }
    }
    let is_told = |(live, name): &View| {
        unmade.iter().any(|(of, one)| of == live && matches!(&one.makes, Some((ObjectKind::View, view)) if view == name))
    };
    Ok(dropped.iter().all(is_told))
}
