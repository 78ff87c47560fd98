//! Evidence that the old state is back: every definition that was saved of it is there. A server passes over some with a note alone.

use super::super::connection::Connection;
use super::super::inventory::Named;
use super::super::load::Loaded;
use super::super::object::quoted;
use super::state::Pair;
use super::{Around, definitions};
use crate::source::Error;

/// What is not there of all that the file of what was live makes, as a sentence without its end.
pub(super) fn told(connection: &mut Connection, around: Around<'_>, pair: &Pair, made: Loaded) -> Result<Option<String>, Error> {
    let live = std::slice::from_ref(&pair.live);
    let there = definitions::there(connection, around, pair)?;
    let (mut wanted, mut lacking) = (made.found.sorted()?, Named::default());
    let mut last = Vec::new();
    while let Some(key) = wanted.next()? {
        // What takes several steps is found several times.
        if key != last && !there.contains(key) {
            lacking.add(key, live);
        }
        last = key.to_vec();
    }
    Ok(lacking.text().map(|lacking| {
        format!(
            "not all of {} is as it was: {lacking} is not there, although the server took its definition; that is in {}, which stays: make it from \
             there, and remove that file then",
            quoted(&pair.live),
            pair.outgoing.definitions.display()
        )
    }))
}
