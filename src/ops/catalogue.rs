//! What a repository holds of a node: which snapshots exist there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;

use super::context::Context;
use super::damage::Problem;
use super::listed::Numbers;
use super::manifests::{Manifests, number_of};
use super::node::Remote;
use super::{Error, state::State};
use crate::format::FormatError;
use crate::format::head::Head;
use crate::format::key::{Key, MARKER, NodeKey};
use crate::format::limits::HEAD_MAX;
use crate::format::names::{NodeName, SourceName};
use crate::format::snapshot_id::SnapshotId;

/// A snapshot that exists in the repository: its highest complete manifest.
#[derive(Clone, Debug)]
pub struct Shipped {
    /// Its manifest head. Boxed, because a map with thousands of snapshots keeps room for more entries than it has.
    pub head: Box<Head>,
    /// Heads of lower numbers, highest first, whose bodies are there at the right length: they count where this one's body is damaged.
    pub lower: Vec<Head>,
}

impl Shipped {
    /// Number of the manifest that counts.
    pub fn n(&self) -> u32 {
        self.head.n
    }

    /// Key of the head.
    pub fn head_key(&self) -> String {
        NodeKey::Head(self.head.source.clone(), self.head.id, self.head.n).of(&self.head.node).to_string()
    }

    /// Key of the body.
    pub fn body_key(&self) -> String {
        NodeKey::Body(self.head.source.clone(), self.head.id, self.head.n).of(&self.head.node).to_string()
    }
}

/// Something in the repository that is not as it should be.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The object's key.
    pub object: String,
    /// The snapshot it belongs to, as `source/id`, where that is known.
    pub snapshot: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// Whether the object is of a kind that this program does not know, rather than damaged.
    pub unknown: bool,
    /// Whether the object could not be read, which says nothing of its bytes.
    pub unread: bool,
}

/// What a repository holds of one node.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Snapshots that exist.
    pub snapshots: BTreeMap<(SourceName, SnapshotId), Shipped>,
    /// All manifests that are listed, complete or not.
    pub listed: BTreeMap<(SourceName, SnapshotId), Numbers>,
    /// Manifests that are damaged or cannot be read, and objects of unknown names.
    pub findings: Vec<Finding>,
}

impl Catalogue {
    /// Lists the manifests of a node, and reads the heads that are not cached yet.
    ///
    /// # Errors
    /// What the store gives. Damaged heads are findings, not errors.
    pub fn read(ctx: &Context, remote: &Remote, node: &NodeName, source: Option<&SourceName>) -> Result<Self, Error> {
        Self::gather(ctx, remote, node, source, true)
    }

    /// The same for a dry run: what is read is not kept for the next time, so nothing on the disk changes.
    ///
    /// # Errors
    /// As [`Catalogue::read`].
    pub fn glance(ctx: &Context, remote: &Remote, node: &NodeName, source: Option<&SourceName>) -> Result<Self, Error> {
        Self::gather(ctx, remote, node, source, false)
    }

    fn gather(ctx: &Context, remote: &Remote, node: &NodeName, source: Option<&SourceName>, keeps: bool) -> Result<Self, Error> {
        let mut catalogue = Self::default();
        let unknown = Manifests { ctx, remote, node, source, keeps }.each(&mut |judged| {
            catalogue.findings.extend(judged.findings);
            catalogue.snapshots.extend(judged.shipped.map(|shipped| (judged.id.clone(), shipped)));
            catalogue.listed.insert(judged.id, judged.numbers);
            Ok(())
        })?;
        catalogue.findings.extend(unknown);
        Finding::sort(&mut catalogue.findings);
        Ok(catalogue)
    }

    /// The highest manifest number in use for an id, complete or not; 0 where there is none.
    pub fn highest_number(&self, key: &(SourceName, SnapshotId)) -> u32 {
        self.listed.get(key).and_then(|numbers| numbers.all().last().copied()).unwrap_or(0)
    }

