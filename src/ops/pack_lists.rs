//! The pack lists of any number of manifests, each read once: what bodies name is sorted on disk by list.

use std::path::Path;

use bytes::Bytes;

use super::ahead::Ahead;
use super::damage::Problem;
use super::error::chain;
use super::node::Remote;
use super::{Context, Error};
use crate::format::body::{ListRef, Role};
use crate::format::digest::Digest;
use crate::format::key::NodeKey;
use crate::format::limits::PACK_LIST_MAX;
use crate::format::names::NodeName;
use crate::format::pack_list::{self, PackRef};
use crate::repository::Request;
use crate::sys::sorter::{Sorted, Sorter};

/// Memory of the sorter; what is more goes to the disk. 15,000 statements fit.
const SORT_BUDGET: usize = 2 << 20;

/// Pack lists that travel at once; nearly all of them are a few kilobytes.
const AHEAD: usize = 8;

/// Length of what a body says of a list, in a record: name, stored size, digest and length of its pack list.
const STATEMENT: usize = 32 + 8 + 32 + 8;

/// File lists as bodies name them, each with a tag of whoever added it.
pub(crate) struct PackLists(Sorter);

/// One file list as at least one body names it. Two bodies that say different things of it give two of these.
pub(crate) struct NamedList {
    /// What the bodies say of it.
    pub(crate) list: ListRef,
    /// The least of the tags that it was added with.
    pub(crate) first: Vec<u8>,
    /// The greatest of them.
    pub(crate) last: Vec<u8>,
}

impl PackLists {
    pub(crate) fn new(work: &Path) -> Self {
        Self(Sorter::new(work, SORT_BUDGET))
    }

    /// Adds a list that a body names.
    pub(crate) fn add(&mut self, list: &ListRef, tag: &[u8]) -> Result<(), Error> {
        let (stored, length) = (list.stored.to_be_bytes(), list.packs_length.to_be_bytes());
        let record = [&list.list.as_bytes()[..], &stored, list.packs_sha256.as_bytes(), &length, tag].concat();
        Ok(self.0.push(&record)?)
    }

    /// Reads the pack list of every list and hands it on, or what is wrong with it.
    ///
    /// # Errors
    /// What concerns the store as a whole, and what `visit` gives.
    pub(crate) fn read(
        self,
        ctx: &Context,
        remote: &Remote,
        node: &NodeName,
        visit: &mut dyn FnMut(NamedList, Result<Vec<PackRef>, Problem>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut lists = Groups { records: self.0.sorted()?, next: None };
        let mut ahead = Ahead::new(&remote.store, AHEAD);
        loop {
            ctx.stop.check()?;
            let mut more = || {
                let request = |named: NamedList| {
                    let key = NodeKey::PackList(named.list.list).of(node).to_string();
                    let at_most = named.list.packs_length.min(PACK_LIST_MAX as u64);
                    (named, Request { key, range: None, at_most })
                };
                Ok(lists.next()?.map(request))
            };
            let Some((named, answer)) = ahead.next(&mut more)? else { return Ok(()) };
            let packs = read_one(&named.list, answer);
            visit(named, packs)?;
        }
    }
}

/// Records with the same statement, as one.
struct Groups {
    records: Sorted,
    next: Option<NamedList>,
}

impl Groups {
    fn next(&mut self) -> Result<Option<NamedList>, Error> {
        while let Some(record) = self.records.next()? {
            let (statement, tag) = record.split_at(STATEMENT);
            let list = list_of(statement);
            match &mut self.next {
                Some(group) if group.list == list => tag.clone_into(&mut group.last),
                next => {
                    let group = NamedList { list, first: tag.to_owned(), last: tag.to_owned() };
                    if let Some(done) = next.replace(group) {
                        return Ok(Some(done));
                    }
                }
            }
        }
        Ok(self.next.take())
    }
}

fn list_of(statement: &[u8]) -> ListRef {
    let digest = |at: usize| Digest::from_bytes(*statement[at..].first_chunk().expect("a statement has all its fields"));
    let number = |at: usize| u64::from_be_bytes(*statement[at..].first_chunk().expect("a statement has all its fields"));
    ListRef { role: Role::Files, list: digest(0), stored: number(32), packs_sha256: digest(40), packs_length: number(72) }
}

fn read_one(list: &ListRef, answer: Result<Bytes, Problem>) -> Result<Vec<PackRef>, Problem> {
    let text = answer?;
    if text.len() as u64 != list.packs_length || Digest::of(&text) != list.packs_sha256 {
        return Err(Problem::damaged("its bytes are not those that the manifest names"));
    }
    pack_list::read(&text).map_err(|cause| Problem::damaged(chain(&cause)))
}
