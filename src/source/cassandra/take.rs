//! Taking a snapshot: the server makes it, it is proved to be whole, and its files come into the copy.

use std::collections::BTreeSet;
use std::path::Path;

use super::component::SCHEMA;
use super::directories::{self, DirectoryFacts};
use super::earlier::Earlier;
use super::folders::{Before, Folders, SNAPSHOTS, tables};
use super::foreign::Foreign;
use super::link::make_folder;
use super::look::Looked;
use super::node_config::NodeConfig;
use super::one_id::{check_one_node, check_same_node};
use super::schema::{PAXOS, Schema};
use super::server::Server;
use super::settings::Settings;
use super::table::{TakenTable, Taking};
use super::unopened::Lying;
use crate::source::{Error, Problem};
use crate::sys;
use crate::sys::meter::Meter;
use crate::sys::stop::Stop;

/// What a snapshot is to be taken of, and where its parts lie.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The source.
    pub settings: &'a Settings,
    /// Its node's configuration.
    pub config: &'a NodeConfig,
    /// The name of the snapshot on the server, which nothing has yet.
    pub tag: &'a str,
    /// A folder that nobody else can enter and that is cleared after a kill: the JMX password is there while `nodetool` runs.
    pub folder: &'a Path,
    /// For nameless temporary files.
    pub work: &'a Path,
    /// Whether to stop.
    pub stop: &'a Stop,
    /// How far it is.
    pub meter: &'a Meter,
}

/// What is in the copy.
#[derive(Debug)]
pub struct Taken {
    /// All tables and views, in the order of their names, empty ones too.
    pub tables: Vec<TakenTable>,
    /// What is not as it should be, though no row is missing of what the server has open.
    pub problems: Vec<Problem>,
    /// Snapshots of others in the same keyspaces.
    pub foreign: Foreign,
    /// What it has from each data directory.
    pub directories: Vec<DirectoryFacts>,
    /// Bytes of files that had to be copied, because they could not be linked (another filesystem, or files of somebody else that the kernel lets
    /// nobody link) and no earlier copy has them.
    pub copied_bytes: u64,
}

/// Has the server take a snapshot of all keyspaces of a schema at once, proves that it is whole, and brings its files into `data`, an empty
/// folder: `<keyspace>/<table>-<id>/…` and `<keyspace>/schema.cql` with the statements that make it. When this returns without an error, all of
/// it is on the disk.
///
/// `looked` is what the server said before. `look_again` asks it anew: after the snapshot the node's id, its tokens, all tables, and every statement
/// must be what they were before, or the files may hold what the statements do not know, such as a column. What cannot be linked and is the same in the `earlier` copy
/// is linked from there, and else copied.
///
/// The server's own snapshot stays: [`clear`] removes it, and must also after an error, since part of it may be there.
///
/// # Errors
/// [`Error::NodeConfig`]; [`Error::Refused`] when CQL and JMX lead to two nodes; [`Error::Cassandra`] when the server does not take it;
/// [`Error::Moved`] when the schema has changed meanwhile, so that another try may do; [`Error::NotWhole`]; [`Error::File`]; [`Error::Stopped`]; those of `look_again`.
pub fn take(
    job: &Job<'_>,
    looked: &Looked,
    data: &Path,
    earlier: Option<&Earlier<'_>>,
    look_again: &mut dyn FnMut() -> Result<Looked, Error>,
) -> Result<Taken, Error> {
    let Looked { schema, ddl, .. } = looked;
    let folders = Folders::of(job.config)?;
    let before = Before::look(&folders, schema)?;
    // ScyllaDB has no logs of transactions to tell by, and no server of it could be tried.
    let lying = if job.settings.is_scylla() { None } else { Some(Lying::look(&folders, schema, job.work, job.stop)?) };
    check_one_node(job, &looked.facts)?;
    let keyspaces: Vec<String> = schema.keyspaces.iter().map(|keyspace| keyspace.name.clone()).collect();
    job.meter.set_phase("snapshot");
    Server::of(job)?.snapshot(job.tag, &keyspaces)?;
    let after = look_again()?;
    check_same_node(&looked.facts, &after.facts)?;
    check_unchanged(schema, &after.schema)?;
    check_described_alike(ddl, &after.ddl)?;
    check_strangers(&folders, schema, job.tag)?;
    job.meter.set_phase("link");
    let Job { tag, work, stop, meter, .. } = *job;
    let into_data = |_: &Path| data.to_owned();
    let needs_views = !job.settings.is_scylla();
    let taking = Taking { folders: &folders, before: &before, tag, data: &into_data, earlier, needs_views, work, stop, meter };
    let (mut taken, mut problems) = (Vec::new(), Vec::new());
    for (keyspace, table) in tables(schema) {
        taken.push(taking.table(keyspace, table, &mut problems)?);
    }
    problems.extend(lying.map_or(Ok(Vec::new()), |lying| lying.left_out(tag, stop))?);
    for keyspace in &keyspaces {
        write_ddl(data, keyspace, ddl)?;
    }
    // Also what was copied; the files behind links were flushed by the server.
    sys::tree::sync_filesystem(data)?;
    let foreign = Foreign::look(&folders, &keyspaces, tag, stop)?;
    let directories = directories::read(&folders, schema, tag)?;
    let copied_bytes = taken.iter().map(|table| table.copied_bytes).sum();
    Ok(Taken { tables: taken, problems, foreign, directories, copied_bytes })
}

