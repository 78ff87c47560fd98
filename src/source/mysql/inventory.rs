//! What a server says is in the databases, each thing with the digest of its definition. Any number of things: it lies on disk.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::connection::{Connection, Value, is_no_such, literal};
use super::foreign_keys::Names;
use super::invalid::InvalidView;
use super::object::{Object, ObjectKind, quoted};
use crate::format::digest::Digest;
use crate::source::Error;
use crate::sys::sorter::{Sorted, Sorter};
use crate::sys::table::unlinked;

/// What sorting a list of names may take in memory: some ten thousand of them.
pub(super) const SORT_BUDGET: usize = 1 << 20;

/// How many things that are missing or changed are named in an error.
const NAMED: usize = 10;

/// What the dump program looks for another delimiter for in an event, and never finds one (MariaDB 10.11).
const ENDLESS: &str = ";;";

/// A list of things in the order of [`Object`], and their digests.
pub(super) struct Inventory {
    file: File,
    work: PathBuf,
}

impl Inventory {
    /// Asks the server for all that is in these databases, and for each definition; but for the views that are left out of the dump.
    ///
    /// # Errors
    /// [`Error::Server`], also when a definition may not be seen.
    pub(super) fn read(connection: &mut Connection, databases: &[String], left_out: &[InvalidView], work: &Path) -> Result<Self, Error> {
        Self::read_some(connection, databases, left_out, &|_| true, work)
    }

    /// The same of those kinds that count.
    ///
    /// # Errors
    /// As [`Inventory::read`].
    pub(super) fn read_some(
        connection: &mut Connection,
        databases: &[String],
        left_out: &[InvalidView],
        counts: &dyn Fn(ObjectKind) -> bool,
        work: &Path,
    ) -> Result<Self, Error> {
        let left_out: BTreeSet<Vec<u8>> = left_out.iter().map(|view| view.object().key()).collect();
        let mut listed = list(connection, databases, work)?;
        let mut writer = Writer::new(work)?;
        while let Some(key) = listed.next()? {
            if left_out.contains(key) || !counts(Object::of_key(key).kind) {
                continue;
            }
            let digest = definition(connection, databases, &Object::of_key(key))?;
            writer.add(key, digest)?;
        }
        writer.finish()
    }

    /// The list from its beginning.
    fn entries(&self) -> Result<Entries, Error> {
        let failed = || Error::file("read a temporary file in", &self.work);
        let mut file = self.file.try_clone().map_err(failed())?;
        file.seek(SeekFrom::Start(0)).map_err(failed())?;
        Ok(Entries { file: BufReader::new(file), work: self.work.clone() })
    }

    /// Fails when what is listed here is not among what was `found` in a dump.
    ///
    /// # Errors
    /// [`Error::Dump`] naming what is missing.
    pub(super) fn check_found(&self, found: Sorter, databases: &[String]) -> Result<(), Error> {
        let (mut listed, mut found) = (self.entries()?, found.sorted()?);
        let mut missing = Named::default();
        let mut next = found.next()?.map(<[u8]>::to_vec);
        while let Some((key, _)) = listed.next()? {
            while next.as_ref().is_some_and(|next| *next < key) {
                next = found.next()?.map(<[u8]>::to_vec);
            }
            if next.as_ref() != Some(&key) {
                missing.add(&key, databases);
            }
        }
        match missing.text() {
            None => Ok(()),
            Some(missing) => Err(Error::Dump { why: format!("it holds no definition of {missing}, which the server lists") }),
        }
    }

    /// Fails when another list of the same databases, made later, differs.
    ///
    /// # Errors
    /// [`Error::Moved`] naming what differs.
    pub(super) fn check_unchanged(&self, later: &Self, databases: &[String]) -> Result<(), Error> {
        match self.changed(later, databases, &|_| true)? {
            None => Ok(()),
            Some(moved) => Err(Error::Moved { what: format!("{moved} was made, changed or removed") }),
        }
    }

    /// What differs in another list of the same databases, made later, as far as its kind counts.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn changed(&self, later: &Self, databases: &[String], counts: &dyn Fn(ObjectKind) -> bool) -> Result<Option<String>, Error> {
        let (mut before, mut after) = (self.entries()?, later.entries()?);
        let (mut one, mut other) = (before.next()?, after.next()?);
        let mut moved = Named::default();
        let mut add = |key: &[u8]| {
            if counts(Object::of_key(key).kind) {
                moved.add(key, databases);
            }
        };
        while one.is_some() || other.is_some() {
            match (&one, &other) {
                (Some(a), Some(b)) if a == b => {}
                (Some((a, _)), Some((b, _))) if a == b => add(a),
                (Some((a, _)), b) if b.as_ref().is_none_or(|(b, _)| a < b) => {
                    add(a);
                    one = before.next()?;
                    continue;
                }
                (_, Some((b, _))) => {
                    add(b);
                    other = after.next()?;
                    continue;
                }
                _ => {}
            }
            one = before.next()?;
            other = after.next()?;
        }
        Ok(moved.text())
    }
}

