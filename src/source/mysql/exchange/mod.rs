//! Letting databases of a server and what was loaded beside them change places, so that it can be taken back.
//!
//! The tables of a live database move into a database beside it and those that were loaded move into the live one, all in one
//! `RENAME TABLE`, which the server does whole or not at all (MariaDB since 10.6, MySQL since 8.0). Views, triggers, events and routines
//! cannot be moved; they lie in dumps ([`definitions`]) and are made anew. So a reader sees the old tables or the new ones, and for a
//! moment no views and routines. [`Exchange::put_back`] makes the old state of whatever a failure or a kill has left.

mod calls;
mod came;
mod captured;
mod check;
mod damaged;
mod definitions;
mod drop;
mod grants;
mod kept;
mod lacking;
mod length;
mod make;
mod mark;
mod names;
mod onward;
mod outer_keys;
mod owed;
mod put_back;
mod rehearse;
mod settle;
mod sight;
mod stand_ins;
mod state;
mod tables;
mod ties;
mod timed;
mod told;
mod turn;
mod unchanged;
mod views;
mod waiting;
mod without_tables;
mod written;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::captured::Captured;
pub use self::damaged::check_readable;
pub use self::drop::{Doomed, Holds, Stays, Undropped, drop_databases, drop_made, removal};
pub use self::grants::{RoutineGrant, tell_unread};
pub use self::length::check_length;
pub use self::mark::{MARK, under_way};
pub(super) use self::names::beginnings;
pub use self::names::{NEW, aside_at, beside, is_beside, is_beside_of, is_of_what_comes};
pub use self::outer_keys::{OuterKey, check_references};
pub use self::owed::{OwedKey, Turn, settle_keys, tell_owed};
pub use self::settle::Settled;
pub use self::sight::{Sight, sight};
pub use self::state::{Pair, State, check_aside};
pub use self::tables::TABLES_MAX;
pub use self::ties::tell_hidden_keys;
pub use self::views::check_views;
pub use self::without_tables::Definition;

use self::check::Strangers;
use self::drop::drop_if_empty;
use super::connection::{Connection, is_answer, literal};
use super::load::{self, Loaded, Part};
use super::object::quoted;
use super::option_file::Login;
use super::settings::Settings;
use crate::source::Error;
use crate::sys::stop::Stop;

/// What a person maps: `user@host` of a `DEFINER` in the dump to that of an account of the server.
pub type Definers = std::collections::BTreeMap<String, String>;

/// Databases that change places together. It is also what a journal keeps of it, so that a kill can be settled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The server on which it was begun, as [`identity`] tells it.
    pub server: String,
    /// The databases of a source, in its order.
    pub pairs: Vec<Pair>,
    /// How what comes is to be read.
    pub words: Words,
    /// The mark of what this restore loads: a name that no other one has. Empty where nothing is loaded.
    #[serde(default)]
    pub mark: String,
    /// A second, by the server's clock, in which all that was loaded had been committed and nothing had moved yet; 0 before that.
    #[serde(default)]
    pub since: u64,
}

/// How a dump is to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// The `sql_mode` of the server that it is of, where that is known.
    pub sql_mode: Option<String>,
    /// Which account takes the place of which.
    pub definers: Definers,
    /// Whether events stay behind, and foreign keys into other databases, because the original may be live beside what comes.
    #[serde(default)]
    pub without_events: bool,
}

/// What came of an exchange, or of putting the old state back.
#[derive(Debug, Default)]
pub struct Done {
    /// What a person should know, as sentences without their end.
    pub notes: Vec<String>,
    /// Foreign keys that are still to be made or dropped.
    pub owed: Vec<OwedKey>,
    /// Files of definitions of which not all have been made, so that they stay.
    pub needed: Vec<PathBuf>,
}

/// An exchange that was not carried out, and why.
#[derive(Debug)]
pub enum Failed {
    /// Nothing of what is live was touched, so there is nothing to put back: that would make again what others have dropped meanwhile.
    Before(Error),
    /// It may have come to any point: [`Exchange::put_back`] is due.
    Midway(Error),
}

/// What both directions need of the world around them.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The server, the account and the programs.
    pub settings: &'a Settings,
    /// A folder that nobody else can enter, for the option file with the password.
    pub folder: &'a Path,
    /// For nameless temporary files.
    pub work: &'a Path,
    /// Whether the run is to end.
    pub stop: &'a Stop,
}

