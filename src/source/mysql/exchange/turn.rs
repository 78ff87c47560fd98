//! One exchange at a time on a server, also after a kill: what a killed run has sent, the server still carries out.
//!
//! The session that exchanges holds a lock that the server drops when the session ends, and so does the client that makes definitions. Who
//! takes back what a kill has left waits for both, and so sees nothing that is still moving.

use super::super::connection::{Connection, literal};
use super::super::load::OnError;
use super::names::beside;
use super::{Exchange, Pair, read_identity};
use crate::source::Error;

/// How long is waited for a session that a killed run has left: as long as that waits for the locks of others.
const WAIT_SECONDS: u32 = 90;

/// How long the client waits for a table that an application holds while definitions are made; queries queue behind it meanwhile.
const LOCK_SECONDS: u32 = 60;

/// The same where it goes on after errors: each of many statements may have to wait.
const SHORT_SECONDS: u32 = 2;

/// Takes the turn for this session, on the server on which the exchange was begun: tables of the same names elsewhere are others.
///
/// # Errors
/// [`Error::Refused`] when another one keeps it, or the server is another one now.
pub(super) fn take(connection: &mut Connection, exchange: &Exchange) -> Result<(), Error> {
    check_server(connection, exchange)?;
    let pairs = &exchange.pairs;
    let Some(pair) = pairs.first() else { return Ok(()) };
    let clients: Vec<String> = pairs.iter().map(of_client).collect();
    for lock in std::iter::once(&of_session(pair)).chain(&clients) {
        let taken = connection.value("wait for one's turn on", &format!("SELECT GET_LOCK({}, {WAIT_SECONDS})", literal(lock)))?;
        if taken.as_deref() != Some("1") {
            let why = format!("another session still exchanges the tables of `{}` (it holds the lock `{lock}`)", pair.live);
            return Err(Error::Refused { why });
        }
    }
    // Only waited for: the clients take them.
    for lock in &clients {
        connection.value("give a turn back on", &format!("SELECT RELEASE_LOCK({})", literal(lock)))?;
    }
    Ok(())
}

/// That the server is the one on which the exchange was begun.
///
/// # Errors
/// [`Error::Refused`].
fn check_server(connection: &mut Connection, exchange: &Exchange) -> Result<(), Error> {
    let (begun, here) = (&exchange.server, read_identity(connection)?);
    if *begun != here {
        let why = format!(
            "a restore was begun on the server {begun}, and the source is on {here} now: let the source have that server until the restore is \
             settled"
        );
        return Err(Error::Refused { why });
    }
    Ok(())
}

/// What the client does first.
pub(super) fn of_the_client(pair: &Pair, on_error: OnError) -> String {
    let seconds = if on_error == OnError::GoOn { SHORT_SECONDS } else { LOCK_SECONDS };
    format!("SET SESSION lock_wait_timeout = {seconds}; DO GET_LOCK({}, {WAIT_SECONDS});", literal(&of_client(pair)))
}

fn of_session(pair: &Pair) -> String {
    beside(&pair.live, "exchange")
}

fn of_client(pair: &Pair) -> String {
    beside(&pair.live, "load")
}
