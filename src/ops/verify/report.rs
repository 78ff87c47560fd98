//! What a verification has found so far.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checked, Damage, Outcome};
use crate::format::check::{Check, Known, Level, Verdict};
use crate::format::key::{Key, NodeKey};
use crate::ops::damage::Problem;

/// Most unexpected objects that are named; a bucket that is shared by mistake may hold any number.
const UNEXPECTED_MAX: usize = 1000;

/// Something that is not what it should be.
#[derive(Debug)]
pub(super) struct Fault {
    /// A snapshot that needs the object, as `source/id`.
    pub(super) snapshot: Option<String>,
    /// What is wrong.
    pub(super) problem: Problem,
    /// Whether it is wrong even when a fresh listing no longer has the snapshot.
    pub(super) firm: bool,
    /// Whether it is a file on this machine.
    pub(super) local: bool,
}

/// Gathers findings. It grows with damage, not with data.
#[derive(Debug)]
pub(super) struct Report {
    /// How deep this verification looks.
    pub(super) level: Level,
    /// Objects that were only compared with their names because no identity opens them.
    pub(super) closed: u64,
    /// Those of `known` among them.
    pub(super) closed_known: BTreeSet<String>,
    /// Why less was reached than was asked for.
    pub(super) lowered: Option<String>,
    /// Objects that were looked at.
    pub(super) objects: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// What is not sound, by object or file.
    pub(super) faults: BTreeMap<String, Fault>,
    /// What was known not to be sound before.
    pub(super) known: Known,
    /// Objects of `known` that were looked at.
    pub(super) looked_at_again: Vec<String>,
    /// What is known to be damaged and no manifest that counts needs any more, by object.
    pub(super) superseded: BTreeMap<String, String>,
    /// Snapshots that were looked at in the repository.
    pub(super) snapshots: u64,
    /// Local copies that were looked at.
    pub(super) local_copies: u64,
    /// Objects that no manifest names.
    pub(super) unreferenced: u64,
    unexpected: Vec<String>,
    unexpected_more: u64,
}

impl Report {
    pub(super) fn new(level: Level) -> Self {
        Self {
            level,
            closed: 0,
            closed_known: BTreeSet::new(),
            lowered: None,
            objects: 0,
            bytes: 0,
            faults: BTreeMap::new(),
            known: Known::default(),
            looked_at_again: Vec::new(),
            superseded: BTreeMap::new(),
            snapshots: 0,
            local_copies: 0,
            unreferenced: 0,
            unexpected: Vec::new(),
            unexpected_more: 0,
        }
    }

    /// Counts an object that was looked at as deep as asked.
    pub(super) fn count(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }

    /// Adds what is wrong with an object of the repository; what was found of it first stays.
    pub(super) fn fault(&mut self, object: impl Into<String>, snapshot: Option<&str>, problem: Problem) {
        let fault = Fault { snapshot: snapshot.map(str::to_owned), problem, firm: false, local: false };
        self.faults.entry(object.into()).or_insert(fault);
    }

    /// The same for what is wrong whether or not its snapshot is still listed.
    pub(super) fn firm_fault(&mut self, object: impl Into<String>, snapshot: Option<&str>, problem: Problem) {
        let fault = Fault { snapshot: snapshot.map(str::to_owned), problem, firm: true, local: false };
        self.faults.entry(object.into()).or_insert(fault);
    }

    /// The same for a file on this machine.
    pub(super) fn local_fault(&mut self, file: impl Into<String>, snapshot: &str, problem: impl Into<String>) {
        let fault = Fault { snapshot: Some(snapshot.to_owned()), problem: Problem::damaged(problem), firm: true, local: true };
        self.faults.entry(file.into()).or_insert(fault);
    }

