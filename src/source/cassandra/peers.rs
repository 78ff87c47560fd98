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
    let connection = Connection::open(settings, config, stop)?;
    let rows = connection.rows::<(scylla::value::CqlValue,)>("ask for the peers of", "SELECT peer FROM system.peers_v2")?;
    Ok(rows.len() as u64)
}
