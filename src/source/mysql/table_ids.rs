//! Which tables stand behind the names, so that one that takes the name of another while a dump is made is noticed.
//!
//! A dump program opens each table by its name when it comes to it, and sees its rows as of the beginning. A table that was there by then, empty,
//! and was filled and given the name of a live one since (`RENAME TABLE live.t TO old.t, next.t TO live.t`, `EXCHANGE PARTITION`) is dumped
//! without a row, and nothing says so: its definition is the same. So is one that was emptied by `TRUNCATE` after its rows went elsewhere: old
//! servers, and those that have forgotten the table meanwhile, do not refuse it to a transaction that is older. InnoDB numbers its tables, each
//! partition by itself, gives another number whenever one is made, emptied, built anew or imported, and never gives one twice; who has `PROCESS`
//! may read them. Beside them stands the time at which a table was made, which everybody sees: of MariaDB and of MySQL 5.7 that is the time of its
//! last `RENAME` as well, so that two of them one after the other, the second of which undoes the first, are noticed too; of MySQL 8 it is that of
//! the table itself. It is in whole seconds, and `TRUNCATE` leaves it as it was.
//!
//! Every other number and every other time counts. Whether the rows of a table are in a dump cannot be told from the dump: those that are may be
//! the few that another table had at its beginning.

use std::cmp::Ordering;
use std::path::Path;

use super::connection::{Connection, Value, is_answer, literal};
use super::foreign_keys::Names;
use super::inventory::SORT_BUDGET;
use super::object::{Object, ObjectKind};
use super::others::Others;
use super::release::Release;
use crate::source::Error;
use crate::sys::sorter::{Sorted, Sorter};

const LIST: &str = "ask for the tables of";
const NUMBERS: &str = "ask for the numbers of the tables of";

/// What stands in a record after the name of the table, which holds no NUL: first the one that lists it, then those with its numbers.
const LISTED: &[u8] = &[0, 0];
const NUMBERED: &[u8] = &[0, 1];

/// Engines whose time is not that of the table: of their file, which each row changes, or of another server.
const OF_OTHER_TIMES: &str = "('ARCHIVE', 'CONNECT', 'FEDERATED', 'SPIDER')";

/// The tables of some databases, each with its numbers and the time at which it was made.
pub(super) struct TableIds {
    records: Sorted,
    /// Whether the account may read the numbers.
    is_numbered: bool,
}

impl TableIds {
    /// Asks the server.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub(super) fn read(connection: &mut Connection, databases: &[String], work: &Path) -> Result<Self, Error> {
        let names = Names::read(connection)?;
        let mut sorter = Sorter::new(work, SORT_BUDGET);
        let is_numbered = match number(connection, names, databases, &mut sorter) {
            // The account has no `PROCESS`, or the server no InnoDB. What had come until then counts for nothing.
            Err(error) if is_answer(&error) => {
                sorter = Sorter::new(work, SORT_BUDGET);
                false
            }
            numbered => numbered.map(|()| true)?,
        };
        list(connection, names, databases, &mut sorter)?;
        Ok(Self { records: sorter.sorted()?, is_numbered })
    }

    /// Behind which names other tables stand by now, or stand for the first time, or none any more.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub(super) fn others(self, connection: &mut Connection, databases: &[String], work: &Path) -> Result<Others, Error> {
        let names = Names::read(connection)?;
        let mut sorter = Sorter::new(work, SORT_BUDGET);
        if self.is_numbered {
            number(connection, names, databases, &mut sorter)?;
        }
        list(connection, names, databases, &mut sorter)?;
        compared(self.records, sorter.sorted()?, databases)
    }
}

