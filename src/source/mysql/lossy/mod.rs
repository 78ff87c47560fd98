//! Values that a dump does not hold exactly. No dump program says a word of it, or has an option against it.
//!
//! So each column that may have such values is looked at with a question that the server answers from its rows, and those in which values come
//! back as others are told as problems: digits of a FLOAT (`floats`), characters that Unicode does not have (`texts`), decimal numbers in JSON
//! (`documents`).

mod documents;
mod floats;
mod texts;

use super::connection::{Connection, is_answer, is_no_such, is_over_time, literal, said};
use super::object::quoted;
use super::option_file::Login;
use super::outside::{EXTERNAL, problem};
use crate::source::{Error, Problem};
use crate::sys::stop::Stop;

/// How long the server may look at the rows of one table, in seconds: enough for some fifty million of them on a slow machine.
const TABLE_SECONDS: u32 = 120;

/// After so many tables that took longer, no others are looked at: a snapshot would be late for a warning.
const SLOW_MAX: usize = 5;

/// Most columns of a kind in a database that are looked at: their names are in memory.
const COLUMNS_MAX: usize = 20_000;

/// Most columns that are asked about in one statement, so that any server takes it.
const ASKED_MAX: usize = 200;

/// Most columns of a database that are told one by one: each is kept with the snapshot.
const TOLD_MAX: usize = 1_000;

const SET_UP: &str = "set up a session on";

/// A way in which values come back as others.
struct Loss {
    /// The kind of problem.
    kind: &'static str,
    /// What is done when columns are listed, and when their values are looked at.
    list: &'static str,
    look: &'static str,
    /// Which columns `c` of `information_schema.COLUMNS` may have such values.
    condition: &'static str,
    /// Whether a value of a column is one, as SQL.
    is_lossy: fn(&Column) -> String,
    /// What such a column is, and what that does.
    cause: fn(&Column) -> String,
    /// What puts an end to it, in a table whose name is quoted.
    remedy: fn(&str, &Column) -> String,
    /// What those are that are not told one by one.
    beyond: &'static str,
}

struct Column {
    name: String,
    /// Empty for what is no text.
    character_set: String,
}

/// Columns of one table.
struct Columns {
    table: String,
    /// The table as a statement names it, with the history of its rows where it keeps one.
    from: String,
    columns: Vec<Column>,
}

/// The problems of columns of these databases whose values a dump does not hold exactly. A dump that was made just before is of the same rows but
/// for what was written since.
///
/// # Errors
/// [`Error::Server`] when the server does not answer; [`Error::Stopped`].
pub(super) fn find(login: &Login, databases: &[String], stop: &Stop) -> Result<Vec<Problem>, Error> {
    let mut connection = Connection::open(login, stop)?;
    let mut problems = Vec::new();
    for loss in [&floats::LOSS, &texts::LOSS, &documents::LOSS] {
        let mut looking = Looking { loss, is_limited: None, slow: 0 };
        for database in databases {
            problems.extend(looking.database(&mut connection, database)?);
        }
    }
    Ok(problems)
}

/// Looking for one kind of loss in all databases.
struct Looking<'a> {
    loss: &'a Loss,
    /// Whether the server gives up what takes too long; `None` before it was asked to, which only one with such columns is.
    is_limited: Option<bool>,
    /// How many tables took too long.
    slow: usize,
}

impl Looking<'_> {
    fn database(&mut self, connection: &mut Connection, database: &str) -> Result<Vec<Problem>, Error> {
        let (tables, mut more) = listed(connection, self.loss, database)?;
        let (mut problems, mut told) = (Vec::new(), 0);
        for table in tables {
            let looked = self.table(connection, database, &table)?;
            for (column, what) in looked.told(&table.columns) {
                if told == TOLD_MAX {
                    more += 1;
                    continue;
                }
                told += 1;
                problems.extend(self.problem(connection, database, &table.table, column, &what)?);
            }
        }
        if more > 0 {
            let detail = format!("up to {more} more columns of {} {}", quoted(database), self.loss.beyond);
            problems.extend(problem(self.loss.kind, database, "*", detail));
        }
        Ok(problems)
    }

    fn table(&mut self, connection: &mut Connection, database: &str, table: &Columns) -> Result<Looked, Error> {
        let is_limited = match self.is_limited {
            Some(limited) => limited,
            None => *self.is_limited.insert(limit(connection)?),
        };
        if !is_limited || self.slow == SLOW_MAX {
            return Ok(Looked::Not("others took too long, or the server knows no limit of time".to_owned()));
        }
        let looked = look(connection, self.loss, database, table)?;
        self.slow += usize::from(matches!(looked, Looked::Slow));
        Ok(looked)
    }

    fn problem(
        &self,
        connection: &mut Connection,
        database: &str,
        table: &str,
        column: &Column,
        what: &str,
    ) -> Result<Option<Problem>, Error> {
        let name = &column.name;
        let key = if is_unique(connection, database, table, name)? {
            "; it is in a primary or unique key, so rows may become alike, and then a restore ends with an error"
        } else {
            ""
        };
        let place = format!("{}.{}", quoted(database), quoted(table));
        let (cause, remedy) = ((self.loss.cause)(column), (self.loss.remedy)(&place, column));
        let detail = format!("{place}.{} {cause}: {what}{key}. {remedy}", quoted(name));
        Ok(problem(self.loss.kind, database, &format!("{table}.{name}"), detail))
    }
}

