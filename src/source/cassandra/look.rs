//! A look at the node: what it is, which keyspaces it has, and how they are defined, all of one instant.

use std::time::Duration;

use super::cql::{Connection, failed};
use super::facts::{Facts, KeyspaceFacts};
use super::names::wanted;
use super::node_config::NodeConfig;
use super::peers::peer_places;
use super::roles;
use super::schema::{Keyspace, Kind, PAXOS, Schema, Table, TableId};
use super::settings::{Engine, Settings};
use super::statements::literal;
use super::{anew, describe, facts, scylladb};
use crate::source::Error;
use crate::sys::stop::Stop;

/// How often the keyspaces are read until two readings are alike: changes come in bursts, when an application is set up.
const READINGS_MAX: usize = 6;

/// How long a change of the schema that is under way is waited for: a node that is busy takes some hundred milliseconds for one.
const CHANGE_TIME: Duration = Duration::from_secs(1);

/// What a look has found.
#[derive(Clone, Debug)]
pub struct Looked {
    /// What a fresh node needs to know, and a person asks.
    pub facts: Facts,
    /// The keyspaces of the source and their tables.
    pub schema: Schema,
    /// How each of them is made, in CQL: a text for each keyspace, in the order of their names.
    pub ddl: Vec<(String, String)>,
}

/// The keyspaces of a source, as one reading has found them.
#[derive(PartialEq, Eq)]
struct Reading {
    schema: Schema,
    ddl: Vec<(String, String)>,
    facts: Vec<KeyspaceFacts>,
}

/// Looks at a node.
///
/// # Errors
/// [`Error::Cassandra`] when it does not answer, lets us not in, has not all of the keyspaces, or describes them otherwise than it lists
/// them; [`Error::Stopped`].
pub fn look(settings: &Settings, config: &NodeConfig, stop: &Stop) -> Result<Looked, Error> {
    look_for(settings, config, stop, &|there| wanted(&settings.keyspaces, there))
}

/// The same for those of these keyspaces that are there, which may be none.
///
/// # Errors
/// As [`look`], but for a keyspace that is not there.
pub fn look_at_some(settings: &Settings, config: &NodeConfig, keyspaces: &[String], stop: &Stop) -> Result<Looked, Error> {
    look_for(settings, config, stop, &|there| Ok(some_of(keyspaces, there)))
}

/// Those of the keyspaces that are there, sorted.
fn some_of(keyspaces: &[String], there: &[String]) -> Vec<String> {
    let mut found: Vec<String> = keyspaces.iter().filter(|name| there.contains(name)).cloned().collect();
    found.sort();
    found.dedup();
    found
}

/// Which keyspaces are meant, of those that are there.
type Choice<'a> = &'a dyn Fn(&[String]) -> Result<Vec<String>, String>;

fn look_for(settings: &Settings, config: &NodeConfig, stop: &Stop, choice: Choice<'_>) -> Result<Looked, Error> {
    let connection = Connection::open(settings, config, stop)?;
    // Before what takes long: a wrong address is told at once.
    let told = match &settings.engine {
        Engine::Cassandra => None,
        Engine::Scylla { api } => Some(scylladb::Told::ask(&scylladb::Api::open(api, settings.place(), stop)?)?),
    };
    let mut reading = settled(&connection, settings.is_scylla(), choice)?;
    if anew::remove_left_over(&connection, &reading.ddl)? {
        reading = settled(&connection, settings.is_scylla(), choice)?;
    }
    let mut facts = Facts { keyspaces: reading.facts, ..facts::local(&connection)? };
    if let Some(told) = told {
        told.put_into(&mut facts, connection.node())?;
    }
    // ScyllaDB is not restored into, and keeps them in another table.
    if !settings.is_scylla() {
        facts.peers = peer_places(&connection)?;
    }
    facts.data_directories = config.data_directories.iter().map(|path| path.display().to_string()).collect();
    roles::read(&connection, settings.is_scylla(), &mut facts)?;
    facts.bound();
    Ok(Looked { facts, schema: reading.schema, ddl: reading.ddl })
}

/// What two readings in a row have found alike.
fn settled(connection: &Connection, is_scylla: bool, choice: Choice<'_>) -> Result<Reading, Error> {
    let version = || Ok(facts::local(connection)?.schema_version);
    let read = || Reading::of(connection, is_scylla, choice);
    twice_alike(&version, &mut { read }, &|| connection.pause(CHANGE_TIME))?.ok_or_else(|| {
        let why = format!("it was another each of {READINGS_MAX} times: let the change of the schema come to its end and try again");
        failed("read the schema of", connection.node(), why)
    })
}

