//! The text form of an entry: one line of JSON, or several when its content is long.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::entry::{Entry, Identity, Kind, Location, More, Piece, Time, Xattr};
use super::escape::{escape, unescape};
use super::limits::{BLOB_MAX, FRAME_MAX, FRAME_STORED_MAX, LINE_MAX, PACK_MAX, PIECES_PER_LINE};
use super::path::RelPath;
use super::{FormatError, number};

/// One line of a file list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A file, directory or link, with the first pieces of its content.
    Entry(Entry),
    /// More content of the file before.
    More(More),
}

impl Line {
    /// The path it speaks of.
    pub fn path(&self) -> &RelPath {
        match self {
            Self::Entry(entry) => &entry.path,
            Self::More(more) => &more.path,
        }
    }

    /// The pieces it holds.
    pub fn content(&self) -> &[Piece] {
        match self {
            Self::Entry(entry) => &entry.content,
            Self::More(more) => &more.content,
        }
    }

    /// The pieces it holds, to be changed.
    pub fn content_mut(&mut self) -> &mut Vec<Piece> {
        match self {
            Self::Entry(entry) => &mut entry.content,
            Self::More(more) => &mut more.content,
        }
    }

    /// Its JSON, without a newline.
    ///
    /// # Errors
    /// [`FormatError::LineTooLong`] when the path and the attributes alone take more than a line may.
    pub fn to_json(&self) -> Result<Vec<u8>, FormatError> {
        let text = serde_json::to_vec(&Wire::from_line(self))?;
        if text.len() > LINE_MAX {
            return Err(FormatError::LineTooLong { length: text.len(), limit: LINE_MAX });
        }
        Ok(text)
    }

    /// Reads one line and checks every value that can be checked on its own.
    ///
    /// # Errors
    /// Any [`FormatError`].
    pub fn from_json(text: &[u8]) -> Result<Self, FormatError> {
        if text.len() > LINE_MAX {
            return Err(FormatError::LineTooLong { length: text.len(), limit: LINE_MAX });
        }
        serde_json::from_slice::<Wire>(text)?.into_line()
    }
}

/// The shape of a line in JSON. `kind` is `more` for a continuation, which has only `path`, `kind`, `piece` and `content`.
#[derive(Serialize, Deserialize)]
struct Wire {
    path: RelPath,
    kind: WireKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    piece: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mtime: Option<WireTime>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    xattrs: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<RelPath>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    content: Vec<WirePiece>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<WireIdentity>,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum WireKind {
    File,
    Dir,
    Symlink,
    Hardlink,
    Fifo,
    More,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(transparent)]
struct Number(#[serde(with = "number")] u64);

#[derive(Serialize, Deserialize, Clone, Copy)]
struct WireTime(#[serde(with = "number")] i64, u32);

/// A hole, which has nothing but its length in `hole`, or a blob. One shape for both: an enum would be read twice.
#[derive(Serialize, Deserialize, Default)]
struct WirePiece {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hole: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blob: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    length: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pack: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frame: Option<(Number, Number)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<Number>,
}

#[derive(Serialize, Deserialize)]
struct WireIdentity {
    device: Number,
    inode: Number,
    ctime: WireTime,
    trusted: bool,
}

impl From<Time> for WireTime {
    fn from(time: Time) -> Self {
        Self(time.seconds, time.nanoseconds)
    }
}

impl WireTime {
    fn read(self) -> Result<Time, FormatError> {
        if self.1 > 999_999_999 {
            return Err(FormatError::invalid(format!("{} nanoseconds are more than a second", self.1)));
        }
        Ok(Time { seconds: self.0, nanoseconds: self.1 })
    }
}

impl Wire {
    fn from_line(line: &Line) -> Self {
        let content = line.content().iter().map(WirePiece::from_piece).collect();
        match line {
            Line::More(more) => Self { piece: Some(Number(more.first_piece)), content, ..Self::bare(more.path.clone(), WireKind::More) },
            Line::Entry(entry) => Self {
                size: (entry.kind == Kind::File).then_some(Number(entry.size)),
                mode: Some(format!("{:04o}", entry.mode)),
                uid: Some(entry.uid),
                gid: Some(entry.gid),
                user: entry.user.clone(),
                group: entry.group.clone(),
                mtime: Some(entry.mtime.into()),
                xattrs: entry.xattrs.iter().map(|x| (escape(&x.name), STANDARD.encode(&x.value))).collect(),
                target: entry.target.as_deref().map(escape),
                link: entry.link.clone(),
                content,
                identity: entry.identity.map(WireIdentity::from_identity),
                ..Self::bare(entry.path.clone(), WireKind::from_kind(entry.kind))
            },
        }
    }

    fn bare(path: RelPath, kind: WireKind) -> Self {
        Self {
            path,
            kind,
            piece: None,
            size: None,
            mode: None,
            uid: None,
            gid: None,
            user: None,
            group: None,
            mtime: None,
            xattrs: Vec::new(),
            target: None,
            link: None,
            content: Vec::new(),
            identity: None,
        }
    }

    fn into_line(self) -> Result<Line, FormatError> {
        if self.content.len() > PIECES_PER_LINE {
            return Err(FormatError::invalid(format!("{} pieces on one line, {PIECES_PER_LINE} are allowed", self.content.len())));
        }
        let content = self.content.into_iter().map(WirePiece::into_piece).collect::<Result<Vec<_>, _>>()?;
        let missing = |what: &str| FormatError::invalid(format!("`{what}` is missing"));
        let Some(kind) = self.kind.into_kind() else {
            let first_piece = self.piece.ok_or_else(|| missing("piece"))?.0;
            return Ok(Line::More(More { path: self.path, first_piece, content }));
        };
        let entry = Entry {
            path: self.path,
            kind,
            size: if kind == Kind::File { self.size.ok_or_else(|| missing("size"))?.0 } else { 0 },
            mode: parse_mode(&self.mode.ok_or_else(|| missing("mode"))?)?,
            uid: self.uid.ok_or_else(|| missing("uid"))?,
            gid: self.gid.ok_or_else(|| missing("gid"))?,
            user: self.user,
            group: self.group,
            mtime: self.mtime.ok_or_else(|| missing("mtime"))?.read()?,
            xattrs: self.xattrs.into_iter().map(|(name, value)| read_xattr(&name, &value)).collect::<Result<_, _>>()?,
            target: self.target.as_deref().map(unescape).transpose()?,
            link: self.link,
            content,
            identity: self.identity.map(WireIdentity::into_identity).transpose()?,
        };
        check_kind(&entry)?;
        Ok(Line::Entry(entry))
    }
}

fn check_kind(entry: &Entry) -> Result<(), FormatError> {
    let wrong = |what: &str| Err(FormatError::invalid(format!("`{}`: {what}", entry.path)));
    match entry.kind {
        Kind::Symlink if entry.target.as_ref().is_none_or(|t| t.is_empty() || t.contains(&0)) => wrong("a symbolic link without a target"),
        Kind::HardLink if entry.link.as_ref().is_none_or(|link| *link >= entry.path) => {
            wrong("a hard link to a path that does not come before it")
        }
        Kind::Directory | Kind::File | Kind::Fifo if entry.target.is_some() || entry.link.is_some() => wrong("a target where none belongs"),
        _ if entry.kind != Kind::File && !entry.content.is_empty() => wrong("content where none belongs"),
        _ if entry.path.is_root() && entry.kind != Kind::Directory => wrong("the root is not a directory"),
        _ => Ok(()),
    }
}

fn parse_mode(text: &str) -> Result<u32, FormatError> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 && !text.starts_with('+') => Ok(mode),
        _ => Err(FormatError::invalid(format!("`{text}` is not a mode in octal"))),
    }
}

fn read_xattr(name: &str, value: &str) -> Result<Xattr, FormatError> {
    let value = STANDARD.decode(value).map_err(|cause| FormatError::invalid(format!("attribute `{name}`: {cause}")))?;
    let name = unescape(name)?;
    if name.is_empty() || name.contains(&0) {
        return Err(FormatError::invalid("an attribute's name is empty or holds a NUL byte"));
    }
    Ok(Xattr { name, value })
}

impl WireKind {
    fn from_kind(kind: Kind) -> Self {
        match kind {
            Kind::File => Self::File,
            Kind::Directory => Self::Dir,
            Kind::Symlink => Self::Symlink,
            Kind::HardLink => Self::Hardlink,
            Kind::Fifo => Self::Fifo,
        }
    }

