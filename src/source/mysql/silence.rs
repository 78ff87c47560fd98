//! A dump program that gives nothing: because it waits for a table that somebody holds, which ends after a while, or for the server, which may
//! take long.

use std::time::Duration;

use super::connection::{Connection, literal};
use crate::source::Error;

/// How long the dump program may give nothing: sorting the rows of a huge table takes the server long before the first of them comes.
pub const SILENCE: Duration = Duration::from_secs(4 * 3600);

/// How long the program gives nothing before the server is asked what it waits for; a table of many rows that are sorted first is as silent.
const LOOK: Duration = Duration::from_secs(5);

/// Most characters of the statement that waits: it names the table, and what comes after that helps nobody.
const STATEMENT_MAX: usize = 120;

/// Looks after a dump program that is silent.
pub(super) struct Silence<'a> {
    connection: &'a mut Connection,
    question: String,
    patience: Duration,
    /// How long it has given nothing.
    silent: Duration,
    /// The session that was seen to wait, and for how long.
    session: Option<String>,
    waited: Duration,
}

impl<'a> Silence<'a> {
    /// Of a dump of these databases, made by the account of this connection.
    pub(super) fn new(connection: &'a mut Connection, databases: &[String], patience: Duration) -> Self {
        Self { connection, question: question(databases), patience, silent: Duration::ZERO, session: None, waited: Duration::ZERO }
    }

    /// How long the program may be silent before [`Silence::look`].
    pub(super) fn pause(&self) -> Duration {
        LOOK.min(self.patience)
    }

    /// It has given something.
    pub(super) fn ends(&mut self) {
        (self.silent, self.session) = (Duration::ZERO, None);
    }

    /// It has been silent for a pause: is that because it waits for a lock, and has it for too long?
    ///
    /// # Errors
    /// [`Error::Dump`] when it has, or when it has been silent for too long whatever the reason.
    pub(super) fn look(&mut self) -> Result<(), Error> {
        self.silent += self.pause();
        if self.silent >= SILENCE {
            return Err(Error::Dump { why: format!("the dump program has given nothing for {} seconds", self.silent.as_secs()) });
        }
        // Whoever cannot be asked now is asked again: the dump itself tells whether the server has gone.
        let rows = self.connection.rows("look for what waits at", &self.question).unwrap_or_default();
        let waits = rows.into_iter().next().and_then(|row| <[Option<String>; 2]>::try_from(row).ok());
        let Some([Some(session), Some(statement)]) = waits else {
            self.session = None;
            return Ok(());
        };
        if self.session.as_ref() != Some(&session) {
            (self.session, self.waited) = (Some(session), Duration::ZERO);
        }
        self.waited += self.pause();
        if self.waited < self.patience {
            return Ok(());
        }
        let statement: String = statement.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(STATEMENT_MAX).collect();
        Err(Error::Dump {
            why: format!(
                "for {} seconds it has waited for a lock that somebody else holds, with `{statement}`: `SHOW FULL PROCESSLIST` shows the sessions (the one \
                 that holds it may well sleep). Have that one end (`KILL` and its number), or give the dump more time with `lock_wait`",
                self.waited.as_secs()
            ),
        })
    }
}

/// A statement of this account that waits for a lock, in one of the databases or before one was entered, and its session. Of all that the account may
/// be used for, only what dump programs send themselves.
fn question(databases: &[String]) -> String {
    let names: Vec<String> = databases.iter().map(|name| literal(name)).collect();
    format!(
        "SELECT p.id, p.info FROM information_schema.PROCESSLIST p WHERE p.id <> CONNECTION_ID() \
         AND p.user = LEFT(USER(), CHAR_LENGTH(USER()) - CHAR_LENGTH(SUBSTRING_INDEX(USER(), '@', -1)) - 1) \
         AND (p.db IS NULL OR p.db IN ({})) AND (p.state LIKE 'Waiting for % lock' OR p.state LIKE 'Waiting for table %') \
         AND (p.info LIKE 'SELECT /*!40001%' OR p.info LIKE 'SHOW %' OR p.info LIKE 'FLUSH %' OR p.info LIKE 'LOCK TABLES%') ORDER BY p.id LIMIT 1",
        names.join(", ")
    )
}
