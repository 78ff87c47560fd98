//! Whether a shipped snapshot still stands: what is missing of one that was removed meanwhile is no damage.

use super::Error;
use super::catalogue::Shipped;
use super::error::chain;
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

    /// The outcome of reading it, where damage counts only while the repository still has the snapshot.
    ///
    /// # Errors
    /// [`Error::Absent`] in place of damage when the snapshot has been removed meanwhile.
    pub(super) fn judge<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        let doubtful = |error: &Error| error.is_damage() || matches!(error, Error::Repository(error) if error.is_absent());
        match (outcome, &self.shipped) {
            (Err(error), Some((remote, shipped))) if doubtful(&error) => match remote.store.stat(&shipped.head_key()) {
                Ok(None) => {
                    let what = format!("{} was removed from the repository while it was read", self.name);
                    Err(Error::Absent(format!("{what} ({})", chain(&error))))
                }
                _ => Err(error),
            },
            (outcome, _) => outcome,
        }
    }
}
