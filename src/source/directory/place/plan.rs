//! Which way a tree can be put back.

use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType};

use super::mounts::Mounts;
use super::{Placement, Way};
use crate::format::path::{COMPONENT_MAX, RelPath};
use crate::source::Error;
use crate::source::directory::metadata::file_type;
use crate::source::directory::{Directory, OWN_NAMES};
use crate::sys::folder::Folder;

/// Most mount points inside a tree: a machine has some dozens.
const MOUNTS_MAX: usize = 1024;

/// Finds out how a tree can be put back. Changes nothing; the caller makes `staged`, and the folders above it where they are missing.
///
/// The new tree and the old one lie beside the target as `.NAME.windlass-staging` and `.NAME.windlass-undo` where an exchange of names
/// is possible, else inside it under the two names in [`OWN_NAMES`]. `kept` is a folder that must not move even for a moment, because the
/// journal lies in it: where it is inside the target, it is left alone as a mount point is.
///
/// # Errors
/// [`Error::WrongKind`] when something else than a directory is there; [`Error::Refused`] for the root of the machine;
/// [`Error::File`].
pub fn plan(source: &str, directory: &Directory, kept: Option<&Path>) -> Result<Placement, Error> {
    let (target, found) = resolve(&directory.root)?;
    let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(Error::Refused {
            why: "the root of the machine cannot be put back as a directory; restore into a folder of it".to_owned(),
        });
    };
    let beside = |ending: &[u8]| {
        let name = [b".", name.as_bytes(), ending].concat();
        (name.len() <= COMPONENT_MAX).then(|| parent.join(std::ffi::OsString::from_vec(name)))
    };
    let [staging, undo] = OWN_NAMES;
    let mut mounts = if found.is_some() { Mounts::at(&target)? } else { Mounts::default() };
    let kept = kept.and_then(|kept| kept.canonicalize().ok());
    if let Some(inside) = kept.as_ref().and_then(|kept| kept.strip_prefix(&target).ok()).filter(|inside| !inside.as_os_str().is_empty()) {
        mounts.inside.push(RelPath::new(inside.as_os_str().as_bytes())?);
        mounts.inside.sort();
        mounts.inside.dedup();
    }
    let is_one_filesystem = match &found {
        None => true,
        Some(device) => std::fs::metadata(parent).map_err(Error::file("look at", parent))?.dev() == *device,
    };
    let can_write = found.is_none() || rustix::fs::accessat(CWD, parent, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok();
    let exclude = directory.exclude.patterns().to_vec();
    let placement = |staged, aside, way, mounts| Placement {
        source: source.to_owned(),
        target: target.clone(),
        staged,
        aside,
        way,
        fresh: found.is_none(),
        exclude,
        mounts,
    };
    match (beside(staging), beside(undo)) {
        (Some(staged), Some(aside)) if is_one_filesystem && can_write && !mounts.is_root && mounts.inside.is_empty() => {
            Ok(placement(staged, aside, Way::Whole, Vec::new()))
        }
        _ if found.is_none() => Err(Error::Refused { why: format!("the name of {} is too long to restore to", target.display()) }),
        _ if mounts.inside.len() > MOUNTS_MAX => {
            Err(Error::Refused { why: format!("{} file systems are mounted inside {}", mounts.inside.len(), target.display()) })
        }
        _ => {
            let [staged, aside] = OWN_NAMES.map(|name| target.join(std::ffi::OsStr::from_bytes(name)));
            Ok(placement(staged, aside, Way::Entries, mounts.inside))
        }
    }
}

/// The path without symbolic links, and the device of the directory there, if there is one.
fn resolve(root: &Path) -> Result<(PathBuf, Option<u64>), Error> {
    match std::fs::metadata(root) {
        Ok(found) if !found.is_dir() => Err(Error::WrongKind { path: root.to_owned(), wanted: "a directory" }),
        Ok(found) => Ok((root.canonicalize().map_err(Error::file("find", root))?, Some(found.dev()))),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            if std::fs::symlink_metadata(root).is_ok() {
                return Err(Error::Refused { why: format!("{} is a link that leads nowhere", root.display()) });
            }
            Ok((resolve_missing(root)?, None))
        }
        Err(cause) => Err(Error::file("look at", root)(cause)),
    }
}

/// The nearest folder above that is there is resolved; what is missing is taken as it is written.
fn resolve_missing(path: &Path) -> Result<PathBuf, Error> {
    let path = std::path::absolute(path).map_err(Error::file("find", path))?;
    for above in path.ancestors().skip(1) {
        match above.canonicalize() {
            Ok(found) => return Ok(found.join(path.strip_prefix(above).unwrap_or(&path))),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(Error::file("find", above)(cause)),
        }
    }
    Ok(path)
}

/// Whether the mounts are still those of the plan, and `incoming` leaves them alone.
pub(super) fn check_mounts(placement: &Placement, incoming: &Path) -> Result<(), Error> {
    let now = Mounts::at(&placement.target)?;
    let target = placement.target.display();
    if placement.way == Way::Whole && (now.is_root || !now.inside.is_empty()) {
        return Err(Error::Refused {
            why: format!("something is mounted at or inside {target}, which was not when the restore was planned"),
        });
    }
    if let Some(new) = now.inside.iter().find(|path| !placement.mounts.contains(path)) {
        return Err(Error::Refused {
            why: format!("{new} inside {target} is a mount point, which it was not when the restore was planned"),
        });
    }
    if placement.mounts.is_empty() {
        return Ok(());
    }
    let incoming = Folder::open(incoming)?;
    placement.mounts.iter().try_for_each(|mount| check_mount(mount, &incoming, &placement.target))
}

/// Each folder above a mount point must be a folder in the new tree too, or missing; the mount point itself empty.
fn check_mount(mount: &RelPath, incoming: &Folder, target: &Path) -> Result<(), Error> {
    let refused =
        |why: &str| Error::Refused { why: format!("{mount} is a mount point inside {}, and in the snapshot {why}", target.display()) };
    for (at, _) in mount.as_bytes().iter().enumerate().filter(|(_, byte)| **byte == b'/') {
        match incoming.stat(&mount.as_bytes()[..at]) {
            Ok(stat) if file_type(&stat) == FileType::Directory => {}
            Ok(_) => return Err(refused("something else than a folder is above it")),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(Error::file("look at", target)(cause)),
        }
    }
    match incoming.folder(mount.as_bytes()) {
        Ok(folder) => {
            let is_empty = rustix::fs::Dir::read_from(&*folder)
                .map_err(Error::file("list", target))?
                .all(|entry| entry.is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b"..")));
            if is_empty { Ok(()) } else { Err(refused("it holds files: unmount it, or restore into another folder")) }
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => Err(refused("it is not a folder")),
    }
}
