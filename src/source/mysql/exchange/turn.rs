//! One exchange at a time on a server, also after a kill: what a killed run has sent, the server still carries out.
//!
//! The session that exchanges holds a lock that the server drops when the session ends, and so does the client that makes definitions. Who
//! takes back what a kill has left waits for both, and so sees nothing that is still moving.

use super::super::connection::{Connection, literal};
use super::Pair;
use super::names::beside;
use crate::source::Error;

/// How long is waited for a session that a killed run has left: as long as that waits for the locks of others.
const WAIT_SECONDS: u32 = 90;

/// Takes the turn for this session.
///
/// # Errors
/// [`Error::Refused`] when another one keeps it.
pub(super) fn take(connection: &mut Connection, pairs: &[Pair]) -> Result<(), Error> {
    let Some(pair) = pairs.first() else { return Ok(()) };
    for lock in [of_session(pair), of_client(pair)] {
        let taken = connection.value("wait for one's turn on", &format!("SELECT GET_LOCK({}, {WAIT_SECONDS})", literal(&lock)))?;
        if taken.as_deref() != Some("1") {
            let why = format!("another session still exchanges the tables of `{}` (it holds the lock `{lock}`)", pair.live);
            return Err(Error::Refused { why });
        }
    }
    // Only waited for: the client takes it.
    connection.value("give a turn back on", &format!("SELECT RELEASE_LOCK({})", literal(&of_client(pair))))?;
    Ok(())
}

/// What the client does first.
pub(super) fn of_the_client(pair: &Pair) -> String {
    format!("DO GET_LOCK({}, {WAIT_SECONDS});", literal(&of_client(pair)))
}

fn of_session(pair: &Pair) -> String {
    beside(&pair.live, "exchange")
}

fn of_client(pair: &Pair) -> String {
    beside(&pair.live, "load")
}
