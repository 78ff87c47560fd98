//! Foreign keys that went along with a table that was renamed, and are to point to the table that has its name now.
//!
//! `RENAME TABLE` carries foreign keys along: who pointed to a table points to it under its new name, in whatever database that is. So after an
//! exchange the children point to what was set aside. Each such foreign key is made anew. A name cannot be dropped and added in one statement
//! (MariaDB 10.11 answers 1826, duplicate name), and between two statements there must be no instant without the constraint, or a kill there
//! would lose it: so the first statement adds it under a name of ours and drops the old one, the second gives it its name back. What a kill
//! leaves between the two still works, and the next call recognises and finishes it.

use serde::{Deserialize, Serialize};

use super::connection::{Connection, is_answer, is_busy, literal, said};
use super::object::quoted;
use super::option_file::Login;
use super::settings::Settings;
use super::unturned::{Refusal, Turning, Unturned, turn_all};
use crate::source::Error;
use crate::sys::stop::Stop;

/// How the names begin that foreign keys have between the two statements.
const BETWEEN: &str = "windlass~";

/// The longest name of a constraint, in characters. Of one with more than 55 the end is lost if the work is killed between the statements,
/// and never taken up again; the constraint itself is not.
const NAME_MAX: usize = 64;

const LIST: &str = "list the foreign keys of";
const MAKE: &str = "make a foreign key anew on";

/// Has the foreign keys of tables outside the first database of each pair that point into it point to the table of the same name in the
/// second, as [`repoint`] does, over a connection of its own. Gives how many there were.
///
/// # Errors
/// [`Error::Server`], naming the foreign key; [`Error::Refused`], [`Error::File`] when the settings cannot be used; [`Error::Stopped`].
pub fn point_back(settings: &Settings, pairs: &[(String, String)], stop: &Stop) -> Result<u64, Error> {
    repoint(&mut Connection::open(&Login::of(settings)?, stop)?, pairs)
}

/// Has the foreign keys of tables in the first database of each pair that point into the second point to the first instead, as
/// [`hold`] does, over a connection of its own. Gives how many there were.
///
/// # Errors
/// As [`point_back`].
pub fn hold_aside(settings: &Settings, pairs: &[(String, String)], stop: &Stop) -> Result<u64, Error> {
    hold(&mut Connection::open(&Login::of(settings)?, stop)?, pairs)
}

/// For each pair of a database whose tables were renamed away and the one that applications use: every foreign key of a table outside all
/// first databases that points into one of them is made anew, pointing to the table of the same name in the second. Names, columns and rules
/// stay; rows are not checked. It can be called again after a kill, and does what is left. Gives how many foreign keys there were.
///
/// # Errors
/// [`Error::Server`], naming the foreign key, for example when the other table lacks a column or an index that it needs: that one still
/// points to where it did.
pub(super) fn repoint(connection: &mut Connection, pairs: &[(String, String)]) -> Result<u64, Error> {
    turn(connection, pairs, false, &|_| false).map(|(count, _)| count)
}

/// For each such pair: every foreign key of a table in the first database that points into the second is made anew, pointing into the first,
/// where there need not be such a table. Without it a table that was set aside alone would keep the rows of its parents from being changed,
/// or change along with them. [`repoint`] takes it back once the table is in the second database again.
///
/// # Errors
/// As [`repoint`].
pub(super) fn hold(connection: &mut Connection, pairs: &[(String, String)]) -> Result<u64, Error> {
    turn(connection, pairs, true, &|_| false).map(|(count, _)| count)
}

/// As [`repoint`], or with `held` as [`hold`], but that what the server says against a single key is no error where it `passes`. Gives those keys.
/// Those gives [`turn_all`]: where they are many, not all.
///
/// # Errors
/// As [`repoint`].
pub(super) fn turn_most(
    connection: &mut Connection,
    pairs: &[(String, String)],
    held: bool,
    passes: &dyn Fn(&Error) -> bool,
) -> Result<Vec<Unturned>, Error> {
    turn(connection, pairs, held, passes).map(|(_, unturned)| unturned)
}

