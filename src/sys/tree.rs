//! Whole trees: removing them, and flushing them.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Error;

/// Removes a file or a folder with all that is in it, however deep and whatever its modes; a path that is not there is fine.
///
/// It works downwards from open folders, so that no length limit applies and no symbolic link is followed.
///
/// # Errors
/// [`Error::Io`]; then part of it may be gone.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    let failed = |cause: Errno| Error::io("remove", path)(cause.into());
    let Some(name) = path.file_name() else {
        return Err(Error::io("remove", path)(io::ErrorKind::InvalidInput.into()));
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match rustix::fs::open(parent, flags, Mode::empty()) {
        Ok(parent) => parent,
        Err(Errno::NOENT) => return Ok(()),
        Err(cause) => return Err(failed(cause)),
    };
    let name = CString::new(name.as_encoded_bytes()).map_err(|_| failed(Errno::INVAL))?;
    match rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(cause) => Err(failed(cause)),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => remove_folder(parent, name).map_err(failed),
        Ok(_) => rustix::fs::unlinkat(&parent, &name, AtFlags::empty()).map_err(failed),
    }
}

/// Folders that are open at once on the way down. Each takes two file descriptors, and a process has 1,024 of them by default.
const LEVELS_MAX: usize = 64;

/// One open folder on the way down, and the name it has in the folder above.
struct Level {
    name: CString,
    above: OwnedFd,
    entries: Dir,
}

fn remove_folder(above: OwnedFd, name: CString) -> Result<(), Errno> {
    let mut levels = vec![enter(above, name)?];
    let mut lifted = 0u64;
    while !levels.is_empty() {
        let depth = levels.len();
        let level = levels.last_mut().expect("the loop has just seen it");
        let Some(entry) = level.entries.next().transpose()? else {
            let done = levels.pop().expect("it was looked at a moment ago");
            match rustix::fs::unlinkat(&done.above, &done.name, AtFlags::REMOVEDIR) {
                // Something may be left when the listing ran beside the removals: look again.
                Err(Errno::NOTEMPTY) => levels.push(enter(done.above, done.name)?),
                other => other?,
            }
            continue;
        };
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let here = level.entries.fd()?;
        match rustix::fs::unlinkat(here, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) if depth >= LEVELS_MAX => {
                // What lies too deep is lifted to the top of the tree, whose listing is looked at again when it turns out not to be empty.
                let (here, name) = (here.try_clone_to_owned().map_err(|_| Errno::MFILE)?, name.to_owned());
                let top = levels[0].entries.fd()?;
                lifted += 1;
                rustix::fs::renameat(&here, &name, top, format!(".windlass-removing-{lifted}"))?;
            }
            Err(Errno::ISDIR | Errno::PERM) => {
                let below = enter(here.try_clone_to_owned().map_err(|_| Errno::MFILE)?, name.to_owned())?;
                levels.push(below);
            }
            Ok(()) | Err(Errno::NOENT) => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

fn enter(above: OwnedFd, name: CString) -> Result<Level, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(&above, &name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(&above, &name, Mode::RWXU, AtFlags::empty())?;
            rustix::fs::openat(&above, &name, flags, Mode::empty())?
        }
        other => other?,
    };
    let stat = rustix::fs::fstat(&fd)?;
    if Mode::from_raw_mode(stat.st_mode) & Mode::RWXU != Mode::RWXU {
        // A folder that its owner may not write cannot be emptied. Somebody else's may be emptied by root all the same.
        let _ = rustix::fs::fchmod(&fd, Mode::from_raw_mode(stat.st_mode) | Mode::RWXU);
    }
    let entries = Dir::new(fd)?;
    Ok(Level { name, above, entries })
}

/// Makes everything written to the filesystem of `path` survive a power cut.
///
/// # Errors
/// [`Error::Io`].
pub fn sync_filesystem(path: &Path) -> Result<(), Error> {
    let folder = std::fs::File::open(path).map_err(Error::io("open", path))?;
    rustix::fs::syncfs(folder.as_fd()).map_err(|cause| Error::io("sync the filesystem of", path)(cause.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_tree_deeper_than_files_can_be_open_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let folder = crate::sys::folder::Folder::open(place.path()).unwrap();
        let mut path = b"d".to_vec();
        for _ in 0..1500 {
            folder.make_directory(&path, 0o700).unwrap();
            path.extend_from_slice(b"/d");
        }
        remove_tree(&place.path().join("d")).unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn removing_a_tree_stops_at_symlinks_and_ignores_modes() {
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), b"x").unwrap();
        let tree = place.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/f"), b"x").unwrap();
        symlink(&outside, tree.join("a/link")).unwrap();
        fs::set_permissions(tree.join("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(tree.join("a"), fs::Permissions::from_mode(0o500)).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && outside.join("kept").exists());
    }
}
