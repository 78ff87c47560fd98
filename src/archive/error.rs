//! Why cutting, packing, decoding or writing out failed.

use std::io;

use thiserror::Error;

use crate::format::path::RelPath;
use crate::sys;

/// What went wrong in this room. The cause, where there is one, is the source and not part of the text.
#[derive(Debug, Error)]
pub enum Error {
    /// Stored bytes do not decode, or not to what they must be. Says what is wrong with them; the caller adds with which.
    #[error("{0}")]
    Damaged(String),
    /// A file of the local copy has other bytes than when it was copied.
    #[error("`{path}` in the local copy no longer has the bytes that were copied: its SHA-256 differs")]
    Mismatch {
        /// The file.
        path: RelPath,
    },
    /// A file of the local copy cannot be read.
    #[error("cannot read `{path}` from the local copy")]
    Supply {
        /// The file.
        path: RelPath,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A frame or a sealed object did not give back the bytes it was made from: the memory or the codec of this machine is at fault. Nothing of it was stored.
    #[error("{what} to the bytes it was made from: this machine's memory may be faulty")]
    ReadBack {
        /// What was just made and does not give its bytes back.
        what: &'static str,
    },
    /// Sealing failed.
    #[error("cannot seal an object")]
    Sealing {
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A recipient that cannot be sealed to. Says which can.
    #[error("{0}")]
    Recipient(String),
    /// An identity file that cannot be used. Says why, and shows nothing of it.
    #[error("{0}")]
    Identity(String),
    /// What was to be opened is sealed to other recipients.
    #[error("it is sealed to none of the identities that are at hand")]
    NoIdentity,
    /// The codec refused to work.
    #[error("zstd cannot {what}")]
    Codec {
        /// What it was to do.
        what: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// What was handed in is larger than the format allows.
    #[error("{what} of {length} bytes, {limit} are allowed")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its length in bytes.
        length: u64,
        /// Most bytes it may have.
        limit: u64,
    },
    /// A stream of lines cannot be read or written.
    #[error("cannot {what} a stream of lines")]
    Io {
        /// `read` or `write`.
        what: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// An entry cannot be written into the target folder.
    #[error("cannot {what} `{path}` in the target folder")]
    Target {
        /// What was to be done to it.
        what: &'static str,
        /// The entry.
        path: RelPath,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// An edge to the operating system failed.
    #[error(transparent)]
    System(#[from] sys::Error),
    /// The run was asked to stop.
    #[error(transparent)]
    Stopped(#[from] sys::stop::Stopped),
}

impl Error {
    /// An [`Error::Damaged`] with this text.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}
