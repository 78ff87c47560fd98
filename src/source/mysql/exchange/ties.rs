//! Foreign keys that refer to tables which are to go or have moved, from wherever: rows of a child hang in the air once its parent is gone.
//!
//! `information_schema` shows an account the keys of those tables alone to which it has some right. InnoDB's own list has all of them, and is
//! shown to whoever has `PROCESS`; but for MySQL before 8.0, which writes names there as those of files and reads them for nobody.

use std::collections::{BTreeMap, BTreeSet};

use super::super::connection::{Connection, is_answer, literal};
use super::super::foreign_keys::Names;
use super::super::object::quoted;
use super::super::option_file::Login;
use super::super::release::Release;
use super::super::settings::Settings;
use super::told::first_of;
use super::{Exchange, Pair};
use crate::source::Error;
use crate::sys::stop::Stop;

/// Most of them that are named in a text.
const NAMED: usize = 10;

const LIST: &str = "list the foreign keys of";

/// A table, with its database.
pub(super) type Table = (String, String);

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tie {
    /// The table that has it.
    pub(super) child: Table,
    /// Its name.
    pub(super) name: String,
    /// The table that it refers to.
    pub(super) parent: Table,
    /// Whether the account sees its table.
    pub(super) is_seen: bool,
}

impl Tie {
    /// It as a person is told it.
    pub(super) fn told(&self) -> String {
        let table = |(database, table): &Table| format!("{}.{}", quoted(database), quoted(table));
        format!("{} of {} to {}", quoted(&self.name), table(&self.child), table(&self.parent))
    }

    /// The statement that drops it.
    pub(super) fn drop_statement(&self) -> String {
        let (database, table) = &self.child;
        format!("ALTER TABLE {}.{} DROP FOREIGN KEY {}", quoted(database), quoted(table), quoted(&self.name))
    }
}

/// All that refer to tables of these databases, as far as they can be known.
///
/// # Errors
/// [`Error::Server`].
pub(super) fn to(connection: &mut Connection, databases: &[&str]) -> Result<Vec<Tie>, Error> {
    let mut ties = seen(connection, databases)?;
    ties.extend(hidden(connection, databases, &ties)?);
    Ok(ties)
}

/// Those that the account sees.
fn seen(connection: &mut Connection, databases: &[&str]) -> Result<Vec<Tie>, Error> {
    let names = Names::read(connection)?;
    let sql = format!(
        "SELECT table_schema, table_name, constraint_name, referenced_table_schema, referenced_table_name FROM \
         information_schema.KEY_COLUMN_USAGE WHERE referenced_table_schema IS NOT NULL AND ordinal_position = 1 AND {} IN ({})",
        names.column("referenced_table_schema"),
        among(names, databases)
    );
    read(connection, &sql, true)
}

/// Those that only InnoDB's own list has; none where it is not shown.
fn hidden(connection: &mut Connection, databases: &[&str], seen: &[Tie]) -> Result<Vec<Tie>, Error> {
    let names = Names::read(connection)?;
    let version = connection.value("ask for the version of", "SELECT VERSION()")?.unwrap_or_default();
    let release = Release::of(&version);
    // As files are named, but for MySQL since 8.0, which does not know that character set either.
    let decoded = |part: String| {
        if release.has_proc() { format!("CONVERT(CONVERT(CAST({part} AS BINARY) USING filename) USING utf8mb4)") } else { part }
    };
    let database = |column: &str| decoded(format!("SUBSTRING_INDEX({column}, '/', 1)"));
    let table = |column: &str| decoded(format!("SUBSTRING({column}, LOCATE('/', {column}) + 1)"));
    let into = database("ref_name");
    let sql = format!(
        "SELECT {}, {}, SUBSTRING(id, LOCATE('/', id) + 1), {into}, {} FROM information_schema.{} WHERE {} IN ({})",
        database("for_name"),
        table("for_name"),
        table("ref_name"),
        release.keys_of_innodb(),
        names.column(&into),
        among(names, databases),
    );
    let known: BTreeSet<(&Table, &Table)> = seen.iter().map(|tie| (&tie.child, &tie.parent)).collect();
    match read(connection, &sql, false) {
        // The account has no `PROCESS`, or the server no InnoDB, or no word for how it names files (MySQL 5.7).
        Err(error) if is_answer(&error) => Ok(Vec::new()),
        all => Ok(all?.into_iter().filter(|tie| !known.contains(&(&tie.child, &tie.parent))).collect()),
    }
}

fn among(names: Names, databases: &[&str]) -> String {
    let all: Vec<String> = databases.iter().map(|database| literal(&names.compared(database))).collect();
    if all.is_empty() { "NULL".to_owned() } else { all.join(", ") }
}

