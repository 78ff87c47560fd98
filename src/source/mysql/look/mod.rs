//! What is on a server before something is put back there, and whether that can go well.
//!
//! [`look()`] only asks; [`Present::judge`] compares with the facts of a snapshot, and asks nothing. `sessions` are who is connected, `room` is
//! what the data directory can take, `allowed` what the account lacks, `names` what becomes of names that differ in their case.

mod allowed;
mod judge;
mod names;
mod room;
mod sessions;

use std::time::Duration;

use serde::{Serialize, Serializer};

use self::allowed::Allowed;
pub(super) use self::allowed::{grant_beside, pattern_beside};
pub(super) use self::judge::needed_packet;
use super::connection::{Connection, literal};
use super::definers::Accounts;
use super::exchange::beginnings;
use super::facts::number;
use super::foreign_keys::Names;
use super::object::quoted;
use super::option_file::Login;
use super::release::Release;
use super::rights::Rights;
use super::settings::Settings;
use crate::source::Error;
use crate::sys::stop::Stop;

/// What follows the name of a database in the names of those beside it, which a restore makes: `ellis_windlass_…`.
pub const BESIDE: &str = "_windlass_";

/// Most tables of other databases that are named for each database: they are told to a person.
const REFERRING_MAX: usize = 50;

/// What is on a server.
#[derive(Clone, Debug, Serialize)]
pub struct Present {
    /// The server, and as whom it was asked, for a person.
    pub server: String,
    /// Its version, as it says it.
    pub version: String,
    /// Whether it is MariaDB, else it is MySQL.
    pub is_mariadb: bool,
    /// The databases that were asked about, in that order.
    pub databases: Vec<PresentDatabase>,
    /// Who is connected to one of them, besides this program: those with the oldest work first, and only the first of them.
    pub sessions: Vec<Session>,
    /// Connections besides those that are told.
    pub more_sessions: u64,
    /// Whether the sessions of other accounts were seen; else only those of this one are known.
    pub sees_sessions: bool,
    /// Room in the data directory, in bytes, when it is on this machine and can be asked for.
    pub free_bytes: Option<u64>,
    /// The most that the server takes in one packet, in bytes.
    pub packet_limit: u64,
    /// How it compares names of tables: 0, 1 or 2.
    pub lower_case_table_names: String,
    /// Whether it takes no changes (`read_only`).
    pub is_read_only: bool,
    /// What the account may do.
    #[serde(skip)]
    allowed: Allowed,
    /// Accounts and roles that exist; `None` when they cannot be read.
    #[serde(skip)]
    accounts: Option<Accounts>,
}

/// A database, as it is on a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PresentDatabase {
    /// Its name, as the server keeps it: some make names small.
    pub name: String,
    /// Whether it is there, and the account may see it.
    pub exists: bool,
    /// How many tables it has, sequences included.
    pub tables: u64,
    /// Bytes of rows and indexes, as the server estimates them.
    pub bytes: u64,
    /// How many triggers its tables have.
    pub triggers: u64,
    /// How many stored routines it has.
    pub routines: u64,
    /// How many events it has.
    pub events: u64,
    /// Tables of other databases whose foreign keys point into it, in quotes: the first 50 that the account may see.
    pub referring: Vec<String>,
    /// Whether there are more than those.
    pub more_referring: bool,
}

/// Connections of one account from one host to one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// The account's user.
    pub user: String,
    /// The host, without a port.
    pub host: String,
    /// The database.
    pub database: String,
    /// How many connections.
    pub count: u64,
    /// How long the oldest running statement or open transaction of them has lasted; transactions only where `sees_sessions`. Documents say it in whole seconds.
    #[serde(rename = "longest_seconds", serialize_with = "in_seconds")]
    pub longest: Duration,
}

fn in_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

/// Looks at what is on the server, under these names, and gives each as the server keeps it. Nothing is changed.
///
/// # Errors
/// [`Error::Server`] when it cannot be reached or does not answer; [`Error::Refused`], [`Error::File`] when the settings cannot be used;
/// [`Error::Stopped`].
pub fn look(settings: &Settings, databases: &[String], stop: &Stop) -> Result<Present, Error> {
    let login = Login::of(settings)?;
    let mut connection = Connection::open(&login, stop)?;
    let connection = &mut connection;
    let variables = Variables::read(connection)?;
    let release = Release::of(&variables.version);
    let rights = Rights::read(connection, release)?;
    let databases: &[String] = &databases.iter().map(|name| variables.kept(name)).collect::<Vec<_>>();
    let named = databases.iter().map(|name| database(connection, name, &variables)).collect::<Result<Vec<_>, _>>()?;
    let seen = sessions::read(connection, databases, variables.compares_case())?;
    Ok(Present {
        server: login.told(),
        sessions: seen.sessions,
        more_sessions: seen.more,
        sees_sessions: seen.sees_all,
        free_bytes: room::free(&login.address, &variables.place),
        packet_limit: variables.packet_limit,
        is_read_only: variables.is_read_only,
        allowed: Allowed::of(&rights, &named, variables.account.clone(), release, variables.trusts_creators),
        accounts: Accounts::read(connection)?,
        databases: named,
        is_mariadb: variables.is_mariadb,
        version: variables.version,
        lower_case_table_names: variables.lower_case_table_names,
    })
}

