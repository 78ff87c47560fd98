//! What changes places: what is live, and what lies beside it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::super::connection::{Connection, is_answer, literal};
use super::super::invalid::{self, InvalidView};
use super::super::inventory::Inventory;
use super::super::object::quoted;
use super::super::option_file::Login;
use super::super::settings::Settings;
use super::grants::{self, RoutineGrant};
use super::outer_keys::OuterKey;
use super::without_tables::Definition;
use super::{Around, definitions, tables};
use crate::source::Error;
use crate::sys::stop::Stop;

/// A database that is not live: its tables in a database beside, the rest of it in a dump.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The database that has its tables.
    pub database: String,
    /// The dump that has its views, triggers, events and routines.
    pub definitions: PathBuf,
    /// Whether there is a database at all in this state; without one nothing was there before a restore.
    pub exists: bool,
    /// Its default character set; empty where nobody knows.
    pub character_set: String,
    /// Its default collation; empty where nobody knows.
    pub collation: String,
    /// The tables and sequences that were set aside; nothing where none were.
    #[serde(default)]
    pub tables: Option<Vec<String>>,
    /// Rights on single routines of it.
    #[serde(default)]
    pub grants: Vec<RoutineGrant>,
    /// Views of it that stood on what was missing, so that the dump lacks them. Of a single table those alone that are dropped with it.
    #[serde(default)]
    pub invalid: Vec<InvalidView>,
    /// Foreign keys that point out of it: its tables do not have them while they are aside.
    #[serde(default)]
    pub keys: Vec<OuterKey>,
    /// What else of it cannot be made again, for a person.
    #[serde(default)]
    pub unread: Option<String>,
}

/// A live database and the two states that change places in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The live database.
    pub live: String,
    /// The name it has in the dump that comes.
    pub original: String,
    /// Only this table, and its triggers.
    pub table: Option<String>,
    /// Whether what is live has been noted.
    #[serde(default)]
    pub is_captured: bool,
    /// Whether the database that is loaded beside is ours: only then is it to be dropped.
    #[serde(default)]
    pub is_made: bool,
    /// Whether the live database was made for what comes: only then is it to be dropped again.
    #[serde(default)]
    pub is_live_made: bool,
    /// What comes.
    pub incoming: State,
    /// Where that goes which is live now.
    pub outgoing: State,
    /// Tables that come.
    pub coming: Vec<String>,
    /// Tables that go.
    pub going: Vec<String>,
    /// What is live besides tables, where no table moves: else those tell what has come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub definitions: Vec<Definition>,
}

/// That the databases which are to come back hold what was set aside in them, all of it and nothing else, as an exchange will ask.
///
/// # Errors
/// [`Error::Refused`] naming the table; [`Error::Server`]; [`Error::File`] when the settings cannot be used; [`Error::Stopped`].
pub fn check_aside(settings: &Settings, pairs: &[Pair], stop: &Stop) -> Result<(), Error> {
    let mut connection = Connection::open(&Login::of(settings)?, stop)?;
    for pair in pairs.iter().filter(|pair| pair.incoming.tables.is_some()) {
        pair.check_aside(&tables::listed(&mut connection, &pair.incoming.database, None)?)?;
    }
    Ok(())
}

impl State {
    /// How a statement says the character set; empty where it is not known.
    pub(super) fn character_set_words(&self) -> String {
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match (is_word(&self.character_set), is_word(&self.collation)) {
            (true, true) => format!(" CHARACTER SET {} COLLATE {}", self.character_set, self.collation),
            (true, false) => format!(" CHARACTER SET {}", self.character_set),
            _ => String::new(),
        }
    }
}

/// The default character set and collation of a database that is there.
pub(super) fn character_set(connection: &mut Connection, database: &str) -> Result<Option<(String, String)>, Error> {
    let sql = format!(
        "SELECT default_character_set_name, default_collation_name FROM information_schema.SCHEMATA WHERE schema_name = {}",
        literal(database)
    );
    let row = connection.rows("read the character set of a database of", &sql)?.into_iter().next();
    Ok(row.map(|row| {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        (values.next().unwrap_or_default(), values.next().unwrap_or_default())
    }))
}

