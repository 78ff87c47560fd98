//! Live tables that nothing can set aside: those that the server cannot open any more, and those whose files it would lose.

use super::super::connection::{Connection, is_answer, is_denied, is_no_such, is_passing, said};
use super::super::lexer::Mode;
use super::super::option_file::Login;
use super::super::placed::is_placed;
use super::super::release::Release;
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
/// definition be saved, so that no exchange goes well, of one table either. And that it can move those that go: where a `DATA DIRECTORY` says where
/// their files lie, MariaDB keeps the note of it (`.isl`) in the old place, and finds neither that table nor the one that took its name after its next
/// start; MySQL before 8.0 does not move it at all.
///
/// # Errors
/// [`Error::Refused`] naming them, with the way out; [`Error::Server`]; [`Error::File`] when the settings cannot be used;
/// [`Error::Stopped`].
pub fn check_readable(settings: &Settings, pairs: &[Pair], stop: &Stop) -> Result<(), Error> {
    let mut connection = Connection::open(&Login::of(settings)?, stop)?;
    let version = connection.value("ask for the version of", "SELECT VERSION()")?.unwrap_or_default();
    let loses_places = !Release::of(&version).moves_directories();
    let (mut damaged, mut placed) = (Vec::new(), Vec::new());
    waiting(&mut connection, WAIT_SECONDS, WAIT_SECONDS, |connection| {
        for pair in pairs {
            for name in tables::all(connection, &pair.live)? {
                let goes = pair.table.as_ref().is_none_or(|only| *only == name);
                let table = pair.of_live(&name);
                match connection.rows("read a definition from", &format!("SHOW CREATE TABLE {table}")) {
                    Err(error) if is_damage(&error) => damaged.push((table, said(&error))),
                    // What else stands in the way is told by what asks for it.
                    Err(error) if is_answer(&error) => {}
                    read => {
                        let definition = read?.pop().and_then(|row| row.into_iter().nth(1)).flatten().unwrap_or_default();
                        if goes && loses_places && is_placed(definition.as_bytes(), Mode::default()) && definition.contains("ENGINE=InnoDB")
                        {
                            placed.push(table);
                        }
                    }
                }
            }
        }
        Ok(())
    })?;
    if let Some(table) = placed.first() {
        let names = first_of(placed.iter().cloned(), NAMED).join(", ");
        return Err(Error::Refused {
            why: format!(
                "files of {names} lie where DATA DIRECTORY says, and this server loses them when such a table is set aside: let them come into its own \
                 directory first (SET SESSION sql_mode = 'NO_DIR_IN_CREATE'; ALTER TABLE {table} ENGINE = InnoDB, ALGORITHM = COPY), which takes as long as a copy"
            ),
        });
    }
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
