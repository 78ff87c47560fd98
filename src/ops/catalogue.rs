//! What a repository holds of a node: which snapshots exist there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;

use super::by_number::ByNumber;
use super::context::Context;
use super::damage::{MISSING, Problem};
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

/// What a listing tells of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its stored length in bytes.
    pub size: u64,
    /// When it was stored, by the store's clock.
    pub modified: jiff::Timestamp,
}

/// The listed manifests of one snapshot, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Heads.
    pub heads: ByNumber,
    /// Bodies.
    pub bodies: ByNumber,
}

impl Numbers {
    /// All numbers, from the lowest.
    pub fn all(&self) -> BTreeSet<u32> {
        self.heads.numbers().chain(self.bodies.numbers()).collect()
    }
}

/// Manifests by snapshot.
type Listed = BTreeMap<(SourceName, SnapshotId), Numbers>;

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
        let listed = list(remote, &prefix, &mut |key| catalogue.findings.push(Finding::unknown(key)))?;
        let mut doubtful = Vec::new();
        for (key, numbers) in &listed {
            if !catalogue.take(ctx, remote, node, key, numbers, keeps)? {
                doubtful.push(key.clone());
            }
        }
        catalogue.listed = listed;
        // A listing is no instant: a manifest may have been written or removed while it went on. Only what a fresh one still shows counts.
        while !doubtful.is_empty() {
            ctx.stop.check()?;
            let mut fresh = list(remote, &prefix, &mut |_| ())?;
            let mut still = Vec::new();
            for key in doubtful {
                let numbers = fresh.remove(&key);
                if catalogue.listed.get(&key) == numbers.as_ref() {
                    continue;
                }
                catalogue.drop(&key);
                let Some(numbers) = numbers else { continue };
                if !catalogue.take(ctx, remote, node, &key, &numbers, keeps)? {
                    still.push(key.clone());
                }
                catalogue.listed.insert(key, numbers);
            }
            doubtful = still;
        }
        Ok(catalogue)
    }

    /// Forgets what was taken of a snapshot.
    fn drop(&mut self, key: &(SourceName, SnapshotId)) {
        let name = format!("{}/{}", key.0, key.1);
        self.findings.retain(|finding| finding.snapshot.as_ref() != Some(&name));
        self.snapshots.remove(key);
        self.listed.remove(key);
    }

    /// The highest manifest number in use for an id, complete or not; 0 where there is none.
    pub fn highest_number(&self, key: &(SourceName, SnapshotId)) -> u32 {
        self.listed.get(key).and_then(|numbers| numbers.all().last().copied()).unwrap_or(0)
    }

    /// Takes the manifests of one id: the highest complete number counts; a lower one does not hide that a higher one is damaged.
    /// Gives whether all that was listed, and what it needs, is there.
    fn take(
        &mut self,
        ctx: &Context,
        remote: &Remote,
        node: &NodeName,
        key: &(SourceName, SnapshotId),
        listed: &Numbers,
        keeps: bool,
    ) -> Result<bool, Error> {
        let mut all_there = true;
        for (n, stored) in listed.heads.iter().rev() {
            let object = NodeKey::Head(key.0.clone(), key.1, n).of(node).to_string();
            let head = match read_head(ctx, remote, &object, stored.size, keeps) {
                Ok(head) => head,
                Err(Error::Repository(error)) => {
                    let problem = Problem::of(&error).ok_or(error)?;
                    all_there &= problem != Problem::missing();
                    let unread = problem.verdict.is_none();
                    self.findings.push(Finding { unread, ..Finding::damaged(object, key, problem.text) });
                    continue;
                }
                Err(error) if error.is_damage() || matches!(error, Error::Unreadable { .. }) => {
                    let unknown = !error.is_damage();
                    self.findings.push(Finding { unknown, ..Finding::damaged(object, key, problem_of(&error)) });
                    continue;
                }
                Err(error) => return Err(error),
            };
            if (&head.node, &head.source, head.id, head.n) != (node, &key.0, key.1, n) || head.repository != remote.marker.repository {
                self.findings.push(Finding::damaged(object, key, "it speaks of another snapshot than its key".into()));
                continue;
            }
            match listed.bodies.get(n) {
                Some(body) if body.size == head.body.length => match self.snapshots.get_mut(key) {
                    Some(shipped) => shipped.lower.push(head),
                    None => drop(self.snapshots.insert(key.clone(), Shipped { head: Box::new(head), lower: Vec::new() })),
                },
                found => {
                    let body = NodeKey::Body(key.0.clone(), key.1, n).of(node).to_string();
                    let problem = match found {
                        Some(body) => format!("it has {} bytes and should have {}", body.size, head.body.length),
                        None => MISSING.to_owned(),
                    };
                    all_there &= found.is_some();
                    self.findings.push(Finding::damaged(body, key, problem));
                }
            }
        }
        Ok(all_there)
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

/// Lists the manifests below a prefix; `unknown` is told of keys that are none.
fn list(remote: &Remote, prefix: &str, unknown: &mut dyn FnMut(String)) -> Result<Listed, Error> {
    let mut listed = Listed::new();
    remote.store.list(prefix, &mut |object| {
        let stored = Stored { size: object.size, modified: object.modified };
        match Key::parse(&object.key) {
            Some(Key::Of(_, NodeKey::Head(source, id, n))) => {
                listed.entry((source, id)).or_default().heads.insert(n, stored);
            }
            Some(Key::Of(_, NodeKey::Body(source, id, n))) => {
                listed.entry((source, id)).or_default().bodies.insert(n, stored);
            }
            _ => unknown(object.key),
        }
        ControlFlow::Continue(())
    })?;
    Ok(listed)
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
        Self { object, snapshot: None, problem: "unexpected: this program does not know what it is".into(), unknown: true, unread: false }
    }

    fn damaged(object: String, key: &(SourceName, SnapshotId), problem: String) -> Self {
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
