//! Waste: marked first, deleted later.

use jiff::Timestamp;

use super::outcome::Fate;
use super::{MARK_AGE, Outcome};
use crate::format::key::NodeKey;
use crate::format::mark::{self, Mark};
use crate::format::names::NodeName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::inventory::Groups;
use crate::ops::marks::MarkFile;
use crate::ops::node::Remote;
use crate::ops::{Context, Error};
use crate::repository::{Deleted, Deletes};
use crate::sys::random::hex;

/// Marks in one file: about 2.5 MiB of text, far below what a reader accepts, and held in memory until it is written.
const PER_FILE: usize = 16_384;

/// Deletes that travel at once. One after the other would take a day for a million objects at 90 ms each; more than this and a store begins
/// to ask for less.
const IN_FLIGHT: usize = 8;

/// One sweep over a node's part of the repository.
pub(super) struct Sweep<'a> {
    pub(super) ctx: &'a Context,
    pub(super) remote: &'a Remote,
    pub(super) node: &'a NodeName,
    /// The store's clock when the run began.
    pub(super) now: Timestamp,
    /// When the newest head was stored; without one nothing is waste yet.
    pub(super) newest_head: Option<Timestamp>,
    /// The marks, as they were listed when the run began.
    pub(super) files: Vec<MarkFile>,
    pub(super) dry_run: bool,
}

impl Sweep<'_> {
    /// Deletes what was marked long enough ago and is named nowhere, marks what is named nowhere, and removes marks that are done.
    pub(super) fn run(&self, mut groups: Groups, outcome: &mut Outcome) -> Result<(), Error> {
        let mut left = vec![0u64; self.files.len()];
        let mut marks = Vec::new();
        let mut deletes = self.remote.store.deletes(IN_FLIGHT);
        while let Some(group) = groups.next()? {
            self.ctx.stop.check()?;
            let Some(listed) = group.listed else { continue };
            group.marks.iter().for_each(|file| left[*file as usize] += 1);
            if group.named.is_some() {
                outcome.live.add(listed.size);
            } else if group.marks.iter().any(|file| self.is_due(*file)) {
                self.delete(&mut deletes, group.key().of(self.node).to_string(), listed.size, outcome)?;
            } else if !group.marks.is_empty() {
                outcome.waiting.add(listed.size);
                let due = group.marks.iter().filter_map(|file| self.files[*file as usize].since.checked_add(MARK_AGE).ok()).min();
                outcome.next_deletion = [outcome.next_deletion, due].into_iter().flatten().min();
            } else if self.newest_head.is_some_and(|newest| listed.modified < newest) {
                marks.push(Mark { object: group.key().of(self.node).to_string(), stored: listed.size });
                if marks.len() == PER_FILE {
                    self.mark(&mut marks, outcome)?;
                }
            } else {
                outcome.unsettled.add(listed.size);
            }
        }
        self.settle(deletes.drain(), outcome)?;
        self.mark(&mut marks, outcome)?;
        self.remove_done(&left, outcome)
    }

    /// Whether a file of marks is old enough.
    fn is_due(&self, file: u32) -> bool {
        self.now.duration_since(self.files[file as usize].since) >= MARK_AGE
    }

    /// Packs and lists that are marked may go in any order.
    fn delete(&self, deletes: &mut Deletes<u64>, key: String, size: u64, outcome: &mut Outcome) -> Result<(), Error> {
        match outcome.denied {
            Some(_) => outcome.waiting.add(size),
            None if self.dry_run => outcome.deleted.add(size),
            None => return self.settle(deletes.push(key, size), outcome),
        }
        Ok(())
    }

    fn settle(&self, ended: Vec<Deleted<u64>>, outcome: &mut Outcome) -> Result<(), Error> {
        for (size, deleted) in ended {
            match outcome.fate(self.remote, deleted, size)? {
                Fate::Gone => outcome.deleted.add(size),
                Fate::Denied => outcome.waiting.add(size),
                Fate::Locked => {}
            }
        }
        Ok(())
    }

    /// Writes a file of marks. From now on writers treat what it names as absent.
    fn mark(&self, marks: &mut Vec<Mark>, outcome: &mut Outcome) -> Result<(), Error> {
        if !marks.is_empty() && !self.dry_run && outcome.denied.is_none() {
            let name = format!("{}-{}", SnapshotId::from_timestamp(self.ctx.clock.now()), hex(&*self.ctx.random, 8));
            let key = NodeKey::Prune(name).of(self.node).to_string();
            if outcome.fate(self.remote, self.remote.store.create(&key, mark::write(marks).into()), 0)? == Fate::Gone {
                marks.iter().for_each(|mark| outcome.marked.add(mark.stored));
            }
        } else if self.dry_run {
            marks.iter().for_each(|mark| outcome.marked.add(mark.stored));
        }
        marks.clear();
        Ok(())
    }

    /// Removes the files of marks of which nothing was listed any more. What this run has deleted shows in the next one's listing.
    fn remove_done(&self, left: &[u64], outcome: &mut Outcome) -> Result<(), Error> {
        for (file, _) in self.files.iter().zip(left).filter(|(_, left)| **left == 0) {
            self.ctx.stop.check()?;
            if self.dry_run || outcome.denied.is_some() {
                return Ok(());
            }
            outcome.fate(self.remote, self.remote.store.delete(&file.key), 0)?;
        }
        Ok(())
    }
}
