//! Which snapshots are verified.

use super::Options;
use super::report::Report;
use crate::format::names::SourceName;
use crate::format::snapshot_id::SnapshotId;
use crate::ops::catalogue::Catalogue;
use crate::ops::copies::sources_with_copies;
use crate::ops::name::{SnapshotName, Which};
use crate::ops::snapshots::Found;
use crate::ops::{Context, Error};

use super::identity;
use super::manifests::{self, name_of};

/// Everything, or some snapshots.
pub(super) struct Scope(Option<Vec<(SourceName, SnapshotId)>>);

impl Scope {
    /// Looks up what was asked for. A name that fits only a damaged manifest is damage, not absence.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is no such snapshot.
    pub(super) fn of(ctx: &Context, options: &Options, report: &mut Report) -> Result<Self, Error> {
        if options.snapshots.is_empty() {
            return Ok(Self(None));
        }
        let mut ids = Vec::new();
        for name in &options.snapshots {
            match Found::look_up(ctx, options.node.as_ref(), name) {
                Ok(found) => ids.push((found.source, found.id)),
                Err(error @ (Error::Absent(_) | Error::Damaged { .. })) => {
                    if !find_damaged(ctx, options, name, report)? {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self(Some(ids)))
    }

    /// Whether nothing is left out.
    pub(super) fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this snapshot, as `source/id`, is part of it.
    pub(super) fn wants(&self, snapshot: &str) -> bool {
        self.0.as_ref().is_none_or(|ids| ids.iter().any(|id| name_of(id) == snapshot))
    }

    /// The sources whose local copies are part of it.
    pub(super) fn sources(&self, ctx: &Context) -> Result<Vec<SourceName>, Error> {
        let mut sources = sources_with_copies(ctx)?;
        sources.retain(|source| self.0.as_ref().is_none_or(|ids| ids.iter().any(|(of, _)| of == source)));
        Ok(sources)
    }

    /// The snapshots of a source that are part of it; `None` = all.
    pub(super) fn ids_of(&self, source: &SourceName) -> Option<Vec<SnapshotId>> {
        let ids = self.0.as_ref()?;
        Some(ids.iter().filter(|(of, _)| of == source).map(|(_, id)| *id).collect())
    }
}

/// Reports damaged manifests that the name fits; gives whether there is one.
fn find_damaged(ctx: &Context, options: &Options, name: &SnapshotName, report: &mut Report) -> Result<bool, Error> {
    let node = options.node.as_ref().unwrap_or(&ctx.node);
    let Which::Prefix(prefix) = &name.which else { return Ok(false) };
    let Some(remote) = identity::open(ctx, node, report)? else { return Ok(!report.faults.is_empty()) };
    let catalogue = Catalogue::read(ctx, &remote, node, name.source.as_ref())?;
    let fits = |snapshot: &str| {
        snapshot.split_once('/').is_some_and(|(source, id)| {
            id.starts_with(prefix.as_str()) && name.source.as_ref().is_none_or(|wanted| wanted.as_str() == source)
        })
    };
    let before = report.faults.len();
    manifests::take_findings(&catalogue, &fits, report);
    Ok(report.faults.len() > before)
}
