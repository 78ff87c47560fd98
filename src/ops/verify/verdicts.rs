//! Verdicts, as they are kept in the repository: what is known not to be sound is their fold.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use jiff::Timestamp;

use super::report::Report;
use crate::format::check::{self, Check, Known, Level, Verdict};
use crate::format::key::{Key, NodeKey};
use crate::format::limits::{PACK_LIST_MAX, RECORDS_MAX};
use crate::format::marker::Encryption;
use crate::format::names::{NodeName, SourceName};
use crate::format::pack_list;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::catalogue::Shipped;
use crate::ops::damage::{Problem, settle};
use crate::ops::error::chain;
use crate::ops::lists::read_body;
use crate::ops::node::Remote;
use crate::ops::{Context, Error, records};
use crate::repository::Repository;

/// Verdicts in one file: about 25 MiB of text, well below what a reader accepts.
const PER_FILE: usize = 65_536;

/// Most files of verdicts that are read for a list, which people look at often: a file is written only by a verification that finds
/// something new, so more are a rare case, and `status` reads them all.
const FILES_LISTED: usize = 100;

/// Most damaged objects of a snapshot that are named; `verify` names all.
const DAMAGE_NAMED: usize = 20;

/// The objects of a node that are known not to be sound: the fold of all verdicts.
///
/// A file of verdicts that is damaged is passed over with a warning; `verify` names it.
///
/// # Errors
/// What the store gives.
pub fn known(ctx: &Context, remote: &Remote, node: &NodeName) -> Result<Known, Error> {
    let (known, damaged) = fold(&remote.store, node)?;
    for (key, problem) in damaged {
        ctx.warn_once(format!("{key}: {}; the verdicts in it are not known", problem.text));
    }
    Ok(known)
}

/// What verifications have recorded of a node.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// The objects that are known not to be sound.
    pub(crate) known: Known,
    /// When, and how deep, one of a snapshot's manifest was last found sound: of the newest snapshots of each source of which that was said.
    pub(crate) sound: BTreeMap<SourceName, BTreeMap<SnapshotId, (Level, Timestamp)>>,
    /// Files of verdicts that could not be read, and why.
    pub(crate) unread: Vec<(String, String)>,
}

/// What is recorded of a node; `most` = snapshots of each source that are remembered as sound.
///
/// # Errors
/// What the store gives. Files of verdicts that are damaged are in what is given.
pub(crate) fn recorded(remote: &Remote, node: &NodeName, most: usize) -> Result<Recorded, Error> {
    let mut recorded = Recorded::default();
    let keys = check_files(&remote.store, node, usize::MAX)?;
    let damaged = each_check(&remote.store, keys, &mut |check| {
        let (verdict, looked) = (check.verdict, (check.level, check.time));
        let manifest = manifest_of(&check, node);
        recorded.known.take(check);
        let Some((source, id, _)) = manifest else { return };
        let sound = recorded.sound.entry(source).or_default();
        if verdict != Verdict::Sound {
            sound.remove(&id);
            return;
        }
        sound.insert(id, looked);
        if sound.len() > most {
            sound.pop_first();
        }
    })?;
    recorded.unread = damaged.into_iter().map(|(key, problem)| (key, problem.text)).collect();
    Ok(recorded)
}

/// Manifests (as `source`, id and number) that are known not to be sound: what a list can tell without reading anything of the snapshots.
/// Where more than a hundred files of verdicts lie there, nothing is told.
///
/// # Errors
/// What the store gives.
pub fn damaged_manifests(remote: &Remote, node: &NodeName) -> Result<BTreeSet<(SourceName, SnapshotId, u32)>, Error> {
    let keys = check_files(&remote.store, node, FILES_LISTED)?;
    if keys.len() > FILES_LISTED {
        return Ok(BTreeSet::new());
    }
    let (known, _) = fold_of(&remote.store, keys)?;
    Ok(known.iter().filter_map(|check| manifest_of(check, node)).collect())
}

/// The manifest of this node that a verdict is about, if it is about one.
fn manifest_of(check: &Check, node: &NodeName) -> Option<(SourceName, SnapshotId, u32)> {
    match Key::parse(&check.object) {
        Some(Key::Of(of, NodeKey::Head(source, id, n) | NodeKey::Body(source, id, n))) if of == *node => Some((source, id, n)),
        _ => None,
    }
}

/// The objects that a shipped snapshot needs and that are known not to be sound, at most twenty; nothing is looked at anew.
///
/// # Errors
/// What the store gives.
pub fn known_damage_of(ctx: &Context, remote: &Remote, shipped: &Shipped) -> Result<Vec<String>, Error> {
    known_damage_in(&known(ctx, remote, &shipped.head.node)?, remote, shipped)
}

