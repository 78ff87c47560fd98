//! Where it is kept when each part was read: in the repository, so that it outlives the node and any machine can tell.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::format::FormatError;
use crate::format::check::Verdict;
use crate::format::coverage::{Coverage, Part};
use crate::format::key::{Key, NodeKey};
use crate::format::limits::SMALL_MAX;
use crate::format::names::NodeName;
use crate::ops::damage::settle;
use crate::ops::error::chain;
use crate::ops::node::Remote;
use crate::ops::{Context, Error, records};

/// How far ahead of the clock an instant may lie and be believed: what a clock that was wrong has written would keep a part from being read.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// Ledgers that stay when newer ones are there: should the newest not be readable, the one before it counts.
pub(crate) const LEDGERS_KEPT: usize = 8;

/// What is kept of a node's coverage.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The newest that can be read, and its name.
    newest: Option<Coverage>,
    /// The key of the newest, whether it can be read or not.
    last: Option<String>,
}

impl Ledger {
    /// Reads the newest; those that are damaged are told, and the one before counts.
    ///
    /// # Errors
    /// What the store gives; [`Error::Unreadable`] where the newest one is of a version that this program does not know.
    pub(crate) fn read(ctx: &Context, remote: &Remote, node: &NodeName) -> Result<Self, Error> {
        let keys = keys(ctx, remote, node)?;
        let last = keys.last().cloned();
        for key in keys.iter().rev() {
            match settle(remote.store.get(key, SMALL_MAX as u64))? {
                Ok(text) => match Coverage::from_text(&text) {
                    Ok(newest) => return Ok(Self { newest: Some(newest), last }),
                    Err(cause @ FormatError::Version(_)) => return Err(Error::Unreadable { object: key.clone(), cause }),
                    Err(cause) => ctx.warn_once(format!("{key}: {}; what an older one says counts", chain(&cause))),
                },
                Err(problem) if problem.verdict == Some(Verdict::Missing) => {}
                Err(problem) => ctx.warn_once(format!("{key}: {}; what an older one says counts", problem.text)),
            }
        }
        Ok(Self { newest: None, last })
    }

    /// What was kept, if anything was.
    pub(crate) fn kept(&self) -> Option<&Coverage> {
        self.newest.as_ref()
    }

    /// What was kept, as far as it can be, under these rules; else that nothing was read yet.
    pub(crate) fn coverage(&self, now: Timestamp, every: Duration) -> Coverage {
        let mut coverage = self.newest.clone().unwrap_or_else(|| Coverage::begun(now, every.as_secs()));
        coverage.every_seconds = every.as_secs();
        for part in coverage.parts.iter_mut().filter(|part| part.since().duration_since(now) > AHEAD) {
            *part = Part::Waits { waits_since: now };
        }
        coverage
    }

    /// Keeps what is known now, under a name that is above all that are there.
    ///
    /// # Errors
    /// What the store gives.
    pub(crate) fn write(&mut self, ctx: &Context, remote: &Remote, coverage: &Coverage) -> Result<(), Error> {
        let key = NodeKey::Coverage(records::name_after(ctx, self.last.as_deref())).of(&ctx.node).to_string();
        remote.store.create(&key, coverage.to_text().into())?;
        (self.newest, self.last) = (Some(coverage.clone()), Some(key));
        Ok(())
    }
}

/// The keys of a node's ledgers, in order of their names.
fn keys(ctx: &Context, remote: &Remote, node: &NodeName) -> Result<Vec<String>, Error> {
    let mut keys = Vec::new();
    remote.each_object(ctx, &format!("{node}/coverage/"), &mut |object| {
        if matches!(Key::parse(&object.key), Some(Key::Of(_, NodeKey::Coverage(_)))) {
            keys.push(object.key);
        }
        Ok(())
    })?;
    keys.sort();
    Ok(keys)
}

/// Whether this ledger is of a version that this program does not know: then it is not the one to say which of them may go.
///
/// # Errors
/// What concerns the store as a whole.
pub(crate) fn is_of_another_version(remote: &Remote, key: &str) -> Result<bool, Error> {
    let read = settle(remote.store.get(key, SMALL_MAX as u64))?.ok().map(|text| Coverage::from_text(&text));
    Ok(matches!(read, Some(Err(FormatError::Version(_)))))
}