    /// Whether a finding is about a number below the one that counts, which has taken its place: it is no loss.
    pub fn is_superseded(&self, finding: &Finding) -> bool {
        number_of(finding).is_some_and(|(id, n)| self.snapshots.get(&id).is_some_and(|shipped| shipped.n() > n))
    }

    /// The newest snapshot of a source.
    pub fn newest(&self, source: &SourceName) -> Option<&Shipped> {
        self.snapshots.iter().rev().find(|((name, _), _)| name == source).map(|(_, shipped)| shipped)
    }

    /// The newest snapshot of every source but one.
    pub fn newest_of_others(&self, source: &SourceName) -> BTreeMap<SourceName, SnapshotId> {
        // Ids ascend within a source, so the last one of each name stays.
        self.snapshots.keys().filter(|(name, _)| name != source).cloned().collect()
    }
}

/// One shipped snapshot, without the others of its source in memory.
pub(super) fn find(ctx: &Context, remote: &Remote, node: &NodeName, id: &(SourceName, SnapshotId)) -> Result<Option<Shipped>, Error> {
    let mut found = None;
    Manifests { ctx, remote, node, source: Some(&id.0), keeps: true }.each(&mut |judged| {
        if judged.id == *id {
            found = judged.shipped;
        }
        Ok(())
    })?;
    Ok(found)
}

/// Numbers of the heads that are listed for each snapshot.
pub(super) type Heads = BTreeMap<(SourceName, SnapshotId), BTreeSet<u32>>;

/// The heads that the store lists now.
pub(super) fn list_heads(remote: &Remote, node: &NodeName) -> Result<Heads, Error> {
    let mut heads = Heads::new();
    remote.store.list(&format!("{node}/manifests/"), &mut |object| {
        if let Some(Key::Of(_, NodeKey::Head(source, id, n))) = Key::parse(&object.key) {
            heads.entry((source, id)).or_default().insert(n);
        }
        ControlFlow::Continue(())
    })?;
    Ok(heads)
}

impl Finding {
    /// Puts findings in order: what belongs to no snapshot, then by source and snapshot, those of one snapshot as they were found.
    pub(super) fn sort(findings: &mut [Self]) {
        findings.sort_by(|a, b| a.place().cmp(&b.place()));
    }

    fn place(&self) -> Option<(&str, &str)> {
        self.snapshot.as_deref().and_then(|snapshot| snapshot.split_once('/'))
    }

    /// An object that is none of ours.
    pub(super) fn unknown(object: String) -> Self {
        Self { object, snapshot: None, problem: "unexpected: this program does not know what it is".into(), unknown: true, unread: false }
    }

    /// An object of a snapshot that is not what it should be.
    pub(super) fn damaged(object: String, key: &(SourceName, SnapshotId), problem: String) -> Self {
        Self { object, snapshot: Some(format!("{}/{}", key.0, key.1)), problem, unknown: false, unread: false }
    }
}

/// Ids of a source's snapshots whose heads this node has read before, in any repository.
///
/// # Errors
/// [`Error::File`].
pub fn cached_ids(ctx: &Context, source: &SourceName) -> Result<Vec<SnapshotId>, Error> {
    let heads = ctx.state()?.path(&["heads"]);
    let mut ids = Vec::new();
    for repository in names_in(&heads)? {
        let folder = heads.join(repository).join(ctx.node.as_str()).join("manifests").join(source.as_str());
        ids.extend(names_in(&folder)?.iter().filter_map(|name| name.split('.').next()?.parse::<SnapshotId>().ok()));
    }
    Ok(ids)
}

fn names_in(folder: &std::path::Path) -> Result<Vec<String>, Error> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(cause) => Err(Error::file("read the folder", folder)(cause)),
    }
}

