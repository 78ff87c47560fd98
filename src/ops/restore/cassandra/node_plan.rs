//! What a restore will do to a Cassandra node, for a person and for a script.

use jiff::Timestamp;
use serde::Serialize;

use super::fresh::FreshPlan;
use super::seen::Recorded;
use super::survey::Survey;
use crate::ops::undo::{AsideTables, Way};

/// Most names that a plan lists of one kind; how many there are more, its last line tells.
const NAMES_MAX: usize = 20;

/// What becomes of a node.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NodePlan {
    /// How it takes the files.
    pub way: Way,
    /// Whether it answers now.
    pub is_up: bool,
    /// Its release; where it does not answer, the one that it had when the snapshot was taken.
    pub version: String,
    /// The cluster that it is a node of.
    pub cluster_name: String,
    /// Its id; empty where it does not answer.
    pub host_id: String,
    /// Tables whose files are set aside.
    pub live_tables: u64,
    /// Their files.
    pub live_files: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Bytes of what comes that lie on the filesystem of the data directories already: they are read, and linked if they are right.
    pub linked_bytes: u64,
    /// Keyspaces and tables of the snapshot that the node does not have: they are made.
    pub makes: Vec<String>,
    /// Tables of the node that the snapshot does not have, or which held nothing when the restore began that is undone: their rows are set aside,
    /// and they stay as empty tables.
    pub empties: Vec<String>,
    /// Tables that are defined otherwise than when the snapshot was taken, each with what differs.
    pub differs: Vec<String>,
    /// How old what comes is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<i64>,
    /// The least `gc_grace_seconds` of the tables that come, as it was when the snapshot was taken: older than that, a replica may have forgotten
    /// deletions. None where the snapshot's facts are lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gc_grace_seconds: Option<i64>,
    /// What is never restored, and why.
    pub never: Vec<String>,
    /// What a node that has never run becomes first; of others nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh: Option<FreshPlan>,
}

impl NodePlan {
    /// The same with how old what comes is.
    pub(super) fn of_age(self, recorded: &Recorded, survey: &Survey, now: Timestamp) -> Self {
        let age = now.duration_since(recorded.id.to_timestamp()).as_secs();
        let keyspaces = recorded.facts.iter().flat_map(|facts| &facts.keyspaces);
        let tables =
            keyspaces.flat_map(|of| of.tables.iter().filter(|table| survey.tables.contains_key(&(of.name.clone(), table.folder()))));
        let gc_grace_seconds = tables.map(|table| table.gc_grace_seconds.into()).min();
        Self { age_seconds: Some(age), gc_grace_seconds, ..self }
    }
}

/// The tables that an undo leaves without a row, because they held none when the node set aside what there was. Of a node that was stopped and not
/// drained nobody can say that: its commit log comes back too.
pub(super) fn emptied(aside: &AsideTables) -> Vec<String> {
    let are_empty = aside.tables.iter().filter(|table| !table.has_rows && table.sstables == 0);
    bounded(are_empty.map(|table| format!("{}.{}", table.keyspace, table.name)).collect())
}

/// A bounded list of names.
pub(super) fn bounded(mut names: Vec<String>) -> Vec<String> {
    if names.len() > NAMES_MAX {
        let more = names.len() - NAMES_MAX;
        names.truncate(NAMES_MAX);
        names.push(format!("and {more} more"));
    }
    names
}

/// What no restore brings back to a node.
pub(super) fn never() -> Vec<String> {
    [
        "tables of `system` and `system_schema`: they are what the node knows of itself (tokens, peers, schema)",
        "commit log, hints, saved caches: they are of another state, and would bring back or repeat writes",
        "roles and grants, unless `system_auth` is among the keyspaces; triggers: they are code in a folder of the node",
    ]
    .map(str::to_owned)
    .into()
}
