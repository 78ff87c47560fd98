//! All packs, file lists and pack lists of a node beside what is said of them: which bodies name them, which are marked, which are there.
//!
//! Everything is sorted on disk by object. The order of reading is what makes it safe for whoever deletes by it, see [`Inventory::list`]
//! and [`Inventory::name`]. [`record`] is the form on the disk, [`group`] what comes out.

mod bodies;
mod group;
mod record;

use std::collections::BTreeSet;
use std::path::Path;

use super::catalogue::{Catalogue, Shipped};
use super::damage::Problem;
use super::error::chain;
use super::marks::MarkFile;
use super::node::Remote;
use super::obstacle::Obstacle;
use super::pack_lists::PackLists;
use super::{Context, Error, records};
use crate::format::digest::Digest;
use crate::format::key::{Key, NodeKey};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::sys::sorter::Sorter;
pub(super) use group::{Group, Groups};
pub(super) use record::Owner;
use record::{Item, Record};

/// Memory of the sorter; what is more goes to the disk. 80,000 records fit.
const SORT_BUDGET: usize = 4 << 20;

/// Most unknown keys that are named; a bucket that is shared by mistake may hold any number.
const UNKNOWN_MAX: usize = 20;

/// Everything of a node, still to be brought together.
pub(super) struct Inventory {
    records: Sorter,
    lists: PackLists,
    /// Numbers of the node files.
    pub(super) node_files: Vec<u32>,
    /// What rolling verification has noted, by its names.
    pub(super) ledgers: Vec<String>,
    /// Objects that are no packs or lists, and their bytes.
    pub(super) others: (u64, u64),
    /// Keys that this program does not know, at most a few of them.
    pub(super) unknown: Vec<String>,
}

impl Inventory {
    pub(super) fn new(work: &Path) -> Self {
        let (records, lists) = (Sorter::new(work, SORT_BUDGET), PackLists::new(work));
        Self { records, lists, node_files: Vec::new(), ledgers: Vec::new(), others: (0, 0), unknown: Vec::new() }
    }

    /// Lists everything below the node's folder. `marks` were listed before, so what they name and this listing does not have is gone.
    ///
    /// # Errors
    /// What the store gives.
    pub(super) fn list(&mut self, ctx: &Context, remote: &Remote, node: &NodeName) -> Result<(), Error> {
        remote.each_object(ctx, &format!("{node}/"), &mut |object| {
            match Key::parse(&object.key) {
                Some(Key::Of(_, key)) => match Item::of(&key) {
                    Some((item, sealed)) => {
                        let listed = Record::Listed { item, size: object.size, modified: object.modified, sealed };
                        self.records.push(&listed.to_bytes())?;
                    }
                    None => {
                        match key {
                            NodeKey::Node(n) => self.node_files.push(n),
                            NodeKey::Coverage(_) => self.ledgers.push(object.key),
                            _ => {}
                        }
                        self.others = (self.others.0 + 1, self.others.1 + object.size);
                    }
                },
                _ if self.unknown.len() < UNKNOWN_MAX => self.unknown.push(object.key),
                _ => {}
            }
            Ok(())
        })
    }

    /// Reads the marks; a file that has gone meanwhile named nothing that is still there.
    ///
    /// # Errors
    /// [`Error::Damaged`] saying what to do, when nobody knows what a file marks; what concerns the store as a whole.
    pub(super) fn mark(&mut self, ctx: &Context, remote: &Remote, marks: &[MarkFile]) -> Result<(), Error> {
        for (file, marks) in marks.iter().enumerate() {
            ctx.stop.check()?;
            let file = u32::try_from(file).expect("files of marks are far fewer");
            let read = marks.read(remote, &mut |mark| {
                let item = match Key::parse(&mark.object) {
                    Some(Key::Of(_, key)) => Item::of(&key),
                    _ => None,
                };
                let (item, _) = item.expect("nothing else is marked");
                Ok(self.records.push(&Record::Marked { item, file }.to_bytes())?)
            });
            read.map_err(|error| with_advice(error, &marks.key))?;
        }
        Ok(())
    }

