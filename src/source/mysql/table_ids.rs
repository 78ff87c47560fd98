//! Which tables stand behind the names, so that one that takes the name of another while a dump is made is noticed.
//!
//! A dump program opens each table by its name when it comes to it, and sees its rows as of the beginning. A table that was there by then, empty,
//! and was filled and given the name of a live one since (`RENAME TABLE live.t TO old.t, next.t TO live.t`, `EXCHANGE PARTITION`) is dumped
//! without a row, and nothing says so: its definition is the same. InnoDB numbers its tables, each partition by itself, and a number is never
//! given twice; who has `PROCESS` may read them. Beside them stands the time at which a table was made, which everybody sees: of MariaDB and of
//! MySQL 5.7 that is the time of its last `RENAME` as well, so that two of them one after the other, the second of which undoes the first, are
//! noticed too; of MySQL 8 it is that of the table itself. It is in whole seconds.
//!
//! A table that has a number above all that there were before the dump was made since, by `TRUNCATE` or `OPTIMIZE` maybe: a dump that comes to it
//! then fails by itself (error 1412), and one that had been there has its rows. So it does not count.

use std::path::Path;

use super::connection::{Connection, Value, is_answer, literal};
use super::foreign_keys::Names;
use super::inventory::{Named, SORT_BUDGET};
use super::object::{Object, ObjectKind};
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
    /// The greatest number of any table of the server; `None` where the account may not read them.
    greatest: Option<u64>,
}

