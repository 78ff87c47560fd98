//! Telling damage of one object from trouble with the store as a whole.

use crate::repository;

/// What is wrong with the object, where the store has answered and the object is at fault; `None` for every other failure.
pub(crate) fn object_problem(error: &repository::Error) -> Option<String> {
    match error {
        repository::Error::Absent { .. } => Some(MISSING.to_owned()),
        repository::Error::TooLarge { found, .. } => Some(format!("it has {found} bytes, more than it can have")),
        repository::Error::TooShort { expected, found, .. } => {
            Some(format!("it is cut short: it has {found} bytes and should have at least {expected}"))
        }
        _ => None,
    }
}

/// The problem of an object that is not there.
pub(crate) const MISSING: &str = "it is missing";
