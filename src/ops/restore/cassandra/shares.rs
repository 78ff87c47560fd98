//! Which data directory each SSTable of a snapshot goes to.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::format::entry::{Entry, Kind};
use crate::format::line::Line;
use crate::format::path::RelPath;
use crate::ops::Error;
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
}

/// A data directory that takes files.
#[derive(Clone, Debug)]
pub(super) struct Root {
    /// Its path.
    pub(super) path: PathBuf,
    /// Owner and group of what comes into it.
    pub(super) owner: (u32, u32),
    /// Its permission bits, which folders that come into it get.
    pub(super) mode: u32,
    /// Bytes that are free there, of which those of others on the same filesystem are not counted twice.
    pub(super) free: u64,
}

/// Gives one SSTable after another to the data directory that has most room by then. The same lines are shared alike each time.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    left: Vec<u64>,
    current: Option<(String, usize)>,
}

impl Shares {
    /// With all the room that there is.
    pub(super) fn new(roots: &[Root]) -> Self {
        Self { left: roots.iter().map(|root| root.free).collect(), current: None }
    }

    /// Which of the directories a file goes to. Files of one SSTable follow each other in the order of lines.
    pub(super) fn of(&mut self, member: &Member<'_>, size: u64) -> usize {
        let at = match &self.current {
            Some((sstable, at)) if sstable == member.sstable => *at,
            _ => {
                let most = self.left.iter().enumerate().rev().max_by_key(|(_, left)| **left).map_or(0, |(at, _)| at);
                self.current = Some((member.sstable.to_owned(), most));
                most
            }
        };
        self.left[at] = self.left[at].saturating_sub(size);
        at
    }
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
    pub(super) fn new(lines: Box<dyn Lines>, wanted: &Wanted, roots: &[Root], at: usize) -> Self {
        Self { lines, wanted: wanted.clone(), shares: Shares::new(roots), root: roots[at].clone(), at, keeps: false }
    }

    fn take(&mut self, entry: &Entry) -> Result<bool, Error> {
        let Ok(path) = std::str::from_utf8(entry.path.as_bytes()) else { return Ok(false) };
        if entry.kind == Kind::Directory {
            return Ok(self.is_above(path));
        }
        let Some(member) = Member::of(path).filter(|member| self.wanted.has(member.keyspace, member.folder)) else { return Ok(false) };
        if entry.kind != Kind::File {
            return Err(Error::Refused(format!("`{}` is no file in the snapshot, and Cassandra writes none of another kind", entry.path)));
        }
        Ok(self.shares.of(&member, entry.size) == self.at)
    }

    /// Whether a folder may hold files that are wanted.
    fn is_above(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        match (parts.next(), parts.next()) {
            (Some(keyspace), Some(folder)) => self.wanted.has(keyspace, folder),
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