    /// Reads every body that is listed, but for those that `skip` names, and all they name: each protects that.
    /// Gives what stands in the way of deleting anything.
    ///
    /// # Errors
    /// What the store gives.
    pub(super) fn name(
        &mut self,
        ctx: &Context,
        remote: &Remote,
        node: &NodeName,
        catalogue: &Catalogue,
        skip: &dyn Fn(&(SourceName, SnapshotId), u32) -> bool,
    ) -> Result<Vec<Obstacle>, Error> {
        let mut obstacles = Vec::new();
        let mut sources: Vec<&SourceName> = catalogue.listed.keys().map(|(source, _)| source).collect();
        sources.dedup();
        for (snapshot, (id, numbers)) in catalogue.listed.iter().enumerate() {
            let source = sources.binary_search(&&id.0).expect("it is among them");
            let owner = Owner::of(source, snapshot);
            for n in numbers.bodies.numbers().filter(|n| !skip(id, *n)) {
                ctx.stop.check()?;
                match bodies::read(remote, node, catalogue, id, n)? {
                    bodies::Read::Body(body) => {
                        for list in &body.lists {
                            self.lists.add(list, &owner.to_bytes())?;
                        }
                    }
                    bodies::Read::Obstacle(obstacle) => obstacles.push(obstacle),
                    bodies::Read::Nothing => {}
                }
            }
        }
        let mut faults = Vec::new();
        let (lists, records) = (std::mem::replace(&mut self.lists, PackLists::new(Path::new(""))), &mut self.records);
        lists.read(ctx, remote, node, &mut |named, packs| {
            let owners = Owner::range(&named.first, &named.last);
            let mut push = |item, stored| -> Result<(), Error> { Ok(records.push(&Record::Named { item, owners, stored }.to_bytes())?) };
            push(Item::List(named.list.list), named.list.stored)?;
            push(Item::PackList(named.list.list), named.list.packs_length)?;
            match packs {
                Ok(packs) => packs.iter().try_for_each(|pack| push(Item::Pack(pack.pack), pack.stored)),
                Err(problem) => {
                    faults.push((named.list.list, problem));
                    Ok(())
                }
            }
        })?;
        if !faults.is_empty() {
            let counting = counting_lists(remote, node, catalogue, &faults)?;
            let faults = faults.into_iter().filter(|(list, _)| counting.contains(list));
            obstacles.extend(faults.map(|(list, problem)| Obstacle::damaged(NodeKey::PackList(list).of(node).to_string(), problem.text)));
        }
        Ok(obstacles)
    }

    /// All of it, object by object.
    ///
    /// # Errors
    /// What the disk gives.
    pub(super) fn groups(self) -> Result<Groups, Error> {
        Ok(Groups::new(self.records.sorted()?))
    }
}

/// What is wrong with a file of marks, and what a person is to do about it.
fn with_advice(error: Error, key: &str) -> Error {
    let problem = match &error {
        Error::Damaged { problem, .. } | Error::Unread { problem, .. } => problem.clone(),
        Error::Unreadable { cause, .. } if error.is_damage() => chain(cause),
        _ => return error,
    };
    let Some(Key::Of(_, record)) = Key::parse(key) else { return error };
    Error::damaged(key, format!("{problem}; {}", records::advice(&record)))
}

/// Which of these lists are named by bodies that no complete manifest of a higher number supersedes: a pack list that only superseded ones
/// name protects nothing that anybody will read, as little as a superseded body that cannot be read. One that is missing counts only for
/// bodies that have a head: whoever is to write the head looks for the list before, and stores it anew with a body of its own.
fn counting_lists(
    remote: &Remote,
    node: &NodeName,
    catalogue: &Catalogue,
    faults: &[(Digest, Problem)],
) -> Result<BTreeSet<Digest>, Error> {
    let mut counting = BTreeSet::new();
    for (id, numbers) in &catalogue.listed {
        let complete = catalogue.snapshots.get(id).map_or(0, Shipped::n);
        for n in numbers.bodies.numbers().filter(|n| *n >= complete) {
            if let bodies::Read::Body(body) = bodies::read(remote, node, catalogue, id, n)? {
                let named: BTreeSet<Digest> = body.lists.iter().map(|list| list.list).collect();
                let has_head =
                    numbers.heads.has(n) || remote.store.stat(&NodeKey::Head(id.0.clone(), id.1, n).of(node).to_string())?.is_some();
                let counts = |problem: &Problem| has_head || *problem != Problem::missing();
                counting.extend(faults.iter().filter(|(list, problem)| named.contains(list) && counts(problem)).map(|(list, _)| *list));
            }
        }
    }
    Ok(counting)
}