    fn into_kind(self) -> Option<Kind> {
        Some(match self {
            Self::File => Kind::File,
            Self::Dir => Kind::Directory,
            Self::Symlink => Kind::Symlink,
            Self::Hardlink => Kind::HardLink,
            Self::Fifo => Kind::Fifo,
            Self::More => return None,
        })
    }
}

impl WirePiece {
    fn from_piece(piece: &Piece) -> Self {
        match *piece {
            Piece::Hole { length } => Self { hole: Some(Number(length)), ..Self::default() },
            Piece::Blob { digest, length, at } => Self {
                hole: None,
                blob: Some(digest),
                length: Some(Number(u64::from(length))),
                pack: at.map(|at| at.pack),
                frame: at.map(|at| (Number(at.frame_offset), Number(u64::from(at.frame_length)))),
                offset: at.map(|at| Number(u64::from(at.offset))),
            },
        }
    }

    fn into_piece(self) -> Result<Piece, FormatError> {
        let (digest, length) = match (self.blob, self.length, self.hole) {
            (Some(digest), Some(length), _) => (digest, length),
            (_, _, Some(Number(0))) => return Err(FormatError::invalid("a hole of no bytes")),
            (_, _, Some(hole)) => return Ok(Piece::Hole { length: hole.0 }),
            _ => return Err(FormatError::invalid("a piece that is neither a blob with its length nor a hole")),
        };
        let within = |number: Number, most: usize, what: &str| match u32::try_from(number.0) {
            Ok(value) if value as usize <= most => Ok(value),
            _ => Err(FormatError::invalid(format!("{what} of {} bytes, {most} are allowed", number.0))),
        };
        let at = match (self.pack, self.frame, self.offset) {
            (None, None, None) => None,
            (Some(pack), Some((frame_offset, frame_length)), Some(offset)) => Some(Location {
                pack,
                frame_offset: u64::from(within(frame_offset, PACK_MAX, "a frame offset")?),
                frame_length: within(frame_length, FRAME_STORED_MAX, "a frame")?,
                offset: within(offset, FRAME_MAX, "an offset in a frame")?,
            }),
            _ => {
                return Err(FormatError::invalid("a blob names a pack, a frame or an offset without the others"));
            }
        };
        match within(length, BLOB_MAX, "a blob")? {
            0 => Err(FormatError::invalid("a blob of no bytes")),
            length => Ok(Piece::Blob { digest, length, at }),
        }
    }
}

impl WireIdentity {
    fn from_identity(identity: Identity) -> Self {
        Self { device: Number(identity.device), inode: Number(identity.inode), ctime: identity.ctime.into(), trusted: identity.trusted }
    }

    fn into_identity(self) -> Result<Identity, FormatError> {
        Ok(Identity { device: self.device.0, inode: self.inode.0, ctime: self.ctime.read()?, trusted: self.trusted })
    }
}
