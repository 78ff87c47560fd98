//! `init`: makes a folder or bucket a repository, and this node known in it.

use std::ops::ControlFlow;

use serde::Serialize;

use super::catalogue::Catalogue;
use super::node::{Remote, known_uuid, own_uuid};
use super::remembered::{Remembered, remember};
use super::{Context, Error};
use crate::format::key::{Key, MARKER};
use crate::format::limits::FORMAT_VERSION;
use crate::format::marker::Marker;
use crate::repository::{self, Finding, Probe, Verdict};
use crate::sys::random;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Take over the node's name from the machine that had it: this one replaces it.
    pub adopt: bool,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was done.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Where the repository is.
    pub location: String,
    /// The repository's id; `None` in a dry run that would create one.
    pub repository: Option<String>,
    /// Whether it was (or would be) created just now.
    pub created: bool,
    /// Number of the node file that was (or would be) written; `None` when the node was known already.
    pub claimed: Option<u32>,
    /// What the store can do; `None` in a dry run.
    pub probe: Option<Probe>,
}

/// Creates the marker and this node's file where they are missing; a repository that is there and matches is left as it is.
///
/// # Errors
/// [`Error::Refused`] when the name belongs to another machine and `adopt` is not set; [`Error::Usage`] when the repository that is there and
/// the configuration disagree about encryption; what the store gives.
pub fn run(ctx: &Context, options: &Options) -> Result<Outcome, Error> {
    if !options.dry_run {
        // A machine that cannot keep its own identity could not use a repository made for it. It has one even if no repository can be
        // reached: then copies can be taken until it can.
        own_uuid(ctx)?;
    }
    let store = ctx.store()?.clone();
    let location = store.describe();
    let found = Remote::read_marker(ctx)?;
    let created = found.is_none();
    if let Some(marker) = &found {
        ctx.keys.check_agreement(marker.encryption)?;
    }
    if created && let Some(known) = Remembered::at(ctx, &location)? {
        return Err(known.is_gone());
    }
    if options.dry_run {
        let claimed = match found {
            Some(marker) => claim_number(ctx, &Remote { store, marker, keys: ctx.keys.clone() }, options)?,
            None => Some(1),
        };
        return Ok(Outcome { location, repository: None, created, claimed, probe: None });
    }
    // The probe comes before the marker: a store that cannot do what is needed gets no marker.
    let probe = store.probe()?;
    warnings(&probe).into_iter().for_each(|warning| ctx.warn(None, warning));
    let marker = match found {
        Some(marker) => marker,
        None => create_marker(ctx)?,
    };
    let mut remote = Remote { store, marker, keys: ctx.keys.clone() };
    let claimed = claim_number(ctx, &remote, options)?;
    if let Some(n) = claimed {
        remote.claim(ctx, n)?;
        // Somebody else may have claimed the name, or set up the place, at the same moment; what is there now counts.
        remote = Remote::open(ctx)?;
        ctx.keys.check_agreement(remote.marker.encryption)?;
        remote.check_owner(ctx)?;
    }
    remember(ctx, &remote, &probe)?;
    // On a rebuilt node this is how it learns the ids that it has used before: a new one must be above them.
    Catalogue::read(ctx, &remote, &ctx.node, None)?;
    Ok(Outcome { location, repository: Some(remote.marker.repository), created, claimed, probe: Some(probe) })
}

/// Writes the marker of a new repository; when another `init` was faster, its marker counts.
fn create_marker(ctx: &Context) -> Result<Marker, Error> {
    let store = ctx.store()?;
    let mut foreign = None;
    store.list("", &mut |object| {
        if matches!(Key::parse(&object.key), Some(Key::Probe(_))) {
            return ControlFlow::Continue(());
        }
        foreign = Some(object.key);
        ControlFlow::Break(())
    })?;
    if let Some(key) = foreign {
        // Another machine may have set up the place since the marker was looked for.
        if let Some(marker) = Remote::read_marker(ctx)? {
            ctx.keys.check_agreement(marker.encryption)?;
            return Ok(marker);
        }
        return Err(Error::Refused(format!(
            "{} holds other objects already (`{key}` is one) and no `{MARKER}`: choose an empty prefix, or put the marker back if it \
             was lost",
            store.describe()
        )));
    }
    let marker = Marker {
        format: FORMAT_VERSION,
        repository: random::uuid4(&*ctx.random),
        created: ctx.clock.now(),
        encryption: ctx.keys.encryption(),
    };
    match store.create(MARKER, marker.to_text().into()) {
        Ok(()) | Err(repository::Error::Taken { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let marker = Remote::read_marker(ctx)?.ok_or_else(|| Error::damaged(MARKER, "it was written and cannot be read back"))?;
    ctx.keys.check_agreement(marker.encryption)?;
    Ok(marker)
}

/// The number of the node file that must be written for this machine, or `None` when the repository knows it.
fn claim_number(ctx: &Context, remote: &Remote, options: &Options) -> Result<Option<u32>, Error> {
    match remote.highest_node_file(ctx)? {
        None => Ok(Some(1)),
        // Who says that this machine is the node now need not be told by a damaged file who was.
        Some((n, Err(error))) if options.adopt && error.is_of_one_object() => Ok(Some(n + 1)),
        Some((_, Err(error))) => Err(error),
        Some((_, Ok(file))) if Some(&file.uuid) == known_uuid(ctx)?.as_ref() => Ok(None),
        Some((n, _)) if options.adopt => Ok(Some(n + 1)),
        Some(_) => remote.check_owner(ctx).map(|()| None),
    }
}

/// What the probe found that somebody should know before anything is kept there.
fn warnings(probe: &Probe) -> Vec<String> {
    let fails = |finding: &Finding| matches!(finding.verdict, Verdict::Ignored | Verdict::Broken);
    let mut warnings = Vec::new();
    if fails(&probe.create_only) {
        warnings.push(format!(
            "this store lets objects be written over ({}). Windlass writes over nothing by itself, and backups work here; but what another \
             program, or a machine with the same node name, writes over is lost. Give every machine a name of its own, and prefer a store \
             that refuses it (on Ceph: a bucket without versions)",
            probe.create_only.detail
        ));
    }
    if fails(&probe.checksum) {
        warnings.push(format!(
            "this store takes what was damaged on its way ({}), which only `windlass verify --full` finds: use it over TLS",
            probe.checksum.detail
        ));
    }
    for (what, finding) in [("read a range of an object", &probe.ranged_read), ("list what it holds", &probe.list_paging)] {
        if fails(finding) {
            warnings.push(format!("this store does not {what} rightly ({}): do not keep backups in it", finding.detail));
        }
    }
    warnings
}