impl Around<'_> {
    fn connect(&self) -> Result<Connection, Error> {
        Connection::open(&Login::of(self.settings)?, self.stop)
    }
}

impl Exchange {
    /// Notes what is live now: its tables, its character set, and everything else as a dump of definitions. Nothing is changed but files
    /// of this node. Gives what tells later whether it is still so.
    ///
    /// # Errors
    /// [`Error::Refused`] when there are too many tables for one statement, or the table that is wanted is not among what was loaded; those of a dump.
    pub fn capture(&mut self, around: Around<'_>) -> Result<Captured, Error> {
        let mut connection = around.connect()?;
        let mut saved = Vec::new();
        for pair in &mut self.pairs {
            saved.push(pair.capture(&mut connection, around)?);
        }
        outer_keys::note(&mut connection, &mut self.pairs)?;
        self.note_definitions(&mut connection, around)?;
        length::check(&mut connection, &self.pairs)?;
        Ok(Captured(saved))
    }

    /// Makes the databases that tables are about to move into, and waits for whoever holds a table. Nothing that is live is changed.
    ///
    /// # Errors
    /// [`Error::Server`], also when somebody keeps a table locked; [`Error::Refused`] when another session exchanges the same.
    pub fn get_ready(&mut self, around: Around<'_>) -> Result<(), Error> {
        let mut connection = around.connect()?;
        turn::take(&mut connection, self)?;
        for pair in &mut self.pairs {
            pair.make_room(&mut connection)?;
        }
        self.since = written::since(&mut connection, &self.pairs)?;
        tables::wait_for_holders(&mut connection, &self.pairs)
    }

    /// Lets all of them change places, once all is ready, and what is live is still what was `captured`.
    ///
    /// # Errors
    /// [`Error::Refused`] when a definition is another one now, or a table was made; [`Error::Server`], also when somebody keeps a table locked; [`Error::Load`];
    /// [`Error::Dump`] when something is missing afterwards. Each with how far it has come.
    pub fn carry_out(&self, captured: &Captured, around: Around<'_>) -> Result<Done, Failed> {
        // What was loaded bears its mark still, and only with an answer it can be taken away.
        let mut connection = around.connect().map_err(Failed::Midway)?;
        let is_ready = turn::take(&mut connection, self)
            .and_then(|()| self.pairs.iter().try_for_each(|pair| mark::make_aside(&mut connection, pair, &self.mark)))
            .and_then(|()| tables::check_held(&mut connection, &self.pairs, || captured.check(around, &self.pairs)));
        let unchanged = match is_ready {
            Ok(unchanged) => unchanged,
            // With a mark left the next command has to look.
            Err(error) => {
                return Err(if mark::remove(&mut connection, self).is_ok() { Failed::Before(error) } else { Failed::Midway(error) });
            }
        };
        if let Err(error) = tables::exchange(&mut connection, around, &self.pairs, &unchanged) {
            // What has failed first is told; where this cannot be noted, what was noted before tells what has come.
            let _ = without_tables::nothing_came(&self.pairs);
            return Err(Failed::Midway(error));
        }
        self.make_the_rest(&mut connection, around, Strangers::Refuse).map_err(Failed::Midway)
    }

