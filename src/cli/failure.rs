//! Why a command did not do what was asked, and what may help.

use std::error::Error as StdError;
use std::io;

use thiserror::Error;

use crate::format::FormatError;
use crate::{config, ops};

/// A command's failure.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// A verb failed.
    #[error(transparent)]
    Op(#[from] ops::Error),
    /// There is no usable configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The command line cannot be understood, or an answer was needed and nobody could be asked.
    #[error("{0}")]
    Usage(String),
    /// A person was asked and said no.
    #[error("nothing was changed")]
    Declined,
    /// The data could not be written where it was to go.
    #[error("write to standard output")]
    Output(#[source] io::Error),
    /// Something that was claimed does not hold.
    #[error("{0}")]
    Unproven(String),
}

impl Failure {
    /// What may help, as a sentence; `None` where the message says it.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Op(error) => hint(error),
            Self::Config(config::Error::Absent { .. }) => Some(
                "`windlass config example` prints one to start from; --config FILE names another; `--repository URL` reads a repository without one",
            ),
            _ => None,
        }
    }

    /// The texts of all causes, outermost first.
    pub(super) fn causes(&self) -> Vec<String> {
        causes(self)
    }
}

/// The texts of what an error came from, outermost first.
pub(super) fn causes(error: &dyn StdError) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts
}

/// What may help when a verb failed.
pub(super) fn hint(error: &ops::Error) -> Option<&'static str> {
    match error {
        ops::Error::Unreadable { cause: FormatError::Version(_), .. } => Some("a newer version of windlass wrote it: use that one"),
        error if error.is_damage() => Some(
            "`windlass verify --full` names all that is damaged; `windlass heal` then makes sound again what lies intact somewhere else",
        ),
        error if error.is_unreachable() => Some("what is local still works: `windlass list`, `windlass restore SOURCE --from local`"),
        error => match io_kind(error)? {
            io::ErrorKind::PermissionDenied => Some("run it as the user who may, usually root"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some("make room, or remove a local copy with `windlass forget --local SNAPSHOT`")
            }
            io::ErrorKind::ReadOnlyFilesystem => Some("the filesystem is mounted read-only"),
            _ => None,
        },
    }
}

/// The operating system's own reason, if one is in the chain.
fn io_kind(error: &ops::Error) -> Option<io::ErrorKind> {
    let mut next: Option<&dyn StdError> = Some(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        next = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_all_causes_and_what_may_help() {
        let cause = io::Error::from(io::ErrorKind::StorageFull);
        let text = cause.to_string();
        let failure = Failure::from(ops::Error::file("write", "/x")(cause));
        assert_eq!((failure.to_string(), failure.causes()), ("write /x".to_owned(), vec![text]));
        assert!(failure.hint().unwrap().contains("windlass forget"));
        assert_eq!(Failure::Declined.hint(), None);
    }
}
