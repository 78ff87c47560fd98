//! What a repository holds of a node: which snapshots exist there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;

use super::context::Context;
use super::damage::Problem;
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
    /// Its manifest head.
    pub head: Head,
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
}

/// What a repository holds of one node.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Snapshots that exist.
    pub snapshots: BTreeMap<(SourceName, SnapshotId), Shipped>,
    /// The highest manifest number in use for each id, complete or not.
    pub numbers: BTreeMap<(SourceName, SnapshotId), u32>,
    /// Manifests that are damaged or cannot be read, and objects of unknown names.
    pub findings: Vec<Finding>,
}

#[derive(Default)]
struct Listed {
    heads: BTreeMap<u32, u64>,
    bodies: BTreeMap<u32, u64>,
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
        let prefix = match source {
            Some(source) => format!("{node}/manifests/{source}/"),
            None => format!("{node}/manifests/"),
        };
        let mut catalogue = Self::default();
        let mut listed: BTreeMap<(SourceName, SnapshotId), Listed> = BTreeMap::new();
        remote.store.list(&prefix, &mut |object| {
            match Key::parse(&object.key) {
                Some(Key::Of(_, NodeKey::Head(source, id, n))) => {
                    listed.entry((source, id)).or_default().heads.insert(n, object.size);
                }
                Some(Key::Of(_, NodeKey::Body(source, id, n))) => {
                    listed.entry((source, id)).or_default().bodies.insert(n, object.size);
                }
                _ => catalogue.findings.push(Finding::unknown(object.key)),
            }
            ControlFlow::Continue(())
        })?;
        for (key, listed) in listed {
            catalogue.take(ctx, remote, node, key, &listed, keeps)?;
        }
        Ok(catalogue)
    }

    /// Takes the manifests of one id: the highest complete number counts; a lower one does not hide that a higher one is damaged.
    fn take(
        &mut self,
        ctx: &Context,
        remote: &Remote,
        node: &NodeName,
        key: (SourceName, SnapshotId),
        listed: &Listed,
        keeps: bool,
    ) -> Result<(), Error> {
        let highest = listed.heads.keys().chain(listed.bodies.keys()).max().copied().unwrap_or(0);
        self.numbers.insert(key.clone(), highest);
        for (n, size) in listed.heads.iter().rev() {
            let object = NodeKey::Head(key.0.clone(), key.1, *n).of(node).to_string();
            let head = match read_head(ctx, remote, &object, *size, keeps) {
                Ok(head) => head,
                Err(error) if error.is_damage() || matches!(error, Error::Unreadable { .. }) => {
                    let unknown = !error.is_damage();
                    self.findings.push(Finding { unknown, ..Finding::damaged(object, &key, problem_of(&error)) });
                    continue;
                }
                Err(error) => return Err(error),
            };
            if (&head.node, &head.source, head.id, head.n) != (node, &key.0, key.1, *n) || head.repository != remote.marker.repository {
                self.findings.push(Finding::damaged(object, &key, "it speaks of another snapshot than its key".into()));
                continue;
            }
            match listed.bodies.get(n) {
                Some(length) if *length == head.body.length => match self.snapshots.get_mut(&key) {
                    Some(shipped) => shipped.lower.push(head),
                    None => drop(self.snapshots.insert(key.clone(), Shipped { head, lower: Vec::new() })),
                },
                found => {
                    let body = NodeKey::Body(key.0.clone(), key.1, *n).of(node).to_string();
                    let problem = match found {
                        Some(length) => format!("it has {length} bytes and should have {}", head.body.length),
                        None => "it is missing".to_owned(),
                    };
                    self.findings.push(Finding::damaged(body, &key, problem));
                }
            }
        }
        Ok(())
    }

    /// Whether a finding is about a number below the one that counts, which has taken its place: it is no loss.
    pub fn is_superseded(&self, finding: &Finding) -> bool {
        let Some(Key::Of(_, NodeKey::Head(source, id, n) | NodeKey::Body(source, id, n))) = Key::parse(&finding.object) else {
            return false;
        };
        self.snapshots.get(&(source, id)).is_some_and(|shipped| shipped.n() > n)
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

/// What is wrong, from an error that names the object too.
fn problem_of(error: &Error) -> String {
    match error {
        Error::Damaged { problem, .. } => problem.clone(),
        Error::Unreadable { cause, .. } => format!("it cannot be read: {}", super::error::chain(cause)),
        other => super::error::chain(other),
    }
}

impl Finding {
    fn unknown(object: String) -> Self {
        Self { object, snapshot: None, problem: "unexpected: this program does not know what it is".into(), unknown: true }
    }

    fn damaged(object: String, key: &(SourceName, SnapshotId), problem: String) -> Self {
        Self { object, snapshot: Some(format!("{}/{}", key.0, key.1)), problem, unknown: false }
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
fn read_head(ctx: &Context, remote: &Remote, key: &str, size: u64, keeps: bool) -> Result<Head, Error> {
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
        Err(error) if error.is_absent() => return Err(Error::damaged(key, "it vanished after it was listed")),
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

fn cache_path(ctx: &Context, remote: &Remote, key: &str) -> Option<std::path::PathBuf> {
    let local = ctx.local.as_ref()?;
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
    Finding { object: MARKER.into(), snapshot: None, problem: cause.to_string(), unknown: false }
}
