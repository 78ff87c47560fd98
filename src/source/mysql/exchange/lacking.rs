//! Evidence that the old state is back: every definition that was saved of it is there. A server passes over some with a note alone.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::connection::Connection;
use super::super::inventory::{self, Named};
use super::super::load::Loaded;
use super::super::object::{Object, ObjectKind, quoted};
use super::state::Pair;
use crate::source::Error;

/// What is not there of all that the file of what was live makes, as a sentence without its end.
pub(super) fn told(connection: &mut Connection, pair: &Pair, made: Loaded, work: &Path) -> Result<Option<String>, Error> {
    let live = std::slice::from_ref(&pair.live);
    let (mut listed, mut there) = (inventory::list(connection, live, work)?, BTreeSet::new());
    while let Some(key) = listed.next()? {
        if !matches!(Object::of_key(key).kind, ObjectKind::Table | ObjectKind::Sequence) {
            there.insert(key.to_vec());
        }
    }
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
