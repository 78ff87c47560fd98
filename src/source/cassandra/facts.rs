//! What is worth knowing of a node and its keyspaces beside their files: what a fresh node needs, and what a person asks.

use std::collections::BTreeMap;

use scylla::value::CqlValue;
use serde::{Deserialize, Serialize};

use super::cql::Connection;
use super::directories::DirectoryFacts;
use super::roles::{Permission, Role};
use super::schema::{Keyspace, Table};
use super::statements::literal;
use crate::source::Error;

/// Most bytes of the facts as JSON: they are read as a whole, and travel with every snapshot. Some five thousand tables fit.
const FACTS_MAX: usize = 1 << 20;

/// Facts of a node and of the keyspaces of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The server where it is not Cassandra: `scylla`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Its release.
    pub version: String,
    /// The cluster's name, which a node that takes its place must have.
    pub cluster_name: String,
    /// The node's data centre, which replication settings name.
    pub data_center: String,
    /// The node's rack.
    pub rack: String,
    /// The node's id.
    pub host_id: String,
    /// The class of the partitioner, which can never be another.
    pub partitioner: String,
    /// The tokens of the node, sorted as numbers: the part of the ring that its files are of.
    pub tokens: Vec<String>,
    /// Where other nodes find it.
    pub broadcast_address: Option<String>,
    /// Where clients find it.
    pub rpc_address: Option<String>,
    /// The version of the schema: another one whenever anything in it is.
    pub schema_version: String,
    /// The other nodes that it knew, as `ADDRESS:PORT` of where nodes find them, sorted; of a large cluster some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// The data directories of the node, as its configuration names them.
    #[serde(default)]
    pub data_directories: Vec<String>,
    /// How many SSTables of the keyspaces lay in each of them when the snapshot was taken, and on which filesystem. Older facts have none of this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<DirectoryFacts>,
    /// The keyspaces, sorted by name.
    pub keyspaces: Vec<KeyspaceFacts>,
    /// The roles, sorted by name; `None` when they cannot be read.
    #[serde(default)]
    pub roles: Option<Vec<Role>>,
    /// What they were granted, sorted; `None` when it cannot be read.
    #[serde(default)]
    pub permissions: Option<Vec<Permission>>,
    /// What is not in here and why, for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// Facts of one keyspace; its DDL is a file of the snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyspaceFacts {
    /// Its name.
    pub name: String,
    /// How it is replicated: `class` and its options.
    pub replication: BTreeMap<String, String>,
    /// Whether what is written to it goes through the commit log.
    pub durable_writes: bool,
    /// How many tables and views it has.
    pub table_count: u64,
    /// The tables and views, sorted by name.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// Names of its types, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Names of its functions, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<String>,
    /// Names of its aggregates, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aggregates: Vec<String>,
    /// Columns that were dropped, as `TABLE.COLUMN`, sorted: without the record of them, older files of their tables cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped_columns: Vec<String>,
    /// Triggers, as `TABLE.TRIGGER`, sorted. No DDL makes them: they are code in a folder of the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<String>,
}

type Local = (String, String, String, String, CqlValue, String, Option<Vec<String>>, Option<CqlValue>, Option<CqlValue>, CqlValue);

/// What the node says of itself.
pub(super) fn local(connection: &Connection) -> Result<Facts, Error> {
    let cql = "SELECT release_version, cluster_name, data_center, rack, host_id, partitioner, tokens, broadcast_address, rpc_address, \
               schema_version FROM system.local WHERE key = 'local'";
    let (version, cluster_name, data_center, rack, host_id, partitioner, tokens, broadcast, rpc, schema_version) =
        connection.row::<Local>("read the facts of", cql)?;
    Ok(Facts {
        version,
        cluster_name,
        data_center,
        rack,
        host_id: host_id.to_string(),
        partitioner,
        tokens: in_order(tokens.unwrap_or_default()),
        broadcast_address: broadcast.as_ref().and_then(CqlValue::as_inet).map(|address| address.to_string()),
        rpc_address: rpc.as_ref().and_then(CqlValue::as_inet).map(|address| address.to_string()),
        schema_version: schema_version.to_string(),
        ..Facts::default()
    })
}

/// Tokens sorted as numbers. Other partitioners than Murmur3 have tokens that are longer, or no numbers; any fixed order will do for them.
pub(super) fn in_order(mut tokens: Vec<String>) -> Vec<String> {
    tokens.sort_by_cached_key(|token| (token.parse::<i128>().ok(), token.clone()));
    tokens
}