    /// What remains to be done once the tables have moved. It can be repeated.
    fn make_the_rest(&self, connection: &mut Connection, around: Around<'_>, strangers: Strangers) -> Result<Done, Error> {
        let (mut notes, mut owed) = (Vec::new(), Vec::new());
        // Those of what went aside first: they reach what applications change now.
        for pair in &self.pairs {
            owed.extend(outer_keys::let_go(connection, &pair.outgoing)?);
        }
        for pair in &self.pairs {
            owed.extend(outer_keys::take_hold(connection, &pair.live, &pair.incoming)?);
        }
        let kept = match strangers {
            Strangers::Stay => Some(onward::keep(connection, around, &self.pairs)?),
            // What was live is gone since before tables have moved.
            Strangers::Refuse => None,
        };
        for pair in &self.pairs {
            if pair.table.is_none() {
                set_character_set(connection, &pair.live, &pair.incoming)?;
            }
            tables::name_own_sequences(connection, pair)?;
        }
        owed.extend(self.point_back(connection, |pair| &pair.outgoing)?);
        // What is only told takes no exchange back.
        notes.extend(self.tell_hidden(connection).unwrap_or_default());
        let gone = if strangers == Strangers::Stay { self.gone_since(connection)? } else { Vec::new() };
        let (mut made, refused) = make::what_comes(around, &self.pairs, &self.words, kept, !gone.is_empty())?;
        let mut needed = Vec::new();
        if refused.is_some() {
            needed.extend(self.pairs.iter().filter(|pair| pair.incoming.exists).map(|pair| pair.incoming.definitions.clone()));
        }
        notes.extend(told::of_gone(&gone, refused.as_ref()));
        // Of a single table it is changed around triggers that come alone, and what was broken off may have left it so.
        for pair in self.pairs.iter().filter(|pair| strangers == Strangers::Stay && pair.table.is_some() && pair.outgoing.exists) {
            set_character_set(connection, &pair.live, &pair.outgoing)?;
        }
        for (pair, made) in self.pairs.iter().zip(&mut made) {
            if let Some(made) = made {
                notes.extend(timed::pass_over_dropped(connection, pair, made, around.work)?);
                notes.extend(timed::switched_off(connection, pair, made)?);
            }
            match check::is_whole(connection, pair, made.as_mut(), strangers, around.work) {
                // What stands on a table that is gone was told, and is no reason to take back all the others.
                Err(Error::Dump { .. }) if refused.is_some() => {}
                stays => notes.extend(stays?),
            }
            notes.extend(made.iter().flat_map(|loaded| loaded.notes.clone()));
            notes.extend(grants::give(connection, pair)?);
            notes.extend(pair.lacks());
            if !pair.incoming.exists {
                drop_if_empty(connection, &pair.live)?;
            }
        }
        let owed = owed::insist(connection, owed);
        // Where that cannot be noted, finishing it once more makes views anew.
        let _ = onward::all_made(connection, around, &self.pairs);
        mark::remove(connection, self)?;
        Ok(Done { notes, owed, needed })
    }

    /// Tables that came and are not live any more, each with its database.
    fn gone_since(&self, connection: &mut Connection) -> Result<Vec<String>, Error> {
        let mut gone = Vec::new();
        for pair in &self.pairs {
            let there = tables::listed(connection, &pair.live, pair.table.as_deref())?;
            let there = tables::set(&there);
            gone.extend(pair.coming.iter().filter(|table| !there.contains(table.as_str())).map(|table| pair.of_live(table)));
        }
        Ok(gone)
    }

    /// Forgets what it took to finish it after a kill, once it is written down that it has come through: until then another run may have to
    /// finish it, and must not take what people have made since for what was live before.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn end(&self) -> Result<(), Error> {
        onward::end(&self.pairs)
    }

    /// Makes foreign keys that have moved along with a table point to the live one again, and those of what is `aside` now point to nothing
    /// that is live: it would keep rows from being changed. Gives those that the server does not make now, for whatever reason.
    fn point_back(&self, connection: &mut Connection, aside: impl Fn(&Pair) -> &State) -> Result<Vec<OwedKey>, Error> {
        let pairs: Vec<(String, String)> = self
            .pairs
            .iter()
            .flat_map(|pair| [&pair.outgoing, &pair.incoming].map(|state| (state.database.clone(), pair.live.clone())))
            .collect();
        let mut owed = owed::turn(connection, &pairs, false, &is_answer)?;
        let held: Vec<(String, String)> = self.pairs.iter().map(|pair| (aside(pair).database.clone(), pair.live.clone())).collect();
        owed.extend(owed::turn(connection, &held, true, &is_answer)?);
        Ok(owed)
    }
}

/// Loads the tables of a dump beside the live database, into one that must not be there yet, and proves that all of them came. The rest of
/// the dump is written to `rest`, where the exchange reads it instead: it is read several times, while views are missing.
///
/// # Errors
/// [`Error::Refused`], [`Error::Server`], [`Error::Load`], [`Error::Dump`]; then what was loaded is to be dropped.
pub fn load_tables(
    around: Around<'_>,
    pair: &mut Pair,
    words: &Words,
    mark: &str,
    rest: &Path,
    meter: &mut dyn FnMut(u64),
) -> Result<Loaded, Error> {
    let mut connection = around.connect()?;
    let note = turn_collation(&mut Connection::open(&Login::of(around.settings)?, around.stop)?, &mut pair.incoming)?;
    if let Err(error) = create_database(&mut connection, &pair.incoming) {
        // Somebody else may have made it in this moment.
        pair.is_made = !is_answer(&error);
        return Err(error);
    }
    mark::make(&mut connection, &pair.incoming.database, mark)?;
    let mut loaded = definitions::load_part(around, pair, Part::Tables, words, meter)?;
    // The load may have lasted longer than a network lets a connection be idle.
    let mut connection = around.connect()?;
    definitions::extract(around, &pair.incoming.definitions, rest)?;
    pair.incoming.definitions = rest.to_owned();
    views::check_coming(&mut connection, pair, &std::mem::take(&mut loaded.selects))?;
    pair.coming = check::tables_came(&mut connection, pair, &mut loaded, around.work)?;
    loaded.notes.extend(note);
    if words.without_events {
        loaded.notes.extend(outer_keys::leave_out(&mut connection, &pair.incoming.database, &pair.live)?);
    }
    Ok(loaded)
}

