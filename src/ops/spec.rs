//! What a source is, as its operator described it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Error;
use super::hooks::Hooks;
use crate::format::names::SourceName;
pub use crate::source::cassandra::{ALL, API, Cql, Engine, JMX_PORT, Jmx, Settings as CassandraSettings, why_not};
use crate::source::directory::Exclude;
pub use crate::source::mysql::{Address, DATABASES_MAX, LOCK_WAIT, PORT, SILENCE, SOCKET, Settings as MysqlSettings, is_beside};

/// One source of this node.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    /// Its name, unique across kinds.
    pub name: SourceName,
    /// What it is and where.
    pub kind: SourceKind,
    /// How old its newest snapshot may get.
    pub objective: Duration,
    /// How many local copies are kept, at least 1.
    pub keep: usize,
    /// zstd level, 1 to 19.
    pub level: i32,
    /// What an operator has run around its runs.
    pub hooks: Hooks,
    /// Its section of the configuration as it was written, without a secret: goes into the facts, so that a machine that has nothing but
    /// the repository can be told the source again. Null where nobody wrote one.
    pub written: serde_json::Value,
}

/// What a source is and where.
#[derive(Clone, Debug)]
pub enum SourceKind {
    /// A folder.
    Directory {
        /// Its absolute path.
        path: PathBuf,
        /// Glob patterns of what is left out.
        exclude: Vec<String>,
        /// Whether mounted filesystems below it are part of it.
        cross_filesystems: bool,
    },
    /// A SQLite database.
    Sqlite {
        /// The absolute path of its file.
        path: PathBuf,
    },
    /// Databases of a MySQL or MariaDB server.
    Mysql(Box<MysqlSettings>),
    /// Keyspaces of a Cassandra node.
    Cassandra(Box<CassandraSettings>),
}

/// Whether a pattern of what is left out can be used.
///
/// # Errors
/// What is wrong with it.
pub fn check_exclude(pattern: &str) -> Result<(), Error> {
    Exclude::new(&[pattern.to_owned()])?;
    Ok(())
}

impl SourceKind {
    /// The kind in one word, as it stands in manifests.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Directory { .. } => "directory",
            Self::Sqlite { .. } => "sqlite",
            Self::Mysql(_) => "mysql",
            Self::Cassandra(_) => "cassandra",
        }
    }

    /// Where it lies on the node; `None` for what a server keeps.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Directory { path, .. } | Self::Sqlite { path } => Some(path),
            Self::Mysql(_) | Self::Cassandra(_) => None,
        }
    }

    /// Its path or its server, for a person.
    pub fn place(&self) -> String {
        match self {
            Self::Directory { path, .. } | Self::Sqlite { path } => path.display().to_string(),
            Self::Mysql(settings) => settings.place(),
            Self::Cassandra(settings) => settings.place(),
        }
    }
}
