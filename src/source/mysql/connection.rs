//! One connection to a server, with blocking calls that end when the run is stopped. Every value comes as text.

use std::time::Duration;

use futures::StreamExt;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _};
use tokio::runtime::Runtime;

use super::denied;
use super::option_file::Login;
use super::settings::Address;
use crate::source::Error;
use crate::sys::stop::Stop;

/// How long connecting may take, with TLS and on a busy machine.
const CONNECT_TIME: Duration = Duration::from_secs(30);

/// How long one statement of ours may take: lists of a great many tables take minutes on cold disks.
const STATEMENT_TIME: Duration = Duration::from_secs(30 * 60);

/// How often the stop flag is looked at while a server works.
const TICK: Duration = Duration::from_millis(50);

/// How the session is set up: whatever the server's defaults are, each statement stands for itself, none ends the session, and texts are read
/// and written in one way; a definition that somebody is changing is waited for a minute; the session is not ended for being idle while a long dump runs beside it; no answer is cut or refused for its
/// length or its time; and MySQL 8 answers with sizes of today, where it would keep those of its first answer for a day (MariaDB leaves numbers
/// from 50700 to 99999 to MySQL, and MySQL what stands after an M to MariaDB). What would cut the rows of a session that is not set up like this
/// is kept for [`super::narrowed`].
const SET_UP: &str = "SET @windlass_rows = @@SESSION.sql_select_limit /*M!100304 , @windlass_as_of = @@SESSION.system_versioning_asof */, \
                      SESSION autocommit = 1, SESSION completion_type = 0, SESSION sql_quote_show_create = 1, SESSION sql_mode = '', SESSION lock_wait_timeout = 60, \
                      SESSION wait_timeout = 604800, \
                      SESSION sql_select_limit = 18446744073709551615, SESSION sql_big_selects = 1 \
                      /*!50708 , SESSION max_execution_time = 0 */ /*!80003 , SESSION information_schema_stats_expiry = 0 */ \
                      /*M!100103 , SESSION max_statement_time = 0 */ /*M!100304 , SESSION system_versioning_asof = DEFAULT */";

/// Codes of the server's errors.
const NO_SUCH: [u16; 4] = [1146, 1305, 1360, 1539];
/// A function, and a database that it may be of.
const NO_FUNCTION: [u16; 2] = [1305, 1049];
const DENIED_DATABASE: u16 = 1044;
const DENIED_ACCOUNT: u16 = 1045;
const DENIED: [u16; 5] = [DENIED_DATABASE, 1142, 1143, 1227, 1370];
const NEEDS_TLS: u16 = 3159;
/// Somebody held a lock for too long, or two held what the other one wanted.
const BUSY: [u16; 2] = [1205, 1213];
/// A statement that somebody has ended, or that took too long (MariaDB, MySQL).
const ENDED: [u16; 3] = [1317, 1969, 3024];
const OVER_TIME: [u16; 2] = [1969, 3024];
/// What a server says when there is no room.
const DISK_FULL: u16 = 1021;
const TABLE_FULL: u16 = 1114;
const COMMIT_FAILED: u16 = 1180;
const CANNOT_MAKE: u16 = 1005;
/// What a client says of a server that is not there any more.
const GONE: [u16; 4] = [2002, 2006, 2013, 2055];
const ENGINE_FAILED: u16 = 1030;
const CANNOT_RENAME: u16 = 1025;
/// What an engine says that knows no word for what has failed: InnoDB does so where it cannot make a table's file.
const GENERIC: &str = "rror 168";
/// What it says when rows that are alike in a unique key are found by the commit alone, because the session checks none before.
const ALIKE: &str = "Got error 1 ";
/// What it says where it can make no file of a table.
const NO_ROOM: &str = "rrno: 135 ";
const NO_SPACE: &str = "No space left on device";
const FULL: &str =
    "a disk of the server's machine is full, where it keeps its data, its binary log or its temporary files: make room there";
/// A table cannot go, because a foreign key refers to it.
const REFERRED_TO: [u16; 3] = [1217, 1451, 3730];
/// What a view answers that stands on what is missing, or whose definer is gone or may not use what it stands on.
const INVALID_VIEW: [u16; 4] = [1356, 1449, 1142, 1143];

const TLS_HINT: &str = ": its certificate does not come from `ca_file`, or is not for this host";

/// A value of a row; `None` is NULL.
pub(super) type Value = Option<String>;

