//! Tables of a Cassandra node that are not live: what an undo puts back.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::source::cassandra::{Kind, TableId, Unbuilt};

/// How tables of a Cassandra node are put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The node is stopped, and files change places.
    #[default]
    Stopped,
    /// The node runs and takes files in (`nodetool import`).
    Running,
}

/// Tables of a Cassandra node that are not live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AsideTables {
    /// How they were replaced, and are put back.
    pub(crate) cassandra: Way,
    /// The id of the node that they are of; empty where it could not be asked.
    pub(crate) host_id: String,
    /// The folders that they lie in, one for each data directory of the node; in each `<keyspace>/<folder>/…`.
    pub(crate) places: Vec<PathBuf>,
    /// Each of them.
    pub(crate) tables: Vec<AsideTable>,
    /// What else lies aside: where, and which folder of the node it is of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) others: Vec<AsideOther>,
    /// How the indexes of these tables are defined, by their names for a person, where the node could be asked: another one under the same name
    /// must not be given their files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) indexes: BTreeMap<String, String>,
    /// What of them was not built yet: put back, it is built to its end.
    #[serde(default, skip_serializing_if = "Unbuilt::is_empty")]
    pub(crate) unbuilt: Unbuilt,
}

/// A table that is not live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AsideTable {
    /// Its keyspace.
    pub(crate) keyspace: String,
    /// Its name.
    pub(crate) name: String,
    /// The id that it has in the node's schema; what lies aside is put back under this one.
    pub(crate) id: TableId,
    /// Table or view.
    pub(crate) kind: Kind,
    /// The name of its folder: live, and in each of the places aside.
    pub(crate) folder: String,
    /// Whether it has SSTables, in any of the places.
    pub(crate) has_rows: bool,
    /// How many SSTables it has, without those of indexes, where they were counted; else 0.
    #[serde(default)]
    pub(crate) sstables: u64,
}

/// A folder of the node that holds no tables, and whose files lie aside: commit log, hints, change data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AsideOther {
    /// The node's folder.
    pub(crate) live: PathBuf,
    /// Where its files lie.
    pub(crate) place: PathBuf,
    /// Whether an undo puts them back: a commit log that the node has written to tables before must not be read once more.
    pub(crate) is_needed: bool,
}

impl AsideTables {
    /// Where they are, for a person.
    pub(crate) fn told(&self) -> String {
        let places: Vec<String> = self.places.iter().map(|place| place.display().to_string()).collect();
        places.join(", ")
    }

    /// Whether what they lie in has been taken away by somebody.
    pub(crate) fn is_gone(&self) -> bool {
        self.places.iter().any(|place| !place.is_dir())
    }

    /// The keyspaces, each once.
    pub(crate) fn keyspaces(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tables.iter().map(|table| table.keyspace.clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}
