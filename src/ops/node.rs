//! This machine's identity, and whether a repository knows it under its name.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::damage::{Problem, settle};
use super::keys::Keys;
use super::remembered::Remembered;
use super::{Context, Error};
use crate::archive;
use crate::format::key::{Key, MARKER, NodeKey, Objects};
use crate::format::limits::SMALL_MAX;
use crate::format::marker::Marker;
use crate::format::names::NodeName;
use crate::format::node_file::NodeFile;
use crate::repository::{Object, Repository};
use crate::sys::{file, random};

/// A repository whose marker has been read and understood.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The store.
    pub store: Repository,
    /// What it says of itself.
    pub marker: Marker,
    /// What opens it, where it is encrypted.
    pub keys: Arc<Keys>,
}

#[derive(Serialize, Deserialize)]
struct OwnId {
    uuid: String,
}

impl Remote {
    /// Opens the repository for reading.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none, [`Error::Unreadable`] for a marker that is damaged or of another version.
    pub fn open(ctx: &Context) -> Result<Self, Error> {
        Self::open_in(ctx, ctx.store()?)
    }

    /// The same where something can be done without the repository: a store that does not answer is given up soon.
    ///
    /// # Errors
    /// As [`Remote::open`].
    pub fn open_briefly(ctx: &Context) -> Result<Self, Error> {
        Self::open_in(ctx, &ctx.store()?.briefly())
    }

