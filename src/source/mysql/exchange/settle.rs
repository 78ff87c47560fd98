//! What becomes of an exchange that was broken off by a kill.

use std::io::ErrorKind;

use super::super::connection::is_passing;
use super::super::load::is_of_client;
use super::super::program::Program;
use super::check::Strangers;
use super::put_back::Moved;
use super::{Around, Done, Exchange, exists, mark, sight, tables, turn};
use crate::source::Error;

/// What became of it.
#[derive(Debug)]
pub enum Settled {
    /// All tables had moved, so it was finished: whoever uses the database may have written to what came.
    Finished(Done),
    /// They had not, and all is as before.
    TakenBack(Done),
    /// They had, and it could not be finished: the old state is live, and what came is beside it with what was written to it since.
    Kept(Error, Done),
    /// They had, and it could neither be finished, for the first reason, nor taken back, for the second one: it is to be tried again.
    Stuck(Error, Error),
}

impl Exchange {
    /// Finishes it where the tables have changed places, and takes it back where they have not.
    ///
    /// # Errors
    /// Those of [`Exchange::put_back`], and what passes, such as a table that somebody holds; then it is to be tried again.
    pub fn settle(&self, around: Around<'_>) -> Result<Settled, Error> {
        if !self.has_moved(around)? {
            return Ok(Settled::TakenBack(self.put_back(around)?));
        }
        // Without one it could neither be finished nor taken back.
        Program::find_client(around.settings, around.stop)?;
        let mut connection = around.connect()?;
        turn::take(&mut connection, self)?;
        let mut held = Vec::new();
        for pair in &self.pairs {
            // One that is gone would keep the others from being waited for.
            let there = tables::listed(&mut connection, &pair.live, pair.table.as_deref())?;
            let there = tables::set(&there);
            held.extend(pair.coming.iter().filter(|table| there.contains(table.as_str())).map(|table| pair.of_live(table)));
        }
        tables::wait_for(&mut connection, &held)?;
        let made = tables::without_checks(&mut connection).and_then(|()| self.make_the_rest(&mut connection, around, Strangers::Stay));
        drop(connection);
        match made {
            Ok(done) => Ok(Settled::Finished(done)),
            // What came is live, and may have been written to: it is not taken back for what the next command may find otherwise.
            Err(error) if is_passing(&error) || is_of_this_machine(&error) => Err(error),
            Err(error) => Ok(match self.put_back(around) {
                Ok(done) => Settled::Kept(error, done),
                Err(later) => Settled::Stuck(error, later),
            }),
        }
    }

    /// Whether a table that came is live, so that applications may have written to it.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub fn has_come(&self, around: Around<'_>) -> Result<bool, Error> {
        let mut connection = around.connect()?;
        turn::take(&mut connection, self)?;
        sight::check(&mut connection, &self.pairs)?;
        for pair in &self.pairs {
            if !Moved::of(&mut connection, pair)?.came.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the tables have changed places: some have, and none waits to. One that is nowhere was dropped or renamed since, by somebody to whom
    /// what came was the live state already.
    fn has_moved(&self, around: Around<'_>) -> Result<bool, Error> {
        let mut connection = around.connect()?;
        turn::take(&mut connection, self)?;
        sight::check(&mut connection, &self.pairs)?;
        let mut has_some = false;
        for pair in &self.pairs {
            if !exists(&mut connection, if pair.outgoing.exists { &pair.outgoing.database } else { &pair.live })? {
                return Ok(false);
            }
            let Moved { came, went } = Moved::of(&mut connection, pair)?;
            let live = tables::listed(&mut connection, &pair.live, pair.table.as_deref())?;
            let beside = tables::listed(&mut connection, &pair.incoming.database, None)?;
            let (live, beside, coming, went) = (tables::set(&live), tables::set(&beside), tables::set(&pair.coming), tables::set(&went));
            let waits = |table: &String| beside.contains(table.as_str());
            let is_still = |table: &str| live.contains(table) && !went.contains(table) && !coming.contains(table);
            if pair.coming.iter().any(waits) || pair.going.iter().any(|table| is_still(table)) {
                return Ok(false);
            }
            // Where the old table of the same name was dropped since, it is the mark that tells: what was loaded was there, and lacks what has come.
            has_some |= !came.is_empty() || !went.is_empty();
            has_some |= pair.coming.iter().any(|table| live.contains(table.as_str()))
                && !self.mark.is_empty()
                && mark::is_there(&mut connection, &pair.incoming.database, &self.mark)?;
        }
        // Where no table moves at all, nothing tells, and taking back loses nothing.
        Ok(has_some)
    }
}

/// Whether it is a trouble of this machine, such as a full disk, that a person can end. A dump of definitions that is gone stays so.
fn is_of_this_machine(error: &Error) -> bool {
    match error {
        Error::System(_) => true,
        Error::Load { .. } => is_of_client(error),
        Error::File { cause, .. } => cause.kind() != ErrorKind::NotFound,
        _ => false,
    }
}