impl TableIds {
    /// Asks the server.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub(super) fn read(connection: &mut Connection, databases: &[String], work: &Path) -> Result<Self, Error> {
        let names = Names::read(connection)?;
        let mut sorter = Sorter::new(work, SORT_BUDGET);
        let greatest = match number(connection, names, databases, &mut sorter) {
            // The account has no `PROCESS`, or the server no InnoDB. What had come until then counts for nothing.
            Err(error) if is_answer(&error) => {
                sorter = Sorter::new(work, SORT_BUDGET);
                None
            }
            numbered => Some(numbered?),
        };
        list(connection, names, databases, &mut sorter)?;
        Ok(Self { records: sorter.sorted()?, greatest })
    }

    /// Fails when other tables stand behind the names by now.
    ///
    /// # Errors
    /// [`Error::Moved`] naming them.
    pub(super) fn check_unchanged(self, connection: &mut Connection, databases: &[String], work: &Path) -> Result<(), Error> {
        let names = Names::read(connection)?;
        let mut sorter = Sorter::new(work, SORT_BUDGET);
        if self.greatest.is_some() {
            number(connection, names, databases, &mut sorter)?;
        }
        list(connection, names, databases, &mut sorter)?;
        match moved(self.records, sorter.sorted()?, self.greatest, databases)? {
            None => Ok(()),
            Some(moved) => {
                let what = format!("{moved} was exchanged for another table of the same definition (RENAME, EXCHANGE PARTITION)");
                Err(Error::Moved { what })
            }
        }
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

/// Reads the numbers of all tables and partitions of InnoDB that are in these databases. Gives the greatest of the server.
fn number(connection: &mut Connection, names: Names, databases: &[String], sorter: &mut Sorter) -> Result<u64, Error> {
    let release = Release::of(&connection.value(NUMBERS, "SELECT VERSION()")?.unwrap_or_default());
    let sql_decodes = release.decodes_file_names();
    // A `#` in a name is written otherwise: what follows one is that of a partition, whose name may have upper and lower case.
    let parts = ["SUBSTRING_INDEX(name, '/', 1)", "SUBSTRING_INDEX(SUBSTRING(name, LOCATE('/', name) + 1), '#', 1)"];
    let [database, table] = parts.map(|part| {
        if sql_decodes { format!("CONVERT(CONVERT(CAST({part} AS BINARY) USING filename) USING utf8mb4)") } else { part.to_owned() }
    });
    let sql = format!("SELECT {database}, {table}, name, table_id FROM information_schema.{}", release.tables_of_innodb());
    let compared: Vec<String> = databases.iter().map(|name| names.compared(name)).collect();
    let mut greatest = 0;
    connection.each(NUMBERS, &sql, &mut |row| {
        greatest = greatest.max(row.last().and_then(|id| id.as_deref()?.parse().ok()).unwrap_or(0));
        let Ok([Some(database), Some(table), Some(name), Some(id)]) = <[Value; 4]>::try_from(row) else { return Ok(()) };
        let plain = |text: String| if sql_decodes { Some(text) } else { decoded(&text) };
        let (Some(database), Some(table)) = (plain(database), plain(table)) else { return Ok(()) };
        let database = names.compared(&database);
        if let Some(at) = compared.iter().position(|known| *known == database) {
            let rest = [name.as_bytes(), &[0], id.as_bytes()].concat();
            sorter.push(&record(at, &names.compared(&table), NUMBERED, &rest))?;
        }
        Ok(())
    })?;
    Ok(greatest)
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

/// The first of the tables that are others by now; what is not in both lists is told by the inventories.
fn moved(before: Sorted, after: Sorted, greatest: Option<u64>, databases: &[String]) -> Result<Option<String>, Error> {
    let (mut before, mut after) = (Tables::new(before)?, Tables::new(after)?);
    let (mut one, mut other) = (before.next()?, after.next()?);
    let mut moved = Named::default();
    while let (Some(was), Some(is)) = (&one, &other) {
        let order = was.head.cmp(&is.head);
        if order.is_eq() && was.is_another(is, greatest) {
            moved.add(&is.key(), databases);
        }
        if order.is_le() {
            one = before.next()?;
        }
        if order.is_ge() {
            other = after.next()?;
        }
    }
    Ok(moved.text())
}

/// A table of a list.
struct Numbered {
    /// Its database, and its name as names are compared.
    head: Vec<u8>,
    name: String,
    made: Vec<u8>,
    /// Names and numbers of its parts; InnoDB's own name tells parts apart.
    parts: Vec<(Vec<u8>, u64)>,
}

impl Numbered {
    /// Whether the table after the dump is another one, as far as that can be one which the dump has seen too early.
    fn is_another(&self, after: &Self, greatest: Option<u64>) -> bool {
        match greatest {
            Some(greatest) if self.parts != after.parts => {
                after.parts.iter().any(|part| part.1 <= greatest && !self.parts.iter().any(|was| was == part))
            }
            _ => self.made != after.made,
        }
    }

    fn key(&self) -> Vec<u8> {
        let database = u16::from_be_bytes([self.head[0], self.head[1]]);
        Object { database, kind: ObjectKind::Table, name: self.name.clone() }.key()
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
                Some(table) if table.head == head => {
                    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    table.parts.push((name.to_vec(), number.unwrap_or(0)));
                }
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
    fn a_table_is_another_when_a_number_of_before_has_come_to_it_or_its_time_alone_is_another() {
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
        let with = |greatest, after: &[(usize, &str, &[u8], &str)]| moved(of(&before), of(after), greatest, &databases).unwrap();
        let moved = |after: &[(usize, &str, &[u8], &str)]| with(Some(12), after);
        assert_eq!(moved(&before), None);
        assert_eq!(moved(&before[..4]), None, "what is not listed does not count");
        let of_a = Some("table `x`.`A`".to_owned());
        assert_eq!(moved(&[a, p0, numbered("x/a#P#p1\x0010"), b]), of_a, "another one of before");
        assert_eq!(moved(&[a, p0, numbered("x/a#P#p1\x0013"), b]), None, "it was emptied since");
        assert_eq!(moved(&[a, numbered("x/a#P#p0\x0010"), numbered("x/a#P#p1\x0013"), b]), of_a);
        assert_eq!(moved(&[a, numbered("x/a#P#p0\x008"), numbered("x/a#P#p1\x007"), b]), of_a, "two have changed places");
        assert_eq!(moved(&[(0, "a", LISTED, "A\x002"), p0, numbered("x/a#P#p1\x0013"), b]), None, "made anew, with a time of its own");
        assert_eq!(moved(&[(0, "a", LISTED, "A\x002"), p0, p1, b]), of_a, "it was away and is back");
        assert_eq!(moved(&[a, p0, p1, (1, "b", LISTED, "b\x002")]).as_deref(), Some("table `y`.`b`"));
        assert_eq!(with(None, &[(0, "a", LISTED, "A\x002"), b]), of_a);
        assert_eq!(with(None, &[b]), None, "what is gone is told by the inventories");
    }
}
