//! Whether a cluster lives that a node is to join, and which tokens it knows.
//!
//! A node that is started with the tokens of another, and does not bootstrap, takes its ranges over from it: both sides say `have the same token
//! … Ignoring` in their logs, and nobody asks (seen with 5.0.9).

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use scylla::value::CqlValue;

use super::cql::{Connection, cql_place};
use super::node_config::NodeConfig;
use super::settings::Settings;
use crate::source::Error;
use crate::sys::stop::Stop;

/// How long a connection to another machine of the cluster may take.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// What another machine of a cluster says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Neighbour {
    /// Nothing listens there: no node runs.
    Silent,
    /// Its name leads nowhere now, so that nobody knows whether a node runs there.
    Unfound(String),
    /// A node runs, and does not answer.
    Unasked(String),
    /// The nodes that it knows, itself with them, and their tokens.
    Knows(Vec<(String, Vec<String>)>),
}

/// Asks the machine of a seed, in CQL at the port that this node takes it at, as the source's account.
///
/// # Errors
/// [`Error::NodeConfig`]; [`Error::Stopped`].
pub fn ask_neighbour(settings: &Settings, config: &NodeConfig, seed: &str, stop: &Stop) -> Result<Neighbour, Error> {
    let (host, port) = host_and_port(seed, config.storage_port);
    let addresses: Vec<SocketAddr> = match (host, port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(cause) => return Ok(Neighbour::Unfound(cause.to_string())),
    };
    if !addresses.iter().any(|address| TcpStream::connect_timeout(address, CONNECT_TIME).is_ok()) {
        return Ok(Neighbour::Silent);
    }
    let mut settings = settings.clone();
    settings.cql.address = Some((host.to_owned(), cql_place(&settings, config)?.1));
    match known(&settings, config, stop) {
        Err(Error::Cassandra { node, why, .. }) => Ok(Neighbour::Unasked(format!("{node}: {why}"))),
        known => known.map(Neighbour::Knows),
    }
}

fn known(settings: &Settings, config: &NodeConfig, stop: &Stop) -> Result<Vec<(String, Vec<String>)>, Error> {
    type Row = (CqlValue, Option<Vec<String>>);
    const WHAT: &str = "ask for the tokens that are known to";
    let connection = Connection::open(settings, config, stop)?;
    let mut rows = connection.rows::<Row>(WHAT, "SELECT broadcast_address, tokens FROM system.local")?;
    rows.extend(connection.rows::<Row>(WHAT, "SELECT peer, tokens FROM system.peers_v2")?);
    let told =
        |(address, tokens): Row| (address.as_inet().map(|address| address.to_string()).unwrap_or_default(), tokens.unwrap_or_default());
    Ok(rows.into_iter().map(told).collect())
}

/// The host of a seed, and its port where it has one.
pub(super) fn host_and_port(seed: &str, default: u16) -> (&str, u16) {
    let of = |host, port: Option<&str>| (host, port.and_then(|port| port.parse().ok()).unwrap_or(default));
    if let Some((host, rest)) = seed.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return of(host, rest.strip_prefix(':'));
    }
    match seed.split_once(':') {
        // Of an address of IPv6 the colons are its own.
        Some((host, port)) if !port.contains(':') => of(host, Some(port)),
        _ => of(seed, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_nowhere_is_not_taken_for_a_machine_that_is_down() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cassandra.yaml");
        std::fs::write(&path, "partitioner: Murmur3Partitioner\n").unwrap();
        let (settings, config) = (Settings::new(vec!["k".into()], path.clone()), NodeConfig::read(&path).unwrap());
        let asked = |seed: &str| ask_neighbour(&settings, &config, seed, &Stop::new()).unwrap();
        // A label is never empty, so no server of names is asked.
        assert!(matches!(asked("no..name"), Neighbour::Unfound(_)), "{:?}", asked("no..name"));
        assert_eq!(asked("127.0.0.1:1"), Neighbour::Silent);
    }

    #[test]
    fn a_seed_is_a_host_with_or_without_a_port() {
        for (seed, is) in [
            ("10.0.0.8", ("10.0.0.8", 7000)),
            ("node-2:7100", ("node-2", 7100)),
            ("fe80::1", ("fe80::1", 7000)),
            ("[fe80::1]:7100", ("fe80::1", 7100)),
            ("[fe80::1]", ("fe80::1", 7000)),
        ] {
            assert_eq!(host_and_port(seed, 7000), is);
        }
    }
}
