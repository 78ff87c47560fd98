//! Whether a shipped snapshot still stands: what is missing of one that was removed meanwhile is no damage.

use super::Error;
use super::catalogue::Shipped;
use super::node::Remote;
use super::snapshots::Found;

/// A snapshot that is being read, and how to ask whether it is still there.
pub(super) struct Standing {
    name: String,
    shipped: Option<(Remote, Shipped)>,
}

impl Standing {
    pub(super) fn of(found: &Found) -> Self {
        Self { name: found.name(), shipped: found.shipped.clone() }
    }

    /// Whether it is still there, where it was.
    ///
    /// # Errors
    /// [`Error::Absent`] when it has been removed meanwhile.
    pub(super) fn check(&self) -> Result<(), Error> {
        match &self.shipped {
            Some((remote, shipped)) if matches!(remote.store.stat(&shipped.head_key()), Ok(None)) => {
                Err(Error::Absent(format!("{} was removed from the repository while it was read", self.name)))
            }
            _ => Ok(()),
        }
    }

    /// The outcome of reading it, where damage counts only while the repository still has the snapshot.
    ///
    /// # Errors
    /// As [`Standing::check`], in place of damage.
    pub(super) fn judge<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        let doubtful = |error: &Error| error.is_damage() || matches!(error, Error::Repository(error) if error.is_absent());
        if outcome.as_ref().is_err_and(doubtful) {
            self.check()?;
        }
        outcome
    }
}
