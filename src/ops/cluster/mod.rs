//! `status --cluster`: what is late, silent or damaged on any node, told by the repository alone.
//!
//! A node whose agent, or machine, is dead says nothing; what it has shipped, and when, is in the repository. So this needs no
//! configuration, no local tier and no key, and does nothing but list and read.
//! [`part`] reads what lies there of one node, one snapshot at a time; [`judge`] says what that means; [`missing`] finds what other heads
//! remember; [`words`] keeps what is told short.

mod judge;
mod missing;
mod part;
mod words;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;

use super::error::chain;
use super::node::Remote;
use super::rolling::Covered;
use super::{Context, Error};
use crate::format::FormatError;
use crate::format::check::Level;
use crate::format::head::ProblemCount;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use part::Part;

/// A node, or one source of it, that is left out: it was given up on purpose, and its last snapshots stay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Except {
    /// The node.
    pub node: NodeName,
    /// The source; `None` = the whole node.
    pub source: Option<SourceName>,
}

impl FromStr for Except {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        match text.split_once('/') {
            Some((node, source)) => Ok(Self { node: node.parse()?, source: Some(source.parse()?) }),
            None => Ok(Self { node: text.parse()?, source: None }),
        }
    }
}

/// What a verification has recorded of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How deep it looked.
    pub level: Level,
    /// When, by the clock of the machine that looked.
    pub time: Timestamp,
}

/// One source of a node at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceStatus {
    /// The node.
    pub node: NodeName,
    /// The source.
    pub source: SourceName,
    /// Its kind, as the newest head that can be read says.
    pub kind: Option<String>,
    /// Its newest committed snapshot of which no damage is known, and that is not from the future.
    pub snapshot: Option<SnapshotId>,
    /// Age of that snapshot in seconds.
    pub age_seconds: Option<i64>,
    /// How old it may get, as the newest head that can be read says.
    pub objective_seconds: Option<u64>,
    /// Bytes of that snapshot's files.
    pub bytes: Option<u64>,
    /// Stored bytes that it needs.
    pub stored_bytes: Option<u64>,
    /// What went wrong while it was taken.
    pub problems: Vec<ProblemCount>,
    /// When it was last recorded that its manifest is sound; `None` = not known. A verification that finds nothing records nothing, so this
    /// does not mean that none has looked: what was read again of the node's part as a whole is in its `coverage`.
    pub verified: Option<Verified>,
    /// Newer snapshots that are known to be damaged, newest first.
    pub damaged: Vec<SnapshotId>,
    /// Whether that age is above the objective, or there is no such snapshot.
    pub late: bool,
    /// What is wrong, for a person; empty when all is well.
    pub wrong: Vec<String>,
}

/// One node at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeStatus {
    /// The node.
    pub node: NodeName,
    /// When it last stored anything, by the store's clock, as far as that had to be looked for: where its newest manifest is young enough,
    /// this is the time of that. What other machines may store in its part (verdicts, marks, pins, removal records) does not count; a node file
    /// does, which `init --adopt` writes.
    pub last_seen: Option<Timestamp>,
    /// How long ago that is.
    pub last_seen_seconds: Option<i64>,
    /// The smallest objective of its sources.
    pub objective_seconds: Option<u64>,
    /// Whether it has stored nothing for longer than that.
    pub silent: bool,
    /// Its sources.
    pub sources: Vec<SourceStatus>,
    /// How much of what it stored was read again in time; `None` where no rolling verification has begun.
    pub coverage: Option<Covered>,
    /// What is wrong with its part as a whole.
    pub wrong: Vec<String>,
}

/// All nodes at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// When this was said, by the clock of this machine.
    pub time: Timestamp,
    /// The repository's place.
    pub repository: String,
    /// Whether nothing is late, silent, damaged or otherwise wrong.
    pub healthy: bool,
    /// The nodes that are found in the repository.
    pub nodes: Vec<NodeStatus>,
    /// What is wrong with the repository as a whole.
    pub wrong: Vec<String>,
}

impl NodeStatus {
    /// Whether nothing is late, silent, damaged or otherwise wrong.
    pub fn is_healthy(&self) -> bool {
        !self.silent && self.wrong.is_empty() && self.sources.iter().all(|source| !source.late && source.wrong.is_empty())
    }
}

/// Tells what is late, silent and damaged, of every node that the repository holds anything of.
///
/// # Errors
/// [`Error::Absent`] when there is no repository, [`Error::Refused`] when its nodes may not be listed; what the store gives. What cannot be
/// read of one node is something wrong, not an error.
pub fn run(ctx: &Context, except: &[Except]) -> Result<Outcome, Error> {
    let remote = Remote::open(ctx)?;
    let (now, mut nodes, mut wrong) = (ctx.clock.now(), Vec::new(), Vec::new());
    let mut unused: BTreeSet<&Except> = except.iter().collect();
    for node in names(ctx, &remote)? {
        let out: Vec<&Except> = except.iter().filter(|except| except.node == node).collect();
        if let Some(whole) = out.iter().find(|except| except.source.is_none()) {
            unused.remove(whole);
            continue;
        }
        let mut is_out = |source: &SourceName| match out.iter().find(|except| except.source.as_ref() == Some(source)) {
            Some(except) => {
                unused.remove(except);
                true
            }
            None => false,
        };
        match Part::read(ctx, &remote, &node, now, &mut is_out).and_then(|part| part.map(Part::into_status).transpose()) {
            Ok(status) => nodes.extend(status),
            Err(Error::Repository(error)) if error.is_denied() => nodes.push(judge::unread(node, &chain(&error))),
            Err(error) => return Err(error),
        }
    }
    if nodes.is_empty() {
        let left_out = if except.is_empty() { "" } else { " but those that are left out" };
        wrong.push(format!("the repository knows no node{left_out}: nothing is backed up"));
    }
    for Except { node, source } in unused {
        let name = source.as_ref().map_or_else(|| node.to_string(), |source| format!("{node}/{source}"));
        ctx.warn(None, format!("`--except {name}` leaves nothing out: the repository holds nothing under that name"));
    }
    let healthy = wrong.is_empty() && nodes.iter().all(NodeStatus::is_healthy);
    Ok(Outcome { time: now, repository: remote.store.describe(), healthy, nodes, wrong })
}

/// What may be the folders of nodes, in order.
fn names(ctx: &Context, remote: &Remote) -> Result<BTreeSet<NodeName>, Error> {
    let mut names = BTreeSet::new();
    let listed = remote.store.top(&mut |name| {
        names.extend(name.strip_suffix('/').and_then(|folder| folder.parse::<NodeName>().ok()));
        if ctx.stop.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match listed {
        Err(error) if error.is_denied() => Err(Error::Refused(format!(
            "the nodes of {} cannot be listed with this credential, which may see one node's part alone or none: take one that may list and \
             read the whole repository ({})",
            remote.store.describe(),
            chain(&error)
        ))),
        listed => {
            listed?;
            ctx.stop.check()?;
            Ok(names)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_or_one_source_of_it_is_left_out_by_name() {
        let except = |text: &str| text.parse::<Except>().ok().map(|except| (except.node.to_string(), except.source.map(|s| s.to_string())));
        assert_eq!(except("ellis-1"), Some(("ellis-1".into(), None)));
        assert_eq!(except("ellis-1/billing"), Some(("ellis-1".into(), Some("billing".into()))));
        for text in ["", "/billing", "ellis-1/", "ellis-1/billing/x", "Ellis"] {
            assert_eq!(except(text), None, "{text}");
        }
    }
}
