//! What a folder holds, to the last attribute: so two folders can be compared, and one with a listing that was kept.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use windlass::format::digest::Digest;
use windlass::format::escape::escape;
use windlass::format::path::RelPath;

/// Facts about each path, in path order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing(BTreeMap<RelPath, Vec<(&'static str, String)>>);

impl Listing {
    /// Reads a folder.
    pub fn of(folder: &Path) -> Self {
        let mut paths = Vec::new();
        gather(folder, &RelPath::root(), &mut paths);
        paths.sort();
        let mut first = HashMap::new();
        let mut listing = Self::default();
        for path in paths {
            let mut facts = facts(&full(folder, &path));
            let meta = fs::symlink_metadata(full(folder, &path)).unwrap();
            if !meta.is_dir() && meta.nlink() > 1 {
                let first = first.entry((meta.dev(), meta.ino())).or_insert_with(|| path.clone());
                facts.push(("same", first.to_string()));
            }
            listing.0.insert(path, facts);
        }
        listing
    }

    /// The same without some facts: those that only root can set, or that somebody else cares for.
    pub fn without(mut self, names: &[&str]) -> Self {
        self.0.values_mut().for_each(|facts| facts.retain(|(name, _)| !names.contains(name)));
        self
    }

    /// The same without some paths.
    pub fn without_paths(mut self, paths: &[String]) -> Self {
        self.0.retain(|path, _| !paths.contains(&path.to_escaped()));
        self
    }

    /// What differs, a line for each path and side; empty when nothing does.
    pub fn differences(&self, other: &Self) -> String {
        let mut text = String::new();
        let lines = |listing: &Self, path| listing.0.get(path).map_or_else(|| "nothing".to_owned(), |facts| words(facts));
        for path in self.0.keys().chain(other.0.keys().filter(|path| !self.0.contains_key(path))) {
            if self.0.get(path) != other.0.get(path) {
                writeln!(text, "{path}\n  here:  {}\n  there: {}", lines(self, path), lines(other, path)).unwrap();
            }
        }
        text
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(path, facts)| writeln!(f, "{path} {}", words(facts)))
    }
}

/// Fails with what differs between two folders, unless nothing does. Owners count where they can be given.
pub fn assert_same(expected: &Listing, found: &Listing) {
    let owners: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["owner"] };
    let differences = expected.clone().without(owners).differences(&found.clone().without(owners));
    assert!(differences.is_empty(), "{differences}");
}

fn words(facts: &[(&str, String)]) -> String {
    facts.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn full(folder: &Path, path: &RelPath) -> std::path::PathBuf {
    folder.join(std::ffi::OsString::from_vec(path.as_bytes().to_vec()))
}

fn gather(folder: &Path, path: &RelPath, paths: &mut Vec<RelPath>) {
    paths.push(path.clone());
    if fs::symlink_metadata(full(folder, path)).unwrap().is_dir() {
        for name in fs::read_dir(full(folder, path)).unwrap() {
            gather(folder, &path.join(name.unwrap().file_name().as_bytes()).unwrap(), paths);
        }
    }
}

fn facts(path: &Path) -> Vec<(&'static str, String)> {
    let meta = fs::symlink_metadata(path).unwrap();
    let kind = meta.file_type();
    let mut facts = Vec::new();
    if kind.is_dir() {
        facts.push(("kind", "dir".to_owned()));
    } else if kind.is_symlink() {
        facts.push(("kind", "symlink".to_owned()));
        facts.push(("target", escape(fs::read_link(path).unwrap().as_os_str().as_bytes())));
    } else if kind.is_fifo() {
        facts.push(("kind", "fifo".to_owned()));
    } else {
        assert!(kind.is_file(), "{}", path.display());
        facts.push(("kind", "file".to_owned()));
        facts.push(("size", meta.len().to_string()));
        facts.push(("sha256", Digest::of(&fs::read(path).unwrap()).to_string()));
        facts.push(("sparse", (meta.blocks() * 512 < meta.len()).to_string()));
    }
    if !kind.is_symlink() {
        facts.push(("mode", format!("{:04o}", meta.mode() & 0o7777)));
    }
    facts.push(("owner", format!("{}:{}", meta.uid(), meta.gid())));
    facts.push(("mtime", format!("{},{}", meta.mtime(), meta.mtime_nsec())));
    let attributes = attributes(path);
    if !attributes.is_empty() {
        facts.push(("xattrs", attributes.join(";")));
    }
    facts
}

fn attributes(path: &Path) -> Vec<String> {
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut attributes = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = std::ffi::CString::new(name).unwrap();
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::lgetxattr(path, &name, &mut value[..]).unwrap();
        attributes.push(format!("{}:{}", escape(name.as_bytes()), escape(&value[..length])));
    }
    attributes.sort();
    attributes
}
