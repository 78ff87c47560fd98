//! Why the repository could not do what was asked.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::refusal::Refusal;

/// What was being done, to which key, where: the beginning of every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The operation as a verb: `read`, `write`, `look at`, `list`, `delete`.
    pub operation: &'static str,
    /// The key from the repository's root; empty for the whole repository.
    pub key: String,
    /// The repository: URL and endpoint, never a secret.
    pub store: Arc<str>,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{} {}", self.operation, self.store),
            key => write!(f, "{} `{key}` in {}", self.operation, self.store),
        }
    }
}

/// The technical reason below a failure, in the words of the layer that met it.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Cause(pub(super) String);

/// A failure of the repository. Says the operation, the key, the endpoint and what to do; never holds a secret.
#[derive(Debug, Error)]
pub enum Error {
    /// The settings cannot be used as they are. Nothing was asked of any store.
    #[error("{0}")]
    Settings(String),
    /// The file of trusted certificates cannot be used.
    #[error("ca_file {} cannot be used: it must hold certificates in PEM form", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What reading it gave.
        #[source]
        cause: Cause,
    },
    /// The repository's folder is not there, or is no longer the one that was opened: perhaps its disk is not mounted.
    #[error("the repository's folder {} {problem}: mount its disk, or create the folder", path.display())]
    FolderMissing {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A key that no store takes.
    #[error("`{key}` cannot be a key: {why}")]
    Key {
        /// The key.
        key: String,
        /// Why not.
        why: &'static str,
    },
    /// The store answered that there is no such object.
    #[error("cannot {at}: it is not there")]
    Absent {
        /// What was being done.
        at: At,
    },
    /// Another object lies under the key. It was left as it is.
    #[error("cannot {at}: another object lies under this key and was left as it is")]
    Taken {
        /// What was being done.
        at: At,
    },
    /// The object is larger than it may be; it was not read.
    #[error("cannot {at}: it has {found} bytes, and at most {at_most} were expected")]
    TooLarge {
        /// What was being done.
        at: At,
        /// The limit in bytes.
        at_most: u64,
        /// Its size in bytes as the store tells it.
        found: u64,
    },
    /// The object is shorter than the range that was asked for.
    #[error("cannot {at}: it ends at byte {found}, and bytes up to {expected} were expected")]
    TooShort {
        /// What was being done.
        at: At,
        /// The end of the range.
        expected: u64,
        /// The size of the object.
        found: u64,
    },
    /// The store announces a number of bytes and sends another, each time it is asked.
    #[error("cannot {at}: the store announced {expected} bytes and sent {found}, {tries} times")]
    Cut {
        /// What was being done.
        at: At,
        /// The announced length.
        expected: u64,
        /// How many bytes came, or more than were announced.
        found: u64,
        /// How often it was tried.
        tries: u32,
    },
    /// There is no such bucket, or on Azure container.
    #[error("cannot {at}: the store has no such bucket or container: create it, or check `url` and `endpoint`")]
    NoBucket {
        /// What was being done.
        at: At,
    },
    /// The credential may not do this.
    #[error("cannot {at}: {answer}{help}")]
    Denied {
        /// What was being done.
        at: At,
        /// What the store answered.
        answer: Box<Refusal>,
        /// What to do, beginning with punctuation; may be empty.
        help: &'static str,
        /// Whether the credential as a whole is refused, rather than this operation.
        whole: bool,
    },
    /// No credential could be had.
    #[error("cannot {at}: no credential for the store: {help}, or mend what was tried")]
    Credentials {
        /// What was being done.
        at: At,
        /// Where one can be given.
        help: &'static str,
        /// What each place that was asked for one gave.
        #[source]
        cause: Cause,
    },
    /// The store's certificate was not accepted.
    #[error("cannot {at}: the store's certificate is not trusted: set ca_file to the certificate of the authority that signed it")]
    Certificate {
        /// What was being done.
        at: At,
        /// What TLS found.
        #[source]
        cause: Cause,
    },
    /// The store could not be reached, or the connection broke, each time.
    #[error("cannot {at}: the store cannot be reached, tried {tries} times{help}")]
    Unreachable {
        /// What was being done.
        at: At,
        /// How often it was tried.
        tries: u32,
        /// What to do, beginning with punctuation; may be empty.
        help: &'static str,
        /// What the last try gave.
        #[source]
        cause: Cause,
    },
    /// The store did not answer in the short time that it was given, because there was something to do without it.
    #[error("cannot {at}: the store has not answered within {} s, and what lies on this machine does not wait for it", limit.as_secs())]
    Silent {
        /// What was being done.
        at: At,
        /// How long was waited.
        limit: Duration,
    },
    /// The store answered each time that it cannot serve now.
    #[error("cannot {at}: the store is overloaded or broken, tried {tries} times; its last answer: {answer}")]
    Busy {
        /// What was being done.
        at: At,
        /// How often it was tried.
        tries: u32,
        /// What it answered last.
        answer: Box<Refusal>,
    },
    /// The store refuses, and asking again would not help.
    #[error("cannot {at}: {answer}{help}")]
    Refused {
        /// What was being done.
        at: At,
        /// What the store answered.
        answer: Box<Refusal>,
        /// What to do, beginning with punctuation; may be empty.
        help: String,
    },
    /// A folder's file system failed, or the store answered in a way that is not understood.
    #[error("cannot {at}")]
    Failed {
        /// What was being done.
        at: At,
        /// What the layer below gave.
        #[source]
        cause: Cause,
    },
    /// The run was stopped on purpose. Whether a write took place is not known.
    #[error("stopped before it could {at}")]
    Stopped {
        /// What was being done.
        at: At,
    },
}

impl Error {
    /// Whether the store answered that the object is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// Whether the store as a whole cannot be used: connection, names, certificates, credentials, time-outs, no bucket, no folder.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Denied { whole, .. } => *whole,
            Self::FolderMissing { .. }
            | Self::NoBucket { .. }
            | Self::Credentials { .. }
            | Self::Certificate { .. }
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Busy { .. } => true,
            _ => false,
        }
    }

    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Silent { .. } | Self::Busy { .. } | Self::Cut { .. } | Self::Stopped { .. })
    }

    /// Whether a delete was denied because the object is locked, rather than to the credential.
    pub fn is_locked(&self) -> bool {
        self.is_denied_delete() && matches!(self, Self::Denied { answer, .. } if answer.is_lock())
    }

    /// Whether the code of the refusal alone says so; else only its words do, which may hold any name.
    pub fn has_lock_code(&self) -> bool {
        matches!(self, Self::Denied { answer, .. } if answer.has_lock_code())
    }

    /// Whether a delete is denied to a credential that is otherwise accepted.
    pub fn is_denied_delete(&self) -> bool {
        matches!(self, Self::Denied { whole: false, at, .. } if at.operation == "delete")
    }

    /// Whether this one operation is denied to a credential that is otherwise accepted, as a delete may be on purpose.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { whole: false, .. })
    }
}
