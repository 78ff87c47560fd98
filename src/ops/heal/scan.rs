//! Which snapshots are damaged in the repository: those that need something which is not there or known to be damaged.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::stock::{Stock, problem_of};
use crate::format::body::Body;
use crate::format::check::Check;
use crate::format::head::Head;
use crate::format::key::{Key, NodeKey};
use crate::format::limits::HEAD_MAX;
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::catalogue::{self, Catalogue, Shipped};
use crate::ops::error::chain;
use crate::ops::lists::read_own_body;
use crate::ops::node::Remote;
use crate::ops::ship::{Object, UsedNumbers};
use crate::ops::{Context, Error, lost, records, removals, verify};

/// Most damaged objects that are named of one snapshot.
const NAMED: usize = 20;

/// Most numbers of one snapshot that are looked at: heal writes one each time something was damaged.
const NUMBERS_MAX: usize = 16;

/// An object that is not what a snapshot needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ill {
    /// Its key.
    pub object: String,
    /// What is wrong with it.
    pub problem: String,
}

/// A snapshot that is damaged in the repository.
#[derive(Debug)]
pub(super) struct Patient {
    pub(super) source: SourceName,
    pub(super) id: SnapshotId,
    /// The manifest that counts; `None` when none is complete.
    pub(super) shipped: Option<Shipped>,
    /// The first damaged objects.
    pub(super) ill: Vec<Ill>,
    /// The highest number that is used.
    pub(super) used: u32,
}

impl Patient {
    fn add(&mut self, object: impl Into<String>, problem: impl Into<String>) {
        let object = object.into();
        if self.ill.len() < NAMED && self.ill.iter().all(|ill| ill.object != object) {
            self.ill.push(Ill { object, problem: problem.into() });
        }
    }

    /// The heads that say what the snapshot is, highest number first: those that are stored, and those that this node remembers. A body
    /// that none of them names may be anybody's.
    pub(super) fn heads(&self, ctx: &Context, remote: &Remote) -> Vec<Head> {
        let stored = self.shipped.iter().flat_map(|shipped| std::iter::once(&*shipped.head).chain(&shipped.lower));
        let mut heads: BTreeMap<u32, Head> = stored.map(|head| (head.n, head.clone())).collect();
        for n in (1..=self.used).rev().take(NUMBERS_MAX) {
            let key = NodeKey::Head(self.source.clone(), self.id, n).of(&ctx.node).to_string();
            if let (false, Some(head)) = (heads.contains_key(&n), catalogue::remembered(ctx, remote, &key)) {
                heads.insert(n, head);
            }
        }
        heads.into_values().rev().take(NUMBERS_MAX).collect()
    }
}

/// What was seen.
pub(super) struct Scan {
    pub(super) catalogue: Catalogue,
    /// Damaged snapshots, oldest first within a source.
    pub(super) patients: Vec<Patient>,
    /// Objects with a verdict that manifests which count need.
    needed: BTreeSet<String>,
    /// Whether it is known of all snapshots what they need.
    complete: bool,
}

impl Scan {
    /// Looks at every snapshot.
    pub(super) fn of(ctx: &Context, remote: &Remote, stock: &mut Stock<'_>, dry_run: bool) -> Result<Self, Error> {
        let read = if dry_run { Catalogue::glance } else { Catalogue::read };
        let catalogue = read(ctx, remote, &ctx.node, None)?;
        let mut gone = Gone::default();
        let mut patients = unread(ctx, remote, &catalogue, &mut gone)?;
        let mut scan = Self { catalogue: Catalogue::default(), patients: Vec::new(), needed: BTreeSet::new(), complete: true };
        for (key, shipped) in &catalogue.snapshots {
            ctx.stop.check()?;
            let known = patients.remove(key);
            let used = used_number(ctx, remote, &catalogue, key)?;
            let new = || Patient { source: key.0.clone(), id: key.1, shipped: None, ill: Vec::new(), used };
            let mut patient = known.unwrap_or_else(new);
            patient.shipped = Some(shipped.clone());
            scan.look_at(remote, stock, shipped, &mut patient, ctx)?;
            // What is being removed is not written again.
            if !patient.ill.is_empty() && !gone.has(ctx, remote, &key.0, key.1)? {
                patients.insert(key.clone(), patient);
            }
        }
        scan.complete &= patients.values().all(|patient| patient.shipped.is_some());
        scan.patients = patients.into_values().collect();
        scan.catalogue = catalogue;
        Ok(scan)
    }

