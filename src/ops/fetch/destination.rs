//! The folder that a fetch fills, and that never looks whole while it is not.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::ops::Error;
use crate::sys::file;
use crate::sys::lock::Lock;
use crate::sys::random::{Random, hex};
use crate::sys::tree::remove_tree;

/// What a folder holds, or how its name ends, while it is being filled.
const MARK: &str = ".windlass-partial-";

/// Random bytes at the end of such a name.
const RANDOM: usize = 4;

/// How often another folder is made when one was taken for a left-over before it could be locked: that once is unlikely enough.
const LOCK_TRIES: u32 = 3;

/// A folder that is being filled.
pub(super) struct Destination {
    /// The folder that was asked for.
    to: PathBuf,
    filling: Filling,
}

enum Filling {
    /// A hidden folder beside it, which takes its name at the end. It is locked where the filesystem can, so that no other fetch takes
    /// it for a left-over.
    Beside(PathBuf, #[expect(dead_code, reason = "held until the folder has its name")] Option<Lock>),
    /// The folder itself, which holds this mark meanwhile.
    Inside(PathBuf),
}

impl Destination {
    /// Refuses a folder that cannot be filled; true when it is there already.
    ///
    /// # Errors
    /// [`Error::Refused`] when it holds anything or is no folder.
    pub(super) fn check(to: &Path) -> Result<bool, Error> {
        let refused = |why: &str| Err(Error::Refused(format!("{} {why}; fetch fills an empty or a new folder", to.display())));
        match fs::read_dir(to) {
            Ok(mut names) => match names.next() {
                None => Ok(true),
                Some(name) => {
                    let name = name.map_err(Error::file("read the folder", to))?.file_name();
                    let left = name.to_string_lossy().starts_with(MARK);
                    refused(if left { "holds what a broken fetch has left: empty it" } else { "is not empty" })
                }
            },
            Err(cause) if cause.kind() == ErrorKind::NotFound && fs::symlink_metadata(to).is_err() => Ok(false),
            Err(cause) if cause.kind() == ErrorKind::NotFound => refused("is a symbolic link to nothing"),
            Err(cause) if cause.kind() == ErrorKind::NotADirectory => refused("is not a folder"),
            Err(cause) => Err(Error::file("read the folder", to)(cause)),
        }
    }

    /// Makes what is needed to begin.
    ///
    /// # Errors
    /// As [`Destination::check`]; [`Error::File`] when nothing can be made there.
    pub(super) fn begin(to: &Path, random: &dyn Random) -> Result<Self, Error> {
        clear_left_overs(to);
        let mark = format!("{MARK}{}", hex(random, RANDOM));
        if Self::check(to)? {
            let mark = to.join(mark);
            fs::write(&mark, "A fetch is filling this folder, or was broken off: what is here is not complete.\n")
                .map_err(Error::file("write", &mark))?;
            return Ok(Self { to: to.to_owned(), filling: Filling::Inside(mark) });
        }
        let name = to.file_name().ok_or_else(|| Error::Usage(format!("{} is no name for a new folder", to.display())))?;
        let parent = parent(to);
        fs::create_dir_all(parent).map_err(Error::file("create the folder", parent))?;
        for attempt in 0.. {
            let mut beside = hidden(name);
            beside.push(hex(random, RANDOM));
            let beside = parent.join(beside);
            fs::DirBuilder::new().mode(0o700).create(&beside).map_err(Error::file("create the folder", &beside))?;
            match Lock::of_folder(&beside) {
                // Another fetch has found it in the moment before it was locked, and removes it.
                Ok(None) if attempt < LOCK_TRIES => {}
                locked => return Ok(Self { to: to.to_owned(), filling: Filling::Beside(beside, locked.ok().flatten()) }),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// The folder to put files into.
    pub(super) fn folder(&self) -> &Path {
        match &self.filling {
            Filling::Beside(folder, _) => folder,
            Filling::Inside(_) => &self.to,
        }
    }

    /// Takes away what says that the folder is not complete. To be called when everything is in it, verified and on the disk.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn unmark(&self) -> Result<(), Error> {
        match &self.filling {
            Filling::Beside(..) => Ok(()),
            Filling::Inside(mark) => fs::remove_file(mark).map_err(Error::file("remove", mark)),
        }
    }

    /// Gives the folder its name when it was filled, and removes all that was made when not.
    ///
    /// # Errors
    /// What filling it gave; [`Error::File`] when the name has been taken meanwhile.
    pub(super) fn end<T>(self, filled: Result<T, Error>) -> Result<T, Error> {
        let filled = filled.and_then(|filled| match &self.filling {
            Filling::Inside(_) => Ok(filled),
            Filling::Beside(folder, _) => {
                // A folder never takes the place of a file or of a folder that holds anything.
                fs::rename(folder, &self.to).map_err(Error::file("rename to its final name", folder))?;
                file::sync_folder(parent(&self.to))?;
                Ok(filled)
            }
        });
        if filled.is_err() {
            // The failure is what matters; what cannot be removed is still marked as incomplete.
            let _ = self.clear();
        }
        filled
    }

    fn clear(&self) -> Result<(), Error> {
        let Filling::Inside(mark) = &self.filling else { return Ok(remove_tree(self.folder())?) };
        for name in fs::read_dir(&self.to).map_err(Error::file("read the folder", &self.to))? {
            let path = name.map_err(Error::file("read the folder", &self.to))?.path();
            if path != *mark {
                remove_tree(&path)?;
            }
        }
        // Last, so that the folder is marked for as long as it holds anything.
        Ok(remove_tree(mark)?)
    }
}

/// The beginning of the names of hidden folders beside a target of this name.
fn hidden(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(MARK);
    hidden
}

/// Removes hidden folders that fetches to the same target have left when they were killed: nobody holds their lock. What cannot be
/// removed is in nobody's way and stays.
fn clear_left_overs(to: &Path) {
    let Some(name) = to.file_name() else { return };
    let Ok(found) = fs::read_dir(parent(to)) else { return };
    let hidden = hidden(name);
    let is_left_over = |found: &OsStr| {
        found.as_bytes().strip_prefix(hidden.as_bytes()).is_some_and(|end| end.len() == 2 * RANDOM && end.iter().all(u8::is_ascii_hexdigit))
    };
    for entry in found.filter_map(Result::ok).filter(|entry| is_left_over(&entry.file_name())) {
        if let Ok(Some(_lock)) = Lock::of_folder(&entry.path()) {
            let _ = remove_tree(&entry.path());
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
