//! Whether the role may empty all tables that are to be filled: one that may empty some of them only would leave those without their rows.

use super::super::cql::Connection;
use super::super::schema::Kind;
use super::super::statements::quoted;
use super::super::take::Job;
use super::fill::Fill;
use crate::source::Error;

/// How a server says that only a superuser may list what everybody may do.
const NOT_SUPERUSER: &str = "not authorized to view everyone";

/// Most tables that are named.
const NAMED: usize = 10;

/// Proves that the role may empty these tables, where the node asks for permissions and tells a role its own.
///
/// # Errors
/// [`Error::Refused`] with the statement that gives what is lacking; [`Error::Cassandra`] when there is no connection; [`Error::Stopped`].
pub fn check_may_empty(job: &Job<'_>, tables: &[Fill]) -> Result<(), Error> {
    let Some(role) = &job.settings.cql.user else { return Ok(()) };
    let connection = Connection::open(job.settings, job.config, job.stop)?;
    let list = |of: &str, table: &Fill| {
        let cql = format!("LIST MODIFY PERMISSION ON TABLE {}.{}{of}", quoted(&table.keyspace), quoted(&table.name));
        connection.has_rows("list the permissions of a role of", &cql)
    };
    let mut tables = tables.iter().filter(|table| table.kind == Kind::Table).peekable();
    let Some(first) = tables.peek() else { return Ok(()) };
    match list("", first) {
        Err(Error::Cassandra { why, .. }) if why.contains(NOT_SUPERUSER) => {}
        // To a superuser it is told; a node without permissions has none to tell.
        Err(Error::Cassandra { .. }) | Ok(_) => return Ok(()),
        Err(error) => return Err(error),
    }
    let mut lacking = Vec::new();
    for table in tables {
        match list(&format!(" OF {}", quoted(role)), table) {
            Ok(false) => lacking.push(table),
            Ok(true) | Err(Error::Cassandra { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let Some(one) = lacking.first() else { return Ok(()) };
    let names: Vec<String> = lacking.iter().take(NAMED).map(|table| table.told()).collect();
    let more = if lacking.len() > NAMED { format!(" and {} more", lacking.len() - NAMED) } else { String::new() };
    Err(Error::Refused {
        why: format!(
            "{}{more} are not to be emptied by the role {role}: GRANT MODIFY ON KEYSPACE {} TO {}, and of each other keyspace that is meant",
            names.join(", "),
            quoted(&one.keyspace),
            quoted(role)
        ),
    })
}
