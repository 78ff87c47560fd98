//! Local copies whose record is damaged or gone: what they were is told by the manifest of the same snapshot, and by its source facts.

use crate::format::names::SourceName;
use crate::ops::catalogue::Catalogue;
use crate::ops::copies::{BrokenCopy, Copy, KnownDamage, Record};
use crate::ops::error::chain;
use crate::ops::facts::shipped_facts;
use crate::ops::lists::read_body;
use crate::ops::node::Remote;
use crate::ops::{Context, Error};

/// The copy as it was, to be made anew like any other that is damaged; in words why nobody can tell what it was.
pub(super) fn known(ctx: &Context, remote: &Remote, source: &SourceName, broken: &BrokenCopy) -> Result<Result<Copy, String>, Error> {
    match record(ctx, remote, source, broken) {
        Ok(record) => {
            let damage = Some(KnownDamage { time: ctx.clock.now(), problem: broken.problem.clone() });
            Ok(Ok(Copy { dir: broken.dir.clone(), record, damage }))
        }
        Err(Error::Absent(_)) => {
            let remove = format!("`windlass forget {source}/{} --local` removes it", broken.id);
            Ok(Err(format!("the repository does not hold the snapshot, so nothing tells what the copy was; {remove}")))
        }
        Err(error) if error.is_of_one_object() || matches!(error, Error::Usage(_) | Error::Refused(_) | Error::Unreadable { .. }) => {
            Ok(Err(chain(&error)))
        }
        Err(error) => Err(error),
    }
}

/// What its manifest says of it. The repository is asked here and nowhere else: only its own answer is evidence that it holds nothing.
fn record(ctx: &Context, remote: &Remote, source: &SourceName, broken: &BrokenCopy) -> Result<Record, Error> {
    let name = format!("{source}/{}", broken.id);
    let catalogue = Catalogue::glance(ctx, remote, &ctx.node, Some(source))?;
    let Some(shipped) = catalogue.snapshots.get(&(source.clone(), broken.id)) else {
        return Err(match catalogue.findings.into_iter().find(|finding| finding.snapshot.as_ref() == Some(&name)) {
            Some(finding) if finding.unknown => Error::Refused(format!("{}: {}", finding.object, finding.problem)),
            Some(finding) if finding.unread => Error::Unread { object: finding.object, problem: finding.problem },
            Some(finding) => Error::damaged(finding.object, finding.problem),
            None => Error::Absent(format!("{name} is not in the repository")),
        });
    };
    remote.keys.check_readable(&shipped.head)?;
    let body = read_body(remote, shipped)?;
    let facts = shipped_facts(ctx, remote, shipped, &body, true)?;
    Ok(Record::of_shipped(&shipped.head, body.counts.entries, facts))
}
