//! Changes that a node still owes: of views and of logged batches. It keeps them in `system.batches` until every replica has them, and repeats
//! what is older than twice its write timeout (Cassandra's `BatchlogManager`). A drain does not carry them out. A node that has other files
//! when it is started would carry them out into these.

use std::time::Duration;

use super::{Connection, Control, Nodetool};
use crate::source::Error;

/// How long the node may take to carry out what it owes: it repeats nothing that is younger than 4 seconds, unless its timeouts were changed,
/// and what another node of the cluster does not take comes to no end.
const BATCHES_TIME: Duration = Duration::from_secs(20);

/// How often it is looked how many are left.
const BATCHES_TICK: Duration = Duration::from_secs(1);

/// How long one `nodetool replaybatchlog` may say nothing: it waits until all that is due was tried.
const REPLAY_TIME: Duration = Duration::from_secs(10 * 60);

/// How old a change has to be until the node repeats it, with its usual timeouts; waited for where nobody may see what is left.
const DUE_TIME: Duration = Duration::from_secs(5);

impl Control<'_> {
    /// Has the node carry out what it owes. Gives how many changes are left after 20 seconds of that.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what the node says, where the role may not read the table for instance: then it was told twice to carry out
    /// what it owes, and nobody knows whether something is left; [`Error::Stopped`].
    pub fn finish_batches(&self) -> Result<u64, Error> {
        let connection = Connection::open(self.settings, self.config, self.stop)?;
        let since = self.clock.monotonic();
        loop {
            let counted = connection.row("count the batches of", "SELECT COUNT(*) FROM system.batches");
            let left = match counted {
                Ok((left,)) => i64::unsigned_abs(left),
                Err(error @ Error::Cassandra { .. }) => {
                    self.repeat_batches()?;
                    connection.pause(DUE_TIME)?;
                    self.repeat_batches()?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            };
            if left == 0 || self.clock.monotonic().saturating_sub(since) > BATCHES_TIME {
                return Ok(left);
            }
            self.repeat_batches()?;
            connection.pause(BATCHES_TICK)?;
        }
    }

    fn repeat_batches(&self) -> Result<(), Error> {
        let nodetool = Nodetool::new(self.settings, self.folder, self.stop);
        nodetool.run("repeat the batches of", &["replaybatchlog".to_owned()], REPLAY_TIME).map(drop)
    }
}
