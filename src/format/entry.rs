//! What is kept about one file: the word that sources, the local copy, the file lists and the restore share.

use super::digest::Digest;
use super::path::RelPath;

/// One file, directory or link of a snapshot, with the first [`super::limits::PIECES_PER_LINE`] pieces of its content at most.
///
/// Content that is longer goes on in [`More`] lines, so that neither a line nor memory grows with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is, from the root of the snapshot.
    pub path: RelPath,
    /// What it is.
    pub kind: Kind,
    /// Length in bytes, holes included; 0 for all but files.
    pub size: u64,
    /// Permission bits with set-id and sticky bits: at most `0o7777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Name of the owner on the node, where it had one.
    pub user: Option<String>,
    /// Name of the group on the node, where it had one.
    pub group: Option<String>,
    /// Last modification.
    pub mtime: Time,
    /// Extended attributes by name; ACLs are `system.posix_acl_access` and `system.posix_acl_default`.
    pub xattrs: Vec<Xattr>,
    /// What a symbolic link says.
    pub target: Option<Vec<u8>>,
    /// The first path, in path order, of the file that a hard link shares.
    pub link: Option<RelPath>,
    /// The bytes of a file, in order.
    pub content: Vec<Piece>,
    /// The source file's identity when it was copied; only in local copies, never shipped.
    pub identity: Option<Identity>,
}

/// More content of the file whose [`Entry`] came before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct More {
    /// The file.
    pub path: RelPath,
    /// How many pieces of this file came before.
    pub first_piece: u64,
    /// The next pieces.
    pub content: Vec<Piece>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A further name of a file that came before.
    HardLink,
    /// A named pipe.
    Fifo,
}

/// An instant of a file system: seconds since 1970, negative before, and nanoseconds after that second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Seconds since 1970-01-01T00:00:00Z, rounded down.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// One extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xattr {
    /// Full name with its namespace, such as `user.comment`.
    pub name: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
}

/// A run of a file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes that are stored as a blob.
    Blob {
        /// SHA-256 of the bytes.
        digest: Digest,
        /// How many, 1 to [`super::limits::BLOB_MAX`].
        length: u32,
        /// Where they lie in the repository; `None` in a local copy.
        at: Option<Location>,
    },
    /// Zero bytes that take no space.
    Hole {
        /// How many.
        length: u64,
    },
}

/// Where a blob lies in the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The pack's name.
    pub pack: Digest,
    /// Where its frame begins in the stored pack, in bytes.
    pub frame_offset: u64,
    /// How many stored bytes the frame has.
    pub frame_length: u32,
    /// Where the blob's bytes begin in the decoded frame.
    pub offset: u32,
}

/// What tells that a source file is still the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Last change of the inode.
    pub ctime: Time,
    /// False when the file's times were less than two seconds old as it was read: a later write could have left them the same.
    pub trusted: bool,
}

impl Piece {
    /// How many bytes of the file it stands for.
    pub fn length(&self) -> u64 {
        match self {
            Self::Blob { length, .. } => u64::from(*length),
            Self::Hole { length } => *length,
        }
    }
}

impl Entry {
    /// An entry with neither metadata nor content, to be filled in.
    pub fn new(path: RelPath, kind: Kind) -> Self {
        Self {
            path,
            kind,
            size: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            mtime: Time::default(),
            xattrs: Vec::new(),
            target: None,
            link: None,
            content: Vec::new(),
            identity: None,
        }
    }
}
