//! Whether anybody has written to what came with an exchange, once that is taken back and what came is beside again.
//!
//! InnoDB knows of each table, for as long as it has it open, when a change to its rows was last committed, to the second; moving a table or
//! altering how it is defined is none. So what was loaded is over for a second before tables move, and a later time is somebody else's.

use super::super::connection::{Connection, literal};
use super::super::object::quoted;
use super::{Around, Exchange, Pair};
use crate::source::Error;

const ASK: &str = "ask when tables were last written to on";

/// Times are compared in a time zone that has no hour twice.
const UTC: &str = "SET SESSION time_zone = '+00:00'";

/// The second that it is, once no row that was loaded was committed in it. One statement asks and waits, so that an exchange sends the same
/// ones in whichever instant it comes.
pub(super) fn since(connection: &mut Connection, pairs: &[Pair]) -> Result<u64, Error> {
    connection.run("set up a session on", UTC)?;
    if !pairs.is_empty() {
        let beside: Vec<String> = pairs.iter().map(|pair| literal(&pair.incoming.database)).collect();
        let wait = format!(
            "DO SLEEP(IF(EXISTS (SELECT 1 FROM information_schema.TABLES WHERE table_schema IN ({}) AND update_time >= \
             FROM_UNIXTIME(UNIX_TIMESTAMP())), 1.01 - MICROSECOND(NOW(6)) / 1000000, 0))",
            beside.join(", ")
        );
        connection.run("wait until a second is over on", &wait)?;
    }
    let second = connection.value(ASK, "SELECT UNIX_TIMESTAMP()")?;
    Ok(second.and_then(|second| second.parse().ok()).unwrap_or_default())
}

impl Exchange {
    /// Whether somebody may have written to tables that came and have moved back: where nothing tells that nobody has, it counts as written.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub fn is_written(&self, around: Around<'_>) -> Result<bool, Error> {
        let mut connection = around.connect()?;
        connection.run("set up a session on", UTC)?;
        for pair in &self.pairs {
            let sql = format!(
                "SELECT table_name, engine = 'InnoDB', update_time < FROM_UNIXTIME({}) FROM information_schema.TABLES WHERE table_schema = {} AND \
                 table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')",
                self.since,
                literal(&pair.incoming.database)
            );
            for row in connection.rows(ASK, &sql)? {
                let is_old = match &row[..] {
                    [Some(_), Some(is_innodb), Some(is_before)] => is_innodb == "1" && is_before == "1",
                    // What was never written to has no time; nor has what the server has closed since.
                    [Some(table), Some(_), None] => is_empty(&mut connection, &pair.incoming.database, table)?,
                    _ => false,
                };
                if !is_old {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

fn is_empty(connection: &mut Connection, database: &str, table: &str) -> Result<bool, Error> {
    let sql = format!("SELECT 1 FROM {}.{} LIMIT 1", quoted(database), quoted(table));
    Ok(connection.value("read a row from", &sql)?.is_none())
}
