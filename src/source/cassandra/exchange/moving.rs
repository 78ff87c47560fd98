//! Folders of tables move as a whole; files of other folders one by one.

use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::folders::{make_like, make_own_folder};
use super::{STAYS, with_suffix};
use crate::source::Error;
use crate::source::placement::crash;
use crate::source::placement::swap::rename_new_at;
use crate::sys::file::sync_folder;

/// How often what came meanwhile into the folder of one table is kept: nobody starts a node more often while its files change places.
const LATE_MAX: u32 = 100;

/// Whether a folder holds anything but what stays.
pub(super) fn holds_something(folder: &Path, stays: &[&str]) -> Result<bool, Error> {
    let listing = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(false),
        listing => listing.map_err(Error::file("list", folder))?,
    };
    for entry in listing {
        let entry = entry.map_err(Error::file("list", folder))?;
        if !entry.file_name().to_str().is_some_and(|name| stays.contains(&name)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes a table's folder away from where it is live, and leaves one there that holds nothing but what stays. Doing it again goes on where it
/// ended. A node that is started meanwhile finds all of its files or none: of an SSTable without rows it would remove what is left
/// (`ColumnFamilyStore.scrubDataDirectories`).
pub(super) fn take_out(base: &Path, live: &Path, aside: &Path) -> Result<(), Error> {
    if !aside.is_dir() {
        if !holds_something(live, &STAYS)? {
            return Ok(());
        }
        make_own_folder(base, above(aside))?;
        rename(live, aside)?;
        sync(&[live, aside])?;
    }
    make_like(base, live)?;
    stays_move(aside, live)
}

/// Puts a folder in place as a table's live one, with what stays there. What somebody has brought there meanwhile goes to `late`. Doing it again
/// goes on where it ended.
pub(super) fn put_in(base: &Path, ready: &Path, live: &Path, late: &Path) -> Result<(), Error> {
    if !holds_something(ready, &[])? {
        // A table that comes without files. What goes on a way back takes this place.
        return match fs::remove_dir(ready) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::file("remove the folder", ready)(cause)),
            _ => Ok(()),
        };
    }
    stays_move(live, ready)?;
    if holds_something(live, &[])? {
        let late = free(late)?;
        make_own_folder(base, above(&late))?;
        rename(live, &late)?;
        sync(&[&late])?;
    } else if live.exists() {
        fs::remove_dir(live).map_err(Error::file("remove the folder", live))?;
        crash::point();
    }
    make_like(base, above(live))?;
    rename(ready, live)?;
    sync(&[ready, live])
}

/// A path, or, where it is taken, the same with a number after it.
fn free(path: &Path) -> Result<PathBuf, Error> {
    let numbered = (2..=LATE_MAX).map(|number| with_suffix(path, &format!("-{number}")));
    std::iter::once(path.to_owned()).chain(numbered).find(|path| !path.exists()).ok_or_else(|| Error::HalfDone {
        why: format!("{} is there, and {LATE_MAX} times over: look at what lies there, and move it away", path.display()),
    })
}

/// Moves a folder to a name that must be free.
pub(super) fn move_whole(from: &Path, to: &Path) -> Result<(), Error> {
    rename(from, to)?;
    sync(&[from, to])
}

/// What stays goes along with the live folder: as a whole, or what is in it where the other one has begun to keep such things too.
fn stays_move(from: &Path, to: &Path) -> Result<(), Error> {
    for name in STAYS {
        let (from, to) = (from.join(name), to.join(name));
        match rename_new_at(rustix::fs::CWD, from.as_path(), rustix::fs::CWD, to.as_path()) {
            Err(Errno::NOENT) if !from.exists() => {}
            Err(Errno::EXIST) => pour(&from, &to, &|_| true)?,
            moved => {
                moved.map_err(Error::file("move", &from))?;
                crash::point();
                sync(&[&from, &to])?;
            }
        }
    }
    Ok(())
}

/// Moves everything of a folder that `moves` says to another one; nothing where there is no such folder. No file is ever replaced. When this
/// returns without an error, all of it is on the disk.
///
/// However many entries there are, one is in memory. Whether a listing that has begun shows what has been moved since is not said, so it begins
/// anew until there is nothing left.
pub(super) fn pour(from: &Path, to: &Path, moves: &dyn Fn(&DirEntry) -> bool) -> Result<(), Error> {
    loop {
        let listing = match fs::read_dir(from) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
            listing => listing.map_err(Error::file("list", from))?,
        };
        let mut moved = 0_u64;
        for entry in listing {
            let entry = entry.map_err(Error::file("list", from))?;
            if moves(&entry) {
                rename(&entry.path(), &to.join(entry.file_name()))?;
                moved += 1;
            }
        }
        if moved == 0 {
            break;
        }
    }
    // Also when an earlier run has moved all of it and was killed before this.
    for folder in [to, from] {
        if folder.is_dir() {
            sync_folder(folder)?;
        }
    }
    Ok(())
}

/// Moves the files of these names from a folder to another, as far as they are there.
pub(super) fn give_back(from: &Path, to: &Path, names: &[String]) -> Result<(), Error> {
    for name in names {
        if from.join(name).exists() {
            rename(&from.join(name), &to.join(name))?;
        }
    }
    for folder in [to, from] {
        if !names.is_empty() && folder.is_dir() {
            sync_folder(folder)?;
        }
    }
    Ok(())
}

/// Renames to a name that must be free; what is not there any more was moved before.
fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    match rename_new_at(rustix::fs::CWD, from, rustix::fs::CWD, to) {
        Ok(()) => crash::point(),
        // One listing may show an entry twice.
        Err(Errno::NOENT) if !from.exists() && to.exists() => {}
        Err(Errno::EXIST) => {
            let why = format!(
                "{} is there, and so is {}, because somebody has started the node while its files were changing places: look at both, and move away \
                 the one that is not wanted",
                from.display(),
                to.display()
            );
            return Err(Error::HalfDone { why });
        }
        Err(cause) => return Err(Error::file("move", from)(cause)),
    }
    Ok(())
}

/// Makes names that have come or gone in the folders of these paths survive a power cut.
fn sync(paths: &[&Path]) -> Result<(), Error> {
    paths.iter().try_for_each(|path| Ok(sync_folder(above(path))?))
}

fn above(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