/// A foreign key, without its columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) name: String,
    /// Into which database it points.
    pub(super) into: String,
    /// To which table there.
    pub(super) parent: String,
}

/// How the server compares names of databases.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// Whether such that differ in their case alone are two.
    is_exact: bool,
}

impl Names {
    pub(super) fn read(connection: &mut Connection) -> Result<Self, Error> {
        let setting = connection.value("read the settings of", "SELECT @@global.lower_case_table_names")?;
        Ok(Self { is_exact: setting.as_deref() == Some("0") })
    }

    /// A name, so that two that are one for the server are the same.
    pub(super) fn compared(self, name: &str) -> String {
        if self.is_exact { name.to_owned() } else { name.to_lowercase() }
    }

    /// The same of a column. As bytes, because the collation of the server's tables takes names that differ in their case for one.
    pub(super) fn column(self, column: &str) -> String {
        if self.is_exact { format!("CAST({column} AS BINARY)") } else { format!("CAST(LOWER({column}) AS BINARY)") }
    }

    /// The condition that a column of `information_schema` is the name of this database. MariaDB looks up triggers and events by names that are
    /// near it, too: of a database whose name differs in its case or an accent.
    pub(super) fn is(self, column: &str, database: &str) -> String {
        format!("{column} = {} AND {} = {}", literal(database), self.column(column), literal(&self.compared(database)))
    }

    fn of(self, key: &Key) -> Key {
        Key { schema: self.compared(&key.schema), into: self.compared(&key.into), ..key.clone() }
    }
}

fn turn(
    connection: &mut Connection,
    pairs: &[(String, String)],
    held: bool,
    passes: &dyn Fn(&Error) -> bool,
) -> Result<(u64, Vec<Unturned>), Error> {
    if pairs.is_empty() {
        return Ok((0, Vec::new()));
    }
    const WHAT: &str = "set up a session on";
    let before = connection.value(WHAT, "SELECT @@session.foreign_key_checks")?.unwrap_or_else(|| "1".into());
    let names = Names::read(connection)?;
    let pairs: Vec<(String, String)> = pairs.iter().map(|(from, live)| (names.compared(from), names.compared(live))).collect();
    connection.run(WHAT, "SET SESSION foreign_key_checks = 0")?;
    let turned = turn_all(&mut Turner { connection: &mut *connection, names, pairs: &pairs, held, passes });
    let restored = connection.run(WHAT, &format!("SET SESSION foreign_key_checks = {before}"));
    let turned = turned?;
    restored.map(|()| turned)
}

/// Makes keys anew over a connection.
struct Turner<'a> {
    connection: &'a mut Connection,
    names: Names,
    pairs: &'a [(String, String)],
    held: bool,
    passes: &'a dyn Fn(&Error) -> bool,
}

impl Turner<'_> {
    /// Into which database a key is to point. What fits no pair was left between the two statements, and points to the right place.
    fn to(&self, key: &Key) -> String {
        destination(&self.names.of(key), self.pairs, self.held).unwrap_or(&key.into).clone()
    }
}

impl Turning for Turner<'_> {
    fn list(&mut self, most: usize) -> Result<Vec<Key>, Error> {
        list(self.connection, self.names, self.pairs, self.held, most)
    }

    fn turn(&mut self, key: &Key) -> Result<Option<Refusal>, Error> {
        let to = self.to(key);
        match make(self.connection, key, &to) {
            Err(error) if (self.passes)(&error) => Ok(Some(Refusal { why: said(&error), is_busy: is_busy(&error) })),
            made => made.map(|()| None),
        }
    }

    fn note(&mut self, key: &Key, refusal: Refusal) -> Result<Option<Unturned>, Error> {
        let to = self.to(key);
        let Some(body) = body(self.connection, key, &to)? else { return Ok(None) };
        let pair = pair_of(&self.names.of(key), self.pairs, self.held);
        let name = key.name.strip_prefix(BETWEEN).filter(|name| !name.is_empty()).unwrap_or(&key.name).to_owned();
        Ok(Some(Unturned { key: key.clone(), pair, to, name, body, refusal }))
    }

    fn listed_again(&self, key: &Key) -> Error {
        self.connection.contradiction(MAKE, hint(key), "it was made anew, and points to where it did".into())
    }
}

