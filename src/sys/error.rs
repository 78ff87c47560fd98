//! Why something of the operating system failed.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::stop::Stopped;

/// A failure of a file, a folder or a lock.
#[derive(Debug, Error)]
pub enum Error {
    /// A file or folder could not be read, written or removed.
    #[error("{what} {}", path.display())]
    Io {
        /// What was being done, as a verb phrase.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// A program of others could not be started, or did not do its part.
    #[error("cannot {what} the program {program}")]
    Program {
        /// What was being done, as a verb phrase.
        what: &'static str,
        /// The program, by the name it was asked for.
        program: String,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// Another run holds the lock.
    #[error("another run holds {}: {holder}. Wait for it, or say --wait", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, as it said itself.
        holder: String,
    },
    /// The run was stopped while it waited.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Error {
    /// For `map_err`: an I/O error with what was being done to which file.
    pub fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::Io { what, path, cause }
    }
}
