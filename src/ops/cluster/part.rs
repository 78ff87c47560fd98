//! What lies in the repository of one node: read once, one snapshot at a time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::judge::{self, Age, Choice};
use super::missing::Missing;
use super::words::Words;
use super::{NodeStatus, SourceStatus};
use crate::format::key::NodeKey;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::ops::catalogue::Shipped;
use crate::ops::copies::FUTURE;
use crate::ops::error::chain;
use crate::ops::manifests::{Judged, Manifests};
use crate::ops::node::Remote;
use crate::ops::rolling::{Covered, Ledger};
use crate::ops::verify::{self, Recorded};
use crate::ops::{Context, Error};

/// How many of a source's newest snapshots are looked through for a sound one. When all of these are damaged, what is before them is older
/// than any objective that fits how often snapshots are taken.
pub(super) const NEWEST: usize = 16;

/// What becomes of damage that is known.
const MENDING: &str = "`windlass heal` on the node makes snapshots sound again whose bytes lie intact somewhere else";

/// What the manifests tell of one source.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Its newest snapshots that are not from the future; `None` = damaged, so that no manifest of it is complete.
    pub(super) newest: BTreeMap<SnapshotId, Option<Shipped>>,
    /// What is wrong.
    pub(super) words: Words,
}

/// One node's part of a repository.
pub(super) struct Part<'a> {
    ctx: &'a Context,
    remote: &'a Remote,
    node: &'a NodeName,
    now: Timestamp,
    sources: BTreeMap<SourceName, Seen>,
    last_seen: Option<Timestamp>,
    /// Whether anything says that there is a node of this name.
    is_known: bool,
    /// The number of its highest node file.
    node_file: Option<u32>,
    /// Whether manifests of it are there.
    has_manifests: bool,
    missing: Missing,
    recorded: Recorded,
    coverage: Option<Covered>,
    /// Objects of which it is said already that something is wrong with them.
    told: BTreeSet<String>,
    words: Words,
}

impl<'a> Part<'a> {
    /// Reads it; `None` when nothing there is a node's. `is_out`: sources that are left out.
    ///
    /// # Errors
    /// What the store gives. What is damaged is told, and no error.
    pub(super) fn read(
        ctx: &'a Context,
        remote: &'a Remote,
        node: &'a NodeName,
        now: Timestamp,
        is_out: &mut dyn FnMut(&SourceName) -> bool,
    ) -> Result<Option<Self>, Error> {
        let mut part = Self {
            ctx,
            remote,
            node,
            now,
            sources: BTreeMap::new(),
            last_seen: None,
            is_known: false,
            node_file: None,
            has_manifests: false,
            missing: Missing::default(),
            recorded: Recorded::default(),
            coverage: None,
            told: BTreeSet::new(),
            words: Words::default(),
        };
        part.read_node_file()?;
        let manifests = Manifests { ctx, remote, node, source: None, keeps: true };
        let unknown = manifests.each(&mut |judged| {
            part.take(judged, is_out);
            Ok(())
        })?;
        for finding in unknown {
            part.words.push(format!("{}: {}", finding.object, finding.problem));
        }
        if part.is_known || part.stored_data()? {
            part.find_missing(is_out)?;
            part.recorded = verify::recorded(remote, node, NEWEST)?;
            part.read_coverage()?;
            return Ok(Some(part));
        }
        Ok(None)
    }

    /// Looks at the node file with the highest number.
    fn read_node_file(&mut self) -> Result<(), Error> {
        let highest = self.remote.highest_node_file_of(self.node)?;
        self.is_known = highest.is_some();
        self.node_file = highest.as_ref().map(|(n, _)| *n);
        match highest {
            Some((_, Ok(file))) if file.node == *self.node => {}
            Some((n, Ok(file))) => {
                let text = format!("{}: it speaks of the node `{}`", NodeKey::Node(n).of(self.node), file.node);
                self.words.push(text);
            }
            Some((_, Err(error))) => self.words.push(chain(&error)),
            None => {}
        }
        Ok(())
    }

    /// Takes what is listed of one snapshot.
    fn take(&mut self, judged: Judged, is_out: &mut dyn FnMut(&SourceName) -> bool) {
        (self.is_known, self.has_manifests) = (true, true);
        let stored = judged.numbers.heads.iter().chain(judged.numbers.bodies.iter()).map(|(_, stored)| stored.modified).max();
        self.last_seen = self.last_seen.max(stored);
        let (source, id) = &judged.id;
        if !judged.numbers.heads.is_empty() {
            self.missing.is_listed(source, *id);
        }
        if let Some(shipped) = &judged.shipped {
            self.missing.names(&shipped.head);
        }
        if is_out(source) {
            return;
        }
        let seen = self.sources.entry(source.clone()).or_default();
        let mut is_damaged = false;
        for finding in judged.findings.iter().filter(|finding| !judged.is_superseded(finding)) {
            is_damaged |= !finding.unknown && !finding.unread;
            self.told.insert(finding.object.clone());
            seen.words.push(format!("{}: {}", finding.object, finding.problem));
        }
        if id.to_timestamp() > self.now + FUTURE {
            seen.words
                .push(format!("{id} is from the future: the clock was wrong; `windlass forget {source}/{id}` on the node removes it"));
        } else if judged.shipped.is_some() || is_damaged {
            seen.newest.insert(*id, judged.shipped);
            if seen.newest.len() > NEWEST {
                seen.newest.pop_first();
            }
        }
    }

