//! Moving tables from one database to another, and what moves along with them.

use std::collections::BTreeSet;

use super::super::connection::{Connection, is_answer, is_busy, is_passing, literal};
use super::super::foreign_keys::Names;
use super::super::object::quoted;
use super::onward;
use super::state::Pair;
use super::told::first_of;
use super::unchanged::Unchanged;
use super::waiting::{patiently, waiting};
use super::{Around, definitions};
use crate::source::Error;

/// Most tables that move at once: the statement that moves them locks them all, and names each twice, up to 300 bytes a name.
pub const TABLES_MAX: usize = 20_000;

/// How long is waited for whoever holds a table of another database that is tied to these by a foreign key: who uses it next waits as long.
const TIED_SECONDS: u32 = 5;

/// How often the tables that go are tried to be locked before anything is changed, and for how many seconds each time they and rows of them are waited
/// for: a minute in all, and who uses one of them next waits for one try.
const LOCK_PATIENCE: (u32, u32, u32) = (12, 5, 5);

/// The same of what changes something: ten seconds in all, because each table was free just before, and five for rows.
const MOVE_PATIENCE: (u32, u32, u32) = (5, 2, 1);

/// Most tables that refer to those that go and are waited for; the statement locks them all.
const CHILDREN_MAX: usize = 1_000;

/// Most views that one statement waits for.
const VIEWS_MAX: usize = 1_000;

/// Most of them that are named.
const NAMED: usize = 10;

/// Most transactions that are named as holding rows.
const HOLDERS_MAX: usize = 5;

/// What holds rows, as `information_schema` calls it.
const HOLDS_ROWS: &str = "table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')";

/// The tables and sequences of a database, or one of them, by name.
///
/// # Errors
/// [`Error::Refused`] when they are too many.
pub(super) fn listed(connection: &mut Connection, database: &str, only: Option<&str>) -> Result<Vec<String>, Error> {
    let only = only.map_or_else(String::new, |table| format!(" AND table_name = {}", literal(table)));
    let tables = connection.column("list the tables of", &(listing(database, &only) + &format!(" LIMIT {}", TABLES_MAX + 1)))?;
    if tables.len() > TABLES_MAX {
        let why = format!(
            "the database {} has more than {TABLES_MAX} tables, and no more can be moved at once: a single table can be restored (--table), the \
             whole by hand (docs/OPERATIONS.md, A dump by hand)",
            quoted(database)
        );
        return Err(Error::Refused { why });
    }
    Ok(tables)
}

/// All of them, where they are only looked at, however many they are.
pub(super) fn all(connection: &mut Connection, database: &str) -> Result<Vec<String>, Error> {
    connection.column("list the tables of", &listing(database, ""))
}

fn listing(database: &str, only: &str) -> String {
    let database = literal(database);
    format!("SELECT table_name FROM information_schema.TABLES WHERE table_schema = {database}{only} AND {HOLDS_ROWS} ORDER BY table_name")
}

/// Lets tables move although others refer to them; for this session.
pub(super) fn without_checks(connection: &mut Connection) -> Result<(), Error> {
    connection.run("set up a session on", "SET SESSION foreign_key_checks = 0")
}

/// Waits for whoever uses a table that goes, and then has that `checked` which nobody is to have changed meanwhile. Nothing is changed.
pub(super) fn check_held<T>(connection: &mut Connection, pairs: &[Pair], checked: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    without_checks(connection)?;
    let is_locked = patiently(connection, LOCK_PATIENCE, |connection| lock(connection, pairs))?;
    let checked = checked();
    if is_locked {
        connection.run(UNLOCK, "UNLOCK TABLES")?;
    }
    checked
}

/// Moves the live tables away and the loaded ones in, all at once.
///
/// Definitions go first: with triggers no table can move, a view may have the name of one that comes, and whatever cannot be dropped because somebody
/// uses it is to be known while nothing has moved.
pub(super) fn exchange(connection: &mut Connection, around: Around<'_>, pairs: &[Pair], unchanged: &Unchanged) -> Result<(), Error> {
    patiently(connection, MOVE_PATIENCE, |connection| drop_definitions(connection, around, pairs, unchanged))?;
    let mut moves = Vec::new();
    for pair in pairs {
        moves.extend(pair.going.iter().map(|table| rename(&pair.live, &pair.outgoing.database, table)));
    }
    for pair in pairs {
        moves.extend(pair.coming.iter().map(|table| rename(&pair.incoming.database, &pair.live, table)));
    }
    match patiently(connection, MOVE_PATIENCE, |connection| run(connection, &moves)) {
        Err(error) if is_busy(&error) => {
            let children = children(connection, pairs).unwrap_or_default();
            Err(error.adding(&held(&children, &holders(connection))))
        }
        moved => moved,
    }
}

