//! The manifests of a node: heads and bodies as they are stored, and heads that should be there.

use super::report::Report;
use crate::format::FormatError;
use crate::format::body::Body;
use crate::format::head::Head;
use crate::format::limits::HEAD_MAX;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;
use crate::ops::catalogue::{Catalogue, Shipped};
use crate::ops::damage::{Problem, settle};
use crate::ops::error::chain;
use crate::ops::lists::read_own_body;
use crate::ops::lost;
use crate::ops::node::Remote;
use crate::ops::{Context, Error};

/// A snapshot of a node.
pub(super) type Id = (SourceName, SnapshotId);

/// Reads head and body of a snapshot anew; the body, if both are what they were.
///
/// The catalogue may have had the head from the cache, which is then what the stored one is compared with.
pub(super) fn check(remote: &Remote, shipped: &Shipped, report: &mut Report) -> Result<Option<Body>, Error> {
    let name = name_of(&(shipped.head.source.clone(), shipped.head.id));
    let problem = match settle(remote.store.get(&shipped.head_key(), HEAD_MAX as u64))? {
        Err(problem) => Some(problem),
        Ok(text) => match read_counted(&text, report) {
            Err(cause) => Some(Problem::damaged(chain(&cause))),
            Ok(head) if head != *shipped.head => Some(Problem::damaged("it differs from what this node has read there before")),
            Ok(_) => Problem::of_one_line(&text),
        },
    };
    match problem {
        Some(problem) => report.fault(shipped.head_key(), Some(&name), problem),
        None => report.is_there(&shipped.head_key(), Some(&name)),
    }
    let body = match read_own_body(remote, &shipped.head) {
        Ok(body) => body,
        Err(Error::Unread { problem, .. }) => {
            report.fault(shipped.body_key(), Some(&name), Problem::unread(problem));
            return Ok(None);
        }
        Err(error) if error.is_damage() => {
            report.fault(shipped.body_key(), Some(&name), of_damage(&error));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    report.count(shipped.head.body.length);
    report.is_there(&shipped.body_key(), Some(&name));
    let (head, counts) = (&shipped.head, &body.counts);
    if (head.files, head.bytes, head.stored_bytes) != (counts.files, counts.bytes, counts.stored_bytes) {
        report.fault(shipped.head_key(), Some(&name), Problem::damaged("its counts are not those of its body"));
    }
    Ok(Some(body))
}

fn read_counted(text: &[u8], report: &mut Report) -> Result<Head, FormatError> {
    report.count(text.len() as u64);
    Head::from_text(text)
}

/// Takes over what the catalogue found, except of numbers that a higher complete one has made good.
pub(super) fn take_findings(catalogue: &Catalogue, wanted: &dyn Fn(&str) -> bool, report: &mut Report) {
    for finding in &catalogue.findings {
        let superseded = catalogue.is_superseded(finding);
        let Some(snapshot) = finding.snapshot.as_deref().filter(|snapshot| !superseded && wanted(snapshot)) else { continue };
        if finding.unknown {
            report.unexpected(format!("{}: {}", finding.object, finding.problem));
        } else {
            let missing = finding.problem == crate::ops::damage::MISSING;
            let problem = match missing {
                true => Problem::missing(),
                false if finding.unread => Problem::unread(&finding.problem),
                false => Problem::damaged(&finding.problem),
            };
            report.fault(&finding.object, Some(snapshot), problem);
        }
    }
}

/// Reports heads that other heads or this node remember, and that are neither listed nor recorded as removed.
pub(super) fn find_lost(ctx: &Context, remote: &Remote, catalogue: &Catalogue, node: &NodeName, report: &mut Report) -> Result<(), Error> {
    for lost in lost::find(ctx, remote, catalogue, node)? {
        report.firm_fault(lost.object, Some(&name_of(&lost.id)), Problem { text: lost.problem, ..Problem::missing() });
    }
    Ok(())
}

/// A snapshot as people name it.
pub(super) fn name_of(id: &Id) -> String {
    format!("{}/{}", id.0, id.1)
}

/// The problem of an object, from the error that names the object too.
pub(super) fn of_damage(error: &Error) -> Problem {
    match error {
        Error::Damaged { problem, .. } if problem == crate::ops::damage::MISSING => Problem::missing(),
        Error::Damaged { problem, .. } => Problem::damaged(problem),
        Error::Unreadable { cause, .. } => Problem::damaged(chain(cause)),
        other => Problem::damaged(chain(other)),
    }
}
