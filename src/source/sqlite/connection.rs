//! One connection to a database, with blocking calls.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection as _, Row as _, Sqlite};
use tokio::runtime::Runtime;

use super::users::other_user;
use crate::source::Error;
use crate::sys::stop::Stop;

/// How many of SQLite's steps pass between two looks at the stop flag: some milliseconds of work.
const STEPS_BETWEEN_LOOKS: i32 = 100_000;

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Read only; SQLite itself keeps the database untouched.
    Read,
    /// Read and write a database that is there.
    Write,
    /// Read and write a database, which is made where there is none.
    Create,
}

/// An open database.
pub(super) struct Connection {
    runtime: Runtime,
    inner: Option<SqliteConnection>,
    path: PathBuf,
    stop: Stop,
}

impl Connection {
    /// Opens a database; statements wait up to `patience` for the locks of others, and fail when `stop` is set.
    ///
    /// # Errors
    /// [`Error::Sql`], [`Error::Busy`], [`Error::File`].
    pub(super) fn open(path: &Path, access: Access, patience: Duration, stop: &Stop) -> Result<Self, Error> {
        // An absolute path, because SQLite takes one that begins with `file:` for a URI.
        let path = std::path::absolute(path).map_err(Error::file("find", path))?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(Error::file("start a runtime for", &path))?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .read_only(access == Access::Read)
            .create_if_missing(access == Access::Create)
            .busy_timeout(patience)
            .disable_statement_logging();
        let mut connection = Self { runtime, inner: None, path, stop: stop.clone() };
        let opened = connection.runtime.block_on(options.connect());
        connection.inner = Some(connection.checked("open", opened)?);
        let flag = stop.clone();
        connection.call("open", async |inner| {
            inner.lock_handle().await?.set_progress_handler(STEPS_BETWEEN_LOOKS, move || !flag.is_stopped());
            Ok(())
        })?;
        Ok(connection)
    }

    /// Runs statements that give nothing.
    pub(super) fn run(&mut self, what: &'static str, sql: &'static str) -> Result<(), Error> {
        self.call(what, async |inner| sqlx::raw_sql(sql).execute(inner).await.map(|_| ()))
    }

    /// Runs statements that were put together; their text is trusted.
    pub(super) fn run_owned(&mut self, what: &'static str, sql: String) -> Result<(), Error> {
        self.call(what, async |inner| sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(inner).await.map(|_| ()))
    }

    /// Runs a statement with one text in it.
    pub(super) fn run_with(&mut self, what: &'static str, sql: &'static str, text: &str) -> Result<(), Error> {
        self.call(what, async |inner| sqlx::query(sql).bind(text).execute(inner).await.map(|_| ()))
    }

    /// The first column of the first row.
    pub(super) fn value<T>(&mut self, what: &'static str, sql: impl sqlx::SqlSafeStr) -> Result<T, Error>
    where
        T: for<'r> sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        self.call(what, async |inner| sqlx::query(sql).fetch_one(inner).await?.try_get(0))
    }

    /// The first column of all rows, of which the statement itself must bound the number.
    pub(super) fn column(&mut self, what: &'static str, sql: &'static str) -> Result<Vec<String>, Error> {
        self.call(what, async |inner| sqlx::query_scalar(sql).fetch_all(inner).await)
    }

    /// Closes it; when this returns, its locks are free and its files closed.
    pub(super) fn close(mut self) -> Result<(), Error> {
        self.shut()
    }

    fn shut(&mut self) -> Result<(), Error> {
        let Some(inner) = self.inner.take() else { return Ok(()) };
        let closed = self.runtime.block_on(inner.close());
        self.checked("close", closed)
    }

    fn call<T>(
        &mut self,
        what: &'static str,
        action: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, Error> {
        let inner = self.inner.as_mut().expect("a connection is open until it is closed");
        let outcome = self.runtime.block_on(action(inner));
        self.checked(what, outcome)
    }

    fn checked<T>(&self, what: &'static str, outcome: Result<T, sqlx::Error>) -> Result<T, Error> {
        outcome.map_err(|cause| {
            let path = self.path.clone();
            match primary_code(&cause) {
                Some(INTERRUPT) if self.stop.is_stopped() => crate::sys::stop::Stopped.into(),
                Some(BUSY | LOCKED) => busy(path, Some(cause)),
                Some(NOT_A_DATABASE) => Error::WrongKind { path, wanted: "an SQLite database" },
                _ => Error::Sql { what, path, cause },
            }
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Without this, a thread of the driver would close the files some time later. What failed has been told already.
        let _ = self.shut();
    }
}

const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const INTERRUPT: i32 = 9;
const CANNOT_OPEN: i32 = 14;
const NOT_A_DATABASE: i32 = 26;

/// The error for a database that others use.
pub(super) fn busy(path: PathBuf, cause: Option<sqlx::Error>) -> Error {
    let by = other_user(&path).unwrap_or_else(|| "another connection".to_owned());
    Error::Busy { path, by, cause }
}

/// SQLite's result code without its extension.
fn primary_code(cause: &sqlx::Error) -> Option<i32> {
    cause.as_database_error()?.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

/// Whether a connection that may write can do what this one could not: recover after a crash, or make the files of a WAL.
pub(super) fn needs_writing(error: &Error) -> bool {
    matches!(error, Error::Sql { cause, .. } if matches!(primary_code(cause), Some(READONLY | CANNOT_OPEN)))
}