/// Drops what is live besides tables, as long as it is unchanged and nothing else is there. Triggers go last: as long as they are there, nobody writes to
/// a table without them.
fn drop_definitions(connection: &mut Connection, around: Around<'_>, pairs: &[Pair], unchanged: &Unchanged) -> Result<(), Error> {
    unchanged.check(around, pairs)?;
    for (at, pair) in pairs.iter().enumerate() {
        unchanged.drop_rest(connection, pair, at)?;
    }
    let is_locked = lock(connection, pairs)?;
    let dropped = unchanged
        .check(around, pairs)
        .and_then(|()| pairs.iter().enumerate().try_for_each(|(at, pair)| unchanged.drop_triggers(connection, pair, at)));
    if is_locked {
        connection.run(UNLOCK, "UNLOCK TABLES")?;
    }
    dropped.and_then(|()| pairs.iter().try_for_each(onward::begin))
}

/// Waits for whoever holds a table that goes, or uses a view, and lets it go again: what takes too long is known before anything is changed.
pub(super) fn wait_for_holders(connection: &mut Connection, pairs: &[Pair]) -> Result<(), Error> {
    wait_for_tied(connection, pairs)?;
    wait_for_views(connection, pairs)?;
    let is_locked = patiently(connection, LOCK_PATIENCE, |connection| lock(connection, pairs))?;
    if is_locked { connection.run(UNLOCK, "UNLOCK TABLES") } else { Ok(()) }
}

/// Waits for whoever holds one of these tables, so that what takes too long is known before definitions are dropped. One that cannot be locked, because a
/// trigger of it is broken for example, is not waited for.
pub(super) fn wait_for(connection: &mut Connection, tables: &[String]) -> Result<(), Error> {
    if tables.is_empty() {
        return Ok(());
    }
    let lock = format!("LOCK TABLES {} WRITE", tables.join(" WRITE, "));
    match patiently(connection, LOCK_PATIENCE, |connection| connection.run(LOCK, &lock)) {
        Err(error) if is_answer(&error) && !is_passing(&error) => Ok(()),
        locked => {
            locked?;
            connection.run(UNLOCK, "UNLOCK TABLES")
        }
    }
}

/// Waits for whoever has used a view in a transaction that is open, also one that selects from other databases alone. To give a view its own name is
/// refused, once nobody uses it; to lock it would lock what it selects from.
fn wait_for_views(connection: &mut Connection, pairs: &[Pair]) -> Result<(), Error> {
    const WHAT: &str = "wait for whoever uses a view (somebody may have used one in a long transaction) on";
    for pair in pairs.iter().filter(|pair| pair.table.is_none()) {
        let views = connection.column("list the views of", &definitions::views_of(&pair.live))?;
        for views in views.chunks(VIEWS_MAX) {
            let moves: Vec<String> = views.iter().map(|view| rename(&pair.live, &pair.live, view)).collect();
            match connection.run(WHAT, &format!("RENAME /* only waits */ TABLE {}", moves.join(", "))) {
                Err(error) if is_answer(&error) && !is_passing(&error) => {}
                waited => waited?,
            }
        }
    }
    Ok(())
}

/// Waits a little for whoever holds a table of another database that these refer to, or that refers to them, where the account may lock it. One
/// that is held longer may stand in the way of nothing: keys of a parent come later, and a child that is only read lets MariaDB move its parent.
fn wait_for_tied(connection: &mut Connection, pairs: &[Pair]) -> Result<(), Error> {
    let keys = pairs.iter().flat_map(|pair| pair.outgoing.keys.iter().chain(&pair.incoming.keys));
    let stays = |into: &str| !pairs.iter().any(|pair| pair.live == into || pair.incoming.database == into);
    let parents: BTreeSet<String> =
        keys.filter(|key| stays(&key.into)).map(|key| format!("{}.{}", quoted(&key.into), quoted(&key.parent))).collect();
    let children = children(connection, pairs)?;
    waiting(connection, TIED_SECONDS, TIED_SECONDS, |connection| {
        // Each of the two alone: what is held among one is not to keep the other from being waited for.
        for tied in [parents, children].into_iter().filter(|tied| !tied.is_empty()) {
            let list: Vec<String> = tied.into_iter().map(|table| table + " WRITE").collect();
            match connection.run(LOCK, &format!("LOCK TABLES {}", list.join(", "))) {
                Err(error) if is_answer(&error) => {}
                locked => {
                    locked?;
                    connection.run(UNLOCK, "UNLOCK TABLES")?;
                }
            }
        }
        Ok(())
    })
}