/// The pair that a key belongs to, by where it points or is.
fn pair_of(key: &Key, pairs: &[(String, String)], held: bool) -> (String, String) {
    let is_its = |(from, live): &&(String, String)| if held { *from == key.schema } else { *from == key.into || *live == key.into };
    pairs.iter().find(is_its).cloned().unwrap_or_else(|| (key.into.clone(), key.into.clone()))
}

/// Into which database a foreign key is to point; `None` when it does already.
fn destination<'a>(key: &Key, pairs: &'a [(String, String)], held: bool) -> Option<&'a String> {
    let mut each = pairs.iter();
    if held {
        each.find(|(from, live)| *from == key.schema && *live == key.into).map(|(from, _)| from)
    } else if pairs.iter().any(|(from, _)| *from == key.schema) {
        None
    } else {
        each.find(|(from, _)| *from == key.into).map(|(_, live)| live)
    }
}

/// The next foreign keys that point to the wrong place, or have a name of ours.
fn list(connection: &mut Connection, names: Names, pairs: &[(String, String)], held: bool, most: usize) -> Result<Vec<Key>, Error> {
    let among = |column: &str, list: &mut dyn Iterator<Item = &String>| {
        format!("{} IN ({})", names.column(column), list.map(|name| literal(name)).collect::<Vec<_>>().join(", "))
    };
    let inside = among("table_schema", &mut pairs.iter().map(|(from, _)| from));
    let wrong = if held {
        // Pair by pair: a table that is aside may point to another database that is exchanged alone.
        let each = pairs.iter().map(|(from, live)| {
            let (from, live) = (std::slice::from_ref(from), std::slice::from_ref(live));
            format!("({} AND {})", among("table_schema", &mut from.iter()), among("referenced_table_schema", &mut live.iter()))
        });
        each.collect::<Vec<_>>().join(" OR ")
    } else {
        format!("NOT {inside} AND {}", among("referenced_table_schema", &mut pairs.iter().map(|(from, _)| from)))
    };
    let between = format!(
        "LEFT(constraint_name, {}) = {} AND {}",
        BETWEEN.len(),
        literal(BETWEEN),
        among("referenced_table_schema", &mut pairs.iter().flat_map(|(from, live)| [from, live]))
    );
    let sql = format!(
        "SELECT table_schema, table_name, constraint_name, referenced_table_schema, referenced_table_name FROM information_schema.KEY_COLUMN_USAGE WHERE \
         referenced_table_schema IS NOT NULL AND ordinal_position = 1 AND (({wrong}) OR ({between})) LIMIT {most}"
    );
    let rows = connection.rows(LIST, &sql)?.into_iter();
    Ok(rows
        .filter_map(|row| match <[_; 5]>::try_from(row) {
            Ok([Some(schema), Some(table), Some(name), Some(into), Some(parent)]) => Some(Key { schema, table, name, into, parent }),
            _ => None,
        })
        .collect())
}

/// Makes one anew, pointing to the table of the same name in the database `to`.
fn make(connection: &mut Connection, key: &Key, to: &str) -> Result<(), Error> {
    let Some(body) = body(connection, key, to)? else { return Ok(()) };
    let mut exchange = |old: &str, new: &str| {
        connection.run(MAKE, &exchange_statement(&key.schema, &key.table, &body, old, new)).map_err(|error| named(error, key, to))
    };
    let name = if let Some(name) = key.name.strip_prefix(BETWEEN).filter(|name| !name.is_empty()) {
        exchange(&key.name, name)?;
        name
    } else {
        let between = between(&key.name);
        exchange(&key.name, &between)?;
        exchange(&between, &key.name)?;
        &key.name
    };
    name_index_again(connection, &Key { name: name.to_owned(), ..key.clone() }, &body)
}