/// An inventory that is being written.
pub(super) struct Writer {
    file: BufWriter<File>,
    work: PathBuf,
}

impl Writer {
    pub(super) fn new(work: &Path) -> Result<Self, Error> {
        Ok(Self { file: BufWriter::new(unlinked(work)?), work: work.to_owned() })
    }

    /// Adds a thing, after all those whose keys come before its own.
    pub(super) fn add(&mut self, key: &[u8], digest: Digest) -> Result<(), Error> {
        let (file, length) = (&mut self.file, u32::try_from(key.len()).expect("names are short").to_le_bytes());
        let written = file.write_all(&length).and_then(|()| file.write_all(key)).and_then(|()| file.write_all(digest.as_bytes()));
        written.map_err(Error::file("write a temporary file in", &self.work))
    }

    pub(super) fn finish(self) -> Result<Inventory, Error> {
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error);
        Ok(Inventory { file: file.map_err(Error::file("write a temporary file in", &self.work))?, work: self.work })
    }
}

/// The first of many things, for an error.
#[derive(Default)]
pub(super) struct Named {
    names: Vec<String>,
    more: u64,
}

impl Named {
    pub(super) fn add(&mut self, key: &[u8], databases: &[String]) {
        if self.names.len() < NAMED {
            self.names.push(Object::of_key(key).told(databases));
        } else {
            self.more += 1;
        }
    }

    pub(super) fn text(self) -> Option<String> {
        let names = self.names.join(", ");
        match self.more {
            _ if names.is_empty() => None,
            0 => Some(names),
            more => Some(format!("{names} and {more} more")),
        }
    }
}

/// A thing's key, and the digest of its definition.
type Entry = (Vec<u8>, [u8; 32]);

struct Entries {
    file: BufReader<File>,
    work: PathBuf,
}

impl Entries {
    fn next(&mut self) -> Result<Option<Entry>, Error> {
        let mut length = [0; 4];
        match self.file.read_exact(&mut length) {
            Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(Error::file("read a temporary file in", &self.work))?,
        }
        let (mut key, mut digest) = (vec![0; u32::from_le_bytes(length) as usize], [0; 32]);
        let read = self.file.read_exact(&mut key).and_then(|()| self.file.read_exact(&mut digest));
        read.map_err(Error::file("read a temporary file in", &self.work))?;
        Ok(Some((key, digest)))
    }
}

/// All that is in the databases, in order.
pub(super) fn list(connection: &mut Connection, databases: &[String], work: &Path) -> Result<Sorted, Error> {
    let mut sorter = Sorter::new(work, SORT_BUDGET);
    let names = Names::read(connection)?;
    for (at, database) in databases.iter().enumerate() {
        let schema = literal(database);
        let (of_triggers, of_events) = (names.is("trigger_schema", database), names.is("event_schema", database));
        let questions = [
            ("list the tables of", format!("SELECT table_name, table_type FROM information_schema.TABLES WHERE table_schema = {schema}")),
            ("list the triggers of", format!("SELECT trigger_name, 'TRIGGER' FROM information_schema.TRIGGERS WHERE {of_triggers}")),
            ("list the events of", format!("SELECT event_name, 'EVENT' FROM information_schema.EVENTS WHERE {of_events}")),
            (
                "list the routines of",
                format!("SELECT routine_name, routine_type FROM information_schema.ROUTINES WHERE routine_schema = {schema}"),
            ),
        ];
        for (what, sql) in questions {
            connection.each(what, &sql, &mut |row| {
                if let [Some(name), Some(kind)] = &row[..]
                    && let Some(kind) = kind_of(kind)
                {
                    let database = u16::try_from(at).expect("databases are few");
                    sorter.push(&Object { database, kind, name: name.clone() }.key())?;
                }
                Ok(())
            })?;
        }
    }
    Ok(sorter.sorted()?)
}

/// What `information_schema` calls a kind; `None` for what is no part of a database's own.
fn kind_of(text: &str) -> Option<ObjectKind> {
    match text {
        "BASE TABLE" | "SYSTEM VERSIONED" => Some(ObjectKind::Table),
        other => ObjectKind::ALL.into_iter().find(|kind| kind.words() == other),
    }
}

