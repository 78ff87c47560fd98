//! What still stands in for a view: it gives a row that nobody has written, and an error is better.
//!
//! The server is asked, by the column that nothing else has: a client that was killed tells nothing, and of many refusals it tells the first.

use super::super::connection::{Connection, is_answer, literal};
use super::super::load::STAND_IN;
use super::super::object::quoted;
use super::make::View;
use super::state::Pair;
use super::waiting::waiting;
use crate::source::Error;

/// How long is waited for whoever reads one of them: there may be many.
const WAIT_SECONDS: u32 = 2;

/// Drops all of them; gives what they stood in for. What somebody holds comes last.
///
/// # Errors
/// [`Error::Server`], also when somebody holds one: then the others are gone.
pub(super) fn drop_all(connection: &mut Connection, pairs: &[Pair]) -> Result<Vec<View>, Error> {
    let views = listed(connection, pairs)?;
    if views.is_empty() {
        return Ok(views);
    }
    waiting(connection, WAIT_SECONDS, WAIT_SECONDS, |connection| {
        let mut first = None;
        for (live, view) in &views {
            let sql = format!("DROP VIEW IF EXISTS {}.{}", quoted(live), quoted(view));
            match connection.run("remove what stands in for a view from", &sql) {
                Err(error) if is_answer(&error) => first = first.or(Some(error)),
                dropped => dropped?,
            }
        }
        first.map_or(Ok(()), Err)
    })?;
    Ok(views)
}

/// How many there are.
pub(super) fn count(connection: &mut Connection, pairs: &[Pair]) -> Result<usize, Error> {
    Ok(listed(connection, pairs)?.len())
}

fn listed(connection: &mut Connection, pairs: &[Pair]) -> Result<Vec<View>, Error> {
    let mut found = Vec::new();
    // One table that is exchanged alone takes no views along.
    for pair in pairs.iter().filter(|pair| pair.table.is_none()) {
        // Servers write it first, after the word SELECT.
        let sql = format!(
            "SELECT table_name FROM information_schema.VIEWS WHERE table_schema = {} AND LOCATE({}, view_definition) BETWEEN 1 AND 10 ORDER BY 1",
            literal(&pair.live),
            literal(&format!("1 AS {}", quoted(STAND_IN)))
        );
        let views = connection.column("look for what stands in for a view on", &sql)?;
        found.extend(views.into_iter().map(|view| (pair.live.clone(), view)));
    }
    Ok(found)
}
