//! A new node's file is written and the node is started: from then on it is the one that the snapshot is of.

use super::plan::New;
use super::{difference, has_never_run, told_directories};
use crate::ops::Error;
use crate::ops::error::chain;
use crate::ops::restore::Plan;
use crate::ops::restore::cassandra::seen::Recorded;
use crate::ops::snapshots::Found;
use crate::ops::undo::cassandra::Begun;
use crate::ops::undo::cassandra::stopped::Site;
use crate::source::cassandra::{Control, is_refused_login, look_at_some};

/// Makes a node that has never run the one that the snapshot is of. Gives whether it was one; to others nothing is done.
///
/// # Errors
/// [`Error::Refused`] when that is not what was planned, or the node has become another one; what writing and starting gives. What was written
/// stays, and the next run goes on from there.
pub(in crate::ops::restore::cassandra) fn begin(site: &Site<'_>, found: &Found, plan: &Plan, recorded: &Recorded) -> Result<bool, Error> {
    let Site { ctx, spec, settings, folder, ground } = site;
    let control = ground.control(ctx, settings, &ctx.stop);
    let planned = plan.node.as_ref().and_then(|node| node.fresh.as_ref());
    if !has_never_run(ground, &control)? {
        return match planned {
            Some(_) => Err(other_than_planned("the node has been started")),
            None => Ok(false),
        };
    }
    let new = New::of(ctx, settings, ground, recorded)?;
    if planned != Some(&new.plan) {
        return Err(other_than_planned("the node's file or its directories have changed"));
    }
    Begun::new(found.id, found.node.clone(), new.plan.config_file.clone()).write(folder)?;
    match new.file.write() {
        Ok(None) => {}
        Ok(Some(kept)) => {
            ctx.warn(Some(&spec.name), format!("{} is written; the one before it is {}", new.plan.config_file.display(), kept.display()))
        }
        Err(error) => {
            Begun::forget(folder)?;
            return Err(error.into());
        }
    }
    ctx.phase(&spec.name, Some(plan.id), "starting");
    control.start_first().map_err(|error| told_login(site, error.into())).and_then(|()| check(site, recorded)).inspect_err(|_| {
        let name = &spec.name;
        ctx.warn(Some(name), format!("{} stays as it is: `windlass restore {name}` goes on from here", new.plan.config_file.display()));
    })?;
    Ok(true)
}

fn other_than_planned(what: &str) -> Error {
    Error::Refused(format!("{what} since this was planned: plan again; nothing was changed"))
}

/// Looks whether it has become what it was to be.
fn check(site: &Site<'_>, recorded: &Recorded) -> Result<(), Error> {
    let Site { ctx, settings, ground, .. } = site;
    let Some(facts) = &recorded.facts else { return Ok(()) };
    let here = look_at_some(settings, &ground.config, &[], &ctx.stop)?.facts;
    let why = difference(facts, &here).or_else(|| {
        let is_named = facts.keyspaces.iter().any(|keyspace| keyspace.replication.contains_key(&facts.data_center));
        (is_named && facts.data_center != here.data_center).then(|| {
            format!("it stands in the data centre `{}`, and keyspaces of the snapshot are in `{}`", here.data_center, facts.data_center)
        })
    });
    match why {
        None => Ok(()),
        Some(why) => Err(Error::Refused(format!(
            "the node was started and is not the one that the snapshot is of: {why}. Does it read another file than {}, or does its service say more to it? \
             Stop it, remove what is in {}, mend that, and restore again",
            ground.config.path.display(),
            told_directories(&ground.config)
        ))),
    }
}

/// Whether the node is up; of one that was made anew and lets nobody in, what to do about it.
///
/// # Errors
/// As [`Control::is_up`].
pub(in crate::ops::restore::cassandra) fn up_or_told(site: &Site<'_>, control: &Control<'_>) -> Result<bool, Error> {
    if Begun::read(site.folder)?.is_none() {
        return Ok(control.is_up()?);
    }
    control.is_up_and_knows_us().map_err(|error| told_login(site, error.into()))
}

/// What to do about a login that a new node refuses.
fn told_login(site: &Site<'_>, error: Error) -> Error {
    let Error::Source(cause) = &error else { return error };
    if !is_refused_login(cause) {
        return error;
    }
    let role = site.settings.cql.user.as_deref().unwrap_or("windlass");
    Error::Refused(format!(
        "the node was made anew and runs, and does not know who asks: {}. Roles are not restored; it knows the role `cassandra` with the password `cassandra` \
         alone. Log in as that one (and give it another password), make the one that the source is configured with, with its password (CREATE ROLE {role} WITH \
         PASSWORD = '…' AND LOGIN = true; and, where an authorizer asks, GRANT ALL PERMISSIONS ON ALL KEYSPACES TO {role}; GRANT ALL PERMISSIONS ON ALL \
         FUNCTIONS TO {role}), and restore again: it goes on from here",
        chain(cause)
    ))
}
