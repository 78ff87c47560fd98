//! Makes repositories by hand, from nothing but `docs/FORMAT.md`: sound ones, and ones that lie.

use serde_json::{Value, json};
use windlass::format::body::{Body, Counts, ListRef, Role};
use windlass::format::digest::Digest;
use windlass::format::head::{BodyRef, Head};
use windlass::format::pack_list::{self, PackRef};
use windlass::format::snapshot_id::SnapshotId;

use super::node::{Node, tree};

/// The snapshot that is forged.
pub const ID: &str = "20260101T000000000Z";

/// The id of the repository, and of the machine.
const REPOSITORY: &str = "6f2c1c5e-0f5b-4a53-9a0a-6dd2f0f1b7a1";

/// Writes objects into the repository of a node, which is a folder.
pub struct Forge<'n> {
    pub node: &'n Node,
    /// Packs that were stored, with their sizes.
    pub packs: Vec<PackRef>,
    /// Lists of the snapshot so far.
    pub lists: Vec<ListRef>,
    /// What they amount to.
    counts: Counts,
    /// To whom packs and lists are sealed.
    recipients: Vec<String>,
}

impl<'n> Forge<'n> {
    /// A forge in the folder of a node; makes it a repository.
    pub fn new(node: &'n Node) -> Self {
        Self::with(node, Vec::new())
    }

    /// The same, encrypted to the node's recipients.
    pub fn sealed(node: &'n Node) -> Self {
        Self::with(node, node.encrypt_to.clone())
    }

    fn with(node: &'n Node, recipients: Vec<String>) -> Self {
        let encryption = if recipients.is_empty() { "none" } else { "age" };
        let forge = Self { node, packs: Vec::new(), lists: Vec::new(), counts: Counts::default(), recipients };
        let marker = json!({"format": 1, "repository": REPOSITORY, "created": "2026-01-01T00:00:00Z", "encryption": encryption});
        forge.put("windlass.json", &document(&marker));
        let file = json!({"format": 1, "node": "node-1", "uuid": REPOSITORY, "created": "2026-01-01T00:00:00Z"});
        forge.put("node-1/node.1.json", &document(&file));
        forge
    }

    /// Seals what comes now to others; gives to whom it was sealed before.
    pub fn seal_to(&mut self, recipients: Vec<String>) -> Vec<String> {
        std::mem::replace(&mut self.recipients, recipients)
    }

    /// Stores bytes under a key, whatever they are.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.node.path("bucket").join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Stores bytes as a pack under their name.
    pub fn pack(&mut self, bytes: &[u8]) -> Digest {
        let bytes = &*self.seal(bytes);
        let pack = Digest::of(bytes);
        self.put(&format!("{}{}", pack_key(pack), self.ending()), bytes);
        self.packs.push(PackRef { pack, stored: bytes.len() as u64 });
        self.counts.packs += 1;
        self.counts.stored_bytes += bytes.len() as u64;
        self.packs.sort();
        pack
    }

