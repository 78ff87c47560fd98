//! A node that is down: whether it can be started, and what can be known of it while it is not.

use super::exchange::bytes_of;
use super::matched::Matched;
use super::seen::Recorded;
use super::survey::Survey;
use crate::ops::error::chain;
use crate::ops::restore::Options;
use crate::ops::spec::{CassandraSettings, SourceSpec};
use crate::ops::undo::cassandra::Ground;
use crate::ops::{Context, Error, size};
use crate::source::cassandra::{Control, has_rows, table_folders, table_of};

/// Whether the node is up; one that is down is started first, so that its commit log is read and written out: it holds writes of all
/// keyspaces.
pub(super) fn be_up(ctx: &Context, spec: &SourceSpec, control: &Control<'_>, options: &Options) -> Result<bool, Error> {
    if control.is_up()? {
        return Ok(true);
    }
    if options.manner.undrained {
        return Ok(false);
    }
    ctx.phase(&spec.name, None, "starting");
    ctx.warn(Some(&spec.name), "the node is down and is started first, so that nothing of its commit log is lost".to_owned());
    control.start().map_err(|cause| {
        Error::Refused(format!(
            "the node is down, and what only its commit log holds, of all its keyspaces, would be lost: {}; nothing was changed. Have it started, \
             or say --undrained: then the commit log is set aside with the rest",
            chain(&Error::from(cause))
        ))
    })?;
    Ok(true)
}

/// The tables of a snapshot on a node that cannot be asked: as its folders say. Whether its release reads their format is seen when it starts.
pub(super) fn unasked(ground: &Ground, recorded: &Recorded, survey: &Survey) -> Result<Matched, Error> {
    if let Some(facts) = recorded.facts.as_ref().filter(|facts| facts.partitioner != ground.config.partitioner) {
        return Err(Error::Refused(format!(
            "the snapshot is of a node with the partitioner {}, and {} says {}: its files mean nothing here; nothing was changed",
            facts.partitioner,
            ground.config.path.display(),
            ground.config.partitioner
        )));
    }
    let mut matched = Matched::unasked(survey);
    let mut keyspaces: Vec<String> = matched.changes.iter().map(|change| change.keyspace.clone()).collect();
    keyspaces.dedup();
    for keyspace in keyspaces {
        let folders = table_folders(&ground.config, &keyspace)?;
        let coming: Vec<String> =
            matched.changes.iter().filter(|change| change.keyspace == keyspace).map(|change| change.live.clone()).collect();
        if let Some(absent) = coming.iter().find(|folder| !folders.contains(*folder)) {
            return Err(Error::Refused(format!(
                "there is no folder {keyspace}/{absent} in the data directories, and a node that is down cannot be told to make that table: start it; \
                 nothing was changed"
            )));
        }
        for folder in folders.iter().filter(|folder| !coming.contains(folder)) {
            let Some((name, id)) = table_of(folder) else { continue };
            if !has_rows(&ground.config, &keyspace, folder)? {
                continue;
            }
            if coming.iter().any(|other| table_of(other).is_some_and(|(other, _)| other == name)) {
                return Err(Error::Refused(format!(
                    "the table {keyspace}.{name} has more than one folder with files, and which of them is live, only the node knows: start it; \
                     nothing was changed"
                )));
            }
            matched.add(&keyspace, name, id, None, false);
            matched.empties.push(format!("{keyspace}.{name}"));
        }
    }
    Ok(matched)
}

/// What is said of a node that is down.
pub(super) fn told_down(settings: &CassandraSettings, options: &Options, ground: &Ground) -> Result<String, Error> {
    if !options.manner.undrained {
        return Ok("the node is down: it is started first, so that what only its commit log holds is not lost; what of its schema differs from the \
                   snapshot's is known then"
            .to_owned());
    }
    let bytes = bytes_of(&ground.config.commitlog_directory);
    Ok(format!(
        "the node is down and is not started before: what only its commit log holds ({} at most) is set aside, of {} and of every other keyspace of \
         the node, and comes back only by --undo",
        size::in_words(bytes),
        settings.keyspaces.join(", ")
    ))
}