/// Where the server does not know the default collation of what comes, takes the nearest that it has; tells of it.
fn turn_collation(connection: &mut Connection, state: &mut State) -> Result<Option<String>, Error> {
    if state.collation.is_empty() {
        return Ok(None);
    }
    let near = load::collation(connection, &state.collation)?.unwrap_or_default();
    if near == state.collation {
        return Ok(None);
    }
    let unknown = std::mem::replace(&mut state.collation, near);
    // Its character set may have another name here too.
    state.character_set = state.collation.split('_').next().unwrap_or_default().to_owned();
    let instead = if state.collation.is_empty() { "its own default" } else { &state.collation };
    Ok(Some(format!("the server does not know the collation {unknown}: {instead} is the default of the database")))
}

/// What tells one server from another: its machine, its port, where its data are, and of MySQL the identifier that it keeps among them.
///
/// MariaDB has none of that sort: its `server_uid` is made of a network card's address and the port whenever it starts, so an undo would be
/// refused once the machine has another card. A copy of a MariaDB server with the same host name, port and data directory counts as the same
/// one.
///
/// # Errors
/// [`Error::Server`].
pub fn identity(settings: &Settings, stop: &Stop) -> Result<String, Error> {
    read_identity(&mut Connection::open(&Login::of(settings)?, stop)?)
}

fn read_identity(connection: &mut Connection) -> Result<String, Error> {
    let sql = "SELECT CONCAT(@@global.hostname, ':', @@global.port, @@global.datadir)";
    const WHAT: &str = "ask for the identity of";
    let place = connection.value(WHAT, sql)?.ok_or_else(|| Error::Refused {
        why: "the server does not say its host name, port and data directory, which tell it from others".to_owned(),
    })?;
    match connection.value(WHAT, "SELECT @@global.server_uuid") {
        // MariaDB knows no such variable.
        Err(error) if is_answer(&error) => Ok(place),
        uuid => Ok(uuid?.map_or_else(|| place.clone(), |uuid| format!("{place} ({uuid})"))),
    }
}

/// Those of these databases that are on the server.
///
/// # Errors
/// [`Error::Server`].
pub fn which_exist(settings: &Settings, names: &[String], stop: &Stop) -> Result<Vec<String>, Error> {
    let mut connection = Connection::open(&Login::of(settings)?, stop)?;
    let mut found = Vec::new();
    for name in names {
        if exists(&mut connection, name)? {
            found.push(name.clone());
        }
    }
    Ok(found)
}

fn exists(connection: &mut Connection, name: &str) -> Result<bool, Error> {
    let sql = format!("SELECT schema_name FROM information_schema.SCHEMATA WHERE schema_name = {}", literal(name));
    Ok(connection.value("look for a database of", &sql)?.is_some())
}

fn create_database(connection: &mut Connection, state: &State) -> Result<(), Error> {
    let sql = format!("CREATE DATABASE {}{}", quoted(&state.database), state.character_set_words());
    connection.run("make a database on", &sql)
}

/// Gives a live database the default that is wanted, unless it has it: MySQL 8 tells a reader who needs a table's definition in the instant
/// in which a default is set of a deadlock (1213), where one that waits for tables alone only waits.
fn set_character_set(connection: &mut Connection, live: &str, state: &State) -> Result<(), Error> {
    let words = state.character_set_words();
    if words.is_empty() || !state.exists {
        return Ok(());
    }
    let is_so = |(character_set, collation): (String, String)| character_set == state.character_set && collation == state.collation;
    if state::character_set(connection, live)?.is_some_and(is_so) {
        return Ok(());
    }
    connection.run("set the character set of a database of", &format!("ALTER DATABASE {}{words}", quoted(live)))
}
