//! How long a session waits for others while some work is done: whoever uses next what it waits for waits as long.

use super::super::connection::Connection;
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