    fn ending(&self) -> &'static str {
        if self.recipients.is_empty() { "" } else { ".age" }
    }

    fn seal(&self, bytes: &[u8]) -> Vec<u8> {
        let recipients: Vec<age::x25519::Recipient> = self.recipients.iter().map(|text| text.parse().unwrap()).collect();
        if recipients.is_empty() {
            return bytes.to_vec();
        }
        let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as &dyn age::Recipient)).unwrap();
        let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
        std::io::Write::write_all(&mut writer, bytes).unwrap();
        writer.finish().unwrap()
    }

    /// Stores bytes as a file list under their name, with its pack list; gives its key.
    pub fn list(&mut self, role: Role, bytes: &[u8]) -> String {
        self.list_beside(role, bytes, &pack_list::write(&self.packs))
    }

    /// The same with another pack list beside it.
    pub fn list_beside(&mut self, role: Role, bytes: &[u8], packs: &[u8]) -> String {
        let bytes = &*self.seal(bytes);
        let list = Digest::of(bytes);
        let key = format!("node-1/files/{}/{list}", list.shard());
        self.put(&format!("{key}.packs.jsonl"), packs);
        self.put(&format!("{key}.jsonl.zst{}", self.ending()), bytes);
        let (stored, packs_length) = (bytes.len() as u64, packs.len() as u64);
        self.counts.stored_bytes += stored + packs_length;
        self.lists.push(ListRef { role, list, stored, packs_sha256: Digest::of(packs), packs_length });
        format!("{key}.jsonl.zst{}", self.ending())
    }

    /// Stores these lines as a file list; gives its key.
    pub fn lines(&mut self, lines: &[Value]) -> String {
        for line in lines.iter().filter(|line| line["kind"] != "more") {
            self.counts.entries += 1;
            self.counts.files += u64::from(line["kind"] == "file" || line["kind"] == "hardlink");
            let size = line["size"].as_str().and_then(|size| size.parse().ok()).unwrap_or(0);
            self.counts.bytes = self.counts.bytes.saturating_add(size);
        }
        let text: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        self.list(Role::Files, &stream(&[frame(&text)]))
    }

    /// Stores facts, without which no snapshot is whole.
    pub fn facts(&mut self) {
        let text = br#"{"kind":"directory"}"#;
        let packed = Packed::of(&[text]);
        let pack = self.pack(&packed.bytes);
        let lines = [folder(""), file("facts.json", text.len(), &[packed.piece(pack, 0)])];
        let text: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        let packs = std::mem::take(&mut self.packs);
        self.packs = packs.iter().filter(|known| known.pack == pack).copied().collect();
        self.list(Role::Facts, &stream(&[frame(&text)]));
        self.packs = packs;
    }

    /// The body that names all lists.
    pub fn body(&self) -> Vec<u8> {
        Body { lists: self.lists.clone(), counts: self.counts }.to_text()
    }

    /// The head that fits this body.
    pub fn head(&self, body: &[u8]) -> Value {
        let id: SnapshotId = ID.parse().unwrap();
        let head = Head {
            format: 1,
            repository: REPOSITORY.into(),
            node: "node-1".parse().unwrap(),
            source: tree(),
            kind: "directory".into(),
            id,
            n: 1,
            agent: "by hand".into(),
            time: id.to_timestamp(),
            local_date: jiff::civil::date(2026, 1, 1),
            files: self.counts.files,
            bytes: self.counts.bytes,
            added_bytes: self.counts.stored_bytes,
            stored_bytes: self.counts.stored_bytes,
            problems: Vec::new(),
            objective_seconds: 93_600,
            previous: None,
            newest: std::collections::BTreeMap::new(),
            recipients: self.recipients.clone(),
            body: BodyRef { length: body.len() as u64, sha256: Digest::of(body) },
        };
        serde_json::to_value(head).unwrap()
    }

    /// Stores a body and a head, as they are.
    pub fn manifest(&self, body: &[u8], head: &[u8]) {
        self.put(&body_key(), body);
        self.put(&head_key(), head);
    }

    /// Makes the snapshot exist.
    pub fn commit(&mut self) {
        self.facts();
        let body = self.body();
        self.manifest(&body, &document(&self.head(&body)));
    }
}

/// A line of a list as it is stored.
pub fn text(line: &Value) -> Vec<u8> {
    format!("{line}\n").into_bytes()
}

/// A document as it is stored: it ends with the SHA-256 of what it is without that field.
pub fn document(document: &Value) -> Vec<u8> {
    let mut document = document.clone();
    document.as_object_mut().unwrap().remove("sha256");
    let text = format!("{document}\n");
    let open = text.strip_suffix("}\n").unwrap();
    format!("{open},\"sha256\":\"{}\"}}\n", Digest::of(text.as_bytes())).into_bytes()
}

/// A stored document with one field changed, as if it had been written like that.
pub fn rewritten(stored: &[u8], field: &str, value: impl Into<Value>) -> Vec<u8> {
    document(&with(serde_json::from_slice(stored).unwrap(), field, value.into()))
}

