//! A look at the node: what it is, which keyspaces it has, and how they are defined, all of one instant.

use super::cql::{Connection, failed};
use super::facts::{Facts, KeyspaceFacts};
use super::names::wanted;
use super::node_config::NodeConfig;
use super::peers::peer_places;
use super::roles;
use super::schema::{Keyspace, Kind, PAXOS, Schema, Table, TableId};
use super::settings::{Engine, Settings};
use super::statements::literal;
use super::{describe, facts, scylladb};
use crate::source::Error;
use crate::sys::stop::Stop;

/// How often the keyspaces are read until two readings are alike: changes come in bursts, when an application is set up.
const READINGS_MAX: usize = 6;

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
    let reading = settled(&connection, settings.is_scylla(), choice)?;
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

/// What two readings in a row have found alike. Each takes several questions, and the schema may change between them; that other
/// keyspaces change meanwhile does not matter.
fn settled(connection: &Connection, is_scylla: bool, choice: Choice<'_>) -> Result<Reading, Error> {
    let mut last = None;
    for left in (0..READINGS_MAX).rev() {
        let version = facts::local(connection)?.schema_version;
        match Reading::of(connection, is_scylla, choice) {
            Ok(reading) if last.as_ref() == Some(&reading) => return Ok(reading),
            Ok(reading) => last = Some(reading),
            // What fails while the schema changes may be something that has gone.
            Err(Error::Cassandra { .. }) if left > 0 && facts::local(connection)?.schema_version != version => last = None,
            Err(error) => return Err(error),
        }
    }
    let why = format!("it was another each of {READINGS_MAX} times: let the change of the schema come to its end and try again");
    Err(failed("read the schema of", connection.node(), why))
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
