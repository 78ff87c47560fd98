//! What a node has beside the keyspaces of a source: the other nodes that it knows, and keyspaces of others.

use std::net::IpAddr;

use scylla::value::CqlValue;

use super::cql::Connection;
use super::names::is_own;
use super::node_config::NodeConfig;
use super::settings::Settings;
use crate::source::Error;
use crate::sys::stop::Stop;

/// Most other nodes whose places are kept with a snapshot: each that lives knows all the others.
const PLACES_MAX: usize = 64;

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

/// The addresses of the other nodes of its cluster that a node knows, sorted.
///
/// # Errors
/// [`Error::Cassandra`]; [`Error::Stopped`].
pub fn peer_addresses(settings: &Settings, config: &NodeConfig, stop: &Stop) -> Result<Vec<String>, Error> {
    let connection = Connection::open(settings, config, stop)?;
    let rows = connection.rows::<(CqlValue,)>("ask for the peers of", "SELECT peer FROM system.peers_v2")?;
    let mut found: Vec<String> = rows.into_iter().filter_map(|(address,)| Some(address.as_inet()?.to_string())).collect();
    found.sort();
    Ok(found)
}

/// Where other nodes find the others that a node knows, sorted.
pub(super) fn peer_places(connection: &Connection) -> Result<Vec<String>, Error> {
    let rows = connection.rows::<(CqlValue, i32)>("ask for the peers of", "SELECT peer, peer_port FROM system.peers_v2")?;
    let mut found: Vec<String> = rows.into_iter().filter_map(|(address, port)| Some(told_place(address.as_inet()?, port))).collect();
    found.sort();
    found.truncate(PLACES_MAX);
    Ok(found)
}

/// A place as `seeds` would name it.
fn told_place(address: IpAddr, port: i32) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
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

#[cfg(test)]
mod tests {
    use super::super::neighbours::host_and_port;
    use super::*;

    #[test]
    fn a_place_is_found_again_as_a_seed_is() {
        for (address, port) in [("10.0.0.8", 7000), ("fe80::8", 7100)] {
            let place = told_place(address.parse().unwrap(), port);
            assert_eq!(host_and_port(&place, 1), (address, u16::try_from(port).unwrap()), "{place}");
        }
    }
}
