//! Live tables that the server cannot open any more, whose rows nothing can set aside.

use super::super::connection::{Connection, is_answer, is_denied, is_no_such, is_passing, said};
use super::super::option_file::Login;
use super::super::settings::Settings;
use super::state::Pair;
use super::tables;
use super::told::first_of;
use super::waiting::waiting;
use crate::source::Error;
use crate::sys::stop::Stop;

/// Most tables that are named.
const NAMED: usize = 10;

/// How long a table is waited for whose definition somebody changes; it is open then, so nothing has to be asked of it.
const WAIT_SECONDS: u32 = 5;

/// That the server can open every table that is live in these databases: one that it cannot can neither be locked nor moved, nor can its
/// definition be saved, so that no exchange goes well, of one table either.
///
/// # Errors
/// [`Error::Refused`] naming them, with what the server says and the way out; [`Error::Server`]; [`Error::File`] when the settings cannot be used;
/// [`Error::Stopped`].
pub fn check_readable(settings: &Settings, pairs: &[Pair], stop: &Stop) -> Result<(), Error> {
    let mut connection = Connection::open(&Login::of(settings)?, stop)?;
    let mut damaged = Vec::new();
    waiting(&mut connection, WAIT_SECONDS, WAIT_SECONDS, |connection| {
        for pair in pairs {
            for table in tables::all(connection, &pair.live)? {
                let table = pair.of_live(&table);
                match connection.run("read a definition from", &format!("SHOW CREATE TABLE {table}")) {
                    Err(error) if is_damage(&error) => damaged.push((table, said(&error))),
                    // What else stands in the way is told by what asks for it.
                    Err(error) if is_answer(&error) => {}
                    read => read?,
                }
            }
        }
        Ok(())
    })?;
    let Some((table, said)) = damaged.first() else { return Ok(()) };
    let names = first_of(damaged.iter().map(|(table, _)| table.clone()), NAMED).join(", ");
    Err(Error::Refused {
        why: format!(
            "the server cannot open {names} ({said}), so that nothing can set aside what is live: save what you want of its files, remove it (DROP \
             TABLE {table}) and run it again; no undo will have its rows"
        ),
    })
}

fn is_damage(error: &Error) -> bool {
    is_answer(error) && !is_no_such(error) && !is_denied(error) && !is_passing(error)
}
