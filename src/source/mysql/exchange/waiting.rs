//! How long a session waits for others while some work is done: whoever uses next what it waits for waits as long.

use super::super::connection::{Connection, is_busy};
use crate::source::Error;

const SET_UP: &str = "set up a session on";

/// Does something that waits so many seconds for tables, and for rows, that others hold; afterwards the session waits as it did.
///
/// # Errors
/// What the work gives; [`Error::Server`].
pub(super) fn waiting<T>(
    connection: &mut Connection,
    tables: u32,
    rows: u32,
    work: impl FnOnce(&mut Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let before = connection.value(SET_UP, "SELECT @@session.lock_wait_timeout")?.unwrap_or_else(|| "60".into());
    connection.run(SET_UP, &format!("SET SESSION lock_wait_timeout = {tables}, innodb_lock_wait_timeout = {rows}"))?;
    let done = work(connection);
    let restored = connection.run(SET_UP, &format!("SET SESSION lock_wait_timeout = {before}, innodb_lock_wait_timeout = DEFAULT"));
    let done = done?;
    restored.map(|()| done)
}

/// How long others have the tables for themselves between two tries, in seconds of the server's.
const BETWEEN: &str = "DO SLEEP(0.1)";

/// The same, tried so often where somebody holds what is needed. Two transactions may wait for each other behind this session, one for a row and one
/// for the tables that it is about to have, which no server notices: one long wait would end with both of them waiting, where after a short one they
/// come to their ends. Nobody waits longer at a time than for one try.
///
/// # Errors
/// As [`waiting`].
pub(super) fn patiently<T>(
    connection: &mut Connection,
    (tries, tables, rows): (u32, u32, u32),
    mut work: impl FnMut(&mut Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut left = tries;
    loop {
        left = left.saturating_sub(1);
        match waiting(connection, tables, rows, &mut work) {
            Err(error) if is_busy(&error) && left > 0 => {
                // What was locked by then is let go too.
                connection.run("unlock the tables of", "UNLOCK TABLES")?;
                connection.run("pause on", BETWEEN)?;
            }
            done => return done,
        }
    }
}