impl KeyspaceFacts {
    /// Reads what is known of a keyspace beside its tables.
    pub(super) fn read(connection: &Connection, keyspace: &Keyspace) -> Result<Self, Error> {
        const WHAT: &str = "read the facts of a keyspace of";
        let of = literal(&keyspace.name);
        let from = |columns: &str, table: &str| format!("SELECT {columns} FROM system_schema.{table} WHERE keyspace_name = {of}");
        let names = |column: &str, table: &str| -> Result<Vec<String>, Error> {
            let rows: Vec<(String,)> = connection.rows(WHAT, &from(column, table))?;
            Ok(sorted(rows.into_iter().map(|(name,)| name)))
        };
        let pairs = |columns: &str, table: &str| -> Result<Vec<String>, Error> {
            let rows: Vec<(String, String)> = connection.rows(WHAT, &from(columns, table))?;
            Ok(sorted(rows.into_iter().map(|(of, name)| format!("{of}.{name}"))))
        };
        let (replication, durable_writes) =
            connection.row::<(BTreeMap<String, String>, bool)>(WHAT, &from("replication, durable_writes", "keyspaces"))?;
        Ok(Self {
            name: keyspace.name.clone(),
            replication,
            durable_writes,
            table_count: keyspace.tables.len() as u64,
            tables: keyspace.tables.clone(),
            types: names("type_name", "types")?,
            functions: names("function_name", "functions")?,
            aggregates: names("aggregate_name", "aggregates")?,
            dropped_columns: pairs("table_name, column_name", "dropped_columns")?,
            triggers: pairs("table_name, trigger_name", "triggers")?,
        })
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Something that can be left out of the facts, and how.
type Step = (&'static str, fn(&mut Facts));

impl Facts {
    /// Leaves out what is least needed until the facts are small enough: grants, roles, then lists of which the DDL and the folders of the
    /// snapshot tell the same. What a fresh node needs always stays.
    pub(super) fn bound(&mut self) {
        let steps: [Step; 4] = [
            ("permissions", |facts| facts.permissions = None),
            ("roles", |facts| facts.roles = None),
            ("types, functions, aggregates, dropped columns and triggers", |facts| {
                facts.keyspaces.iter_mut().for_each(KeyspaceFacts::forget_names)
            }),
            ("tables", |facts| facts.keyspaces.iter_mut().for_each(|keyspace| keyspace.tables.clear())),
        ];
        for (what, leave_out) in steps {
            if serde_json::to_vec(self).map_or(0, |json| json.len()) <= FACTS_MAX {
                return;
            }
            leave_out(self);
            self.left_out.push(format!("{what}: with them the facts would be larger than {} MiB", FACTS_MAX >> 20));
        }
    }
}

impl KeyspaceFacts {
    fn forget_names(&mut self) {
        for names in [&mut self.types, &mut self.functions, &mut self.aggregates, &mut self.dropped_columns, &mut self.triggers] {
            names.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::Kind;
    use super::*;

    fn table(number: usize) -> Table {
        Table {
            name: format!("table_{number:06}"),
            id: format!("{number:032x}").parse().unwrap(),
            kind: Kind::Table,
            base: None,
            gc_grace_seconds: 864_000,
            indexes: Vec::new(),
        }
    }

    fn facts(tables: usize, grants: usize) -> Facts {
        let tables: Vec<Table> = (0..tables).map(table).collect();
        let permission = |n: usize| Permission { role: format!("r{n}"), resource: "data/k".into(), permissions: vec!["SELECT".into()] };
        Facts {
            tokens: vec!["-1".into()],
            keyspaces: vec![KeyspaceFacts { name: "k".into(), table_count: tables.len() as u64, tables, ..KeyspaceFacts::default() }],
            roles: Some(Vec::new()),
            permissions: Some((0..grants).map(permission).collect()),
            ..Facts::default()
        }
    }

    #[test]
    fn facts_that_are_small_stay_whole() {
        let mut small = facts(5_000, 100);
        let whole = small.clone();
        small.bound();
        assert_eq!(small, whole);
    }

    #[test]
    fn what_is_least_needed_goes_first_and_is_told() {
        let mut granted = facts(10, 50_000);
        granted.bound();
        assert!(granted.permissions.is_none() && granted.roles.is_some() && granted.keyspaces[0].tables.len() == 10);
        assert!(granted.left_out[0].starts_with("permissions: with them"), "{:?}", granted.left_out);
        let mut many = facts(20_000, 1);
        many.bound();
        assert!(serde_json::to_vec(&many).unwrap().len() <= FACTS_MAX);
        assert_eq!((many.keyspaces[0].table_count, many.tokens.len(), many.left_out.len()), (20_000, 1, 4));
    }
}
