//! What would keep rows from the dump program without a word: settings of the server, or of `init_connect`, that its session begins with and
//! that it has no option against.

use super::connection::Connection;
use crate::source::Error;

/// What `sql_select_limit` is where it limits nothing.
const ALL: u64 = u64::MAX;

/// Refuses to make a dump that would lack rows.
///
/// # Errors
/// [`Error::Refused`] with the setting and the statement that puts it right; as [`Connection::rows`].
pub(super) fn check(connection: &mut Connection) -> Result<(), Error> {
    let rows = connection.rows("read the settings of", "SELECT @windlass_rows, @windlass_as_of")?;
    let mut values = rows.into_iter().next().unwrap_or_default().into_iter();
    let (rows, as_of) = (values.next().flatten(), values.next().flatten());
    if let Some(limit) = rows.filter(|rows| rows.parse() != Ok(ALL)) {
        return Err(refused("sql_select_limit", &limit, &format!("no more than {limit} rows of each table")));
    }
    // What is not known to a server is NULL.
    match as_of.filter(|as_of| as_of != "DEFAULT") {
        Some(as_of) => Err(refused("system_versioning_asof", &as_of, "rows of that time and not of today")),
        None => Ok(()),
    }
}

fn refused(name: &str, value: &str, what: &str) -> Error {
    let why = format!(
        "the server begins each session of this account with `{name}` = {value}, so that a dump would hold {what}: say `SET GLOBAL {name} = DEFAULT` \
         there, or take it out of `init_connect`"
    );
    Error::Refused { why }
}
