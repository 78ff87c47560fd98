//! What went wrong with one file while the rest of a source could be taken.

use crate::format::path::RelPath;

/// One file that is not in the snapshot as it should be. The snapshot goes on without it, and says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// [`Problem::CHANGED`], [`Problem::VANISHED`], [`Problem::UNREADABLE`], [`Problem::SPECIAL`], or one of those of databases: what heads and metrics count by.
    pub kind: &'static str,
    /// The file.
    pub path: RelPath,
    /// What happened, for a person.
    pub detail: String,
}

impl Problem {
    /// It changed each time it was read; what was read last is in the snapshot.
    pub const CHANGED: &'static str = "changed";
    /// It was listed, and gone when it was to be read.
    pub const VANISHED: &'static str = "vanished";
    /// It, its attributes or the names in it could not be read; what is missing is in the detail.
    pub const UNREADABLE: &'static str = "unreadable";
    /// It is a device, which a snapshot does not hold.
    pub const SPECIAL: &'static str = "special";

    /// Its rows may be of another instant than those of the tables beside it.
    pub const NOT_TRANSACTIONAL: &'static str = "not_transactional";
    /// It was emptied, built anew or exchanged for another table while it was dumped: rows of it may be missing.
    pub const EXCHANGED: &'static str = "exchanged";
    /// Its rows lie in another server or in files, and are not in the snapshot.
    pub const EXTERNAL: &'static str = "external";
    /// A row takes more than any server accepts in one statement, so it cannot be loaded again.
    pub const TOO_LONG: &'static str = "too_long";
    /// Its bytes are not those whose checksum the database keeps: they were damaged on the node.
    pub const CHECKSUM: &'static str = "checksum";
    /// A view that stands on what is missing, so that nothing can dump it.
    pub const INVALID_VIEW: &'static str = "invalid_view";
    /// Values of a column have more digits than any dump program writes, and come back as others.
    pub const INEXACT_FLOAT: &'static str = "inexact_float";
    /// Decimal numbers in a column of MySQL's JSON that come back as `DOUBLE`.
    pub const INEXACT_JSON: &'static str = "inexact_json";
    /// Values of a column have characters that a dump in Unicode cannot hold, and come back as others.
    pub const LOSSY_TEXT: &'static str = "lossy_text";

    /// Parts of an index are missing that the server builds anew: no row is lost.
    pub const INDEX_INCOMPLETE: &'static str = "index_incomplete";
    /// An SSTable lies in the folder of a table, and the node does not have it open: its rows are not in the snapshot.
    pub const NOT_OPEN: &'static str = "not_open";
    /// A file that nothing here knows lies among those of a snapshot; it is in the copy all the same.
    pub const UNKNOWN_FILE: &'static str = "unknown_file";

    /// What an error of the operating system at `path` means for it.
    pub(super) fn from_io(path: &RelPath, doing: &str, cause: &std::io::Error) -> Self {
        let kind = if is_gone(cause) { Self::VANISHED } else { Self::UNREADABLE };
        Self { kind, path: path.clone(), detail: format!("{doing}: {cause}") }
    }
}

/// Whether the file, or a directory on the way to it, is not there any more.
///
/// `ELOOP` and `ENOTDIR` come when a directory on the way was replaced by a link or a file since it was listed.
fn is_gone(cause: &std::io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::NOENT, Errno::STALE, Errno::LOOP, Errno::NOTDIR, Errno::NXIO]
        .iter()
        .any(|errno| cause.raw_os_error() == Some(errno.raw_os_error()))
}
