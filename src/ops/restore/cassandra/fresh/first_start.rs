//! A new node's file is written and the node is started: from then on it is the one that the snapshot is of.

use super::neighbours::unheard_of;
use super::plan::New;
use super::{difference, has_never_run, told_directories};
use crate::ops::Error;
use crate::ops::error::chain;
use crate::ops::restore::Plan;
use crate::ops::restore::cassandra::checks::unread_by;
use crate::ops::restore::cassandra::seen::Recorded;
use crate::ops::restore::cassandra::survey::Survey;
use crate::ops::snapshots::Found;
use crate::ops::undo::cassandra::Begun;
use crate::ops::undo::cassandra::stopped::Site;
use crate::source::cassandra::{Control, FIRST_ROLE, Facts, is_refused_login, look_at_some, peer_addresses};

/// Makes a node that has never run the one that the snapshot is of. Gives whether it was one; to others nothing is done.
///
/// # Errors
/// [`Error::Refused`] when that is not what was planned, or the node has become another one; what writing and starting gives. What was written
/// stays, and the next run goes on from there.
pub(in crate::ops::restore::cassandra) fn begin(
    site: &Site<'_>,
    found: &Found,
    plan: &Plan,
    recorded: &Recorded,
    survey: &Survey,
) -> Result<bool, Error> {
    let Site { ctx, spec, settings, folder, ground } = site;
    let control = ground.control(ctx, settings, &ctx.stop);
    let planned = plan.node.as_ref().and_then(|node| node.fresh.as_ref());
    if !has_never_run(ground, &control)? {
        return match planned {
            Some(_) => Err(other_than_planned("the node has been started")),
            None => Ok(false),
        };
    }
    let begun = Begun::read(folder)?;
    let new = New::of(ctx, settings, ground, recorded, begun.as_ref())?;
    if planned != Some(&new.plan) {
        return Err(other_than_planned("the node's file or its directories have changed"));
    }
    // What the first of several tries has left is told from what lay there before.
    let since = begun.as_ref().map_or_else(|| ctx.clock.now(), |begun| begun.since);
    Begun::new(found.id, found.node.clone(), new.plan.config_file.clone(), since).write(folder)?;
    match new.file.write() {
        Ok(None) => {}
        Ok(Some(kept)) => {
            ctx.warn(Some(&spec.name), format!("{} is written; the one before it is {}", new.plan.config_file.display(), kept.display()))
        }
        Err(error) => {
            if begun.is_none() {
                Begun::forget(folder)?;
            }
            return Err(error.into());
        }
    }
    ctx.phase(&spec.name, Some(plan.id), "starting");
    control.start_first().map_err(|error| told_login(site, error.into())).and_then(|()| check(site, recorded, &new, survey)).inspect_err(
        |_| {
            let name = &spec.name;
            ctx.warn(Some(name), format!("{} stays as it is: `windlass restore {name}` goes on from here", new.plan.config_file.display()));
        },
    )?;
    Ok(true)
}

fn other_than_planned(what: &str) -> Error {
    Error::Refused(format!("{what} since this was planned: plan again; nothing was changed"))
}

/// Says of what fails after a new node was started how far it has come, where the error knows nothing of that.
pub(in crate::ops::restore::cassandra) fn told_begun(site: &Site<'_>, error: Error) -> Error {
    let Error::Refused(why) = error else { return error };
    let name = &site.spec.name;
    let why = why.strip_suffix("; nothing was changed").unwrap_or(&why);
    Error::Refused(format!(
        "{why}; {} is written and the node was started with its tokens, and it has none of the rows: `windlass restore {name}` goes on from here",
        site.ground.config.path.display()
    ))
}

/// Looks whether it has become what it was to be.
fn check(site: &Site<'_>, recorded: &Recorded, new: &New, survey: &Survey) -> Result<(), Error> {
    let Site { ctx, settings, ground, .. } = site;
    let Some(facts) = &recorded.facts else { return Ok(()) };
    let here = look_at_some(settings, &ground.config, &[], &ctx.stop)?.facts;
    let directories = told_directories(&ground.config);
    let found = peer_addresses(settings, &ground.config, &ctx.stop)?;
    let strangers = || Some(told_strangers(&unheard_of(&found, &new.known)?, &directories));
    if let Some(why) = too_old(&here, survey, &directories).or_else(strangers) {
        return Err(Error::Refused(why));
    }
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
            directories
        ))),
    }
}

/// Of a node whose release does not read the files that are to come.
fn too_old(here: &Facts, survey: &Survey, directories: &str) -> Option<String> {
    let version = unread_by(&here.version, survey)?;
    Some(format!(
        "the node was started, and is Cassandra {}, which does not read the snapshot's SSTables of the format `{version}`: stop it, install the release that \
         the snapshot is of, remove what is in {directories}, and restore again",
        here.version
    ))
}

/// Of a node that others have found which nobody could ask before.
fn told_strangers(strangers: &str, directories: &str) -> String {
    format!(
        "the node was started, and a cluster lives in which nobody was asked of its tokens before: it knows {strangers}. If that cluster had a node with these \
         tokens, this one has taken its place, and is empty: stop it at once, remove what is in {directories}, and bring it in by Cassandra's own means \
         (-Dcassandra.replace_address_first_boot), which bring what the others have. If the data of the whole cluster is lost and these were restored from the \
         same night, restore again: it goes on from here"
    )
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
    Error::Refused(format!(
        "the node was made anew and runs, and does not know who asks: {}. Roles are not restored; it knows the role `{FIRST_ROLE}` with the password \
         `{FIRST_ROLE}` alone. Log in as that one, {}, and restore again: it goes on from here",
        chain(cause),
        login_to_make(site.settings.cql.user.as_deref())
    ))
}

/// What makes the node know who asks.
fn login_to_make(user: Option<&str>) -> String {
    match user {
        Some(FIRST_ROLE) => {
            format!("give it the password that the source is configured with (ALTER ROLE {FIRST_ROLE} WITH PASSWORD = '…')")
        }
        user => {
            let role = user.unwrap_or("windlass");
            format!(
                "give it another password, make the one that the source is configured with, with its password (CREATE ROLE {role} WITH PASSWORD = '…' AND LOGIN \
                 = true; and, where an authorizer asks, GRANT ALL PERMISSIONS ON ALL KEYSPACES TO {role}; GRANT ALL PERMISSIONS ON ALL FUNCTIONS TO {role})"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_that_a_new_node_has_gets_its_password_and_another_one_is_made() {
        let told = login_to_make(Some("cassandra"));
        assert!(told.contains("ALTER ROLE cassandra WITH PASSWORD") && !told.contains("CREATE"), "{told}");
        assert!(login_to_make(Some("backup")).contains("CREATE ROLE backup WITH PASSWORD"));
    }

    #[test]
    fn a_release_that_is_too_old_is_told_with_what_has_happened() {
        let here = Facts { version: "4.1.10".into(), ..Facts::default() };
        let survey = Survey { versions: ["da".to_owned()].into(), ..Survey::default() };
        let told = too_old(&here, &survey, "/data").unwrap();
        assert!(told.starts_with("the node was started, and is Cassandra 4.1.10") && told.contains("remove what is in /data"), "{told}");
        assert_eq!(too_old(&Facts { version: "5.0.9".into(), ..here }, &survey, "/data"), None);
    }
}
