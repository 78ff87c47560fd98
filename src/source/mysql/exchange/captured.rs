//! That what is dropped is what was saved: what somebody makes, changes or gives in between would be in no undo.

use super::super::connection::Connection;
use super::super::inventory::Inventory;
use super::super::object::{ObjectKind, quoted};
use super::state::Pair;
use super::unchanged::{Unchanged, check_besides, refused};
use super::{Around, grants};
use crate::source::Error;

/// What was saved of each live database; nothing where there was none.
pub struct Captured(pub(super) Vec<Option<Inventory>>);

impl Captured {
    /// That all definitions that are about to be dropped are as they were saved, and no table was made; gives what may be dropped.
    pub(super) fn check(&self, around: Around<'_>, pairs: &[Pair]) -> Result<Unchanged, Error> {
        // Another session holds the tables, and may look at nothing else.
        let mut connection = around.connect()?;
        // Read before it is compared: what is changed after this is another one when it is to be dropped.
        let unchanged = Unchanged::read(&mut connection, around, pairs)?;
        for (at, (pair, saved)) in pairs.iter().zip(&self.0).enumerate() {
            let changed = match saved {
                Some(saved) => changed(&mut connection, around, pair, saved)?,
                None => (!unchanged.is_empty(at)).then(|| format!("what is in {}", quoted(&pair.live))),
            };
            if let Some(what) = changed {
                return Err(refused(&what));
            }
            check_besides(&mut connection, pair)?;
        }
        Ok(unchanged)
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
    let has_other_rights = pair.table.is_none() && grants::read(connection, &pair.live, "")?.0 != pair.outgoing.grants;
    Ok(has_other_rights.then(|| format!("a right on a single routine of {}", quoted(&pair.live))))
}
