//! Making the old state of whatever a failure or a kill has left in the middle of an exchange.

use std::collections::BTreeSet;

use super::super::connection::Connection;
use super::super::object::quoted;
use super::drop::drop_if_empty;
use super::state::{Pair, State};
use super::{
    Around, Done, Exchange, came, create_database, definitions, exists, grants, lacking, make, mark, onward, outer_keys, owed,
    set_character_set, sight, tables, timed, turn, without_tables,
};
use crate::source::Error;

impl Exchange {
    /// Moves back what has moved, and makes the definitions that were live. What came is beside again afterwards. It can be repeated. The
    /// notes tell what could not be put back.
    ///
    /// # Errors
    /// [`Error::Server`], [`Error::Load`]; [`Error::Refused`] when the account does not see what has moved; then it is to be tried again.
    pub fn put_back(&self, around: Around<'_>) -> Result<Done, Error> {
        let mut connection = around.connect()?;
        turn::take(&mut connection, self)?;
        sight::check(&mut connection, &self.pairs)?;
        tables::without_checks(&mut connection)?;
        let (mut notes, mut owed) = (Vec::new(), Vec::new());
        let mut pairs = Vec::new();
        for pair in &self.pairs {
            if has_place(&mut connection, pair)? {
                pairs.push(pair.clone());
            } else {
                notes.push(format!("the database `{}` is gone, and nothing of it lies aside: it was not put back", pair.live));
            }
        }
        let came = pairs.iter().map(|pair| Ok(!Moved::of(&mut connection, pair)?.came.is_empty())).collect::<Result<Vec<_>, Error>>()?;
        notes.extend(self.move_back(&mut connection, around, &pairs)?);
        for (pair, came) in pairs.iter().zip(came) {
            owed.extend(outer_keys::take_hold(&mut connection, &pair.live, &pair.outgoing)?);
            owed.extend(outer_keys::let_go(&mut connection, &pair.incoming)?);
            // Of a single table it is changed around triggers that come alone, and what was broken off may have left it so.
            if pair.table.is_none() || came {
                set_character_set(&mut connection, &pair.live, &pair.outgoing)?;
            }
        }
        owed.extend(self.point_back(&mut connection, |pair| &pair.incoming)?);
        let made = make::what_was_live(around, &pairs);
        if made.is_err() {
            // What could be made is used meanwhile. That the server is gone is told by what has failed first.
            let _ = pairs.iter().try_for_each(|pair| grants::give(&mut connection, pair).map(drop));
        }
        let mut needed = Vec::new();
        for (pair, made) in pairs.iter().zip(made?) {
            let Some(made) = made else { continue };
            notes.extend(timed::switched_off(&mut connection, pair, &made)?);
            if let Some(lacking) = lacking::told(&mut connection, around, pair, made)? {
                notes.push(lacking);
                needed.push(pair.outgoing.definitions.clone());
            }
        }
        onward::end(&pairs)?;
        mark::remove(&mut connection, self)?;
        for pair in &pairs {
            notes.extend(grants::give(&mut connection, pair)?);
            notes.extend(definitions::lost(&mut connection, pair)?);
            notes.extend(pair.outgoing.unread.clone());
            drop_if_empty(&mut connection, &pair.outgoing.database)?;
            if !pair.outgoing.exists {
                drop_if_empty(&mut connection, &pair.live)?;
            }
            without_tables::end(pair)?;
        }
        Ok(Done { notes, owed: owed::insist(&mut connection, owed), needed })
    }
}

/// Whether there is a live database to put things back into, if one is needed. One that has gone since is made again, unless its tables are
/// gone as well.
fn has_place(connection: &mut Connection, pair: &Pair) -> Result<bool, Error> {
    if !pair.outgoing.exists || exists(connection, &pair.live)? {
        return Ok(true);
    }
    if !pair.going.is_empty() && tables::listed(connection, &pair.outgoing.database, None)?.is_empty() {
        return Ok(false);
    }
    create_database(connection, &State { database: pair.live.clone(), ..pair.outgoing.clone() })?;
    Ok(true)
}

/// What of one database has moved, and is to move back.
#[derive(Default)]
pub(super) struct Moved {
    /// Tables that are live and were not before: what came, and what others have made since under the names of tables that went.
    pub(super) came: Vec<String>,
    /// Tables that were live and have gone.
    pub(super) went: Vec<String>,
}

impl Moved {
    pub(super) fn of(connection: &mut Connection, pair: &Pair) -> Result<Self, Error> {
        if !exists(connection, &pair.live)? {
            return Ok(Self::default());
        }
        // Where one table alone moves, the live database may have any number of others.
        let only = pair.table.as_deref();
        let mut of =
            |database: &str| -> Result<BTreeSet<String>, Error> { Ok(tables::listed(connection, database, only)?.into_iter().collect()) };
        let (live, beside, away) = (of(&pair.live)?, of(&pair.incoming.database)?, of(&pair.outgoing.database)?);
        let going: BTreeSet<&String> = pair.going.iter().collect();
        // A table that is in both states is the new one only when the old one has gone.
        let is_new =
            |table: &&String| live.contains(*table) && !beside.contains(*table) && (away.contains(*table) || !going.contains(*table));
        let came: BTreeSet<&String> =
            pair.coming.iter().chain(pair.going.iter().filter(|table| away.contains(*table))).filter(is_new).collect();
        Ok(Self {
            came: came.into_iter().cloned().collect(),
            went: pair.going.iter().filter(|table| away.contains(*table)).cloned().collect(),
        })
    }
}

impl Exchange {
    /// Moves back what has moved. Definitions that came go before that, because a new view may have the name of an old table, and no table with a
    /// trigger moves; where nothing has moved, or it is back already, none is there that came. What others have made since stays; what of it is in
    /// the way is told, as sentences without their end.
    fn move_back(&self, connection: &mut Connection, around: Around<'_>, pairs: &[Pair]) -> Result<Vec<String>, Error> {
        let moved = pairs.iter().map(|pair| Moved::of(connection, pair)).collect::<Result<Vec<_>, _>>()?;
        let has_tables = !Self::has_no_tables(pairs);
        if has_tables && moved.iter().all(|moved| moved.came.is_empty() && moved.went.is_empty()) {
            return Ok(Vec::new());
        }
        let each = || pairs.iter().zip(&moved);
        let of = |database: &str, table: &String| format!("{}.{}", quoted(database), quoted(table));
        let held = each().flat_map(|(pair, moved)| {
            let went = moved.went.iter().map(|table| of(&pair.outgoing.database, table));
            moved.came.iter().map(|table| pair.of_live(table)).chain(went)
        });
        tables::wait_for(connection, &held.collect::<Vec<_>>())?;
        let mut notes = Vec::new();
        for (pair, moved) in each() {
            if !moved.came.is_empty() && !exists(connection, &pair.incoming.database)? {
                connection.run("make a database on", &format!("CREATE DATABASE {}", quoted(&pair.incoming.database)))?;
            }
            if has_tables || !without_tables::has_dropped(pair) {
                notes.extend(came::drop(connection, around, (pair, moved), &self.words)?);
            }
            if !has_tables {
                without_tables::dropped(pair)?;
            }
        }
        let mut moves = Vec::new();
        for (pair, moved) in each() {
            moves.extend(moved.came.iter().map(|table| tables::rename(&pair.live, &pair.incoming.database, table)));
        }
        for (pair, moved) in each() {
            moves.extend(moved.went.iter().map(|table| tables::rename(&pair.outgoing.database, &pair.live, table)));
        }
        tables::move_back(connection, &moves)?;
        Ok(notes)
    }
}