/// A head, from the cache when this very object has been read before: objects never change. `keeps`: whether it is cached now.
pub(super) fn read_head(ctx: &Context, remote: &Remote, key: &str, size: u64, keeps: bool) -> Result<Head, Error> {
    let cached = cache_path(ctx, remote, key);
    if let Some(path) = &cached
        && let Ok(text) = fs::read(path)
        && text.len() as u64 == size
        && let Ok(head) = Head::from_text(&text)
    {
        return Ok(head);
    }
    let text = match remote.store.get(key, HEAD_MAX as u64) {
        Ok(text) => text,
        Err(crate::repository::Error::TooLarge { .. }) => return Err(Error::damaged(key, "it is longer than a head can be")),
        Err(error) => return Err(error.into()),
    };
    let head = Head::from_text(&text).map_err(Error::unreadable(key))?;
    // What is doubtful is read anew each time, and never taken for what the store once held.
    let own = NodeKey::Head(head.source.clone(), head.id, head.n).of(&head.node).to_string();
    let whole = own == key && head.repository == remote.marker.repository && Problem::of_one_line(&text).is_none();
    if let Some(path) = cached.filter(|_| whole && keeps) {
        keep(&path, &text);
    }
    Ok(head)
}

/// Keeps a head that this node has just stored and read back: if it is lost, the node knows that it was there.
pub(super) fn remember(ctx: &Context, remote: &Remote, key: &str, text: &[u8]) {
    if let Some(path) = cache_path(ctx, remote, key) {
        keep(&path, text);
    }
}

/// Forgets a head that was removed on purpose, unless it is the newest one known of its source: new ids must be above it.
pub(super) fn forget(ctx: &Context, remote: &Remote, key: &str) {
    let Some(path) = cache_path(ctx, remote, key) else { return };
    let id = |name: &str| name.split('.').next().and_then(|id| id.parse::<SnapshotId>().ok());
    let own = path.file_name().and_then(|name| id(name.to_str()?));
    let known = path.parent().and_then(|folder| names_in(folder).ok()).unwrap_or_default();
    if known.iter().filter_map(|name| id(name)).any(|other| own.is_some_and(|own| own < other)) {
        let _ = fs::remove_file(path);
    }
}

fn cache_path(ctx: &Context, remote: &Remote, key: &str) -> Option<std::path::PathBuf> {
    // Where the disk of the local tier is not mounted, nothing is kept beneath the mount point.
    let local = ctx.local.as_ref().filter(|local| State::new(&local.dir).path(&[]).is_dir())?;
    let parts = ["heads", &remote.marker.repository].into_iter().chain(key.split('/'));
    Some(State::new(&local.dir).path(&parts.collect::<Vec<_>>()))
}

/// The cache only saves requests, so a disk that cannot take it is no failure.
fn keep(path: &std::path::Path, text: &[u8]) {
    if let Some(folder) = path.parent()
        && fs::create_dir_all(folder).is_ok()
    {
        let _ = crate::sys::file::replace(path, text);
    }
}

/// Names of the nodes that the repository knows.
///
/// # Errors
/// What the store gives.
pub fn nodes(remote: &Remote) -> Result<(BTreeSet<NodeName>, Vec<Finding>), Error> {
    let (mut nodes, mut findings) = (BTreeSet::new(), Vec::new());
    remote.store.list("", &mut |object| {
        match Key::parse(&object.key) {
            Some(Key::Of(node, _)) => {
                nodes.insert(node);
            }
            Some(Key::Marker | Key::Probe(_)) => {}
            None => findings.push(Finding::unknown(object.key)),
        }
        ControlFlow::Continue(())
    })?;
    Ok((nodes, findings))
}

/// A head that this node has stored or read before, also when the store has lost it since.
pub(super) fn remembered(ctx: &Context, remote: &Remote, key: &str) -> Option<Head> {
    let head = Head::from_text(&fs::read(cache_path(ctx, remote, key)?).ok()?).ok()?;
    (NodeKey::Head(head.source.clone(), head.id, head.n).of(&head.node).to_string() == key).then_some(head)
}

/// Why a marker could not be read, as a finding.
pub fn marker_finding(cause: &FormatError) -> Finding {
    Finding { object: MARKER.into(), snapshot: None, problem: cause.to_string(), unknown: false, unread: false }
}
