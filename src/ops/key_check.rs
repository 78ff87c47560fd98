//! `key check`: proves that the identity at hand opens the newest snapshot of every source.
//!
//! A manifest that cannot be read may hide the newest one; then it is named, beside the newest of those that are left.

use std::collections::BTreeMap;

use serde::Serialize;

use super::catalogue::{Catalogue, Finding, Shipped};
use super::damage::settle;
use super::error::chain;
use super::lists::read_body;
use super::node::Remote;
use super::{Context, Error};
use crate::archive::{ListReader, check_pack};
use crate::format::body::{Body, Role};
use crate::format::digest::Digest;
use crate::format::entry::Piece;
use crate::format::limits::{FILE_LIST_MAX, PACK_MAX};
use crate::format::line::Line;
use crate::format::marker::Encryption;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;

/// What became of the newest snapshot of one source.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The source.
    pub source: SourceName,
    /// Its newest shipped snapshot.
    pub id: SnapshotId,
    /// Its recipients whose identities are at hand.
    pub opened_by: Vec<String>,
    /// Its other recipients.
    pub others: Vec<String>,
    /// Entries of the file list that was opened.
    pub entries: u64,
    /// Blobs of the pack that was opened, each decoded and compared with its digest.
    pub blobs: u64,
    /// Why it could not be opened, or what hides it; `None` = it was opened.
    #[serde(skip)]
    pub failure: Option<Error>,
    /// The same in words.
    pub problem: Option<String>,
}

/// Opens one file list and one pack of the newest snapshot of every source of a node, and proves every blob in that pack.
///
/// # Errors
/// [`Error::Usage`] without an identity, [`Error::Refused`] when the repository is not encrypted, [`Error::Absent`] when it holds no
/// snapshot of the node; what the store gives. What cannot be opened is in its row.
pub fn run(ctx: &Context, node: Option<&NodeName>) -> Result<Vec<Row>, Error> {
    let node = node.unwrap_or(&ctx.node);
    let remote = Remote::open(ctx)?;
    if remote.marker.encryption == Encryption::None {
        return Err(Error::Refused("the repository is not encrypted, so there is no key to check".into()));
    }
    let Some(identities) = remote.keys.identities()? else {
        return Err(Error::Usage("there is no identity to check: say --identity-file FILE, or set identity_file in [repository]".into()));
    };
    let own = identities.recipients();
    let catalogue = Catalogue::read(ctx, &remote, node, None)?;
    let newest: BTreeMap<_, _> = catalogue.snapshots.iter().map(|((source, id), shipped)| (source, (*id, shipped))).collect();
    let mut rows = hidden(&catalogue);
    rows.retain(|row| newest.get(&row.source).is_none_or(|(id, _)| row.id >= *id));
    if newest.is_empty() && rows.is_empty() {
        return Err(Error::Absent(format!("the repository holds no snapshot of the node `{node}` to try the identity on")));
    }
    for (source, (id, shipped)) in newest {
        ctx.stop.check()?;
        let (opened_by, others) = shipped.head.recipients.iter().cloned().partition(|recipient| own.contains(recipient));
        let outcome = open(&remote, shipped);
        let (entries, blobs) = *outcome.as_ref().unwrap_or(&(0, 0));
        let failure = match outcome {
            Err(error) if error.is_stopped() || error.is_unreachable() => return Err(error),
            outcome => outcome.err(),
        };
        let problem = failure.as_ref().map(|error| chain(error));
        rows.push(Row { source: source.clone(), id, opened_by, others, entries, blobs, failure, problem });
    }
    rows.sort_by(|a, b| (&a.source, a.id).cmp(&(&b.source, b.id)));
    Ok(rows)
}

/// Snapshots of which a manifest is damaged or of an unknown version, so that what is left of them may not be all there was.
fn hidden(catalogue: &Catalogue) -> Vec<Row> {
    let row = |finding: &Finding| {
        let (source, id) = finding.snapshot.as_ref()?.split_once('/')?;
        let failure = match finding.unknown {
            true => Error::Refused(format!("{}: {}", finding.object, finding.problem)),
            false => Error::damaged(&finding.object, &finding.problem),
        };
        let problem = Some(chain(&failure));
        let (source, id) = (source.parse().ok()?, id.parse().ok()?);
        Some(Row { source, id, opened_by: Vec::new(), others: Vec::new(), entries: 0, blobs: 0, failure: Some(failure), problem })
    };
    catalogue.findings.iter().filter_map(row).collect()
}

/// Opens a list and a pack of a snapshot; gives their entries and blobs.
fn open(remote: &Remote, shipped: &Shipped) -> Result<(u64, u64), Error> {
    remote.keys.check_readable(&shipped.head)?;
    let body = read_body(remote, shipped)?;
    let (entries, pack) = first_list(remote, shipped, &body, Role::Files)?;
    // A tree without a byte needs no pack; the facts always do.
    let pack = match pack {
        Some(pack) => pack,
        None => first_list(remote, shipped, &body, Role::Facts)?.1.ok_or_else(|| Error::damaged(shipped.body_key(), "it needs no pack"))?,
    };
    let key = remote.objects(&shipped.head.node).pack(pack).to_string();
    let mut blobs = 0;
    let opened = fetch(remote, &key, &pack, PACK_MAX)?;
    check_pack(&opened, &mut |_, _, _, _| blobs += 1).map_err(|cause| Error::damaged(key, cause))?;
    Ok((entries, blobs))
}

/// The entries of the first list of a role, and a pack that it names.
fn first_list(remote: &Remote, shipped: &Shipped, body: &Body, role: Role) -> Result<(u64, Option<Digest>), Error> {
    let list =
        body.lists.iter().find(|list| list.role == role).ok_or_else(|| Error::damaged(shipped.body_key(), "it names no file list"))?;
    let key = remote.objects(&shipped.head.node).file_list(list.list).to_string();
    let stored = fetch(remote, &key, &list.list, 2 * FILE_LIST_MAX)?;
    let mut reader = ListReader::new(stored).map_err(|cause| Error::damaged(&key, cause))?;
    let (mut entries, mut pack) = (0, None);
    while let Some(text) = reader.next_line().map_err(|cause| Error::damaged(&key, cause))? {
        let line = Line::from_json(text).map_err(Error::unreadable(&key))?;
        entries += u64::from(matches!(line, Line::Entry(_)));
        pack = pack.or_else(|| {
            line.content().iter().find_map(|piece| match piece {
                Piece::Blob { at: Some(at), .. } => Some(at.pack),
                _ => None,
            })
        });
    }
    Ok((entries, pack))
}

fn fetch(remote: &Remote, key: &str, name: &Digest, at_most: usize) -> Result<bytes::Bytes, Error> {
    match settle(remote.store.get(key, at_most as u64))? {
        Ok(stored) if Digest::of(&stored) == *name => remote.opened(key, stored),
        Ok(_) => Err(Error::damaged(key, "its bytes do not match its name")),
        Err(problem) => Err(Error::damaged(key, problem.text)),
    }
}
