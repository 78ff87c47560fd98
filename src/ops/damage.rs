//! Telling damage of one object from trouble with the store as a whole.

use bytes::Bytes;
use serde::Serialize;

use super::Error;
use super::error::chain;
use crate::format::check::Verdict;
use crate::repository;

/// The problem of an object or a file that is not there.
pub(crate) const MISSING: &str = "it is missing";

/// One object that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The object's key, or the path of a local file.
    pub object: String,
    /// A snapshot that needs it, as `source/id`, where that is known.
    pub snapshot: Option<String>,
    /// What is wrong.
    pub problem: String,
}

/// What is wrong with one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// In words.
    pub(crate) text: String,
    /// What is known of the object; `None` when it could not be read, which says nothing of its bytes.
    pub(crate) verdict: Option<Verdict>,
    /// Whether the words come from what is inside the object, so that they may name paths or digests of plain bytes.
    pub(crate) inside: bool,
}

impl Problem {
    /// The object is there, with other bytes than it should have.
    pub(crate) fn damaged(text: impl Into<String>) -> Self {
        Self { text: text.into(), verdict: Some(Verdict::Damaged), inside: false }
    }

    /// The same, found in what the object holds: the words stay out of an encrypted repository.
    pub(crate) fn inside(text: impl Into<String>) -> Self {
        Self { inside: true, ..Self::damaged(text) }
    }

    /// What is wrong with a document that is not exactly one line, as all small documents are: such a cut or an appendage leaves valid JSON.
    pub(crate) fn of_one_line(text: &[u8]) -> Option<Self> {
        let ends = text.iter().position(|byte| *byte == b'\n');
        (ends.is_none_or(|at| at + 1 != text.len())).then(|| Self::damaged("it is cut short, or something follows it"))
    }

    /// The object is not there.
    pub(crate) fn missing() -> Self {
        Self { text: MISSING.into(), verdict: Some(Verdict::Missing), inside: false }
    }

    /// The object could not be read, which says nothing of its bytes.
    pub(crate) fn unread(text: impl Into<String>) -> Self {
        Self { text: text.into(), verdict: None, inside: false }
    }

    /// The error of whoever needs the object.
    pub(crate) fn into_error(self, object: impl ToString) -> Error {
        match self.verdict {
            Some(_) => Error::damaged(object, self.text),
            None => Error::Unread { object: object.to_string(), problem: self.text },
        }
    }

    /// What is wrong with the object, where the store works and the object is at fault; `None` for every other failure.
    pub(crate) fn of(error: &repository::Error) -> Option<Self> {
        Some(match error {
            repository::Error::Absent { .. } => Self::missing(),
            repository::Error::TooLarge { found, .. } => Self::damaged(format!("it has {found} bytes, more than it should have")),
            repository::Error::TooShort { expected, found, .. } => {
                Self::damaged(format!("it is cut short: it has {found} bytes and should have at least {expected}"))
            }
            repository::Error::Failed { .. } | repository::Error::Cut { .. } => {
                Self::unread(format!("it cannot be read: {}", chain(error)))
            }
            _ => return None,
        })
    }
}

/// The bytes of an object, or what is wrong with it.
///
/// # Errors
/// What concerns the store as a whole.
pub(crate) fn settle(answer: Result<Bytes, repository::Error>) -> Result<Result<Bytes, Problem>, Error> {
    match answer {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(error) => Ok(Err(Problem::of(&error).ok_or(error)?)),
    }
}
