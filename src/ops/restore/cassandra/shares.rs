//! Which data directory each SSTable of a snapshot goes to.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::choice::Choice;
use crate::format::entry::{Entry, Kind};
use crate::format::line::Line;
use crate::format::path::RelPath;
use crate::ops::Error;
use crate::ops::data_folder::DataFolder;
use crate::ops::lists::Lines;
use crate::source::cassandra::Member;

/// The tables of a snapshot that are wanted.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// All of them.
    All,
    /// These, by keyspace and name of their folder in the snapshot.
    Some(Arc<BTreeSet<(String, String)>>),
}

impl Wanted {
    /// Whether a table is wanted.
    pub(super) fn has(&self, keyspace: &str, folder: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(tables) => tables.contains(&(keyspace.to_owned(), folder.to_owned())),
        }
    }

    /// Whether a file is wanted. Indexes with SSTables of their own are built anew: the node cuts them at another moment than their tables, or while they
    /// are being built, and takes whatever comes for the whole.
    pub(super) fn takes(&self, member: &Member<'_>) -> bool {
        !member.is_of_index && self.has(member.keyspace, member.folder)
    }
}

/// A data directory that takes files.
#[derive(Clone, Debug)]
pub(super) struct Root {
    /// Its path.
    pub(super) path: PathBuf,
    /// Its filesystem.
    pub(super) device: u64,
    /// Owner and group of what comes into it.
    pub(super) owner: (u32, u32),
    /// Its permission bits, which folders that come into it get.
    pub(super) mode: u32,
    /// Bytes that are free there, of which those of others on the same filesystem are not counted twice.
    pub(super) free: u64,
}

/// Which data directory each SSTable goes to. It is decided once, because what is live changes while files are put together; all who read the
/// lines of the snapshot share them alike.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    /// For each SSTable, in the order of lines: two bytes of memory.
    chosen: Arc<[u16]>,
    /// Bytes for each directory that lie on its filesystem as they are to be, as far as can be told without reading them.
    pub(super) near: Vec<u64>,
    /// The SSTable whose files are passing by, and how many have passed.
    current: Option<String>,
    passed: usize,
}

impl Shares {
    /// Chooses for each SSTable, as [`Choice`] says.
    pub(super) fn of(lines: &mut dyn Lines, wanted: &Wanted, roots: &[Root], places: &[&DataFolder]) -> Result<Self, Error> {
        let mut choice = Choice::new(roots);
        let (mut chosen, mut current) = (Vec::new(), None::<String>);
        while let Some(line) = lines.next_line()? {
            let Line::Entry(entry) = line else { continue };
            let Some(member) = wanted_member(&entry, wanted) else { continue };
            if current.as_deref() != Some(member.sstable) {
                chosen.extend(current.replace(member.sstable.to_owned()).map(|_| choice.make()));
            }
            choice.add(&entry, &member, places);
        }
        chosen.extend(current.map(|_| choice.make()));
        Ok(Self { chosen: chosen.into(), near: choice.near, current: None, passed: 0 })
    }

    /// How many directories there are.
    pub(super) fn roots(&self) -> usize {
        self.near.len()
    }

    /// Which of the directories a file goes to. Files of one SSTable follow each other in the order of lines.
    pub(super) fn next(&mut self, member: &Member<'_>) -> usize {
        if self.current.as_deref() != Some(member.sstable) {
            self.current = Some(member.sstable.to_owned());
            self.passed += 1;
        }
        self.chosen.get(self.passed - 1).copied().map_or(0, usize::from)
    }
}

/// A file of an SSTable of a table that is wanted.
fn wanted_member<'a>(entry: &'a Entry, wanted: &Wanted) -> Option<Member<'a>> {
    let path = std::str::from_utf8(entry.path.as_bytes()).ok().filter(|_| entry.kind != Kind::Directory)?;
    Member::of(path).filter(|member| wanted.takes(member))
}

/// The lines of a snapshot that go to one data directory: the files of SSTables of wanted tables, and the folders above them, with the owner
/// that they have there.
pub(super) struct OfRoot {
    lines: Box<dyn Lines>,
    wanted: Wanted,
    shares: Shares,
    root: Root,
    at: usize,
    keeps: bool,
}

impl OfRoot {
    pub(super) fn new(lines: Box<dyn Lines>, wanted: &Wanted, shares: &Shares, root: &Root, at: usize) -> Self {
        Self { lines, wanted: wanted.clone(), shares: shares.clone(), root: root.clone(), at, keeps: false }
    }

    fn take(&mut self, entry: &Entry) -> Result<bool, Error> {
        let Ok(path) = std::str::from_utf8(entry.path.as_bytes()) else { return Ok(false) };
        if entry.kind == Kind::Directory {
            return Ok(self.is_above(path));
        }
        let Some(member) = wanted_member(entry, &self.wanted) else { return Ok(false) };
        if entry.kind != Kind::File {
            return Err(Error::Refused(format!("`{}` is no file in the snapshot, and Cassandra writes none of another kind", entry.path)));
        }
        Ok(self.shares.next(&member) == self.at)
    }

    /// Whether a folder may hold files that are wanted.
    fn is_above(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(keyspace), Some(folder), None) => self.wanted.has(keyspace, folder),
            // Of an index, or nothing that Cassandra knows.
            (_, _, Some(_)) => false,
            _ => true,
        }
    }
}

impl Lines for OfRoot {
    fn next_line(&mut self) -> Result<Option<Line>, Error> {
        loop {
            let Some(mut line) = self.lines.next_line()? else { return Ok(None) };
            if let Line::Entry(entry) = &mut line {
                self.keeps = self.take(entry)?;
                (entry.uid, entry.gid) = self.root.owner;
                if entry.kind == Kind::Directory {
                    entry.mode = self.root.mode;
                }
            }
            if self.keeps {
                return Ok(Some(line));
            }
        }
    }

    fn stored_as(&self) -> Option<&RelPath> {
        self.lines.stored_as()
    }
}

#[cfg(test)]
#[path = "shares_tests.rs"]
mod tests;