/// Has the server clear the snapshot of this name, which is ours, in these keyspaces; nothing is asked of it when there is none. Only `job`'s
/// meter is not used.
///
/// # Errors
/// [`Error::Cassandra`], also when it is still there afterwards; [`Error::NodeConfig`]; [`Error::File`]; [`Error::Stopped`].
pub fn clear(job: &Job<'_>, keyspaces: &[String]) -> Result<(), Error> {
    let folders = Folders::of(job.config)?;
    if !folders.has_tag(keyspaces, job.tag)? {
        return Ok(());
    }
    let server = Server::of(job)?;
    server.clear(job.tag, keyspaces)?;
    if folders.has_tag(keyspaces, job.tag)? {
        let why = format!("{} went well, and the snapshot {} is still there in {}", server.word(), job.tag, folders.told());
        return Err(Error::Cassandra { what: "clear a snapshot of", node: job.settings.place(), why });
    }
    Ok(())
}

/// The schema is after the snapshot what it was before it.
pub(super) fn check_unchanged(before: &Schema, after: &Schema) -> Result<(), Error> {
    if before == after {
        return Ok(());
    }
    let names =
        |schema: &Schema| tables(schema).map(|(keyspace, table)| format!("{}.{}", keyspace.name, table.name)).collect::<BTreeSet<_>>();
    let (old, new) = (names(before), names(after));
    let what = match (new.difference(&old).next(), old.difference(&new).next()) {
        (Some(made), _) => format!("{made} was made"),
        (None, Some(dropped)) => format!("{dropped} was dropped"),
        (None, None) => {
            let changed = tables(before).zip(tables(after)).find(|(one, other)| one.1 != other.1);
            changed.map_or_else(|| "the keyspaces were changed".to_owned(), |(one, _)| format!("{}.{} was changed", one.0.name, one.1.name))
        }
    };
    Err(Error::Moved { what })
}

/// The statements are after the snapshot what they were before it: a column or a type that came between is in the files and not in the statements,
/// or in these and not in the files.
fn check_described_alike(before: &[(String, String)], after: &[(String, String)]) -> Result<(), Error> {
    match before.iter().zip(after).find(|(one, other)| one != other) {
        Some(((keyspace, _), _)) => Err(Error::Moved { what: format!("a definition of the keyspace {keyspace} was changed") }),
        None => Ok(()),
    }
}

/// The server has made no snapshot of a table that it did not tell of.
fn check_strangers(folders: &Folders, schema: &Schema, tag: &str) -> Result<(), Error> {
    for keyspace in &schema.keyspaces {
        let known: BTreeSet<String> = keyspace.tables.iter().map(super::schema::Table::folder).collect();
        folders.each_table(&keyspace.name, |name, path| {
            let snapshot = path.join(SNAPSHOTS).join(tag);
            if known.contains(name) || name.contains(PAXOS) || !snapshot.exists() {
                return Ok(());
            }
            Err(Error::NotWhole { why: format!("there is a snapshot {} of a table that the schema does not have", snapshot.display()) })
        })?;
    }
    Ok(())
}

/// Writes what makes a keyspace anew.
fn write_ddl(data: &Path, keyspace: &str, ddl: &[(String, String)]) -> Result<(), Error> {
    let Some((_, text)) = ddl.iter().find(|(name, text)| name == keyspace && !text.trim().is_empty()) else {
        return Err(Error::NotWhole { why: format!("the server has not told how the keyspace {keyspace} is made") });
    };
    let folder = data.join(keyspace);
    make_folder(&folder)?;
    Ok(sys::file::write_new_private(&folder.join(SCHEMA), text.as_bytes())?)
}

#[cfg(test)]
#[path = "take_tests.rs"]
mod tests;
