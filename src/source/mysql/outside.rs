//! Tables that one transaction does not hold still, and tables whose rows are elsewhere.

use super::connection::{Connection, is_answer, is_busy, literal, said};
use super::object::quoted;
use super::option_file::Login;
use super::rights::Rights;
use super::settings::{Settings, folder_of};
use crate::format::escape::escape;
use crate::format::path::RelPath;
use crate::source::{Error, Problem};
use crate::sys::stop::Stop;

/// Engines whose tables stand for rows that lie elsewhere: the dump program writes their definition alone.
pub(super) const EXTERNAL: [&str; 7] = ["FEDERATED", "CONNECT", "SPIDER", "OQGRAPH", "VP", "SPHINX", "MRG_MYISAM"];

/// Engines that keep no rows at all.
const EMPTY: [&str; 1] = ["BLACKHOLE"];

/// How long is waited for others to let go of tables that are to be locked: while it waits, whoever comes after it waits too.
const LOCK_WAIT: &str = "SET SESSION lock_wait_timeout = 30";

/// Most tables that are locked; such tables are the exception, and their names stand in memory and in one statement. Those beyond are told.
const LOCKED_MAX: usize = 10_000;

/// What the transaction of the dump does not cover.
pub(super) struct Outside {
    /// Keeps the locks, while it lives; `None` when nothing is locked.
    hold: Option<Connection>,
    /// What is wrong with the dump for that.
    pub(super) problems: Vec<Problem>,
    /// Whether some table keeps the history of its rows.
    pub(super) has_history: bool,
}

struct Table {
    database: String,
    name: String,
}

/// Tables that are to be locked: as many as are. The others of a database are counted.
#[derive(Default)]
struct Loose {
    tables: Vec<Table>,
    beyond: u64,
}

impl Loose {
    fn add(&mut self, database: &str, name: &str) {
        if self.tables.len() < LOCKED_MAX {
            self.tables.push(Table { database: database.to_owned(), name: name.to_owned() });
        } else {
            self.beyond += 1;
        }
    }

    /// What is to be told of those of a database that were counted since the one before.
    fn beyond(&mut self, database: &str) -> Option<Problem> {
        let beyond = Some(std::mem::take(&mut self.beyond)).filter(|beyond| *beyond > 0)?;
        let detail = format!(
            "{beyond} more of its tables take part in no transaction, and no more than {LOCKED_MAX} are locked or told one by one; their rows may \
             be of another instant"
        );
        problem(Problem::NOT_TRANSACTIONAL, database, "*", detail)
    }
}

impl Outside {
    /// Finds such tables, and locks for reading those whose rows could change while the dump is made.
    ///
    /// # Errors
    /// [`Error::Server`] when they cannot be listed.
    pub(super) fn find(
        connection: &mut Connection,
        settings: &Settings,
        rights: &Rights,
        login: &Login,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let engines =
            connection.column("ask for the engines of", "SELECT engine FROM information_schema.ENGINES WHERE transactions = 'YES'")?;
        let (mut loose, mut problems, mut has_history) = (Loose::default(), Vec::new(), false);
        for database in &settings.databases {
            let sql = format!(
                "SELECT table_name, engine, table_type FROM information_schema.TABLES WHERE table_schema = {} AND engine IS NOT NULL AND \
                 table_type NOT LIKE '%VIEW' AND table_type <> 'SEQUENCE' ORDER BY table_name",
                literal(database)
            );
            connection.each("ask for the engines of the tables of", &sql, &mut |row| {
                let [Some(name), Some(engine), Some(kind)] = &row[..] else { return Ok(()) };
                has_history |= kind == "SYSTEM VERSIONED";
                let is = |list: &[&str]| list.iter().any(|known| engine.eq_ignore_ascii_case(known));
                if is(&EXTERNAL) {
                    let detail = format!("its engine is {engine}: its rows lie elsewhere, and only its definition is in the snapshot");
                    problems.extend(problem(Problem::EXTERNAL, database, name, detail));
                } else if !is(&EMPTY) && !engines.contains(engine) {
                    loose.add(database, name);
                }
                Ok(())
            })?;
            problems.extend(loose.beyond(database));
        }
        let loose = loose.tables;
        let mut outside = Self { hold: None, problems, has_history };
        if loose.is_empty() {
            return Ok(outside);
        }
        let lacking = loose.iter().map(|table| rights.lacking_to_lock(&table.database)).find(|lacking| !lacking.is_empty());
        let why = if !settings.lock_tables {
            "lock_tables is false".to_owned()
        } else if let Some(lacking) = lacking {
            format!("the account may not lock it: {}", lacking.join("; "))
        } else {
            match lock(&loose, login, stop) {
                Ok(hold) => {
                    outside.hold = Some(hold);
                    return Ok(outside);
                }
                Err(error) if is_busy(&error) => "it could not be locked, because others use it all the while".to_owned(),
                Err(error) if is_answer(&error) => format!("it could not be locked ({})", said(&error)),
                Err(error) => return Err(error),
            }
        };
        for Table { database, name } in loose {
            let detail = format!("it takes part in no transaction, and {why}; its rows may be of another instant");
            outside.problems.extend(problem(Problem::NOT_TRANSACTIONAL, &database, &name, detail));
        }
        Ok(outside)
    }

    /// Lets go of the tables, and fails when they were not held all the while.
    ///
    /// # Errors
    /// [`Error::Dump`].
    pub(super) fn release(&mut self) -> Result<(), Error> {
        let Some(mut hold) = self.hold.take() else { return Ok(()) };
        hold.run("unlock tables of", "UNLOCK TABLES").map_err(|error| match error {
            Error::Server { cause, .. } => {
                Error::Dump { why: format!("the tables that take part in no transaction were not locked to its end: {cause}") }
            }
            other => other,
        })
    }
}

fn lock(tables: &[Table], login: &Login, stop: &Stop) -> Result<Connection, Error> {
    let mut hold = Connection::open(login, stop)?;
    hold.run("set up a session on", LOCK_WAIT)?;
    let list: Vec<String> = tables.iter().map(|table| format!("{}.{}", quoted(&table.database), quoted(&table.name))).collect();
    // Under plain LOCK TABLES, whoever wants to write queues before the dump, which then waits for it for ever.
    hold.run("lock tables of", &format!("FLUSH TABLES {} WITH READ LOCK", list.join(", ")))?;
    Ok(hold)
}

/// A problem with one table; its path is that of its database's folder and its name.
pub(super) fn problem(kind: &'static str, database: &str, table: &str, detail: String) -> Option<Problem> {
    let name = escape(table.as_bytes()).replace('/', "%2F");
    let path = RelPath::new(format!("{}/{name}", folder_of(database))).ok()?;
    Some(Problem { kind, path, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_beyond_those_that_are_locked_are_told_with_their_database() {
        let mut loose = Loose::default();
        let mut told = |database: &str, count: usize| {
            (0..count).for_each(|n| loose.add(database, &format!("t{n}")));
            loose.beyond(database).map(|problem| (problem.kind, problem.path.to_string(), problem.detail))
        };
        assert_eq!(told("x", LOCKED_MAX), None);
        for (database, count) in [("y", 1), ("z", 3)] {
            let (kind, path, detail) = told(database, count).unwrap();
            assert_eq!((kind, path), (Problem::NOT_TRANSACTIONAL, format!("{database}/*")));
            assert!(detail.starts_with(&format!("{count} more of its tables")), "{detail}");
        }
        assert_eq!((told("w", 0), loose.tables.len()), (None, LOCKED_MAX));
    }
}
