//! Object keys: the only place that composes or takes apart where something lies in a repository.

use std::fmt;

use super::digest::Digest;
use super::marker::Encryption;
use super::names::{NodeName, SourceName};
use super::snapshot_id::SnapshotId;

/// The key of the marker.
pub const MARKER: &str = "windlass.json";

/// The folder of the store probe.
pub const PROBE: &str = "probe/";

/// Where an object lies, from the repository's root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// `windlass.json`
    Marker,
    /// `probe/…`
    Probe(String),
    /// `<node>/…`
    Of(NodeName, NodeKey),
}

/// Where an object of one node lies, from the node's folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKey {
    /// `node.<n>.json`
    Node(u32),
    /// `packs/<xx>/<sha256>.tar.zst[.age]`
    Pack {
        /// SHA-256 of the stored bytes.
        name: Digest,
        /// Whether it is an age file.
        sealed: bool,
    },
    /// `files/<xx>/<sha256>.jsonl.zst[.age]`
    FileList {
        /// SHA-256 of the stored bytes.
        name: Digest,
        /// Whether it is an age file.
        sealed: bool,
    },
    /// `files/<xx>/<sha256>.packs.jsonl`, named after its file list
    PackList(Digest),
    /// `manifests/<source>/<id>.<n>.body.jsonl`
    Body(SourceName, SnapshotId, u32),
    /// `manifests/<source>/<id>.<n>.json`
    Head(SourceName, SnapshotId, u32),
    /// `removed/<source>/<id>.json`
    Removed(SourceName, SnapshotId),
    /// `pins/<source>/<id>.<n>.json`
    Pin(SourceName, SnapshotId, u32),
    /// `prune/<utc>-<random>.jsonl`
    Prune(String),
    /// `checks/<utc>-<random>.jsonl`
    Check(String),
    /// `coverage/<utc>-<random>.json`
    Coverage(String),
}

impl NodeKey {
    /// This key below its node.
    pub fn of(self, node: &NodeName) -> Key {
        Key::Of(node.clone(), self)
    }
}

/// Where the packs and file lists of one node lie, which depends on whether the repository is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objects {
    /// The node.
    pub node: NodeName,
    /// Whether they are age files.
    pub encryption: Encryption,
}

impl Objects {
    /// The key of a pack.
    pub fn pack(&self, name: Digest) -> Key {
        NodeKey::Pack { name, sealed: self.encryption == Encryption::Age }.of(&self.node)
    }

    /// The key of a file list.
    pub fn file_list(&self, name: Digest) -> Key {
        NodeKey::FileList { name, sealed: self.encryption == Encryption::Age }.of(&self.node)
    }

    /// The key of the pack list beside a file list; it is never encrypted.
    pub fn pack_list(&self, name: Digest) -> Key {
        NodeKey::PackList(name).of(&self.node)
    }
}

fn ending(sealed: &bool) -> &'static str {
    if *sealed { ".age" } else { "" }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(n) => write!(f, "node.{n}.json"),
            Self::Pack { name, sealed } => {
                write!(f, "packs/{}/{name}.tar.zst{}", name.shard(), ending(sealed))
            }
            Self::FileList { name, sealed } => write!(f, "files/{}/{name}.jsonl.zst{}", name.shard(), ending(sealed)),
            Self::PackList(name) => write!(f, "files/{}/{name}.packs.jsonl", name.shard()),
            Self::Body(source, id, n) => write!(f, "manifests/{source}/{id}.{n}.body.jsonl"),
            Self::Head(source, id, n) => write!(f, "manifests/{source}/{id}.{n}.json"),
            Self::Removed(source, id) => write!(f, "removed/{source}/{id}.json"),
            Self::Pin(source, id, n) => write!(f, "pins/{source}/{id}.{n}.json"),
            Self::Prune(name) => write!(f, "prune/{name}.jsonl"),
            Self::Check(name) => write!(f, "checks/{name}.jsonl"),
            Self::Coverage(name) => write!(f, "coverage/{name}.json"),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Marker => f.write_str(MARKER),
            Self::Probe(rest) => write!(f, "{PROBE}{rest}"),
            Self::Of(node, key) => write!(f, "{node}/{key}"),
        }
    }
}

impl Key {
    /// Takes a key apart; `None` for what this version does not know, which is then never deleted.
    pub fn parse(text: &str) -> Option<Self> {
        let key = if text == MARKER {
            Self::Marker
        } else if let Some(rest) = text.strip_prefix(PROBE) {
            Self::Probe(rest.to_owned())
        } else {
            let (node, rest) = text.split_once('/')?;
            Self::Of(node.parse().ok()?, parse_node_key(rest)?)
        };
        // Only the one spelling counts: `node.01.json` is not `node.1.json`.
        (key.to_string() == text).then_some(key)
    }
}

