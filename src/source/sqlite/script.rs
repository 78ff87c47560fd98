//! Running statements of one's own: for a database that is made to be shown.

use std::path::Path;
use std::time::Duration;

use super::connection::{Access, Connection};
use crate::source::Error;
use crate::sys::stop::Stop;

/// How long it waits for the locks of others.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs statements, separated by semicolons, on a database that is made where there is none. The text is trusted.
///
/// # Errors
/// [`Error::Sql`], [`Error::Busy`].
pub fn script(path: &Path, statements: String, stop: &Stop) -> Result<(), Error> {
    let mut connection = Connection::open(path, Access::Create, PATIENCE, stop)?;
    connection.run_owned("run statements on", statements)?;
    connection.close()
}

/// The first column, a text, of all rows that a query gives; the query must bound their number.
///
/// # Errors
/// [`Error::Sql`], [`Error::Busy`].
pub fn rows(path: &Path, query: &'static str, stop: &Stop) -> Result<Vec<String>, Error> {
    let mut connection = Connection::open(path, Access::Read, PATIENCE, stop)?;
    let rows = connection.column("read", query)?;
    connection.close()?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_writes_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let stop = Stop::new();
        script(&path, "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x'), ('y');".into(), &stop).unwrap();
        assert_eq!(rows(&path, "SELECT a FROM t ORDER BY a", &stop).unwrap(), ["x", "y"]);
        assert!(script(&path, "CREATE TABLE t (a TEXT)".into(), &stop).is_err());
    }
}