impl Pair {
    /// Notes what is live now; gives the list of what was saved, if there is a live database.
    pub(super) fn capture(&mut self, connection: &mut Connection, around: Around<'_>) -> Result<Option<Inventory>, Error> {
        let mut saved = None;
        let row = character_set(connection, &self.live)?;
        self.outgoing.exists = row.is_some();
        self.coming = tables::listed(connection, &self.incoming.database, None)?;
        self.check_aside(&self.coming)?;
        if let Some((character_set, collation)) = &row {
            (self.outgoing.character_set, self.outgoing.collation) = (character_set.clone(), collation.clone());
            self.going = tables::listed(connection, &self.live, self.table.as_deref())?;
            self.outgoing.tables = Some(self.going.clone());
            self.check_no_view(connection)?;
            let (mut invalid, inventory) = definitions::save(around, &self.live, &self.outgoing.definitions)?;
            saved = Some(inventory);
            if self.table.is_some() {
                let coming = tables::set(&self.coming);
                invalid.retain(|view| coming.contains(view.name.as_str()));
            } else {
                (self.outgoing.grants, self.outgoing.unread) = grants::read(connection, &self.live, "")?;
            }
            self.outgoing.invalid = invalid;
        }
        self.is_captured = true;
        Ok(saved)
    }

    /// That the one table that comes does not take the name of a view: nothing would remember that one.
    fn check_no_view(&self, connection: &mut Connection) -> Result<(), Error> {
        let Some(table) = &self.table else { return Ok(()) };
        let sql = format!(
            "SELECT table_name FROM information_schema.VIEWS WHERE table_schema = {} AND table_name = {}",
            literal(&self.live),
            literal(table)
        );
        match connection.value("look for a view of", &sql)? {
            None => Ok(()),
            Some(_) => {
                let why =
                    format!("{} is a view now, which a table cannot replace by itself: drop the view, or use --as", self.of_live(table));
                Err(Error::Refused { why })
            }
        }
    }

    /// That a database beside, which has these tables, holds what was set aside there, all of it and nothing else.
    fn check_aside(&self, coming: &[String]) -> Result<(), Error> {
        let Some(tables) = &self.incoming.tables else { return Ok(()) };
        let (coming, aside) = (tables::set(coming), tables::set(tables));
        let (lost, strange) = (aside.difference(&coming).next(), coming.difference(&aside).next());
        let of = |table: &str| format!("{}.{}", quoted(&self.incoming.database), quoted(table));
        let why = match (lost, strange) {
            (None, None) => return Ok(()),
            (Some(table), _) => format!("{} was set aside and is not there any more", of(table)),
            (None, Some(table)) => format!("{} was not set aside and would become live: move it away", of(table)),
        };
        Err(Error::Refused { why })
    }

    /// What of the state that goes can be made again by nothing, for a person.
    pub(super) fn lacks(&self) -> Vec<String> {
        let mut lacks = invalid::notes(&self.live, self.outgoing.invalid.iter());
        lacks.extend(self.outgoing.unread.clone());
        lacks
    }

    /// Makes the databases that tables are about to move into.
    pub(super) fn make_room(&mut self, connection: &mut Connection) -> Result<(), Error> {
        if self.outgoing.exists {
            super::create_database(connection, &self.outgoing)?;
        } else if self.makes_live() {
            let made = super::create_database(connection, &State { database: self.live.clone(), ..self.incoming.clone() });
            // Where there is no answer, the server may still make it.
            self.is_live_made = made.as_ref().map_or_else(|error| !is_answer(error), |()| true);
            made?;
        }
        Ok(())
    }

    /// Whether the live database is to be made for what comes.
    pub fn makes_live(&self) -> bool {
        self.incoming.exists && !self.outgoing.exists
    }

    /// A table of the live database, as SQL names it.
    pub(super) fn of_live(&self, table: &str) -> String {
        format!("{}.{}", quoted(&self.live), quoted(table))
    }
}
