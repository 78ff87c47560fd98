//! Making what a node lacks, statement by statement.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::built::{Builder, indexes_are_built};
use super::super::cql::{Connection, failed};
use super::super::node_config::NodeConfig;
use super::super::settings::Settings;
use super::compare::{Compared, Comparison};
use super::definition::{Element, head};
use crate::source::Error;
use crate::sys::stop::Stop;

/// How long the other nodes of a cluster may take to learn of a statement: gossip tells them within seconds, and one that is down never.
const AGREEMENT_TIME: Duration = Duration::from_secs(60);

/// How often they are looked at meanwhile.
const AGREEMENT_TICK: Duration = Duration::from_millis(250);

const WHAT: &str = "make what is missing on";

/// Makes what a comparison has found to be missing or unfinished, in order, each table with its id. A run that is killed is taken up by
/// comparing anew.
///
/// `each` hears of every thing before it is made. Indexes that are made are built when this returns: what is set aside half built comes back so.
/// Gives what a person should know afterwards: nodes that have not learnt of it.
///
/// # Errors
/// [`Error::Cassandra`] with the statement and what the node says against it; what was made before it stays. [`Error::Stopped`].
pub fn make(
    settings: &Settings,
    config: &NodeConfig,
    comparison: &Comparison,
    stop: &Stop,
    each: &mut dyn FnMut(&Compared),
) -> Result<Vec<String>, Error> {
    if comparison.missing().next().is_none() {
        return Ok(Vec::new());
    }
    let connection = Connection::open(settings, config, stop)?;
    let mut disagreeing = None;
    for missing in comparison.missing() {
        each(missing);
        for statement in &missing.statements {
            connection.run(WHAT, statement).map_err(|error| with_statement(error, statement))?;
            // One that is down is waited for once.
            if disagreeing.is_none() {
                disagreeing = disagreement(&connection)?;
            }
        }
    }
    let builders: Vec<Builder<'_>> = comparison.missing().filter_map(builder).collect();
    let unseen = indexes_are_built(&connection, &builders)?;
    // It may have come meanwhile.
    if disagreeing.is_some() {
        disagreeing = disagreement(&connection)?;
    }
    Ok(disagreeing.into_iter().chain(unseen).collect())
}

/// An index that was made, which the node builds from its table.
fn builder(made: &Compared) -> Option<Builder<'_>> {
    let table = made.of.as_ref().filter(|_| made.element == Element::Index)?;
    Some(Builder { keyspace: &made.keyspace, table, index: Some(&made.name) })
}

/// Waits until all nodes that this one knows have its schema; tells of those that do not in time.
fn disagreement(connection: &Connection) -> Result<Option<String>, Error> {
    let tries = AGREEMENT_TIME.as_millis() / AGREEMENT_TICK.as_millis();
    let mut others = BTreeMap::new();
    for _ in 0..tries {
        others = having_another(connection)?;
        if others.is_empty() {
            return Ok(None);
        }
        connection.pause(AGREEMENT_TICK)?;
    }
    let nodes = others.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    Ok(Some(format!(
        "the nodes {nodes} have not learnt of what was made within {} seconds: are they down? They learn of it when they come up",
        AGREEMENT_TIME.as_secs()
    )))
}

/// The other nodes whose schema is not that of this one.
fn having_another(connection: &Connection) -> Result<BTreeMap<String, String>, Error> {
    const WHAT: &str = "ask for the version of the schema on";
    type Version = Option<scylla::value::CqlValue>;
    let (own,) = connection.row::<(Version,)>(WHAT, "SELECT schema_version FROM system.local WHERE key = 'local'")?;
    let told = |value: Version| value.map(|value| value.to_string()).unwrap_or_default();
    let own = told(own);
    let peers = connection.rows::<(scylla::value::CqlValue, Version)>(WHAT, "SELECT peer, schema_version FROM system.peers_v2")?;
    let peers = peers.into_iter().map(|(peer, version)| (peer.as_inet().map(|peer| peer.to_string()).unwrap_or_default(), told(version)));
    Ok(peers.filter(|(_, version)| *version != own).collect())
}

fn with_statement(error: Error, statement: &str) -> Error {
    match error {
        Error::Cassandra { why, node, .. } => failed(WHAT, &node, format!("{}: {why}", head(statement))),
        other => other,
    }
}