    /// An object's stored bytes match its name, and no identity at hand opens it: what is in it is not proven, and what is known to be
    /// wrong in there is not taken back.
    pub(super) fn is_closed(&mut self, object: &str, snapshot: &str) {
        self.closed += 1;
        let Some(check) = self.known.get(object) else { return };
        if check.level > Level::Stored {
            self.looked_at_again.retain(|again| again != object);
            self.still_known(object, Some(snapshot));
        } else {
            self.closed_known.insert(object.to_owned());
        }
    }

    /// Adds an object that this program does not know, once.
    pub(super) fn unexpected(&mut self, object: String) {
        if self.unexpected.contains(&object) {
            return;
        }
        if self.unexpected.len() < UNEXPECTED_MAX {
            self.unexpected.push(object);
        } else {
            self.unexpected_more += 1;
        }
    }

    /// An object that a snapshot needs is there. If it was known not to be sound, that is taken back, or, where this look is not deep
    /// enough for that, said again.
    pub(super) fn is_there(&mut self, object: &str, snapshot: Option<&str>) {
        let Some(check) = self.known.get(object) else { return };
        if check.level <= self.level {
            self.looked_at_again.push(object.to_owned());
        } else {
            self.still_known(object, snapshot);
        }
    }

    /// An object that no snapshot needs is there, and this look says nothing of it.
    pub(super) fn is_known_still(&mut self, object: &str) {
        if self.known.get(object).is_some_and(|check| !check.superseded) {
            self.still_known(object, None);
        }
    }

    /// What is known of an object holds on: this look was not deep enough to say otherwise.
    fn still_known(&mut self, object: &str, snapshot: Option<&str>) {
        let Some(check) = self.known.get(object) else { return };
        let what = check.problem.clone().unwrap_or_else(|| check.verdict.word().to_owned());
        let text = format!("known since {}: {what}", check.time.strftime("%Y-%m-%dT%H:%M:%SZ"));
        let verdict = Some(check.verdict).filter(|verdict| *verdict != Verdict::Sound);
        self.fault(object, snapshot, Problem { text, verdict, inside: false });
    }

    /// Whether all bodies and pack lists that count could be read, once they were: else nobody knows what is needed.
    pub(super) fn names_all_needs(&self) -> bool {
        let names = |key: &String| matches!(Key::parse(key), Some(Key::Of(_, NodeKey::Body(..) | NodeKey::PackList(_))));
        !self.faults.keys().any(names)
    }

    /// After a look at everything: what is known not to be sound, and nothing that counts needs.
    pub(super) fn find_superseded(&mut self) {
        let again: BTreeSet<&String> = self.looked_at_again.iter().collect();
        let unneeded = self.known.iter().filter(|check| !self.faults.contains_key(&check.object) && !again.contains(&check.object));
        let problem = |check: &Check| check.problem.clone().unwrap_or_else(|| check.verdict.word().to_owned());
        self.superseded = unneeded.map(|check| (check.object.clone(), problem(check))).collect();
    }

    /// The outcome, objects in order of their keys.
    pub(super) fn into_outcome(mut self, unreachable: Option<String>) -> Outcome {
        self.unexpected.sort();
        if self.unexpected_more > 0 {
            self.unexpected.push(format!("… and {} more", self.unexpected_more));
        }
        let level = if self.closed > 0 { self.level.min(Level::Stored) } else { self.level };
        let lowered = self.lowered.or_else(|| {
            let closed = self.closed;
            (closed > 0).then(|| format!("{closed} objects are sealed to recipients whose identities are not in the identity file"))
        });
        let damage = self.faults.into_iter();
        let damage = damage.map(|(object, fault)| Damage { object, snapshot: fault.snapshot, problem: fault.problem.text });
        Outcome {
            checked: Checked { objects: self.objects, bytes: self.bytes, level },
            lowered,
            closed: self.closed,
            snapshots: self.snapshots,
            local_copies: self.local_copies,
            damage: damage.collect(),
            superseded: self.superseded.into_iter().map(|(object, problem)| Damage { object, snapshot: None, problem }).collect(),
            unreferenced: self.unreferenced,
            unexpected: self.unexpected,
            unreachable,
        }
    }
}