    fn look_at(
        &mut self,
        remote: &Remote,
        stock: &mut Stock<'_>,
        shipped: &Shipped,
        patient: &mut Patient,
        ctx: &Context,
    ) -> Result<(), Error> {
        let key = shipped.head_key();
        self.need(stock, &key);
        // The head may be the one that is cached; the stored one is read when there is doubt.
        if stock.known.get(&key).is_some() {
            let same = |text: &[u8]| match Head::from_text(text) {
                Ok(head) if head == *shipped.head => Ok(()),
                Ok(_) => Err("it differs from what this node has read there before".to_owned()),
                Err(cause) => Err(chain(&cause)),
            };
            match problem_of(remote, &key, HEAD_MAX, &same)? {
                Some(problem) => patient.add(&key, problem),
                None => stock.is_sound(&key),
            }
        }
        let key = shipped.body_key();
        self.need(stock, &key);
        let body = match read_own_body(remote, &shipped.head) {
            Ok(body) => body,
            Err(error) if error.is_of_one_object() => {
                let problem = what(&error);
                if error.is_damage() {
                    stock.is_damaged(&key, &problem);
                }
                patient.add(&key, problem);
                self.complete = false;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        stock.is_sound(&key);
        self.look_at_lists(remote, stock, &body, patient, ctx)
    }

    fn look_at_lists(
        &mut self,
        remote: &Remote,
        stock: &mut Stock<'_>,
        body: &Body,
        patient: &mut Patient,
        ctx: &Context,
    ) -> Result<(), Error> {
        let objects = remote.objects(&ctx.node);
        for list in &body.lists {
            let key = objects.file_list(list.list).to_string();
            self.need(stock, &key);
            if let Some(problem) = stock.problem(Object::List(list.list), list.stored)? {
                stock.is_damaged(&key, &problem);
                patient.add(&key, problem);
            }
            let key = objects.pack_list(list.list).to_string();
            self.need(stock, &key);
            let packs = match stock.pack_list(list)? {
                Ok(packs) => packs,
                Err(problem) => {
                    stock.is_damaged(&key, &problem);
                    patient.add(&key, problem);
                    self.complete = false;
                    continue;
                }
            };
            for pack in packs {
                let key = objects.pack(pack.pack).to_string();
                self.need(stock, &key);
                if let Some(problem) = stock.problem(Object::Pack(pack.pack), pack.stored)? {
                    stock.is_damaged(&key, &problem);
                    patient.add(&key, problem);
                }
            }
        }
        Ok(())
    }

    fn need(&mut self, stock: &Stock<'_>, key: &str) {
        if stock.known.get(key).is_some() {
            self.needed.insert(key.to_owned());
        }
    }

    /// Verdicts on damaged objects that nothing which counts needs any more; none when not all is known of what is needed.
    pub(super) fn superseded(&self, stock: &Stock<'_>) -> Vec<Check> {
        // Of the marker, the node files and the records nothing can take the place.
        let is_own = |key: &NodeKey| !matches!(key, NodeKey::Node(_)) && !records::is_record(key);
        let of_snapshots = |check: &&Check| matches!(Key::parse(&check.object), Some(Key::Of(_, key)) if is_own(&key));
        let unneeded = stock.known.iter().filter(|check| self.complete && !self.needed.contains(&check.object));
        unneeded.filter(of_snapshots).filter_map(verify::superseded).collect()
    }
}

type Patients = BTreeMap<(SourceName, SnapshotId), Patient>;

/// Snapshots with a manifest that cannot be used, or whose manifest is lost; not those that were removed on purpose.
fn unread(ctx: &Context, remote: &Remote, catalogue: &Catalogue, gone: &mut Gone) -> Result<Patients, Error> {
    let lost = lost::find(ctx, remote, catalogue, &ctx.node)?;
    let found = catalogue.findings.iter().filter(|finding| !finding.unknown && !catalogue.is_superseded(finding));
    let found = found.map(|finding| (finding.object.clone(), finding.problem.clone()));
    let all = found.chain(lost.into_iter().map(|lost| (lost.object, lost.problem)));
    let mut patients = Patients::new();
    for (object, problem) in all {
        let Some(Key::Of(_, NodeKey::Head(source, id, n) | NodeKey::Body(source, id, n))) = Key::parse(&object) else { continue };
        let key = (source.clone(), id);
        if gone.has(ctx, remote, &source, id)? {
            continue;
        }
        let used = used_number(ctx, remote, catalogue, &key)?;
        let new = Patient { source, id, shipped: None, ill: Vec::new(), used: used.max(n) };
        patients.entry(key).or_insert(new).add(object, problem);
    }
    Ok(patients)
}

/// The highest number that is used for a snapshot, also when what lay under it is gone.
fn used_number(ctx: &Context, remote: &Remote, catalogue: &Catalogue, key: &(SourceName, SnapshotId)) -> Result<u32, Error> {
    Ok(catalogue.highest_number(key).max(UsedNumbers::highest_known(ctx, remote, &key.0, key.1)?))
}

/// Snapshots that were removed on purpose, by source, listed when first asked for.
#[derive(Default)]
struct Gone(BTreeMap<SourceName, BTreeSet<SnapshotId>>);

impl Gone {
    fn has(&mut self, ctx: &Context, remote: &Remote, source: &SourceName, id: SnapshotId) -> Result<bool, Error> {
        if !self.0.contains_key(source) {
            self.0.insert(source.clone(), removals::of_source(remote, &ctx.node, source)?);
        }
        Ok(self.0[source].contains(&id))
    }
}

/// What is wrong, without the name of the object.
fn what(error: &Error) -> String {
    match error {
        Error::Damaged { problem, .. } | Error::Unread { problem, .. } => problem.clone(),
        Error::Unreadable { cause, .. } => chain(cause),
        other => chain(other),
    }
}
