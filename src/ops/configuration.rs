//! What the configuration of a node said of its sources, as their newest snapshots remember it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::facts::CONFIGURATION;
use super::name::{SnapshotName, Which};
use super::show;
use super::snapshots::{Row, View};
use super::{Context, Error};
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;

/// A source that a node had.
#[derive(Debug, Serialize)]
pub struct Remembered {
    /// Its name.
    pub source: SourceName,
    /// Its kind.
    pub kind: String,
    /// Its newest snapshot, which remembers it.
    pub snapshot: SnapshotId,
    /// To whom that is encrypted; empty when it is not, or not in the repository.
    pub recipients: Vec<String>,
    /// Its section, without secrets.
    pub section: Option<serde_json::Value>,
    /// Why there is no section.
    pub problem: Option<String>,
    /// Whether that is because the facts are damaged.
    pub damaged: bool,
}

/// Asks the newest snapshot of each source.
///
/// # Errors
/// As `show` of these snapshots; facts that are damaged are a problem of their source.
pub fn run(ctx: &Context, node: Option<&NodeName>) -> Result<Vec<Remembered>, Error> {
    let mut newest: BTreeMap<SourceName, Row> = BTreeMap::new();
    for row in &View::read(ctx, node, None)?.rows {
        let row = row?;
        // Rows of a source ascend by id.
        if !row.future {
            newest.insert(row.source.clone(), row);
        }
    }
    newest.into_values().map(|row| of_snapshot(ctx, row, node)).collect()
}

fn of_snapshot(ctx: &Context, row: Row, node: Option<&NodeName>) -> Result<Remembered, Error> {
    ctx.stop.check()?;
    let name = SnapshotName { source: Some(row.source.clone()), which: Which::Prefix(row.id.to_string()) };
    let shown = show::run(ctx, &name, node)?;
    let section = shown.facts.get(CONFIGURATION).cloned();
    let damaged = shown.facts_damage.is_some();
    let problem = match (&section, shown.facts_damage) {
        (Some(_), _) => None,
        (None, Some(damage)) => Some(damage),
        (None, None) if shown.facts.is_null() => Some("it is encrypted, and nothing here opens it: give --identity-file".to_owned()),
        (None, None) => Some(format!("{} has taken it, which did not record that", shown.agent)),
    };
    let Row { source, kind, id: snapshot, .. } = row;
    Ok(Remembered { source, kind, snapshot, recipients: shown.recipients, section, problem, damaged })
}