/// Lists the tables with their times.
fn list(connection: &mut Connection, names: Names, databases: &[String], sorter: &mut Sorter) -> Result<(), Error> {
    for (at, database) in databases.iter().enumerate() {
        let sql = format!(
            "SELECT table_name, IF(engine IN {OF_OTHER_TIMES}, '', CAST(create_time AS CHAR)) FROM information_schema.TABLES \
             WHERE table_schema = {} AND table_type NOT LIKE '%VIEW'",
            literal(database)
        );
        connection.each(LIST, &sql, &mut |row| {
            let Ok([Some(name), made]) = <[Value; 2]>::try_from(row) else { return Ok(()) };
            let rest = [name.as_bytes(), &[0], made.unwrap_or_default().as_bytes()].concat();
            Ok(sorter.push(&record(at, &names.compared(&name), LISTED, &rest))?)
        })?;
    }
    Ok(())
}

/// Reads the numbers of all tables and partitions of InnoDB that are in these databases.
fn number(connection: &mut Connection, names: Names, databases: &[String], sorter: &mut Sorter) -> Result<(), Error> {
    let release = Release::of(&connection.value(NUMBERS, "SELECT VERSION()")?.unwrap_or_default());
    let sql_decodes = release.decodes_file_names();
    // A `#` in a name is written otherwise: what follows one is that of a partition, whose name may have upper and lower case.
    let parts = ["SUBSTRING_INDEX(name, '/', 1)", "SUBSTRING_INDEX(SUBSTRING(name, LOCATE('/', name) + 1), '#', 1)"];
    let [database, table] = parts.map(|part| {
        if sql_decodes { format!("CONVERT(CONVERT(CAST({part} AS BINARY) USING filename) USING utf8mb4)") } else { part.to_owned() }
    });
    let sql = format!("SELECT {database}, {table}, name, table_id FROM information_schema.{}", release.tables_of_innodb());
    let compared: Vec<String> = databases.iter().map(|name| names.compared(name)).collect();
    connection.each(NUMBERS, &sql, &mut |row| {
        let Ok([Some(database), Some(table), Some(name), Some(id)]) = <[Value; 4]>::try_from(row) else { return Ok(()) };
        let plain = |text: String| if sql_decodes { Some(text) } else { decoded(&text) };
        let (Some(database), Some(table)) = (plain(database), plain(table)) else { return Ok(()) };
        let database = names.compared(&database);
        if let Some(at) = compared.iter().position(|known| *known == database) {
            let rest = [name.as_bytes(), &[0], id.as_bytes()].concat();
            sorter.push(&record(at, &names.compared(&table), NUMBERED, &rest))?;
        }
        Ok(())
    })
}

fn record(database: usize, table: &str, tag: &[u8], rest: &[u8]) -> Vec<u8> {
    let database = u16::try_from(database).expect("databases are few");
    [&database.to_be_bytes(), table.as_bytes(), tag, rest].concat()
}

/// The name of a database or table as MySQL writes it in the name of a file: what is no letter, digit or `_` of ASCII as `@` and four digits.
/// `None` for other letters, for most of which it has a shorter code from a long list: such a table is told from others by its time alone.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('@');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(4)?;
        name.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        name.push_str(rest);
    }
    Some(name)
}

/// The tables that are others by now, or are in one list alone: one that was away for a moment is in both lists of definitions all the same.
fn compared(before: Sorted, after: Sorted, databases: &[String]) -> Result<Others, Error> {
    let (mut before, mut after) = (Tables::new(before)?, Tables::new(after)?);
    let (mut one, mut other) = (before.next()?, after.next()?);
    let mut others = Others::default();
    loop {
        let order = match (&one, &other) {
            (None, None) => return Ok(others),
            (Some(was), Some(is)) => was.head.cmp(&is.head),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
        };
        if one != other
            && let Some(table) = if order.is_le() { &one } else { &other }
        {
            others.add(&table.object(), databases);
        }
        if order.is_le() {
            one = before.next()?;
        }
        if order.is_ge() {
            other = after.next()?;
        }
    }
}

