//! Definers: the accounts under whose names views, routines, triggers and events run, and whether a server has them.

use std::collections::BTreeSet;

use super::connection::{Connection, is_answer, literal};
use super::foreign_keys::Names;
use super::option_file::Login;
use super::settings::Settings;
use crate::source::Error;
use crate::sys::stop::Stop;

/// Most definers that are told: an application has a handful, and facts are small.
pub(super) const DEFINERS_MAX: usize = 1000;

/// Most accounts of a server that are compared with: more than that is no server of applications, and one asks there oneself.
const ACCOUNTS_MAX: usize = 20_000;

/// Where accounts and roles are kept: everywhere; and on a MariaDB whose view of that name cannot be read.
const KEPT: [&str; 2] = ["mysql.user", "mysql.global_priv"];

/// The definers in these databases as `user@host`, or a role's name; sorted, each once, the first [`DEFINERS_MAX`] of them.
///
/// # Errors
/// [`Error::Server`].
pub(super) fn read(connection: &mut Connection, databases: &[String]) -> Result<Vec<String>, Error> {
    const TABLES: [(&str, &str); 4] =
        [("VIEWS", "table_schema"), ("ROUTINES", "routine_schema"), ("TRIGGERS", "trigger_schema"), ("EVENTS", "event_schema")];
    let mut definers = BTreeSet::new();
    let names = Names::read(connection)?;
    for database in databases {
        for (table, column) in TABLES {
            // Not DISTINCT: under the collation of these tables names that differ in their case are one.
            let sql = format!("SELECT definer FROM information_schema.{table} WHERE {}", names.is(column, database));
            connection.each("read the definers of", &sql, &mut |row| {
                if let Some(Some(definer)) = row.into_iter().next() {
                    // A role has no host, which some of these tables write as an empty one.
                    definers.insert(definer.strip_suffix('@').unwrap_or(&definer).to_owned());
                    if definers.len() > DEFINERS_MAX {
                        definers.pop_last();
                    }
                }
                Ok(())
            })?;
        }
    }
    Ok(definers.into_iter().collect())
}

/// The accounts and roles of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Accounts(BTreeSet<String>);

impl Accounts {
    /// All of them; `None` when the account may not read them, or there are too many.
    ///
    /// Asking for one by one would be no way out: `SHOW CREATE USER` needs the same rights, and without them
    /// `information_schema.USER_PRIVILEGES` shows nobody but oneself.
    ///
    /// # Errors
    /// [`Error::Server`] when the server does not answer.
    pub(super) fn read(connection: &mut Connection) -> Result<Option<Self>, Error> {
        for table in KEPT {
            let sql = format!("SELECT user, host FROM {table} LIMIT {}", ACCOUNTS_MAX + 1);
            match connection.rows("read the accounts of", &sql) {
                Ok(rows) if rows.len() > ACCOUNTS_MAX => return Ok(None),
                Ok(rows) => {
                    let told = |row: &Vec<Option<String>>| match &row[..] {
                        [Some(user), Some(host)] if host.is_empty() => Some(user.clone()),
                        [Some(user), Some(host)] => Some(format!("{user}@{}", host.to_lowercase())),
                        _ => None,
                    };
                    return Ok(Some(Self(rows.iter().filter_map(told).collect())));
                }
                Err(error) if is_answer(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Those that exist neither as account nor as role.
    pub(super) fn missing<'a>(&self, definers: impl IntoIterator<Item = &'a String>) -> Vec<String> {
        definers.into_iter().filter(|definer| !self.has(definer)).cloned().collect()
    }

    fn has(&self, definer: &str) -> bool {
        // Hosts are compared without case, users and roles are not.
        let account = definer.rsplit_once('@').map(|(user, host)| format!("{user}@{}", host.to_lowercase()));
        self.0.contains(definer) || account.is_some_and(|account| self.0.contains(&account))
    }

    #[cfg(test)]
    pub(super) fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|name| (*name).to_owned()).collect())
    }
}

/// Those of these definers (`user@host`, or a role's name) that exist neither as account nor as role on a server; `None` when the account
/// may not know.
///
/// # Errors
/// [`Error::Server`] when the server does not answer; [`Error::Refused`], [`Error::File`] when the settings cannot be used;
/// [`Error::Stopped`].
pub fn missing_definers(settings: &Settings, definers: &[String], stop: &Stop) -> Result<Option<Vec<String>>, Error> {
    missing_accounts(&mut Connection::open(&Login::of(settings)?, stop)?, definers)
}

/// The same over a connection that is there.
///
/// # Errors
/// [`Error::Server`] when the server does not answer.
pub(super) fn missing_accounts(connection: &mut Connection, definers: &[String]) -> Result<Option<Vec<String>>, Error> {
    Ok(Accounts::read(connection)?.map(|accounts| accounts.missing(definers)))
}

/// `user@host` as SQL writes it; a role's name by itself.
pub(super) fn account_literal(account: &str) -> String {
    match account.rsplit_once('@') {
        Some((user, host)) => format!("{}@{}", literal(user), literal(host)),
        None => literal(account),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_compared_as_the_server_does_and_roles_have_no_host() {
        let accounts = Accounts::of(&["root@localhost", "a@b@%", "role", "odd@role"]);
        let definers = ["root@LocalHost", "Root@localhost", "a@b@%", "role", "odd@role", "root@%", "gone"].map(str::to_owned);
        assert_eq!(accounts.missing(&definers), ["Root@localhost", "root@%", "gone"]);
    }

    #[test]
    fn an_account_is_written_so_that_sql_reads_it() {
        assert_eq!(account_literal("a@b'c@%"), "'a@b''c'@'%'");
        assert_eq!(account_literal("role"), "'role'");
    }
}
