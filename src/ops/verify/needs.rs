//! What the manifests need, gathered on disk in the orders in which it is looked at.

use std::path::Path;

use super::report::Report;
use crate::format::body::{Body, Role};
use crate::format::digest::Digest;
use crate::format::names::NodeName;
use crate::ops::node::Remote;
use crate::ops::pack_lists::PackLists;
use crate::ops::{Context, Error};
use crate::sys::sorter::Sorter;

/// Memory of each sorter; what is more goes to the disk. 15,000 objects fit.
const SORT_BUDGET: usize = 2 << 20;

/// How an object of the repository came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// The store lists it.
    Listed,
    /// A snapshot needs it.
    Needed,
    /// A manifest that another one has superseded names it: it is not waste, and it may be damaged.
    Named,
}

/// Everything that is needed or listed.
pub(super) struct Needs {
    /// Objects by key: NUL, how seen, size, snapshot.
    objects: Sorter,
    /// Lists by name, each with what its bodies say of it.
    lists: Option<PackLists>,
    /// Lists of each snapshot and role, in order.
    sequence: Sorter,
    /// Packs by name, with size and snapshot.
    packs: Sorter,
    snapshots: u32,
    node: NodeName,
}

/// One record of [`Needs::objects`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) seen: Seen,
    pub(super) size: u64,
    pub(super) snapshot: String,
}

impl Object {
    fn to_record(&self) -> Vec<u8> {
        [self.key.as_bytes(), &[0, self.seen as u8], &self.size.to_be_bytes(), self.snapshot.as_bytes()].concat()
    }

    pub(super) fn from_record(record: &[u8]) -> Self {
        let end = record.iter().position(|byte| *byte == 0).expect("a key ends with NUL");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let seen = match record[end + 1] {
            0 => Seen::Listed,
            1 => Seen::Needed,
            _ => Seen::Named,
        };
        let size = u64::from_be_bytes(*record[end + 2..].first_chunk().expect("a record has a size"));
        Self { key: text(&record[..end]), seen, size, snapshot: text(&record[end + 10..]) }
    }
}

/// A pack or a list of the sequence: its name, its stored size, and a snapshot that needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: Digest,
    pub(super) stored: u64,
    pub(super) snapshot: String,
}

impl Named {
    fn to_record(&self) -> Vec<u8> {
        [&self.name.as_bytes()[..], &self.stored.to_be_bytes(), self.snapshot.as_bytes()].concat()
    }

    pub(super) fn from_record(record: &[u8]) -> Self {
        let (name, rest) = record.split_first_chunk().expect("a record begins with a digest");
        let (stored, snapshot) = rest.split_first_chunk().expect("a record has a size");
        let snapshot = String::from_utf8_lossy(snapshot).into_owned();
        Self { name: Digest::from_bytes(*name), stored: u64::from_be_bytes(*stored), snapshot }
    }
}

impl Needs {
    pub(super) fn new(work: &Path, node: &NodeName) -> Self {
        let sorter = || Sorter::new(work, SORT_BUDGET);
        let lists = Some(PackLists::new(work));
        Self { objects: sorter(), lists, sequence: sorter(), packs: sorter(), snapshots: 0, node: node.clone() }
    }

    /// The objects that were gathered.
    pub(super) fn take_objects(&mut self) -> Sorter {
        taken(&mut self.objects)
    }

    /// The packs that are needed, by name; the same one may come several times.
    pub(super) fn take_packs(&mut self) -> Sorter {
        taken(&mut self.packs)
    }

    /// The needed lists, in the order of the snapshots.
    pub(super) fn take_sequence(&mut self) -> Sorter {
        taken(&mut self.sequence)
    }

    /// Adds an object by its key.
    pub(super) fn object(&mut self, key: String, seen: Seen, size: u64, snapshot: &str) -> Result<(), Error> {
        Ok(self.objects.push(&Object { key, seen, size, snapshot: snapshot.to_owned() }.to_record())?)
    }

    /// Adds the lists of a body.
    pub(super) fn body(&mut self, body: &Body, seen: Seen, snapshot: &str) -> Result<(), Error> {
        for (position, list) in body.lists.iter().enumerate() {
            // The least tag is that of a snapshot that needs the list, if there is one.
            let tag = [&[seen as u8], snapshot.as_bytes()].concat();
            self.lists.as_mut().expect("nothing is added once the lists are read").add(list, &tag)?;
            if seen == Seen::Needed {
                let role = u8::from(list.role == Role::Facts);
                let position = u32::try_from(position).expect("a body has at most 64 MiB");
                let order = [&self.snapshots.to_be_bytes()[..], &[role], &position.to_be_bytes()].concat();
                let named = Named { name: list.list, stored: list.stored, snapshot: snapshot.to_owned() };
                self.sequence.push(&[order, named.to_record()].concat())?;
            }
        }
        self.snapshots += 1;
        Ok(())
    }

    /// Reads the pack list of every list, each once, and adds lists, pack lists and packs as objects.
    pub(super) fn read_pack_lists(&mut self, ctx: &Context, remote: &Remote, report: &mut Report) -> Result<(), Error> {
        let (lists, node) = (self.lists.take().expect("they are read once"), self.node.clone());
        let objects = remote.objects(&node);
        lists.read(ctx, remote, &node, &mut |named, packs| {
            let list = named.list;
            let seen = if named.first[0] == Seen::Needed as u8 { Seen::Needed } else { Seen::Named };
            let snapshot = String::from_utf8_lossy(&named.first[1..]).into_owned();
            let key = objects.pack_list(list.list).to_string();
            self.object(objects.file_list(list.list).to_string(), seen, list.stored, &snapshot)?;
            self.object(key.clone(), seen, list.packs_length, &snapshot)?;
            match packs {
                Ok(packs) => {
                    for pack in packs {
                        self.object(objects.pack(pack.pack).to_string(), seen, pack.stored, &snapshot)?;
                        if seen == Seen::Needed {
                            let named = Named { name: pack.pack, stored: pack.stored, snapshot: snapshot.clone() };
                            self.packs.push(&named.to_record())?;
                        }
                    }
                }
                Err(problem) if seen == Seen::Needed => report.fault(key, Some(&snapshot), problem),
                Err(_) => {}
            }
            Ok(())
        })
    }
}

/// What was gathered; nothing is gathered after that.
fn taken(sorter: &mut Sorter) -> Sorter {
    std::mem::replace(sorter, Sorter::new(Path::new(""), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_sort_with_the_listing_first() {
        let object = |seen| Object { key: "n/packs/x".into(), seen, size: 7, snapshot: "s/1".into() };
        let records: Vec<_> = [Seen::Listed, Seen::Needed, Seen::Named].map(object).iter().map(Object::to_record).collect();
        assert!(records.is_sorted());
        assert_eq!(Object::from_record(&records[1]), object(Seen::Needed));
        let named = Named { name: Digest::of(b"x"), stored: 1 << 40, snapshot: "s/1".into() };
        assert_eq!(Named::from_record(&named.to_record()), named);
    }
}
