//! What the server says there is: keyspaces, tables and their ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A table's id: 32 hex digits, as they stand in the name of its folder.
///
/// A table that is dropped and made anew gets another id; a snapshot's files belong to the id, not to the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableId(String);

impl TableId {
    /// The id as CQL writes it (`WITH ID = …`): with dashes.
    pub fn with_dashes(&self) -> String {
        let hex = &self.0;
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

impl FromStr for TableId {
    type Err = String;

    /// Takes both spellings, with dashes and without.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex: String = text.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
        if hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(hex))
        } else {
            Err(format!("`{text}` is no id of a table"))
        }
    }
}

impl TryFrom<String> for TableId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TableId> for String {
    fn from(id: TableId) -> Self {
        id.0
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What ends the names of tables in which ScyllaDB keeps the state of conditional writes that are under way (`service/paxos`): no keyspace is
/// the poorer without them, and what was under way then must not come back. No other table can have such a name.
pub(super) const PAXOS: &str = "$paxos";

/// What a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A table that is written to.
    Table,
    /// A materialized view of one.
    View,
}

/// A table or materialized view: what has a folder of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name, in its own case.
    pub name: String,
    /// Its id.
    pub id: TableId,
    /// What it is.
    pub kind: Kind,
    /// For a view, the table that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// How long a tombstone must stay, in seconds: an older snapshot brings deleted rows back where other replicas have forgotten the deletion.
    pub gc_grace_seconds: i32,
    /// Names of its indexes, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<String>,
}

impl Table {
    /// The name of its folder, in every data directory of the node: `NAME-ID`.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.name, self.id)
    }
}

/// A keyspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyspace {
    /// Its name, in its own case.
    pub name: String,
    /// Its tables and views, sorted by name.
    pub tables: Vec<Table>,
}

/// The keyspaces of a source, sorted by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// The keyspaces.
    pub keyspaces: Vec<Keyspace>,
}