fn parse_node_key(text: &str) -> Option<NodeKey> {
    let parts: Vec<&str> = text.split('/').collect();
    Some(match parts.as_slice() {
        [file] => NodeKey::Node(file.strip_prefix("node.")?.strip_suffix(".json")?.parse().ok()?),
        ["packs", _, file] => {
            let (name, ending) = file.split_once(".tar.zst")?;
            NodeKey::Pack { name: name.parse().ok()?, sealed: ending == ".age" }
        }
        ["files", _, file] => match file.strip_suffix(".packs.jsonl") {
            Some(name) => NodeKey::PackList(name.parse().ok()?),
            None => {
                let (name, ending) = file.split_once(".jsonl.zst")?;
                NodeKey::FileList { name: name.parse().ok()?, sealed: ending == ".age" }
            }
        },
        ["manifests", source, file] => {
            let source = source.parse().ok()?;
            match file.strip_suffix(".body.jsonl") {
                Some(stem) => numbered(stem).map(|(id, n)| NodeKey::Body(source, id, n))?,
                None => numbered(file.strip_suffix(".json")?).map(|(id, n)| NodeKey::Head(source, id, n))?,
            }
        }
        ["removed", source, file] => NodeKey::Removed(source.parse().ok()?, file.strip_suffix(".json")?.parse().ok()?),
        ["pins", source, file] => {
            let (id, n) = numbered(file.strip_suffix(".json")?)?;
            NodeKey::Pin(source.parse().ok()?, id, n)
        }
        ["prune", file] => NodeKey::Prune(record_name(file.strip_suffix(".jsonl")?)?),
        ["checks", file] => NodeKey::Check(record_name(file.strip_suffix(".jsonl")?)?),
        ["coverage", file] => NodeKey::Coverage(record_name(file.strip_suffix(".json")?)?),
        _ => return None,
    })
}

fn numbered(stem: &str) -> Option<(SnapshotId, u32)> {
    let (id, n) = stem.split_once('.')?;
    let n = n.parse().ok().filter(|n| *n > 0)?;
    Some((id.parse().ok()?, n))
}

/// `<utc>-<random>`: an instant like a snapshot id, a dash, and lower-case hexadecimal digits.
fn record_name(name: &str) -> Option<String> {
    let (instant, random) = name.split_once('-')?;
    instant.parse::<SnapshotId>().ok()?;
    let hexadecimal = (8..=32).contains(&random.len()) && random.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    hexadecimal.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_parses_back() {
        let node: NodeName = "ellis-1".parse().unwrap();
        let source: SourceName = "billing.v2".parse().unwrap();
        let id: SnapshotId = "20261123T000000123Z".parse().unwrap();
        let name = Digest::of(b"x");
        let record = "20261123T000000123Z-0123456789abcdef".to_owned();
        let keys = [
            NodeKey::Node(1),
            NodeKey::Pack { name, sealed: false },
            NodeKey::Pack { name, sealed: true },
            NodeKey::FileList { name, sealed: false },
            NodeKey::FileList { name, sealed: true },
            NodeKey::PackList(name),
            NodeKey::Body(source.clone(), id, 1),
            NodeKey::Head(source.clone(), id, 2),
            NodeKey::Removed(source.clone(), id),
            NodeKey::Pin(source, id, 10),
            NodeKey::Prune(record.clone()),
            NodeKey::Check(record.clone()),
            NodeKey::Coverage(record),
        ];
        for key in keys.into_iter().map(|key| key.of(&node)).chain([Key::Marker, Key::Probe("a/b".into())]) {
            assert_eq!(Key::parse(&key.to_string()), Some(key.clone()), "{key}");
            assert!(key.to_string().split('/').all(|part| part.len() <= 200));
        }
    }

    #[test]
    fn what_is_not_the_one_spelling_is_unknown() {
        let hex = Digest::of(b"x");
        for text in [
            "windlass.json.bak".to_owned(),
            "n/node.01.json".into(),
            "n/node.x.json".into(),
            format!("n/packs/00/{hex}.tar.zst"),
            format!("n/packs/{}/{hex}.tar.zst.gpg", hex.shard()),
            format!("n/packs/{}/{hex}.tar.zst#1", hex.shard()),
            "n/manifests/s/20261123T000000123Z.0.json".into(),
            "n/manifests/s/20261123T000000123Z.json".into(),
            "N/node.1.json".into(),
            "n/prune/x.jsonl".into(),
            "n/coverage/20261123T000000123Z-0123456789abcdef.jsonl".into(),
            "README".into(),
        ] {
            assert_eq!(Key::parse(&text), None, "{text}");
        }
    }
}
