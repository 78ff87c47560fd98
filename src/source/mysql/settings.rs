//! Which databases of which server, as whom, and by which programs.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::sys::secret::Secret;

/// Most databases of one source: each has a file of its own that is open while the dump is made.
pub const DATABASES_MAX: usize = 100;

/// The port of MySQL and MariaDB where nothing else is said.
pub const PORT: u16 = 3306;

/// The socket of Debian's packages, where nothing else is said.
pub const SOCKET: &str = "/run/mysqld/mysqld.sock";

/// How long a dump waits for a table that somebody holds, where nothing else is said: longer than any statement that is fit for the middle of a
/// night. A table whose definition changes all that time would end the dump anyway.
pub const LOCK_WAIT: Duration = Duration::from_secs(600);

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// On this machine, at a socket.
    Socket(PathBuf),
    /// At a host and port.
    Tcp {
        /// Name or address.
        host: String,
        /// The port.
        port: u16,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// A MySQL or MariaDB source.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The databases, at least one, taken together in one transaction.
    pub databases: Vec<String>,
    /// Where the server is; `None` = as the option file says, else [`SOCKET`].
    pub address: Option<Address>,
    /// The account; `None` = as the option file says, else the user that the program runs as.
    pub user: Option<String>,
    /// Its password; `None` = as the option file says, else none.
    pub password: Option<Secret>,
    /// Whether the connection is encrypted; `None` = where a certificate is given.
    pub tls: Option<bool>,
    /// The certificate, in PEM form, that the server's must come from; with it the connection is encrypted and the server's name checked.
    pub ca_file: Option<PathBuf>,
    /// An option file of the vendor's programs, from whose client groups comes what is not said here.
    pub defaults_file: Option<PathBuf>,
    /// The words of the dump program; `None` = `mariadb-dump`, else `mysqldump`, whichever is found.
    pub dump: Option<Vec<String>>,
    /// The words of the client, which loads a dump; `None` = `mariadb`, else `mysql`.
    pub client: Option<Vec<String>>,
    /// Whether the facts hold password hashes, so that a fresh server gets the accounts back as they were.
    pub accounts: bool,
    /// Whether rows are dumped in the order of their primary key, so that consecutive dumps are alike.
    pub order_by_primary: bool,
    /// Whether tables that take part in no transaction are locked while the dump is made; else they are reported.
    pub lock_tables: bool,
    /// How long a dump waits for a table that somebody holds.
    pub lock_wait: Duration,
}

impl Settings {
    /// These databases of the server at its usual place on this machine.
    pub fn new(databases: Vec<String>) -> Self {
        Self {
            databases,
            address: None,
            user: None,
            password: None,
            tls: None,
            ca_file: None,
            defaults_file: None,
            dump: None,
            client: None,
            accounts: false,
            order_by_primary: true,
            lock_tables: true,
            lock_wait: LOCK_WAIT,
        }
    }

    /// The server as the configuration names it, for a person.
    pub fn place(&self) -> String {
        match (&self.address, &self.defaults_file) {
            (Some(address), _) => address.to_string(),
            (None, Some(file)) => format!("the server of {}", file.display()),
            (None, None) => SOCKET.to_owned(),
        }
    }
}

/// The folder of a database in a snapshot: its name, in which `/`, `%`, control bytes and a dot at the beginning are `%HH`.
///
/// It is at most 192 bytes long, as names of databases have at most 64 characters.
pub fn folder_of(database: &str) -> String {
    let mut folder = String::new();
    for (at, c) in database.chars().enumerate() {
        if c.is_ascii_control() || matches!(c, '/' | '%' | '\\') || c == '.' && at == 0 {
            folder.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            folder.push(c);
        }
    }
    folder
}

/// The file of a database in its folder.
pub const DUMP_FILE: &str = "db_backup.sql";

/// What a dump program writes last, if it has come to its end.
pub const COMPLETED: &str = "-- Dump completed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_database_makes_a_folder_of_its_own() {
        for (name, folder) in
            [("ellis", "ellis"), ("a b-ü", "a b-ü"), ("../x", "%2E.%2Fx"), ("%2F", "%252F"), ("a.b", "a.b"), ("\n", "%0A")]
        {
            assert_eq!(folder_of(name), folder);
        }
        assert!(folder_of(&"\u{ffff}".repeat(64)).len() <= 192 && folder_of(&"/".repeat(64)).len() <= 192);
    }
}