/// The key of a pack.
pub fn pack_key(pack: Digest) -> String {
    format!("node-1/packs/{}/{pack}.tar.zst", pack.shard())
}

/// The key of the head.
pub fn head_key() -> String {
    format!("node-1/manifests/tree/{ID}.1.json")
}

/// The key of the body.
pub fn body_key() -> String {
    format!("node-1/manifests/tree/{ID}.1.body.jsonl")
}

/// A line for a directory.
pub fn folder(path: &str) -> Value {
    json!({"path": path, "kind": "dir", "mode": "0755", "uid": 0, "gid": 0, "mtime": ["0", 0]})
}

/// A line for a file.
pub fn file(path: &str, size: usize, content: &[Value]) -> Value {
    let size = size.to_string();
    json!({"path": path, "kind": "file", "size": size, "mode": "0644", "uid": 0, "gid": 0, "mtime": ["0", 0], "content": content})
}

/// A line for a file of holes alone.
pub fn hollow(path: &str, size: u64) -> Value {
    let size = size.to_string();
    let content = json!([{"hole": size}]);
    json!({"path": path, "kind": "file", "size": size, "mode": "0644", "uid": 0, "gid": 0, "mtime": ["0", 0], "content": content})
}

/// A line for a symbolic link.
pub fn symlink(path: &str, target: &str) -> Value {
    json!({"path": path, "kind": "symlink", "mode": "0777", "uid": 0, "gid": 0, "mtime": ["0", 0], "target": target})
}

/// A line for a hard link.
pub fn hardlink(path: &str, link: &str) -> Value {
    json!({"path": path, "kind": "hardlink", "mode": "0644", "uid": 0, "gid": 0, "mtime": ["0", 0], "link": link})
}

/// A line with one field changed.
pub fn with(mut line: Value, field: &str, value: Value) -> Value {
    line[field] = value;
    line
}

/// A zstd frame.
pub fn frame(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 3).unwrap()
}

/// What packs and lists begin with, then frames.
pub fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0x50, 0x2A, 0x4D, 0x18, 16, 0, 0, 0];
    bytes.extend_from_slice(b"not quite random");
    bytes.extend(frames.concat());
    bytes
}

/// A blob as a member of a tar archive.
pub fn member(name: &str, blob: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_mode(0o644);
    header.set_size(blob.len() as u64);
    header.set_cksum();
    let mut member = header.as_bytes().to_vec();
    member.extend_from_slice(blob);
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

/// A sound pack of one frame, and where its blobs lie.
pub struct Packed {
    pub bytes: Vec<u8>,
    frame: (usize, usize),
    blobs: Vec<(Digest, usize, usize)>,
}

impl Packed {
    /// A pack of these blobs.
    pub fn of(blobs: &[&[u8]]) -> Self {
        let mut plain = Vec::new();
        let mut places = Vec::new();
        for blob in blobs {
            let digest = Digest::of(blob);
            places.push((digest, blob.len(), plain.len() + 512));
            plain.extend(member(&digest.to_string(), blob));
        }
        let frame = frame(&plain);
        Self { frame: (24, frame.len()), bytes: whole(&[frame]), blobs: places }
    }

    /// The piece of content that is blob `n` of this pack.
    pub fn piece(&self, pack: Digest, n: usize) -> Value {
        let (digest, length, offset) = self.blobs[n];
        piece(digest, length, pack, self.frame, offset)
    }
}

/// A pack of these frames.
pub fn whole(frames: &[Vec<u8>]) -> Vec<u8> {
    stream(&[frames, &[frame(&[0; 1024])]].concat())
}

/// A piece of content.
pub fn piece(blob: Digest, length: usize, pack: Digest, frame: (usize, usize), offset: usize) -> Value {
    let (length, at, size, offset) = (length.to_string(), frame.0.to_string(), frame.1.to_string(), offset.to_string());
    json!({"blob": blob, "length": length, "pack": pack, "frame": [at, size], "offset": offset})
}