/// The tables that refer to those that go, and stay themselves.
fn children(connection: &mut Connection, pairs: &[Pair]) -> Result<BTreeSet<String>, Error> {
    let names = Names::read(connection)?;
    let all = |pair: &Pair| {
        let live = names.compared(&pair.live);
        pair.going.iter().map(move |table| (live.clone(), table.clone())).collect::<Vec<_>>()
    };
    let going: BTreeSet<(String, String)> = pairs.iter().flat_map(all).collect();
    let lives: Vec<String> = pairs.iter().map(|pair| literal(&names.compared(&pair.live))).collect();
    let sql = format!(
        "SELECT DISTINCT referenced_table_schema, referenced_table_name, table_schema, table_name FROM information_schema.KEY_COLUMN_USAGE WHERE \
         referenced_table_schema IS NOT NULL AND {} IN ({})",
        names.column("referenced_table_schema"),
        lives.join(", ")
    );
    let mut found = BTreeSet::new();
    connection.each("list the foreign keys of", &sql, &mut |row| {
        if let Ok([Some(into), Some(parent), Some(schema), Some(table)]) = <[_; 4]>::try_from(row)
            && going.contains(&(names.compared(&into), parent))
            && !going.contains(&(names.compared(&schema), table.clone()))
            && found.len() < CHILDREN_MAX
        {
            found.insert(format!("{}.{}", quoted(&schema), quoted(&table)));
        }
        Ok(())
    })?;
    Ok(found)
}

/// The transactions that have changed rows and are open, where the account may see them.
fn holders(connection: &mut Connection) -> Vec<String> {
    let sql = format!(
        "SELECT CONCAT('connection ', trx_mysql_thread_id, COALESCE(CONCAT(' of ', p.user, '@', p.host), ''), ', open since ', trx_started) FROM \
         information_schema.INNODB_TRX LEFT JOIN information_schema.PROCESSLIST AS p ON p.id = trx_mysql_thread_id WHERE trx_rows_modified > 0 \
         AND trx_mysql_thread_id <> CONNECTION_ID() ORDER BY trx_started LIMIT {HOLDERS_MAX}"
    );
    connection.column("ask for the open transactions of", &sql).unwrap_or_default()
}

/// Who may be in the way, as a sentence without its end.
fn held(children: &BTreeSet<String>, holders: &[String]) -> String {
    let mut told = "somebody used one of these tables".to_owned();
    if !children.is_empty() {
        let list = first_of(children.iter().cloned(), NAMED).join(", ");
        told += &format!(", or had rows of a table changed that refers to them, and not committed: {list}");
    }
    if holders.is_empty() {
        told + " (information_schema.INNODB_TRX says who, to an account with PROCESS)"
    } else {
        format!("{told} ({})", holders.join("; "))
    }
}

/// Locks the tables that go; false where none go.
fn lock(connection: &mut Connection, pairs: &[Pair]) -> Result<bool, Error> {
    let going: Vec<String> = pairs.iter().flat_map(|pair| pair.going.iter().map(|table| pair.of_live(table) + " WRITE")).collect();
    if going.is_empty() {
        return Ok(false);
    }
    connection.run(LOCK, &format!("LOCK TABLES {}", going.join(", ")))?;
    Ok(true)
}

const UNLOCK: &str = "unlock the tables of";

/// What is being done when somebody else holds a table.
const LOCK: &str = "lock the tables that are to be replaced (somebody may hold one in a long transaction) on";

/// The words that the statement begins with which moves tables.
pub(super) const RENAME: &str = "RENAME TABLE ";

/// Names to be looked up in, of which there may be many.
pub(super) fn set(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(String::as_str).collect()
}

/// One table's move, as part of a statement.
pub(super) fn rename(from: &str, to: &str, table: &str) -> String {
    format!("{}.{table} TO {}.{table}", quoted(from), quoted(to), table = quoted(table))
}

/// Moves tables back, which is waited for as long as for those that are to go.
pub(super) fn move_back(connection: &mut Connection, moves: &[String]) -> Result<(), Error> {
    patiently(connection, LOCK_PATIENCE, |connection| run(connection, moves))
}

/// Carries moves out, all or none.
fn run(connection: &mut Connection, moves: &[String]) -> Result<(), Error> {
    if moves.is_empty() {
        return Ok(());
    }
    connection.run("exchange the tables of", &format!("{RENAME}{}", moves.join(", ")))
}

/// Column defaults that take from a sequence say in which database it is. Those that were loaded beside the live database are told where
/// their sequence is now.
pub(super) fn name_own_sequences(connection: &mut Connection, pair: &Pair) -> Result<(), Error> {
    let (beside, live) = (format!("{}.", quoted(&pair.incoming.database)), format!("{}.", quoted(&pair.live)));
    let sql = format!(
        "SELECT table_name, column_name, column_default FROM information_schema.COLUMNS WHERE table_schema = {} AND LOCATE({}, column_default) \
         > 0",
        literal(&pair.live),
        literal(&beside)
    );
    for row in connection.rows("read the defaults of columns of", &sql)? {
        let [Some(table), Some(column), Some(default)] = &row[..] else { continue };
        let default = default.replace(&beside, &live);
        let sql = format!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT ({default})", pair.of_live(table), quoted(column));
        connection.run("set the default of a column of", &sql)?;
    }
    Ok(())
}
