//! Why a source could not be taken or put back.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::format::FormatError;
use crate::sys;
use crate::sys::stop::Stopped;

/// A failure that ends the work on a source. What goes wrong with a single file of a directory is a [`super::Problem`] instead.
#[derive(Debug, Error)]
pub enum Error {
    /// Something of the operating system.
    #[error(transparent)]
    System(#[from] sys::Error),
    /// The run was stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A name of the source does not fit the format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// What is to be taken is not there.
    #[error("there is nothing at {}", path.display())]
    NotThere {
        /// Where it should be.
        path: PathBuf,
    },
    /// What is to be taken is of another kind.
    #[error("{} is not {wanted}", path.display())]
    WrongKind {
        /// Where it is.
        path: PathBuf,
        /// What it should be, with its article.
        wanted: &'static str,
    },
    /// An exclude pattern cannot be read.
    #[error("the exclude pattern `{pattern}` cannot be used: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file could not be read, written or moved.
    #[error("{what} {}", path.display())]
    File {
        /// What was being done, as a verb phrase.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// SQLite refused something.
    #[error("{what} {}", path.display())]
    Sql {
        /// What was being done, as a verb phrase.
        what: &'static str,
        /// The database.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: sqlx::Error,
    },
    /// A database server refused something, or could not be reached.
    #[error("cannot {what} {server}{hint}")]
    Server {
        /// What was being done, as a verb phrase.
        what: &'static str,
        /// The server, and as whom it was asked.
        server: String,
        /// What to do about it, after `: `; empty where nobody knows.
        hint: String,
        /// The cause.
        #[source]
        cause: Box<sqlx::Error>,
    },
    /// A dump is not whole, or is no dump at all.
    #[error("there is no whole dump: {why}")]
    Dump {
        /// What is missing or wrong.
        why: String,
    },
    /// A dump holds no such table.
    #[error("the dump of `{database}` holds no table `{table}`; nothing was changed")]
    NoTable {
        /// The table that was asked for.
        table: String,
        /// The database.
        database: String,
    },
    /// A statement of a dump could not be loaded. What came before it is loaded.
    #[error("the dump cannot be loaded: at line {line}, {head}: {why}")]
    Load {
        /// The line of the dump that the statement begins in, from 1.
        line: u64,
        /// The statement's beginning, without rows and with its quotes.
        head: String,
        /// What the client, the server or Windlass says against it.
        why: String,
    },
    /// Definitions changed while a dump was made, so that it is of no one instant.
    #[error("{what} while the dump was made, so it is of no one instant: let the change come to its end and try again")]
    Moved {
        /// What changed, as a sentence without its end.
        what: String,
    },
    /// The copy of a database does not pass SQLite's own check.
    #[error("{} does not pass the integrity check: {findings}", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// The first of SQLite's findings.
        findings: String,
    },
    /// The configuration of a Cassandra node cannot be read, or not be used.
    #[error("{}{}: {why}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
    NodeConfig {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where it is one line's fault.
        line: Option<u64>,
        /// What is wrong, with the key, and what to do.
        why: String,
    },
    /// A Cassandra node did not do what it was told.
    #[error("cannot {what} {node}: {why}")]
    Cassandra {
        /// What was being done, as a verb phrase that the node ends.
        what: &'static str,
        /// The node, and which of its keyspaces.
        node: String,
        /// What it or its program said, and what to do.
        why: String,
    },
    /// What a Cassandra node made is not a whole snapshot.
    #[error("the snapshot is not whole: {why}")]
    NotWhole {
        /// What is missing, contradictory or too much, with its table and path.
        why: String,
    },
    /// Others are using what is to be replaced. Nothing was changed.
    #[error("{} is in use by {by}: stop what uses it and try again; nothing was changed", path.display())]
    Busy {
        /// What is in use.
        path: PathBuf,
        /// By whom, as far as that is known.
        by: String,
        /// The cause.
        #[source]
        cause: Option<sqlx::Error>,
    },
    /// What was asked for is not there. Nothing was changed.
    #[error("{why}; nothing was changed")]
    Absent {
        /// What is not there, with what is.
        why: String,
    },
    /// What is there does not allow it. Nothing was changed.
    #[error("{why}; nothing was changed")]
    Refused {
        /// Why, with the path.
        why: String,
    },
    /// Files have changed places in part, and cannot go on until a person has looked at them.
    #[error("{why}; the next command goes on where this one has ended")]
    HalfDone {
        /// What is in the way, with the paths, and what to do.
        why: String,
    },
    /// A journal of a placement cannot be understood.
    #[error("the journal {} cannot be read", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: serde_json::Error,
    },
    /// What lies on the disk is not what the journal of an interrupted placement says. Nothing more was changed.
    #[error("{why}; the journal {} tells what was being done", journal.display())]
    Unclear {
        /// What was found, with the path.
        why: String,
        /// The journal.
        journal: PathBuf,
    },
}

impl Error {
    /// The same, said with more of what it has left behind where what it says leaves that open: `more` is a sentence without its end.
    pub(crate) fn adding(self, more: &str) -> Self {
        match self {
            Self::Server { what, server, hint, cause } => Self::Server { what, server, hint: format!("{hint}; {more}"), cause },
            Self::Load { line, head, why } => Self::Load { line, head, why: format!("{why}; {more}") },
            Self::Dump { why } => Self::Dump { why: format!("{why}; {more}") },
            other => other,
        }
    }

    /// For `map_err`: what was being done to which file.
    pub(super) fn file<E: Into<io::Error>>(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |cause| Self::File { what, path, cause: cause.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_has_left_behind_is_said_before_the_cause_and_only_where_it_is_open() {
        let server = Error::Server { what: "lock", server: "s".into(), hint: String::new(), cause: Box::new(sqlx::Error::PoolClosed) };
        assert_eq!(server.adding("nothing was lost").to_string(), "cannot lock s; nothing was lost");
        let load = Error::Load { line: 1, head: "x".into(), why: "y".into() };
        assert_eq!(load.adding("nothing was lost").to_string(), "the dump cannot be loaded: at line 1, x: y; nothing was lost");
        assert_eq!(Error::Refused { why: "x".into() }.adding("nothing was lost").to_string(), "x; nothing was changed");
    }
}
