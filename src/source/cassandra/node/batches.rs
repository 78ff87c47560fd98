//! Changes that a node still owes: of views and of logged batches. It keeps them in `system.batches` until every replica has them, and repeats
//! what is older than twice its write timeout (Cassandra's `BatchlogManager`). A drain does not carry them out. A node that has other files
//! when it is started would carry them out into these.

use std::time::Duration;

use super::{Connection, Control};
use crate::source::Error;

/// How long the node may take to carry out what is due: what another node of the cluster does not take comes to no end.
const BATCHES_TIME: Duration = Duration::from_secs(16);

/// How long a node waits for a write, unless it was told otherwise (`write_request_timeout`).
const WRITE_TIME: Duration = Duration::from_secs(2);

/// Longest that it is waited until what is left is due: the node takes writes meanwhile, and a person waits.
const DUE_MAX: Duration = Duration::from_secs(5 * 60);

/// How often it is looked how many are left.
const BATCHES_TICK: Duration = Duration::from_secs(1);

/// How long one `nodetool replaybatchlog` may say nothing: it waits until all that is due was tried.
const REPLAY_TIME: Duration = Duration::from_secs(10 * 60);

impl Control<'_> {
    /// Has the node carry out what it owes. Gives how many changes are left 16 seconds after all of them were due.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what the node says, where the role may not read the table for instance: then it was told twice to carry out
    /// what it owes, and nobody knows whether something is left; [`Error::Stopped`].
    pub fn finish_batches(&self) -> Result<u64, Error> {
        let connection = Connection::open(self.settings, self.config, self.stop)?;
        let since = self.clock.monotonic();
        let mut due = None;
        loop {
            let counted = connection.row("count the batches of", "SELECT COUNT(*) FROM system.batches");
            let left = match counted {
                Ok((left,)) => i64::unsigned_abs(left),
                Err(error @ Error::Cassandra { .. }) => {
                    self.repeat_batches()?;
                    connection.pause(self.due_time()?)?;
                    self.repeat_batches()?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            };
            if left == 0 {
                return Ok(0);
            }
            let due = match due {
                Some(due) => due,
                None => *due.insert(self.due_time()?),
            };
            if self.clock.monotonic().saturating_sub(since) > due + BATCHES_TIME {
                return Ok(left);
            }
            self.repeat_batches()?;
            connection.pause(BATCHES_TICK)?;
        }
    }

    /// How old a change has to be until the node repeats it, also of one that does not tell: then with its usual timeout.
    fn due_time(&self) -> Result<Duration, Error> {
        let timeout = match self.nodetool().write_timeout() {
            Err(Error::Cassandra { .. }) => WRITE_TIME,
            asked => asked?,
        };
        Ok((2 * timeout + BATCHES_TICK).min(DUE_MAX))
    }

    fn repeat_batches(&self) -> Result<(), Error> {
        self.nodetool().run("repeat the batches of", &["replaybatchlog".to_owned()], REPLAY_TIME).map(drop)
    }
}
