//! What making views, triggers, events and routines asks of an account and a server.

use super::connection::{Connection, literal};
use super::definers;
use super::facts::number;
use super::option_file::Login;
use super::settings::Settings;
use crate::source::Error;
use crate::sys::stop::Stop;

/// What must be allowed so that definitions can be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// In whose names, as `user@host` or a role's name.
    pub definers: Vec<String>,
    /// Triggers and functions, which a server with a binary log lets only those make whom it trusts.
    pub creations: u64,
    /// Functions that do not say how they use data (`DETERMINISTIC`, `NO SQL`, `READS SQL DATA`), which such a server lets nobody make.
    pub undeclared: u64,
}

impl Demands {
    /// Those of what is in a database, or of the triggers of one table of it; of one that is not there, none.
    ///
    /// # Errors
    /// [`Error::Server`]; [`Error::Refused`], [`Error::File`] when the settings cannot be used; [`Error::Stopped`].
    pub fn of_live(settings: &Settings, database: &str, table: Option<&str>, stop: &Stop) -> Result<Self, Error> {
        Self::read(&mut Connection::open(&Login::of(settings)?, stop)?, database, table)
    }

    /// The same over a connection that is there.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub(super) fn read(connection: &mut Connection, database: &str, table: Option<&str>) -> Result<Self, Error> {
        const WHAT: &str = "look at the triggers and functions of";
        let schema = literal(database);
        let of_table = table.map_or_else(String::new, |table| format!(" AND event_object_table = {}", literal(table)));
        let from = format!("FROM information_schema.TRIGGERS WHERE trigger_schema = {schema}{of_table}");
        let triggers = connection.value(WHAT, &format!("SELECT COUNT(*) {from}"))?.map_or(0, |text| number(&text));
        if table.is_some() {
            let definers = connection.column(WHAT, &format!("SELECT DISTINCT definer {from}"))?;
            return Ok(Self { definers, creations: triggers, undeclared: 0 });
        }
        let sql = format!(
            "SELECT COUNT(*), SUM(is_deterministic = 'NO' AND sql_data_access IN ('CONTAINS SQL', 'MODIFIES SQL DATA')) FROM \
             information_schema.ROUTINES WHERE routine_schema = {schema} AND routine_type = 'FUNCTION'"
        );
        let row = connection.rows(WHAT, &sql)?.into_iter().next().unwrap_or_default();
        let sum = |at: usize| row.get(at).cloned().flatten().map_or(0, |text| number(&text));
        let definers = definers::read(connection, &[database.to_owned()])?;
        Ok(Self { definers, creations: triggers + sum(0), undeclared: sum(1) })
    }
}