fn read(connection: &mut Connection, sql: &str, is_seen: bool) -> Result<Vec<Tie>, Error> {
    let mut ties = Vec::new();
    connection.each(LIST, sql, &mut |row| {
        if let Ok([Some(schema), Some(table), Some(name), Some(into), Some(parent)]) = <[_; 5]>::try_from(row) {
            ties.push(Tie { child: (schema, table), name, parent: (into, parent), is_seen });
        }
        Ok(())
    })?;
    Ok(ties)
}

impl Exchange {
    /// What a person should know of keys which refer to what lies aside and which the account does not see, so that nobody turns them: as
    /// sentences without their end.
    pub(super) fn tell_hidden(&self, connection: &mut Connection) -> Result<Vec<String>, Error> {
        let mut told = Vec::new();
        for pair in &self.pairs {
            let aside = [pair.outgoing.database.as_str()];
            let seen = seen(connection, &aside)?;
            let hidden = hidden(connection, &aside, &seen)?;
            if !hidden.is_empty() {
                told.push(format!(
                    "foreign keys of tables that the account does not see have gone along with what lies aside, so that their rows are held against \
                     that: {}; have them point to {} (ALTER TABLE … ADD FOREIGN KEY …, DROP FOREIGN KEY …). What they refer to is not removed \
                     before that",
                    listed(&hidden),
                    quoted(&pair.live)
                ));
            }
        }
        Ok(told)
    }
}

/// What a person should know before tables are exchanged to which keys refer that the account does not see, as sentences without their end.
///
/// # Errors
/// [`Error::Server`]; [`Error::Refused`], [`Error::File`] when the settings cannot be used; [`Error::Stopped`].
pub fn tell_hidden_keys(settings: &Settings, pairs: &[Pair], stop: &Stop) -> Result<Vec<String>, Error> {
    let mut connection = Connection::open(&Login::of(settings)?, stop)?;
    let live: Vec<&str> = pairs.iter().map(|pair| pair.live.as_str()).collect();
    let seen = seen(&mut connection, &live)?;
    let mut hidden = hidden(&mut connection, &live, &seen)?;
    hidden
        .retain(|tie| pairs.iter().all(|pair| pair.live != tie.parent.0 || pair.table.as_ref().is_none_or(|table| *table == tie.parent.1)));
    Ok(if hidden.is_empty() {
        Vec::new()
    } else {
        vec![format!(
            "foreign keys of tables that the account does not see go along with what is replaced, and nobody has them point to what comes: {}",
            listed(&hidden)
        )]
    })
}

/// The first of them, and how many more there are.
pub(super) fn listed<'a>(ties: impl IntoIterator<Item = &'a Tie>) -> String {
    let told: BTreeSet<String> = ties.into_iter().map(Tie::told).collect();
    first_of(told.into_iter(), NAMED).join(", ")
}

/// These tables, children before their parents; and those that are left because they refer to each other in a ring, or to such.
pub(super) fn in_order(tables: &BTreeSet<Table>, ties: &[Tie]) -> (Vec<Table>, Vec<Table>) {
    let inner: BTreeSet<(&Table, &Table)> = ties
        .iter()
        .filter(|tie| tie.child != tie.parent && tables.contains(&tie.child) && tables.contains(&tie.parent))
        .map(|tie| (&tie.child, &tie.parent))
        .collect();
    let mut children: BTreeMap<&Table, usize> = tables.iter().map(|table| (table, 0)).collect();
    let mut parents: BTreeMap<&Table, Vec<&Table>> = BTreeMap::new();
    for (child, parent) in inner {
        *children.entry(parent).or_default() += 1;
        parents.entry(child).or_default().push(parent);
    }
    let mut next: Vec<&Table> = children.iter().filter(|(_, count)| **count == 0).map(|(table, _)| *table).collect();
    let mut ordered = Vec::new();
    while let Some(table) = next.pop() {
        children.remove(table);
        ordered.push(table.clone());
        for parent in parents.get(table).into_iter().flatten() {
            let count = children.get_mut(parent).expect("a parent comes after its children");
            *count -= 1;
            if *count == 0 {
                next.push(parent);
            }
        }
    }
    (ordered, children.into_keys().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_come_before_their_parents_and_rings_last() {
        let table = |name: &str| ("base".to_owned(), name.to_owned());
        let tie = |child: &str, parent: &str| Tie { child: table(child), name: "fk".into(), parent: table(parent), is_seen: true };
        let tables: BTreeSet<Table> = ["a", "b", "c", "r", "s", "t"].map(table).into();
        // `t` refers to itself, `r` and `s` to each other, `other` is none of them.
        let ties =
            [tie("c", "b"), tie("c", "b"), tie("b", "a"), tie("t", "t"), tie("r", "s"), tie("s", "r"), tie("other", "a"), tie("s", "a")];
        let (ordered, ring) = in_order(&tables, &ties);
        let at = |name: &str| ordered.iter().position(|one| *one == table(name));
        assert!(at("c") < at("b") && at("b").is_some() && at("t").is_some(), "{ordered:?}");
        assert_eq!(ring, ["a", "r", "s"].map(table));
    }
}
