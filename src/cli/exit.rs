//! Exit codes: what a script learns without reading a word.

use std::process::ExitCode;

use super::failure::Failure;
use crate::{ops, repository, source, sys};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done, and every promise holds.
    Done = 0,
    /// Failed; nothing was changed, or what was is named.
    Failed = 1,
    /// The command line or the configuration is wrong, or an answer was needed and there is no terminal.
    Usage = 2,
    /// Partly done.
    Partly = 3,
    /// Damage was found.
    Damage = 4,
    /// Another run holds the lock.
    Locked = 5,
    /// What was asked for is not there.
    Absent = 6,
    /// `status`: something is late or unhealthy.
    Unhealthy = 7,
    /// Stopped by SIGINT, cleanly.
    Interrupted = 130,
    /// Stopped by SIGTERM, cleanly.
    Terminated = 143,
}

impl Exit {
    /// The code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What a failure means; `signal` = the one that asked the run to stop, if any.
    pub(super) fn of(failure: &Failure, signal: Option<i32>) -> Self {
        match failure {
            Failure::Op(error) => Self::of_error(error, signal),
            Failure::Config(_) | Failure::Usage(_) => Self::Usage,
            Failure::Declined | Failure::Output(_) | Failure::Unproven(_) => Self::Failed,
        }
    }

    /// What an error of a verb means.
    pub(super) fn of_error(error: &ops::Error, signal: Option<i32>) -> Self {
        match error {
            error if error.is_stopped() => Self::of_signal(signal),
            error if error.is_damage() => Self::Damage,
            ops::Error::Usage(_) | ops::Error::Repository(repository::Error::Settings(_) | repository::Error::CaFile { .. }) => Self::Usage,
            ops::Error::Source(source::Error::Pattern { .. }) => Self::Usage,
            ops::Error::Absent(_) | ops::Error::Source(source::Error::NoTable { .. } | source::Error::Absent { .. }) => Self::Absent,
            ops::Error::Repository(error) if error.is_absent() => Self::Absent,
            ops::Error::Repository(repository::Error::NoBucket { .. } | repository::Error::FolderMissing { .. }) => Self::Absent,
            ops::Error::System(sys::Error::Locked { .. }) => Self::Locked,
            _ => Self::Failed,
        }
    }

    /// A run that a signal has stopped.
    pub(super) fn of_signal(signal: Option<i32>) -> Self {
        if signal == Some(15) { Self::Terminated } else { Self::Interrupted }
    }

    /// Several pieces of work seen as one: a stop counts first, then damage; what failed beside what was done is partly done.
    pub(super) fn of_all(each: &[Self]) -> Self {
        let any = |wanted: Self| each.contains(&wanted);
        let first = [Self::Terminated, Self::Interrupted, Self::Damage].into_iter().find(|exit| any(*exit));
        match (first, each) {
            (Some(exit), _) => exit,
            (None, []) => Self::Done,
            (None, [one, rest @ ..]) if rest.iter().all(|exit| exit == one) => *one,
            (None, _) if any(Self::Done) || any(Self::Partly) => Self::Partly,
            (None, _) => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive;
    use crate::format::FormatError;
    use crate::sys::stop::Stopped;

    fn of(error: impl Into<ops::Error>) -> u8 {
        Exit::of_error(&error.into(), Some(15)).code()
    }

    #[test]
    fn every_kind_of_error_has_its_documented_code() {
        let locked = sys::Error::Locked { path: "/x".into(), holder: "y".into() };
        let unreadable = |cause| ops::Error::Unreadable { object: "x".into(), cause };
        assert_eq!(of(ops::Error::Refused("x".into())), 1);
        assert_eq!(of(ops::Error::Usage("x".into())), 2);
        assert_eq!(of(repository::Error::Settings("x".into())), 2);
        assert_eq!(of(ops::Error::damaged("x", "y")), 4);
        assert_eq!(of(archive::Error::Damaged("x".into())), 4);
        assert_eq!(of(unreadable(FormatError::invalid("x"))), 4);
        assert_eq!(of(unreadable(FormatError::Version(9))), 1);
        assert_eq!(of(locked), 5);
        assert_eq!(of(ops::Error::Absent("x".into())), 6);
        assert_eq!(of(repository::Error::FolderMissing { path: "/x".into(), problem: "is not there" }), 6);
    }

    #[test]
    fn a_stop_is_told_by_its_signal_wherever_it_was_noticed() {
        let stops: [ops::Error; 4] = [
            ops::Error::Stopped,
            sys::Error::Stopped(Stopped).into(),
            source::Error::Stopped(Stopped).into(),
            archive::Error::System(Stopped.into()).into(),
        ];
        for error in stops {
            assert_eq!(Exit::of_error(&error, Some(15)).code(), 143);
            assert_eq!(Exit::of_error(&error, Some(2)).code(), 130);
        }
    }

    #[test]
    fn several_sources_make_one_code_with_damage_before_partly() {
        use Exit::*;
        assert_eq!(Exit::of_all(&[]), Done);
        assert_eq!(Exit::of_all(&[Done, Done]), Done);
        assert_eq!(Exit::of_all(&[Done, Failed]), Partly);
        assert_eq!(Exit::of_all(&[Locked, Locked]), Locked);
        assert_eq!(Exit::of_all(&[Locked, Failed]), Failed);
        assert_eq!(Exit::of_all(&[Done, Partly, Damage]), Damage);
        assert_eq!(Exit::of_all(&[Damage, Interrupted]), Interrupted);
        assert_eq!(Exit::of_all(&[Absent, Done]), Partly);
    }
}
