//! Which tables stand behind the names, so that one that takes the name of another while a dump is made is noticed.
//!
//! A dump program opens each table by its name when it comes to it, and sees its rows as of the beginning. A table that was there by then, empty,
//! and was filled and given the name of a live one since (`RENAME TABLE live.t TO old.t, next.t TO live.t`, `EXCHANGE PARTITION`) is dumped
//! without a row, and nothing says so: its definition is the same. InnoDB numbers its tables, each partition by itself, and a number is never
//! given twice; who has `PROCESS` may read them. Beside them stands the time at which a table was made, which everybody sees: of MariaDB and of
//! MySQL 5.7 that is the time of its last `RENAME` as well, so that two of them one after the other, the second of which undoes the first, are
//! noticed too; of MySQL 8 it is that of the table itself. It is in whole seconds.
//!
//! A table that is emptied by `TRUNCATE` or built anew has another number after it, and counts as another.

use std::path::Path;

use super::connection::{Connection, Value, is_answer, literal};
use super::foreign_keys::Names;
use super::inventory::{Inventory, SORT_BUDGET, Writer};
use super::object::{Object, ObjectKind};
use super::release::Release;
use crate::format::digest::Digest;
use crate::source::Error;
use crate::sys::sorter::{Sorted, Sorter};

const LIST: &str = "ask for the tables of";
const NUMBERS: &str = "ask for the numbers of the tables of";

/// What stands in a record after the name of the table, which holds no NUL: first the one that lists it, then those with its numbers.
const LISTED: &[u8] = &[0, 0];
const NUMBERED: &[u8] = &[0, 1];

/// The tables of some databases, each with a digest of its numbers and the time at which it was made.
pub(super) struct TableIds {
    tables: Inventory,
    /// Whether the account may read the numbers.
    has_numbers: bool,
}

impl TableIds {
    /// Asks the server.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub(super) fn read(connection: &mut Connection, databases: &[String], work: &Path) -> Result<Self, Error> {
        let names = Names::read(connection)?;
        let mut sorter = Sorter::new(work, SORT_BUDGET);
        let has_numbers = match number(connection, names, databases, &mut sorter) {
            // The account has no `PROCESS`, or the server no InnoDB.
            Err(error) if is_answer(&error) => false,
            numbered => numbered.map(|()| true)?,
        };
        Self::of(connection, names, databases, work, (sorter, has_numbers))
    }

    fn of(
        connection: &mut Connection,
        names: Names,
        databases: &[String],
        work: &Path,
        (mut sorter, has_numbers): (Sorter, bool),
    ) -> Result<Self, Error> {
        for (at, database) in databases.iter().enumerate() {
            let sql = format!(
                "SELECT table_name, CAST(create_time AS CHAR) FROM information_schema.TABLES WHERE table_schema = {} AND table_type NOT LIKE '%VIEW'",
                literal(database)
            );
            connection.each(LIST, &sql, &mut |row| {
                let Ok([Some(name), made]) = <[Value; 2]>::try_from(row) else { return Ok(()) };
                let rest = [name.as_bytes(), &[0], made.unwrap_or_default().as_bytes()].concat();
                Ok(sorter.push(&record(at, &names.compared(&name), LISTED, &rest))?)
            })?;
        }
        Ok(Self { tables: gathered(sorter.sorted()?, work)?, has_numbers })
    }

    /// Fails when other tables stand behind the names by now.
    ///
    /// # Errors
    /// [`Error::Moved`] naming them.
    pub(super) fn check_unchanged(&self, connection: &mut Connection, databases: &[String], work: &Path) -> Result<(), Error> {
        let names = Names::read(connection)?;
        let mut sorter = Sorter::new(work, SORT_BUDGET);
        if self.has_numbers {
            number(connection, names, databases, &mut sorter)?;
        }
        let now = Self::of(connection, names, databases, work, (sorter, self.has_numbers))?;
        match self.tables.changed(&now.tables, databases, &|_| true)? {
            None => Ok(()),
            Some(moved) => {
                let what = format!(
                    "{moved} was exchanged for another table of the same definition, emptied or built anew (RENAME, EXCHANGE PARTITION, TRUNCATE, OPTIMIZE)"
                );
                Err(Error::Moved { what })
            }
        }
    }
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

/// One digest for each table that is listed; InnoDB has others, of its full-text indexes, and of changes that are under way.
fn gathered(mut records: Sorted, work: &Path) -> Result<Inventory, Error> {
    let mut writer = Writer::new(work)?;
    let mut table: Option<Gathered> = None;
    while let Some(record) = records.next()? {
        let end = 2 + record[2..].iter().position(|byte| *byte == 0).expect("each is made above");
        if table.as_ref().is_none_or(|table| table.head != record[..end]) {
            if let Some(done) = table.take() {
                done.write(&mut writer)?;
            }
            let is_listed = record[end..].starts_with(LISTED);
            table = is_listed.then(|| Gathered { head: record[..end].to_vec(), key: key(record, end), of: Vec::new() });
        }
        if let Some(table) = &mut table {
            table.of.extend_from_slice(&record[end..]);
            table.of.push(b'\n');
        }
    }
    if let Some(done) = table {
        done.write(&mut writer)?;
    }
    writer.finish()
}

struct Gathered {
    /// The beginning that all records of the table have.
    head: Vec<u8>,
    key: Vec<u8>,
    of: Vec<u8>,
}

impl Gathered {
    fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        writer.add(&self.key, Digest::of(&self.of))
    }
}

/// The key of the table that a record lists, whose name is in it as the server gives it.
fn key(record: &[u8], end: usize) -> Vec<u8> {
    let rest = &record[end + LISTED.len()..];
    let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    let database = u16::from_be_bytes([record[0], record[1]]);
    Object { database, kind: ObjectKind::Table, name: String::from_utf8_lossy(name).into_owned() }.key()
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
    fn a_table_is_another_when_one_of_its_numbers_or_its_time_is() {
        let work = tempfile::tempdir().unwrap();
        let databases = ["x".to_owned(), "y".to_owned()];
        let of = |records: &[(usize, &str, &[u8], &str)]| {
            let mut sorter = Sorter::new(work.path(), 1 << 16);
            for (database, table, tag, rest) in records {
                sorter.push(&record(*database, table, tag, rest.as_bytes())).unwrap();
            }
            gathered(sorter.sorted().unwrap(), work.path()).unwrap()
        };
        let (a, b) = ((0, "a", LISTED, "A\x001"), (1, "b", LISTED, "b\x001"));
        let before =
            [a, (0, "a", NUMBERED, "x/a#P#p0\x007"), (0, "a", NUMBERED, "x/a#P#p1\x008"), b, (0, "fts_1", NUMBERED, "x/fts_1\x009")];
        let moved = |after: &[(usize, &str, &[u8], &str)]| of(&before).changed(&of(after), &databases, &|_| true).unwrap();
        assert_eq!(moved(&before), None);
        assert_eq!(moved(&before[..4]), None, "what is not listed does not count");
        assert_eq!(moved(&[a, before[1], (0, "a", NUMBERED, "x/a#P#p1\x0010"), b]).as_deref(), Some("table `x`.`A`"));
        assert_eq!(moved(&[a, before[1], before[2], (1, "b", LISTED, "b\x002")]).as_deref(), Some("table `y`.`b`"));
    }
}
