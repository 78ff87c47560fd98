//! Which files are further names of a file that came before.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::format::digest::Digest;
use crate::format::path::RelPath;
use crate::source::Error;
use crate::sys::table::{Table, unlinked};

/// The first path of each file that has several names, on disk: there may be as many as there are files.
#[derive(Debug)]
pub(super) struct Links {
    work: PathBuf,
    /// Where in `paths` the first path lies, and how long it is; length 0 stands for "none yet".
    table: Table,
    paths: File,
    end: u64,
}

/// A file, whatever its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inode {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// What is known of a file with several names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    /// It has not been met.
    New,
    /// It was met, but no name of it holds its bytes.
    Lost,
    /// This name holds its bytes.
    Path(RelPath),
}

impl Links {
    /// Nothing known yet; the table lies in `work`.
    pub(super) fn new(work: &Path) -> Result<Self, Error> {
        Ok(Self { work: work.to_owned(), table: Table::new(work, 12)?, paths: unlinked(work)?, end: 0 })
    }

    /// What is known of this file.
    pub(super) fn get(&self, inode: Inode) -> Result<First, Error> {
        let mut value = [0; 12];
        if self.table.is_empty() || !self.table.get(&key(inode), &mut value)? {
            return Ok(First::New);
        }
        let (offset, length) = value.split_at(8);
        let offset = u64::from_le_bytes(offset.try_into().expect("eight bytes"));
        let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
        if length == 0 {
            return Ok(First::Lost);
        }
        let mut path = vec![0; length as usize];
        self.paths.read_exact_at(&mut path, offset).map_err(Error::file("read a temporary file in", &self.work))?;
        Ok(First::Path(RelPath::new(path)?))
    }

    /// Says that this path holds the file's bytes, or (with the root's empty path) that none does.
    pub(super) fn put(&mut self, inode: Inode, path: &RelPath) -> Result<(), Error> {
        let bytes = path.as_bytes();
        self.paths.write_all_at(bytes, self.end).map_err(Error::file("write a temporary file in", &self.work))?;
        let mut value = [0; 12];
        value[..8].copy_from_slice(&self.end.to_le_bytes());
        value[8..].copy_from_slice(&u32::try_from(bytes.len()).expect("a path is far below 4 GiB").to_le_bytes());
        self.table.put(&key(inode), &value)?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

fn key(inode: Inode) -> [u8; 32] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&inode.device.to_le_bytes());
    bytes[8..].copy_from_slice(&inode.inode.to_le_bytes());
    // The table spreads entries by the first bytes of their keys; inode numbers are anything but spread.
    *Digest::of(&bytes).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_path_is_remembered_and_can_be_lost_and_found() {
        let work = tempfile::tempdir().unwrap();
        let mut links = Links::new(work.path()).unwrap();
        let (a, b) = (Inode { device: 1, inode: 2 }, Inode { device: 2, inode: 1 });
        let path = |text: &str| RelPath::from_escaped(text).unwrap();
        assert_eq!(links.get(a).unwrap(), First::New);
        links.put(a, &path("x/y")).unwrap();
        links.put(b, &path("z")).unwrap();
        assert_eq!(links.get(a).unwrap(), First::Path(path("x/y")));
        links.put(a, &RelPath::root()).unwrap();
        assert_eq!(links.get(a).unwrap(), First::Lost);
        assert_eq!(links.get(b).unwrap(), First::Path(path("z")));
    }
}