/// Reads until two readings in a row are alike; `None` when none were. Each takes several questions, and the schema may change between them;
/// that other keyspaces change meanwhile does not matter.
///
/// What fails while the schema changes may be something that has gone, or that is only just coming: a node writes a change into the tables of
/// its schema first, then goes by it, and tells of another version last. So once it is waited for even where the version is the same.
fn twice_alike<R: PartialEq>(
    version: &dyn Fn() -> Result<String, Error>,
    read: &mut dyn FnMut() -> Result<R, Error>,
    pause: &dyn Fn() -> Result<(), Error>,
) -> Result<Option<R>, Error> {
    let (mut last, mut has_waited) = (None, false);
    for left in (0..READINGS_MAX).rev() {
        // After what fails two more are needed.
        let before = version()?;
        match read() {
            Ok(reading) if last.as_ref() == Some(&reading) => return Ok(Some(reading)),
            Ok(reading) => last = Some(reading),
            Err(Error::Cassandra { .. }) if left > 1 && version()? != before => last = None,
            Err(Error::Cassandra { .. }) if left > 1 && !has_waited => {
                pause()?;
                (last, has_waited) = (None, true);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

impl Reading {
    fn of(connection: &Connection, is_scylla: bool, choice: Choice<'_>) -> Result<Self, Error> {
        let there: Vec<(String,)> = connection.rows("list the keyspaces of", "SELECT keyspace_name FROM system_schema.keyspaces")?;
        let there: Vec<String> = there.into_iter().map(|(name,)| name).collect();
        let names = choice(&there).map_err(|why| failed("find the keyspaces of", connection.node(), why))?;
        let mut reading = Self { schema: Schema { keyspaces: Vec::new() }, ddl: Vec::new(), facts: Vec::new() };
        for name in names {
            let keyspace = Keyspace { tables: tables(connection, &name)?, name };
            let described = if is_scylla { scylladb::described } else { describe::keyspace };
            reading.ddl.push((keyspace.name.clone(), described(connection, &keyspace)?));
            reading.facts.push(KeyspaceFacts::read(connection, &keyspace)?);
            reading.schema.keyspaces.push(keyspace);
        }
        Ok(reading)
    }
}

/// The tables and views of a keyspace, sorted by name.
pub(super) fn tables(connection: &Connection, keyspace: &str) -> Result<Vec<Table>, Error> {
    const WHAT: &str = "list the tables of";
    type Row = (String, scylla::value::CqlValue, i32);
    let of = literal(keyspace);
    let from = |columns: &str, table: &str| format!("SELECT {columns} FROM system_schema.{table} WHERE keyspace_name = {of}");
    let id = |value: &scylla::value::CqlValue| -> Result<TableId, Error> {
        value.to_string().parse().map_err(|why| failed(WHAT, connection.node(), why))
    };
    let mut tables = Vec::new();
    for (name, value, gc_grace_seconds) in connection.rows::<Row>(WHAT, &from("table_name, id, gc_grace_seconds", "tables"))? {
        tables.push(Table { id: id(&value)?, name, kind: Kind::Table, base: None, gc_grace_seconds, indexes: Vec::new() });
    }
    type View = (String, scylla::value::CqlValue, i32, String);
    let views = connection.rows::<View>(WHAT, &from("view_name, id, gc_grace_seconds, base_table_name", "views"))?;
    for (name, value, gc_grace_seconds, base) in views {
        tables.push(Table { id: id(&value)?, name, kind: Kind::View, base: Some(base), gc_grace_seconds, indexes: Vec::new() });
    }
    for (table, index) in connection.rows::<(String, String)>("list the indexes of", &from("table_name, index_name", "indexes"))? {
        let Some(table) = tables.iter_mut().find(|of| of.name == table) else {
            return Err(failed("list the indexes of", connection.node(), format!("`{index}` is of `{table}`, which it does not list")));
        };
        table.indexes.push(index);
    }
    tables.retain(|table| !table.name.ends_with(PAXOS));
    tables.iter_mut().for_each(|table| table.indexes.sort());
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Reads what is given, one after the other, from a node whose version never changes: what comes of it, and how often it was waited.
    fn reads(readings: &[Result<u32, &str>]) -> (Result<Option<u32>, String>, u32) {
        let (mut left, waited) = (readings.iter(), Cell::new(0));
        let mut read = || match left.next().expect("nothing more is read") {
            Ok(reading) => Ok(*reading),
            Err(why) => Err(failed("read", "a node", (*why).to_owned())),
        };
        let pause = || {
            waited.set(waited.get() + 1);
            Ok(())
        };
        let found = twice_alike(&|| Ok("a version".to_owned()), &mut read, &pause);
        (found.map_err(|error| error.to_string()), waited.get())
    }

    #[test]
    fn a_table_that_is_only_just_coming_is_waited_for_once() {
        let lacks = Err("it does not describe the table `t`, which it lists");
        assert_eq!(reads(&[lacks, Ok(1), Ok(1)]), (Ok(Some(1)), 1));
        let (found, waited) = reads(&[Ok(1), lacks, lacks]);
        assert!(found.unwrap_err().contains("which it lists"));
        assert_eq!(waited, 1);
    }

    #[test]
    fn a_reading_counts_when_the_next_one_is_like_it() {
        assert_eq!(reads(&[Ok(1), Ok(2), Ok(2)]), (Ok(Some(2)), 0));
        assert_eq!(reads(&[1, 2, 3, 4, 5, 6].map(Ok)), (Ok(None), 0));
        let late = [Ok(1), Ok(2), Ok(3), Ok(4), Err("it is gone")];
        assert!(reads(&late).0.unwrap_err().contains("it is gone"), "with no two readings left it is told");
    }
}