    /// Tells of snapshots that other heads remember.
    fn find_missing(&mut self, is_out: &mut dyn FnMut(&SourceName) -> bool) -> Result<(), Error> {
        for (source, id) in std::mem::take(&mut self.missing).find(self.ctx, self.remote, self.node)? {
            if !is_out(&source) {
                let text = format!("{source}/{id} is missing: other manifests know of it, and no record says that it was removed");
                self.sources.entry(source).or_default().words.push(text);
            }
        }
        Ok(())
    }

    /// How much was read again, and since when; what a version of this program has written that is not known to this one says nothing.
    fn read_coverage(&mut self) -> Result<(), Error> {
        match Ledger::read(self.ctx, self.remote, self.node) {
            Ok(ledger) => self.coverage = ledger.kept().map(|kept| Covered::of(kept, self.now)),
            Err(Error::Unreadable { object, cause }) => self.words.push(format!("{object}: {}", chain(&cause))),
            Err(error) => return Err(error),
        }
        if let Some(behind) = self.coverage.as_ref().and_then(Covered::in_arrears) {
            self.words.push(format!("{behind}: does its agent run, and does the budget of [verify] come round?"));
        }
        Ok(())
    }

    /// Lists packs and file lists, which the node alone stores, for the newest of them. Gives whether there are any.
    fn stored_data(&mut self) -> Result<bool, Error> {
        let (mut newest, node): (Option<Timestamp>, _) = (None, self.node);
        for folder in ["packs", "files"] {
            self.remote.each_object(self.ctx, &format!("{node}/{folder}/"), &mut |object| {
                newest = newest.max(Some(object.modified));
                Ok(())
            })?;
        }
        self.last_seen = self.last_seen.max(newest);
        Ok(newest.is_some())
    }

    /// When the node last stored anything. Its manifests tell, but where these are old it may be about to ship for days: only then are its
    /// packs listed, of which there may be very many.
    fn look_for_life(&mut self, objective: Option<u64>) -> Result<(), Error> {
        let is_old = |last: Timestamp| objective.is_none_or(|objective| Age::between(last, self.now).is_above(objective));
        if self.last_seen.is_none_or(is_old) {
            self.stored_data()?;
            if let Some(n) = self.node_file {
                let stored = self.remote.store.stat(&NodeKey::Node(n).of(self.node).to_string())?;
                self.last_seen = self.last_seen.max(stored.map(|object| object.modified));
            }
        }
        Ok(())
    }

    /// What all of it means.
    ///
    /// # Errors
    /// What the store gives.
    pub(super) fn into_status(mut self) -> Result<NodeStatus, Error> {
        let mut sources = Vec::new();
        for (name, seen) in std::mem::take(&mut self.sources) {
            sources.push(self.source_status(name, seen)?);
        }
        let objective_seconds = sources.iter().filter_map(|source| source.objective_seconds).min();
        self.look_for_life(objective_seconds)?;
        self.tell_of_the_whole();
        let damaged = self.tell_of_damage() || sources.iter().any(|source| !source.damaged.is_empty());
        if damaged {
            self.words.push(MENDING.to_owned());
        }
        let age = self.last_seen.map(|last| Age::between(last, self.now));
        Ok(NodeStatus {
            node: self.node.clone(),
            last_seen: self.last_seen,
            last_seen_seconds: age.map(Age::seconds),
            objective_seconds,
            silent: age.zip(objective_seconds).is_some_and(|(age, objective)| age.is_above(objective)),
            sources,
            coverage: self.coverage,
            wrong: self.words.into_vec(),
        })
    }

    fn source_status(&mut self, name: SourceName, seen: Seen) -> Result<SourceStatus, Error> {
        let (remote, known) = (self.remote, &self.recorded.known);
        let choice: Choice<'_> = judge::choose(&seen.newest, &mut |shipped| verify::known_damage_in(known, remote, shipped))?;
        self.told.extend(choice.damaged.iter().flat_map(|(_, objects)| objects.iter().cloned()));
        let verified = choice.sound.and_then(|shipped| self.recorded.sound.get(&name)?.get(&shipped.head.id).copied());
        let mut status = judge::source(self.node, &name, &seen.newest, &choice, self.now);
        status.verified = verified.map(|(level, time)| super::Verified { level, time });
        let mut words = seen.words;
        judge::damage(&choice, known).into_iter().for_each(|text| words.push(text));
        let wrong = words.into_vec();
        status.wrong = wrong.into_iter().chain(status.wrong).collect();
        Ok(status)
    }

    /// What is wrong with the part as a whole.
    fn tell_of_the_whole(&mut self) {
        if self.node_file.is_none() {
            self.words.push(format!("{}: it is missing", NodeKey::Node(1).of(self.node)));
        }
        if !self.has_manifests {
            self.words.push("there is no snapshot of it".to_owned());
        }
        for (key, problem) in std::mem::take(&mut self.recorded.unread) {
            self.words.push(format!("{key}: {problem}; the verdicts in it are not known"));
        }
    }

    /// Tells of damage that is known and was not told of yet; gives whether there is any.
    fn tell_of_damage(&mut self) -> bool {
        let mut is_any = false;
        for check in self.recorded.known.iter().filter(|check| !check.superseded && !self.told.contains(&check.object)) {
            is_any = true;
            self.words.push(judge::known_as(check));
        }
        is_any
    }
}
