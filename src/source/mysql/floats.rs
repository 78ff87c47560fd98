//! Values of FLOAT columns that a dump does not hold exactly: a server writes them as text with six digits, and a float may need nine.
//!
//! No dump program has an option against it. So each such column is looked at with a question that the server answers from its rows, and
//! those in which values come back as others are told as problems. `FLOAT(M,D)` is written with all of its digits, and `DOUBLE` always exactly.

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

/// Most FLOAT columns of a database that are looked at: their names are in memory.
const COLUMNS_MAX: usize = 20_000;

/// Most columns that are asked about in one statement, so that any server takes it.
const ASKED_MAX: usize = 200;

/// Most columns of a database that are told one by one: each is kept with the snapshot.
const TOLD_MAX: usize = 1_000;

const SET_UP: &str = "set up a session on";

/// FLOAT columns of one table.
struct Columns {
    table: String,
    /// The table as a statement names it, with the history of its rows where it keeps one.
    from: String,
    names: Vec<String>,
}

/// The problems of FLOAT columns of these databases whose values a dump does not hold exactly. A dump that was made just before is of the same
/// rows but for what was written since.
///
/// # Errors
/// [`Error::Server`] when the server does not answer; [`Error::Stopped`].
pub(super) fn find(login: &Login, databases: &[String], stop: &Stop) -> Result<Vec<Problem>, Error> {
    let mut connection = Connection::open(login, stop)?;
    let (mut problems, mut is_limited, mut slow) = (Vec::new(), None, 0);
    for database in databases {
        let (tables, mut more) = listed(&mut connection, database)?;
        let mut told = 0;
        for columns in tables {
            // Only a server with such columns is asked to keep a limit of time.
            let is_limited = match is_limited {
                Some(limited) => limited,
                None => *is_limited.insert(limit(&mut connection)?),
            };
            let looked = if !is_limited || slow == SLOW_MAX {
                Looked::Not("others took too long, or the server knows no limit of time".to_owned())
            } else {
                look(&mut connection, database, &columns)?
            };
            slow += usize::from(matches!(looked, Looked::Slow));
            for (column, what) in looked.told(&columns.names) {
                if told == TOLD_MAX {
                    more += 1;
                    continue;
                }
                told += 1;
                let key = if is_unique(&mut connection, database, &columns.table, column)? {
                    "; it is in a primary or unique key, so rows may become alike, and then a restore ends with an error"
                } else {
                    ""
                };
                let (base, table, name) = (quoted(database), quoted(&columns.table), quoted(column));
                let detail = format!(
                    "{base}.{table}.{name} is FLOAT, and dump programs write six digits of it: {what}{key}. ALTER TABLE {base}.{table} MODIFY \
                     {name} DOUBLE (with its other attributes) makes it exact from the next snapshot on"
                );
                problems.extend(problem(Problem::INEXACT_FLOAT, database, &format!("{}.{column}", columns.table), detail));
            }
        }
        if more > 0 {
            let detail = format!("up to {more} more columns of {} are FLOAT, and dump programs write six digits of them", quoted(database));
            problems.extend(problem(Problem::INEXACT_FLOAT, database, "*", detail));
        }
    }
    Ok(problems)
}

/// The FLOAT columns of a database whose values are in a dump, by table, and how many there are beyond those.
fn listed(connection: &mut Connection, database: &str) -> Result<(Vec<Columns>, usize), Error> {
    let external = EXTERNAL.map(literal).join(", ");
    let sql = format!(
        "SELECT c.table_name, c.column_name, t.table_type FROM information_schema.COLUMNS AS c JOIN information_schema.TABLES AS t ON \
         t.table_schema = c.table_schema AND t.table_name = c.table_name WHERE c.table_schema = {base} AND t.table_schema = {base} AND \
         c.data_type = 'float' AND c.numeric_scale IS NULL AND COALESCE(c.generation_expression, '') = '' AND t.table_type IN ('BASE TABLE', \
         'SYSTEM VERSIONED') AND t.engine NOT IN ({external}) ORDER BY c.table_name, c.ordinal_position",
        base = literal(database)
    );
    let (mut tables, mut count, mut more) = (Vec::<Columns>::new(), 0, 0);
    connection.each("list the FLOAT columns of", &sql, &mut |row| {
        let Ok([Some(table), Some(column), Some(kind)]) = <[_; 3]>::try_from(row) else { return Ok(()) };
        if count == COLUMNS_MAX {
            more += 1;
            return Ok(());
        }
        count += 1;
        match tables.last_mut() {
            Some(last) if last.table == table && last.names.len() < ASKED_MAX => last.names.push(column),
            _ => {
                let history = if kind == "SYSTEM VERSIONED" { " FOR SYSTEM_TIME ALL" } else { "" };
                let from = format!("{}.{}{history}", quoted(database), quoted(&table));
                tables.push(Columns { table, from, names: vec![column] });
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
    fn told(self, names: &[String]) -> Vec<(&String, String)> {
        match self {
            Self::Counted(counts) => {
                let lossy = names.iter().zip(counts).filter(|(_, count)| *count > 0);
                lossy.map(|(name, count)| (name, format!("{count} of its values come back as others"))).collect()
            }
            Self::Slow => {
                names.iter().map(|name| (name, "values may come back as others (its rows are too many to look at)".into())).collect()
            }
            Self::Not(why) => names.iter().map(|name| (name, format!("values may come back as others (nobody looked: {why})"))).collect(),
        }
    }
}

fn look(connection: &mut Connection, database: &str, columns: &Columns) -> Result<Looked, Error> {
    let sums: Vec<String> = columns.names.iter().map(|name| format!("COALESCE(SUM({}), 0)", is_lossy(&quoted(name)))).collect();
    let sql = format!("SELECT {} FROM {}", sums.join(", "), columns.from);
    match connection.rows("look at the FLOAT columns of a table of", &sql) {
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

/// Whether the float that is nearest to the text of a value is another one, as SQL that every server understands; not all know a cast to float.
///
/// Adding and taking away what is 2^52 times as large as the distance between two floats rounds a double to a float, ties to even as a server
/// does. Where the value is a power of two the logarithm may come out below it; something is taken from it so that it always does, because floats
/// below a power of two lie closer. Then one of a few such values is told though it is not changed. NULL for zero and NULL.
fn is_lossy(column: &str) -> String {
    let large = format!("POW(2, GREATEST(FLOOR(LOG2(ABS({column})) - 1e-9), -126) + 29) * 1.5");
    format!("{column} <> CONCAT({column}) + {large} - {large}")
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