/// The statement that makes a key and drops one of another name: at no instant there is neither.
pub(super) fn exchange_statement(schema: &str, table: &str, body: &Body, old: &str, new: &str) -> String {
    let table = format!("{}.{}", quoted(schema), quoted(table));
    format!("ALTER TABLE {table} ADD CONSTRAINT {} {}, DROP FOREIGN KEY {}", quoted(new), body.text, quoted(old))
}

/// An index that the server made for a key it makes anew with it, under the key's name; applications may name it in hints. (The name that can
/// be given to it in the statement, MariaDB takes for the key's.)
pub(super) fn name_index_again(connection: &mut Connection, key: &Key, body: &Body) -> Result<(), Error> {
    let table = format!("{}.{}", quoted(&key.schema), quoted(&key.table));
    let Some(before) = body.index.as_ref().filter(|before| !before.starts_with(BETWEEN)) else { return Ok(()) };
    match index(connection, key, &body.columns)? {
        Some(now) if now != *before && now == key.name => {
            let renamed = connection.run(MAKE, &format!("ALTER TABLE {table} RENAME INDEX {} TO {}", quoted(&now), quoted(before)));
            // Servers before MariaDB 10.5 and MySQL 5.7 cannot, and then the name is all that is lost.
            renamed.or_else(|error| if is_answer(&error) { Ok(()) } else { Err(error) })
        }
        _ => Ok(()),
    }
}

/// Everything of a foreign key but its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// As SQL.
    pub text: String,
    /// Its columns in the child.
    pub columns: Vec<String>,
    /// The index that has these and no others.
    pub index: Option<String>,
}

/// What a foreign key is, were it to point into the database `to`; `None` when it has gone meanwhile.
pub(super) fn body(connection: &mut Connection, key: &Key, to: &str) -> Result<Option<Body>, Error> {
    let (schema, table, name) = (literal(&key.schema), literal(&key.table), literal(&key.name));
    let sql = format!(
        "SELECT column_name, referenced_column_name, referenced_table_name FROM information_schema.KEY_COLUMN_USAGE WHERE \
         table_schema = {schema} AND table_name = {table} AND CAST(table_name AS BINARY) = {table} AND \
         CAST(constraint_name AS BINARY) = {name} AND referenced_table_name IS NOT NULL ORDER BY ordinal_position"
    );
    let (mut columns, mut referenced, mut parent) = (Vec::new(), Vec::new(), None);
    for row in connection.rows(LIST, &sql)? {
        if let Ok([Some(column), Some(other), Some(table)]) = <[_; 3]>::try_from(row) {
            columns.push(column);
            referenced.push(quoted(&other));
            parent = Some(table);
        }
    }
    let sql = format!(
        "SELECT delete_rule, update_rule, VERSION() FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE constraint_schema = {schema} AND \
         table_name = {table} AND CAST(table_name AS BINARY) = {table} AND CAST(constraint_name AS BINARY) = {name}"
    );
    let rules = connection.rows(LIST, &sql)?.into_iter().next().map(<[_; 3]>::try_from);
    let Some(parent) = parent else { return Ok(None) };
    let Some(Ok([Some(delete), Some(update), Some(version)])) = rules else {
        // MariaDB shows columns to whoever may read the table, and the rules only to whoever may change something of the database.
        let why = format!("the account may not see its rules: GRANT ALTER ON {}.*", quoted(&key.schema));
        return Err(connection.contradiction(MAKE, hint(key), why));
    };
    let is_old = version.to_lowercase().contains("mariadb") || version.starts_with("5.");
    let text = format!(
        "FOREIGN KEY ({}) REFERENCES {}.{} ({}){}{}",
        columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", "),
        quoted(to),
        quoted(&parent),
        referenced.join(", "),
        rule("DELETE", &delete, is_old),
        rule("UPDATE", &update, is_old),
    );
    Ok(Some(Body { text, index: index(connection, key, &columns)?, columns }))
}

