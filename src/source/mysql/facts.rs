//! What is worth knowing of a server and its databases beside their dump: what a fresh server needs, and what a person asks.

use serde::{Deserialize, Serialize};

use super::accounts::{self, Account};
use super::connection::{Connection, Value, is_answer, is_denied, literal};
use super::definers;
use super::demands::Demands;
use super::foreign_keys::Names;
use super::settings::Settings;
use super::split::Seen;
use crate::source::Error;

/// Most tables that are told one by one: more would not help a person, and facts are small.
const TABLES_MAX: usize = 1000;

/// Most foreign keys into other databases that are told of one: each asks for a right, and facts are small.
const REFERENCES_MAX: usize = 1000;

/// Facts of a server and of the databases that were taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The server as it was asked for.
    pub server: String,
    /// Its version, as it says it.
    pub version: String,
    /// `mariadb` or `mysql`.
    pub flavour: String,
    /// What the dump program says of itself.
    pub dump: String,
    /// The server's `sql_mode`, under which its applications work.
    pub sql_mode: String,
    /// The server's default character set.
    pub character_set: String,
    /// Its default collation.
    pub collation: String,
    /// Its time zone, `SYSTEM` for that of the machine.
    pub time_zone: String,
    /// The machine's.
    pub system_time_zone: String,
    /// How it compares names of tables: 0, 1 or 2.
    pub lower_case_table_names: String,
    /// The most that it takes in one packet, in bytes.
    pub max_allowed_packet: u64,
    /// Bytes of the longest statement of the dump: a server that loads it must take as much in one packet.
    pub longest_statement: u64,
    /// Where its binary log was at the instant of the dump; `None` when it writes none, or its dump program cannot tell.
    pub binary_log: Option<Position>,
    /// Bytes of the rows of all databases, as the server estimates them: what the size of the next dump is reckoned from.
    pub data_bytes: u64,
    /// The databases, in the order they were asked for.
    pub databases: Vec<DatabaseFacts>,
    /// Accounts with rights on them, and their grants; `None` when they cannot be read.
    pub accounts: Option<Vec<Account>>,
    /// How many accounts have rights on them besides those, which are at most 200. Facts that do not have it have all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_accounts: u64,
    /// Definers of their views, routines, triggers and events, as `user@host` or a role's name, sorted; at most 1,000. Older facts have none.
    #[serde(default)]
    pub definers: Vec<String>,
    /// How many triggers and functions they have. Older facts have none of this.
    #[serde(default)]
    pub triggers_and_functions: u64,
    /// How many functions do not say how they use data, which a server with a binary log may refuse. Older facts have none of this.
    #[serde(default)]
    pub undeclared_functions: u64,
}

/// A place in a binary log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The file.
    pub file: String,
    /// The offset in it.
    pub offset: u64,
    /// MariaDB's GTID there.
    pub gtid: Option<String>,
}

/// Facts of one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// Its name.
    pub name: String,
    /// The path of its dump in the snapshot.
    pub file: String,
    /// Its default character set, which a new database that the dump is loaded into needs too.
    pub character_set: String,
    /// Its default collation.
    pub collation: String,
    /// Bytes of rows and of indexes, as the server estimates them.
    pub data_bytes: u64,
    /// How many tables it has.
    pub table_count: u64,
    /// The tables by name, over all databases at most 1,000.
    pub tables: Vec<TableFacts>,
    /// To which tables of other databases foreign keys of its tables point, each table and parent once, at most 1,000. Older facts have none of
    /// this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

/// That a table has a foreign key into another database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The table that has it.
    pub table: String,
    /// The database that it points into.
    pub database: String,
    /// The table there.
    pub parent: String,
}

/// Facts of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFacts {
    /// Its name.
    pub name: String,
    /// Its storage engine.
    pub engine: String,
    /// Its rows, as the server estimates them.
    pub rows: u64,
    /// Its checksum, where the server keeps one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// What is known of a server before the dump.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) version: String,
    pub(super) is_mariadb: bool,
    pub(super) packet_limit: u64,
    pub(super) has_binary_log: bool,
    variables: Vec<Value>,
}

const ABOUT: &str = "read the settings of";

impl About {
    pub(super) fn read(connection: &mut Connection) -> Result<Self, Error> {
        let sql = "SELECT VERSION(), @@global.max_allowed_packet, @@global.log_bin, @@global.sql_mode, @@global.character_set_server, \
                   @@global.collation_server, @@global.time_zone, @@global.system_time_zone, @@global.lower_case_table_names";
        let variables = connection.rows(ABOUT, sql)?.into_iter().next().unwrap_or_default();
        let text = |at: usize| variables.get(at).cloned().flatten().unwrap_or_default();
        Ok(Self {
            is_mariadb: text(0).to_lowercase().contains("mariadb"),
            version: text(0),
            packet_limit: text(1).parse().unwrap_or(16 << 20),
            has_binary_log: text(2) == "1",
            variables,
        })
    }

