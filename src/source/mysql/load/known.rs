//! What the server knows, of what a dump of another one may ask for.

use std::collections::BTreeSet;

use super::timestamps::Timestamps;
use super::wishes::Wishes;
use super::{collation, default_sets};
use crate::source::Error;
use crate::source::mysql::connection::{Connection, is_answer};
use crate::source::mysql::release::Release;

/// Names of `sql_mode` that some release of MySQL or MariaDB has and another has not. The rest is known to all, or to none.
const MODES: [&str; 31] = [
    "ALLOW_INVALID_DATES",
    "ANSI",
    "DB2",
    "EMPTY_STRING_IS_NULL",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "HIGH_NOT_PRECEDENCE",
    "IGNORE_BAD_TABLE_OPTIONS",
    "IGNORE_SPACE",
    "MAXDB",
    "MSSQL",
    "MYSQL323",
    "MYSQL40",
    "NO_AUTO_CREATE_USER",
    "NO_DIR_IN_CREATE",
    "NO_FIELD_OPTIONS",
    "NO_KEY_OPTIONS",
    "NO_TABLE_OPTIONS",
    "NO_UNSIGNED_SUBTRACTION",
    "NO_ZERO_DATE",
    "NO_ZERO_IN_DATE",
    "ONLY_FULL_GROUP_BY",
    "ORACLE",
    "PAD_CHAR_TO_FULL_LENGTH",
    "PIPES_AS_CONCAT",
    "POSTGRESQL",
    "REAL_AS_FLOAT",
    "SIMULTANEOUS_ASSIGNMENT",
    "STRICT_ALL_TABLES",
    "TIME_ROUND_FRACTIONAL",
    "TIME_TRUNCATE_FRACTIONAL",
    "TRADITIONAL",
];

/// The collations and modes of a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) release: Release,
    /// Names in lower case.
    pub(super) collations: BTreeSet<String>,
    /// Those of [`MODES`] that it does not take.
    pub(super) lacking_modes: BTreeSet<String>,
    /// Whether a session may not set its time.
    pub(super) keeps_time: bool,
    /// What a `TIMESTAMP` is of which nothing more is said.
    pub(super) timestamps: Timestamps,
    /// Character sets whose default collation is another one here than where a dump leaves it out, in lower case.
    pub(super) other_defaults: BTreeSet<String>,
    /// What a session that loads is to be besides.
    pub(super) wishes: Wishes,
}

impl Known {
    /// Asks the server.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub(super) fn read(connection: &mut Connection) -> Result<Self, Error> {
        const WHAT: &str = "ask for the collations of";
        let version = connection.value("ask for the version of", "SELECT VERSION()")?.unwrap_or_default();
        let mut names = connection.column(WHAT, "SELECT collation_name FROM information_schema.COLLATIONS")?;
        // Where MariaDB has one collation for several character sets, only this tells its whole name.
        let whole = "SELECT full_collation_name FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY";
        match connection.column(WHAT, whole) {
            Err(error) if is_answer(&error) => {}
            more => names.extend(more?),
        }
        let mut lacking_modes = BTreeSet::new();
        for mode in MODES {
            match connection.run("try a mode of", &format!("SET SESSION sql_mode = '{mode}'")) {
                Err(error) if is_answer(&error) => drop(lacking_modes.insert(mode.to_owned())),
                tried => tried?,
            }
        }
        let keeps_time = match connection.value("read the settings of", "SELECT @@global.secure_timestamp") {
            // MySQL knows no such variable.
            Err(error) if is_answer(&error) => false,
            // What else it may be lets some accounts do so, and which it is differs.
            setting => setting?.is_some_and(|setting| setting != "NO"),
        };
        let collations = names.into_iter().map(|name| name.to_lowercase()).collect();
        let (timestamps, other_defaults) = (Timestamps::read(connection)?, default_sets::others(connection)?);
        let wishes = Wishes::read(connection)?;
        Ok(Self { release: Release::of(&version), collations, lacking_modes, keeps_time, timestamps, other_defaults, wishes })
    }

    /// The collation to use for this one; none when the server has nothing near it.
    pub(super) fn collation(&self, name: &str) -> Option<String> {
        let is_there = |name: &str| self.collations.contains(name);
        let lower = name.to_ascii_lowercase();
        // Old and new names of one character set stand for each other where either is known by the server at all.
        let is_alias = lower.starts_with("utf8_") && is_there(&lower.replacen("utf8_", "utf8mb3_", 1));
        if is_there(&lower) || is_alias { Some(name.to_owned()) } else { collation::nearest(&lower, &is_there) }
    }

    /// A list of modes without those that the server does not know, which come second.
    pub(super) fn modes(&self, list: &str) -> (String, Vec<String>) {
        let is_lacking = |mode: &&str| self.lacking_modes.contains(&mode.trim().to_ascii_uppercase());
        let (lacking, kept): (Vec<&str>, Vec<&str>) = list.split(',').partition(is_lacking);
        (kept.join(","), lacking.into_iter().map(str::to_owned).collect())
    }
}
