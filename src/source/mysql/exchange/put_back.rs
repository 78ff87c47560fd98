//! Making the old state of whatever a failure or a kill has left in the middle of an exchange.

use std::collections::BTreeSet;

use super::super::connection::Connection;
use super::super::object::quoted;
use super::state::Pair;
use super::{Around, Exchange, Words, definitions, drop_if_empty, exists, set_character_set, tables, turn};
use crate::source::Error;

impl Exchange {
    /// Moves back what has moved, and makes the definitions that were live. What came is beside again afterwards. It can be repeated.
    ///
    /// # Errors
    /// [`Error::Server`], [`Error::Load`]; then it is to be tried again.
    pub fn put_back(&self, around: Around<'_>) -> Result<(), Error> {
        let mut connection = around.connect()?;
        turn::take(&mut connection, &self.pairs)?;
        tables::without_checks(&mut connection)?;
        let mut moves = (Vec::new(), Vec::new());
        for pair in &self.pairs {
            collect(&mut connection, pair, &mut moves)?;
        }
        tables::run(&mut connection, &[moves.0, moves.1].concat())?;
        for pair in &self.pairs {
            definitions::drop_rest(&mut connection, pair)?;
            definitions::drop_triggers(&mut connection, pair, &pair.going)?;
            set_character_set(&mut connection, &pair.live, &pair.outgoing)?;
        }
        self.point_back(&mut connection, |pair| &pair.incoming)?;
        for pair in &self.pairs {
            definitions::load(around, pair, &pair.outgoing, &Words::default())?;
            drop_if_empty(&mut connection, &pair.outgoing.database)?;
            if !pair.outgoing.exists {
                drop_if_empty(&mut connection, &pair.live)?;
            }
        }
        Ok(())
    }
}

/// The moves that take back what has moved of one database: first what came, then what went.
fn collect(connection: &mut Connection, pair: &Pair, moves: &mut (Vec<String>, Vec<String>)) -> Result<(), Error> {
    if !exists(connection, &pair.live)? {
        return Ok(());
    }
    let of = |connection: &mut Connection, database: &str| -> Result<BTreeSet<String>, Error> {
        Ok(tables::listed(connection, database, None)?.into_iter().collect())
    };
    let live = of(connection, &pair.live)?;
    let beside = of(connection, &pair.incoming.database)?;
    let away = of(connection, &pair.outgoing.database)?;
    // A table that is in both states is the new one only when the old one has gone.
    let came: Vec<String> = pair
        .coming
        .iter()
        .filter(|table| live.contains(*table) && !beside.contains(*table))
        .filter(|table| away.contains(*table) || !pair.going.contains(table))
        .cloned()
        .collect();
    if !came.is_empty() && !exists(connection, &pair.incoming.database)? {
        connection.run("make a database on", &format!("CREATE DATABASE {}", quoted(&pair.incoming.database)))?;
    }
    definitions::drop_triggers(connection, pair, &came)?;
    let went: Vec<&String> = pair.going.iter().filter(|table| away.contains(*table)).collect();
    if pair.table.is_none() {
        // A new view may have the name of an old table.
        definitions::drop_rest(connection, pair)?;
    }
    moves.0.extend(came.iter().map(|table| tables::rename(&pair.live, &pair.incoming.database, table)));
    moves.1.extend(went.into_iter().map(|table| tables::rename(&pair.outgoing.database, &pair.live, table)));
    Ok(())
}
