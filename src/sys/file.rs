//! Files that are there whole or not at all, also after a power cut.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Error;

/// Writes a file that must not be there yet; it appears complete or not at all.
///
/// # Errors
/// [`Error::Io`], also when there is a file of this name: then it is untouched.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = beside(path);
    write_temporary(&temporary, bytes, 0o644)?;
    // A hard link, unlike a rename, refuses a name that is taken.
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary).map_err(Error::io("remove", &temporary))?;
    linked.map_err(Error::io("create", path))?;
    sync_folder(parent(path))
}

/// Writes a file that must not be there yet, readable by the owner alone, on any file system: a memory stick may know no hard links, which
/// [`write_new`] needs. In exchange a kill may leave it incomplete; what fails leaves nothing.
///
/// # Errors
/// [`Error::Io`], also when there is a file of this name: then it is untouched.
pub fn write_new_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(Error::io("create", path))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::io("write", path));
    let done = written.and_then(|()| sync_folder(parent(path)));
    if done.is_err() {
        // What failed before says more than this could.
        let _ = fs::remove_file(path);
    }
    done
}

/// Writes a file in place of the one that may be there; a reader sees the old or the new one.
///
/// # Errors
/// [`Error::Io`]; then the old one is still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace_with_mode(path, bytes, 0o644)
}

/// As [`replace`], readable by the owner alone.
///
/// # Errors
/// As [`replace`].
pub fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace_with_mode(path, bytes, 0o600)
}

/// As [`write_new`], with owner, group and mode of another file.
///
/// # Errors
/// As [`write_new`]; also when this process may not give a file to that owner.
pub fn write_new_like(path: &Path, bytes: &[u8], like: &Metadata) -> Result<(), Error> {
    let temporary = beside(path);
    write_like(&temporary, bytes, like)?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary).map_err(Error::io("remove", &temporary))?;
    linked.map_err(Error::io("create", path))?;
    sync_folder(parent(path))
}

/// As [`replace`], with owner, group and mode of another file.
///
/// # Errors
/// As [`replace`]; also when this process may not give a file to that owner.
pub fn replace_like(path: &Path, bytes: &[u8], like: &Metadata) -> Result<(), Error> {
    let temporary = beside(path);
    write_like(&temporary, bytes, like)?;
    put(&temporary, path)
}

/// Makes names that were created or removed in a folder survive a power cut.
///
/// # Errors
/// [`Error::Io`].
pub fn sync_folder(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(Error::io("sync the folder", path))
}

/// Lets two files or folders of one filesystem change places in one step; false where the filesystem cannot.
///
/// # Errors
/// [`Error::Io`].
pub fn exchange(one: &Path, other: &Path) -> Result<bool, Error> {
    use rustix::io::Errno;
    match rustix::fs::renameat_with(rustix::fs::CWD, one, rustix::fs::CWD, other, rustix::fs::RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
        Err(cause) => Err(Error::io("exchange", one)(cause.into())),
    }
}

fn replace_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let temporary = beside(path);
    write_temporary(&temporary, bytes, mode)?;
    put(&temporary, path)
}

/// Gives what was written its name; what cannot have it is removed.
fn put(temporary: &Path, path: &Path) -> Result<(), Error> {
    let put = fs::rename(temporary, path);
    if put.is_err() {
        // Why it cannot says more than this could.
        let _ = fs::remove_file(temporary);
    }
    put.map_err(Error::io("replace", path))?;
    sync_folder(parent(path))
}

fn write_temporary(temporary: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    // One that a run which died has left, under the same process number, is in nobody's use.
    match fs::remove_file(temporary) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", temporary)(cause)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary).map_err(Error::io("create", temporary))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // A disk that is full is to be no fuller for it.
        let _ = fs::remove_file(temporary);
    }
    written.map_err(Error::io("write", temporary))
}

fn write_like(temporary: &Path, bytes: &[u8], like: &Metadata) -> Result<(), Error> {
    write_temporary(temporary, bytes, 0o600)?;
    let given = File::open(temporary).and_then(|file| {
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            std::os::unix::fs::fchown(&file, Some(like.uid()), Some(like.gid()))?;
        }
        // After the owner, whose change takes some bits of the mode away.
        file.set_permissions(like.permissions())?;
        file.sync_all()
    });
    if given.is_err() {
        // Why it could not be given says more than this could.
        let _ = fs::remove_file(temporary);
    }
    given.map_err(Error::io("give to the owner of the old one", temporary))
}

/// A name beside `path` that only this thread of this process uses.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{:?}.tmp", std::process::id(), std::thread::current().id()));
    path.with_file_name(name)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_private_file_never_replaces_one_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_new_private(&path, b"one").unwrap();
        assert!(write_new_private(&path, b"two").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_new_file_never_replaces_one_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_new(&path, b"one").unwrap();
        assert!(write_new(&path, b"two").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace_private(&path, b"three").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_take_the_place_of_something_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::create_dir_all(path.join("not empty")).unwrap();
        let like = fs::metadata(folder.path()).unwrap();
        for replaced in [replace(&path, b"one"), replace_private(&path, b"one"), replace_like(&path, b"one", &like)] {
            assert!(replaced.is_err());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_written_like_another_has_its_mode_and_owner() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        fs::write(&old, "old").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).unwrap();
        let like = fs::metadata(&old).unwrap();
        write_new_like(&new, b"old", &like).unwrap();
        assert!(write_new_like(&new, b"other", &like).is_err());
        replace_like(&old, b"changed", &like).unwrap();
        let found = [&old, &new].map(|path| (fs::read_to_string(path).unwrap(), fs::metadata(path).unwrap()));
        assert_eq!((found[0].0.as_str(), found[1].0.as_str()), ("changed", "old"));
        assert!(found.iter().all(|(_, meta)| meta.mode() & 0o7777 == 0o640 && meta.uid() == like.uid()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