    /// All facts, once the dump is there.
    pub(super) fn facts(&self, connection: &mut Connection, settings: &Settings, dump: &str, seen: &Seen) -> Result<Facts, Error> {
        let text = |at: usize| self.variables.get(at).cloned().flatten().unwrap_or_default();
        let mut left = TABLES_MAX;
        let databases = settings.databases.iter().map(|name| database(connection, name, &mut left)).collect::<Result<_, _>>()?;
        let accounts = match accounts::read(connection, &settings.databases, settings.accounts) {
            Err(error) if is_denied(&error) || is_answer(&error) && !settings.accounts => None,
            accounts => Some(accounts?),
        };
        let (accounts, more_accounts) = accounts.map_or((None, 0), |(accounts, more)| (Some(accounts), more));
        let position = seen.position.clone();
        let demands = settings.databases.iter().map(|name| Demands::read(connection, name, None)).collect::<Result<Vec<_>, _>>()?;
        Ok(Facts {
            server: settings.place(),
            version: self.version.clone(),
            flavour: if self.is_mariadb { "mariadb" } else { "mysql" }.to_owned(),
            dump: dump.to_owned(),
            sql_mode: text(3),
            character_set: text(4),
            collation: text(5),
            time_zone: text(6),
            system_time_zone: text(7),
            lower_case_table_names: text(8),
            max_allowed_packet: self.packet_limit,
            longest_statement: seen.longest,
            binary_log: position.map(|(file, offset)| Position { file, offset, gtid: seen.gtid.clone() }),
            data_bytes: data_bytes(connection, &settings.databases)?,
            databases,
            accounts,
            more_accounts,
            definers: definers::read(connection, &settings.databases)?,
            triggers_and_functions: demands.iter().map(|of| of.creations).sum(),
            undeclared_functions: demands.iter().map(|of| of.undeclared).sum(),
        })
    }
}

/// Bytes of the rows of these databases, as the server estimates them: indexes are not dumped.
pub(super) fn data_bytes(connection: &mut Connection, databases: &[String]) -> Result<u64, Error> {
    let names: Vec<String> = databases.iter().map(|name| literal(name)).collect();
    let sql = format!("SELECT SUM(data_length) FROM information_schema.TABLES WHERE table_schema IN ({})", names.join(", "));
    Ok(connection.value("ask for the size of the databases of", &sql)?.map_or(0, |sum| number(&sum)))
}

fn database(connection: &mut Connection, name: &str, left: &mut usize) -> Result<DatabaseFacts, Error> {
    let schema = literal(name);
    let sql =
        format!("SELECT default_character_set_name, default_collation_name FROM information_schema.SCHEMATA WHERE schema_name = {schema}");
    let set = connection.rows("read the character set of a database of", &sql)?.into_iter().next().unwrap_or_default();
    let set = |at: usize| set.get(at).cloned().flatten().unwrap_or_default();
    let from = format!(
        "FROM information_schema.TABLES WHERE table_schema = {schema} AND table_type NOT LIKE '%VIEW' AND table_type <> 'SEQUENCE'"
    );
    let sums = connection.rows("count the tables of", &format!("SELECT COUNT(*), SUM(data_length + index_length) {from}"))?;
    let sums = sums.into_iter().next().unwrap_or_default();
    let sum = |at: usize| sums.get(at).cloned().flatten().map_or(0, |text| number(&text));
    let sql = format!("SELECT table_name, engine, table_rows, checksum {from} ORDER BY table_name LIMIT {left}");
    let tables: Vec<TableFacts> = connection
        .rows("read the facts of the tables of", &sql)?
        .into_iter()
        .map(|row| {
            let [name, engine, rows, checksum] = row.try_into().unwrap_or_default();
            TableFacts {
                name: name.unwrap_or_default(),
                engine: engine.unwrap_or_default(),
                rows: rows.map_or(0, |rows| number(&rows)),
                checksum,
            }
        })
        .collect();
    *left -= tables.len();
    Ok(DatabaseFacts {
        name: name.to_owned(),
        file: format!("{}/{}", super::settings::folder_of(name), super::settings::DUMP_FILE),
        character_set: set(0),
        collation: set(1),
        data_bytes: sum(1),
        table_count: sum(0),
        tables,
        references: references(connection, name)?,
    })
}

/// The foreign keys of a database's tables into others.
fn references(connection: &mut Connection, name: &str) -> Result<Vec<Reference>, Error> {
    let names = Names::read(connection)?;
    let sql = format!(
        "SELECT DISTINCT table_name, referenced_table_schema, referenced_table_name FROM information_schema.KEY_COLUMN_USAGE WHERE table_schema \
         = {schema} AND {of} = {compared} AND referenced_table_schema IS NOT NULL AND {into} <> {compared} ORDER BY 1, 2, 3 LIMIT {REFERENCES_MAX}",
        schema = literal(name),
        compared = literal(&names.compared(name)),
        of = names.column("table_schema"),
        into = names.column("referenced_table_schema"),
    );
    let reference = |row: Vec<Value>| match <[Value; 3]>::try_from(row) {
        Ok([Some(table), Some(database), Some(parent)]) => Some(Reference { table, database, parent }),
        _ => None,
    };
    Ok(connection.rows("list the foreign keys of", &sql)?.into_iter().filter_map(reference).collect())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what is asked whether to write a field is lent it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A whole number as the server writes it; sums come with a fraction of nothing from some.
pub(super) fn number(text: &str) -> u64 {
    text.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(0)
}