/// A table of a list.
#[derive(PartialEq, Eq)]
struct Numbered {
    /// Its database, and its name as names are compared.
    head: Vec<u8>,
    name: String,
    made: Vec<u8>,
    /// Names and numbers of its parts, in order; InnoDB's own name tells parts apart.
    parts: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Numbered {
    fn object(&self) -> Object {
        let database = u16::from_be_bytes([self.head[0], self.head[1]]);
        Object { database, kind: ObjectKind::Table, name: self.name.clone() }
    }
}

/// The tables of a list, one by one. InnoDB has others, of its full-text indexes, and of changes that are under way: they are not listed.
struct Tables {
    records: Sorted,
    ahead: Option<Vec<u8>>,
}

impl Tables {
    fn new(mut records: Sorted) -> Result<Self, Error> {
        let ahead = records.next()?.map(<[u8]>::to_vec);
        Ok(Self { records, ahead })
    }

    fn next(&mut self) -> Result<Option<Numbered>, Error> {
        let mut table: Option<Numbered> = None;
        while let Some(record) = &self.ahead {
            let end = 2 + record[2..].iter().position(|byte| *byte == 0).expect("each is made above");
            let (head, rest) = (&record[..end], &record[end + LISTED.len()..]);
            let mut fields = rest.splitn(2, |byte| *byte == 0);
            let (name, value) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            let is_listed = record[end..].starts_with(LISTED);
            match &mut table {
                Some(table) if table.head == head => table.parts.push((name.to_vec(), value.to_vec())),
                Some(_) => break,
                None if is_listed => {
                    let name = String::from_utf8_lossy(name).into_owned();
                    table = Some(Numbered { head: head.to_vec(), name, made: value.to_vec(), parts: Vec::new() });
                }
                None => {}
            }
            self.ahead = self.records.next()?.map(<[u8]>::to_vec);
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_read_as_far_as_they_are_plain() {
        for (written, name) in [("abc_1", Some("abc_1")), ("t@002d1@0023x", Some("t-1#x")), ("@20ac", Some("€"))] {
            assert_eq!(decoded(written).as_deref(), name);
        }
        for written in ["@1o", "x@1o@002e", "@", "@zzzz", "@d83d"] {
            assert_eq!(decoded(written), None, "{written}");
        }
    }

    #[test]
    fn a_table_is_another_when_one_of_its_numbers_is_or_its_time_or_when_it_was_away() {
        let work = tempfile::tempdir().unwrap();
        let databases = ["x".to_owned(), "y".to_owned()];
        let of = |records: &[(usize, &str, &[u8], &str)]| {
            let mut sorter = Sorter::new(work.path(), 1 << 16);
            for (database, table, tag, rest) in records {
                sorter.push(&record(*database, table, tag, rest.as_bytes())).unwrap();
            }
            sorter.sorted().unwrap()
        };
        let (a, b) = ((0, "a", LISTED, "A\x001"), (1, "b", LISTED, "b\x001"));
        let numbered = |rest| (0, "a", NUMBERED, rest);
        let (p0, p1) = (numbered("x/a#P#p0\x007"), numbered("x/a#P#p1\x008"));
        let before = [a, p0, p1, b, (0, "fts_1", NUMBERED, "x/fts_1\x009")];
        let others = |after: &[(usize, &str, &[u8], &str)]| {
            let told = compared(of(&before), of(after), &databases).unwrap().told();
            told.and_then(|told| Some(told.split_once(" was emptied, ")?.0.to_owned()))
        };
        assert_eq!(others(&before), None);
        assert_eq!(others(&before[..4]), None, "what is not listed does not count");
        let of_a = Some("table `x`.`A`".to_owned());
        assert_eq!(others(&[a, p0, numbered("x/a#P#p1\x0013"), b]), of_a);
        assert_eq!(others(&[a, numbered("x/a#P#p0\x008"), numbered("x/a#P#p1\x007"), b]), of_a, "two have changed places");
        assert_eq!(others(&[(0, "a", LISTED, "A\x002"), p0, p1, b]), of_a, "it was away and is back");
        assert_eq!(others(&[a, p0, p1, (1, "b", LISTED, "b\x002")]).as_deref(), Some("table `y`.`b`"));
        assert_eq!(others(&[b]), of_a, "it is gone, and may be back before it is looked for again");
        assert_eq!(others(&[a, p0, p1, b, (1, "c", LISTED, "c\x001")]).as_deref(), Some("table `y`.`c`"), "it was away at the beginning");
    }
}