/// The digest of a definition; of one that has just gone, that of nothing.
pub(super) fn definition(connection: &mut Connection, databases: &[String], object: &Object) -> Result<Digest, Error> {
    let database = &databases[usize::from(object.database)];
    let sql = format!("SHOW CREATE {} {}.{}", object.kind.words(), quoted(database), quoted(&object.name));
    let rows = match connection.rows("read a definition from", &sql) {
        Err(error) if is_no_such(&error) => return Ok(Digest::of(b"")),
        rows => rows?,
    };
    let row = rows.into_iter().next().unwrap_or_default();
    if row.iter().take(4).any(Option::is_none) {
        let why = format!("the definition of {} may not be seen by this account, so the dump would not have it", object.told(databases));
        return Err(Error::Refused { why });
    }
    if object.kind == ObjectKind::Event && row.iter().flatten().any(|text| text.contains(ENDLESS)) {
        let why = format!(
            "the definition of {} holds `{ENDLESS}`, at which the dump programs of MariaDB and MySQL go on for ever: write it with a blank \
             between",
            object.told(databases)
        );
        return Err(Error::Refused { why });
    }
    Ok(Digest::of(&fingerprint(&row)))
}

/// All of a row but for the counters that go on with every row that is inserted.
fn fingerprint(row: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in row.iter().flatten() {
        let mut rest = value.as_str();
        while let Some(at) = rest.find(" AUTO_INCREMENT=") {
            let after = &rest[at + " AUTO_INCREMENT=".len()..];
            bytes.extend_from_slice(&rest.as_bytes()[..at]);
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        bytes.extend_from_slice(rest.as_bytes());
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(work: &Path, entries: &[(&str, u8)]) -> Inventory {
        let mut file = unlinked(work).unwrap();
        for (name, digest) in entries {
            let key = Object { database: 0, kind: ObjectKind::Table, name: (*name).into() }.key();
            file.write_all(&u32::try_from(key.len()).unwrap().to_le_bytes()).unwrap();
            file.write_all(&key).unwrap();
            file.write_all(&[*digest; 32]).unwrap();
        }
        Inventory { file, work: work.to_owned() }
    }

    #[test]
    fn what_was_made_changed_or_removed_is_named() {
        let work = tempfile::tempdir().unwrap();
        let databases = ["x".to_owned()];
        let moved = |before: &[(&str, u8)], after: &[(&str, u8)]| {
            let checked = inventory(work.path(), before).check_unchanged(&inventory(work.path(), after), &databases);
            checked.map_or_else(|error| error.to_string(), |()| String::new())
        };
        assert_eq!(moved(&[("a", 1), ("b", 2)], &[("a", 1), ("b", 2)]), "");
        assert!(
            moved(&[("a", 1), ("b", 2), ("d", 4)], &[("a", 1), ("b", 3), ("c", 1)])
                .starts_with("table `x`.`b`, table `x`.`c`, table `x`.`d` was")
        );
        assert!(moved(&[], &[("a", 1)]).starts_with("table `x`.`a` was"));
        assert!(moved(&[("a", 1)], &[]).starts_with("table `x`.`a` was"));
        let many: Vec<(String, u8)> = (0..15).map(|n| (format!("t{n:02}"), 1)).collect();
        let many: Vec<(&str, u8)> = many.iter().map(|(name, digest)| (name.as_str(), *digest)).collect();
        assert!(moved(&many, &[]).contains("`t09` and 5 more"));
    }

    #[test]
    fn what_a_dump_lacks_is_named_and_what_it_has_besides_is_not() {
        let work = tempfile::tempdir().unwrap();
        let databases = ["x".to_owned()];
        let found = |names: &[&str]| {
            let mut found = Sorter::new(work.path(), 1 << 16);
            for name in names {
                found.push(&Object { database: 0, kind: ObjectKind::Table, name: (*name).into() }.key()).unwrap();
            }
            found
        };
        let listed = inventory(work.path(), &[("a", 1), ("c", 1)]);
        listed.check_found(found(&["c", "a", "b", "a"]), &databases).unwrap();
        let error = listed.check_found(found(&["b", "c"]), &databases).unwrap_err();
        assert_eq!(error.to_string(), "there is no whole dump: it holds no definition of table `x`.`a`, which the server lists");
    }

    #[test]
    fn a_counter_is_no_part_of_a_definition() {
        let row = |text: &str| fingerprint(&[Some("t".into()), Some(text.into())]);
        assert_eq!(row("x AUTO_INCREMENT=12 y AUTO_INCREMENT=7"), row("x AUTO_INCREMENT=13 y"));
        assert_ne!(row("x"), row("y"));
    }
}