/// An open connection.
pub(super) struct Connection {
    // Before the runtime, which it needs to end.
    inner: MySqlConnection,
    runtime: Runtime,
    server: String,
    stop: Stop,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Server`] with what to do; [`Error::Stopped`].
    pub(super) fn open(login: &Login, stop: &Stop) -> Result<Self, Error> {
        let server = login.told();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::file("start a runtime for", &server))?;
        let mut opened = within(&runtime, stop, CONNECT_TIME, options(login).connect())?;
        let mut may_be_right = false;
        if let Err(cause) = &opened
            && code(cause) == Some(DENIED_ACCOUNT)
            && may_lack_cache(login)
        {
            // What a socket is not asked for is who answers there, so its certificate is no matter.
            let encrypted = options(login).ssl_mode(MySqlSslMode::Required);
            match within(&runtime, stop, CONNECT_TIME, encrypted.connect())? {
                Ok(connection) => opened = Ok(connection),
                // A server that was given the password itself, and refuses it, is right.
                Err(again) => may_be_right = code(&again) != Some(DENIED_ACCOUNT),
            }
        }
        let inner = opened.map_err(|cause| of_connecting(&server, cause, may_be_right))?;
        let mut connection = Self { inner, runtime, server, stop: stop.clone() };
        connection.run("set up a session on", SET_UP)?;
        Ok(connection)
    }

    /// Runs a statement that gives nothing.
    pub(super) fn run(&mut self, what: &'static str, sql: &str) -> Result<(), Error> {
        self.each(what, sql, &mut |_| Ok(()))
    }

    /// Hands every row on as it comes, so that any number of them takes no memory.
    pub(super) fn each(
        &mut self,
        what: &'static str,
        sql: &str,
        take: &mut dyn FnMut(Vec<Value>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let inner = &mut self.inner;
        let work = async {
            let mut rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch(inner);
            while let Some(row) = rows.next().await {
                if let Err(error) = take(values(&row?)?) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        };
        match within(&self.runtime, &self.stop, STATEMENT_TIME, work)? {
            Ok(taken) => taken,
            Err(cause) => Err(self.failed(what, cause)),
        }
    }

    /// All rows, of which the statement itself must bound the number.
    pub(super) fn rows(&mut self, what: &'static str, sql: &str) -> Result<Vec<Vec<Value>>, Error> {
        let mut rows = Vec::new();
        self.each(what, sql, &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first column of all rows, NULL left out.
    pub(super) fn column(&mut self, what: &'static str, sql: &str) -> Result<Vec<String>, Error> {
        Ok(self.rows(what, sql)?.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// The first column of the first row; `None` when there is no row or it is NULL.
    pub(super) fn value(&mut self, what: &'static str, sql: &str) -> Result<Value, Error> {
        Ok(self.column(what, sql)?.into_iter().next())
    }

    /// That the server's answers do not fit together, or leave out what is needed.
    pub(super) fn contradiction(&self, what: &'static str, hint: String, why: String) -> Error {
        Error::Server { what, server: self.server.clone(), hint, cause: Box::new(sqlx::Error::Protocol(why)) }
    }

    fn failed(&self, what: &'static str, cause: sqlx::Error) -> Error {
        let hint = match code(&cause) {
            Some(CANNOT_RENAME) => {
                ": where the folder of a database is a link to another filesystem, no table can be moved between it and others; restore with --as, and \
                 let applications use that database"
                    .to_owned()
            }
            Some(code) if DENIED.contains(&code) => {
                let grant = denied::global(code, &cause.to_string());
                format!(": the account has no right to it{}", grant.map_or_else(String::new, |grant| format!("; {grant} TO it gives it")))
            }
            Some(code) => full(code, &cause.to_string()).map_or_else(String::new, |full| format!(": {full}")),
            None => String::new(),
        };
        Error::Server { what, server: self.server.clone(), hint, cause: Box::new(cause) }
    }
}

/// Waits for the server, for the stop flag, or for the time to be over.
fn within<T>(
    runtime: &Runtime,
    stop: &Stop,
    time: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<Result<T, sqlx::Error>, Error> {
    let stopped = async {
        while !stop.is_stopped() {
            tokio::time::sleep(TICK).await;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            outcome = tokio::time::timeout(time, work) => {
                let slow = || std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer within {} seconds", time.as_secs()));
                Ok(outcome.unwrap_or_else(|_| Err(sqlx::Error::Io(slow()))))
            }
            () = stopped => Err(crate::sys::stop::Stopped.into()),
        }
    })
}

fn options(login: &Login) -> MySqlConnectOptions {
    // The server's own settings are what is to be seen, so the session keeps them.
    let options = MySqlConnectOptions::new()
        .username(&login.user)
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .charset("utf8mb4")
        .statement_cache_capacity(0);
    let options = match &login.address {
        Address::Socket(path) => options.socket(path),
        Address::Tcp { host, port } => options.host(host).port(*port),
    };
    let options = match login.tls() {
        Some(ca_file) => options.ssl_mode(MySqlSslMode::VerifyIdentity).ssl_ca(ca_file),
        None => options.ssl_mode(MySqlSslMode::Disabled),
    };
    let options = match &login.password {
        Some(password) => options.password(password.expose()),
        None => options,
    };
    options.disable_statement_logging()
}

/// Whether a password may have been refused that is right: MySQL's `caching_sha2_password`, whose cache is empty after a start and after `FLUSH
/// PRIVILEGES`, then asks for the password itself. The library sends it through TLS alone; elsewhere it asks for a key, which a server does not
/// expect over its socket and takes for the password (sqlx 0.9).
fn may_lack_cache(login: &Login) -> bool {
    matches!(login.address, Address::Socket(_)) && login.password.is_some() && login.tls().is_none()
}

fn of_connecting(server: &str, cause: sqlx::Error, may_be_right: bool) -> Error {
    let text = cause.to_string();
    let hint = match (code(&cause), &cause) {
        (Some(DENIED_ACCOUNT), _) if may_be_right => {
            ": the password is wrong, or there is no such account for this way of connecting; or, on MySQL, the account proves itself by \
             caching_sha2_password and the server speaks no TLS: then log in with the server's own client once after each of its starts, or let the \
             account be IDENTIFIED WITH auth_socket or mysql_native_password"
        }
        (Some(DENIED_ACCOUNT), _) => ": the password is wrong, or there is no such account for this way of connecting",
        (Some(NEEDS_TLS), _) => ": it takes encrypted connections only; give `ca_file`, the certificate that its own comes from",
        _ if text.contains("certificate") => TLS_HINT,
        (_, sqlx::Error::Io(io)) if io.kind() == std::io::ErrorKind::NotFound => ": is it running, and is this its socket?",
        (_, sqlx::Error::Io(_)) => ": is it running, and is this its address?",
        (_, sqlx::Error::Tls(_)) => TLS_HINT,
        // The library calls a plugin unknown, and one that would send the password as it is disabled.
        _ if text.contains("authentication plugin") || text.contains("cleartext_plugin") => {
            ": the account proves itself in a way that Windlass does not know (client_ed25519, parsec, gssapi, PAM, LDAP), or there is no such account; give Windlass an \
             account of its own, IDENTIFIED VIA mysql_native_password or unix_socket"
        }
        _ if text.contains("caching_sha2") || text.contains("RSA") => {
            ": such an account sends its password over TLS or a socket only; give `ca_file` or `socket`"
        }
        _ => "",
    };
    Error::Server { what: "connect to", server: server.to_owned(), hint: hint.into(), cause: Box::new(cause) }
}

fn values(row: &MySqlRow) -> Result<Vec<Value>, sqlx::Error> {
    (0..row.len())
        .map(|at| {
            let bytes: Option<Vec<u8>> = row.try_get_unchecked(at)?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        })
        .collect()
}

fn code(cause: &sqlx::Error) -> Option<u16> {
    let error = cause.as_database_error()?.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()?;
    Some(error.number())
}

/// Whether the server says that what was asked about is not there.
pub(super) fn is_no_such(error: &Error) -> bool {
    matches!(error, Error::Server { cause, .. } if code(cause).is_some_and(|code| NO_SUCH.contains(&code)))
}

/// Whether the server says that there is no such function.
pub(super) fn is_no_such_function(error: &Error) -> bool {
    matches!(error, Error::Server { cause, .. } if code(cause).is_some_and(|code| NO_FUNCTION.contains(&code)))
}

/// Whether the server says that a view stands on what is missing, or on what its definer may not use.
pub(super) fn is_invalid_view(error: &Error) -> bool {
    matches!(error, Error::Server { cause, .. } if code(cause).is_some_and(|code| INVALID_VIEW.contains(&code)))
}

/// Whether the server says that a foreign key of another table refers to what was to go.
pub(super) fn is_referred_to(error: &Error) -> bool {
    matches!(error, Error::Server { cause, .. } if code(cause).is_some_and(|code| REFERRED_TO.contains(&code)))
}

/// Whether the server says that the account may not do this.
pub(super) fn is_denied(error: &Error) -> bool {
    matches!(error, Error::Server { cause, .. } if code(cause).is_some_and(|code| DENIED.contains(&code)))
}

/// Whether the server says that somebody else holds what is needed: later it may go.
pub(super) fn is_busy(error: &Error) -> bool {
    matches!(error, Error::Server { cause, .. } if code(cause).is_some_and(|code| BUSY.contains(&code)))
}

/// Whether the same may go well when it is tried again: somebody holds what is needed, the statement was ended, a disk is full, or the server does
/// not answer. What its client says counts as well.
pub(super) fn is_passing(error: &Error) -> bool {
    let passes = |code| BUSY.contains(&code) || ENDED.contains(&code) || [DISK_FULL, TABLE_FULL, COMMIT_FAILED].contains(&code);
    match error {
        Error::Server { cause, .. } => code(cause).map_or(!is_answer(error), passes),
        Error::Load { .. } => code_of_client(error).is_some_and(|code| passes(code) || GONE.contains(&code)),
        _ => false,
    }
}

/// The code of what a client says that the server has refused, or that the server is gone.
pub(super) fn code_of_client(error: &Error) -> Option<u16> {
    let Error::Load { why, .. } = error else { return None };
    why.strip_prefix("ERROR ")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Whether a client says that the server is not there any more.
pub(super) fn is_gone(error: &Error) -> bool {
    code_of_client(error).is_some_and(|code| GONE.contains(&code))
}

/// Whether the server says that a statement took longer than the session lets it.
pub(super) fn is_over_time(error: &Error) -> bool {
    matches!(error, Error::Server { cause, .. } if code(cause).is_some_and(|code| OVER_TIME.contains(&code)))
}

/// Whether the server answered, with an error: the connection goes on.
pub(super) fn is_answer(error: &Error) -> bool {
    matches!(error, Error::Server { cause, .. } if cause.as_database_error().is_some())
}

/// What an error of the server means, where it has to do with a full disk or is said as if it had; the codes alone say so to few.
pub(super) fn full(code: u16, text: &str) -> Option<&'static str> {
    // The system's number of it stands within what other codes say.
    let numbers = ["rror 28", "rrcode: 28", "rrno: 28"].iter().flat_map(|said| text.split(said).skip(1));
    let says = text.contains(NO_SPACE) || numbers.into_iter().any(|after| !after.starts_with(|c: char| c.is_ascii_digit()));
    match code {
        _ if says => Some(FULL),
        DISK_FULL => Some(FULL),
        TABLE_FULL => {
            Some("the server has no room for the table: a disk of its machine is full, or a limit that it is set up with is reached")
        }
        CANNOT_MAKE if text.contains(NO_ROOM) => Some(FULL),
        COMMIT_FAILED if text.contains(ALIKE) => Some(
            "rows are alike in a primary or unique key; a FLOAT in it does that, because dump programs write six digits of it (see the snapshot's \
             problem inexact_float)",
        ),
        COMMIT_FAILED => Some("mostly a disk of the server's machine is full, that of its binary log for example"),
        ENGINE_FAILED if text.contains(GENERIC) => {
            Some("mostly a disk of the server's machine is full, where it keeps its data; its error log has more")
        }
        _ => None,
    }
}

/// The statement, without its `TO`, that gives the right which the server misses in a `statement`, where that is what it says.
pub(super) fn grant_for(error: &Error, statement: &str) -> Option<String> {
    let Error::Server { cause, .. } = error else { return None };
    denied::grant(code(cause)?, &cause.to_string(), statement)
}

/// What the server said.
pub(super) fn said(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

/// A text as SQL writes it, under the `sql_mode` of these sessions.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_said_in_words_whatever_the_code() {
        for (code, text) in [
            (1021, "Disk full (/tmp/x); waiting for someone to free some space..."),
            (1030, "Got error 28 \"No space left on device\" from storage engine InnoDB"),
            (1180, "Got error 28 \"No space left on device\" during COMMIT"),
            (3, "Error writing file 'log' (Errcode: 28 \"No space left on device\")"),
            (1026, "Error writing file 'x' (errno: 28 - No space left on device)"),
        ] {
            assert!(full(code, text).is_some_and(|said| said.contains("is full, where it keeps")), "{code}");
        }
        assert!(full(1114, "The table 't' is full").unwrap().contains("no room for the table"));
        assert_eq!(full(1005, "Can't create table `a`.`t` (errno: 135 \"No more room in record file\")"), Some(FULL));
        assert_eq!(full(1005, "Can't create table `a`.`t` (errno: 150 \"Foreign key constraint is incorrectly formed\")"), None);
        let alike = full(1180, "Got error 1 \"Operation not permitted\" during COMMIT").unwrap();
        assert!(alike.contains("alike in a primary or unique key") && !alike.contains("disk"), "{alike}");
        assert!(full(1180, "Got error 5 during COMMIT").unwrap().contains("binary log"));
        assert_eq!((full(1146, "Table 'a.t' doesn't exist"), full(1062, "Duplicate entry '28' for key 'PRIMARY'")), (None, None));
        assert!(
            full(1030, "Got error 168 \"Unknown (generic) error from engine\" from storage engine InnoDB").unwrap().contains("is full")
        );
        assert_eq!(full(1030, "Got error 281 from storage engine"), None);
    }
}
