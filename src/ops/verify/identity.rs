//! What says whose repository this is: the marker and the node files.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::report::Report;
use crate::format::FormatError;
use crate::format::head::Head;
use crate::format::key::{Key, MARKER, NodeKey};
use crate::format::limits::{FORMAT_VERSION, HEAD_MAX, SMALL_MAX};
use crate::format::marker::{Encryption, Marker};
use crate::format::names::NodeName;
use crate::format::node_file::NodeFile;
use crate::ops::damage::{Problem, settle};
use crate::ops::error::chain;
use crate::ops::node::Remote;
use crate::ops::{Context, Error};
use crate::repository::Repository;

/// Heads that are asked for the repository's id when the marker does not say it, or says something doubtful.
const WITNESSES: usize = 3;

/// Opens the repository. Where the marker is missing or damaged, the manifests tell the repository's id, so that everything else can be
/// verified; `None` when they do not.
///
/// # Errors
/// [`Error::Absent`] when the store holds nothing of this node; an unknown version, which is no damage;
/// what the store gives.
pub(super) fn open(ctx: &Context, node: &NodeName, report: &mut Report) -> Result<Option<Remote>, Error> {
    let store = ctx.store()?;
    // This node's own part may have been lost as a whole; a part that nobody speaks of has never been there.
    if (ctx.local.is_none() || *node != ctx.node) && is_empty(store, node)? {
        Remote::open(ctx)?.check_node(node)?;
    }
    let (marker, problem) = match Remote::open(ctx) {
        Ok(remote) => {
            (Some(remote.marker), settle(store.get(MARKER, SMALL_MAX as u64))?.map_or_else(Some, |text| Problem::of_one_line(&text)))
        }
        Err(Error::Absent(why)) if is_empty(store, node)? => return Err(Error::Absent(why)),
        Err(Error::Absent(_)) => (None, Some(Problem::missing())),
        Err(error) if error.is_damage() => (None, Some(Problem::damaged(chain(&error)))),
        Err(Error::Repository(error)) => match Problem::of(&error) {
            Some(problem) => (None, Some(problem)),
            None => return Err(error.into()),
        },
        Err(error) => return Err(error),
    };
    let told = told_by_manifests(store, node)?;
    let marker = match (marker, told) {
        // One manifest alone may as well be the damaged one; then it is named where manifests are looked at.
        (Some(marker), Some((head, witnesses))) if head.repository != marker.repository && witnesses > 1 => {
            let text = format!("it names the repository {}, and the manifests name {}", marker.repository, head.repository);
            report.fault(MARKER, None, Problem::damaged(text));
            Some(stand_in(&head))
        }
        (Some(marker), _) => {
            match problem {
                Some(problem) => report.fault(MARKER, None, problem),
                None => report.is_there(MARKER, None),
            }
            Some(marker)
        }
        (None, told) => {
            report.fault(MARKER, None, problem.unwrap_or_else(Problem::missing));
            told.map(|(head, _)| stand_in(&head))
        }
    };
    report.count(0);
    Ok(marker.map(|marker| Remote { store: store.clone(), marker, keys: ctx.keys.clone() }))
}

fn stand_in(head: &Head) -> Marker {
    let encryption = if head.recipients.is_empty() { Encryption::None } else { Encryption::Age };
    Marker { format: FORMAT_VERSION, repository: head.repository.clone(), created: head.time, encryption }
}

fn is_empty(store: &Repository, node: &NodeName) -> Result<bool, Error> {
    let mut empty = true;
    store.list(&format!("{node}/"), &mut |_| {
        empty = false;
        ControlFlow::Break(())
    })?;
    Ok(empty)
}

/// One of a few manifest heads and their number, if all of them name the same repository.
fn told_by_manifests(store: &Repository, node: &NodeName) -> Result<Option<(Head, usize)>, Error> {
    let mut keys = Vec::new();
    store.list(&format!("{node}/manifests/"), &mut |object| {
        if matches!(Key::parse(&object.key), Some(Key::Of(_, NodeKey::Head(..)))) {
            keys.push(object.key);
        }
        if keys.len() < 8 * WITNESSES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let mut heads: Vec<Head> = Vec::new();
    for key in keys {
        if heads.len() == WITNESSES {
            break;
        }
        if let Ok(text) = settle(store.get(&key, HEAD_MAX as u64))?
            && let Ok(head) = Head::from_text(&text)
        {
            heads.push(head);
        }
    }
    let witnesses = heads.len();
    let first = heads.pop();
    Ok(first.filter(|first| heads.iter().all(|head| head.repository == first.repository)).map(|first| (first, witnesses)))
}

/// Checks the node files; `numbers` are the ones that were listed. Numbers are given out one by one from 1, and the highest counts: below a
/// sound one, the bytes of the others matter to nobody.
pub(super) fn check_node_files(store: &Repository, node: &NodeName, numbers: &BTreeSet<u32>, report: &mut Report) -> Result<(), Error> {
    let highest = numbers.last().copied().unwrap_or(1);
    let highest_is_sound = numbers.contains(&highest) && node_file_problem(store, node, highest, report)?.is_none();
    for n in 1..=highest {
        let key = NodeKey::Node(n).of(node).to_string();
        if !numbers.contains(&n) {
            report.fault(key, None, Problem::missing());
            // Beyond a gap of this size the numbers mean nothing, and naming them all would help nobody.
            if n - numbers.range(..n).next_back().copied().unwrap_or(0) > 8 {
                break;
            }
            continue;
        }
        match node_file_problem(store, node, n, report)? {
            Some(_) if n < highest && highest_is_sound => {}
            Some(problem) => report.fault(key, None, problem),
            None => report.is_there(&key, None),
        }
    }
    Ok(())
}

/// What is wrong with a node file that is listed; one of an unknown version is reported, and not wrong.
fn node_file_problem(store: &Repository, node: &NodeName, n: u32, report: &mut Report) -> Result<Option<Problem>, Error> {
    let key = NodeKey::Node(n).of(node).to_string();
    let text = match settle(store.get(&key, SMALL_MAX as u64))? {
        Err(problem) => return Ok(Some(problem)),
        Ok(text) => text,
    };
    Ok(match NodeFile::from_text(&text) {
        Ok(file) if file.node == *node => Problem::of_one_line(&text),
        Ok(file) => Some(Problem::damaged(format!("it speaks of the node `{}`", file.node))),
        Err(cause @ FormatError::Version(_)) => {
            report.unexpected(format!("{key}: {cause}"));
            None
        }
        Err(cause) => Some(Problem::damaged(chain(&cause))),
    })
}
