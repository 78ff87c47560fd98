//! What becomes of an exchange that was broken off by a kill.

use super::{Around, Exchange, exists, tables, turn};
use crate::source::Error;

/// What became of it.
#[derive(Debug)]
pub enum Settled {
    /// All tables had moved, so it was finished: whoever uses the database may have written to what came.
    Finished,
    /// They had not, and all is as before.
    TakenBack,
    /// They had, and it could not be finished: the old state is live, and what came is beside it with what was written to it since.
    Kept(Error),
}

impl Exchange {
    /// Finishes it where the tables have changed places, and takes it back where they have not.
    ///
    /// # Errors
    /// Those of [`Exchange::put_back`]; then it is to be tried again.
    pub fn settle(&self, around: Around<'_>) -> Result<Settled, Error> {
        if !self.has_moved(around)? {
            self.put_back(around)?;
            return Ok(Settled::TakenBack);
        }
        let mut connection = around.connect()?;
        turn::take(&mut connection, &self.pairs)?;
        let made = tables::without_checks(&mut connection).and_then(|()| self.make_the_rest(&mut connection, around));
        drop(connection);
        match made {
            Ok(_) => Ok(Settled::Finished),
            Err(error) => {
                self.put_back(around)?;
                Ok(Settled::Kept(error))
            }
        }
    }

    /// Whether every table that goes has gone, and every one that comes has come.
    fn has_moved(&self, around: Around<'_>) -> Result<bool, Error> {
        let mut connection = around.connect()?;
        turn::take(&mut connection, &self.pairs)?;
        for pair in &self.pairs {
            let away = tables::listed(&mut connection, &pair.outgoing.database, None)?;
            let live = tables::listed(&mut connection, &pair.live, None)?;
            let beside = tables::listed(&mut connection, &pair.incoming.database, None)?;
            let has_room = exists(&mut connection, if pair.outgoing.exists { &pair.outgoing.database } else { &pair.live })?;
            if !has_room
                || pair.going.iter().any(|table| !away.contains(table))
                || pair.coming.iter().any(|table| !live.contains(table) || beside.contains(table))
            {
                return Ok(false);
            }
        }
        // Where no table moves at all, nothing tells, and taking back loses nothing.
        Ok(self.pairs.iter().any(|pair| !pair.going.is_empty() || !pair.coming.is_empty()))
    }
}
