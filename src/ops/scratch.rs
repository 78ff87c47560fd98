//! A folder for plain bytes on their way, which does not outlive its run.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::Error;
use crate::sys::lock::Lock;
use crate::sys::random::{Random, hex};
use crate::sys::tree::remove_tree;

/// How the names of such folders begin.
const PREFIX: &str = "windlass-cat-";

/// Random bytes at the end of such a name.
const RANDOM: usize = 8;

/// How often another folder is made when one was taken for a left-over before it could be locked: that once is unlikely enough.
const LOCK_TRIES: u32 = 3;

/// The folder. It is locked where the filesystem can, so that nobody takes it for what a killed run has left; it goes when this goes.
pub(super) struct Scratch {
    path: PathBuf,
    _lock: Option<Lock>,
}

impl Scratch {
    /// An empty one in a folder for temporary files, for the own user alone.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn new(work: &Path, random: &dyn Random) -> Result<Self, Error> {
        for attempt in 0.. {
            let path = work.join(format!("{PREFIX}{}", hex(random, RANDOM)));
            fs::DirBuilder::new().mode(0o700).create(&path).map_err(Error::file("create the folder", &path))?;
            match Lock::of_folder(&path) {
                // Another run has found it in the moment before it was locked, and removes it.
                Ok(None) if attempt < LOCK_TRIES => {}
                locked => return Ok(Self { path, _lock: locked.ok().flatten() }),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run.
        let _ = remove_tree(&self.path);
    }
}

/// Removes what runs that were killed have left in a folder for temporary files: nobody holds its lock. What cannot be removed stays.
pub(super) fn clear_left_overs(work: &Path) {
    let Ok(found) = fs::read_dir(work) else { return };
    let own = rustix::process::geteuid().as_raw();
    for entry in found.filter_map(Result::ok).filter(|entry| is_ours(&entry.file_name())) {
        if entry.metadata().is_ok_and(|meta| meta.uid() == own)
            && let Ok(Some(_lock)) = Lock::of_folder(&entry.path())
        {
            let _ = remove_tree(&entry.path());
        }
    }
}

fn is_ours(name: &OsStr) -> bool {
    let end = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    end.is_some_and(|end| end.len() == 2 * RANDOM && end.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::random::SeededRandom;

    #[test]
    fn what_a_killed_run_has_left_goes_and_what_is_in_use_stays() {
        let work = tempfile::tempdir().unwrap();
        let random = SeededRandom::new(1);
        let used = Scratch::new(work.path(), &random).unwrap();
        fs::write(used.path().join("plain"), b"plain").unwrap();
        let left = work.path().join(format!("{PREFIX}0123456789abcdef"));
        let strange = work.path().join(format!("{PREFIX}of-somebody-else"));
        [&left, &strange].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
        fs::write(left.join("plain"), b"plain").unwrap();
        clear_left_overs(work.path());
        assert!(used.path().join("plain").exists() && !left.exists() && strange.exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }
}
