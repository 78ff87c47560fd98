//! Who is connected to databases that are to be replaced.

use std::time::Duration;

use super::Session;
use crate::source::Error;
use crate::source::mysql::connection::{Connection, is_answer, literal};
use crate::source::mysql::facts::number;

/// Most groups of connections that are told: they are shown to a person, who acts on the first few.
const SESSIONS_MAX: usize = 20;

/// Transactions with their age, for whoever may see them; and nobody's, for those who may not.
const AGES: &str =
    "SELECT trx_mysql_thread_id AS id, MAX(TIMESTAMPDIFF(SECOND, trx_started, NOW())) AS age FROM information_schema.INNODB_TRX GROUP BY 1";
const NO_AGES: &str = "SELECT NULL AS id, NULL AS age";

/// A host without the port of the connection; addresses of version 6 have colons of their own.
const HOST: &str = "IF(p.host LIKE '%:%', LEFT(p.host, CHAR_LENGTH(p.host) - CHAR_LENGTH(SUBSTRING_INDEX(p.host, ':', -1)) - 1), p.host)";

/// The sessions of a server.
pub(super) struct Seen {
    pub(super) sessions: Vec<Session>,
    /// Connections besides those.
    pub(super) more: u64,
    /// Whether the account sees those of others.
    pub(super) sees_all: bool,
}

/// Connections to one of these databases, but for the one that asks.
///
/// # Errors
/// [`Error::Server`].
pub(super) fn read(connection: &mut Connection, databases: &[String], compares_case: bool) -> Result<Seen, Error> {
    // The right to see transactions is the one to see the connections of others. Asked for by itself, because a join with nothing to join does
    // not fail.
    let sees_all = match connection.value("count the transactions of", "SELECT COUNT(*) FROM information_schema.INNODB_TRX") {
        Err(error) if is_answer(&error) => false,
        counted => counted.map(|_| true)?,
    };
    let ages = if sees_all { AGES } else { NO_AGES };
    let grouped = connection.rows("list the sessions of", &question(ages, databases, compares_case))?;
    let from = format!("FROM information_schema.PROCESSLIST p WHERE {}", condition(databases, compares_case));
    let all = connection.value("count the sessions of", &format!("SELECT COUNT(*) {from}"))?.map_or(0, |text| number(&text));
    let sessions: Vec<Session> = grouped
        .into_iter()
        .filter_map(|row| {
            let [user, host, database, count, longest] = row.try_into().ok()?;
            let number = |value: Option<String>| value.map_or(0, |text| number(&text));
            Some(Session {
                user: user?,
                host: host?,
                database: database?,
                count: number(count),
                longest: Duration::from_secs(number(longest)),
            })
        })
        .collect();
    let told: u64 = sessions.iter().map(|session| session.count).sum();
    Ok(Seen { sessions, more: all.saturating_sub(told), sees_all })
}

fn question(ages: &str, databases: &[String], compares_case: bool) -> String {
    // A connection that sleeps has no statement: its time is since when it does.
    format!(
        "SELECT p.user, {HOST}, p.db, COUNT(*), MAX(GREATEST(IF(p.command IN ('Sleep', 'Daemon'), 0, p.time), COALESCE(t.age, 0))) AS longest \
         FROM information_schema.PROCESSLIST p LEFT JOIN ({ages}) t ON t.id = p.id WHERE {} GROUP BY 1, 2, 3 ORDER BY longest DESC, 1, 2, 3 \
         LIMIT {SESSIONS_MAX}",
        condition(databases, compares_case)
    )
}

fn condition(databases: &[String], compares_case: bool) -> String {
    let names: Vec<String> = databases.iter().map(|name| literal(name)).collect();
    let column = if compares_case { "CAST(p.db AS BINARY)" } else { "p.db" };
    // Without a name there is nobody to look for, and an empty list is no SQL.
    let names = if names.is_empty() { "NULL".to_owned() } else { names.join(", ") };
    format!("p.id <> CONNECTION_ID() AND {column} IN ({names})")
}