/// Settings of the server that matter for putting back.
struct Variables {
    version: String,
    is_mariadb: bool,
    packet_limit: u64,
    lower_case_table_names: String,
    is_read_only: bool,
    /// `user@host` of the account that the server took the connection for.
    account: String,
    /// Whether whoever may make triggers and functions may do so while there is a binary log.
    trusts_creators: bool,
    place: room::Place,
}

impl Variables {
    fn read(connection: &mut Connection) -> Result<Self, Error> {
        let sql = "SELECT VERSION(), @@global.max_allowed_packet, @@global.lower_case_table_names, @@global.read_only, CURRENT_USER(), \
                   @@global.log_bin, @@global.log_bin_trust_function_creators, @@global.hostname, @@global.datadir, @@global.pid_file, \
                   @@global.socket";
        let row = connection.rows("read the settings of", sql)?.into_iter().next().unwrap_or_default();
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let is_off = |at: usize| matches!(text(at).as_str(), "0" | "OFF" | "");
        Ok(Self {
            is_mariadb: text(0).to_lowercase().contains("mariadb"),
            version: text(0),
            packet_limit: number(&text(1)),
            lower_case_table_names: text(2),
            is_read_only: !is_off(3),
            account: text(4),
            trusts_creators: is_off(5) || !is_off(6),
            place: room::Place { host: text(7), data: text(8), pid_file: text(9), socket: text(10) },
        })
    }

    /// A name as the server keeps it.
    fn kept(&self, name: &str) -> String {
        if self.lower_case_table_names == "1" { name.to_lowercase() } else { name.to_owned() }
    }

    fn compares_case(&self) -> bool {
        self.lower_case_table_names == "0"
    }
}

fn database(connection: &mut Connection, name: &str, variables: &Variables) -> Result<PresentDatabase, Error> {
    let schema = literal(name);
    let sql = format!("SELECT schema_name FROM information_schema.SCHEMATA WHERE schema_name = {schema}");
    let found = connection.column("look for a database of", &sql)?;
    // The server's tables about itself take names that differ in their case for one, even where the databases are two.
    let exists = found.iter().any(|found| found == name || !variables.compares_case());
    let sql = format!(
        "SELECT COUNT(*), SUM(data_length + index_length) FROM information_schema.TABLES WHERE table_schema = {schema} AND table_type NOT \
         LIKE '%VIEW'"
    );
    let sums = connection.rows("count the tables of", &sql)?.into_iter().next().unwrap_or_default();
    let sum = |at: usize| sums.get(at).cloned().flatten().map_or(0, |text| number(&text));
    let names = Names::read(connection)?;
    let mut count = |what, table: &str, column: &str| -> Result<u64, Error> {
        let sql = format!("SELECT COUNT(*) FROM information_schema.{table} WHERE {}", names.is(column, name));
        Ok(connection.value(what, &sql)?.map_or(0, |text| number(&text)))
    };
    let triggers = count("count the triggers of", "TRIGGERS", "trigger_schema")?;
    let routines = count("count the routines of", "ROUTINES", "routine_schema")?;
    let events = count("count the events of", "EVENTS", "event_schema")?;
    let mut referring = referring(connection, name, variables.compares_case())?;
    let more_referring = referring.len() > REFERRING_MAX;
    referring.truncate(REFERRING_MAX);
    Ok(PresentDatabase {
        name: name.to_owned(),
        exists,
        tables: sum(0),
        bytes: sum(1),
        triggers,
        routines,
        events,
        referring,
        more_referring,
    })
}

/// Tables of other databases whose foreign keys point into this one; those that wait beside it for an undo are none of an application's.
fn referring(connection: &mut Connection, name: &str, compares_case: bool) -> Result<Vec<String>, Error> {
    // As the server compares names of databases.
    let (as_bytes, small) = if compares_case { ("CAST(", "") } else { ("CAST(LOWER(", ")") };
    let as_bytes = |what: &str| format!("{as_bytes}{what}{small} AS BINARY)");
    let beside = beginnings(name)
        .into_iter()
        .map(|begin| format!("{} = {}", as_bytes(&format!("LEFT(table_schema, {})", begin.chars().count())), as_bytes(&literal(&begin))));
    let sql = format!(
        "SELECT table_schema, table_name FROM information_schema.KEY_COLUMN_USAGE WHERE {into} = {name} AND NOT {of} = {name} AND NOT \
         ({beside}) GROUP BY CAST(table_schema AS BINARY), CAST(table_name AS BINARY) ORDER BY 1, 2 LIMIT {limit}",
        into = as_bytes("referenced_table_schema"),
        of = as_bytes("table_schema"),
        name = as_bytes(&literal(name)),
        beside = beside.collect::<Vec<_>>().join(" OR "),
        limit = REFERRING_MAX + 1,
    );
    let rows = connection.rows("look for foreign keys of other databases of", &sql)?;
    let told = |row: Vec<Option<String>>| match <[_; 2]>::try_from(row) {
        Ok([Some(schema), Some(table)]) => Some(format!("{}.{}", quoted(&schema), quoted(&table))),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(told).collect())
}
