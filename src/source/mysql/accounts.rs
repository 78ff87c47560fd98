//! Accounts with rights on the databases, and what they are granted.

use serde::{Deserialize, Serialize};

use super::connection::{Connection, is_answer, is_denied, literal};
use super::facts::number;
use super::release::Release;
use crate::source::Error;

/// Most accounts that are told: an application has a handful, and facts are small. How many there are beyond is told.
const ACCOUNTS_MAX: usize = 200;

const WHAT: &str = "read the accounts of";

/// What stands in place of a password's hash.
const LEFT_OUT: &str = "'(left out)'";

/// An account or a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `'user'@'host'`, or the name of a role.
    pub name: String,
    /// Its grants as statements; without password hashes unless they were asked for. Of MySQL the statement that makes the account, in which the
    /// hash stands there, comes before them when hashes were asked for.
    pub grants: Vec<String>,
}

/// Reads the accounts that have rights on these databases, or on tables or routines of them, by a role too. Gives how many more there are, too.
///
/// # Errors
/// [`Error::Server`], also when the account may not read them.
pub(super) fn read(connection: &mut Connection, databases: &[String], with_hashes: bool) -> Result<(Vec<Account>, u64), Error> {
    let mut parts = Vec::new();
    for database in databases {
        let name = literal(database);
        parts.push(format!("SELECT user, host FROM mysql.db WHERE {name} LIKE db"));
        parts.push(format!("SELECT user, host FROM mysql.tables_priv WHERE db = {name}"));
        parts.push(format!("SELECT user, host FROM mysql.procs_priv WHERE db = {name}"));
    }
    let release = Release::of(&connection.value(WHAT, "SELECT VERSION()")?.unwrap_or_default());
    let (all, count) = with_roles(connection, parts.join(" UNION "), release)?;
    let sql = format!("{all} ORDER BY 1, 2 LIMIT {ACCOUNTS_MAX}");
    if with_hashes && release.has_hashes_as_hex() {
        connection.run(WHAT, "SET SESSION print_identified_with_as_hex = ON")?;
    }
    let mut accounts = Vec::new();
    for row in connection.rows(WHAT, &sql)? {
        let [Some(user), Some(host)] = &row[..] else { continue };
        // Of roles the host is empty.
        let name = if host.is_empty() { literal(user) } else { format!("{}@{}", literal(user), literal(host)) };
        let mut made = Vec::new();
        if with_hashes && release.has_hashes_apart() {
            match connection.column(WHAT, &format!("SHOW CREATE USER {name}")) {
                Err(error) if is_answer(&error) && !is_denied(&error) => continue,
                statement => made = statement?,
            }
        }
        let grants = match connection.column(WHAT, &format!("SHOW GRANTS FOR {name}")) {
            // Rights may be left of an account that is gone.
            Err(error) if is_answer(&error) => continue,
            grants => grants?,
        };
        let grants = if with_hashes { [made, grants].concat() } else { grants.iter().map(|grant| without_hash(grant)).collect() };
        accounts.push(Account { name, grants });
    }
    Ok((accounts, count.saturating_sub(ACCOUNTS_MAX as u64)))
}

/// The question for the accounts and roles that `own` asks for, for those that were given one of these, and so on; and how many they are.
fn with_roles(connection: &mut Connection, own: String, release: Release) -> Result<(String, u64), Error> {
    let mut count = |question: &str| -> Result<u64, Error> {
        let count = connection.value(WHAT, &format!("SELECT COUNT(*) FROM ({question}) AS accounts"))?;
        Ok(count.map_or(0, |count| number(&count)))
    };
    let (mut all, mut known) = (own.clone(), count(&own)?);
    // Step by step: MariaDB 10.2 does not take a recursive question for this.
    while let Some(given) = release.holders_of_roles(&all) {
        let wider = format!("{own} UNION {given}");
        let found = count(&wider)?;
        if found == known {
            break;
        }
        (all, known) = (wider, found);
    }
    Ok((all, known))
}

/// A grant in which every text after `IDENTIFIED` is left out.
fn without_hash(grant: &str) -> String {
    let Some(at) = grant.find(" IDENTIFIED ") else { return grant.to_owned() };
    let mut text = grant[..at].to_owned();
    let mut rest = &grant[at..];
    while let Some(begin) = rest.find('\'') {
        text.push_str(&rest[..begin]);
        text.push_str(LEFT_OUT);
        let after = &rest[begin + 1..];
        let mut escaped = false;
        let end = after.bytes().position(|byte| {
            let ends = byte == b'\'' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        rest = end.map_or("", |end| &after[end + 1..]);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hash_is_left_in_a_grant() {
        for (grant, wanted) in [
            (
                "GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*D8' REQUIRE SSL",
                "GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '(left out)' REQUIRE SSL",
            ),
            (
                "GRANT x ON y TO z IDENTIFIED VIA a USING 'h\\'1' OR b USING 'h2'",
                "GRANT x ON y TO z IDENTIFIED VIA a USING '(left out)' OR b USING '(left out)'",
            ),
            ("GRANT x ON y TO z IDENTIFIED BY PASSWORD '*D8", "GRANT x ON y TO z IDENTIFIED BY PASSWORD '(left out)'"),
            ("GRANT SELECT ON `x`.* TO `u`@`%`", "GRANT SELECT ON `x`.* TO `u`@`%`"),
        ] {
            assert_eq!(without_hash(grant), wanted);
        }
    }
}