/// The columns of a database that may lose values and whose values are in a dump, by table, and how many there are beyond those.
fn listed(connection: &mut Connection, loss: &Loss, database: &str) -> Result<(Vec<Columns>, usize), Error> {
    let external = EXTERNAL.map(literal).join(", ");
    let sql = format!(
        "SELECT c.table_name, c.column_name, COALESCE(c.character_set_name, ''), t.table_type FROM information_schema.COLUMNS AS c JOIN \
         information_schema.TABLES AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name WHERE c.table_schema = {base} AND \
         t.table_schema = {base} AND {condition} AND COALESCE(c.generation_expression, '') = '' AND t.table_type IN ('BASE TABLE', 'SYSTEM \
         VERSIONED') AND t.engine NOT IN ({external}) ORDER BY c.table_name, c.ordinal_position",
        base = literal(database),
        condition = loss.condition
    );
    let (mut tables, mut count, mut more) = (Vec::<Columns>::new(), 0, 0);
    connection.each(loss.list, &sql, &mut |row| {
        let Ok([Some(table), Some(name), Some(character_set), Some(kind)]) = <[_; 4]>::try_from(row) else { return Ok(()) };
        if count == COLUMNS_MAX {
            more += 1;
            return Ok(());
        }
        count += 1;
        let column = Column { name, character_set };
        match tables.last_mut() {
            Some(last) if last.table == table && last.columns.len() < ASKED_MAX => last.columns.push(column),
            _ => {
                let history = if kind == "SYSTEM VERSIONED" { " FOR SYSTEM_TIME ALL" } else { "" };
                let from = format!("{}.{}{history}", quoted(database), quoted(&table));
                tables.push(Columns { table, from, columns: vec![column] });
            }
        }
        Ok(())
    })?;
    Ok((tables, more))
}

/// Has the server give up what takes too long; false where it cannot.
fn limit(connection: &mut Connection) -> Result<bool, Error> {
    // In MariaDB's seconds and in MySQL's milliseconds.
    for sql in [format!("max_statement_time = {TABLE_SECONDS}"), format!("max_execution_time = {TABLE_SECONDS}000")] {
        match connection.run(SET_UP, &format!("SET SESSION {sql}")) {
            Err(error) if is_answer(&error) => {}
            set => return set.map(|()| true),
        }
    }
    Ok(false)
}

/// What came of looking at the rows of a table.
enum Looked {
    /// How many values of each column come back as others.
    Counted(Vec<u64>),
    /// It took too long.
    Slow,
    /// It was not possible.
    Not(String),
}

impl Looked {
    /// The columns that are to be told, and what is known of each.
    fn told(self, columns: &[Column]) -> Vec<(&Column, String)> {
        match self {
            Self::Counted(counts) => {
                let lossy = columns.iter().zip(counts).filter(|(_, count)| *count > 0);
                lossy.map(|(column, count)| (column, format!("{count} of its values come back as others"))).collect()
            }
            Self::Slow => {
                columns.iter().map(|column| (column, "values may come back as others (its rows are too many to look at)".into())).collect()
            }
            Self::Not(why) => {
                columns.iter().map(|column| (column, format!("values may come back as others (nobody looked: {why})"))).collect()
            }
        }
    }
}

fn look(connection: &mut Connection, loss: &Loss, database: &str, columns: &Columns) -> Result<Looked, Error> {
    let sums: Vec<String> = columns.columns.iter().map(|column| format!("COALESCE(SUM({}), 0)", (loss.is_lossy)(column))).collect();
    let sql = format!("SELECT {} FROM {}", sums.join(", "), columns.from);
    match connection.rows(loss.look, &sql) {
        // It was dropped meanwhile; so it was in the dump, and its values are nobody's any more.
        Err(error) if is_no_such(&error) => Ok(Looked::Counted(Vec::new())),
        Err(error) if is_over_time(&error) => Ok(Looked::Slow),
        Err(error) if is_answer(&error) => Ok(Looked::Not(said(&error))),
        rows => {
            let counts: Option<Vec<u64>> =
                rows?.into_iter().next().and_then(|row| row.into_iter().map(|count| count?.parse().ok()).collect());
            counts.map(Looked::Counted).ok_or_else(|| {
                connection.contradiction("count values in", format!(": of {}.{}", quoted(database), columns.from), "no number came".into())
            })
        }
    }
}

/// Whether a column is part of a primary or unique key.
fn is_unique(connection: &mut Connection, database: &str, table: &str, column: &str) -> Result<bool, Error> {
    let sql = format!(
        "SELECT 1 FROM information_schema.STATISTICS WHERE table_schema = {} AND table_name = {} AND column_name = {} AND non_unique = 0 LIMIT 1",
        literal(database),
        literal(table),
        literal(column)
    );
    Ok(connection.value("look for the keys of a column of", &sql)?.is_some())
}
