//! The other nodes that a node knows.

use super::cql::Connection;
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
