//! Which processes hold files of certain folders: open, or mapped into their memory.
//!
//! A file is told by device and inode, because another mount namespace (a container) has other paths for it: what a process has open counts when
//! the last parts of its path, looked up in one of the folders, lead to the very same file. Another name of it, outside of these folders, does not
//! count: whoever reads a copy that is made of hard links is no user of the folder.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::Error;

/// How many of the last parts of a path are looked up: a file of an index lies four folders deep in a data directory of Cassandra.
const DEPTH: usize = 4;

/// Most processes that are named of each kind.
const NAMED_MAX: usize = 16;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub process: u32,
    /// Its name, as the kernel has it: at most 15 bytes.
    pub name: String,
    /// A file that it holds.
    pub file: PathBuf,
}

/// What a look has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Processes that hold a file, at most 16.
    pub holders: Vec<Holder>,
    /// Ids and names of processes of others that could not be looked at.
    pub unseen: Vec<(u32, String)>,
}

/// Looks at all processes but this one.
///
/// # Errors
/// [`Error::Io`] when the processes cannot be listed.
pub fn holders(folders: &[&Path]) -> Result<Held, Error> {
    let mut held = Held::default();
    let folders: Vec<PathBuf> = folders.iter().map(|folder| folder.canonicalize().unwrap_or_else(|_| (*folder).to_owned())).collect();
    let folders = &folders[..];
    let proc = Path::new("/proc");
    for entry in fs::read_dir(proc).map_err(Error::io("list", proc))? {
        let Some(process) = entry.ok().and_then(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) else { continue };
        if process == std::process::id() {
            continue;
        }
        let place = proc.join(process.to_string());
        // One that ends meanwhile holds nothing.
        let name = fs::read_to_string(place.join("comm")).map(|name| name.trim().to_owned()).unwrap_or_default();
        match file_of(&place, folders) {
            Ok(Some(file)) if held.holders.len() < NAMED_MAX => held.holders.push(Holder { process, name, file }),
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => held.unseen.push((process, name)),
            _ => {}
        }
    }
    Ok(held)
}

/// A file of these folders that a process holds.
fn file_of(place: &Path, folders: &[PathBuf]) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(place.join("fd"))? {
        let link = entry?.path();
        let (Ok(path), Ok(stat)) = (fs::read_link(&link), fs::metadata(&link)) else { continue };
        if let Some(found) = same_file(&path, stat.ino(), Some(stat.dev()), folders) {
            return Ok(Some(found));
        }
    }
    let maps = BufReader::new(fs::File::open(place.join("maps"))?);
    let mut last = String::new();
    for line in maps.lines() {
        // A name that is no text is none of Cassandra's.
        let Ok(line) = line else { break };
        let mut parts = line.splitn(6, ' ');
        let (Some(inode), Some(path)) = (parts.nth(4), parts.next().map(str::trim_start)) else { continue };
        if path.starts_with('/') && path != last {
            // Some filesystems give maps another device than files, so the inode has to do.
            if let Some(found) = inode.parse().ok().and_then(|inode| same_file(Path::new(path), inode, None, folders)) {
                return Ok(Some(found));
            }
            path.clone_into(&mut last);
        }
    }
    Ok(None)
}

/// Whether a path leads to a file here, and out of the folders.
fn is_other_name(path: &Path, inode: u64, folders: &[PathBuf]) -> bool {
    fs::symlink_metadata(path).is_ok_and(|stat| stat.ino() == inode) && !folders.iter().any(|folder| path.starts_with(folder))
}

/// The file of one of the folders that a path of another process leads to.
fn same_file(path: &Path, inode: u64, device: Option<u64>, folders: &[PathBuf]) -> Option<PathBuf> {
    if !path.is_absolute() || is_other_name(path, inode, folders) {
        return None;
    }
    let parts: Vec<Component<'_>> = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    for depth in 1..=DEPTH.min(parts.len()) {
        let below: PathBuf = parts[parts.len() - depth..].iter().collect();
        for folder in folders {
            let candidate = folder.join(&below);
            if let Ok(stat) = fs::symlink_metadata(&candidate)
                && stat.is_file()
                && stat.ino() == inode
                && device.is_none_or(|device| device == stat.dev())
            {
                return Some(candidate);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sys::child::Child;
    use crate::sys::stop::Stop;

    /// A process that holds a file until it is dropped.
    fn hold(file: &Path) -> Child {
        let words = ["sh".to_owned(), "-c".to_owned(), format!("exec 3<'{}'; echo on; sleep 60", file.display())];
        let mut child =
            Child::start(&words, &[("PATH", "/usr/bin:/bin".to_owned())], false, Duration::from_secs(60), &Stop::new()).unwrap();
        child.read(&mut [0; 2]).unwrap();
        child
    }

    #[test]
    fn who_has_a_file_open_is_found_and_who_has_another_name_of_it_open_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let (folder, copy) = (temp.path().join("data"), temp.path().join("copy/ks/t-1"));
        fs::create_dir_all(folder.join("ks/t-1")).unwrap();
        fs::create_dir_all(&copy).unwrap();
        let file = folder.join("ks/t-1/nb-1-big-Data.db");
        fs::write(&file, "x").unwrap();
        fs::hard_link(&file, copy.join("nb-1-big-Data.db")).unwrap();
        let reader = hold(&copy.join("nb-1-big-Data.db"));
        assert_eq!(holders(&[&folder]).unwrap().holders, []);
        drop(reader);
        let child = hold(&file);
        let held = holders(&[&folder]).unwrap();
        assert_eq!((held.holders[0].process, &held.holders[0].file), (child.id(), &file.canonicalize().unwrap()), "{held:?}");
        drop(child);
        assert_eq!(holders(&[&folder]).unwrap().holders, []);
    }

    #[test]
    fn a_file_is_known_by_whatever_path_another_namespace_has_for_it() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().canonicalize().unwrap();
        fs::create_dir_all(folder.join("ks/t-1/.idx")).unwrap();
        let file = folder.join("ks/t-1/.idx/nb-1-big-Data.db");
        fs::write(&file, "x").unwrap();
        let stat = fs::metadata(&file).unwrap();
        let folders = [folder];
        let inside = Path::new("/var/lib/in-a-container/data/ks/t-1/.idx/nb-1-big-Data.db");
        assert_eq!(same_file(inside, stat.ino(), Some(stat.dev()), &folders), Some(file.clone()));
        assert_eq!(same_file(inside, stat.ino(), None, &folders), Some(file));
        assert_eq!(same_file(inside, stat.ino() + 1, None, &folders), None);
        assert_eq!(same_file(inside, stat.ino(), Some(stat.dev() + 1), &folders), None);
        assert_eq!(same_file(Path::new("socket:[1]"), stat.ino(), None, &folders), None);
    }
}