/// The same, of verdicts that have been read.
///
/// # Errors
/// What the store gives.
pub fn known_damage_in(known: &Known, remote: &Remote, shipped: &Shipped) -> Result<Vec<String>, Error> {
    let node = &shipped.head.node;
    if known.iter().next().is_none() {
        return Ok(Vec::new());
    }
    let mut damaged: Vec<String> = [shipped.head_key(), shipped.body_key()].into_iter().filter(|key| known.get(key).is_some()).collect();
    let body = match read_body(remote, shipped) {
        Ok(body) => body,
        Err(error) if error.is_of_one_object() => return Ok(vec![shipped.body_key()]),
        Err(error) => return Err(error),
    };
    let objects = remote.objects(node);
    for list in &body.lists {
        let packs_key = objects.pack_list(list.list).to_string();
        let own = [objects.file_list(list.list).to_string(), packs_key.clone()];
        let Some(packs) = settle(remote.store.get(&packs_key, PACK_LIST_MAX as u64))?.ok().and_then(|text| pack_list::read(&text).ok())
        else {
            damaged.push(packs_key);
            continue;
        };
        let packs = packs.iter().map(|pack| objects.pack(pack.pack).to_string());
        for key in own.into_iter().chain(packs).filter(|key| known.get(key).is_some()) {
            if damaged.len() == DAMAGE_NAMED {
                return Ok(damaged);
            }
            if !damaged.contains(&key) {
                damaged.push(key);
            }
        }
    }
    Ok(damaged)
}

/// The fold, and the files that could not be read.
pub(super) fn fold(store: &Repository, node: &NodeName) -> Result<(Known, Vec<(String, Problem)>), Error> {
    fold_of(store, check_files(store, node, usize::MAX)?)
}

/// Keys of a node's files of verdicts, in order of time; when there are more than `most`, one more than that.
fn check_files(store: &Repository, node: &NodeName, most: usize) -> Result<Vec<String>, Error> {
    let mut keys = Vec::new();
    store.list(&format!("{node}/checks/"), &mut |object| {
        if matches!(Key::parse(&object.key), Some(Key::Of(_, NodeKey::Check(_)))) {
            keys.push(object.key);
        }
        if keys.len() > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    keys.sort();
    Ok(keys)
}

fn fold_of(store: &Repository, keys: Vec<String>) -> Result<(Known, Vec<(String, Problem)>), Error> {
    let mut known = Known::default();
    let damaged = each_check(store, keys, &mut |check| known.take(check))?;
    Ok((known, damaged))
}

/// Hands on the verdicts of these files, one file in memory at a time; gives those that could not be read.
fn each_check(store: &Repository, keys: Vec<String>, visit: &mut dyn FnMut(Check)) -> Result<Vec<(String, Problem)>, Error> {
    let mut damaged = Vec::new();
    for key in keys {
        let checks = match settle(store.get(&key, RECORDS_MAX as u64))? {
            Ok(text) => check::read(&text).map_err(|cause| Problem::damaged(chain(&cause))),
            // It vanished after it was listed: whoever removed it knows why.
            Err(problem) if problem.verdict == Some(Verdict::Missing) => continue,
            Err(problem) => Err(problem),
        };
        match checks {
            Ok(checks) => checks.into_iter().for_each(&mut *visit),
            Err(problem) => damaged.push((key, problem)),
        }
    }
    Ok(damaged)
}

/// What is kept of a problem inside an object of an encrypted repository.
pub(crate) const INSIDE: &str = "what is in it is damaged; `windlass verify --full` with the identity says more";

/// The words that are kept of a problem: in an encrypted repository none that come from what is inside an object.
fn told_problem<'p>(remote: &Remote, problem: &'p Problem) -> &'p str {
    match (remote.marker.encryption, problem.inside) {
        (Encryption::Age, true) => INSIDE,
        _ => &problem.text,
    }
}

/// Records what was found: verdicts of what is not sound, and of what was known not to be and is sound or
/// no longer needed.
pub(super) fn record(ctx: &Context, remote: &Remote, node: &NodeName, report: &Report) {
    let (time, level) = (ctx.clock.now(), report.level);
    let mut checks = Vec::new();
    for (object, fault) in report.faults.iter().filter(|(_, fault)| !fault.local) {
        let Some(verdict) = fault.problem.verdict else { continue };
        let told = report.known.get(object).is_some_and(|known| known.verdict == verdict && known.level >= level && !known.superseded);
        if !told {
            let problem = Some(told_problem(remote, &fault.problem).to_owned());
            checks.push(Check { object: object.clone(), verdict, level, time, problem, superseded: false });
        }
    }
    for object in report.looked_at_again.iter().filter(|object| !report.faults.contains_key(*object)) {
        let level = if report.closed_known.contains(object) { level.min(Level::Stored) } else { level };
        checks.push(Check { object: object.clone(), verdict: Verdict::Sound, level, time, problem: None, superseded: false });
    }
    checks.extend(report.known.iter().filter(|check| report.superseded.contains_key(&check.object)).filter_map(superseded));
    write(ctx, remote, node, &checks);
}

/// The verdict on a damaged object that nothing needs any more; `None` when that is known.
pub(crate) fn superseded(check: &Check) -> Option<Check> {
    (!check.superseded).then(|| Check { superseded: true, ..check.clone() })
}

/// Keeps verdicts in the repository. Where this machine may not write, that is a warning; gives whether all of them are there.
pub(crate) fn write(ctx: &Context, remote: &Remote, node: &NodeName, checks: &[Check]) -> bool {
    if checks.is_empty() {
        return true;
    }
    // They are folded in the order of their names.
    let last = check_files(&remote.store, node, usize::MAX).ok().and_then(|keys| keys.into_iter().next_back());
    for some in checks.chunks(PER_FILE) {
        let name = records::name_after(ctx, last.as_deref());
        let key = NodeKey::Check(name).of(node).to_string();
        if let Err(error) = remote.store.create(&key, check::write(some).into()) {
            let what = "what was found could not be recorded, so the next backup does not know of it";
            ctx.warn(None, format!("{what}: {}", chain(&error)));
            return false;
        }
    }
    true
}
