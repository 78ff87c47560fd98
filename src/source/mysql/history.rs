//! The history that tables keep of their rows, as far as the dump program can dump it.

use super::connection::{Connection, literal};
use super::outside::problem;
use super::settings::{Settings, folder_of};
use crate::format::path::RelPath;
use crate::source::{Error, Problem};

/// What is asked of the program, and what is not in the dump.
#[derive(Default)]
pub(super) struct History {
    pub(super) option: Option<&'static str>,
    pub(super) problems: Vec<Problem>,
}

impl History {
    /// Of databases in which some table keeps it, for a program that knows how to dump it or not.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub(super) fn find(connection: &mut Connection, settings: &Settings, is_known: bool) -> Result<Self, Error> {
        if !is_known {
            return Ok(Self { option: None, problems: unknown(settings).into_iter().collect() });
        }
        let mut problems = Vec::new();
        for database in &settings.databases {
            // The program ends at such a table when it is asked for the history of any.
            let sql = format!(
                "SELECT DISTINCT table_name FROM information_schema.COLUMNS WHERE table_schema = {} AND data_type = 'bigint' AND \
                 generation_expression = 'ROW START'",
                literal(database)
            );
            for name in connection.column("look for histories by transaction at", &sql)? {
                let detail = "it keeps the history of its rows by transactions (a BIGINT as ROW START), which no dump program can dump: the snapshot has \
                              no history, neither of it nor of any other table of this source, only the rows of now; TIMESTAMP(6) in place of BIGINT, \
                              or a source of its own for its database, brings it back";
                problems.extend(problem(Problem::EXTERNAL, database, &name, detail.to_owned()));
            }
        }
        Ok(Self { option: problems.is_empty().then_some("--dump-history"), problems })
    }
}

fn unknown(settings: &Settings) -> Option<Problem> {
    let path = RelPath::new(folder_of(&settings.databases[0])).ok()?;
    let detail =
        "a table keeps the history of its rows, which only mariadb-dump 10.11 and later can dump: it is not in the snapshot".to_owned();
    Some(Problem { kind: Problem::EXTERNAL, path, detail })
}
