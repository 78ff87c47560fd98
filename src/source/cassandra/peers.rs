//! What a node has beside the keyspaces of a source: the other nodes that it knows, and keyspaces of others.

use super::cql::Connection;
use super::names::is_own;
use super::node_config::NodeConfig;
use super::settings::Settings;
use crate::source::Error;
use crate::sys::stop::Stop;

/// How many other nodes of its cluster a node knows, those that are down with them.
///
/// # Errors
/// [`Error::Cassandra`]; [`Error::Stopped`].
pub fn peers(settings: &Settings, config: &NodeConfig, stop: &Stop) -> Result<u64, Error> {
    peers_of(&Connection::open(settings, config, stop)?)
}

/// The same by a connection that there is.
pub(super) fn peers_of(connection: &Connection) -> Result<u64, Error> {
    let rows = connection.rows::<(scylla::value::CqlValue,)>("ask for the peers of", "SELECT peer FROM system.peers_v2")?;
    Ok(rows.len() as u64)
}

/// The keyspaces that a node has beside Cassandra's own, sorted.
///
/// # Errors
/// [`Error::Cassandra`]; [`Error::Stopped`].
pub fn keyspaces(settings: &Settings, config: &NodeConfig, stop: &Stop) -> Result<Vec<String>, Error> {
    let connection = Connection::open(settings, config, stop)?;
    let rows = connection.rows::<(String,)>("list the keyspaces of", "SELECT keyspace_name FROM system_schema.keyspaces")?;
    let mut names: Vec<String> = rows.into_iter().map(|(name,)| name).filter(|name| !is_own(name)).collect();
    names.sort();
    Ok(names)
}