    /// Calls `visit` with every object below a prefix, in no particular order, until it fails or the run is stopped.
    ///
    /// # Errors
    /// The first that `visit` gives; [`Error::Stopped`]; what the store gives.
    pub(crate) fn each_object(&self, ctx: &Context, prefix: &str, visit: &mut dyn FnMut(Object) -> Result<(), Error>) -> Result<(), Error> {
        let mut failed = None;
        self.store.list(prefix, &mut |object| match ctx.stop.check().map_err(Error::from).and_then(|()| visit(object)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn open_in(ctx: &Context, store: &Repository) -> Result<Self, Error> {
        match Self::marker_in(store)? {
            Some(marker) => Ok(Self { store: store.clone(), marker, keys: ctx.keys.clone() }),
            None => match Remembered::at(ctx, &store.describe())? {
                Some(known) => Err(known.is_gone()),
                None => Err(Error::Absent(format!("there is no repository at {}: `windlass init` creates one", store.describe()))),
            },
        }
    }

    /// The marker, or `None` where there is none.
    ///
    /// # Errors
    /// As [`Remote::open`].
    pub fn read_marker(ctx: &Context) -> Result<Option<Marker>, Error> {
        Self::marker_in(ctx.store()?)
    }

    fn marker_in(store: &Repository) -> Result<Option<Marker>, Error> {
        let bytes = match store.get(MARKER, SMALL_MAX as u64) {
            Ok(bytes) => bytes,
            Err(error) if error.is_absent() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if is_web_page(&bytes) {
            return Err(Error::Refused(format!(
                "{} answers with a web page where {MARKER} was asked for: is the endpoint that of a store, or does a proxy or a login page \
                 stand before it?",
                store.describe()
            )));
        }
        Ok(Some(Marker::from_text(&bytes).map_err(Error::unreadable(MARKER))?))
    }

    /// Where a node's packs and file lists lie.
    pub fn objects(&self, node: &NodeName) -> Objects {
        Objects { node: node.clone(), encryption: self.marker.encryption }
    }

    /// What an object of this repository opens to; see [`Keys::opened`].
    ///
    /// # Errors
    /// As [`Keys::opened`].
    pub fn opened(&self, key: &str, stored: bytes::Bytes) -> Result<bytes::Bytes, Error> {
        self.keys.opened(self.marker.encryption, key, stored)
    }

    /// As [`Remote::opened`], for whoever proves what it can: `None` when no identity at hand opens the object, damage as a problem.
    ///
    /// # Errors
    /// What reading the identities gives.
    pub(crate) fn opened_if_mine(&self, key: &str, stored: bytes::Bytes) -> Result<Result<Option<bytes::Bytes>, Problem>, Error> {
        match self.opened(key, stored) {
            Ok(opened) => Ok(Ok(Some(opened))),
            Err(Error::Archive(archive::Error::NoIdentity)) => Ok(Ok(None)),
            Err(Error::Damaged { problem, .. }) => Ok(Err(Problem::damaged(problem))),
            Err(error) => Err(error),
        }
    }

    /// Opens the repository for writing under this node's name.
    ///
    /// # Errors
    /// As [`Remote::open`]; [`Error::Usage`] when the marker and the configuration disagree about encryption; [`Error::Refused`] when the
    /// name belongs to another machine or to nobody yet.
    pub fn open_for_shipping(ctx: &Context) -> Result<Self, Error> {
        let remote = Self::open(ctx)?;
        ctx.keys.check_agreement(remote.marker.encryption)?;
        remote.check_same(ctx)?;
        remote.check_owner(ctx)?;
        Ok(remote)
    }

    /// Whether this is the repository that lay at this place when the node was last made known there.
    ///
    /// # Errors
    /// [`Error::Refused`] naming both.
    pub fn check_same(&self, ctx: &Context) -> Result<(), Error> {
        match Remembered::at(ctx, &self.store.describe())? {
            Some(known) => known.check_same(&self.marker.repository),
            None => Ok(()),
        }
    }

    /// Whether marker and name are still what they were when the repository was opened for shipping. Before what was shipped is made to
    /// count: on a store that lets objects be written over, another machine may have taken either meanwhile, and may clear away behind it.
    ///
    /// # Errors
    /// [`Error::Refused`] when they are not; what the store gives.
    pub(crate) fn check_unchanged(&self, ctx: &Context) -> Result<(), Error> {
        match Self::marker_in(&self.store)? {
            Some(marker) if marker.repository == self.marker.repository => self.check_owner(ctx),
            _ => Err(Error::Refused(format!(
                "`{MARKER}` in {} is not the one that was there when this run began: another `init` has replaced it, or something else \
                 has. Nothing was committed; the next run ships it again",
                self.store.describe()
            ))),
        }
    }

    /// Whether this machine may ship under its node's name.
    ///
    /// # Errors
    /// [`Error::Refused`] when the name belongs to another machine or to nobody yet; what the store gives.
    pub fn check_owner(&self, ctx: &Context) -> Result<(), Error> {
        match self.owner(ctx)? {
            Some((_, file)) if Some(&file.uuid) == known_uuid(ctx)?.as_ref() => Ok(()),
            Some((n, file)) => Err(Error::Refused(format!(
                "the node name `{}` belongs to another machine ({} says {}). Give this machine another [node] name, or, if it replaces \
                 that one, run `windlass init --adopt`",
                ctx.node,
                NodeKey::Node(n).of(&ctx.node),
                file.uuid
            ))),
            None => Err(Error::Refused(format!("the repository does not know the node `{}` yet: run `windlass init`", ctx.node))),
        }
    }

    /// The node file with the highest number under this node's name.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Unreadable`] or [`Error::Unread`] when nobody knows what it says; what concerns the store as a whole.
    pub fn owner(&self, ctx: &Context) -> Result<Option<(u32, NodeFile)>, Error> {
        self.highest_node_file(ctx)?.map(|(n, file)| Ok((n, file?))).transpose()
    }

    /// The same, where one that is damaged or cannot be read has its number all the same.
    ///
    /// # Errors
    /// What the store gives.
    pub fn highest_node_file(&self, ctx: &Context) -> Result<Option<NumberedNodeFile>, Error> {
        self.highest_node_file_of(&ctx.node)
    }

    /// The same of any node.
    ///
    /// # Errors
    /// What the store gives.
    pub(crate) fn highest_node_file_of(&self, node: &NodeName) -> Result<Option<NumberedNodeFile>, Error> {
        // Numbers are given out one by one, so the first gap is the end; no listing of the whole node is needed.
        let mut last = None;
        for n in 1..=NODE_FILES_MAX {
            let key = NodeKey::Node(n).of(node);
            match settle(self.store.get(&key.to_string(), SMALL_MAX as u64))? {
                Ok(bytes) => last = Some((n, NodeFile::from_text(&bytes).map_err(Error::unreadable(&key)))),
                Err(problem) if problem == Problem::missing() => break,
                Err(problem) => last = Some((n, Err(problem.into_error(&key)))),
            }
        }
        Ok(last)
    }

    /// Whether the repository holds anything of a node.
    ///
    /// # Errors
    /// [`Error::Absent`] when it holds nothing; what the store gives.
    pub fn check_node(&self, node: &NodeName) -> Result<(), Error> {
        let mut is_there = false;
        self.store.list(&format!("{node}/"), &mut |_| {
            is_there = true;
            ControlFlow::Break(())
        })?;
        match is_there {
            true => Ok(()),
            false => {
                let known = self.known_nodes()?;
                let known = if known.is_empty() { "none yet".to_owned() } else { known };
                let place = self.store.describe();
                Err(Error::Absent(format!("{place} knows no node `{node}`; it knows: {known}. Say whose part with --node NAME")))
            }
        }
    }

    /// The nodes whose folders lie in the repository, in words.
    fn known_nodes(&self) -> Result<String, Error> {
        let mut names = Vec::new();
        self.store.top(&mut |name| {
            names.extend(name.strip_suffix('/').and_then(|folder| folder.parse::<NodeName>().ok()).map(|node| node.to_string()));
            if names.len() > NODES_NAMED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let more = if names.len() > NODES_NAMED { ", …" } else { "" };
        names.truncate(NODES_NAMED);
        Ok(format!("{}{more}", names.join(", ")))
    }

    /// Writes the node file with this number.
    ///
    /// # Errors
    /// What the store gives.
    pub fn claim(&self, ctx: &Context, n: u32) -> Result<Key, Error> {
        let key = NodeKey::Node(n).of(&ctx.node);
        let file = NodeFile {
            format: crate::format::limits::FORMAT_VERSION,
            node: ctx.node.clone(),
            uuid: own_uuid(ctx)?,
            created: ctx.clock.now(),
        };
        self.store.create(&key.to_string(), file.to_text().into())?;
        Ok(key)
    }
}

/// The number of a node file, and what it says unless it is damaged.
pub type NumberedNodeFile = (u32, Result<NodeFile, Error>);

/// Whether somebody answered a person with a browser, rather than this program with an object.
fn is_web_page(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    [&b"<!doctype html"[..], b"<html"].iter().any(|tag| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)))
}

/// Most nodes that a message names: enough to find a slip among, and not a screen full.
const NODES_NAMED: usize = 20;

/// A machine is replaced far less often than this.
const NODE_FILES_MAX: u32 = 1000;

/// The file below the state folder with the UUID of this machine.
const OWN_ID: &str = "node.json";

/// The UUID of this machine; `None` where it has none yet. Nothing is made.
///
/// # Errors
/// [`Error::Usage`] without a local tier, [`Error::Unreadable`] when the file is not what it should be.
pub fn known_uuid(ctx: &Context) -> Result<Option<String>, Error> {
    let path = ctx.state()?.path(&[OWN_ID]);
    match fs::read(&path) {
        Ok(text) => {
            let own: OwnId = serde_json::from_slice(&text).map_err(|cause| Error::unreadable(path.display())(cause.into()))?;
            Ok(Some(own.uuid))
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::file("read", path)(cause)),
    }
}

/// Whether the local tier is the one that `init` has set up. Where it is not, its disk is most likely not mounted, and a copy would land
/// beneath the mount point, where nobody looks for it.
///
/// # Errors
/// [`Error::Refused`] saying what to do; as [`known_uuid`].
pub fn check_local_tier(ctx: &Context) -> Result<(), Error> {
    match known_uuid(ctx)? {
        Some(_) => Ok(()),
        None => Err(Error::Refused(format!(
            "{} has not been set up for this node: where copies were kept there before, is its disk mounted? Where none were ever kept there, run \
             `windlass init`",
            ctx.local()?.dir.display()
        ))),
    }
}

/// The UUID of this machine, made and kept at first use.
///
/// # Errors
/// As [`known_uuid`]; what the file system gives.
pub fn own_uuid(ctx: &Context) -> Result<String, Error> {
    let path = ctx.state()?.folder(&[])?.join(OWN_ID);
    for _ in 0..2 {
        match known_uuid(ctx)? {
            Some(uuid) => return Ok(uuid),
            None => {
                let own = OwnId { uuid: random::uuid4(&*ctx.random) };
                let text = serde_json::to_vec(&own).expect("a UUID is plain JSON");
                // Another process may be first; then its id counts, which the second round reads.
                if let Err(error) = file::write_new(&path, &text)
                    && !path.exists()
                {
                    return Err(error.into());
                }
            }
        }
    }
    Err(Error::Refused(format!("{} appears and vanishes: another program changes it", path.display())))
}
