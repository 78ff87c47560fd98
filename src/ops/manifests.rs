//! The manifests of a node, snapshot by snapshot: what is listed of each is judged, and one at a time is in memory.

use std::collections::BTreeMap;
use std::path::Path;

use super::catalogue::{Finding, Shipped, read_head};
use super::damage::{MISSING, Problem};
use super::listed::{Id, Listed, Numbers};
use super::node::Remote;
use super::work::folder_to_look;
use super::{Context, Error};
use crate::format::key::{Key, NodeKey};
use crate::format::names::{NodeName, SourceName};

/// Which manifests are read.
pub(super) struct Manifests<'a> {
    /// The world.
    pub(super) ctx: &'a Context,
    /// The repository.
    pub(super) remote: &'a Remote,
    /// Whose.
    pub(super) node: &'a NodeName,
    /// Of this source alone.
    pub(super) source: Option<&'a SourceName>,
    /// Whether heads are cached that were not. A dry run changes nothing.
    pub(super) keeps: bool,
}

/// What was found of the manifests of one snapshot.
pub(super) struct Judged {
    /// The snapshot.
    pub(super) id: Id,
    /// All that is listed of it.
    pub(super) numbers: Numbers,
    /// What counts; `None` when no manifest of it is complete.
    pub(super) shipped: Option<Shipped>,
    /// What is not as it should be.
    pub(super) findings: Vec<Finding>,
    /// Whether all that was listed, and what it needs, is there.
    all_there: bool,
}

impl Manifests<'_> {
    /// Calls `visit` with each snapshot: by source and oldest first, but those last that changed while they were listed. Gives the objects
    /// that are no manifests.
    ///
    /// # Errors
    /// What the store gives; the first that `visit` gives. Damaged heads are findings, not errors.
    pub(super) fn each(&self, visit: &mut dyn FnMut(Judged) -> Result<(), Error>) -> Result<Vec<Finding>, Error> {
        let folder = folder_to_look(self.ctx);
        let mut findings = Vec::new();
        let mut listed = self.list(&folder, &mut |key| findings.push(Finding::unknown(key)))?;
        let mut doubtful = BTreeMap::new();
        while let Some((id, numbers)) = listed.next_snapshot()? {
            self.ctx.stop.check()?;
            let judged = self.judge(id, numbers)?;
            if judged.all_there {
                visit(judged)?;
            } else {
                doubtful.insert(judged.id.clone(), judged);
            }
        }
        drop(listed);
        // A listing is no instant: a manifest may have been written or removed while it went on. Only what a fresh one still shows counts.
        while !doubtful.is_empty() {
            self.ctx.stop.check()?;
            let mut fresh = self.list(&folder, &mut |_| ())?;
            let mut still = BTreeMap::new();
            while let Some((id, numbers)) = fresh.next_snapshot()? {
                let Some(before) = doubtful.remove(&id) else { continue };
                if before.numbers == numbers {
                    visit(before)?;
                    continue;
                }
                let judged = self.judge(id, numbers)?;
                if judged.all_there {
                    visit(judged)?;
                } else {
                    still.insert(judged.id.clone(), judged);
                }
            }
            doubtful = still;
        }
        Ok(findings)
    }

    fn list(&self, folder: &Path, unknown: &mut dyn FnMut(String)) -> Result<Listed, Error> {
        let prefix = match self.source {
            Some(source) => format!("{}/manifests/{source}/", self.node),
            None => format!("{}/manifests/", self.node),
        };
        Listed::below(self.ctx, self.remote, &prefix, folder, unknown)
    }

    /// Takes the manifests of one id: the highest complete number counts; a lower one does not hide that a higher one is damaged.
    fn judge(&self, id: Id, numbers: Numbers) -> Result<Judged, Error> {
        let mut judged = Judged { id, numbers: Numbers::default(), shipped: None, findings: Vec::new(), all_there: true };
        for (n, stored) in numbers.heads.iter().rev() {
            let key = &judged.id;
            let object = NodeKey::Head(key.0.clone(), key.1, n).of(self.node).to_string();
            let head = match read_head(self.ctx, self.remote, &object, stored.size, self.keeps) {
                Ok(head) => head,
                Err(Error::Repository(error)) => {
                    let problem = Problem::of(&error).ok_or(error)?;
                    judged.all_there &= problem != Problem::missing();
                    let unread = problem.verdict.is_none();
                    judged.findings.push(Finding { unread, ..Finding::damaged(object, key, problem.text) });
                    continue;
                }
                Err(error) if error.is_damage() || matches!(error, Error::Unreadable { .. }) => {
                    let unknown = !error.is_damage();
                    judged.findings.push(Finding { unknown, ..Finding::damaged(object, key, problem_of(&error)) });
                    continue;
                }
                Err(error) => return Err(error),
            };
            let is_own = (&head.node, &head.source, head.id, head.n) == (self.node, &key.0, key.1, n);
            if !is_own || head.repository != self.remote.marker.repository {
                judged.findings.push(Finding::damaged(object, key, "it speaks of another snapshot than its key".into()));
                continue;
            }
            match numbers.bodies.get(n) {
                Some(body) if body.size == head.body.length => match &mut judged.shipped {
                    Some(shipped) => shipped.lower.push(head),
                    None => judged.shipped = Some(Shipped { head: Box::new(head), lower: Vec::new() }),
                },
                found => {
                    let body = NodeKey::Body(key.0.clone(), key.1, n).of(self.node).to_string();
                    let problem = match found {
                        Some(body) => format!("it has {} bytes and should have {}", body.size, head.body.length),
                        None => MISSING.to_owned(),
                    };
                    judged.all_there &= found.is_some();
                    judged.findings.push(Finding::damaged(body, key, problem));
                }
            }
        }
        Ok(Judged { numbers, ..judged })
    }
}

impl Judged {
    /// Whether a finding is about a number below the one that counts, which has taken its place: it is no loss.
    pub(super) fn is_superseded(&self, finding: &Finding) -> bool {
        number_of(finding).is_some_and(|(_, n)| self.shipped.as_ref().is_some_and(|shipped| shipped.n() > n))
    }
}

/// The manifest that a finding is about.
pub(super) fn number_of(finding: &Finding) -> Option<(Id, u32)> {
    match Key::parse(&finding.object) {
        Some(Key::Of(_, NodeKey::Head(source, id, n) | NodeKey::Body(source, id, n))) => Some(((source, id), n)),
        _ => None,
    }
}

/// What is wrong, from an error that names the object too.
fn problem_of(error: &Error) -> String {
    match error {
        Error::Damaged { problem, .. } => problem.clone(),
        Error::Unreadable { cause, .. } => format!("it cannot be read: {}", super::error::chain(cause)),
        other => super::error::chain(other),
    }
}
