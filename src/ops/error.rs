//! Why a verb failed.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use super::hooks::HookError;
use crate::format::FormatError;
use crate::{archive, repository, source, sys};

/// A verb's failure. What was changed before it is named in the message, or nothing was.
#[derive(Debug, Error)]
pub enum Error {
    /// Something of the operating system.
    #[error(transparent)]
    System(#[from] sys::Error),
    /// Something of the repository.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// Something of the source.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// Something of packs and frames.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// A file could not be read or written.
    #[error("{what} {}", path.display())]
    File {
        /// What was being done, as a verb phrase.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// Stored bytes are not what they should be.
    #[error("{object} is damaged: {problem}")]
    Damaged {
        /// The object's key, or the file.
        object: String,
        /// What is wrong.
        problem: String,
    },
    /// A stored text does not follow the format.
    #[error("{object} cannot be read")]
    Unreadable {
        /// The object's key, or the file.
        object: String,
        /// What is wrong.
        #[source]
        cause: FormatError,
    },
    /// Stored bytes are damaged, and a place that may have them sound could not be asked: nothing is known to be lost.
    #[error("{object} is damaged: {problem}; whether its bytes lie sound elsewhere is not known")]
    Unasked {
        /// The object's key, or the file.
        object: String,
        /// What is wrong with it.
        problem: String,
        /// Why the place could not be asked.
        #[source]
        cause: Arc<Error>,
    },
    /// Stored bytes could not be read, which says nothing of them.
    #[error("{object}: {problem}")]
    Unread {
        /// The object's key.
        object: String,
        /// What stood in the way.
        problem: String,
    },
    /// What was asked for is not there.
    #[error("{0}")]
    Absent(String),
    /// The request, or the state that it met, does not allow it. Nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// A hook that has to go well did not, so there was no run.
    #[error("the hook `{hook}` did not go well, so nothing was begun")]
    Hook {
        /// Which one.
        hook: &'static str,
        /// Why.
        #[source]
        cause: HookError,
    },
    /// A person or a service manager stopped the run. The next run goes on from here.
    #[error("stopped; the next run goes on from here")]
    Stopped,
}

impl From<sys::stop::Stopped> for Error {
    fn from(_: sys::stop::Stopped) -> Self {
        Self::Stopped
    }
}

impl Error {
    /// For `map_err`: an I/O error with what was being done to which file.
    pub fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { what, path, cause }
    }

    /// For `map_err`: a format error with the object it was found in.
    pub fn unreadable(object: impl ToString) -> impl FnOnce(FormatError) -> Self {
        let object = object.to_string();
        move |cause| Self::Unreadable { object, cause }
    }

    /// A [`Error::Damaged`].
    pub fn damaged(object: impl ToString, problem: impl ToString) -> Self {
        Self::Damaged { object: object.to_string(), problem: problem.to_string() }
    }

    /// What damage becomes where another place could not be asked for the bytes; every other error stays what it is.
    pub(crate) fn unasked(self, cause: Self) -> Self {
        match self {
            Self::Damaged { object, problem } => Self::Unasked { object, problem, cause: Arc::new(cause) },
            Self::Unreadable { object, cause: problem } => Self::Unasked { object, problem: chain(&problem), cause: Arc::new(cause) },
            other => other,
        }
    }

    /// Whether stored bytes were found to be wrong or missing.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Unreadable { cause, .. } => !matches!(cause, FormatError::Version(_)),
            Self::Archive(archive::Error::Damaged(_) | archive::Error::Mismatch { .. }) => true,
            _ => false,
        }
    }

    /// Whether one object is damaged, missing or cannot be read, while the store as a whole works.
    pub(crate) fn is_of_one_object(&self) -> bool {
        self.is_damage() || matches!(self, Self::Unread { .. })
    }

    /// Whether the repository as a whole could not be reached.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Repository(cause) if cause.is_unreachable())
    }

    /// Whether the run was stopped on purpose, in whichever room.
    pub fn is_stopped(&self) -> bool {
        matches!(
            self,
            Self::Stopped
                | Self::Repository(repository::Error::Stopped { .. })
                | Self::System(sys::Error::Stopped(_))
                | Self::Source(source::Error::Stopped(_) | source::Error::System(sys::Error::Stopped(_)))
                | Self::Archive(archive::Error::Stopped(_) | archive::Error::System(sys::Error::Stopped(_)))
        )
    }
}

/// An error with all its causes on one line, for texts that are kept.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
