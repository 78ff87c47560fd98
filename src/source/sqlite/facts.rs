//! What is worth knowing of a database beside its bytes.

use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use super::connection::Connection;
use crate::source::Error;

/// The applications' tables, in order, at most 1,000: more would not help a person.
const NAMES: &str = "SELECT substr(name, 1, 1000) FROM sqlite_schema
    WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name LIMIT 1000";

/// How many of them there are.
const COUNT: &str = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

/// Most rows that are counted in one table: enough to tell an empty table from one that is not, without reading all of a large one.
const ROWS_MAX: u64 = 100_000;

/// Facts of a database, for its snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Version of the SQLite that made the copy.
    pub sqlite: String,
    /// Bytes of a page.
    pub page_size: u32,
    /// How the live database commits: `delete`, `wal`, and so on. The copy itself is never in `wal`.
    pub journal_mode: String,
    /// The application's own version of its schema.
    pub user_version: i32,
    /// The application's mark.
    pub application_id: i32,
    /// How text is stored: `UTF-8`, `UTF-16le`, `UTF-16be`.
    pub encoding: String,
    /// How many tables it has, SQLite's own not counted.
    pub table_count: u64,
    /// The tables by name, at most the first 1,000.
    pub tables: Vec<TableFacts>,
}

/// Facts of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFacts {
    /// Its name; at most its first 1,000 characters.
    pub name: String,
    /// Its rows, up to 100,000, where counting stops; `None` for a table that needs an extension to be read.
    pub rows: Option<u64>,
}

impl Facts {
    /// Reads the facts of a copy; `journal_mode` is that of the live database.
    pub(super) fn read(connection: &mut Connection, journal_mode: String) -> Result<Self, Error> {
        const WHAT: &str = "read the facts of";
        Ok(Self {
            sqlite: connection.value(WHAT, "SELECT sqlite_version()")?,
            page_size: connection.value(WHAT, "PRAGMA page_size")?,
            journal_mode,
            user_version: connection.value(WHAT, "PRAGMA user_version")?,
            application_id: connection.value(WHAT, "PRAGMA application_id")?,
            encoding: connection.value(WHAT, "PRAGMA encoding")?,
            table_count: u64::try_from(connection.value::<i64>(WHAT, COUNT)?).unwrap_or(0),
            tables: tables(connection)?,
        })
    }
}

fn tables(connection: &mut Connection) -> Result<Vec<TableFacts>, Error> {
    let names = connection.column("list the tables of", NAMES)?;
    names
        .into_iter()
        .map(|name| {
            let quoted = name.replace('"', "\"\"");
            let count = format!("SELECT count(*) FROM (SELECT 1 FROM main.\"{quoted}\" LIMIT {ROWS_MAX})");
            let rows = match connection.value::<i64>("count the rows of", AssertSqlSafe(count)) {
                Ok(rows) => u64::try_from(rows).ok(),
                Err(Error::Sql { .. }) => None,
                Err(error) => return Err(error),
            };
            Ok(TableFacts { name, rows })
        })
        .collect()
}
