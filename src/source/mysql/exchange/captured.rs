//! That what is dropped is what was saved: what somebody makes, changes or gives in between would be in no undo.

use super::super::connection::Connection;
use super::super::inventory::Inventory;
use super::super::object::{ObjectKind, quoted};
use super::state::Pair;
use super::{Around, grants};
use crate::source::Error;

/// What was saved of each live database; nothing where there was none.
pub struct Captured(pub(super) Vec<Option<Inventory>>);

impl Captured {
    /// That all definitions that are about to be dropped are as they were saved.
    pub(super) fn check(&self, around: Around<'_>, pairs: &[Pair]) -> Result<(), Error> {
        // Another session holds the tables, and may look at nothing else.
        let mut connection = around.connect()?;
        for (pair, saved) in pairs.iter().zip(&self.0) {
            if let Some(saved) = saved
                && let Some(what) = changed(&mut connection, around, pair, saved)?
            {
                let why =
                    format!("{what} was made, changed or removed since what is live was saved, and no undo would have it: run it again");
                return Err(Error::Refused { why });
            }
        }
        Ok(())
    }
}

fn changed(connection: &mut Connection, around: Around<'_>, pair: &Pair, saved: &Inventory) -> Result<Option<String>, Error> {
    let live = std::slice::from_ref(&pair.live);
    let counts = |kind: ObjectKind| match &pair.table {
        // With one table go its triggers alone.
        Some(_) => kind == ObjectKind::Trigger,
        None => !matches!(kind, ObjectKind::Table | ObjectKind::Sequence),
    };
    let now = Inventory::read_some(connection, live, &pair.outgoing.invalid, &counts, around.work)?;
    if let Some(what) = saved.changed(&now, live, &counts)? {
        return Ok(Some(what));
    }
    let has_other_rights = pair.table.is_none() && grants::read(connection, &pair.live)?.0 != pair.outgoing.grants;
    Ok(has_other_rights.then(|| format!("a right on a single routine of {}", quoted(&pair.live))))
}
