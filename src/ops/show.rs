//! `show`: all that is known of one snapshot.

use serde::Serialize;

use super::assemble::lines_of;
use super::error::chain;
use super::facts::shipped_facts;
use super::lists::read_body;
use super::name::SnapshotName;
use super::snapshots::{Found, Row, View};
use super::standing::Standing;
use super::{Context, Error, pins, verify};
use crate::format::line::Line;
use crate::format::names::NodeName;
use crate::format::snapshot_id::SnapshotId;

/// What is known of a snapshot.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Its row in `list`.
    #[serde(flatten)]
    pub row: Row,
    /// Program and version that took it.
    pub agent: String,
    /// The civil date on the node.
    pub local_date: jiff::civil::Date,
    /// The folder of the local copy.
    pub folder: Option<std::path::PathBuf>,
    /// Number of the manifest that counts in the repository.
    pub manifest: Option<u32>,
    /// The shipped snapshot before it.
    pub previous: Option<SnapshotId>,
    /// File lists in the repository.
    pub lists: Option<u64>,
    /// Packs it needs.
    pub packs: Option<u64>,
    /// To whom it is encrypted in the repository; empty when it is not, or not there.
    pub recipients: Vec<String>,
    /// Entries of every kind.
    pub entries: u64,
    /// Whether it stays whatever retention says.
    pub pinned: bool,
    /// Why it is pinned, as it was given.
    pub pinned_why: Option<String>,
    /// Objects that it needs in the repository and that a verification has found to be damaged or missing, at most 20.
    pub known_damage: Vec<String>,
    /// What a fresh node needs to know of the source; null where only an identity that is not at hand could tell.
    pub facts: serde_json::Value,
    /// Why the facts cannot be read where they should lie: then they are null, although a restore may find them in another place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts_damage: Option<String>,
}

/// Tells what is known of a snapshot.
///
/// # Errors
/// [`Error::Absent`]; [`Error::Damaged`].
pub fn run(ctx: &Context, name: &SnapshotName, node: Option<&NodeName>) -> Result<Outcome, Error> {
    let found = Found::look_up(ctx, node, name)?;
    let standing = Standing::of(&found);
    let view = View::read(ctx, node, Some(&found.source))?;
    // What cannot be read is no other row.
    let row = view.rows.iter().find(|row| row.as_ref().map_or(true, |row| row.id == found.id)).transpose()?;
    let row = row.ok_or_else(|| Error::Absent(format!("{} has just been removed", found.name())))?;
    let body = match &found.shipped {
        Some((remote, shipped)) => Some(standing.judge(read_body(remote, shipped))?),
        None => None,
    };
    let mut facts_damage = None;
    let facts = match (&found.local, &found.shipped, &body) {
        (Some(copy), _, _) => copy.record.facts.clone(),
        (None, Some((remote, shipped)), Some(body)) if remote.keys.open(&shipped.head)? => {
            match standing.judge(shipped_facts(ctx, remote, shipped, body, false)) {
                Err(error) if error.is_damage() => {
                    facts_damage = Some(chain(&error));
                    serde_json::Value::Null
                }
                facts => facts?,
            }
        }
        _ => serde_json::Value::Null,
    };
    let head = found.shipped.as_ref().map(|(_, shipped)| &shipped.head);
    let record = found.local.as_ref().map(|copy| &copy.record);
    let (agent, local_date) = match (record, head) {
        (Some(record), _) => (record.agent.clone(), record.local_date),
        (None, Some(head)) => (head.agent.clone(), head.local_date),
        (None, None) => return Err(Error::Absent(format!("{} has just been removed", found.name()))),
    };
    let (known_damage, pin) = match &found.shipped {
        Some((remote, shipped)) => {
            (standing.judge(verify::known_damage_of(ctx, remote, shipped))?, pins::of_snapshot(ctx, remote, shipped)?)
        }
        None => (Vec::new(), None),
    };
    let counts = body.as_ref().map(|body| body.counts);
    Ok(Outcome {
        agent,
        local_date,
        folder: found.local.as_ref().map(|copy| copy.dir.clone()),
        manifest: head.map(|head| head.n),
        previous: head.and_then(|head| head.previous),
        lists: body.as_ref().map(|body| body.lists.len() as u64),
        recipients: head.map(|head| head.recipients.clone()).unwrap_or_default(),
        packs: counts.map(|counts| counts.packs),
        entries: record.map(|record| record.entries).or(counts.map(|counts| counts.entries)).unwrap_or_default(),
        pinned: pin.is_some(),
        pinned_why: pin.map(|pin| pin.why),
        known_damage,
        facts,
        facts_damage,
        row,
    })
}

/// Calls `visit` with every line of the snapshot's file lists, in path order.
///
/// # Errors
/// As [`run`]; what `visit` gives.
pub fn files(
    ctx: &Context,
    name: &SnapshotName,
    node: Option<&NodeName>,
    visit: &mut dyn FnMut(Line) -> Result<(), Error>,
) -> Result<(), Error> {
    let found = Found::look_up(ctx, node, name)?;
    let _held = found.local.as_ref().map(|copy| copy.hold(ctx)).transpose()?;
    let standing = Standing::of(&found);
    let mut lines = standing.judge(lines_of(ctx, &found))?;
    while let Some(line) = standing.judge(lines.next_line())? {
        ctx.stop.check()?;
        visit(line)?;
    }
    Ok(())
}
