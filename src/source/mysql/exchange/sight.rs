//! Whether a database that does not show is gone, or only not to be seen: a server shows nobody what he has no right to.

use super::super::connection::Connection;
use super::super::look::grant_beside;
use super::super::option_file::Login;
use super::super::release::Release;
use super::super::rights::Rights;
use super::super::settings::Settings;
use super::{Pair, exists};
use crate::source::Error;
use crate::sys::stop::Stop;

/// Why a database is not to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It is there.
    There,
    /// It is not: the account would see it.
    Gone,
    /// Nobody can tell: the account has no right to it. The statement that would give one.
    Hidden(String),
}

/// Whether a database beside a live one is there, as far as the account can know.
///
/// # Errors
/// [`Error::Server`]; [`Error::Refused`], [`Error::File`] when the settings cannot be used; [`Error::Stopped`].
pub fn sight(settings: &Settings, database: &str, stop: &Stop) -> Result<Sight, Error> {
    of(&mut Connection::open(&Login::of(settings)?, stop)?, database)
}

/// The same over a connection that is there.
pub(super) fn of(connection: &mut Connection, database: &str) -> Result<Sight, Error> {
    if exists(connection, database)? {
        return Ok(Sight::There);
    }
    let version = connection.value("ask for the version of", "SELECT VERSION()")?.unwrap_or_default();
    if Rights::read(connection, Release::of(&version))?.sees(database) {
        return Ok(Sight::Gone);
    }
    let account = connection.value("ask for the account on", "SELECT CURRENT_USER()")?.unwrap_or_default();
    Ok(Sight::Hidden(grant_beside(database, &account)))
}

/// That the account sees everything that an exchange has to do with: of what it does not, nobody can tell whether it has moved.
///
/// # Errors
/// [`Error::Refused`] with the statement that gives the right; [`Error::Server`].
pub(super) fn check(connection: &mut Connection, pairs: &[Pair]) -> Result<(), Error> {
    let version = connection.value("ask for the version of", "SELECT VERSION()")?.unwrap_or_default();
    let rights = Rights::read(connection, Release::of(&version))?;
    for pair in pairs {
        let aside = [&pair.outgoing, &pair.incoming].into_iter().filter(|state| state.exists).map(|state| &state.database);
        for database in std::iter::once(&pair.live).chain(aside) {
            if !rights.sees_tables(database) {
                let account = connection.value("ask for the account on", "SELECT CURRENT_USER()")?.unwrap_or_default();
                let why = format!(
                    "the database `{database}` is gone, or its tables are not to be seen by this account, so that nobody can tell what of it has \
                     moved: {}, and run it again",
                    grant_beside(database, &account)
                );
                return Err(Error::Refused { why });
            }
        }
    }
    Ok(())
}