/// What is done to the children, as it was written: MariaDB and MySQL before 8 call it `RESTRICT` when nothing is, and make `NO ACTION` of that
/// word.
fn rule(on: &str, rule: &str, is_old: bool) -> String {
    if is_old && rule == "RESTRICT" { String::new() } else { format!(" ON {on} {rule}") }
}

/// The index that has the columns of a foreign key and no others.
fn index(connection: &mut Connection, key: &Key, columns: &[String]) -> Result<Option<String>, Error> {
    let (schema, table) = (literal(&key.schema), literal(&key.table));
    let sql = format!(
        "SELECT index_name, column_name FROM information_schema.STATISTICS WHERE table_schema = {schema} AND table_name = {table} AND \
         CAST(table_name AS BINARY) = {table} AND index_name <> 'PRIMARY' ORDER BY index_name, seq_in_index"
    );
    let mut indexes: Vec<(String, Vec<String>)> = Vec::new();
    for row in connection.rows(LIST, &sql)? {
        let Ok([Some(index), column]) = <[_; 2]>::try_from(row) else { continue };
        // Of an index on an expression there is no column, and it is none of these.
        let column = column.unwrap_or_default();
        match indexes.last_mut() {
            Some((name, columns)) if *name == index => columns.push(column),
            _ => indexes.push((index, vec![column])),
        }
    }
    Ok(indexes.into_iter().find(|(_, of)| of == columns).map(|(name, _)| name))
}

/// The name of ours that a foreign key has between the two statements.
pub(super) fn between(name: &str) -> String {
    BETWEEN.chars().chain(name.chars()).take(NAME_MAX).collect()
}

/// Which foreign key it is.
pub(super) fn hint(key: &Key) -> String {
    format!(": {} of {}.{}", quoted(&key.name), quoted(&key.schema), quoted(&key.table))
}

fn named(error: Error, key: &Key, to: &str) -> Error {
    match error {
        Error::Server { what, server, cause, .. } => {
            Error::Server { what, server, hint: format!("{}, which is to point into {}", hint(key), quoted(to)), cause }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_where_its_table_belongs_and_one_left_half_made_stays_there() {
        let pairs = [("aside".to_owned(), "live".to_owned())];
        let to = |schema: &str, into: &str, held| {
            let key = Key { schema: schema.into(), table: "t".into(), name: "fk".into(), into: into.into(), parent: "p".into() };
            destination(&key, &pairs, held).cloned()
        };
        assert_eq!(to("other", "aside", false).as_deref(), Some("live"));
        assert_eq!(to("live", "aside", false).as_deref(), Some("live"));
        assert_eq!(to("aside", "aside", false), None);
        assert_eq!(to("other", "live", false), None);
        assert_eq!(to("aside", "live", true).as_deref(), Some("aside"));
        assert_eq!(to("other", "live", true), None);
        assert_eq!(to("aside", "aside", true), None);
    }

    #[test]
    fn names_that_are_one_for_the_server_are_compared_as_one() {
        let pairs = [("aside".to_owned(), "live".to_owned())];
        let key = Key { schema: "Other".into(), table: "t".into(), name: "fk".into(), into: "Aside".into(), parent: "p".into() };
        let to = |is_exact| destination(&Names { is_exact }.of(&key), &pairs, false).cloned();
        assert_eq!((to(false).as_deref(), to(true)), (Some("live"), None));
    }

    #[test]
    fn a_name_between_fits_and_gives_the_name_back() {
        assert_eq!(between("fk `.1").strip_prefix(BETWEEN), Some("fk `.1"));
        assert_eq!(between(&"é".repeat(55)).strip_prefix(BETWEEN), Some("é".repeat(55).as_str()));
        assert_eq!(between(&"é".repeat(64)).chars().count(), NAME_MAX);
    }
}
