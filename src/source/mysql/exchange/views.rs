//! Whether the account may use what views stand on: whoever makes a view is asked for it, and an exchange makes all of them anew.
//!
//! A server tells nobody in which tables he lacks a right, so it is given what each view selects as a statement to be prepared, which it looks
//! at as it does when the view is made, and runs nothing.

use std::collections::BTreeSet;

use super::super::connection::{Connection, grant_for, is_answer, literal};
use super::super::definers::account_literal;
use super::super::object::quoted;
use super::super::option_file::Login;
use super::super::settings::Settings;
use super::definitions::views_of;
use super::state::Pair;
use super::told::first_of;
use crate::source::Error;
use crate::sys::stop::Stop;

const WHAT: &str = "ask whether a view could be made on";

/// Most statements that a person is given at once.
const TOLD_MAX: usize = 50;

/// That the views which are live could be made again by this account.
///
/// # Errors
/// [`Error::Refused`] with the statements that give the rights; [`Error::Server`]; [`Error::File`] when the settings cannot be used;
/// [`Error::Stopped`].
pub fn check_views(settings: &Settings, pairs: &[Pair], stop: &Stop) -> Result<(), Error> {
    let mut connection = Connection::open(&Login::of(settings)?, stop)?;
    for pair in pairs.iter().filter(|pair| pair.table.is_none()) {
        let mut lacking = BTreeSet::new();
        for view in connection.column(WHAT, &views_of(&pair.live))? {
            let sql = format!(
                "SELECT view_definition FROM information_schema.VIEWS WHERE table_schema = {} AND table_name = {}",
                literal(&pair.live),
                literal(&view)
            );
            if let Some(body) = connection.value(WHAT, &sql)?.filter(|body| !body.is_empty()) {
                lacking.extend(ask(&mut connection, &body)?);
            }
        }
        refuse(&mut connection, &lacking, &format!("views that are in {} now could not be made again", quoted(&pair.live)))?;
    }
    Ok(())
}

/// That those which come could be made, of which this is what they select; their tables are in the database beside.
pub(super) fn check_coming(connection: &mut Connection, pair: &Pair, bodies: &[String]) -> Result<(), Error> {
    if bodies.is_empty() {
        return Ok(());
    }
    connection.run(WHAT, &format!("USE {}", quoted(&pair.incoming.database)))?;
    let mut lacking = BTreeSet::new();
    for body in bodies {
        lacking.extend(ask(connection, body)?);
    }
    refuse(connection, &lacking, &format!("views of {} that come could not be made", quoted(&pair.original)))
}

/// The right that the account lacks to what a view selects. Whatever else is wrong with it, the making of it tells.
fn ask(connection: &mut Connection, body: &str) -> Result<Option<String>, Error> {
    match connection.run(WHAT, &format!("PREPARE windlass FROM {}", literal(body))) {
        Ok(()) => connection.run(WHAT, "DEALLOCATE PREPARE windlass").map(|()| None),
        Err(error) if is_answer(&error) => Ok(grant_for(&error, body)),
        Err(error) => Err(error),
    }
}

fn refuse(connection: &mut Connection, lacking: &BTreeSet<String>, what: &str) -> Result<(), Error> {
    if lacking.is_empty() {
        return Ok(());
    }
    let account = connection.value("ask for the account on", "SELECT CURRENT_USER()")?.unwrap_or_default();
    let statements = first_of(lacking.iter().map(|grant| format!("{grant} TO {}", account_literal(&account))), TOLD_MAX);
    Err(Error::Refused {
        why: format!("{what} by this account, which may not use what they select from; missing are: {}", statements.join("; ")),
    })
}
